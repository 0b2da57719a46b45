// Nothing is kept here: whoever asks for it finds out.
export default {};
