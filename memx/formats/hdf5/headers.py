"""Object headers (IV.A): the messages that say what an object is."""

import struct
from collections.abc import Callable, Iterator
from itertools import islice
from typing import NamedTuple

from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.hdf5.space import AddressSpace

LINK, ATTRIBUTE, CONTINUATION = 0x06, 0x0C, 0x10
_TO_BE_KNOWN = 0x80
"""The flag of a message without which its object is not to be read (IV.A.1)."""
_TYPE_MOST = 0x18
"""The greatest type of messages that there is: IV.A.2, and the image of libhdf5's cache."""
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


class Start(NamedTuple):
    """Where the messages of an object header begin."""

    version: int
    references: int
    """How many hard links point here, as far as the prefix says."""
    head: int
    """The bytes of each message's head."""
    address: int
    """Where the first message stands in the file."""
    data: bytes
    at: int
    """Where it stands in `data`, which holds the prefix and, if it is short, the first block."""
    size: int
    """The length of the first block."""


def read_header(space: AddressSpace, address: int) -> ObjectHeader:
    """The object header at `address`, with all its continuation blocks.

    Raises CorruptFile, or UnsupportedSource for a version that memx does not know.
    """
    start = whole(space, start_of(space, address))
    alike = _as_before(address, start)
    if alike is not None:
        return alike
    header = ObjectHeader(address, start.version, start.references, {}, [], [])
    _take(space, header, start)
    return header


def start_of(space: AddressSpace, address: int) -> Start:
    """Where the messages of the object header at `address` begin. Raises as `read_header` does."""
    prefix = space.upto(address, 512)
    if prefix[:4] == b"OHDR":
        version, references, at, head, size = _version_2(space, address, prefix)
    elif prefix[0] == 1 and len(prefix) >= 16:
        # IV.A.1.a: a prefix of 12 bytes, padded to 16, and messages padded to 8
        version, references, size = _PREFIX_1(prefix)
        at, head = 16, 8
    else:  # from version 2 on there is a signature: no other version can be without one
        raise CorruptFile("there is no object header where one is said to be", offset=space.base + address)
    return _new_start(Start, (version, references, head, address + at, prefix, at, size))


def whole(space: AddressSpace, start: Start) -> Start:
    """`start` with all of its first block."""
    if start.at + start.size <= len(start.data):
        return start
    return start._replace(data=space.read(start.address, start.size), at=0)


_PREFIX_1 = struct.Struct("<B3xII").unpack_from
_new_start = tuple.__new__


def _version_2(space: AddressSpace, address: int, prefix: bytes) -> tuple[int, int, int, int, int]:
    """IV.A.1.b: a signature, an optional part that the flags describe, and messages without padding."""
    if prefix[4] != 2:
        raise UnsupportedSource(f"object header version {prefix[4]} is not known", offset=space.base + address + 4)
    flags = prefix[5]
    at = 6 + _OPTIONAL[flags >> 4 & 3]
    width = 1 << (flags & 3)
    return 2, 1, at + width, 6 if flags & 4 else 4, int.from_bytes(prefix[at : at + width], "little")


_OPTIONAL = (0, 4, 16, 20)
"""The bytes of what the flags 0x10 and 0x20 announce: when attributes move out, and times."""


class _Layout(NamedTuple):
    """Where some messages stand, one after the other: their heads, and of each kind the numbers and places of some."""

    unpack: Callable[[bytes, int], tuple[bytes, ...]]
    """The heads and the bodies of the messages, in turns."""
    heads: tuple[bytes, ...]
    attributes: list[tuple[int, int, int, int]]
    """Flags, number, creation index, and where the body stands."""
    links: list[tuple[int, int, int, int]]
    continuations: list[int]
    others: list[tuple[int, int, int, int, int]]
    """Type number, and as of attributes; the first of each type."""
    length: int
    whole: bool = False
    """Whether it is all of a header: no links, nothing that continues it, no message left over."""


_LAYOUTS_MOST, _LAID_OUT_MOST = 256, 256
"""So many layouts are remembered, each of so many messages."""
_layouts: dict[tuple[int, int], _Layout] = {}
"""By the bytes of a head and of a block, the last layout seen: headers of objects of a kind are laid out alike."""
_last_heads: dict[tuple[int, int], tuple[bytes, ...]] = {}
_NEVER = struct.Struct("").unpack_from


