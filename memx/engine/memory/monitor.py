"""Watching the memory of a process: snapshots, levels, and a thread that takes them in the background."""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from memx.engine.memory.budget import Budget, BudgetProbe
from memx.engine.memory.cgroups import field, kilobytes, pressure_file, read_file
from memx.engine.memory.levels import MemoryLevel, level_for
from memx.engine.memory.process import PeakMeter
from memx.errors import SourceNotFound

MIB = 1 << 20


@dataclass(frozen=True, slots=True)
class MemorySnapshot:
    """The memory of one process at one moment. All sizes in bytes."""

    timestamp: float
    """Seconds of the monotonic clock."""
    rss: int
    peak: int
    """The highest resident memory since the monitor was made; of another process, in its whole life."""
    peak_exact: bool
    """Whether the kernel counted the peak; else it is the highest of the samples."""
    available: int
    """What may still be taken, by the limit that binds."""
    used_percent: float
    """How much of the limit that binds is used."""
    limit: int
    limit_source: str
    """`host`, `cgroup-v1`, `cgroup-v2`, `rlimit` or `max-memory`."""
    limit_name: str
    limit_path: str | None
    level: MemoryLevel
    swap: int
    pressure: float | None
    """PSI's `some avg10`: percent of the last ten seconds in which a task waited for memory."""
    page_cache: int | None
    """Page cache of the process's cgroup; None where it is in none."""
    uss: int | None = None
    """What would be free if the process ended; read only on demand, since the kernel walks every mapping."""

    @property
    def rss_mb(self) -> float:
        """Resident memory in MiB."""
        return self.rss / MIB

    @property
    def peak_mb(self) -> float:
        """The peak in MiB."""
        return self.peak / MIB

    @property
    def available_mb(self) -> float:
        """What may still be taken, in MiB."""
        return self.available / MIB

    def __str__(self) -> str:
        return f"RSS: {self.rss_mb:.1f} MB, Used: {self.used_percent:.1f}%, Level: {self.level.name}"


@dataclass(frozen=True, slots=True)
class Reading:
    """What a `ProcessReader` reads in one poll; sizes in bytes."""

    rss: int
    high_water: int
    """The kernel's mark of the highest resident memory; 0 where it keeps none."""
    swap: int
    pressure: float | None
    page_cache: int | None
    budget: Budget


class ProcessReader:
    """The seam to the operating system: reads the memory of this process, or of `pid`.

    `proc` and `root` are where /proc and the rest of the file system begin. Raises SourceNotFound where
    the process has ended.
    """

    def __init__(
        self, pid: int | None = None, max_memory: int | None = None, *, proc: str = "/proc", root: str = ""
    ) -> None:
        self.pid = pid
        self._folder = f"{proc}/{'self' if pid is None else pid}"
        self._probe = BudgetProbe(pid=pid, max_memory=max_memory, proc=proc, root=root)
        membership, mounts = read_file(f"{self._folder}/cgroup"), read_file(f"{proc}/self/mountinfo")
        self._procfs = os.path.exists(f"{proc}/self/status")
        self._pressure = pressure_file(membership, mounts, root) or f"{proc}/pressure/memory"

    def read(self) -> Reading:
        """The memory now."""
        status = read_file(f"{self._folder}/status")
        if not status:
            return self._portable()
        cgroups = self._probe.cgroups
        return Reading(
            rss=kilobytes(status, b"VmRSS:"),
            high_water=kilobytes(status, b"VmHWM:"),
            swap=kilobytes(status, b"VmSwap:"),
            pressure=_some_avg10(read_file(self._pressure)),
            page_cache=cgroups[0].page_cache() if cgroups else None,
            budget=self._probe.read(),
        )

    def uss(self) -> int | None:
        """The unique set size in bytes; None where it may not be read."""
        text = read_file(f"{self._folder}/smaps_rollup")
        if not text:
            return None
        return kilobytes(text, b"Private_Clean:") + kilobytes(text, b"Private_Dirty:")

    def _portable(self) -> Reading:
        """Where there is no /proc: psutil reads it, 4 MB and 20 ms dearer."""
        if self._procfs:
            raise SourceNotFound(f"there is no process {self.pid}")
        import psutil

        try:
            rss = psutil.Process(self.pid).memory_info().rss
        except psutil.Error as exc:
            raise SourceNotFound(f"there is no process {self.pid}") from exc
        return Reading(rss, 0, 0, None, None, self._probe.read())


def _some_avg10(text: bytes) -> float | None:
    """The first number of a PSI file: `some avg10=0.12 avg60=...`."""
    value = field(text, b"some avg10=")
    try:
        return float(value)
    except ValueError:
        return None


