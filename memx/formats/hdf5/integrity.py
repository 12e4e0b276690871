"""Whether what memx does not know of an object is unknown, or broken: what its checksums say.

Corrupt is not unknown: a byte that flipped may look like a version of tomorrow. So before the library is asked of an
object, the checksums of what memx read of it are computed: of its header with all that continues it (IV.A.1.b), of the
header that its type is shared with, and of the heaps and the indexes of its links and attributes (III.A.2, III.G).
"""

from collections.abc import Iterator
from itertools import islice

from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.hdf5.btrees import walk_v2
from memx.formats.hdf5.checksums import sound
from memx.formats.hdf5.headers import CONTINUATION, messages_in, start_of
from memx.formats.hdf5.heaps import FractalHeap
from memx.formats.hdf5.messages import ATTRIBUTE_INFO, LINK_INFO
from memx.formats.hdf5.shared import SHARED, committed_address
from memx.formats.hdf5.space import AddressSpace

_BYTES_MOST = 1 << 21
"""So many are summed up, which takes a fifth of a second."""
_BLOCKS_MOST, _RECORDS_MOST = 256, 1 << 16
"""So many blocks of a header, and records of an index."""


def is_broken(space: AddressSpace, address: int) -> bool:
    """Whether a checksum contradicts what memx reads of the object at `address`; of much, only the first part."""
    left = _BYTES_MOST
    try:
        for block in _summed(space, address):
            left -= len(block)
            if left < 0:
                return False
            if not sound(block):
                return True
    except UnsupportedSource:
        pass  # what lies behind it nobody can tell
    except (CorruptFile, IndexError):
        return True
    return False


def _summed(space: AddressSpace, address: int) -> Iterator[bytes]:
    """What memx reads of an object, in pieces that a checksum ends."""
    infos: list[tuple[int, bytes]] = []
    shared: list[int] = []
    yield from _header(space, address, infos, shared)
    for other in shared[:1]:
        yield from _header(space, other, [], [])
    for kind, body in infos:
        yield from _dense(space, kind, body)


def _header(space: AddressSpace, address: int, infos: list[tuple[int, bytes]], shared: list[int]) -> Iterator[bytes]:
    """The blocks of a header, if they have checksums; and in `infos` and `shared` what else is to be looked at."""
    start = start_of(space, address)
    if start.version != 2:
        return
    before = start.address - address
    pending = [(address, before, before + start.size + 4)]
    for begin, at, size in pending:
        if size > _BYTES_MOST:
            return
        block = space.read(begin, size)
        yield block
        for kind, flags, _, where, length in messages_in(block[:-4], at, start.head, space.base + begin):
            body = block[where : where + length]
            if kind == CONTINUATION and len(pending) < _BLOCKS_MOST:
                pending.append((space.address(body, 0), 4, space.length(body, space.offset_size)))
            elif kind in (LINK_INFO, ATTRIBUTE_INFO):
                infos.append((kind, body))
            elif flags & SHARED and body[:2] != b"\3\1":
                shared.append(committed_address(space, body))


def _dense(space: AddressSpace, kind: int, body: bytes) -> Iterator[bytes]:
    """The heap and the index of names that the info message `body` names (IV.A.2.c, IV.A.2.v)."""
    at = 2 + (body[1] & 1) * (8 if kind == LINK_INFO else 2)
    heap_address, tree = space.address(body, at), space.address(body, at + space.offset_size)
    if body[0] or space.undefined in (heap_address, tree):
        return
    record_type, id_at = (5, 4) if kind == LINK_INFO else (8, 0)
    heap = FractalHeap(space, heap_address)
    yield heap.head()
    for record in islice(walk_v2(space, tree, (record_type,), summed=True), _RECORDS_MOST):
        if record_type == 5 or not record[8] & SHARED:
            heap.place(record[id_at:])
    yield from heap.blocks(_BYTES_MOST)
