"""The one sink: JSON lines, or a table where the output is a terminal, with the live view beside it."""

import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from memx.cli.interrupt import Interrupts
from memx.cli.lines import BATCH, LineWriter, OutputBroke
from memx.cli.paint import Paint, painter
from memx.cli.text import safe_json
from memx.errors import UsageError

if TYPE_CHECKING:
    from memx.cli.live import LiveView
    from memx.records import Record

NARROWEST, WIDEST = 40, 160
"""Cells of a table."""


class Told(Protocol):
    """What tells records: a `Stream`, or a `Run` over many files."""

    @property
    def status(self) -> str | None:
        """`complete`, or how it ended else."""

    @property
    def write_batch(self) -> int | None:
        """How many bytes of lines are best written at once; None where that is not known."""

    def records(self) -> Iterator["Record"]:
        """Each record."""

    def lines(self) -> Iterator[bytes]:
        """The records as whole lines."""


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
    plain: Callable[[int], AbstractContextManager[Any]] | None = None
    """How far it has come, in plain lines, where the descriptor is no terminal."""


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
    append: bool = False
    """What is in `file` stays, and more is written behind it."""


def emit(
    streams: Iterable[Told], options: OutputOptions, look: Look = Look(), finish: Callable[[], None] | None = None
) -> bool:
    """Writes the records of all `streams`, one after the other; whether every one came to its complete end.

    With `finish`, an interrupt only calls that, and is raised when the streams have come to their ends.

    The first stream is asked for when the output is open. Raises UsageError where the output is one of the
    sources, ReaderLeft and OutputBroke as `LineWriter` does, and KeyboardInterrupt after the `end` line of the
    stream that was interrupted.
    """
    color = options.color and not os.environ.get("NO_COLOR")
    with ExitStack() as stack:
        descriptor = stack.enter_context(opened(options))
        terminal = os.isatty(descriptor)
        wanted = options.table or (options.table is None and terminal)
        table = look.table(table_width(), painter(terminal and color)) if wanted else None
        view = stack.enter_context(_live_view(look, color))
        interrupts = stack.enter_context(Interrupts())
        ending = None if finish is None else _said(finish, view)
        writer = LineWriter(
            descriptor,
            _name(options.file),
            convert=safe_json if terminal and table is None else None,
            around=view.lifted if terminal and hasattr(view, "lifted") else nullcontext,
        )
        stack.enter_context(writer)
        complete = True
        for stream in streams:
            blocks = _guarded(stream, table, interrupts, ending)
            for block in _watched(stream, blocks, view) if view else blocks:
                writer.batch = stream.write_batch or BATCH
                writer.write(block)
            complete &= stream.status == "complete"
        if table:
            writer.write(_block(table.closing()))
        return complete


def _said(finish: Callable[[], None], view: Any) -> Callable[[], None]:
    """`finish`, of which the view is told: what is in hand may take a while yet."""

    def ending() -> None:
        finish()
        if view is not None:
            view.finishing()

    return ending


def _guarded(
    stream: Told, table: Table | None, interrupts: Interrupts, finish: Callable[[], None] | None
) -> Iterator[bytes]:
    """The lines of `stream`, or its rows."""
    items: Any = stream.records() if table else stream.lines()
    guarded = interrupts.guard(items) if finish is None else interrupts.finishing(items, finish)
    return (_block(table.lines(record)) for record in guarded) if table else guarded


def _block(lines: Iterable[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "replace")


def _watched(stream: Any, blocks: Iterator[bytes], view: "LiveView") -> Iterator[bytes]:
    """`blocks`, of which the live view is told."""
    view.watch(stream)
    for block in blocks:
        view.took(block)
        yield block


def _name(file: str | None) -> str:
    return "standard output" if file is None or file == "-" else file


@contextmanager
def opened(options: OutputOptions) -> Iterator[int]:
    """The descriptor to write to. Raises UsageError where it is one of the sources, OutputBroke where it cannot be."""
    file = options.file
    if file is None or file == "-":
        if sys.stdout is None:
            raise OutputBroke("standard output is closed")
        yield 1
        return
    for source in options.sources:
        try:
            same = os.path.samefile(file, source) and os.path.isfile(file)
        except OSError:  # one of the two is not there
            continue
        if same:
            raise UsageError(f"{file} is a source: writing there would destroy it")
    try:
        start = os.O_APPEND if options.append else os.O_TRUNC
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | start, 0o666)
    except OSError as exc:
        folder = os.path.dirname(file)
        why = exc.strerror if os.path.isdir(folder or ".") else f"there is no folder {folder}"
        raise OutputBroke(f"cannot open {file} to write to: {why}") from exc
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def table_width() -> int:
    """Cells of a table on this terminal."""
    import shutil

    return max(NARROWEST, min(WIDEST, shutil.get_terminal_size((80, 24)).columns))


def _live_view(look: Look, color: bool) -> AbstractContextManager[Any]:
    """The memory table on standard error, where that is a terminal that can move its cursor."""
    from memx.cli.drawing import canvas

    if (descriptor := canvas()) is not None:
        return look.view(descriptor, color)
    return nullcontext() if look.plain is None or sys.stderr is None else look.plain(sys.stderr.fileno())
