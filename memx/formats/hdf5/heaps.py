"""Heaps: local (III.D), global (III.E) and fractal (III.G). Each gives the bytes of one object at a time."""

import struct
from array import array
from bisect import bisect_right, insort
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Any, NamedTuple

from memx.errors import CorruptFile, MemxError
from memx.formats.hdf5.btrees import walk_v2
from memx.formats.hdf5.filters import parse_filters, unfiltered
from memx.formats.hdf5.space import AddressSpace, unknown_version

_NAMES_HELD = 1 << 14
"""Bytes of a local heap that is read as a whole; each group on the way down holds its own."""
_COLLECTION = 4096
"""Bytes of a collection that are read at once: what libhdf5 gives the least of them."""
_OBJECTS_MOST = 1 << 16
_PLACES_MOST = 1 << 17
"""Of so many objects of global heaps the places are kept: the objects of a large group come in no order of the file."""
_PLACES_MORE = 64
_BLOCKS_MOST = 1024
"""Of so many direct blocks of a fractal heap the places are kept: 64 MiB of objects, as libhdf5 makes them."""
_INDEX_BITS = 32
_FILTERED_MOST = 1 << 24
"""Bytes of a filtered block or object, before and after its filters; the blocks that libhdf5 makes have 64 KiB."""


class LocalHeap:
    """The names of an old group's links (III.D)."""

    def __init__(self, space: AddressSpace, address: int) -> None:
        width = space.length_size
        data = space.read(address, 8 + 2 * width + space.offset_size)
        if data[:4] != b"HEAP":
            raise CorruptFile("there is no local heap where one is said to be", offset=space.base + address)
        if data[4]:
            raise unknown_version("a local heap", data[4], space.base + address)
        self._space = space
        self._size = space.length(data, 8)
        self._data = space.address(data, 8 + 2 * width)
        left = min(self._size, space.end - self._data)
        self._held = space.read(self._data, left) if 0 < left <= _NAMES_HELD else b""

    def name(self, offset: int) -> bytes:
        """The name at `offset`, without the zero that ends it."""
        left = min(self._size - offset, self._space.end - self._data - offset)
        if left <= 0:
            raise CorruptFile("a link's name lies outside its heap", offset=self._space.base + self._data)
        if self._held:
            end = self._held.find(b"\0", offset)
            return self._held[offset:] if end < 0 else self._held[offset:end]
        step, name = 64, b""
        while len(name) < left:
            name += self._space.read(self._data + offset + len(name), min(step, left - len(name)))
            end = name.find(b"\0")
            if end >= 0:
                return name[:end]
            step *= 4
        return name


class GlobalHeap:
    """Objects in collections (III.E): values of variable length, references, virtual mappings."""

    def __init__(self, space: AddressSpace) -> None:
        self._space = space
        self._head = struct.Struct(f"<H6x{space.length_code}")
        self._collections: dict[int, array[int]] = {}  # offset and length of each object, by its index; by address
        self._kept = 0

    def place(self, collection: int, index: int) -> tuple[int, int]:
        """Address and length of object `index` of the collection at `collection`."""
        places = self._collections.get(collection)
        if places is None:
            places = self._remember(collection, self._index(collection))
        if 2 * index < len(places) and (offset := places[2 * index]):
            return collection + offset, places[2 * index + 1]
        where = self._space.base + collection
        raise CorruptFile(f"there is no object {index} in a global heap collection", offset=where)

    def _remember(self, collection: int, places: "array[int]") -> "array[int]":
        """Keeps the places of a collection instead of the oldest."""
        self._kept += len(places) // 2
        while self._collections and self._kept > _PLACES_MOST:
            self._kept -= len(self._collections.pop(next(iter(self._collections)))) // 2
        self._collections[collection] = places
        return places

    def _index(self, address: int) -> "array[int]":
        space, head = self._space, self._head
        start = space.read(address, 8 + space.length_size)
        if start[:4] != b"GCOL":
            raise CorruptFile("there is no global heap collection where one is said to be", offset=space.base + address)
        if start[4] != 1:
            raise unknown_version("a global heap collection", start[4], space.base + address)
        end = min(address + space.length(start, 8), space.end)
        begin, data = address, space.upto(address, _COLLECTION)
        places = array("H" if end - address < 1 << 16 else "I" if end - address < 1 << 32 else "Q")
        step = head.size + 7 & ~7  # of the heads, too, the library keeps to multiples of eight
        at = address + step
        count = 0
        while at + step <= end and count < _OBJECTS_MOST:
            if at + step > begin + len(data):
                begin, data = at, space.upto(at, _COLLECTION)
            index, size = head.unpack_from(data, at - begin)
            if not index:
                break  # the free space, which is the last
            if at + step + size > end:
                raise CorruptFile("an object of a global heap is longer than its collection", offset=space.base + at)
            if 2 * index >= len(places):
                places.frombytes(bytes(places.itemsize * (2 * index + _PLACES_MORE - len(places))))
            places[2 * index] = at + step - address
            places[2 * index + 1] = size
            at += step + (size + 7 & ~7)
            count += 1
        return places


