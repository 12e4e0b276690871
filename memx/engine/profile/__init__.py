"""What each file, format and extractor costs, and which of them is a problem."""
