"""`memx extract`: one metadata document a file."""

from collections.abc import Iterator
from contextlib import nullcontext
from itertools import chain
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Context, Option

from memx.cli import options
from memx.cli.text import say
from memx.engine.dataset.discovery import Wanted, discover, identity, listed
from memx.engine.options import MAX_VALUE_BYTES, StreamOptions
from memx.errors import UsageError

if TYPE_CHECKING:
    from memx.cli.live import LiveView
    from memx.cli.output import Look
    from memx.cli.progress import PlainProgress
    from memx.engine.dataset.journal import Journal
    from memx.engine.dataset.run import Run

EXAMPLES = """\b
Examples:
  memx extract scan.dcm
  memx extract -j 8 --max-memory 2G -o all.jsonl archive/
  memx extract -j 8 --max-memory 2G -o all.jsonl --resume archive/
  memx extract --json cube.fits | jq .metadata.hdus[0].header
  memx extract --table --no-color -f binary cube.fits
  memx extract --include '*.h5' --exclude raw runs/
  memx extract --extractor mylab:summary runs/
  memx extract --timeout 60 --stall 30 archive/
  memx extract --progress --summary run.json archive/
  memx extract --max-value-bytes 0 --strategy balanced archive/
  find . -newer last -print0 | memx extract -0 --files-from -
"""
Sources = Annotated[
    list[str] | None,
    Argument(metavar="SOURCE...", help="Files, and folders to walk; - is standard input.", show_default=False),
]
FilesFrom = Annotated[
    str | None,
    Option("--files-from", metavar="FILE", help="Read also what FILE lists, a name a line; - is standard input."),
]
Null = Annotated[bool, Option("-0", "--null", help="The names in that list end with NUL, as find -print0 writes them.")]
Include = Annotated[
    list[str] | None,
    Option("--include", metavar="PATTERN", help="In folders, read only files like '*.dcm'. May be repeated."),
]
Exclude = Annotated[
    list[str] | None,
    Option("--exclude", metavar="PATTERN", help="In folders, leave out files and folders like this. May be repeated."),
]
Resume = Annotated[bool, Option("--resume", help="Go on with the --output that is there: read only what it lacks.")]
Progress = Annotated[
    bool, Option("--progress", help="Say how far it has come also where standard error is no terminal.")
]
Summary = Annotated[
    str | None, Option("--summary", metavar="FILE", help="Write what the run came to as one JSON object to FILE.")
]


def extract(
    context: Context,
    source: Sources = None,
    output: options.Output = None,
    format: options.Format = None,  # noqa: A002 - the name of the option
    table: options.Table = None,
    files_from: FilesFrom = None,
    null: Null = False,
    include: Include = None,
    exclude: Exclude = None,
    jobs: options.Jobs = None,
    max_memory: options.MaxMemory = None,
    timeout: options.Timeout = None,
    stall: options.Stall = None,
    resume: Resume = False,
    extractor: options.Extractor = None,
    strategy: options.Strategy = None,
    max_value_bytes: options.MaxValueBytes = None,
    progress: Progress = False,
    summary: Summary = None,
    no_color: options.NoColor = False,
) -> int:
    """Show one metadata document a file; folders are walked.

    A document has 1 MiB at most, and files whose name begins with a dot are left out. The documents are JSON lines,
    or a table of files on a terminal. A file that cannot be read has its line too, which says why. With --jobs, or
    any limit, files are read by worker processes: whatever a file does to its worker, the run goes on.
    """
    from memx.engine.dataset.run import Run

    paths = _Paths(source or [], files_from, null)
    if resume and output in (None, "-"):
        raise UsageError("--resume goes on with a file: say which with --output")
    wanted = StreamOptions(
        format=format,
        max_value_bytes=MAX_VALUE_BYTES if max_value_bytes is None else max_value_bytes,
        strategy=strategy,
        max_memory=max_memory,
        timeout=timeout,
        stall=stall,
        extractor=extractor,
        collectors=context.obj.tables or None,
    )
    patterns = Wanted(tuple(include or ()), tuple(exclude or ()))
    with _journal(output, extractor) if resume else nullcontext() as journal:
        run = Run(_found(paths, output, patterns), wanted, jobs=jobs, journal=journal)
        try:
            complete = _emit(run, paths, patterns, output, table, not no_color, progress, append=resume)
            if journal is not None:
                journal.settle()
        finally:
            if summary is not None:
                _write_summary(run, summary)
    return 0 if complete else 1


