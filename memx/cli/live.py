"""The memory table that a long run shows on a terminal's standard error, and takes away at its end."""

import os
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from memx.cli.text import safe_text
from memx.engine.memory.budget import describe
from memx.engine.memory.monitor import MemoryMonitor, MemorySnapshot
from memx.errors import SourceNotFound
from memx.units import format_size

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from memx.engine.reading.streaming import Stream

INTERVAL = 0.25
_BAR = 24
"""Cells of the progress bar."""
LEVEL_STYLE = {"healthy": "green", "moderate": "yellow", "high": "red", "critical": "bold red"}


class LiveView:
    """Draws the table below all that is written, four times a second, from a thread of its own.

    Whoever writes to a terminal does it inside `lifted`, so that the table is never in the way.
    """

    patience = 1.0
    """Seconds that a run lasts before the table appears."""
    counted = "records"

    def __init__(self, descriptor: int, *, color: bool, max_memory: int | None = None) -> None:
        self._descriptor = descriptor
        self._color = color
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._drawn = self._note = ""
        self._rates = _Rates()
        self._memory = _Memory(max_memory)
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name="memx-live", daemon=True)
        self._thread.start()

    def watch(self, stream: "Stream") -> None:
        """From now on the table is about `stream`."""
        self._stream = stream
        self._rates = _Rates()
        self._note = ""

    def took(self, block: bytes) -> None:
        """These lines came."""
        if not self._rates.records and b'"spooled":true' in block[: block.find(b"\n")]:
            self._note = "first copied to a temporary file, since its format has to seek"
        self._rates.records += block.count(b"\n")

    @contextmanager
    def lifted(self) -> Iterator[None]:
        """The table is gone while something else is written, and back at once."""
        with self._lock:
            self._write(_erasing(self._drawn))
            try:
                yield
            finally:
                self._write(self._drawn)

    def close(self) -> None:
        """Takes the table away."""
        self._stop.set()
        self._thread.join()
        with self._lock:
            self._write(_erasing(self._drawn))
            self._drawn = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        self._stop.wait(self.patience)
        console = None
        while not self._stop.is_set():
            console = console or self._console()
            with console.capture() as capture:
                if self._stream is not None:
                    console.print(self._table(self._stream, console.width))
            drawing = capture.get()
            with self._lock:  # not while drawing: whoever writes records shall not wait for that
                self._write(_erasing(self._drawn) + drawing)
                self._drawn = drawing
            self._stop.wait(INTERVAL)

    def _console(self) -> "Console":
        """Made only when a run turns out to last: Rich costs 30 ms and 3 MB."""
        from rich.console import Console

        return Console(stderr=True, color_system="auto" if self._color else None, highlight=False, markup=False)

    def _table(self, stream: "Stream", width: int) -> "RenderableType":
        from rich.console import Group
        from rich.table import Table
        from rich.text import Text

        memory, rates, position = self._memory.read(self._workers(stream)), self._rates, stream.position
        rates.note(self._bytes(stream))
        cells = {
            "memx": format_size(memory.rss),
            "worker": format_size(memory.worker) if memory.worker else "-",
            "peak": format_size(memory.peak),
            "available": format_size(memory.available),
            "level": memory.level,
            f"{self.counted}/s": f"{rates.records_per_second:,.0f}",
            "MB/s": "-" if self._bytes(stream) is None else f"{rates.bytes_per_second / 1e6:,.1f}",
            "limited by": memory.limited_by,
        }
        table = Table.grid(padding=(0, 2))
        for title, cell in cells.items():
            style = LEVEL_STYLE[memory.level] if title == "level" else ""
            least = 0 if title == "limited by" else max(len(title), len(cell))
            table.add_column(no_wrap=True, overflow="ellipsis", style=style, min_width=least)
        table.add_row(*(Text(title, style="dim") for title in cells))
        table.add_row(*map(Text, cells.values()))
        note = [Text(self._note, style="dim")] if self._note else []
        return Group(*note, table, self._progress(safe_text(stream.path), stream.size, position, width))

    def _workers(self, stream: "Stream") -> list[int]:
        """The processes that read."""
        return [] if stream.worker_pid is None else [stream.worker_pid]

    def _bytes(self, stream: "Stream") -> int | None:
        """How many bytes were read so far, if that is known."""
        return stream.position

    def _progress(self, path: str, size: int | None, position: int | None, width: int) -> "RenderableType":
        parts = []
        if size and position is not None:
            parts.append(f"{min(1.0, position / size):.0%}")
        if position is not None:
            parts.append(format_size(position))
        if size:
            parts.append(f"of {format_size(size)}")
        return self._bar(path, size if position is not None else None, position or 0, " ".join(parts), width)

    def _bar(self, path: str, total: int | None, completed: int, far: str, width: int) -> "RenderableType":
        """A line with a bar; one that moves by itself where `total` is not known."""
        from rich.progress_bar import ProgressBar
        from rich.table import Table
        from rich.text import Text

        bar = ProgressBar(total=total or None, completed=completed, pulse=not total, width=_BAR)
        seconds = int(time.monotonic() - self._rates.began)
        clock = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        table = Table.grid(padding=(0, 2))
        left = Text(path)
        left.truncate(max(8, width - _BAR - len(far) - len(clock) - 6), overflow="ellipsis")
        table.add_row(left, bar, Text(far), Text(clock, style="dim"))
        return table

    def _write(self, text: str) -> None:
        data = text.encode("utf-8", "replace")
        try:
            while data:
                data = data[os.write(self._descriptor, data) :]
        except OSError:
            self._stop.set()  # the terminal went away: there is nobody to show it to


