"""`memx gc-tune`: which setting of Python's garbage collector suits the user's own files."""

from pathlib import Path
from typing import Annotated

from typer import Context, Option

from memx.cli import options
from memx.errors import UsageError

EXAMPLES = """\b
Examples:
  memx gc-tune archive/
  memx gc-tune --apply archive/
  memx gc-tune --extractor mypackage.reading:header scans/
  memx gc-tune --table --no-color archive/ | tail -4
  memx gc-tune --json --runs 20 archive/ > tuning.json
"""
Runs = Annotated[
    int,
    Option(
        metavar="N",
        parser=options.number(1),
        help="Measure what is promising N times; a recommendation takes 6 at least. (default: 10)",
        show_default=False,
    ),
]
Apply = Annotated[
    bool,
    Option("--apply", help="Write what is recommended to the configuration file, which the other commands heed."),
]


def gc_tune(
    context: Context,
    source: options.Sources,
    table: options.Table = None,
    runs: Runs = 10,
    apply: Apply = False,
    extractor: options.Extractor = None,
    no_color: options.NoColor = False,
) -> int:
    """Find the garbage collector's setting that suits your files.

    For each format, whole processes read the same files under each setting, in random order. A setting is
    recommended if it surely takes less time or memory than the one in force; one that takes 10 % more memory never.
    """
    options.check_repeatable(source)
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
