"""The metadata cache image: structures that their writer left in one block, not where their addresses say.

libhdf5 1.10 and later make one where they are asked to. The specification leaves both out, the block and the message
of the superblock extension that names it: they are read here as libhdf5 writes them.
"""

import struct
from array import array
from bisect import bisect_right
from collections.abc import Iterator

from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.hdf5.space import AddressSpace, unknown_version
from memx.sources import Source

CACHE_IMAGE = 0x18
"""The type number of the message."""
_SIGNATURE = b"MDCI"
_ENTRIES_MOST = 1 << 16
"""Of so many entries the places are kept; libhdf5 keeps its cache below 32 MiB, and an entry has some 500 bytes."""

_Entry = tuple[int, int, int]
"""The address of an entry, its length, and where in the image it stands."""


class ImagedSpace(AddressSpace):
    """An address space in which the entries of an image lie over what `below` has at their addresses."""

    def __init__(self, source: Source, below: AddressSpace, entries: list[_Entry]) -> None:
        super().__init__(source, below.base, below.offset_size, below.length_size)
        self._below = below
        entries.sort()
        self._addresses = array("Q", [address for address, _, _ in entries])
        self._lengths = array("Q", [length for _, length, _ in entries])
        self._places = array("Q", [place for _, _, place in entries])

    def read(self, address: int, length: int) -> bytes:
        """The `length` bytes at `address`, of the image what is in it."""
        end = address + length
        if address < 0 or length < 0 or end > self.end:
            return self._below.read(address, length)  # which says so
        parts = []
        while address < end:
            place, stop = self._place(address)
            stop = min(stop, end)
            parts.append(self._below.read(place, stop - address))
            address = stop
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def _place(self, address: int) -> tuple[int, int]:
        """Where what is at `address` stands, and the address up to which that goes on."""
        number = bisect_right(self._addresses, address)
        after = self._addresses[number] if number < len(self._addresses) else self.end
        if number and (into := address - self._addresses[number - 1]) < (length := self._lengths[number - 1]):
            return self._places[number - 1] + into, min(address - into + length, after)
        return address, after


def overlaid(source: Source, space: AddressSpace, body: bytes) -> AddressSpace:
    """`space` with the image over it that the message of the superblock extension whose body is `body` names.

    Raises CorruptFile, or UnsupportedSource for an image that memx does not know.
    """
    address = space.address(body, 1)
    where = space.base + address
    if body[0]:
        raise unknown_version("a metadata cache image message", body[0], where)
    if address == space.undefined:
        return space
    end = address + space.length(body, 1 + space.offset_size)
    head = space.read(address, 10 + space.length_size)
    if head[:4] != _SIGNATURE or end > space.end:
        raise CorruptFile("there is no metadata cache image where one is said to be", offset=where)
    if head[4]:
        raise unknown_version("a metadata cache image", head[4], where)
    count = int.from_bytes(head[-4:], "little")
    if count > _ENTRIES_MOST:
        raise UnsupportedSource(f"a metadata cache image of {count} entries is not known", offset=where)
    return ImagedSpace(source, space, list(_entries(space, address + len(head), end, count)))


def _entries(space: AddressSpace, at: int, end: int, count: int) -> Iterator[_Entry]:
    """The `count` entries of the image that stand from `at` on, before `end`.

    Each has its type, flags, ring and age, three counts of what depends on it, its place in a list, then address and
    length, the addresses of those that it depends on, and itself.
    """
    head = struct.Struct(f"<4x4xHi{space.offset_code}{space.length_code}")
    for _ in range(count):
        if at + head.size > end:
            raise CorruptFile("a metadata cache image ends in its midst", offset=space.base + end)
        parents, _, address, length = head.unpack(space.read(at, head.size))
        place = at + head.size + parents * space.offset_size
        if place + length > end or not length or address + length > space.end:
            raise CorruptFile("an entry of a metadata cache image is as long as none can be", offset=space.base + at)
        at = place + length
        yield address, length, place
