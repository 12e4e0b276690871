"""`python -m memx`."""

from memx.cli import run

run()
