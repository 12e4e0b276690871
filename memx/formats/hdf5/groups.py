"""The links of a group (IV.A.2.c, IV.A.2.g, IV.A.2.r): in its symbol table, its header, or a heap of its own."""

import struct
from collections.abc import Iterable, Iterator
from functools import partial
from itertools import chain, islice
from operator import attrgetter
from typing import NamedTuple

from memx.errors import CorruptFile, MemxError, UnsupportedSource
from memx.formats.hdf5.btrees import walk_v1, walk_v2
from memx.formats.hdf5.headers import ObjectHeader
from memx.formats.hdf5.heaps import FractalHeap, LocalHeap
from memx.formats.hdf5.messages import GROUP_INFO, LINK_INFO, SYMBOL_TABLE
from memx.formats.hdf5.space import AddressSpace, unknown_version

HARD, SOFT, EXTERNAL = 0, 1, 64
_SORTED_MOST = 4096
"""Groups of more links give them in the order of their own index: sorting would hold them all."""


_PARSED_MOST = 1024
"""So many of them are held as links, the others as their messages, which take a third of the memory."""
_READ_MOST = _SORTED_MOST + 1
"""So many links are read from a heap at once: in the order in which they lie there, which no index has."""


class Link(NamedTuple):
    """A member of a group: `address` of a hard link, `value` of any other, as bytes of the message."""

    name: bytes
    kind: int
    address: int
    value: bytes
    created: int


class UnknownLinks(UnsupportedSource):
    """The list of a group goes on with what memx does not know, `given` links having been given."""

    def __init__(self, error: UnsupportedSource, given: int) -> None:
        super().__init__(error.message, offset=error.offset)
        self.given = given


def is_group(header: ObjectHeader) -> bool:
    """Whether an object is a group: it has a symbol table, or what a new group has."""
    return bool(header.links) or not header.first.keys().isdisjoint((SYMBOL_TABLE, LINK_INFO, GROUP_INFO))


def links_of(space: AddressSpace, header: ObjectHeader) -> Iterator[Link]:
    """The links of the group `header`, in the order of their creation where the group tracks it, else by name.

    Of groups of more than `_SORTED_MOST` links those in a heap come in the order of its index: by creation,
    or by a hash of the name. Raises CorruptFile, or UnsupportedSource for what memx does not know: UnknownLinks where
    links were given before.
    """
    return chain.from_iterable(_portions(space, header))


def _portions(space: AddressSpace, header: ObjectHeader) -> Iterator[Iterable[Link]]:
    table = header.first.get(SYMBOL_TABLE)
    if table is not None:
        body = table[1]
        yield _symbol_table(space, space.address(body, 0), space.address(body, space.offset_size))
        return
    info = header.first.get(LINK_INFO)
    if info is not None and info[1][0]:
        raise unknown_version("a link info message", info[1][0], space.base + info[3])
    tracked = info is not None and bool(info[1][1] & 1)
    bodies = None if info is None else _dense(space, info[1])
    if bodies is None:
        if not header.links:
            return
        bodies = (message[1] for message in header.links)
    parse = partial(parse_link, space)
    links, rest = list(islice(map(parse, bodies), _PARSED_MOST)), []
    for body in islice(bodies, _SORTED_MOST + 1 - len(links)):
        parse(body)  # none is given before it is known that all of them are sound
        rest.append(body)
    if (held := len(links) + len(rest)) > _SORTED_MOST:
        yield links
        yield map(parse, rest)
        yield _counted(map(parse, bodies), held)
        return
    links += map(parse, rest)
    if len({link.name for link in links}) < len(links):
        raise CorruptFile("two of its links have the same name")
    links.sort(key=_created if tracked else _name)
    yield links


_name, _created = attrgetter("name"), attrgetter("created")


def _counted(links: Iterator[Link], given: int) -> Iterator[Link]:
    """`links`, before which `given` were given."""
    try:
        for link in links:
            yield link
            given += 1
    except UnsupportedSource as exc:
        raise UnknownLinks(exc, given) from exc


