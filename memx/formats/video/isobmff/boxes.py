"""Boxes, and the bytes that they stand in: bounds-checked random access through few cached blocks.

ISO/IEC 14496-12, 4.2; QuickTime File Format, "Atoms". All numbers are big endian.
"""

from array import array
from collections.abc import Iterator
from sys import byteorder
from typing import NamedTuple, Protocol

from memx.errors import CorruptFile, TruncatedFile

_SHIFT = 10
_BLOCK = 1 << _SHIFT
_BLOCKS = 64
"""So many blocks of 1 KiB are kept; boxes lie close together, media data between them is never read."""
_WINDOW = 1 << 16
"""Bytes of a table that are in memory at once."""
_KEPT = 1 << 22
"""Bytes of tables, the first ones read, that are kept for the second time they are walked."""
_MOST_BOXES = 1 << 20
"""Boxes that one parent may hold, and that one walk may meet: more is an attack."""


class Readable(Protocol):
    """What boxes are read from."""

    size: int | None

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer only at the end."""


class Inflated:
    """Bytes in memory: a movie that was stored compressed."""

    def __init__(self, data: bytes) -> None:
        self.size: int | None = len(data)
        self._data = data

    def read_at(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]


class Box(NamedTuple):
    """A box; offsets are in its space, `end` is cut to what its parent and the file hold."""

    kind: bytes
    at: int
    """Where its header begins."""
    body: int
    end: int

    @property
    def size(self) -> int:
        """Bytes of its body."""
        return self.end - self.body


class Space:
    """The bytes of a file, or of an inflated movie."""

    def __init__(self, source: Readable) -> None:
        self.end = source.size or 0
        self._source = source
        self._blocks: dict[int, bytes] = {}
        self._windows: dict[tuple[int, int], bytes] = {}
        self._room = _KEPT

    def read(self, at: int, length: int) -> bytes:
        """Exactly `length` bytes from `at`. Raises TruncatedFile where the file ends before."""
        if at < 0 or length < 0 or at + length > self.end:
            raise TruncatedFile(
                f"the file ends at byte {self.end}, inside a structure of {length} bytes at {at}", offset=self.end
            )
        if length > _BLOCK:
            return self._whole(at, self._source.read_at(at, length), length)
        number, begin = at >> _SHIFT, at & _BLOCK - 1
        data = self._block(number)[begin : begin + length]
        if len(data) < length:
            data += self._block(number + 1)[: length - len(data)]
        return self._whole(at, data, length)

    def upto(self, at: int, length: int) -> bytes:
        """At most `length` bytes from `at`, fewer where the file ends."""
        return self.read(at, max(0, min(length, self.end - at)))

    def number(self, at: int, length: int) -> int:
        """The unsigned integer of `length` bytes at `at`."""
        return int.from_bytes(self.read(at, length), "big")

    def body(self, box: Box, most: int = _WINDOW) -> bytes:
        """The first `most` bytes of the body of a box."""
        return self.read(box.body, min(box.size, most))

    def words(self, at: int, count: int, width: int = 4) -> Iterator["array[int]"]:
        """`count` unsigned numbers of 1, 2, 4 or 8 bytes from `at`, in windows whose length is a multiple of 12.

        Raises TruncatedFile behind the last window that is all there.
        """
        code, whole = _CODES[width], _WINDOW // 96 * 96 // width
        while count > 0:
            here = min(count, whole)
            length = here * width
            data = self._window(at, min(length, max(0, self.end - at)))
            window = array(code, data[: len(data) // width * width])
            if byteorder == "little":
                window.byteswap()
            yield window
            if len(data) < length:
                raise TruncatedFile(f"the file ends at byte {self.end}, inside a table", offset=self.end)
            at += length
            count -= here

    def _window(self, at: int, length: int) -> bytes:
        if length <= _BLOCK:
            return self.read(at, length)
        data = self._windows.get((at, length))
        if data is None:
            data = self._source.read_at(at, length)
            if length <= self._room:
                self._room -= length
                self._windows[at, length] = data
        return data

    def _block(self, number: int) -> bytes:
        block = self._blocks.get(number)
        if block is None:
            if len(self._blocks) >= _BLOCKS:
                del self._blocks[next(iter(self._blocks))]  # the oldest; walks go forward
            block = self._blocks[number] = self._source.read_at(number << _SHIFT, _BLOCK)
        return block

    def _whole(self, at: int, data: bytes, length: int) -> bytes:
        if len(data) < length:
            raise TruncatedFile("the file became shorter while it was read", offset=at + len(data))
        return data


_CODES = {1: "B", 2: "H", 4: "I", 8: "Q"}


def box_at(space: Space, at: int, end: int) -> tuple[Box, int] | None:
    """The box at `at`, in a parent that ends at `end`, and where it announces to end; None where none stands."""
    if at + 8 > min(end, space.end):
        return None
    header = space.upto(at, 16)
    length, kind, body = int.from_bytes(header[:4], "big"), header[4:8], at + 8
    if length == 1 and len(header) == 16 and at + 16 <= end:
        length, body = int.from_bytes(header[8:16], "big"), at + 16
    elif length == 0:
        length = end - at  # up to the end of what it stands in
    if at + length < body:
        return None
    return Box(kind, at, body, min(at + length, end, space.end)), at + length


def boxes(space: Space, at: int, end: int) -> Iterator[Box]:
    """The boxes from `at` to `end`, one behind the other. Ends where no box stands.

    Raises CorruptFile where there are more than any file has a use for.
    """
    for _ in range(_MOST_BOXES):
        found = box_at(space, at, end)
        if found is None:
            return
        yield found[0]
        at = found[1]
    raise CorruptFile(f"more than {_MOST_BOXES} boxes stand in one", offset=at)


def children(space: Space, box: Box, skip: int = 0) -> Iterator[Box]:
    """The boxes in `box`, behind the first `skip` bytes of its body."""
    return boxes(space, box.body + skip, box.end)


def child(space: Space, box: Box, kind: bytes, skip: int = 0) -> Box | None:
    """The first box of `kind` in `box`, or None."""
    return next((inner for inner in children(space, box, skip) if inner.kind == kind), None)
