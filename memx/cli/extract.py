"""`memx extract`: one metadata document a file."""

from collections.abc import Iterator
from itertools import chain
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Option

from memx.cli import options
from memx.engine.discovery import discover, listed
from memx.engine.session import MAX_VALUE_BYTES, StreamOptions
from memx.errors import UsageError

if TYPE_CHECKING:
    from memx.cli.live import LiveView
    from memx.cli.output import Look

EXAMPLES = """\b
Examples:
  memx extract scan.dcm
  memx extract archive/ -o metadata.jsonl
  memx extract --timeout 60 --max-memory 512M uploads/
  memx extract --json cube.fits | jq .metadata.hdus[0].header
  find . -newer last -print0 | memx extract -0 --files-from -
"""


def extract(
    source: Annotated[
        list[str] | None,
        Argument(metavar="SOURCE...", help="Files, and folders to walk; - is standard input.", show_default=False),
    ] = None,
    output: options.Output = None,
    format: options.Format = None,  # noqa: A002 - the name of the option
    table: options.Table = None,
    files_from: Annotated[
        str | None, Option("--files-from", metavar="FILE", help="Read also what FILE lists; - is standard input.")
    ] = None,
    null: Annotated[bool, Option("-0", "--null", help="The names in that list end with NUL, not with a line.")] = False,
    max_memory: options.MaxMemory = None,
    strategy: options.Strategy = None,
    max_value_bytes: options.MaxValueBytes = None,
    timeout: options.Timeout = None,
    no_color: options.NoColor = False,
) -> int:
    """Show one metadata document a file, of at most 1 MiB, read under memory management.

    Folders are walked, hidden files left out. The documents are JSON lines, or a table of files on a terminal.
    A file that cannot be read has its line too, which says why.
    """
    from memx.cli.output import OutputOptions, emit
    from memx.engine.dataset import extractions

    paths = _Paths(source or [], files_from, null)
    wanted = StreamOptions(
        format=format,
        max_value_bytes=MAX_VALUE_BYTES if max_value_bytes is None else max_value_bytes,
        strategy=strategy,
        max_memory=max_memory,
        timeout=timeout,
    )
    to = OutputOptions(file=output, table=table, color=not no_color, sources=paths.given)
    target = 1 if output in (None, "-") else output
    complete = emit(extractions(paths, wanted, output=target), to, _look(paths))
    return 0 if complete else 1


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


def _look(paths: _Paths) -> "Look":
    from memx.cli.documents import DocumentTable
    from memx.cli.output import Look

    def view(descriptor: int, color: bool) -> "LiveView":
        from memx.cli.progress import RunView

        return RunView(descriptor, color=color, files=(lambda: discover(paths)) if paths.countable else None)

    return Look(DocumentTable, view)