class MemoryMonitor:
    """Watches the memory of this process, or of `pid`: at once, or from a thread in the background.

    ::

        with MemoryMonitor() as monitor:
            work()
        print(monitor.peak, monitor.history[-1])

    The history is bounded: `history` snapshots. `max_memory` is the user's bound in bytes. `on_change` is
    called with the new snapshot and the level before, from the thread that saw it. `reader` and `clock`
    are for tests. A snapshot raises SourceNotFound where there is no process `pid`.
    """

    def __init__(
        self,
        interval: float = 0.5,
        *,
        pid: int | None = None,
        max_memory: int | None = None,
        history: int = 600,
        on_change: Callable[[MemorySnapshot, MemoryLevel], None] | None = None,
        reader: ProcessReader | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        if interval <= 0:
            raise ValueError(f"an interval of {interval} seconds is none: give more than 0")
        self.interval = interval
        self._reader = reader or ProcessReader(pid, max_memory)
        self._clock = clock
        self._on_change = on_change
        self._history: deque[MemorySnapshot] = deque(maxlen=history)
        self._lock = threading.RLock()
        self._level: MemoryLevel | None = None
        self._highest = 0
        self._meter = PeakMeter() if pid is None and reader is None else None
        if self._meter is not None:
            self._meter.start()
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()

    @property
    def history(self) -> tuple[MemorySnapshot, ...]:
        """The last snapshots that the background thread took, oldest first."""
        with self._lock:
            return tuple(self._history)

    @property
    def is_monitoring(self) -> bool:
        """Whether the background thread runs."""
        thread = self._thread
        return thread is not None and thread.is_alive()

    @property
    def peak(self) -> int:
        """The highest resident memory that is known, in bytes."""
        return self.get_current_snapshot().peak

    def get_current_snapshot(self, *, uss: bool = False) -> MemorySnapshot:
        """The memory now; with `uss` its unique set size too, which costs milliseconds in a large process."""
        reading = self._reader.read()
        unique = self._reader.uss() if uss else None
        with self._lock:
            before = self._level
            binding = reading.budget.binding
            self._level = level_for(binding.used_percent, reading.pressure, before)
            peak, exact = self._peak_of(reading)
            snapshot = MemorySnapshot(
                timestamp=self._clock(),
                rss=reading.rss,
                peak=peak,
                peak_exact=exact,
                available=binding.available,
                used_percent=binding.used_percent,
                limit=binding.limit,
                limit_source=binding.source,
                limit_name=binding.name,
                limit_path=binding.path,
                level=self._level,
                swap=reading.swap,
                pressure=reading.pressure,
                page_cache=reading.page_cache,
                uss=unique,
            )
        if self._on_change is not None and before is not None and before is not snapshot.level:
            self._on_change(snapshot, before)
        return snapshot

    def budget(self) -> Budget:
        """Every limit that holds, and the one that binds."""
        return self._reader.read().budget

    def start_monitoring(self) -> None:
        """Begins to take snapshots in the background; without effect while it does."""
        with self._lock:
            if self.is_monitoring:
                return
            self._stop = threading.Event()
            self._thread = threading.Thread(target=self._watch, args=(self._stop,), name="memx-monitor", daemon=True)
            self._thread.start()

    def stop_monitoring(self) -> None:
        """Ends that, and waits until the thread is gone. The history stays. Stopping twice is no error."""
        with self._lock:
            thread, self._thread = self._thread, None
            self._stop.set()
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def __enter__(self) -> Self:
        self.start_monitoring()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop_monitoring()

    def _peak_of(self, reading: Reading) -> tuple[int, bool]:
        if self._meter is not None:
            self._highest = max(self._highest, self._meter.peak(), reading.rss)
            return self._highest, self._meter.exact
        self._highest = max(self._highest, reading.high_water, reading.rss)
        return self._highest, reading.high_water > 0

    def _watch(self, stop: threading.Event) -> None:
        due = self._clock()
        # a process that was watched and has ended ends the watching
        with contextlib.suppress(SourceNotFound):
            while not stop.is_set():
                snapshot = self.get_current_snapshot()
                with self._lock:
                    self._history.append(snapshot)
                due = next_tick(due, self._clock(), self.interval)
                stop.wait(max(0.0, due - self._clock()))


def next_tick(due: float, now: float, interval: float) -> float:
    """When to look again: whole intervals after `due`, so that no delay adds up; what was missed is left out."""
    return due + interval * max(1, -int((due - now) // interval))
