"""How a data set lies in the file: the data layout message (IV.A.2.i), all versions and classes."""

import math
from collections.abc import Iterator
from typing import Any, NamedTuple

from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.hdf5.chunks import (
    Chunk,
    Grid,
    chunk_single,
    chunks_extensible_array,
    chunks_fixed_array,
    chunks_implicit,
    chunks_v1,
    chunks_v2_btree,
)
from memx.formats.hdf5.heaps import GlobalHeap
from memx.formats.hdf5.messages import Dataspace
from memx.formats.hdf5.space import AddressSpace, unknown_version
from memx.records import text

COMPACT, CONTIGUOUS, CHUNKED, VIRTUAL = range(4)
NAMES = ("compact", "contiguous", "chunked", "virtual")
_SOURCES_MOST = 256
_SINGLE, _IMPLICIT, _FIXED, _EXTENSIBLE, _BTREE2 = range(1, 6)
_BTREE1 = 0


class Layout(NamedTuple):
    """A parsed layout message; what its class does not have is None or empty."""

    kind: int
    address: int | None = None
    size: int | None = None
    """Stored bytes of compact and contiguous data; of a filtered single chunk too."""
    chunk: tuple[int, ...] = ()
    element_size: int = 0
    index_type: int = _BTREE1
    mask: int = 0
    heap_index: int = 0


def parse_layout(space: AddressSpace, body: bytes) -> Layout:
    """The layout of a message's body. Raises CorruptFile or UnsupportedSource."""
    version = body[0]
    if version in (1, 2):
        return _version_1(space, body)
    if version in (3, 4, 5):
        kind = body[1]
        if kind == COMPACT:
            return Layout(COMPACT, size=body[2] | body[3] << 8)
        if kind == CONTIGUOUS:
            return Layout(CONTIGUOUS, _defined(space, body, 2), space.length(body, 2 + space.offset_size))
        if kind == CHUNKED:
            return _chunked_3(space, body) if version == 3 else _chunked_4(space, body)
        if kind == VIRTUAL and version >= 4:
            at = 2 + space.offset_size
            return Layout(VIRTUAL, _defined(space, body, 2), heap_index=int.from_bytes(body[at : at + 4], "little"))
    raise UnsupportedSource(f"a data layout of version {version}, class {body[1]} is not known")


def _defined(space: AddressSpace, body: bytes, at: int) -> int | None:
    address = space.address(body, at)
    return None if address == space.undefined else address


def _version_1(space: AddressSpace, body: bytes) -> Layout:
    rank, kind = body[1], body[2]
    if kind > CHUNKED:
        raise CorruptFile(f"a data layout of class {kind} cannot be")
    at = 8 + (space.offset_size if kind != COMPACT else 0)
    sides = tuple(int.from_bytes(body[n : n + 4], "little") for n in range(at, at + 4 * rank, 4))
    at += 4 * rank
    if kind == COMPACT:
        return Layout(COMPACT, size=int.from_bytes(body[at : at + 4], "little"))
    address = _defined(space, body, 8)
    if kind == CONTIGUOUS:
        return Layout(CONTIGUOUS, address, math.prod(sides))
    return Layout(CHUNKED, address, chunk=sides[:-1], element_size=sides[-1] if sides else 0)


def _chunked_3(space: AddressSpace, body: bytes) -> Layout:
    rank, at = body[2], 3 + space.offset_size
    if len(body) < at + 4 * rank or not rank:
        raise CorruptFile("a data layout message ends in its midst")
    sides = tuple(int.from_bytes(body[n : n + 4], "little") for n in range(at, at + 4 * rank, 4))
    return Layout(CHUNKED, _defined(space, body, 3), chunk=sides[:-1], element_size=sides[-1])


def _chunked_4(space: AddressSpace, body: bytes) -> Layout:
    flags, rank, width = body[2], body[3], body[4]
    at = 5 + rank * width
    sides = tuple(int.from_bytes(body[n : n + width], "little") for n in range(5, at, width or 1))
    if not rank or not 1 <= width <= 8 or at >= len(body):
        raise CorruptFile("a data layout message ends in its midst")
    index = body[at]
    at += 1
    size, mask = None, 0
    if index == _SINGLE:
        if flags & 2:
            size = space.length(body, at)
            mask = int.from_bytes(body[at + space.length_size : at + space.length_size + 4], "little")
            at += space.length_size + 4
    else:
        try:
            at += {_IMPLICIT: 0, _FIXED: 1, _EXTENSIBLE: 5, _BTREE2: 6}[index]
        except KeyError:
            raise UnsupportedSource(f"a chunk index of type {index} is not known") from None
    return Layout(CHUNKED, _defined(space, body, at), size, sides[:-1], sides[-1], index, mask)


