"""What plugs a broker's tokens into other libraries? A module for each; importing it takes that library's extra."""
