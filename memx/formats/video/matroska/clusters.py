"""Clusters and their blocks: RFC 9559, 5.1.3 and 10. Only the headers are read, payload is stepped over."""

import re
import struct
from collections.abc import Generator, Iterator, Mapping
from typing import Any

from memx.errors import CorruptFile
from memx.formats.base import fault
from memx.formats.video.matroska import elements
from memx.formats.video.matroska.ebml import identifier, number
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
_UNKNOWN = frozenset((0x7F, 0x3FFF, 0x1FFFFF))
"""Sizes of which the bytes must be looked at twice: in so many bits they stand for an unknown size."""
_IN_ONE, _IN_TWO, _IN_THREE = (struct.Struct(f">{form}").unpack_from for form in ("BBBhB", "BHBhBx", "BBHBhB"))
"""How simple blocks begin whose sizes take so many bytes: identifier, size, number of the track, time, flags."""
_MARK = re.compile(b"|".join(re.escape(name.to_bytes(4, "big")) for name in elements.LEVEL_1))


Block = tuple[Any, int, bool, int, int | None, int, int, int, bytes, int]
"""A block: what its track number is in the mapping given; its time, relative to its cluster; whether it says that it
is a key frame; how it is laced; its duration, None where it is not said; the size of its payload; where its body
begins, and where its payload does; bytes that were read, and where in them the payload begins.

A plain tuple, since there may be hundreds of thousands.
"""