def _as_before(address: int, start: Start) -> ObjectHeader | None:
    """The header at `address`, if all of it is one block that is laid out as another of its size was."""
    version, references, head, begin, data, at, size = start
    layout = _layouts.get((head, size))
    if layout is None or not layout.whole:
        return None
    parts = layout.unpack(data, at)
    if parts[::2] != layout.heads:
        return None
    bodies = parts[1::2]
    first = {kind: (flags, bodies[n], created, begin + place) for kind, flags, n, created, place in layout.others}
    attributes = [(flags, bodies[n], created, begin + place) for flags, n, created, place in layout.attributes]
    return ObjectHeader(address, version, references, first, attributes, [])


def _take(space: AddressSpace, header: ObjectHeader, start: Start) -> None:
    """Puts the messages of the first block, and of those that continue it, into `header`."""
    first, head = header.first, start.head
    signature = b"OCHK" if start.version == 2 else b""
    pending = [(start.address, start.data[start.at : start.at + start.size])]
    for begin, block in pending:
        at, end = 0, len(block)
        while at + head <= end:  # what is left over is a gap (IV.A.1.b)
            layout = _layouts.get((head, end - at))
            parts = () if layout is None else layout.unpack(block, at)
            if layout is None or parts[::2] != layout.heads:
                layout, bodies = _laid_out(block, at, head, space.base + begin)
            else:
                bodies = parts[1::2]
            place = begin + at
            for kind, flags, number, created, where in layout.others:
                if kind not in first:
                    first[kind] = flags, bodies[number], created, place + where
            for flags, number, created, where in layout.attributes:
                header.attributes.append((flags, bodies[number], created, place + where))
            for flags, number, created, where in layout.links:
                header.links.append((flags, bodies[number], created, place + where))
            for number in layout.continuations:
                _continue(space, bodies[number], pending, signature)
            at += layout.length


def messages_in(block: bytes, at: int, head: int, where: int) -> Iterator[tuple[int, int, int, int, int]]:
    """The messages of a block, which stands in the file at `where`, from `at` on.

    Of each its type number, flags, creation index (0 for none), where its body begins, and its length.
    """
    unpack = _MESSAGE_1 if head == 8 else _MESSAGE_2
    end = len(block)
    while at + head <= end:
        kind, length, flags = unpack(block, at)
        at += head
        if at + length > end:
            raise CorruptFile("a header message is longer than its block", offset=where + at)
        yield kind, flags, block[at - 2] | block[at - 1] << 8 if head == 6 else 0, at, length
        at += length


def _laid_out(block: bytes, start: int, head: int, where: int) -> tuple[_Layout, tuple[bytes, ...]]:
    """The layout of the next messages of `block`, which stands in the file at `where`, and their bodies.

    It is remembered where it is the same as the last of its length. Raises CorruptFile.
    """
    heads: list[bytes] = []
    bodies: list[bytes] = []
    attributes, links, continuations = [], [], []
    others: list[tuple[int, int, int, int, int]] = []
    at, end = start, len(block)
    for kind, flags, created, body_at, length in islice(messages_in(block, start, head, where), _LAID_OUT_MOST):
        place = flags, len(heads), created, body_at - start
        if kind == ATTRIBUTE:
            attributes.append(place)
        elif kind == CONTINUATION:
            continuations.append(len(heads))
        elif kind == LINK:
            links.append(place)
        elif kind and all(kind != other[0] for other in others):
            if flags & _TO_BE_KNOWN and kind > _TYPE_MOST:
                raise UnsupportedSource(
                    f"a message of type {kind} that has to be known is not known", offset=where + at
                )
            others.append((kind, *place))
        heads.append(block[body_at - head : body_at])
        at = body_at + length
        bodies.append(block[body_at:at])
    key, told = (head, end - start), tuple(heads)
    layout = _Layout(_NEVER, told, attributes, links, continuations, others, at - start)
    if _last_heads.get(key) == told:
        form = "".join(f"{head}s{len(body)}s" for body in bodies)
        whole = not (start or links or continuations) and at + head > end
        layout = _layouts[key] = layout._replace(unpack=struct.Struct(form).unpack_from, whole=whole)
    for memory in (_layouts, _last_heads):
        if len(memory) > _LAYOUTS_MOST:
            memory.clear()
    _last_heads[key] = told
    return layout, tuple(bodies)


def _continue(space: AddressSpace, body: bytes, pending: list[tuple[int, bytes]], signature: bytes) -> None:
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
