"""The options that commands share, and what their values are made into.

An option with a variable has a key in the configuration file too: see `memx.cli.configuration`.
"""

from typing import Annotated, Any

import typer
from typer import Argument, Option

from memx.engine.memory.strategy import ExtractionStrategy
from memx.errors import UsageError
from memx.formats import format_names
from memx.units import parse_size


def size(least: int = 1) -> Any:
    """The `parser` of a SIZE of at least `least` bytes."""

    def parse(text: str) -> int:
        try:
            found = parse_size(text)
        except UsageError as exc:
            raise typer.BadParameter(exc.message) from exc
        if found < least:
            raise typer.BadParameter(f"{text} is too small: at least {least}")
        return found

    return parse


def format_name(text: str) -> str:
    """The format that `text` names."""
    names = format_names()
    if text.lower() in names:
        return text.lower()
    from difflib import get_close_matches

    near = get_close_matches(text.lower(), names, 1)
    hint = f"did you mean {near[0]}?" if near else f"choose from {', '.join(names)}"
    raise typer.BadParameter(f"there is no format {text!r}: {hint}")


def seconds(text: str) -> float:
    """A time-out: more than nothing, and no more than a clock can count."""
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not 0 < found < 1e9:
        raise typer.BadParameter(f"{text!r} is no time: write seconds, like 30 or 0.5")
    return found


def number(least: int, most: int | None = None) -> Any:
    """The `parser` of a whole number from `least` to `most`."""

    def parse(text: str) -> int:
        try:
            found = int(text)
        except ValueError as exc:
            raise typer.BadParameter(f"{text!r} is no whole number") from exc
        if found < least:
            raise typer.BadParameter(f"{found} is too small: at least {least}")
        if most is not None and found > most:
            raise typer.BadParameter(f"{found} is too much: at most {most}")
        return found

    return parse


Output = Annotated[
    str | None, Option("-o", "--output", metavar="FILE", help="Write to FILE. (default: -, standard output)")
]
Format = Annotated[
    str | None,
    Option(
        "-f",
        "--format",
        metavar="NAME",
        parser=format_name,
        help=f"Read as {', '.join(format_names()[:-1])} or {format_names()[-1]}. (default: what the first bytes say)",
    ),
]
Table = Annotated[
    bool | None,
    Option("--table/--json", help="A table, or JSON lines. (default: a table on a terminal)", show_default=False),
]
MaxMemory = Annotated[
    int | None,
    Option(
        metavar="SIZE",
        parser=size(),
        envvar="MEMX_MAX_MEMORY",
        help="Keep no more than SIZE resident, like 512M or 2G, workers and all. (default: what the machine has left)",
    ),
]
Strategy = Annotated[
    ExtractionStrategy | None,
    Option(envvar="MEMX_STRATEGY", help="How much memory to spend on speed. (default: by the memory that is left)"),
]
MaxValueBytes = Annotated[
    int | None,
    Option(
        metavar="SIZE",
        parser=size(0),
        envvar="MEMX_MAX_VALUE_BYTES",
        help="Leave longer values unread, and say where they lie. (default: 64K)",
    ),
]
Timeout = Annotated[
    float | None,
    Option(
        metavar="SECONDS",
        parser=seconds,
        envvar="MEMX_TIMEOUT",
        help="Give up on a file after SECONDS. (default: never)",
    ),
]
NoColor = Annotated[bool, Option("--no-color", envvar="MEMX_NO_COLOR", help="Show no colours; NO_COLOR does the same.")]
Stall = Annotated[
    float | None,
    Option(
        metavar="SECONDS",
        parser=seconds,
        envvar="MEMX_STALL",
        help="Give up on a file whose worker neither reads nor computes for SECONDS. (default: 300)",
    ),
]
Jobs = Annotated[
    int | None,
    Option(
        "-j",
        "--jobs",
        metavar="N",
        parser=number(1, 256),
        envvar="MEMX_JOBS",
        help="Read with N worker processes at once. (default: one, and only where a file needs it)",
    ),
]
Extractor = Annotated[
    str | None,
    Option(
        metavar="MODULE:FUNCTION",
        help="Call this with each path instead of reading the file; what it returns is the metadata.",
    ),
]
ManyExtractors = Annotated[
    list[str] | None,
    Option(
        "--extractor",
        metavar="MODULE:FUNCTION",
        help="Call this with each path instead of reading the file. May be repeated, to compare several.",
    ),
]
Sources = Annotated[list[str], Argument(metavar="SOURCE...", help="Files, and folders to walk.", show_default=False)]


def check_repeatable(sources: list[str]) -> None:
    """Raises UsageError where one of `sources` can be read but once."""
    if "-" in sources:
        raise UsageError("standard input cannot be read again and again: give files or folders")


def _show_version(asked: bool) -> None:
    if asked:
        from memx import __version__

        typer.echo(f"memx {__version__}")
        raise typer.Exit


VERSION = typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
