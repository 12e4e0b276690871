"""Python's cyclic garbage collector: set, watched, and put back."""
