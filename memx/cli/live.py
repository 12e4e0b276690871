"""The memory table that a long run shows on a terminal's standard error, and takes away at its end."""

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import TYPE_CHECKING, Self

from memx.cli.columns import GAP, Column, bar, fit, fit_end, fitting, heading, laid, width_of
from memx.cli.drawing import Drawing
from memx.cli.paint import Paint, painter
from memx.cli.text import safe_text
from memx.engine.memory.budget import Limit, describe
from memx.engine.memory.levels import MemoryLevel, level_for
from memx.engine.memory.monitor import MemoryMonitor, MemorySnapshot
from memx.errors import SourceNotFound
from memx.units import format_size

if TYPE_CHECKING:
    from memx.engine.reading.streaming import Stream

INTERVAL = 0.25
_BAR = 24
"""Cells of the progress bar at most."""
_NARROWEST_BAR = 6
_NARROWEST_NAME = 8
LEVEL_STYLE = {"healthy": "green", "moderate": "magenta", "high": "red", "critical": "bold red"}


class LiveView:
    """Draws the table below all that is written, four times a second, from a thread of its own.

    Whoever writes to a terminal does it inside `lifted`, so that the table is never in the way.
    """

    patience = 1.0
    """Seconds that a run lasts before the table appears."""
    counted = "records"

    def __init__(self, descriptor: int, *, color: bool, max_memory: int | None = None) -> None:
        self._drawing = Drawing(descriptor)
        self._color = color
        self._paint: Paint = lambda text, _style: text
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._note = ""
        self._rates = _Rates()
        self._memory = _Memory(max_memory)
        self._stream: Stream | None = None
        self._thread = threading.Thread(target=self._run, name="memx-live", daemon=True)
        self._thread.start()

    def watch(self, stream: "Stream") -> None:
        """From now on the table is about `stream`."""
        self._stream = stream
        self._memory = _Memory(stream.options.max_memory)
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
            lines = self._drawing.lines
            self._drawing.erase()
            try:
                yield
            finally:
                self._drawing.again(lines)

    def close(self) -> None:
        """Takes the table away."""
        self._stop.set()
        self._thread.join()
        with self._lock:
            self._drawing.erase()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _run(self) -> None:
        self._stop.wait(self.patience)
        if not self._stop.is_set():
            import sys

            self._paint = painter(self._color, sys.stderr)  # Rich is loaded only when a run turns out to last
        while not self._stop.is_set() and not self._drawing.gone:
            if self._stream is not None:
                lines = self._lines(self._stream, self._drawing.width)[-self._drawing.height :]
                with self._lock:  # not while the lines are made: whoever writes records shall not wait for that
                    self._drawing.draw(lines)
            self._stop.wait(INTERVAL)

    def _lines(self, stream: "Stream", width: int) -> list[str]:
        """What is drawn, the most important below."""
        note = [self._paint(fit(self._note, width).rstrip(), "dim")] if self._note else []
        position = stream.position
        return [
            *note,
            *self._table(self._memory.read(self._workers(stream)), self._bytes(stream), width),
            self._progress(safe_text(stream.path), stream.size, position, width),
        ]

    def _table(self, memory: "_Memory", count: int | None, width: int) -> list[str]:
        """The memory and the rates in columns, as many as there is room for, and the limit that holds."""
        rates = self._rates
        rates.note(count)
        titles = ("memx", "worker", "peak", "available", "level", f"{self.counted}/s", "MB/s")
        shown = fitting([Column(title, 8 if title == "MB/s" else 9, right=title != "level") for title in titles], width)
        cells = (
            format_size(memory.rss),
            format_size(memory.worker) if memory.worker else "-",
            format_size(memory.peak),
            format_size(memory.available),
            memory.level,
            f"{rates.records_per_second:,.0f}",
            "-" if count is None else f"{rates.bytes_per_second / 1e6:,.1f}",
        )
        widths = [column.least for column in shown]
        style = {4: LEVEL_STYLE[memory.level]}
        limit = f"budget {format_size(memory.limit)}, limited by {memory.limited_by}"
        return [
            self._paint(heading(shown, widths), "dim"),
            (" " * GAP)
            .join(self._paint(cell, style.get(at, "")) for at, cell in enumerate(laid(shown, widths, cells)))
            .rstrip(),
            self._paint(fit(limit, width).rstrip(), "dim"),
        ]

    def _workers(self, stream: "Stream") -> list[int]:
        """The processes that read."""
        return [] if stream.worker_pid is None else [stream.worker_pid]

    def _bytes(self, stream: "Stream") -> int | None:
        """How many bytes were read so far, if that is known."""
        return stream.position

    def _progress(self, path: str, size: int | None, position: int | None, width: int) -> str:
        whole = format_size(size) if size else ""
        far = whole if position is None else " of ".join(filter(None, [f"{format_size(position):>9}", whole]))
        fraction = min(1.0, position / size) if size and position is not None else None
        return self._bar(path, fraction, far, width)

    def _bar(self, path: str, fraction: float | None, far: str, width: int) -> str:
        """A line that says how far it has come, with a bar where the whole is known and there is room."""
        seconds = int(time.monotonic() - self._rates.began)
        clock = f"{seconds // 3600}:{seconds // 60 % 60:02}:{seconds % 60:02}"
        parts = [far, clock] if fraction is None else [f"{fraction:4.0%}", far, clock]
        room = width - sum(width_of(part) + GAP for part in parts if part)
        most = min(_BAR, room - GAP - min(width_of(path), 16))
        if fraction is not None and most >= _NARROWEST_BAR:
            parts.insert(0, self._paint(bar(fraction, most), "green"))
            room -= most + GAP
        name = fit_end(path, room) if room >= min(width_of(path), _NARROWEST_NAME) else ""
        return (" " * GAP).join(filter(None, [name, *parts]))


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
    limit: int
    level: MemoryLevel
    limited_by: str

    def __init__(self, max_memory: int | None) -> None:
        self.peak = 0
        self._max_memory = max_memory
        self._own: MemoryMonitor | None = None
        self._before: MemoryLevel | None = None

    def read(self, workers: Iterable[int]) -> "_Memory":
        """This, as it is now; sizes in bytes."""
        self._own = self._own or MemoryMonitor()
        own = self._own.get_current_snapshot()
        found = [snapshot for pid in workers if (snapshot := _snapshot_of(pid)) is not None]
        self.rss, self.worker = own.rss, sum(worker.rss for worker in found)
        # several workers need not have had their peaks at once
        peaks = found[0].peak if len(found) == 1 else self.worker
        self.peak = max(self.peak, own.peak, own.rss + peaks)
        binding, self.level = self._own.budget().binding, own.level
        if self._max_memory is not None:
            # the budget is of all processes together, and the monitor knows but this one
            ours = Limit("max-memory", "--max-memory", None, self._max_memory, self.rss + self.worker)
            if ours.available <= binding.available:
                binding, self.level = ours, level_for(ours.used_percent, own.pressure, self._before)
        self._before = self.level
        self.available, self.limit, self.limited_by = binding.available, binding.limit, describe(binding)
        return self


def _snapshot_of(pid: int) -> MemorySnapshot | None:
    try:
        return MemoryMonitor(pid=pid).get_current_snapshot()
    except SourceNotFound:  # it has just ended
        return None
