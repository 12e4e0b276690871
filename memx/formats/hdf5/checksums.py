"""Metadata checksums (II.A, IV.A.1.b): Bob Jenkins' lookup3, `hashlittle` with an initial value of 0.

Pure Python takes a microsecond for four bytes: so they are computed only where they decide something. The superblock
is always checked; an object's header only where it holds what memx does not know, to tell unknown from broken.
"""

import struct

from memx.errors import CorruptFile
from memx.formats.hdf5.space import AddressSpace

_ALL = 0xFFFFFFFF


def lookup3(data: bytes) -> int:
    """The checksum of `data` (lookup3.c, public domain, May 2006)."""
    a = b = c = 0xDEADBEEF + len(data) & _ALL
    last = max(0, len(data) - 1) // 12 * 12
    x: int
    y: int
    z: int
    for x, y, z in struct.iter_unpack("<III", data[:last]):
        a, b, c = a + x & _ALL, b + y & _ALL, c + z & _ALL
        a = (a - c ^ _rotated(c, 4)) & _ALL
        c = c + b & _ALL
        b = (b - a ^ _rotated(a, 6)) & _ALL
        a = a + c & _ALL
        c = (c - b ^ _rotated(b, 8)) & _ALL
        b = b + a & _ALL
        a = (a - c ^ _rotated(c, 16)) & _ALL
        c = c + b & _ALL
        b = (b - a ^ _rotated(a, 19)) & _ALL
        a = a + c & _ALL
        c = (c - b ^ _rotated(b, 4)) & _ALL
        b = b + a & _ALL
    if not data:
        return c
    x, y, z = struct.unpack("<III", data[last:].ljust(12, b"\0"))
    a, b, c = a + x & _ALL, b + y & _ALL, c + z & _ALL
    c = (c ^ b) - _rotated(b, 14) & _ALL
    a = (a ^ c) - _rotated(c, 11) & _ALL
    b = (b ^ a) - _rotated(a, 25) & _ALL
    c = (c ^ b) - _rotated(b, 16) & _ALL
    a = (a ^ c) - _rotated(c, 4) & _ALL
    b = (b ^ a) - _rotated(a, 14) & _ALL
    return (c ^ b) - _rotated(b, 24) & _ALL


def _rotated(value: int, by: int) -> int:
    return value << by & _ALL | value >> 32 - by


def sound(data: bytes) -> bool:
    """Whether the last four bytes of `data` are the checksum of those before them."""
    return lookup3(data[:-4]) == int.from_bytes(data[-4:], "little")


_LONGEST = 1 << 16
"""Bytes of the longest header whose checksum is computed."""


def header_is_broken(space: AddressSpace, address: int) -> bool:
    """Whether the first block of the object header at `address` contradicts its checksum; version 1 has none."""
    try:
        prefix = space.upto(address, 34)
        if prefix[:5] != b"OHDR\2":
            return False
        flags = prefix[5]
        at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
        width = 1 << (flags & 3)
        size = at + width + int.from_bytes(prefix[at : at + width], "little") + 4
        return size <= _LONGEST and not sound(space.read(address, size))
    except (CorruptFile, IndexError):
        return True
