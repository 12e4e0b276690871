"""Bytes of no known format: entropy a chunk and one digest, in one pass through one buffer.

The digest must take the bytes in order, one after the other; counting them need not. So threads count the
pieces of a block while the digest runs over it, and both leave the interpreter's lock alone meanwhile.
"""

import hashlib
import math
import os
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from queue import Empty, SimpleQueue
from threading import Thread
from typing import Any, Self

from memx.formats.base import StreamReader
from memx.records import Record

BLOCK = 1 << 20
"""The most that is read at once."""
PIECE = 1 << 18
"""What is counted at once: the counting makes a copy four times as large."""
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


def count_simply(data: memoryview) -> Counts:
    """How often each byte occurs in `data`, without a library."""
    found = Counter(data)
    return [found[byte] for byte in range(256)]


def count_pairs(data: memoryview) -> Counts:
    """How often each byte occurs in `data`: counted two at a time, which takes half as long."""
    import numpy as np

    pairs = np.frombuffer(data, np.uint16, len(data) // 2)
    table = np.bincount(pairs, minlength=1 << 16).reshape(256, 256)
    counts: Counts = (table.sum(0) + table.sum(1)).tolist()
    if len(data) % 2:
        counts[data[-1]] += 1
    return counts


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


class _ByteCounter:
    """Counts the bytes of a block, in threads of its own while its caller is busy with the same block."""

    def __init__(self, small: bool) -> None:
        self._count = count_simply if small else count_pairs
        self._tasks: SimpleQueue[memoryview | None] = SimpleQueue()
        self._results: SimpleQueue[Counts | BaseException] = SimpleQueue()
        self._threads = [Thread(target=self._work, name="memx-count", daemon=True) for _ in range(_helpers(small))]

    def begin(self, block: memoryview) -> int:
        """Hands the pieces of `block` to the threads; how many there are. `finish` must follow."""
        starts = range(0, len(block), PIECE)
        for at in starts:
            self._tasks.put(block[at : at + PIECE])
        return len(starts)

    def finish(self, pieces: int, totals: Counts) -> Counts:
        """`totals` with the counts of the block added; its caller's thread takes what the others left."""
        try:
            while (piece := self._tasks.get_nowait()) is not None:
                self._results.put(self._count(piece))
        except Empty:
            pass
        for _ in range(pieces):
            counts = self._results.get()
            if isinstance(counts, BaseException):
                raise counts
            totals = list(map(int.__add__, totals, counts))
        return totals

    def _work(self) -> None:
        while (piece := self._tasks.get()) is not None:
            try:
                self._results.put(self._count(piece))
            except BaseException as exc:  # memory, for one: the reading thread is told
                self._results.put(exc)

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
        digest = hashlib.sha256()
        summary, whole = self.options.summary, [0] * 256
        index = offset = 0
        size = min(length, self.options.chunk_size, BLOCK)
        with self.options.lend(size) as buffer, _ByteCounter(small) as counter:
            while counts := self._chunk(buffer, digest, counter):
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

    def _chunk(self, buffer: memoryview, digest: "hashlib._Hash", counter: _ByteCounter) -> Counts | None:
        """The counts of the next chunk, which goes through `digest` as well; None at the end."""
        left, totals = self.options.chunk_length, [0] * 256
        now = self.options.current_chunk_size
        while left > 0 and (got := self.source.readinto(buffer[: min(left, now() if now else len(buffer))])):
            block = buffer[:got]
            pieces = counter.begin(block)
            digest.update(block)
            totals = counter.finish(pieces, totals)
            left -= got
        return totals if left < self.options.chunk_length else None
