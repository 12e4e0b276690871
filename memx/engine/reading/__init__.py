"""One source: its records, or the one document that they come to, from this process or from a worker."""
