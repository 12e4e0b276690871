"""`memx stream FILE...` without any option: what is typed most, without typer.

Loading typer and asking it takes as long as reading a small file, and 8 MB. A command line that is this plain
says all by itself, unless the environment or the user's configuration says more.
"""

import os
import sys
from collections.abc import Mapping

from memx.cli.output import OutputOptions, emit
from memx.engine.options import StreamOptions
from memx.engine.reading.streaming import Stream


def sources(argv: list[str]) -> list[str] | None:
    """The sources of a plain command line; None where it is for typer."""
    command, *rest = argv or [""]
    if command != "stream" or not rest or any(word.startswith("-") for word in rest):
        return None
    return None if _configured(os.environ) else rest


def _configured(environment: Mapping[str, str]) -> bool:
    """Whether options are set elsewhere, or may be: see `memx.cli.configuration`."""
    if sys.platform != "linux" or any(name.startswith("MEMX_") for name in environment):
        return True
    # platformdirs would take 5 ms to say so (XDG Base Directory Specification)
    folder = environment.get("XDG_CONFIG_HOME", "").strip() or os.path.expanduser("~/.config")
    return os.path.lexists(f"{folder}/memx/config.toml")


def stream(names: list[str]) -> int:
    """What `memx.cli.stream` does with the sources `names` and no options; the exit status."""
    options = StreamOptions(two_processes=True)
    complete = emit((Stream(name, options) for name in names), OutputOptions(sources=names))
    return 0 if complete else 1
