"""Metadata checksums (II.A, III.A.2, III.G, IV.A.1.b, VII.C, VII.D): Bob Jenkins' lookup3, `hashlittle` from 0.

libhdf5 verifies each of them, and refuses what contradicts its own. Pure Python takes a tenth of a microsecond for a
byte, as much as the rest of the reading takes: so memx verifies

- always the superblock, its extension, and of a version 2 B-tree that is more than a leaf its header and its internal
  nodes, whose counts and addresses say what all is there. The number of all records, which the header tells, costs
  nothing: it is compared even where there is but a leaf;
- where there is what memx does not know, to tell it from what broke: of an object all that
  `memx.formats.hdf5.integrity` lists, of a B-tree its header, of an array its header or its index block;
- not the headers of other objects, leaves, fractal heaps, and the indexes of chunks that are arrays.

Of a structure that itself is of an unknown version nobody can say where its checksum stands: it is unknown.
"""

import struct

_ALL = 0xFFFFFFFF


def lookup3(data: bytes) -> int:
    """The checksum of `data` (lookup3.c, public domain, May 2006)."""
    a = b = c = 0xDEADBEEF + len(data) & _ALL
    last = max(0, len(data) - 1) // 12 * 12
    x: int
    y: int
    z: int
    for x, y, z in struct.iter_unpack("<III", data[:last]):
        a, b, c = a + x, b + y, c + z & _ALL
        # a sum is cut to 32 bits where it is rotated next; a function for that would take as long again
        a = (a - c ^ (c << 4 | c >> 28)) & _ALL
        c += b
        b = (b - a ^ (a << 6 | a >> 26)) & _ALL
        a += c
        c = (c - b ^ (b << 8 | b >> 24)) & _ALL
        b += a
        a = (a - c ^ (c << 16 | c >> 16)) & _ALL
        c += b
        b = (b - a ^ (a << 19 | a >> 13)) & _ALL
        a += c
        c = (c - b ^ (b << 4 | b >> 28)) & _ALL
        b += a
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
