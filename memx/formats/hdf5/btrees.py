"""B-trees, version 1 (III.A.1) and version 2 (III.A.2): walked in the order of their keys, node by node."""

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.hdf5.checksums import sound
from memx.formats.hdf5.space import AddressSpace, unknown_version

_DEEPEST = 64
_NODE_TYPE_MOST = 1
"""The greatest type of nodes (III.A.1) that the specification has."""
_RECORD_TYPE_MOST = 11
"""The greatest type of records (III.A.2) that the specification has."""


def walk_v1(space: AddressSpace, root: int, kind: int, key_size: int) -> Iterator[tuple[bytes, int]]:
    """Each leaf's key and child address of the version 1 tree at `root`, in order.

    `kind` is the node type: 0 for the nodes of a group, 1 for the chunks of a data set.
    """
    width = space.offset_size
    head, step = 8 + 2 * width, key_size + width
    budget = space.end // head + 1  # more nodes than that cannot be in the file
    stack: list[tuple[int, int | None]] = [(root, None)]
    while stack:
        address, expected = stack.pop()
        budget -= 1
        data = space.read(address, head)
        level = data[5]
        if data[:4] == b"TREE" and data[4] > _NODE_TYPE_MOST:
            raise UnsupportedSource(f"a B-tree node of type {data[4]} is not known", offset=space.base + address)
        if data[:4] != b"TREE" or data[4] != kind or (expected is not None and level != expected) or budget < 0:
            raise CorruptFile("there is no node of a B-tree where one is said to be", offset=space.base + address)
        used = data[6] | data[7] << 8
        entries = space.read(address + head, used * step)
        if level:
            children = [space.address(entries, n * step + key_size) for n in range(used)]
            stack.extend((child, level - 1) for child in reversed(children))
        else:
            for at in range(0, used * step, step):
                yield entries[at : at + key_size], space.address(entries, at + key_size)


def walk_v2(space: AddressSpace, header: int, kinds: tuple[int, ...], *, summed: bool = False) -> Iterator[bytes]:
    """Each record of the version 2 tree whose header lies at `header`, in order, as its bytes.

    `kinds` are the record types (III.A.2) that may be there. The iterator raises CorruptFile, or UnsupportedSource for
    a version or a type of records that memx does not know. The checksums of a tree that is more than a leaf are
    computed but those of its leaves, and all of them where they are to be `summed`.
    """
    return chain.from_iterable(_portions(space, header, kinds, summed=summed))


class _Tree(NamedTuple):
    """A version 2 tree: the type and the size of its records, and of nodes of each depth the widths of two counts."""

    space: AddressSpace
    kind: int
    size: int
    pointers: list[tuple[int, int]]
    summed: bool


def _portions(space: AddressSpace, header: int, kinds: tuple[int, ...], *, summed: bool) -> Iterator[list[bytes]]:
    """The records of a version 2 tree, those of a leaf at once."""
    width = space.offset_size
    data = space.read(header, 16 + width + 2 + space.length_size + 4)
    if data[:4] != b"BTHD":
        raise CorruptFile("there is no B-tree header where one is said to be", offset=space.base + header)
    depth, is_known = data[12] | data[13] << 8, data[4] == 0 and data[5] <= _RECORD_TYPE_MOST
    if data[4] == 0 and (depth or summed or not is_known) and not sound(data):
        raise CorruptFile("the header of a B-tree contradicts its checksum", offset=space.base + header)
    if not is_known:
        what = f"a B-tree header of version {data[4]}, record type {data[5]}"
        raise UnsupportedSource(f"{what} is not known", offset=space.base + header)
    if data[5] not in kinds:
        raise CorruptFile("there is no B-tree header where one is said to be", offset=space.base + header)
    node_size = int.from_bytes(data[6:10], "little")
    record_size = data[10] | data[11] << 8
    root, used = space.address(data, 16), int.from_bytes(data[16 + width : 18 + width], "little")
    if root == space.undefined:
        return
    if depth > _DEEPEST or not record_size or node_size < 10 + record_size:
        raise CorruptFile("the header of a B-tree contradicts itself", offset=space.base + header)
    kind, left = data[5], space.length(data, 18 + width)
    if depth:
        tree = _Tree(space, kind, record_size, _pointer_sizes(width, node_size, record_size, depth), summed)
        for records in _node(tree, root, used, depth, [space.end // node_size + 2]):
            left -= len(records)
            yield records
    else:
        records = _leaf(space, root, used, record_size, kind, summed=summed)
        left -= len(records)
        yield records
    if left:
        raise CorruptFile("a B-tree has more or fewer records than its header says", offset=space.base + header)


def _pointer_sizes(width: int, node_size: int, record_size: int, depth: int) -> list[tuple[int, int]]:
    """For a node of each depth: the bytes of a child's record count and of its total record count.

    Both are as wide as the greatest count that fits (III.A.2, "Number of Records for Child Node").
    """
    most = (node_size - 10) // record_size
    own = _bytes_for(most)
    sizes = [(0, 0)]
    total = most
    for level in range(1, depth + 1):
        below = _bytes_for(total) if level > 1 else 0
        sizes.append((own, below))
        most_here = (node_size - 10 - (width + own + below)) // (record_size + width + own + below)
        total = (most_here + 1) * total + most_here
    return sizes


def _bytes_for(count: int) -> int:
    return max(1, (count.bit_length() + 7) // 8)


def _node(tree: _Tree, address: int, used: int, depth: int, budget: list[int]) -> Iterator[list[bytes]]:
    """The records of the internal node at `address` and below it; it nests as deep as the tree, which is bounded."""
    space, kind, size, pointers, summed = tree
    budget[0] -= 1
    own, below = pointers[depth]
    step, child_at = space.offset_size + own + below, 6 + used * size
    data = space.read(address, child_at + (used + 1) * step + 4)
    _refuse(space, data, address, b"BTIN", kind, summed=True)
    for number in range(used + 1):
        if budget[0] < 0:
            raise CorruptFile("a B-tree has more nodes than the file can hold", offset=space.base + address)
        at = child_at + number * step
        child = space.address(data, at)
        count_at = at + space.offset_size
        count = int.from_bytes(data[count_at : count_at + own], "little")
        if depth > 1:
            yield from _node(tree, child, count, depth - 1, budget)
        else:
            budget[0] -= 1
            yield _leaf(space, child, count, size, kind, summed=summed)
        if number < used:
            yield [data[6 + number * size : 6 + (number + 1) * size]]


def _leaf(space: AddressSpace, address: int, used: int, size: int, kind: int, *, summed: bool) -> list[bytes]:
    """The records of the leaf at `address`."""
    end = 6 + used * size
    data = space.read(address, end + 4)
    _refuse(space, data, address, b"BTLF", kind, summed=summed)
    return [data[at : at + size] for at in range(6, end, size)]


def _refuse(space: AddressSpace, data: bytes, address: int, signature: bytes, kind: int, *, summed: bool) -> None:
    """Raises CorruptFile or UnsupportedSource where `data` are no node of a tree of `kind`."""
    if data[:4] != signature or data[5] != kind:
        raise CorruptFile("there is no node of a B-tree where one is said to be", offset=space.base + address)
    if data[4]:
        raise unknown_version("a B-tree node", data[4], space.base + address)
    if summed and not sound(data):
        raise CorruptFile("a node of a B-tree contradicts its checksum", offset=space.base + address)
