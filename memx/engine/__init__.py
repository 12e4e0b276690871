"""What memx is about: memory. Knows no format and no terminal."""