def chunks_of(space: AddressSpace, layout: Layout, extent: Dataspace) -> Iterator[Chunk]:
    """Every chunk that is stored, in the order of its index."""
    if layout.address is None or extent.shape is None or extent.longest is None:
        return iter(())
    if 0 in layout.chunk or len(layout.chunk) != len(extent.shape):
        raise CorruptFile("the chunks of a data set have other dimensions than the data set")
    grid = Grid(extent.shape, extent.longest, layout.chunk, math.prod(layout.chunk) * layout.element_size)
    if layout.index_type == _SINGLE:
        return chunk_single(layout.address, grid, layout.size, layout.mask)
    if layout.index_type == _IMPLICIT:
        return chunks_implicit(space, layout.address, grid)
    walk = {
        _BTREE1: chunks_v1,
        _FIXED: chunks_fixed_array,
        _EXTENSIBLE: chunks_extensible_array,
        _BTREE2: chunks_v2_btree,
    }
    return walk[layout.index_type](space, layout.address, grid)


def storage_size(space: AddressSpace, layout: Layout, extent: Dataspace, *, external: bool) -> int:
    """The bytes that a data set takes, in the file or in `external` ones; walks the index of a chunked one."""
    if layout.kind == CHUNKED:
        return sum(chunk.size for chunk in chunks_of(space, layout, extent))
    return layout.size or 0 if layout.kind == COMPACT or layout.address is not None or external else 0


def virtual_sources(space: AddressSpace, heap: GlobalHeap, layout: Layout) -> dict[str, Any]:
    """The mappings of a virtual data set (III.F): file and data set of each source.

    In version 1, which libhdf5 2.0 writes and the specification lacks, flags say that a mapping has its file or its
    data set in common with one before it, whose number stands in place of the name, or that its file is this one.
    """
    if layout.address is None:
        return {"virtual": []}
    place, size = heap.place(layout.address, layout.heap_index)
    body = space.read(place, min(size, 1 << 20))
    version, count = body[0], space.length(body, 1)
    if version > 1:
        raise unknown_version("a virtual data set", version)
    at = 1 + space.length_size
    files: list[str] = []
    datasets: list[str] = []
    while len(files) < min(count, _SOURCES_MOST) and at < len(body):
        flags, at = (body[at], at + 1) if version else (0, at)
        if flags & ~(_FILE_SHARED | _DATASET_SHARED | _THIS_FILE):
            raise UnsupportedSource(f"a mapping of a virtual data set with flags {flags:#x} is not known")
        file, at = (".", at) if flags & _THIS_FILE else _source(space, body, at, files, flags & _FILE_SHARED)
        dataset, at = _source(space, body, at, datasets, flags & _DATASET_SHARED)
        at = _behind_selection(body, _behind_selection(body, at))
        files.append(file)
        datasets.append(dataset)
    sources = [{"file": file, "dataset": dataset} for file, dataset in zip(files, datasets, strict=True)]
    return {"virtual": sources} if count <= _SOURCES_MOST else {"virtual": sources, "virtual_count": count}


_FILE_SHARED, _DATASET_SHARED, _THIS_FILE = 1, 2, 4


def _source(space: AddressSpace, body: bytes, at: int, before: list[str], shared: int) -> tuple[str, int]:
    """A name, or where it is shared that one `before` whose number stands there; and where it ends."""
    if not shared:
        return _string(body, at)
    number = space.length(body, at)
    if number >= len(before):
        raise CorruptFile("a mapping of a virtual data set shares the source of none before it")
    return before[number], at + space.length_size


def _string(body: bytes, at: int) -> tuple[str, int]:
    end = body.find(b"\0", at)
    if end < 0:
        raise CorruptFile("a mapping of a virtual data set ends in its midst")
    return text(body[at:end]), end + 1


def _behind_selection(body: bytes, at: int) -> int:
    """Where the serialized selection at `at` ends (VIII.A)."""
    kind, version = (int.from_bytes(body[n : n + 4], "little") for n in (at, at + 4))
    if kind in (0, 3):
        return at + 16
    if version == 1:
        return at + 16 + int.from_bytes(body[at + 12 : at + 16], "little")
    if kind == 2 and version == 2:  # its own length is wrong in what the library writes: always a regular one
        return at + 17 + 32 * int.from_bytes(body[at + 13 : at + 17], "little")
    if kind == 2 and version == 3:
        regular, width, rank = body[at + 8] & 1, body[at + 9], int.from_bytes(body[at + 10 : at + 14], "little")
        if regular:
            return at + 14 + 4 * rank * width
        count = int.from_bytes(body[at + 14 : at + 14 + width], "little")
        return at + 14 + width + 2 * rank * width * count
    if kind == 1 and version == 2:
        width, rank = body[at + 8], int.from_bytes(body[at + 9 : at + 13], "little")
        count = int.from_bytes(body[at + 13 : at + 13 + width], "little")
        return at + 13 + width + rank * width * count
    raise UnsupportedSource(f"a selection of type {kind}, version {version} is not known")
