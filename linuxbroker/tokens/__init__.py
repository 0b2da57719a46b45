"""The parts of a token request and of a token."""
