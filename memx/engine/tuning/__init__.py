"""Which setting of the collector suits the user's own files: an experiment."""
