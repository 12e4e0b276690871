"""memx: the metadata of any huge file, in memory that does not grow with it."""

__version__ = "0.1.0"
