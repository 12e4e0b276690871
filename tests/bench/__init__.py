"""Benchmarks: memx against the formats' own tools, measured from outside of each process."""
