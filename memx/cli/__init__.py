"""The command line: a thin adapter over the engine."""


def run() -> None:
    """The entry point of the `memx` command."""
    raise SystemExit(2)
