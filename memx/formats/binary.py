"""Bytes of no known format: entropy a chunk and one digest, in one pass through one buffer.

The digest must take the bytes in order, one after the other; counting them need not. So threads count the
pieces of a block while the digest runs over it, and both leave the interpreter's lock alone meanwhile.
"""

import math
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from typing import TYPE_CHECKING, Any, Protocol, Self

from memx.formats.base import StreamReader
from memx.records import Record

if TYPE_CHECKING:
    import hashlib

BLOCK = 1 << 18
"""The most that is read at once: what is hashed and counted then comes from the processor's cache."""
PIECE = 1 << 16
"""What is counted at once, by a thread, in memory four times as large: it stays in the processor's cache."""
SMALL = 1 << 19
"""A source up to this size is counted before NumPy would be imported."""

NUMPY_RESERVES = 40 << 20
"""Bytes that loading NumPy reserves for each thread of its OpenBLAS."""
COUNTING_RESERVES = 32 << 20
"""Bytes of the stacks of two threads, and of the copies of the pieces that they count."""

Counts = list[int]
"""How often each of the 256 bytes occurs."""


def entropy(counts: Iterable[int]) -> float:
    """Shannon's entropy in bits a byte, 0.0 to 8.0, of bytes that occur so often (Shannon 1948, section 6)."""
    present = [count for count in counts if count]
    total = sum(present)
    return math.fsum(count / total * math.log2(total / count) for count in present)


class ByteCounter(Protocol):
    """Counts bytes until they are asked for."""

    def add(self, data: memoryview) -> None:
        """Counts the bytes of `data`, at most `PIECE` of them."""

    def take(self) -> Counts:
        """The counts since they were taken last."""


class SimpleCounter:
    """Counts without a library."""

    def __init__(self) -> None:
        self._found: Counter[int] = Counter()

    def add(self, data: memoryview) -> None:
        self._found.update(data)

    def take(self) -> Counts:
        found, self._found = self._found, Counter()
        return [found[byte] for byte in range(256)]


