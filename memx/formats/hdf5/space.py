"""The address space of an HDF5 file: bounds-checked reads of small structures, through a few cached blocks.

Where structures follow each other a whole block is read, where they lie far apart only what surrounds each: the
objects of a large group may come in the order of a hash of their names, which is none in the file.

Sections cited in this package are those of the HDF5 File Format Specification, version 3.0.
"""

from memx.errors import CorruptFile, UnsupportedSource
from memx.sources import Source

_SHIFT = 16
_BLOCK = 1 << _SHIFT
_BLOCKS_MOST = 8
"""At most so many blocks are kept: 512 KiB."""
_PAGE_SHIFT = 10
_SHORT = 512
"""Bytes of the longest structure that is sure to be in the page where it begins: that much of the next one is in it."""
_PAGE = (1 << _PAGE_SHIFT) + _SHORT
_PAGES_MOST = 16
"""Few: the page before one tells of a walk forward only where it was read a short while ago."""
_CODES = {2: "H", 4: "I", 8: "Q"}


class AddressSpace:
    """Reads at addresses, which count from `base`; the superblock says how wide addresses and lengths are.

    `offset_size` and `length_size` are the bytes of an address and of a length (2, 4 or 8), `offset_code` and
    `length_code` what `struct` calls them; `undefined` is the address that stands for none (II.A).
    """

    def __init__(self, source: Source, base: int, offset_size: int = 8, length_size: int = 8) -> None:
        self.base = base
        self.offset_size = offset_size
        self.length_size = length_size
        self.offset_code = _CODES[offset_size]
        self.length_code = _CODES[length_size]
        self.undefined = (1 << 8 * offset_size) - 1
        self.end = max(0, (source.size or 0) - base)
        """The first address behind the file."""
        self._source = source
        self._blocks: dict[int, bytes] = {}
        self._pages: dict[int, bytes] = {}

    def read(self, address: int, length: int) -> bytes:
        """The `length` bytes at `address`.

        Raises CorruptFile where they are not all inside the file; nothing is allocated before that is known.
        """
        if length < 0 or address < 0 or address + length > self.end:
            raise CorruptFile(
                f"a structure of {length} bytes is said to lie at {address}, beyond the end of the file",
                offset=max(0, min(self.base + address, self.base + self.end)),
            )
        at = self.base + address
        begin = at & _BLOCK - 1
        block = self._blocks.get(at >> _SHIFT)
        if block is not None and begin + length <= len(block):
            return block[begin : begin + length]
        return self._whole(self._missed(at, length), length, at)

    def upto(self, address: int, length: int) -> bytes:
        """At most `length` bytes at `address`, fewer where the file ends; at least one."""
        left = self.end - address
        return self.read(address, length if length <= left else max(1, left))

    def address(self, data: bytes, at: int) -> int:
        """The address that stands in `data` at `at`, of `offset_size` bytes."""
        return int.from_bytes(data[at : at + self.offset_size], "little")

    def length(self, data: bytes, at: int) -> int:
        """The length that stands in `data` at `at`, of `length_size` bytes."""
        return int.from_bytes(data[at : at + self.length_size], "little")

    def _missed(self, at: int, length: int) -> bytes:
        """The `length` bytes at the offset `at` of the source, which no block that is kept has as a whole."""
        number, begin = at >> _SHIFT, at & _BLOCK - 1
        if length > _BLOCK:
            return self._source.read_at(at, length)
        page, pages = at >> _PAGE_SHIFT, self._pages
        inside = at & (1 << _PAGE_SHIFT) - 1
        if length <= _SHORT and (data := pages.get(page)) is not None:
            return data[inside : inside + length]
        forward = page - 1 in pages or (begin >> _PAGE_SHIFT == 0 and number - 1 in self._blocks)
        if (left := _BLOCK - begin) < length and (length > _SHORT or forward or number in self._blocks):
            address = at - self.base
            return self.read(address, left) + self.read(address + left, length - left)
        if forward:
            block = _kept(self._blocks, _BLOCKS_MOST, number, self._source.read_at(number << _SHIFT, _BLOCK))
            return block[begin : begin + length]
        if length > _SHORT:
            return self._source.read_at(at, length)
        data = _kept(pages, _PAGES_MOST, page, self._source.read_at(page << _PAGE_SHIFT, _PAGE))
        return data[inside : inside + length]

    def _whole(self, data: bytes, length: int, at: int) -> bytes:
        if len(data) < length:
            raise CorruptFile("the file became shorter while it was read", offset=at + len(data))
        return data


def unknown_version(what: str, version: int, offset: int | None = None) -> UnsupportedSource:
    """For `what`, which is of a version that memx does not know and stands at `offset`."""
    return UnsupportedSource(f"{what} of version {version} is not known", offset=offset)


def _kept(memory: dict[int, bytes], most: int, number: int, data: bytes) -> bytes:
    """`data`, kept as `number` instead of the oldest; walks go forward."""
    if len(memory) >= most:
        del memory[next(iter(memory))]
    memory[number] = data
    return data