def _erasing(drawn: str) -> str:
    """What takes `drawn`, which ends with a newline, off the terminal again (ECMA-48: CUU, ED)."""
    return f"\x1b[{lines}A\r\x1b[J" if (lines := drawn.count("\n")) else ""


class _Rates:
    """How fast a source is read, over the time since the last look, smoothed."""

    def __init__(self) -> None:
        self.began = self._noted_at = time.monotonic()
        self.records = self._records_noted = self._position_noted = 0
        self.records_per_second = self.bytes_per_second = 0.0

    def note(self, position: int | None) -> None:
        """Looks at the clock, the records and the position, in bytes."""
        now = time.monotonic()
        passed = max(1e-3, now - self._noted_at)
        weight = min(1.0, passed)  # about the last second counts
        came, moved = self.records - self._records_noted, (position or 0) - self._position_noted
        self.records_per_second += weight * (came / passed - self.records_per_second)
        self.bytes_per_second += weight * (moved / passed - self.bytes_per_second)
        self._noted_at, self._records_noted, self._position_noted = now, self.records, position or 0


class _Memory:
    """What memx and its workers take, and what there is."""

    rss: int
    worker: int
    available: int
    level: str
    limited_by: str

    def __init__(self, max_memory: int | None) -> None:
        self.peak = 0
        self._max_memory = max_memory
        self._own: MemoryMonitor | None = None

    def read(self, workers: Iterable[int]) -> "_Memory":
        """This, as it is now; sizes in bytes."""
        self._own = self._own or MemoryMonitor(max_memory=self._max_memory)
        own = self._own.get_current_snapshot()
        found = [snapshot for pid in workers if (snapshot := _snapshot_of(pid)) is not None]
        self.rss, self.worker = own.rss, sum(worker.rss for worker in found)
        # several workers need not have had their peaks at once
        peaks = found[0].peak if len(found) == 1 else self.worker
        self.peak = max(self.peak, own.peak, own.rss + peaks)
        self.available, self.level = own.available, own.level
        binding = self._own.budget().binding
        self.limited_by = "host" if binding.source == "host" else describe(binding)
        return self


def _snapshot_of(pid: int) -> MemorySnapshot | None:
    try:
        return MemoryMonitor(pid=pid).get_current_snapshot()
    except SourceNotFound:  # it has just ended
        return None
