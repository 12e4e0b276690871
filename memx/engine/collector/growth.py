"""Collecting by bytes: when resident memory has grown, whatever the number of objects."""

import gc
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from memx.engine.memory.pressure import heap_trim
from memx.engine.memory.process import resident

GROWTH_STEP = 64 << 20
_MOST_STEPS = 16
_WORTH = 8
"""A collection was worth it where it gave back an eighth of the step or more."""


class GrowthCollector:
    """Collects at a `poll` that finds resident memory `step` bytes above where the last collection left it.

    A collection that gave nothing back doubles the step, up to 16 times the first, so that growth without
    cycles costs few collections; one that did sets it back. `resident`, `collect` and `trim` are for tests.
    """

    def __init__(
        self,
        step: int = GROWTH_STEP,
        *,
        resident: Callable[[], int] = resident,
        collect: Callable[[], int] = gc.collect,
        trim: Callable[[], object] = heap_trim,
    ) -> None:
        self.step = step
        self.collections = 0
        self.freed = 0
        """Bytes that the collections gave back."""
        self._resident = resident
        self._collect = collect
        self._trim = trim
        self._now = step
        self._floor = resident()

    def poll(self) -> int:
        """Looks, and collects where it is time; how many bytes that gave back."""
        before = self._resident()
        self._floor = min(self._floor, before)
        if before - self._floor < self._now:
            return 0
        self._collect()
        if (before - self._resident()) * _WORTH < self._now:
            self._trim()  # what the collector freed may lie with the allocator
        self._floor = self._resident()
        freed = max(0, before - self._floor)
        self.collections += 1
        self.freed += freed
        self._now = self.step if freed * _WORTH >= self._now else min(self._now * 2, self.step * _MOST_STEPS)
        return freed


class GrowthWatch:
    """A `GrowthCollector` polled from a thread, for code that cannot poll itself.

    Finalizers then run in that thread. It ends with the `with` block.
    """

    def __init__(self, step: int = GROWTH_STEP, interval: float = 0.02) -> None:
        self.collector = GrowthCollector(step)
        self._interval = interval
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="memx-growth", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._stop.wait(self._interval):
            self.collector.poll()