class PairCounter:
    """Counts two bytes at a time, which takes half as long.

    `np.add.at` wants indices of the machine's width; then it goes over them once, in a table that fits the
    processor's cache, while `np.bincount` looks for the largest first and makes a new table each time.
    """

    def __init__(self) -> None:
        import numpy as np

        self._indices = np.empty(PIECE // 2, np.intp)
        self._table = np.zeros(1 << 16, np.uint32)
        self._held = 0
        """Pairs in the table."""
        self._counts = [0] * 256

    def add(self, data: memoryview) -> None:
        import numpy as np

        pairs = len(data) // 2
        if self._held + pairs >= 1 << 32:
            self._fold()
        self._held += pairs
        np.copyto(self._indices[:pairs], np.frombuffer(data, np.uint16, pairs))
        np.add.at(self._table, self._indices[:pairs], np.uint32(1))
        if len(data) % 2:
            self._counts[data[-1]] += 1

    def take(self) -> Counts:
        self._fold()
        counts, self._counts = self._counts, [0] * 256
        return counts

    def _fold(self) -> None:
        """Counts bytes where pairs were counted."""
        import numpy as np

        if self._held:
            table = self._table.reshape(256, 256)
            found = table.sum(0, table.dtype).astype(np.uint64) + table.sum(1, table.dtype)  # each sum fits 32 bits
            self._counts = list(map(int.__add__, self._counts, found.tolist()))
            self._table.fill(0)
            self._held = 0


def numpy_fits() -> bool:
    """Whether the limits of this process hold NumPy: where they do not, OpenBLAS ends the whole process."""
    if "numpy" in sys.modules:
        return True
    try:
        import resource

        with open("/proc/self/statm", "rb") as file:  # proc(5): in pages, the first is all, the sixth is data
            pages = file.read().split()
        page = os.sysconf("SC_PAGE_SIZE")
    except (ImportError, OSError):
        return True
    threads = os.environ.get("OPENBLAS_NUM_THREADS", "")
    need = NUMPY_RESERVES * (int(threads) if threads.isdigit() else os.cpu_count() or 1) + COUNTING_RESERVES
    limits = ((resource.RLIMIT_DATA, int(pages[5])), (resource.RLIMIT_AS, int(pages[0])))
    soft = ((resource.getrlimit(kind)[0], used * page) for kind, used in limits)
    return all(limit == resource.RLIM_INFINITY or limit - used >= need for limit, used in soft)


class _Counting:
    """Counts the bytes of a block, in threads of its own while its caller is busy with the same block."""

    def __init__(self, small: bool) -> None:
        kind = SimpleCounter if small else PairCounter
        self._mine: ByteCounter = kind()
        self._counters: list[ByteCounter] = [self._mine]
        self._tasks: SimpleQueue[memoryview | None] = SimpleQueue()
        self._done: SimpleQueue[BaseException | None] = SimpleQueue()
        self._threads = []
        for _ in range(_helpers(small)):
            self._counters.append(kind())
            self._threads.append(Thread(target=self._work, args=(self._counters[-1],), name="memx-count", daemon=True))

    def begin(self, block: memoryview) -> int:
        """Hands the pieces of `block` to the threads; how many there are. `finish` must follow."""
        starts = range(0, len(block), PIECE)
        for at in starts:
            self._tasks.put(block[at : at + PIECE])
        return len(starts)

    def finish(self, pieces: int) -> None:
        """Waits until all is counted; its caller's thread takes what the others left."""
        try:
            while (piece := self._tasks.get_nowait()) is not None:
                self._count(piece, self._mine)
        except Empty:
            pass
        for _ in range(pieces):
            if (problem := self._done.get()) is not None:
                raise problem

    def take(self) -> Counts:
        """The counts of all blocks since they were taken last."""
        return list(map(sum, zip(*(counter.take() for counter in self._counters), strict=True)))

    def _work(self, counter: ByteCounter) -> None:
        while (piece := self._tasks.get()) is not None:
            self._count(piece, counter)

    def _count(self, piece: memoryview, counter: ByteCounter) -> None:
        try:
            counter.add(piece)
        except BaseException as exc:  # memory, for one: the reading thread is told
            self._done.put(exc)
        else:
            self._done.put(None)

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        for _thread in self._threads:
            self._tasks.put(None)
        for thread in self._threads:
            thread.join()


def _helpers(small: bool) -> int:
    """How many threads count: one counts half as fast as a digest in hardware runs, so more than two would idle."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return 0 if small else max(1, min(2, cores - 1))


class BinaryStreamReader(StreamReader):
    """A `chunk` for every `chunk_length` bytes, then a `digest` of all.

    Fields: `entropy` in bits a byte; `sha256` as FIPS 180-4 has it, in hex digits. In a summary there are no
    chunks, and the digest has the `entropy` of all bytes.
    """

    format = "binary"

    def records(self) -> Iterator[Record]:
        source, length = self.source, self.options.chunk_length
        small = (source.size is not None and source.size <= SMALL) or not numpy_fits()
        digest = _sha256()
        summary, whole = self.options.summary, [0] * 256
        index = offset = 0
        size = min(length, self.options.chunk_size, BLOCK)
        with self.options.lend(size) as buffer, _Counting(small) as counting:
            while counts := self._chunk(buffer, digest, counting):
                got = sum(counts)
                if summary:
                    whole = list(map(int.__add__, whole, counts))
                else:
                    yield {"type": "chunk", "index": index, "offset": offset, "length": got, "entropy": entropy(counts)}
                index += 1
                offset += got
                if got < length:
                    break
        told = {"entropy": entropy(whole)} if summary else {}
        yield {"type": "digest", "sha256": digest.hexdigest(), "size": offset, **told}

    def _chunk(self, buffer: memoryview, digest: "hashlib._Hash", counting: _Counting) -> Counts | None:
        """The counts of the next chunk, which goes through `digest` as well; None at the end."""
        left = self.options.chunk_length
        now = self.options.current_chunk_size
        while left > 0 and (got := self.source.readinto(buffer[: min(left, now() if now else len(buffer))])):
            block = buffer[:got]
            pieces = counting.begin(block)
            digest.update(block)
            counting.finish(pieces)
            left -= got
        return counting.take() if left < self.options.chunk_length else None


def _sha256() -> "hashlib._Hash":
    """A new digest. Raises MemoryError where its library found no memory to be loaded in, which hashlib hides."""
    import hashlib

    try:
        return hashlib.sha256()
    except AttributeError:
        for name in ("hashlib", "_hashlib"):
            sys.modules.pop(name, None)  # the next import tries again
        raise MemoryError from None
