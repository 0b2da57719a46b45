"""What a token request and a token are made of."""
