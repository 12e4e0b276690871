"""`python -m memx`."""

from memx.cli import run

if __name__ == "__main__":
    run()
