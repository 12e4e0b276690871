"""The address space of an HDF5 file: bounds-checked reads of small structures, through a few cached blocks.

Sections cited in this package are those of the HDF5 File Format Specification, version 3.0.
"""

from memx.errors import CorruptFile
from memx.sources import Source

_SHIFT = 16
_BLOCK = 1 << _SHIFT
_BLOCKS = 64
"""At most so many blocks are kept: 4 MiB."""


class AddressSpace:
    """Reads at addresses, which count from `base`; the superblock says how wide addresses and lengths are.

    `offset_size` and `length_size` are the bytes of an address and of a length (2, 4 or 8), `undefined` is
    the address that stands for none (II.A).
    """

    def __init__(self, source: Source, base: int, offset_size: int = 8, length_size: int = 8) -> None:
        self.base = base
        self.offset_size = offset_size
        self.length_size = length_size
        self.undefined = (1 << 8 * offset_size) - 1
        self.end = max(0, (source.size or 0) - base)
        """The first address behind the file."""
        self._source = source
        self._blocks: dict[int, bytes] = {}

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
        number, begin = at >> _SHIFT, at & _BLOCK - 1
        block = self._blocks.get(number)
        if block is None:
            block = self._load(number)
        if begin + length <= len(block):
            return block[begin : begin + length]
        if length > _BLOCK:
            return self._whole(self._source.read_at(at, length), length, at)
        return self._whole(
            block[begin:] + self.read(address + len(block) - begin, length - len(block) + begin), length, at
        )

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

    def _load(self, number: int) -> bytes:
        blocks = self._blocks
        if len(blocks) >= _BLOCKS:
            del blocks[next(iter(blocks))]  # the oldest; walks go forward
        block = blocks[number] = self._source.read_at(number << _SHIFT, _BLOCK)
        return block

    def _whole(self, data: bytes, length: int, at: int) -> bytes:
        if len(data) < length:
            raise CorruptFile("the file became shorter while it was read", offset=at + len(data))
        return data
