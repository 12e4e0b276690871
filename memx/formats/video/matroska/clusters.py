"""Clusters and their blocks: RFC 9559, 5.1.3 and 10. Only the headers are read, payload is stepped over."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from memx.errors import CorruptFile
from memx.formats.base import fault
from memx.formats.video.matroska import elements
from memx.formats.video.matroska.ebml import HEADER, header, number
from memx.records import Record
from memx.sources import Source

HEAD = 16
"""Bytes that hold the header of a simple block, and the first of what is in it."""
_MOST_STEP = 1 << 12
_DENSE, _SPARSE = 16, 32
"""Of so many bytes one is read, at most and at least, where blocks are far enough apart."""
_SCAN = 1 << 16
MOST_FAULTS = 64
"""More damage than this is skipped without a word."""
_MOST_CHILDREN = 1 << 10
"""Elements of a block group that are looked at."""
_ENDS = frozenset((*elements.LEVEL_1, elements.SEGMENT, elements.HEADER))
_MARK = re.compile(b"|".join(re.escape(name.to_bytes(4, "big")) for name in elements.LEVEL_1))


Block = tuple[Any, int, bool, int, int | None, int, int, int]
"""A block: what its track number is in the mapping given; its time, relative to its cluster; whether it says that it
is a key frame; how it is laced; its duration, None where it is not said; the size of its payload; where its body
begins, and where its payload does.

