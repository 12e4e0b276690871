"""`memx gc-tune`: which setting of Python's garbage collector suits the user's own files."""

from pathlib import Path
from typing import Annotated

from typer import Argument, Context, Option

from memx.cli import options
from memx.errors import UsageError

EXAMPLES = """\b
Examples:
  memx gc-tune archive/
  memx gc-tune --apply archive/
  memx gc-tune --extractor mypackage.reading:header scans/
  memx gc-tune --json --runs 20 archive/ > tuning.json
"""


def gc_tune(
    context: Context,
    source: Annotated[list[str], Argument(metavar="SOURCE...", help="Files, and folders to walk.", show_default=False)],
    table: options.Table = None,
    runs: Annotated[
        int, Option(metavar="N", min=1, help="Run what is promising N times; a recommendation takes 6 at least.")
    ] = 10,
    apply: Annotated[bool, Option("--apply", help="Write what is recommended to the configuration file.")] = False,
    extractor: Annotated[
        str | None,
        Option(metavar="MODULE:FUNCTION", help="Call this with each path, instead of memx's readers."),
    ] = None,
    no_color: options.NoColor = False,
) -> int:
    """Measure settings of the garbage collector on your own files, and recommend one where it pays.

    For each format, whole processes read the same files under each setting, in random order. A setting is
    recommended if it surely takes less time or memory than the one in force; one that takes 10 % more memory never.
    """
    if "-" in source:
        raise UsageError("standard input cannot be read again and again: give files or folders")
    from memx.cli.configuration import location, write_collector
    from memx.cli.tuning_view import TuningOutput
    from memx.engine.dataset.discovery import discover
    from memx.engine.tuning.advice import advise

    file = _to_write(location()) if apply else None
    settings, failed = context.obj.collectors, 0
    with TuningOutput(table, not no_color, runs) as output:
        for advice in advise(
            discover(source), extractor=extractor, settings=settings, runs=runs, progress=output.progress
        ):
            failed += advice.failed or advice.tuning is None
            applied = file is not None and advice.recommended is not None
            if file is not None and advice.recommended is not None:
                write_collector(file, advice.name, advice.recommended)
            output.show(advice, file if applied else None)
    return 1 if failed else 0


def _to_write(file: Path | None) -> Path:
    if file is None:
        raise UsageError("--apply has no file to write to: MEMX_CONFIG says that there is none")
    return file