def _found(paths: "_Paths", output: str | None, patterns: Wanted) -> Iterator[str]:
    """The files that are there, but for the output, which is made first."""
    yield from discover(paths, identity(1 if output in (None, "-") else str(output)), patterns)


def _journal(output: str | None, extractor: str | None) -> "Journal":
    from memx.engine.dataset.journal import Journal

    return Journal(str(output), extractor)


class _Paths:
    """The paths that the user names: those on the command line, then those in a list."""

    def __init__(self, given: list[str], files_from: str | None, null: bool) -> None:
        if not given and files_from is None:
            raise UsageError("nothing to read: give SOURCE... or --files-from FILE; see memx extract --help")
        if null and files_from is None:
            raise UsageError("--null is about the list of --files-from, and there is none")
        if files_from == "-" and "-" in given:
            raise UsageError("standard input cannot be the list of files and a source at once")
        self.given = given
        self.countable = files_from != "-" and "-" not in given
        """Whether they can be gone through twice."""
        self._file, self._null = files_from, null
        self._first: Iterator[str] | None = self._list()  # a list that is not there is said before all else

    def __iter__(self) -> Iterator[str]:
        first, self._first = self._first, None
        return chain(self.given, self._list() if first is None else first)

    def _list(self) -> Iterator[str]:
        return iter(()) if self._file is None else listed(self._file, null=self._null)


def _emit(
    run: "Run",
    paths: _Paths,
    patterns: Wanted,
    output: str | None,
    table: bool | None,
    color: bool,
    progress: bool,
    *,
    append: bool,
) -> bool:
    """Writes the lines of `run`, and says at the end what it came to."""
    import os
    import sys

    from memx.cli.output import OutputOptions, emit

    to = OutputOptions(file=output, table=table, color=color, sources=paths.given, append=append)
    try:
        complete = emit([run], to, _look(paths, patterns, progress, run.options.max_memory), run.interrupt)
    except KeyboardInterrupt:
        from memx.cli.progress import interrupted

        say(interrupted(run, output))
        raise
    elsewhere = output not in (None, "-") or not os.isatty(1)  # a table has a closing line of its own
    shown = progress or (sys.stderr is not None and sys.stderr.isatty() and elsewhere)
    if shown and run.tally.files + run.tally.skipped > 1:
        from memx.cli.progress import closing

        say(closing(run))
    return complete


def _write_summary(run: "Run", file: str) -> None:
    import json

    from memx.cli.lines import OutputBroke

    try:
        with open(file, "w", encoding="utf-8") as opened:
            opened.write(json.dumps(run.summary(), indent=2) + "\n")
    except OSError as exc:
        raise OutputBroke(f"cannot write {file}: {exc.strerror}") from exc


def _look(paths: _Paths, patterns: Wanted, progress: bool, max_memory: int | None) -> "Look":
    from memx.cli.documents import DocumentTable
    from memx.cli.output import Look

    files = (lambda: discover(paths, None, patterns)) if paths.countable else None

    def view(descriptor: int, color: bool) -> "LiveView":
        from memx.cli.progress import RunView

        return RunView(descriptor, color=color, files=files, max_memory=max_memory)

    def plain(descriptor: int) -> "PlainProgress":
        from memx.cli.progress import PlainProgress

        return PlainProgress(descriptor, files=files)

    return Look(DocumentTable, view, plain if progress else None)
