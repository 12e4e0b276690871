"""Buffers that are used again: a fresh one costs the kernel a zeroed page for every 4 KiB of it."""

import contextlib
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import NamedTuple, Self

from memx.engine.memory.budget import available_memory
from memx.errors import OverMemory, UsageError
from memx.units import format_size

MIB = 1 << 20


class _Ledger:
    """The counts of one pool, which its buffers know: a pool that they knew would be kept by a cycle."""

    __slots__ = ("allocations", "deallocations", "in_use", "lock", "reuses")

    def __init__(self) -> None:
        self.lock = threading.RLock()  # a finalizer that runs inside may come here again
        self.allocations = self.deallocations = self.reuses = self.in_use = 0


class Buffer(bytearray):
    """A buffer of a pool. What it holds when it is taken is not defined."""

    __slots__ = ("_ledger", "_lent")
    _ledger: _Ledger
    _lent: bool

    def __del__(self) -> None:
        # one that its taker forgot is in use no more
        if getattr(self, "_lent", False):
            with self._ledger.lock:
                self._ledger.in_use -= 1


class PoolStats(NamedTuple):
    """What a pool did so far, and what it holds now."""

    allocations: int
    """Buffers made anew."""
    deallocations: int
    """Buffers given back to the pool."""
    reuses: int
    """Buffers taken from those that were given back."""
    in_use: int
    idle: int
    buffer_size: int

    @property
    def idle_bytes(self) -> int:
        """What `drop` would give back."""
        return self.idle * self.buffer_size


class MemoryResourcePool:
    """Buffers of one size, lent and taken back.

    ::

        with MemoryResourcePool(buffer_size=1 << 20) as pool, pool.buffer() as buffer:
            file.readinto(buffer)

    Safe under threads. At most `max_buffers` are kept idle, the rest go back to the system; a fresh buffer
    is refused with OverMemory where the budget (`available`) does not hold it. What is taken and forgotten
    is freed, not kept alive by the pool. As a context manager it is closed at the end.
    """

    def __init__(
        self,
        buffer_size: int = 10 * MIB,
        max_buffers: int = 8,
        *,
        available: Callable[[], int] = available_memory,
    ) -> None:
        if buffer_size <= 0 or max_buffers < 0:
            raise UsageError(f"a pool of {max_buffers} buffers of {buffer_size} bytes cannot be")
        self.buffer_size = buffer_size
        self.max_buffers = max_buffers
        self._available = available
        self._ledger = _Ledger()
        self._lock = self._ledger.lock
        self._idle: list[Buffer] = []
        self._closed = False

    @property
    def stats(self) -> PoolStats:
        """The statistics now."""
        with self._lock:
            ledger = self._ledger
            return PoolStats(
                ledger.allocations,
                ledger.deallocations,
                ledger.reuses,
                ledger.in_use,
                idle=len(self._idle),
                buffer_size=self.buffer_size,
            )

    def get_stats(self) -> dict[str, int]:
        """The statistics as JSON has them."""
        return self.stats._asdict()

    def allocate_buffer(self) -> Buffer:
        """A buffer of `buffer_size` bytes: one that was given back, else a new one.

        Raises OverMemory where there is no room for a new one, UsageError after `close`.
        """
        with self._lock:
            if self._closed:
                raise UsageError("this pool is closed: it lends no buffers")
            if self._idle:
                self._ledger.reuses += 1
                return self._lend(self._idle.pop())
        buffer = self._fresh()
        with self._lock:
            self._ledger.allocations += 1
            return self._lend(buffer)

    def release_buffer(self, buffer: bytearray) -> None:
        """Takes `buffer` back. Raises UsageError where it is not lent: of elsewhere, or given back before."""
        with self._lock:
            if not isinstance(buffer, Buffer) or buffer._ledger is not self._ledger:
                raise UsageError("this buffer is not of this pool: give back what its allocate_buffer returned")
            if not buffer._lent:
                raise UsageError("this buffer was given back already")
            buffer._lent = False
            self._ledger.in_use -= 1
            self._ledger.deallocations += 1
            # one that was resized is of no use to the next
            if not self._closed and len(self._idle) < self.max_buffers and len(buffer) == self.buffer_size:
                self._idle.append(buffer)

    @contextlib.contextmanager
    def buffer(self) -> Iterator[Buffer]:
        """A buffer for the length of a `with` block."""
        buffer = self.allocate_buffer()
        try:
            yield buffer
        finally:
            self.release_buffer(buffer)

    def drop(self) -> int:
        """Gives the idle buffers back to the system; how many bytes that were."""
        with self._lock:
            dropped, self._idle = self._idle, []
        return len(dropped) * self.buffer_size

    def close(self) -> None:
        """Lends no more, and drops the idle buffers; what is lent may still be given back. Twice is no error."""
        self._closed = True
        self.drop()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _lend(self, buffer: Buffer) -> Buffer:
        buffer._ledger, buffer._lent = self._ledger, True
        self._ledger.in_use += 1
        return buffer

    def _fresh(self) -> Buffer:
        size = format_size(self.buffer_size)
        if self._available() < self.buffer_size:
            raise OverMemory(f"the memory that may be used does not hold a buffer of {size} more")
        try:
            return Buffer(self.buffer_size)
        except MemoryError as exc:
            raise OverMemory(f"the system refuses the memory for a buffer of {size}") from exc
