"""Heaps: local (III.D), global (III.E) and fractal (III.G). Each gives the bytes of one object at a time."""

from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.hdf5.btrees import walk_v2
from memx.formats.hdf5.space import AddressSpace

_COLLECTIONS = 16
_OBJECTS = 1 << 16


class LocalHeap:
    """The names of an old group's links (III.D)."""

    def __init__(self, space: AddressSpace, address: int) -> None:
        width = space.length_size
        data = space.read(address, 8 + 2 * width + space.offset_size)
        if data[:4] != b"HEAP":
            raise CorruptFile("there is no local heap where one is said to be", offset=space.base + address)
        self._space = space
        self._size = space.length(data, 8)
        self._data = space.address(data, 8 + 2 * width)

    def name(self, offset: int) -> bytes:
        """The name at `offset`, without the zero that ends it."""
        left = min(self._size - offset, self._space.end - self._data - offset)
        if left <= 0:
            raise CorruptFile("a link's name lies outside its heap", offset=self._space.base + self._data)
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
        self._collections: dict[int, dict[int, tuple[int, int]]] = {}

    def place(self, collection: int, index: int) -> tuple[int, int]:
        """Address and length of object `index` of the collection at `collection`."""
        places = self._collections.get(collection)
        if places is None:
            if len(self._collections) >= _COLLECTIONS:
                del self._collections[next(iter(self._collections))]
            places = self._collections[collection] = self._index(collection)
        try:
            return places[index]
        except KeyError:
            where = self._space.base + collection
            raise CorruptFile(f"there is no object {index} in a global heap collection", offset=where) from None

    def _index(self, address: int) -> dict[int, tuple[int, int]]:
        space = self._space
        width = space.length_size
        head = space.read(address, 8 + width)
        if head[:4] != b"GCOL" or head[4] != 1:
            raise CorruptFile("there is no global heap collection where one is said to be", offset=space.base + address)
        end = min(address + space.length(head, 8), space.end)
        places: dict[int, tuple[int, int]] = {}
        at, step = address + 8 + width, 8 + width
        while at + step <= end and len(places) < _OBJECTS:
            entry = space.read(at, step)
            index, size = entry[0] | entry[1] << 8, space.length(entry, 8)
            if not index:
                break  # the free space, which is the last
            if at + step + size > end:
                raise CorruptFile("an object of a global heap is longer than its collection", offset=space.base + at)
            places[index] = (at + step, size)
            at += step + (size + 7 & ~7)
        return places


class FractalHeap:
    """The heap of dense links, dense attributes and shared messages (III.G)."""

    def __init__(self, space: AddressSpace, address: int) -> None:
        self._space = space
        o, n = space.offset_size, space.length_size
        data = space.read(address, 22 + 12 * n + 3 * o)
        if data[:4] != b"FRHP" or data[4] != 0:
            raise CorruptFile("there is no fractal heap where one is said to be", offset=space.base + address)
        self._id_length = data[5] | data[6] << 8
        self._filtered = bool(data[7] | data[8] << 8)
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
        self._length_size = _bytes_for(min(largest, most_managed))
        self._direct_rows = largest.bit_length() - self._start.bit_length() + 2
        self._first_row = self._start * self._width
        self._huge: dict[int, tuple[int, int]] | None = None
        self._cells: dict[tuple[int, int], tuple[int, int, int]] = {}  # direct blocks that the root names itself
        self._tail = (-1, 0, 0)  # offset in the heap, size and address of the direct block used last

    def place(self, heap_id: bytes) -> tuple[int, int] | bytes:
        """Address and length of the object that `heap_id` names; for a tiny object its bytes themselves."""
        kind = heap_id[0] >> 4 & 3
        if heap_id[0] >> 6 or kind == 3:
            raise CorruptFile("an identifier of a fractal heap is of no known kind")
        if kind == 2:
            return self._tiny(heap_id)
        if kind == 1:
            return self._huge_place(heap_id)
        end = 1 + self._offset_size
        offset = int.from_bytes(heap_id[1:end], "little")
        length = int.from_bytes(heap_id[end : end + self._length_size], "little")
        begin, size, address = self._tail
        if not begin <= offset < begin + size:
            begin, size, address = self._tail = self._direct_block(offset)
        if offset + length > begin + size:
            raise CorruptFile("an object of a fractal heap is longer than its block", offset=self._space.base + address)
        return address + offset - begin, length

    def read(self, heap_id: bytes, most: int = 1 << 24) -> bytes:
        """The bytes of the object that `heap_id` names. Raises CorruptFile where it is longer than `most`."""
        place = self.place(heap_id)
        if isinstance(place, bytes):
            return place
        if place[1] > most:
            raise CorruptFile(
                f"an object of a fractal heap is {place[1]} bytes long", offset=self._space.base + place[0]
            )
        return self._space.read(*place)

    def _tiny(self, heap_id: bytes) -> bytes:
        if self._id_length - 1 <= 16:
            begin, length = 1, (heap_id[0] & 15) + 1
        else:
            begin, length = 2, ((heap_id[0] & 15) << 8 | heap_id[1]) + 1
        return heap_id[begin : begin + length]

    def _huge_place(self, heap_id: bytes) -> tuple[int, int]:
        space = self._space
        if self._filtered:
            raise UnsupportedSource("a huge object of a fractal heap is filtered")
        if self._id_length - 1 >= space.offset_size + space.length_size:
            return space.address(heap_id, 1), space.length(heap_id, 1 + space.offset_size)
        key = int.from_bytes(heap_id[1 : 1 + min(space.length_size, self._id_length - 1)], "little")
        # type 1: indirectly accessed, not filtered (III.A.2): address, length, identifier
        o, n = space.offset_size, space.length_size
        for record in walk_v2(space, self._huge_tree, (1,)):
            if space.length(record, o + n) == key:
                return space.address(record, 0), space.length(record, o)
        raise CorruptFile("a huge object of a fractal heap is in no index")

    def _direct_block(self, offset: int) -> tuple[int, int, int]:
        """Offset in the heap, size and address of the direct block that holds `offset`: down the doubling table."""
        space = self._space
        if self._filtered:
            raise UnsupportedSource("the blocks of a fractal heap are filtered")
        if self._rows == 0:
            return 0, self._start, self._root
        block, begin, rows = self._root, 0, self._rows
        for level in range(64):
            row, column = self._cell(offset - begin)
            if level == 0 and (known := self._cells.get((row, column))) is not None:
                return known
            if row >= rows or block == space.undefined:
                break
            size = self._start << max(0, row - 1)
            entry = block + 5 + space.offset_size + self._offset_size
            entry += (row * self._width + column) * space.offset_size
            if space.read(block, 4) != b"FHIB":
                raise CorruptFile("there is no indirect block of a fractal heap", offset=space.base + block)
            begin += (self._first_row << row - 1 if row else 0) + column * size
            block = space.address(space.read(entry, space.offset_size), 0)
            if row < self._direct_rows:
                if level == 0:
                    self._cells[row, column] = begin, size, block
                return begin, size, block
            rows = (size // self._first_row).bit_length()
        raise CorruptFile("an identifier of a fractal heap leads nowhere")

    def _cell(self, offset: int) -> tuple[int, int]:
        """Row and column of the doubling table that hold `offset`."""
        if offset < self._first_row:
            return 0, offset // self._start
        row = (offset // self._first_row).bit_length()
        return row, (offset - (self._first_row << row - 1)) // (self._start << row - 1)


def _bytes_for(limit: int) -> int:
    return max(1, (limit.bit_length() + 7) // 8)
