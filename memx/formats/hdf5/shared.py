"""Shared messages (IV.A.2 "Shared Message", III.H): a type or a space that several objects have in common."""

from memx.errors import CorruptFile
from memx.formats.hdf5.headers import Message, ObjectHeader, read_header
from memx.formats.hdf5.heaps import FractalHeap
from memx.formats.hdf5.messages import SHARED_TABLE
from memx.formats.hdf5.space import AddressSpace, unknown_version

SHARED = 2
"""The flag of a message that stands elsewhere."""
_CACHED = 256


class Shared:
    """Follows shared messages to where they stand: in another object's header, or in the file's own heap of them."""

    def __init__(self, space: AddressSpace, extension: int | None) -> None:
        self._space = space
        self._extension = extension
        self._committed: dict[tuple[int, int], bytes] = {}
        self._heaps: list[tuple[int, FractalHeap]] | None = None

    def body(self, message: Message, kind: int) -> bytes:
        """The body of `message`, which is of `kind`, or of the message that it stands for."""
        return self.resolve(message[1], kind) if message[0] & SHARED else message[1]

    def first(self, header: ObjectHeader, kind: int) -> bytes | None:
        """The body of the first message of `kind`."""
        message = header.first.get(kind)
        return None if message is None else self.body(message, kind)

    def resolve(self, body: bytes, kind: int) -> bytes:
        """The body of the message of `kind` that `body`, a shared message of version 1 to 3, stands for."""
        version = body[0]
        if version == 3 and body[1] == 1:
            return self.in_heap(body[2:10], kind)
        if not 1 <= version <= 3:
            raise unknown_version("a shared message", version)
        address = committed_address(self._space, body)
        found = self._committed.get((address, kind))
        if found is None:
            message = read_header(self._space, address).first.get(kind)
            if message is None or message[0] & SHARED:
                where = self._space.base + address
                raise CorruptFile("a message is said to be shared with an object that has none", offset=where)
            if len(self._committed) >= _CACHED:
                self._committed.clear()
            found = self._committed[address, kind] = message[1]
        return found

    def committed(self, message: Message) -> int | None:
        """The address of the object whose own message this one stands for; None where it stands for itself."""
        flags, body, *_ = message
        return None if not flags & SHARED or body[:2] == b"\3\1" else committed_address(self._space, body)

    def in_heap(self, heap_id: bytes, kind: int) -> bytes:
        """The body of the message of `kind` that `heap_id` names in the file's heap of shared messages."""
        if self._heaps is None:
            self._heaps = self._table()
        for kinds, heap in self._heaps:
            if kinds >> kind & 1:
                return heap.read(heap_id)
        raise CorruptFile("a message is said to be shared in a heap, and there is none for its type")

    def _table(self) -> list[tuple[int, FractalHeap]]:
        """The heaps of the shared message table (III.H), each with the bits of the types of messages in it."""
        space, o = self._space, self._space.offset_size
        if self._extension is None:
            return []
        message = read_header(space, self._extension).first.get(SHARED_TABLE)
        if message is None:
            return []
        if message[1][0]:
            raise unknown_version("a shared message table message", message[1][0], space.base + message[3])
        address, count = space.address(message[1], 1), message[1][1 + o]
        step = 14 + 2 * o
        data = space.read(address, 4 + count * step)
        if data[:4] != b"SMTB":
            raise CorruptFile(
                "there is no table of shared messages where one is said to be", offset=space.base + address
            )
        heaps = []
        for at in range(4, 4 + count * step, step):
            if data[at]:
                raise unknown_version("an index of shared messages", data[at], space.base + address)
            heap = space.address(data, at + step - o)
            if heap != space.undefined:
                heaps.append((data[at + 2] | data[at + 3] << 8, FractalHeap(space, heap)))
        return heaps


def committed_address(space: AddressSpace, body: bytes) -> int:
    """The address of the object whose own message a shared message stands for."""
    return space.address(body, 8 + space.length_size if body[0] == 1 else 2)
