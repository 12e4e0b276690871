"""Coverage-guided fuzzing of the readers: `python -m tests.fuzz FORMAT SECONDS`, with atheris (the `fuzz` extra)."""