class Clusters:
    """The blocks of a segment whose first cluster is at `start`; `end` is where the segment ends, None is unknown.

    `time` is that of the cluster that holds the last block given. As FFmpeg does, damage is skipped up to the next
    element of the segment; it is noted in `faults`. A track number that is not in `tracks` is damage; one that
    stands for None is a track that is of no interest.
    """

    def __init__(self, source: Source, start: int, end: int | None, tracks: Mapping[int, Any]) -> None:
        self.time = 0
        self.faults: list[Record] = []
        self._source = source
        self._file_size = source.size or 0
        self._begin = start
        self._end = self._file_size if end is None else min(end, self._file_size)
        self._tracks = tracks
        self.cut = False
        """Whether the file ends inside an element."""
        self._data = b""
        self._start = 0
        self._step = _MOST_STEP
        self._tail = self._file_size - _MOST_STEP - 1
        self._read_before = source.bytes_read
        self._scan, self._scan_start = b"", 0

    def payload(self, block: Block, length: int) -> bytes:
        """The first `length` bytes of a block's payload, fewer where that is shorter, or the file ends."""
        _, _, _, _, _, size, _, begin, data, at = block
        length = min(length, size)
        if at + length <= len(data) and begin + length <= self._file_size:
            return data[at : at + length]
        return self._source.read_at(begin, length)

    def blocks(self) -> Iterator[Block]:
        """Every block, in the order of the file, up to the end or to where the file breaks off."""
        at: int | None = self._begin
        while at is not None and at < self._end:
            try:
                name, body, end = self._header(at)
                if name == elements.CLUSTER:
                    self._keep_pace(at)
                    at = yield from self._cluster(body, end)
                elif end is None:
                    raise CorruptFile(f"the element 0x{name:X} at {at} has no end", offset=at)
                else:
                    at = end
            except CorruptFile as exc:
                if len(self.faults) < MOST_FAULTS:
                    self.faults.append(fault(exc.code, exc.message, exc.offset))
                at = self._resume(1 + (exc.offset or self._begin))

    def _cluster(self, at: int, end: int | None) -> Generator[Block, None, int | None]:
        """The blocks of a cluster whose body is at `at`: the hot loop."""
        self.time = 0
        limit = self._end if end is None else min(end, self._file_size)
        find = {0x80 | number: track for number, track in self._tracks.items() if number < 0x80}.get
        read, no_track, tail = self._source.read_at, self, self._tail
        data, start, stop = self._data, self._start, self._start + len(self._data) - HEAD
        while at < limit:
            if not start <= at <= stop:
                data = read(at, HEAD) if self._step == HEAD and at <= tail else self._load(at)
                start, stop = at, at + len(data) - HEAD
            i = at - start
            try:
                name, length, of, time, flags = _IN_TWO(data, i)  # most sizes take two bytes
            except struct.error:  # the file has become shorter
                self._tail = tail = stop = -1
                continue
            if length >= 0x8000:
                width, (name, size, of, time, flags) = 2, _IN_ONE(data, i)
                size &= 0x7F
            elif length >= 0x4000:
                width, size = 3, length & 0x3FFF
            else:
                width, (name, high, size, of, time, flags) = 4, _IN_THREE(data, i)
                size |= (high & 0x1F) << 16
            pos = at + width
            fits = name == 0xA3 and length >= 0x2000 and size > 3 and size not in _UNKNOWN and pos + size <= limit
            if fits and (track := find(of, no_track)) is not no_track:
                at = pos + size
                if track is not None:
                    yield track, time, flags > 127, flags & 6, None, size - 4, pos, pos + 4, data, i + width + 4
                continue
            name, body, after_or_none = self._header(at)
            data, start, stop = self._data, self._start, self._start + len(self._data) - HEAD
            if name in _ENDS and end is None:
                return at
            if after_or_none is None or (end is not None and after_or_none > end):
                raise CorruptFile(f"the element 0x{name:X} at {at} reaches beyond its cluster", offset=at)
            if after_or_none > self._file_size:
                self.cut = True
                return None
            if name == elements.TIMESTAMP:
                self.time = int.from_bytes(self._bytes(body, min(8, after_or_none - body)), "big")
            elif name in (elements.SIMPLE_BLOCK, elements.BLOCK_GROUP):
                block = self._group(at, body, after_or_none, grouped=name == elements.BLOCK_GROUP)
                if block is not None:
                    yield block
            data, start, stop = self._data, self._start, self._start + len(self._data) - HEAD
            at = after_or_none
        return limit

    def _group(self, at: int, begin: int, end: int, *, grouped: bool) -> Block | None:
        """The block in a block group, or a simple block that the hot loop does not read; None if of no interest."""
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
        if not width or after - body < width + 3 or len(head) < width + 3:
            raise CorruptFile(f"the block at {at} ends early", offset=at)
        track = self._tracks.get(-1 if track_number is None else track_number, self)
        if track is self:
            raise CorruptFile(f"the block at {at} is of no track", offset=at)
        if track is None:
            return None
        time, flags = int.from_bytes(head[width : width + 2], "big", signed=True), head[width + 2]
        key, payload = references == 0 if grouped else flags > 127, body + width + 3
        return track, time, key, flags & 6, duration, after - payload, body, payload, head, width + 3

    def _header(self, at: int) -> tuple[int, int, int | None]:
        """Identifier, body and end of the element at `at`. CorruptFile where there is none."""
        head = self._bytes(at, 12)
        name, width = identifier(head)
        size, length = number(head, width)
        if not width or not length:
            raise CorruptFile(f"no element begins at {at}", offset=at)
        body = at + width + length
        return name, body, None if size is None else body + size

    def _bytes(self, at: int, length: int) -> bytes:
        """The `length` bytes at `at`, fewer where the file ends."""
        begin = at - self._start
        if begin < 0 or begin + length > len(self._data):
            self._load(at)
            begin = 0
        return self._data[begin : begin + min(length, self._file_size - at)]

    def _load(self, at: int) -> bytes:
        """Reads a step at `at`. Behind the end of the file there are noughts."""
        if self._step > HEAD:
            self._keep_pace(at)
        data = self._source.read_at(at, self._step)
        if (at > self._tail and at + len(data) >= self._file_size) or len(data) < HEAD:
            data += bytes(HEAD)
        self._data, self._start = data, at
        return data

    def _keep_pace(self, at: int) -> None:
        """Reads more at once where little of what was passed was read, and less where it was much."""
        passed, read = at - self._begin, self._source.bytes_read - self._read_before
        if read * _DENSE > passed:
            self._step = max(HEAD, self._step // 2)
        elif read * _SPARSE < passed:
            self._step = min(_MOST_STEP, self._step * 2)

    def _resume(self, at: int) -> int | None:
        """Where the next element of the segment begins, from `at` on; None if nowhere."""
        self._end = self._file_size
        while at < self._file_size:
            begin = at - self._scan_start
            if begin < 0 or begin + 4 > len(self._scan):
                self._scan, self._scan_start, begin = self._source.read_at(at, _SCAN), at, 0
            found = _MARK.search(self._scan, begin)
            if found is not None:
                return self._scan_start + found.start()
            if self._scan_start + len(self._scan) >= self._file_size or len(self._scan) < 4:
                return None
            at = self._scan_start + len(self._scan) - 3
        return None
