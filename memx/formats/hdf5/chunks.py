"""Chunk indexes (IV.A.2.i, layout versions 3 and 4; III.A, VII): every chunk that has a place in the file."""

import math
import struct
from collections.abc import Callable, Iterator
from typing import NamedTuple

from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.hdf5.btrees import walk_v1, walk_v2
from memx.formats.hdf5.checksums import sound
from memx.formats.hdf5.space import AddressSpace, unknown_version


class Chunk(NamedTuple):
    """A stored chunk: its first element's coordinates, address, stored bytes, and the filters that were skipped."""

    coordinates: tuple[int, ...]
    address: int
    size: int
    mask: int


class Grid(NamedTuple):
    """How a data set is cut: its extents, those it may grow to (None: unlimited), a chunk's, a chunk's bytes."""

    shape: tuple[int, ...]
    longest: tuple[int | None, ...]
    chunk: tuple[int, ...]
    chunk_bytes: int

    def counts(self, extents: tuple[int, ...]) -> tuple[int, ...]:
        """How many chunks there are along each of `extents`."""
        return tuple(-(-extent // side) for extent, side in zip(extents, self.chunk, strict=True))

    def coordinates(self, index: int, counts: tuple[int, ...]) -> tuple[int, ...]:
        """The first element of chunk `index`, in row-major order of `counts`."""
        found = []
        for count, side in zip(reversed(counts), reversed(self.chunk), strict=True):
            index, position = divmod(index, count) if count else (0, 0)
            found.append(position * side)
        return tuple(reversed(found))


class Bitmap(NamedTuple):
    """Which pages of a data block were ever written: a bit each, from bit `first` on, the greatest bit first."""

    bits: bytes
    first: int


def chunks_v1(space: AddressSpace, address: int, grid: Grid) -> Iterator[Chunk]:
    """The version 1 B-tree, node type 1 (III.A.1)."""
    rank = len(grid.chunk)
    key = struct.Struct(f"<II{rank + 1}Q")
    for raw, child in walk_v1(space, address, 1, key.size):
        size, mask, *corner = key.unpack(raw)
        yield Chunk(tuple(corner[:rank]), child, size, mask)


def chunks_v2_btree(space: AddressSpace, address: int, grid: Grid) -> Iterator[Chunk]:
    """The version 2 B-tree, record types 10 and 11 (III.A.2)."""
    rank, width = len(grid.chunk), space.offset_size
    for record in walk_v2(space, address, (10, 11)):
        scaled = struct.unpack_from(f"<{rank}Q", record, len(record) - 8 * rank)
        corner = tuple(position * side for position, side in zip(scaled, grid.chunk, strict=True))
        middle = record[width : len(record) - 8 * rank]
        size, mask = _stored(middle, grid)
        yield Chunk(corner, space.address(record, 0), size, mask)


_CLIENT_MOST = 1
"""The greatest number of those whom an array is for (VII.C, VII.D): chunks as they are, and filtered ones."""


def _head(
    space: AddressSpace, address: int, length: int, signature: bytes, what: str, *, is_all: bool = False
) -> bytes:
    """The `length` bytes with which a structure begins that is `what`: signature, version, and whom it is for.

    `is_all`: its checksum follows.
    """
    head = space.read(address, length)
    if head[:4] != signature:
        raise CorruptFile(f"there is no such thing where {what} is said to be", offset=space.base + address)
    if head[4]:
        raise unknown_version(what, head[4], space.base + address)
    if head[5] > _CLIENT_MOST:
        if is_all and not sound(space.read(address, length + 4)):
            raise CorruptFile(f"{what} contradicts its checksum", offset=space.base + address)
        raise UnsupportedSource(f"{what} for client {head[5]} is not known", offset=space.base + address)
    return head


def _stored(middle: bytes, grid: Grid) -> tuple[int, int]:
    """Bytes and filter mask of a chunk; both stand in an index only where the data set is filtered."""
    if not middle:
        return grid.chunk_bytes, 0
    return int.from_bytes(middle[:-4], "little"), int.from_bytes(middle[-4:], "little")


def chunk_single(address: int, grid: Grid, size: int | None, mask: int) -> Iterator[Chunk]:
    """One chunk as large as the data set."""
    yield Chunk((0,) * len(grid.chunk), address, grid.chunk_bytes if size is None else size, mask)


def chunks_implicit(space: AddressSpace, address: int, grid: Grid) -> Iterator[Chunk]:
    """Without an index: all chunks that the greatest extents need lie one behind the other."""
    counts, room = grid.counts(grid.shape), grid.counts(_greatest(grid))
    if math.prod(counts) * grid.chunk_bytes > space.end:
        raise CorruptFile("a data set without a chunk index has more chunks than the file can hold")
    for number in range(math.prod(counts)):
        corner = grid.coordinates(number, counts)
        index = 0
        for position, side, count in zip(corner, grid.chunk, room, strict=True):
            index = index * count + position // side
        yield Chunk(corner, address + index * grid.chunk_bytes, grid.chunk_bytes, 0)


def _greatest(grid: Grid) -> tuple[int, ...]:
    pairs = zip(grid.shape, grid.longest, strict=True)
    return tuple(extent if most is None else most for extent, most in pairs)


def _entries(space: AddressSpace, data: bytes, size: int, first: int) -> Iterator[tuple[int, bytes]]:
    """Number and bytes of each entry of an array that has an address."""
    nothing = b"\xff" * space.offset_size
    for at in range(0, len(data) - size + 1, size):
        entry = data[at : at + size]
        if not entry.startswith(nothing):
            yield first + at // size, entry


def _to_chunks(
    space: AddressSpace, entries: Iterator[tuple[int, bytes]], grid: Grid, place: Callable[[int], tuple[int, ...]]
) -> Iterator[Chunk]:
    width = space.offset_size
    for index, entry in entries:
        size, mask = _stored(entry[width:], grid)
        yield Chunk(place(index), space.address(entry, 0), size, mask)


def chunks_fixed_array(space: AddressSpace, address: int, grid: Grid) -> Iterator[Chunk]:
    """A fixed array (VII.C)."""
    o, n = space.offset_size, space.length_size
    head = _head(space, address, 8 + n + o, b"FAHD", "a fixed array", is_all=True)
    if head[6] < o:
        raise CorruptFile("the header of a fixed array contradicts itself", offset=space.base + address)
    size, page, count = head[6], 1 << min(head[7], 62), space.length(head, 8)
    block = space.address(head, 8 + n)
    if block == space.undefined:
        return
    _head(space, block, 6, b"FADB", "a data block of a fixed array")
    counts = grid.counts(_greatest(grid))
    entries = _array_block(space, block + 6 + o, size, page, count, 0)
    yield from _to_chunks(space, entries, grid, lambda index: grid.coordinates(index, counts))


def _array_block(
    space: AddressSpace, at: int, size: int, page: int, count: int, first: int, bitmap: Bitmap | None = None
) -> Iterator[tuple[int, bytes]]:
    """The entries of a data block: together, or in pages of which a bitmap tells those that were ever written.

    The bitmap of a fixed array stands in the block itself, that of an extensible array above it.
    """
    if count <= page:
        step = max(1, 65536 // size)
        for begin in range(0, count, step):
            many = min(step, count - begin)
            yield from _entries(space, space.read(at + begin * size, many * size), size, first + begin)
        return
    pages = -(-count // page)
    if bitmap is None:
        bitmap = Bitmap(space.read(at, (pages + 7) // 8), 0)
        at += len(bitmap.bits)
    at += 4  # the checksum of the block's head
    for number in range(pages):
        bit = bitmap.first + number
        if bitmap.bits[bit >> 3] & 0x80 >> (bit & 7):
            many = min(page, count - number * page)
            place = at + number * (page * size + 4)
            yield from _entries(space, space.read(place, many * size), size, first + number * page)


def chunks_extensible_array(space: AddressSpace, address: int, grid: Grid) -> Iterator[Chunk]:
    """An extensible array (VII.D). Its one unlimited dimension counts as the slowest."""
    array = _ExtensibleArray(space, address)
    unlimited = next((n for n, most in enumerate(grid.longest) if most is None), 0)
    order = [unlimited, *(n for n in range(len(grid.chunk)) if n != unlimited)]
    greatest = grid.counts(_greatest(grid))
    turned = Grid((), (), tuple(grid.chunk[n] for n in order), 0)
    counts = tuple(max(1, greatest[n]) for n in order)
    counts = (1 << 63, *counts[1:])

    def place(index: int) -> tuple[int, ...]:
        corner = turned.coordinates(index, counts)
        return tuple(corner[order.index(n)] for n in range(len(order)))

    yield from _to_chunks(space, array.entries(), grid, place)


class _ExtensibleArray:
    """The blocks of an extensible array: index block, super blocks, data blocks."""

    def __init__(self, space: AddressSpace, address: int) -> None:
        o, n = space.offset_size, space.length_size
        head = _head(space, address, 12 + 6 * n + o, b"EAHD", "an extensible array", is_all=True)
        if head[6] < o or not head[8] or not head[9] or not head[10]:
            raise CorruptFile("the header of an extensible array contradicts itself", offset=space.base + address)
        self._space = space
        self._size, bits, self._inside = head[6], head[7], head[8]
        self._least, self._pointers, self._page = head[9], head[10], 1 << min(head[11], 62)
        self._offset_width = (bits + 7) // 8
        self._used = space.length(head, 12 + 4 * n)
        self._block = space.address(head, 12 + 6 * n)
        self._super_blocks = 1 + bits - (self._least.bit_length() - 1)

    def entries(self) -> Iterator[tuple[int, bytes]]:
        """Number and bytes of each entry that has an address."""
        space, o = self._space, self._space.offset_size
        if self._block == space.undefined:
            return
        direct = 2 * (self._pointers - 1)
        first_super = 2 * (self._pointers.bit_length() - 1)
        supers = max(0, self._super_blocks - first_super)
        body = self._inside * self._size
        length = 6 + o + body + (direct + supers) * o
        data = _head(space, self._block, length, b"EAIB", "an index block of an extensible array", is_all=True)
        at = 6 + o
        yield from _entries(space, data[at : at + body], self._size, 0)
        at += body
        index, number = self._inside, 0
        for level in range(self._super_blocks):
            blocks, length = 1 << level // 2, (1 << (level + 1) // 2) * self._least
            if index >= self._used:
                return
            if level < first_super:
                for _ in range(blocks):
                    yield from self._data_block(space.address(data, at + number * o), length, index, None)
                    index, number = index + length, number + 1
            else:
                place = space.address(data, at + (direct + level - first_super) * o)
                if place != space.undefined:
                    yield from self._super_block(place, blocks, length, index)
                index += blocks * length

    def _super_block(self, address: int, blocks: int, length: int, index: int) -> Iterator[tuple[int, bytes]]:
        space, o = self._space, self._space.offset_size
        _head(space, address, 6, b"EASB", "a super block of an extensible array")
        at = address + 6 + o + self._offset_width
        pages = -(-length // self._page) if length > self._page else 0
        room = (pages + 7) // 8
        for n in range(blocks):
            if index >= self._used:
                return
            bitmap = None
            if pages:  # it has room for whole bytes a data block, and yet the bits of all follow each other
                begin, end = n * pages, (n + 1) * pages
                bitmap = Bitmap(space.read(at + begin // 8, (end + 7) // 8 - begin // 8), begin & 7)
            place = space.address(space.read(at + blocks * room + n * o, o), 0)
            yield from self._data_block(place, length, index, bitmap)
            index += length

    def _data_block(self, address: int, length: int, index: int, bitmap: Bitmap | None) -> Iterator[tuple[int, bytes]]:
        space = self._space
        if address == space.undefined:
            return
        _head(space, address, 6, b"EADB", "a data block of an extensible array")
        begin = address + 6 + space.offset_size + self._offset_width
        yield from _array_block(space, begin, self._size, self._page, length, index, bitmap)
