"""How much to read at once, by the memory that there is."""

import threading
from collections.abc import Callable

from memx.engine.memory.budget import available_memory
from memx.errors import UsageError

KIB = 1 << 10
MIB = 1 << 20
MIN_CHUNK = 256 * KIB
MAX_CHUNK = 10 * MIB
SHARE = 256
"""A chunk is at most this part of the memory available: what reads it holds a few, beside all else."""


def chunk_size_for(available: int, least: int = MIN_CHUNK, most: int = MAX_CHUNK) -> int:
    """The chunk size for `available` bytes of memory: a 256th, within `least` and `most`, in whole pages of 4 KiB."""
    return max(least, min(most, available // SHARE & ~(4 * KIB - 1)))


class AdaptiveChunkSizer:
    """The chunk size that fits the memory available now: ask again before each chunk.

    `min_chunk` and `max_chunk` are in bytes; `available` tells the bytes that may be taken. `shrink` halves
    the ceiling until `relax` is called. Safe under threads. Raises UsageError where the bounds contradict.
    """

    def __init__(
        self,
        min_chunk: int = MIN_CHUNK,
        max_chunk: int = MAX_CHUNK,
        *,
        available: Callable[[], int] = available_memory,
    ) -> None:
        if not 0 < min_chunk <= max_chunk:
            raise UsageError(
                f"chunks from {min_chunk} to {max_chunk} bytes: the first must be 1 or more, the last not less"
            )
        self.min_chunk = min_chunk
        self.max_chunk = max_chunk
        self._available = available
        self._ceiling = max_chunk
        self._lock = threading.Lock()

    def get_optimal_chunk_size(self) -> int:
        """The size for the next chunk, in bytes."""
        return chunk_size_for(self._available(), self.min_chunk, self._ceiling)

    def shrink(self) -> int:
        """Halves the largest size that is given; by how many bytes that fell, 0 at the least size."""
        with self._lock:
            before = self._ceiling
            self._ceiling = max(self.min_chunk, before // 2)
            return before - self._ceiling

    def relax(self) -> None:
        """Allows the largest size again."""
        with self._lock:
            self._ceiling = self.max_chunk
