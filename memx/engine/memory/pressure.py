"""What to do when memory gets tight: small sacrifices first, and at last a clean stop.

The ladder: smaller chunks, idle buffers given back, the collector, the allocator's free pages given back
(`malloc_trim(3)`), then OverMemory. Each step is logged with the bytes that it gave back.
"""

import gc
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TypeVar

from memx.engine.memory.budget import BudgetProbe, describe
from memx.engine.memory.buffers import MemoryResourcePool
from memx.engine.memory.chunks import AdaptiveChunkSizer
from memx.engine.memory.levels import MemoryLevel, level_for
from memx.engine.memory.process import resident
from memx.errors import OverMemory
from memx.units import format_size

T = TypeVar("T")

MIB = 1 << 20
FLOOR = 2 * MIB
"""With less than this left when all was tried, the next allocation may be the kernel's kill."""
_LOOK_EVERY, _REST_AT_MOST = 0.25, 32.0
"""Seconds between two looks, and between two climbs that gave nothing."""


@dataclass(frozen=True, slots=True)
class Step:
    """A step of the ladder that was taken."""

    name: str
    """`shrink-chunks`, `drop-buffers`, `collect` or `heap-trim`."""
    freed: int
    """Bytes that it gave back: resident ones, or of `shrink-chunks` those that will not be taken."""
    available: int
    """Bytes that may be taken after it."""


def heap_trim() -> bool:
    """Gives the free pages of the C allocator back to the system; whether it could be asked.

    glibc alone has `malloc_trim`; elsewhere psutil's `heap_trim` (7.2) is asked. On Linux psutil is not
    imported for it: that would cost 4 MB just when they are missing.
    """
    if sys.platform.startswith("linux") and "psutil" not in sys.modules:
        import ctypes

        try:
            ctypes.CDLL(None).malloc_trim(0)
        except (AttributeError, OSError):  # another C library
            return False
        return True
    try:
        import psutil

        psutil.heap_trim()
    except (ImportError, AttributeError, OSError, NotImplementedError):
        return False
    return True


class PressureLadder:
    """The steps for one process: its chunk sizers and pools, and the budget that `probe` reads.

    `poll` is for loops, `relieve` for a known need, `climb` takes every step. `resident`, `collect`, `trim`
    and `clock` are for tests.
    """

    def __init__(
        self,
        *,
        sizers: Iterable[AdaptiveChunkSizer] = (),
        pools: Iterable[MemoryResourcePool] = (),
        probe: BudgetProbe | None = None,
        resident: Callable[[], int] = resident,
        collect: Callable[[], int] = gc.collect,
        trim: Callable[[], bool] = heap_trim,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._sizers = tuple(sizers)
        self._pools = tuple(pools)
        self._probe = probe or BudgetProbe()
        self._resident = resident
        self._clock = clock
        self._steps: tuple[tuple[str, Callable[[], object]], ...] = (
            ("drop-buffers", self._drop_buffers),
            ("collect", collect),
            ("heap-trim", trim),
        )
        self._level: MemoryLevel | None = None
        self._next_look = self._next_climb = 0.0
        self._rest = _LOOK_EVERY

    def poll(self) -> tuple[Step, ...]:
        """Looks at most four times a second, and climbs where memory is high; the steps taken.

        Climbs that give nothing back become rare: somebody else may hold the memory. Raises OverMemory
        where hardly anything is left at the top.
        """
        now = self._clock()
        if now < self._next_look:
            return ()
        self._next_look = now + _LOOK_EVERY
        budget = self._probe.read()
        self._level = level_for(budget.used_percent, before=self._level)
        if self._level.rank < MemoryLevel.HIGH.rank:
            for sizer in self._sizers:
                sizer.relax()
            return ()
        if now < self._next_climb and budget.available >= FLOOR:
            return ()
        steps = self.climb()
        self._rest = _LOOK_EVERY if sum(step.freed for step in steps) >= MIB else min(self._rest * 2, _REST_AT_MOST)
        self._next_climb = now + self._rest
        if min(limit.available + limit.reclaimable for limit in self._probe.read().limits) < FLOOR:
            raise self._over_memory()
        return steps

    def relieve(self, need: int) -> tuple[Step, ...]:
        """Climbs until `need` bytes are available; the steps taken, none where they are already.

        Raises OverMemory where they are not at the top either.
        """
        steps = self.climb(need)
        if self._probe.read().available < need:
            raise self._over_memory()
        return steps

    def retry(self, function: Callable[[], T]) -> T:
        """What `function()` returns; where it raises MemoryError, it is called once more after a climb.

        Raises OverMemory where that fails too.
        """
        try:
            return function()
        except MemoryError:
            pass  # leaving this block frees what the traceback holds
        self.climb()
        try:
            return function()
        except MemoryError as exc:
            raise self._over_memory() from exc

    def climb(self, need: int | None = None) -> tuple[Step, ...]:
        """Takes the steps in order, until `need` bytes are available; all of them for None."""
        available = self._probe.read().available
        if need is not None and available >= need:
            return ()
        taken = [self._note("shrink-chunks", sum(sizer.shrink() for sizer in self._sizers))]
        for name, act in self._steps:
            before = self._resident()
            act()
            step = self._note(name, max(0, before - self._resident()))
            taken.append(step)
            if need is not None and step.available >= need:
                break
        return tuple(taken)

    def _note(self, name: str, freed: int) -> Step:
        step = Step(name, freed, self._probe.read().available)
        import logging  # late: most runs never come here

        message = "memory is tight: %s gave back %s, %s available"
        logging.getLogger("memx.memory").info(message, name, format_size(freed), format_size(step.available))
        return step

    def _drop_buffers(self) -> None:
        for pool in self._pools:
            pool.drop()

    def _over_memory(self) -> OverMemory:
        binding = self._probe.read().binding
        return OverMemory(
            f"memory is used up: {format_size(binding.available)} left of {format_size(binding.limit)}, "
            f"which {describe(binding)} allows"
        )
