"""The one sink: JSON lines, or a table where the output is a terminal, with the live view beside it."""

import os
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from memx.cli.interrupt import Interrupts
from memx.cli.lines import BATCH, LineWriter, OutputBroke
from memx.cli.text import safe_json
from memx.engine.streaming import Stream
from memx.errors import UsageError

if TYPE_CHECKING:
    from memx.cli.live import LiveView
    from memx.records import Record

NARROWEST, WIDEST = 80, 160
"""Cells of a table."""

Paint = Callable[[str, str], str]
"""Gives text a style."""


class Table(Protocol):
    """Records as lines for people."""

    def lines(self, record: "Record") -> Iterator[str]:
        """The lines that show `record`, without their newlines."""

    def closing(self) -> Iterator[str]:
        """What is said when all was shown."""


def _stream_table(width: int, paint: Paint) -> Table:
    from memx.cli.table import TableView

    return TableView(width, paint)


def _stream_view(descriptor: int, color: bool) -> "LiveView":
    from memx.cli.live import LiveView

    return LiveView(descriptor, color=color)


@dataclass(frozen=True, slots=True)
class Look:
    """How records look to people: what is imported for that is imported where there are any."""

    table: Callable[[int, Paint], Table] = _stream_table
    """A table so many cells wide."""
    view: Callable[[int, bool], "LiveView"] = _stream_view
    """The live view on a descriptor, in colours or not."""


@dataclass(frozen=True, slots=True)
class OutputOptions:
    """Where the records go, and how they look."""

    file: str | None = None
    """None, or `-`: standard output."""
    table: bool | None = None
    """A table, or JSON lines; None: a table on a terminal."""
    color: bool = True
    sources: Sequence[str] = ()
    """Paths that are read: none is written to."""


def emit(streams: Iterable[Stream], options: OutputOptions, look: Look = Look()) -> bool:
    """Writes the records of all `streams`, one after the other; whether every one came to its complete end.

    The first stream is asked for when the output is open. Raises UsageError where the output is one of the
    sources, ReaderLeft and OutputBroke as `LineWriter` does, and KeyboardInterrupt after the `end` line of the
    stream that was interrupted.
    """
    color = options.color and not os.environ.get("NO_COLOR")
    with ExitStack() as stack:
        descriptor = stack.enter_context(_opened(options.file, options.sources))
        terminal = os.isatty(descriptor)
        wanted = options.table or (options.table is None and terminal)
        table = look.table(table_width(), painter(terminal and color)) if wanted else None
        view = stack.enter_context(_live_view(look, color))
        interrupts = stack.enter_context(Interrupts())
        writer = LineWriter(
            descriptor,
            _name(options.file),
            convert=safe_json if terminal and table is None else None,
            around=view.lifted if view and terminal else nullcontext,
        )
        stack.enter_context(writer)
        complete = True
        for stream in streams:
            blocks = _rows(stream, table, interrupts) if table else interrupts.guard(stream.lines())
            for block in _watched(stream, blocks, view) if view else blocks:
                writer.batch = stream.write_batch or BATCH
                writer.write(block)
            complete &= stream.status == "complete"
        if table:
            writer.write(_block(table.closing()))
        return complete


def _rows(stream: Stream, table: Table, interrupts: Interrupts) -> Iterator[bytes]:
    for record in interrupts.guard(stream.records()):
        yield _block(table.lines(record))


def _block(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _watched(stream: Stream, blocks: Iterator[bytes], view: "LiveView") -> Iterator[bytes]:
    """`blocks`, of which the live view is told."""
    view.watch(stream)
    for block in blocks:
        view.took(block)
        yield block


def _name(file: str | None) -> str:
    return "standard output" if file is None or file == "-" else file


@contextmanager
def _opened(file: str | None, sources: Sequence[str]) -> Iterator[int]:
    """The descriptor to write to."""
    if file is None or file == "-":
        if sys.stdout is None:
            raise OutputBroke("standard output is closed")
        yield 1
        return
    for source in sources:
        try:
            same = os.path.samefile(file, source) and os.path.isfile(file)
        except OSError:  # one of the two is not there
            continue
        if same:
            raise UsageError(f"{file} is a source: writing there would destroy it")
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    except OSError as exc:
        raise OutputBroke(f"cannot open {file} to write to: {exc.strerror}") from exc
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def table_width() -> int:
    """Cells of a table on this terminal."""
    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((NARROWEST, 24)).columns))


def painter(color: bool) -> Paint:
    """What gives text the colours that the terminal has."""
    if not color:
        return lambda text, _style: text
    from rich.color import ColorSystem
    from rich.console import Console
    from rich.style import Style

    name = Console(file=sys.stdout).color_system
    if name is None:
        return lambda text, _style: text
    system = ColorSystem[{"256": "EIGHT_BIT"}.get(name, name.upper())]
    return lambda text, style: Style.parse(style).render(text, color_system=system)


def _live_view(look: Look, color: bool) -> "AbstractContextManager[LiveView | None]":
    """The memory table on standard error, where that is a terminal that can move its cursor."""
    if sys.stderr is None or not sys.stderr.isatty() or os.environ.get("TERM", "dumb") == "dumb":
        return nullcontext()
    return look.view(sys.stderr.fileno(), color)
