"""Object headers (IV.A): the messages that say what an object is."""

import struct
from typing import NamedTuple

from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.hdf5.space import AddressSpace

LINK, ATTRIBUTE, CONTINUATION = 0x06, 0x0C, 0x10
_MOST_BLOCKS = 4096
"""A header of more continuation blocks than this is taken for broken."""

_MESSAGE_1 = struct.Struct("<HHB").unpack_from
_MESSAGE_2 = struct.Struct("<BHB").unpack_from
"""Type, size and flags of a message."""

Message = tuple[int, bytes, int, int]
"""A header message (IV.A.2): its flags (bit 1: shared), body, creation index (0 for none), and the body's address."""


class ObjectHeader(NamedTuple):
    """An object's messages, NIL and continuation messages left out."""

    address: int
    version: int
    references: int
    """How many hard links point here, as far as the prefix says (version 1)."""
    first: dict[int, Message]
    """The first message of each type number."""
    attributes: list[Message]
    links: list[Message]


def read_header(space: AddressSpace, address: int) -> ObjectHeader:
    """The object header at `address`, with all its continuation blocks.

    Raises CorruptFile, or UnsupportedSource for a version that memx does not know.
    """
    prefix = space.upto(address, 512)
    if prefix[:4] == b"OHDR":
        return _version_2(space, address, prefix)
    if prefix[0] == 1 and len(prefix) >= 16:
        return _version_1(space, address, prefix)
    # from version 2 on there is a signature: no other version can be without one
    raise CorruptFile("there is no object header where one is said to be", offset=space.base + address)


def _version_1(space: AddressSpace, address: int, prefix: bytes) -> ObjectHeader:
    """IV.A.1.a: a prefix of 12 bytes, padded to 16, and messages padded to 8."""
    size = int.from_bytes(prefix[8:12], "little")
    references = int.from_bytes(prefix[4:8], "little")
    begin = address + 16
    block = prefix[16 : 16 + size] if size <= len(prefix) - 16 else space.read(begin, size)
    header = ObjectHeader(address, 1, references, {}, [], [])
    first, attributes, unpack = header.first, header.attributes, _MESSAGE_1
    pending = [(begin, block)]
    for begin, block in pending:
        at, end = 0, len(block)
        while at + 8 <= end:
            kind, length, marks = unpack(block, at)
            body_at = at + 8
            at = body_at + length
            if at > end:
                raise CorruptFile("a header message is longer than its block", offset=space.base + begin + body_at)
            if not kind:
                continue
            message = marks, block[body_at:at], 0, begin + body_at
            if kind == ATTRIBUTE:
                attributes.append(message)
            elif kind == CONTINUATION:
                _continue(space, message[1], pending)
            elif kind == LINK:
                header.links.append(message)
            elif kind not in first:
                first[kind] = message
    return header


def _version_2(space: AddressSpace, address: int, prefix: bytes) -> ObjectHeader:
    """IV.A.1.b: a signature, an optional part that the flags describe, and messages without padding."""
    if prefix[4] != 2:
        raise UnsupportedSource(f"object header version {prefix[4]} is not known", offset=space.base + address + 4)
    flags = prefix[5]
    at = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)  # times, and when attributes move out
    width = 1 << (flags & 3)
    size = int.from_bytes(prefix[at : at + width], "little")
    at += width
    begin = address + at
    block = prefix[at : at + size] if at + size <= len(prefix) else space.read(begin, size)
    header = ObjectHeader(address, 2, 1, {}, [], [])
    first, attributes, unpack = header.first, header.attributes, _MESSAGE_2
    pending = [(begin, block)]
    head = 6 if flags & 4 else 4
    for begin, block in pending:
        at, end = 0, len(block)
        while at + head <= end:  # what is left over is a gap (IV.A.1.b)
            kind, length, marks = unpack(block, at)
            body_at = at + head
            at = body_at + length
            if at > end:
                raise CorruptFile("a header message is longer than its block", offset=space.base + begin + body_at)
            if not kind:
                continue
            created = block[body_at - 2] | block[body_at - 1] << 8 if head == 6 else 0
            message = marks, block[body_at:at], created, begin + body_at
            if kind == ATTRIBUTE:
                attributes.append(message)
            elif kind == CONTINUATION:
                _continue(space, message[1], pending, signature=b"OCHK")
            elif kind == LINK:
                header.links.append(message)
            elif kind not in first:
                first[kind] = message
    return header


def _continue(space: AddressSpace, body: bytes, pending: list[tuple[int, bytes]], signature: bytes = b"") -> None:
    """Appends the block that a continuation message (IV.A.2.q) names to what is still to be walked."""
    address, size = space.address(body, 0), space.length(body, space.offset_size)
    # blocks do not overlap: all of them together fit into the file
    if len(pending) > _MOST_BLOCKS or size + sum(len(block) for _, block in pending) > space.end:
        raise CorruptFile("the continuation blocks of an object header go round", offset=space.base + address)
    block = space.read(address, size)
    if signature:
        if block[:4] != signature:
            raise CorruptFile("an object header continues where no continuation block is", offset=space.base + address)
        block = block[4:-4]  # a checksum closes it
        address += 4
    pending.append((address, block))