def _symbol_table(space: AddressSpace, tree: int, heap_address: int) -> Iterator[Link]:
    """An old group: symbol table nodes (III.B) under a B-tree, names in a local heap; in the order of the names."""
    heap = LocalHeap(space, heap_address)
    # III.C: name, header, kind and scratch space, whose first is a link's value; of the name libhdf5 writes a length
    entry = struct.Struct(f"<{space.length_code}{space.offset_code}I4xI12x")
    previous, given = None, 0
    try:
        for _, node in walk_v1(space, tree, 0, space.length_size):
            head = space.read(node, 8)
            if head[:4] != b"SNOD":
                raise CorruptFile("there is no symbol table node where one is said to be", offset=space.base + node)
            if head[4] != 1:
                raise unknown_version("a symbol table node", head[4], space.base + node)
            count = head[6] | head[7] << 8
            for name_at, address, cache, value_at in entry.iter_unpack(space.read(node + 8, count * entry.size)):
                name = heap.name(name_at)
                if name == previous:
                    raise CorruptFile("two of its links have the same name", offset=space.base + node)
                previous = name
                if cache & 0xFF == 2:  # a soft link: its value lies in the heap too
                    yield Link(name, SOFT, 0, heap.name(value_at), 0)
                else:
                    yield Link(name, HARD, address, b"", 0)
            given += count
    except UnsupportedSource as exc:
        raise UnknownLinks(exc, given) from exc


def _dense(space: AddressSpace, body: bytes) -> Iterator[bytes] | None:
    """Link messages in a fractal heap, in the order of the index by creation, if there is one; None without a heap."""
    width = space.offset_size
    flags = body[1]
    at = 10 if flags & 1 else 2
    heap, by_name = space.address(body, at), space.address(body, at + width)
    if heap == space.undefined:
        return None
    if flags & 2:
        by_creation = space.address(body, at + 2 * width)
        if by_creation != space.undefined:
            return _by_creation(space, heap, by_creation)
    return _by_name(space, heap, by_name)


def _by_creation(space: AddressSpace, heap_address: int, tree: int) -> Iterator[bytes]:
    """The link messages that records of type 6 name (III.A.2): in the order in which they lie, most often."""
    heap = FractalHeap(space, heap_address)
    for record in walk_v2(space, tree, (6,)):
        yield heap.read(record[8:])


def _by_name(space: AddressSpace, heap_address: int, tree: int) -> Iterator[bytes]:
    """The link messages that records of type 5 name (III.A.2), in the order of a hash of the names of the links."""
    heap = FractalHeap(space, heap_address)
    records = walk_v2(space, tree, (5,))
    broken = None
    while broken is None:
        heap_ids, number = bytearray(), 0
        try:
            for record in islice(records, _READ_MOST):
                heap_ids += record[4:]
                number += 1
        except MemxError as exc:  # what was before it is given before it is raised
            broken = exc
        yield from heap.read_each(bytes(heap_ids), number)
        if broken is None and number < _READ_MOST:
            return
    raise broken


def parse_link(space: AddressSpace, body: bytes) -> Link:
    """A link message (IV.A.2.g)."""
    if len(body) < 4:
        raise CorruptFile("a link message ends in its midst")
    if body[0] != 1:
        raise unknown_version("a link message", body[0])
    flags, at, kind, created = body[1], 2, HARD, 0
    if flags & 28:  # of most links nothing but a short name and an address is told
        if flags & 8:
            kind, at = body[at], at + 1
        if flags & 4:
            created, at = int.from_bytes(body[at : at + 8], "little"), at + 8
        if flags & 16:
            at += 1
    width = 1 << (flags & 3)
    name_at = at + width
    at = name_at + (body[2] if name_at == 3 else int.from_bytes(body[at:name_at], "little"))
    if kind == HARD:
        end = at + space.offset_size
        if end > len(body):
            raise CorruptFile("a link message ends in its midst")
        return Link(body[name_at:at], HARD, int.from_bytes(body[at:end], "little"), b"", created)
    size = int.from_bytes(body[at : at + 2], "little")
    if at + 2 + size > len(body):
        raise CorruptFile("a link message ends in its midst")
    if kind == EXTERNAL and size < 3:
        raise CorruptFile("an external link is too short to name a file and an object")
    return Link(body[name_at:at], kind, 0, body[at + 2 : at + 2 + size], created)
