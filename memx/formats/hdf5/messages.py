"""Header messages that describe a data set (IV.A.2): dataspace, fill value, external files, filters."""

from typing import Any, NamedTuple

from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.hdf5.heaps import LocalHeap
from memx.formats.hdf5.space import AddressSpace, unknown_version
from memx.records import text

DATASPACE, LINK_INFO, DATATYPE, OLD_FILL, FILL = 1, 2, 3, 4, 5
LINK, EXTERNAL_FILES, LAYOUT, GROUP_INFO, FILTERS, ATTRIBUTE = 6, 7, 8, 10, 11, 12
SHARED_TABLE, SYMBOL_TABLE, ATTRIBUTE_INFO, REFERENCE_COUNT = 15, 17, 21, 22
"""The type numbers of the messages that memx reads."""

_RANK_MOST = 32
_SOURCES_MOST = 256


class Dataspace(NamedTuple):
    """`shape` is None for a null dataspace; None within `longest` is unlimited."""

    shape: tuple[int, ...] | None
    longest: tuple[int | None, ...] | None


def parse_dataspace(space: AddressSpace, body: bytes) -> Dataspace:
    """IV.A.2.b."""
    version, rank, flags = body[0], body[1], body[2]
    if version not in (1, 2):
        raise unknown_version("a dataspace", version)
    if rank > _RANK_MOST:
        raise CorruptFile(f"a dataspace of {rank} dimensions cannot be")
    if version == 2 and body[3] != 1:
        if body[3] > 2:
            raise UnsupportedSource(f"a dataspace of type {body[3]} is not known")
        if rank:
            raise CorruptFile(f"a scalar or null dataspace has {rank} dimensions")
        return Dataspace(None, None) if body[3] == 2 else Dataspace((), ())
    at, width = 8 if version == 1 else 4, space.length_size
    if len(body) < at + rank * width * (2 if flags & 1 else 1):
        raise CorruptFile("a dataspace message ends in its midst")
    shape = tuple(space.length(body, at + n * width) for n in range(rank))
    if not flags & 1:
        return Dataspace(shape, shape)
    unlimited = (1 << 8 * width) - 1
    longest = (space.length(body, at + n * width) for n in range(rank, 2 * rank))
    return Dataspace(shape, tuple(None if extent == unlimited else extent for extent in longest))


def parse_fill(body: bytes) -> bytes | None:
    """IV.A.2.f: the fill value's bytes; None where the user gave none."""
    version = body[0]
    if version in (1, 2):
        defined, at = version == 1 or body[3], 4
        if not defined:
            return None
    elif version == 3:
        if not body[1] & 0x20:
            return None
        at = 2
    else:
        raise unknown_version("a fill value message", version)
    size = int.from_bytes(body[at : at + 4], "little", signed=True)
    if size > len(body) - at - 4:
        raise CorruptFile("a fill value is longer than its message")
    return body[at + 4 : at + 4 + size] if size > 0 else None


def parse_old_fill(body: bytes | None) -> bytes | None:
    """IV.A.2.e, which files had before they had IV.A.2.f."""
    return None if body is None else body[4 : 4 + int.from_bytes(body[:4], "little")] or None


def parse_external(space: AddressSpace, body: bytes) -> dict[str, Any]:
    """IV.A.2.h: the files that hold the data, as the `external` field."""
    if body[0] != 1:
        raise unknown_version("an external file list", body[0])
    used = body[6] | body[7] << 8
    heap = LocalHeap(space, space.address(body, 8))
    at, width = 8 + space.offset_size, space.length_size
    files = []
    for n in range(min(used, _SOURCES_MOST, (len(body) - at) // (3 * width))):
        name, offset, length = (space.length(body, at + (3 * n + m) * width) for m in range(3))
        files.append({"file": text(heap.name(name)), "offset": offset, "length": length})
    return {"external": files} if used <= _SOURCES_MOST else {"external": files, "external_count": used}
