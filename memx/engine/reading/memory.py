"""The memory of one reading in this process: chunk sizes and buffers, which give way when memory gets tight."""

import contextlib
import time
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memx.engine.memory.buffers import MemoryResourcePool
    from memx.engine.memory.chunks import AdaptiveChunkSizer
    from memx.engine.memory.pressure import PressureLadder

POOLED = 1 << 20
"""Bytes of a pooled buffer: readers read no more at once."""
_LOOK_EVERY = 0.25


class ReadingMemory:
    """What a reader may read at once, from `most` bytes downwards.

    `poll` is for the loop over the records: it looks four times a second, makes chunks smaller, takes the
    steps of the pressure ladder, and raises OverMemory at its end. What it needs is imported at the first
    look: most files are read before that.
    """

    def __init__(self, most: int) -> None:
        self.chunk_size = most
        self._most = most
        self._next_look = time.monotonic() + _LOOK_EVERY
        self._sizer: AdaptiveChunkSizer | None = None
        self._ladder: PressureLadder | None = None

    def poll(self) -> None:
        """Looks how much memory there is, if it is time to. Raises OverMemory where hardly any is left."""
        now = time.monotonic()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY
        if self._ladder is None or self._sizer is None:
            from memx.engine.memory.chunks import MIN_CHUNK, AdaptiveChunkSizer
            from memx.engine.memory.pressure import PressureLadder

            self._sizer = AdaptiveChunkSizer(min(MIN_CHUNK, self._most), self._most)
            self._ladder = PressureLadder(sizers=[self._sizer], pools=[_pool()])
        self._ladder.poll()
        self.chunk_size = self._sizer.get_optimal_chunk_size()

    def current_chunk_size(self) -> int:
        """Bytes to read at once, now."""
        return self.chunk_size

    def polled_chunk_size(self) -> int:
        """That, after a `poll`: for a long reading that gives hardly any records."""
        self.poll()
        return self.chunk_size

    @contextlib.contextmanager
    def lend(self, size: int) -> Iterator[memoryview]:
        """A buffer of `size` bytes: a pooled one where they are as large. Raises OverMemory."""
        if size > POOLED:
            yield memoryview(bytearray(size))
            return
        with _pool().buffer() as buffer, memoryview(buffer) as view:
            yield view[:size]


@cache
def _pool() -> "MemoryResourcePool":
    """The buffers of this process's readings, one after the other mostly; kept for the next file."""
    from memx.engine.memory.buffers import MemoryResourcePool

    return MemoryResourcePool(POOLED, max_buffers=2)