class _Block(NamedTuple):
    """A direct block: its offset in the heap, its size, its address, and what its filters left of it."""

    begin: int
    size: int
    address: int
    stored: int
    mask: int


class FractalHeap:
    """The heap of dense links, dense attributes and shared messages (III.G)."""

    def __init__(self, space: AddressSpace, address: int) -> None:
        self._space = space
        self._address = address
        o, n = space.offset_size, space.length_size
        data = space.read(address, 22 + 12 * n + 3 * o)
        if data[:4] != b"FRHP":
            raise CorruptFile("there is no fractal heap where one is said to be", offset=space.base + address)
        if data[4]:
            raise unknown_version("a fractal heap", data[4], space.base + address)
        self._id_length = data[5] | data[6] << 8
        filters_length = data[7] | data[8] << 8
        most_managed = int.from_bytes(data[10:14], "little")
        self._huge_tree = space.address(data, 14 + n)
        at = 14 + n + o + n + o + 8 * n  # behind the statistics
        self._width = data[at] | data[at + 1] << 8
        self._start, largest = space.length(data, at + 2), space.length(data, at + 2 + n)
        at += 2 + 2 * n
        bits = data[at] | data[at + 1] << 8
        self._root, self._rows = space.address(data, at + 4), data[at + 4 + o] | data[at + 5 + o] << 8
        if not (self._width and self._start and largest >= self._start) or self._start & self._start - 1 or bits > 64:
            raise CorruptFile("the header of a fractal heap contradicts itself", offset=space.base + address)
        self._offset_size = (bits + 7) // 8
        self._offset_end = 1 + self._offset_size  # within the identifier of an object
        self._length_end = self._offset_end + _bytes_for(min(largest, most_managed))
        self._direct_rows = largest.bit_length() - self._start.bit_length() + 2
        self._first_row = self._start * self._width
        self._pipeline: list[dict[str, Any]] = []
        self._root_stored, self._root_mask = self._start, 0
        if filters_length:
            rest = space.read(address + len(data), n + 4 + filters_length)
            self._root_stored, self._root_mask = space.length(rest, 0), int.from_bytes(rest[n : n + 4], "little")
            self._pipeline = parse_filters(rest[n + 4 :])
        self._blocks: list[_Block] = []  # the direct blocks that were used, in their order
        self._indirect: dict[int, int] = {}  # the indirect blocks on the way to them, by address, and their rows
        self._tail = _Block(-1, 0, 0, 0, 0)  # the direct block used last
        self._unfiltered = (-1, b"")  # the address of a block, and what it was before its filters

    def place(self, heap_id: bytes) -> tuple[int, int] | bytes:
        """Address and length of the object that `heap_id` names; its bytes themselves if it is tiny or filtered."""
        kind = heap_id[0] >> 4
        if kind > 2:
            raise CorruptFile("an identifier of a fractal heap is of no known kind")
        if kind:
            return self._tiny(heap_id) if kind == 2 else self._huge(heap_id)
        end = self._offset_end
        offset = int.from_bytes(heap_id[1:end], "little")
        length = int.from_bytes(heap_id[end : self._length_end], "little")
        begin, size, address, stored, mask = self._tail
        if not begin <= offset < begin + size:
            begin, size, address, stored, mask = self._tail = self._direct_block(offset)
        if offset + length > begin + size:
            raise CorruptFile("an object of a fractal heap is longer than its block", offset=self._space.base + address)
        if not self._pipeline:
            return address + offset - begin, length
        if self._unfiltered[0] != address:
            self._unfiltered = address, self._read_filtered(address, stored, mask, size)
        return self._unfiltered[1][offset - begin : offset - begin + length]

    def _read_filtered(self, address: int, stored: int, mask: int, size: int) -> bytes:
        if max(stored, size) > _FILTERED_MOST:
            raise CorruptFile(
                f"{size} filtered bytes of a fractal heap are too many", offset=self._space.base + address
            )
        return unfiltered(self._space.read(address, stored), self._pipeline, mask, size)

    def read_each(self, heap_ids: bytes, number: int) -> Iterable[bytes]:
        """The bytes of the `number` objects that `heap_ids` name, in that order; read in the order in which they lie.

        What is wrong with one is raised when all before it have been given.
        """
        width, end = len(heap_ids) // max(1, number), self._offset_end

        def heap_id(index: int) -> bytes:
            return heap_ids[index * width : (index + 1) * width]

        found = [b""] * number
        # by its offset (III.G), and in one number with its index, which takes half the memory of a key beside it
        order = [int.from_bytes(heap_id(index)[1:end], "little") << _INDEX_BITS | index for index in range(number)]
        order.sort()
        try:
            for place in order:
                index = place & (1 << _INDEX_BITS) - 1
                found[index] = self.read(heap_id(index))
        except (MemxError, IndexError):
            return map(self.read, map(heap_id, range(number)))
        return found

    def read(self, heap_id: bytes, most: int = 1 << 24) -> bytes:
        """The bytes of the object that `heap_id` names. Raises CorruptFile where it is longer than `most`."""
        place = self.place(heap_id)
        if isinstance(place, bytes):
            return place
        address, length = place
        if length > most:
            raise CorruptFile(f"an object of a fractal heap is {length} bytes long", offset=self._space.base + address)
        return self._space.read(address, length)

    def _tiny(self, heap_id: bytes) -> bytes:
        if self._id_length - 1 <= 16:
            begin, length = 1, (heap_id[0] & 15) + 1
        else:
            begin, length = 2, ((heap_id[0] & 15) << 8 | heap_id[1]) + 1
        return heap_id[begin : begin + length]

    def _huge(self, heap_id: bytes) -> tuple[int, int] | bytes:
        """An object that lies outside of the blocks: its place is in its identifier, or in an index (III.A.2)."""
        space, o, n = self._space, self._space.offset_size, self._space.length_size
        told = o + n + (4 + n if self._pipeline else 0)  # address and length; filter mask and length before the filters
        entry = heap_id[1 : 1 + told]
        if self._id_length - 1 < told:
            entry = self._indexed(int.from_bytes(heap_id[1 : 1 + min(n, self._id_length - 1)], "little"), told)
        address, length = space.address(entry, 0), space.length(entry, o)
        if not self._pipeline:
            return address, length
        mask = int.from_bytes(entry[o + n : o + n + 4], "little")
        return self._read_filtered(address, length, mask, space.length(entry, o + n + 4))

    def _indexed(self, key: int, at: int) -> bytes:
        """The record of the huge object `key`: of type 1, or of type 2 if filtered; the key stands at `at`."""
        for record in walk_v2(self._space, self._huge_tree, (2 if self._pipeline else 1,)):
            if self._space.length(record, at) == key:
                return record
        raise CorruptFile("a huge object of a fractal heap is in no index")

    def _direct_block(self, offset: int) -> _Block:
        """The direct block that holds `offset`."""
        blocks = self._blocks
        before = bisect_right(blocks, offset, key=_begin)
        if before and offset < blocks[before - 1].begin + blocks[before - 1].size:
            return blocks[before - 1]
        found = self._looked_up(offset)
        if len(blocks) >= _BLOCKS_MOST:
            blocks.clear()
            self._indirect.clear()
        insort(blocks, found)
        return found

    def _looked_up(self, offset: int) -> _Block:
        """The direct block that holds `offset`: down the doubling table."""
        space = self._space
        if self._rows == 0:
            return _Block(0, self._start, self._root, self._root_stored, self._root_mask)
        block, begin, rows = self._root, 0, self._rows
        for _ in range(64):
            row, column = self._cell(offset - begin)
            if row >= rows or block == space.undefined:
                break
            size = self._start << max(0, row - 1)
            head = space.read(block, 5)
            if head[:4] != b"FHIB":
                raise CorruptFile("there is no indirect block of a fractal heap", offset=space.base + block)
            if head[4]:
                raise unknown_version("an indirect block of a fractal heap", head[4], space.base + block)
            self._indirect[block] = rows
            begin += (self._first_row << row - 1 if row else 0) + column * size
            found = self._child(block, rows, row, column, _Block(begin, size, 0, size, 0))
            if row < self._direct_rows:
                return found
            block = found.address
            rows = (size // self._first_row).bit_length()
        raise CorruptFile("an identifier of a fractal heap leads nowhere")

    def _child(self, block: int, rows: int, row: int, column: int, told: _Block) -> _Block:
        """What the indirect block at `block` says of one below it; of filtered direct ones size and mask, too."""
        space, o, n = self._space, self._space.offset_size, self._space.length_size
        direct = o + n + 4 if self._pipeline else o
        of_direct = min(row, rows, self._direct_rows) * self._width
        at = block + 5 + o + self._offset_size
        at += of_direct * direct + (row * self._width - of_direct) * o
        if row >= self._direct_rows or not self._pipeline:
            return told._replace(address=space.address(space.read(at + column * o, o), 0))
        entry = space.read(at + column * direct, direct)
        mask = int.from_bytes(entry[o + n :], "little")
        return told._replace(address=space.address(entry, 0), stored=space.length(entry, o), mask=mask)

    def head(self) -> bytes:
        """The header, which its checksum ends."""
        space = self._space
        filters = int.from_bytes(space.read(self._address + 7, 2), "little")
        length = 26 + 12 * space.length_size + 3 * space.offset_size
        return space.read(self._address, length + (space.length_size + 4 + filters if filters else 0))

    def blocks(self, most: int) -> Iterator[bytes]:
        """The blocks that were used so far, none longer than `most`, with their checksums at the end.

        A direct block has its own, if any, behind its head, and for that there are zeros in the sum.
        """
        space, o, n = self._space, self._space.offset_size, self._space.length_size
        head = 5 + o + self._offset_size
        for address, rows in self._indirect.items():
            of_direct = min(rows, self._direct_rows) * (n + 4 if self._pipeline else 0)
            size = head + (rows * o + of_direct) * self._width + 4
            if size <= most:
                yield space.read(address, size)
        if not space.read(self._address + 9, 1)[0] & 2:
            return  # its direct blocks have no checksums
        for _, size, address, stored, mask in self._blocks:
            if size <= most:
                plain = (
                    self._read_filtered(address, stored, mask, size) if self._pipeline else space.read(address, size)
                )
                yield plain[:head] + bytes(4) + plain[head + 4 :] + plain[head : head + 4]

    def _cell(self, offset: int) -> tuple[int, int]:
        """Row and column of the doubling table that hold `offset`."""
        if offset < self._first_row:
            return 0, offset // self._start
        row = (offset // self._first_row).bit_length()
        return row, (offset - (self._first_row << row - 1)) // (self._start << row - 1)


_begin = itemgetter(0)


def _bytes_for(limit: int) -> int:
    return max(1, (limit.bit_length() + 7) // 8)
