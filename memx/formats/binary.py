"""Bytes of no known format: entropy a chunk and one digest, in one pass through two buffers.

The digest must take the bytes in order, and counting them takes about as long. So a thread counts a block while
the digest runs over it, and goes on while the next is read; both leave the interpreter's lock alone meanwhile.
Blocks are large, for the lock goes from one to the other at the end of each, and the pieces that are counted at
once small: what becomes of them stays in the processor's cache.
"""

import math
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from operator import add
from typing import TYPE_CHECKING

from memx.formats.base import StreamReader
from memx.formats.lane import Lane
from memx.records import Record

if TYPE_CHECKING:
    import hashlib

BLOCK = 1 << 20
"""The most that is read at once."""
PIECE = 1 << 17
"""What is counted at once, in memory four times as large."""
SHORT = 1 << 16
"""Of fewer bytes each is counted by itself: a table of pairs costs more than it saves."""
SMALL = 1 << 19
"""A source up to this size is counted before NumPy would be imported."""

NUMPY_RESERVES = 40 << 20
"""Bytes that loading NumPy reserves for each thread of its OpenBLAS."""
COUNTING_RESERVES = 32 << 20
"""Bytes of the stack of a thread, of the blocks, and of the copies of the pieces that are counted."""

Counts = list[int]
"""How often each of the 256 bytes occurs."""


def entropy(counts: Iterable[int]) -> float:
    """Shannon's entropy in bits a byte, 0.0 to 8.0, of bytes that occur so often (Shannon 1948, section 6)."""
    counts = list(counts)
    return math.fsum(map(_Terms(sum(counts)).__getitem__, counts))


class _Terms(dict[int, float]):
    """What a byte adds to the entropy of `total` bytes, by how often it occurs: the same few numbers come again."""

    def __init__(self, total: int) -> None:
        super().__init__({0: 0.0})
        self.total = total

    def __missing__(self, count: int) -> float:
        term = count / self.total * math.log2(self.total / count)
        if len(self) < _MOST_TERMS:
            self[count] = term
        return term


_MOST_TERMS = 1 << 12


def count_simply(data: memoryview) -> Counts:
    """How often each byte occurs in `data`, without a library."""
    found = Counter(data)
    return [found[byte] for byte in range(256)]


class PairCounter:
    """Counts two bytes at a time, which takes half as long; called with data, less than 4 GiB.

    `np.add.at` wants indices of the machine's width; then it goes over them once, in a table that fits the
    processor's cache, while `np.bincount` looks for the largest first and makes a new table each time.
    """

    def __init__(self) -> None:
        import numpy as np

        self._indices = np.empty(PIECE // 2, np.intp)
        self._table = np.zeros(1 << 16, np.uint32)
        """How often each pair occurred so far, modulo 2^32: it is never cleared."""
        self._before = np.zeros(256, np.uint32)
        """How often each byte occurred in the pairs before these data, modulo 2^32."""

    def __call__(self, data: memoryview) -> Counts:
        """How often each byte occurs in `data`."""
        import numpy as np

        if len(data) < SHORT:
            each: Counts = np.bincount(np.frombuffer(data, np.uint8), minlength=256).tolist()
            return each
        pairs = np.frombuffer(data, np.uint16, len(data) // 2)
        for at in range(0, len(pairs), len(self._indices)):
            piece = pairs[at : at + len(self._indices)]
            indices = self._indices[: len(piece)]
            np.copyto(indices, piece)
            np.add.at(self._table, indices, np.uint32(1))
        table = self._table.reshape(256, 256)
        after = table.sum(0, table.dtype) + table.sum(1, table.dtype)
        counts: Counts = (after - self._before).tolist()
        self._before = after
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


class BinaryStreamReader(StreamReader):
    """A `chunk` for every `chunk_length` bytes, then a `digest` of all.

    Fields: `entropy` in bits a byte; `sha256` as FIPS 180-4 has it, in hex digits. In a summary there are no
    chunks, and the digest has the `entropy` of all bytes.
    """

    format = "binary"

    def records(self) -> Iterator[Record]:
        length, summary = self.options.chunk_length, self.options.summary
        digest, whole, terms = _sha256(), [0] * 256, _Terms(length)
        offset = 0
        for index, counts in enumerate(self._chunks(digest)):
            got = sum(counts)
            if summary:
                whole = list(map(add, whole, counts))
            else:
                bits = math.fsum(map(terms.__getitem__, counts)) if got == length else entropy(counts)
                yield {"type": "chunk", "index": index, "offset": offset, "length": got, "entropy": bits}
            offset += got
        told = {"entropy": entropy(whole)} if summary else {}
        yield {"type": "digest", "sha256": digest.hexdigest(), "size": offset, **told}

    def _chunks(self, digest: "hashlib._Hash") -> Iterator[Counts]:
        """The counts of each chunk; all goes through `digest` as well."""
        length = self.options.chunk_length
        have, filled = [0] * 256, 0
        for counts in self._counted(digest):
            have = list(map(add, have, counts)) if filled else counts
            filled = sum(have)
            if filled == length:
                yield have
                filled = 0
        if filled:
            yield have

    def _counted(self, digest: "hashlib._Hash") -> Iterator[Counts]:
        """The counts of chunks, or of parts of one."""
        source, length = self.source, self.options.chunk_length
        small = (source.size is not None and source.size <= SMALL) or not numpy_fits()
        count: Callable[[memoryview], Counts] = count_simply if small else PairCounter()

        def counted(block: memoryview) -> list[Counts]:
            return [count(block[at : at + length]) for at in range(0, len(block), length)]

        if small:  # Python's own counting keeps the interpreter's lock: a thread would not help
            for block in self._blocks():
                digest.update(block)
                yield from counted(block)
            return
        ahead = 2 if source.seekable else 1  # whoever fills a pipe may take long to the next block
        with Lane(counted) as lane:
            for block in self._blocks():
                lane.put(block)
                digest.update(block)
                if lane.waiting == ahead:
                    yield from lane.take()
            while lane.waiting:
                yield from lane.take()

    def _blocks(self) -> Iterator[memoryview]:
        """The bytes, in blocks of whole chunks or of a part of one; each stands until the next but one is read."""
        source, options, length = self.source, self.options, self.options.chunk_length
        size = min(options.chunk_size, BLOCK if source.seekable else min(length, BLOCK))
        left = length  # bytes to come of the chunk that is read
        with options.lend(size) as one, options.lend(size) as other:
            buffers = [one, other]
            while True:
                most = min(size, options.current_chunk_size()) if options.current_chunk_size else size
                want = min(left, most) if left < length or most < length else most // length * length
                got = source.readinto(buffers[0][:want])
                if got:
                    yield buffers[0][:got]
                if got < want:
                    return
                left = (left - got) % length or length
                buffers.reverse()


def _sha256() -> "hashlib._Hash":
    """A new digest. Raises MemoryError where its library found no memory to be loaded in, which hashlib hides."""
    import hashlib

    try:
        return hashlib.sha256()
    except AttributeError:
        for name in ("hashlib", "_hashlib"):
            sys.modules.pop(name, None)  # the next import tries again
        raise MemoryError from None
