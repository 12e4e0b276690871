"""The chunks of the media data: AVI RIFF File Reference, "The AVI 'movi' List"; headers are read, payload is not."""

import re
import struct
from collections.abc import Iterator

from memx.sources import Source

HEAD = 8
"""Bytes of the header of a chunk."""
_PADDED = HEAD + 1
"""The same, with what makes the length of the chunk before even."""
_SCAN = 1 << 16
_HEADER = struct.Struct("<4sI")
_SKIPPED = (b"JUNK", b"idx1", b"indx")
_HEADERS = re.compile(rb"(?=[0-9][0-9][\0-\x7f]{2}|LIST|JUNK|idx1|indx|ix[0-9][0-9])")
_SURE = 5
"""After so many chunks of one kind in a row, others behind damage are not believed."""


Chunk = tuple[int, int, int, bytes, int]
"""A chunk: its stream, the size of its payload, where that begins; bytes that were read, and where in them it begins.

A plain tuple, since there may be hundreds of thousands.
"""


class Chunks:
    """The chunks of `count` streams, from `start` on, in lists or not, up to the end of the file.

    With `begin` so many bytes of each are read with its header.
    """

    def __init__(self, source: Source, start: int, limit: int, count: int, begin: int = 0) -> None:
        self._source = source
        self._size = source.size or 0
        self._limit = limit
        self._count = count
        self._least = _PADDED + begin
        self.end = start
        """Where the latest chunk ends, without what makes its length even."""
        self.odd = 0
        """Whether that has to be made even."""
        self.usual: dict[bytes, int] = {}
        """Names that chunks have had for long, and the streams that they are of."""
        self.last = min(limit + 1, self._size)
        """Where chunks with such names have to end, to be believed."""
        self._scan, self._scan_start = b"", 0
        self._kinds: dict[int, bytes] = {}
        self._in_a_row: dict[int, int] = {}

    def payload(self, chunk: Chunk, length: int) -> bytes:
        """The first `length` bytes of a chunk's payload, fewer where that is shorter, or the file ends."""
        return self.read(chunk, 0, min(length, chunk[1]))

    def read(self, chunk: Chunk, at: int, length: int) -> bytes:
        """`length` bytes of a chunk's payload from `at` on, fewer where the file ends."""
        _, _, payload, data, begin = chunk
        begin += at
        if begin + length <= len(data) and payload + at + length <= self._size:
            return data[begin : begin + length]
        return self._source.read_at(payload + at, length)

    def __iter__(self) -> Iterator[Chunk]:
        """Every chunk from `end` on, which another may have moved in between."""
        sure, count, kinds, usual, header = True, self._count, self._kinds, self.usual, _HEADER.unpack_from
        at, data, start, limit = self.end, b"", 0, self._limit
        while at + 8 <= self._size:
            i = at - start
            if i < 0 or i + _PADDED > len(data):
                data, start, i = self._load(at), at, 0
            pad = 0 if data[i] else 1  # the byte that makes an odd length even
            kind, size = header(data, i + pad)
            begin = at + pad + 8
            if kind in usual and begin + size <= limit + 1:
                sure = True
                self.end, self.odd = begin + size, size & 1
                yield usual[kind], size, begin, data, i + pad + 8
                at = self.end
                continue
            kind, size = header(data, i)
            number = (kind[0] - 48) * 10 + kind[1] - 48 if 48 <= kind[0] < 58 and 48 <= kind[1] < 58 else -1
            if 0 <= number < count and kind[2] < 128 and kind[3] < 128 and at + 7 + size <= limit:
                suffix = kind[2:]
                if suffix in (b"ix", b"pc") and (suffix == b"ix" or size <= 4 * 256 + 4):
                    at += 8 + size
                elif suffix == b"wc":
                    at += 8 + 56
                elif sure or suffix == kinds.get(number) or self._in_a_row.get(number, 0) < _SURE:
                    self._note(number, suffix)
                    self.end, self.odd = at + 8 + size, size & 1
                    yield number, size, at + 8, data, i + 8
                    at = self.end
                else:
                    at, sure = self._resume(at + 1), False
                    continue
            elif kind == b"LIST" or (kind == b"RIFF" and self._source.read_at(at + 8, 4) == b"AVIX"):
                at += 12
            elif (kind in _SKIPPED or self._is_index(kind)) and at + 7 + size <= limit:
                at += 8 + size
            elif _HEADERS.match(data, i + 1) is not None:
                at += 1  # the byte that makes an odd length even
            else:
                at, sure = self._resume(at + 1), False
                continue
            sure = True

    def _is_index(self, kind: bytes) -> bool:
        return kind[:2] == b"ix" and kind[2:].isdigit() and int(kind[2:]) < self._count

    def _note(self, number: int, suffix: bytes) -> None:
        if self._kinds.get(number) == suffix:
            self._in_a_row[number] = self._in_a_row.get(number, 0) + 1
            if self._in_a_row[number] >= _SURE:
                self.usual[b"%02d" % number + suffix] = number
        else:
            self.usual.pop(b"%02d" % number + self._kinds.get(number, b""), None)
            self._kinds[number], self._in_a_row[number] = suffix, 0

    def _load(self, at: int) -> bytes:
        """The header of a chunk at `at`, and how that begins. Behind the end there are noughts."""
        return self._source.read_at(at, self._least).ljust(self._least, b"\0")

    def _resume(self, at: int) -> int:
        """Where something that looks like the header of a chunk begins, from `at` on."""
        while at < self._size:
            begin = at - self._scan_start
            if begin < 0 or begin + 4 > len(self._scan):
                self._scan, self._scan_start, begin = self._source.read_at(at, _SCAN), at, 0
            found = _HEADERS.search(self._scan, begin)
            if found is not None:
                return self._scan_start + found.start()
            if self._scan_start + len(self._scan) >= self._size or len(self._scan) < 4:
                break
            at = self._scan_start + len(self._scan) - 3
        return self._size