A plain tuple, since there may be hundreds of thousands.
"""


class Stretch(NamedTuple):
    """Whole clusters, and what stands between them; offsets in bytes. `last` is where the last cluster begins."""

    begin: int
    end: int
    last: int


class Clusters:
    """The blocks of a segment whose first cluster is at `start`; `end` is where the segment ends, None is unknown.

    As FFmpeg does, damage is skipped up to the next element of the segment; it is noted in `faults`. A track number
    that is not in `tracks` is damage; one that stands for None is a track that is of no interest.

    A faster walk of what is simple may take over at `at` and up to `limit`, and hand back what it does not know: it
    sets `at` then, and `data` and `start` to what it read.
    """

    def __init__(self, source: Source, start: int, end: int | None, tracks: Mapping[int, Any]) -> None:
        self.source = source
        self.faults: list[Record] = []
        self.cut = False
        """Whether the file ends inside an element."""
        self.at = start
        """Where the next element begins."""
        self.limit = 0
        """Where the cluster that `at` is in ends, or the file; not behind `at` where that is in no cluster."""
        self.time = 0
        """That of the cluster of the last block."""
        self.step = _MOST_STEP
        """Bytes that are read at once: HEAD where blocks lie close together."""
        self.data = b""
        """What was read last, at `start`."""
        self.start = 0
        self._begin = start
        """What was passed counts from here."""
        self._file_size = source.size or 0
        self._last = self._end = self._file_size if end is None else min(end, self._file_size)
        """Where the blocks end, and up to where they are given now."""
        self._cluster_end: int | None = None
        self._tracks = tracks
        self._read_before = source.bytes_read
        self._scan, self._scan_start = b"", 0

    def payload(self, block: Block, length: int) -> bytes:
        """The first `length` bytes of a block's payload, fewer where that is shorter, or the file ends."""
        return self.read(block[7], min(length, block[5]))

    def read(self, begin: int, length: int) -> bytes:
        """`length` bytes at `begin`, fewer where the file ends."""
        at = begin - self.start
        if at >= 0 and at + length <= len(self.data):
            return self.data[at : at + length]
        return self.source.read_at(begin, length)

    def blocks(self) -> Iterator[Block]:
        """Every block, in the order of the file, up to the end or to where the file breaks off."""
        return iter(self.next_block, None)

    def next_block(self) -> Block | None:
        """The block that follows; None at the end, or where the file breaks off."""
        while self.at < self.limit or self.at < self._end:
            try:
                if self.at >= self.limit:
                    self._level_1(self.at)
                elif (block := self._child(self.at)) is not None:
                    return block
            except CorruptFile as exc:
                if len(self.faults) < MOST_FAULTS:
                    self.faults.append(fault(exc.code, exc.message, exc.offset))
                self.resume(1 + (exc.offset or self.at))
        return None

    @property
    def left(self) -> int:
        """Bytes up to where the blocks end."""
        return self._last - self.at

    @property
    def boundary(self) -> int | None:
        """Where an element of the segment begins next; None where only reading on can tell."""
        if self.at >= self.limit:
            return self.at
        return None if self._cluster_end is None else self.limit

    def ahead(self, begin: int | None, length: int) -> Stretch | None:
        """The clusters from `begin` on that are `length` bytes together, or more.

        None at the end, and where it cannot be told without reading the blocks: there `begin` is None, too.
        """
        if begin is None:
            return None
        at, last = begin, None
        while at < self._last and at - begin < length:
            found = header(self.source.read_at(at, HEADER))
            if found is None or found[2] is None or at + found[2] > self._last:
                return None
            if found[0] == elements.CLUSTER:
                last = at
            at += found[2]
        return None if last is None else Stretch(begin, at, last)

    def begin_at(self, at: int) -> None:
        """Goes on at the element of the segment that is at `at`."""
        self._begin += at - self.at
        self.at, self.limit = at, 0

    def end_at(self, end: int | None) -> None:
        """Gives the blocks up to `end`, where an element of the segment begins; None: up to the last one."""
        self._end = self._last if end is None else end

    def load(self, at: int) -> bytes:
        """Reads a step at `at`."""
        if self.step > HEAD:
            self._keep_pace(at)
        self.data, self.start = self.source.read_at(at, self.step), at
        return self.data

    def _level_1(self, at: int) -> None:
        """Steps into a cluster, or over another element of the segment."""
        name, body, end = self._header(at)
        if name == elements.CLUSTER:
            self._keep_pace(at)
            self.time, self.at, self._cluster_end = 0, body, end
            self.limit = self._end if end is None else min(end, self._file_size)
        elif end is None:
            raise CorruptFile(f"the element 0x{name:X} at {at} has no end", offset=at)
        else:
            self.at = end

    def _child(self, at: int) -> Block | None:
        """The block in an element of a cluster, if there is one; a cluster of unknown size may end there."""
        name, body, end = self._header(at)
        if name in _ENDS and self._cluster_end is None:
            self.limit = at
            return None
        if end is None or (self._cluster_end is not None and end > self._cluster_end):
            raise CorruptFile(f"the element 0x{name:X} at {at} reaches beyond its cluster", offset=at)
        if end > self._file_size:
            self.cut = True
            self._last = self._end = self.limit = 0
            return None
        self.at = end
        if name == elements.TIMESTAMP:
            self.time = int.from_bytes(self._bytes(body, min(8, end - body)), "big")
        elif name in (elements.SIMPLE_BLOCK, elements.BLOCK_GROUP):
            return self._block(at, body, end, grouped=name == elements.BLOCK_GROUP)
        return None

    def _block(self, at: int, begin: int, end: int, *, grouped: bool) -> Block | None:
        """A simple block, or the block in a block group; None if it is of no interest."""
        body, after, duration, references = begin, end, None, 0
        if grouped:
            found = None
            child = begin
            for _ in range(_MOST_CHILDREN):
                if child >= end:
                    break
                name, child_body, child_end = self._header(child)
                if child_end is None or child_end > end:
                    raise CorruptFile(f"the element 0x{name:X} at {child} reaches beyond its group", offset=at)
                if name == elements.BLOCK:
                    found = child_body, child_end
                elif name == elements.BLOCK_DURATION:
                    duration = int.from_bytes(self._bytes(child_body, min(8, child_end - child_body)), "big")
                elif name == elements.REFERENCE_BLOCK:
                    references += 1
                child = child_end
            if found is None:
                return None
            body, after = found
        head = self._bytes(body, min(HEAD, after - body))
        track_number, width = number(head)
        if track_number is None:  # all bits are set, which is unknown in a size alone
            track_number = (1 << 7 * width) - 1
        if not width or after - body < width + 3 or len(head) < width + 3:
            raise CorruptFile(f"the block at {at} ends early", offset=at)
        track = self._tracks.get(track_number, self)
        if track is self:
            raise CorruptFile(f"the block at {at} is of no track", offset=at)
        if track is None:
            return None
        time, flags = int.from_bytes(head[width : width + 2], "big", signed=True), head[width + 2]
        key, payload = references == 0 if grouped else flags > 127, body + width + 3
        return track, time, key, flags & 6, duration, after - payload, body, payload

    def _header(self, at: int) -> tuple[int, int, int | None]:
        """Identifier, body and end of the element at `at`. CorruptFile where there is none."""
        found = header(self._bytes(at, HEADER))
        if found is None:
            raise CorruptFile(f"no element begins at {at}", offset=at)
        name, body, end = found
        return name, at + body, None if end is None else at + end

    def _bytes(self, at: int, length: int) -> bytes:
        """The `length` bytes at `at`, fewer where the file ends."""
        begin = at - self.start
        if begin < 0 or begin + length > len(self.data):
            self.load(at)
            begin = 0
        return self.data[begin : begin + min(length, self._file_size - at)]

    def _keep_pace(self, at: int) -> None:
        """Reads more at once where little of what was passed was read, and less where it was much."""
        passed, read = at - self._begin, self.source.bytes_read - self._read_before
        if read * _DENSE > passed:
            self.step = max(HEAD, self.step // 2)
        elif read * _SPARSE < passed:
            self.step = min(_MOST_STEP, self.step * 2)

    def resume(self, at: int) -> None:
        """Goes to where the next element of the segment begins, from `at` on; to the end if there is none."""
        self._last = self._end = self.at = self._file_size
        self.limit = 0
        while at < self._file_size:
            begin = at - self._scan_start
            if begin < 0 or begin + 4 > len(self._scan):
                self._scan, self._scan_start, begin = self.source.read_at(at, _SCAN), at, 0
            found = _MARK.search(self._scan, begin)
            if found is not None:
                self.at = self._scan_start + found.start()
                return
            if self._scan_start + len(self._scan) >= self._file_size or len(self._scan) < 4:
                return
            at = self._scan_start + len(self._scan) - 3
