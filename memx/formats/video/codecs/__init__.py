"""What codec configuration records, and the headers of first pictures, say of a stream; nothing is decoded."""
