"""The superblock (II.A, disk format level 0A): where everything begins."""

from typing import NamedTuple

from memx.errors import CorruptFile, TruncatedFile, UnsupportedSource
from memx.formats.hdf5.checksums import sound
from memx.formats.hdf5.space import AddressSpace
from memx.formats.signatures import HDF5_SIGNATURE
from memx.sources import Source

WIDTHS = (2, 4, 8)


class Superblock(NamedTuple):
    """What the superblock says; addresses count from `space.base`."""

    version: int
    space: AddressSpace
    end_of_file: int
    """The first address behind what the writer had allocated."""
    root: int
    """The address of the root group's object header."""
    extension: int | None
    """The address of the superblock extension's object header."""
    driver_info: int | None
    sound: bool
    """Whether it agrees with its checksum; versions 0 and 1 have none."""
    consistency: int
    """File consistency flags; bit 0: open for writing, bit 2: for single writer, multiple readers."""

    def shortage(self) -> TruncatedFile | None:
        """What is wrong with a file that ends before what its superblock says was allocated; None for a whole one."""
        missing = self.end_of_file - self.space.end
        if self.end_of_file == self.space.undefined or missing <= 0:
            return None
        return TruncatedFile(f"the file is {missing} bytes shorter than its superblock says")


def find_superblock(source: Source) -> int | None:
    """Where the signature stands: at 0, 512, 1024, 2048 ... (II.A); None where it is nowhere."""
    at, size = 0, source.size or 0
    while at + 8 <= size:
        if source.read_at(at, 8) == HDF5_SIGNATURE:
            return at
        at = max(512, at * 2)
    return None


def read_superblock(source: Source) -> Superblock:
    """The superblock of `source`.

    Raises CorruptFile, TruncatedFile, or UnsupportedSource for a version that memx does not know.
    """
    at = find_superblock(source)
    if at is None:
        raise CorruptFile("there is no HDF5 signature at 0, 512, 1024 or any later power of two")
    data = source.read_at(at, 128)
    if len(data) < 15:  # in all versions the widths of addresses and lengths stand before
        raise TruncatedFile("the file ends inside the superblock", offset=at + len(data))
    version = data[8]
    if version > 3:
        raise UnsupportedSource(f"superblock version {version} is not known", offset=at + 8)
    return _old(source, at, data) if version < 2 else _new(source, at, data)


def _space(source: Source, at: int, data: bytes, widths: bytes) -> AddressSpace:
    if widths[0] not in WIDTHS or widths[1] not in WIDTHS:
        raise CorruptFile(f"addresses of {widths[0]} and lengths of {widths[1]} bytes cannot be", offset=at + 13)
    return AddressSpace(source, at, widths[0], widths[1])


def _old(source: Source, at: int, data: bytes) -> Superblock:
    """Versions 0 and 1: the root group is a symbol table entry."""
    space = _space(source, at, data, data[13:15])
    width = space.offset_size
    begin = 24 + (4 if data[8] == 1 else 0)
    base, _free, end, driver = (space.address(data, begin + n * width) for n in range(4))
    root = begin + 4 * width + space.length_size  # behind the name, whose offset in a heap is written as a length
    if len(data) < root + width:
        raise TruncatedFile("the file ends inside the superblock", offset=at + len(data))
    return Superblock(
        version=data[8],
        space=space,
        end_of_file=_end(space, base, end),
        root=space.address(data, root),
        extension=None,
        driver_info=None if driver == space.undefined else driver,
        sound=True,
        consistency=int.from_bytes(data[20:24], "little"),
    )


def _new(source: Source, at: int, data: bytes) -> Superblock:
    """Versions 2 and 3: the root group is an object header."""
    space = _space(source, at, data, data[9:11])
    width = space.offset_size
    if len(data) < 12 + 4 * width + 4:
        raise TruncatedFile("the file ends inside the superblock", offset=at + len(data))
    base, extension, end, root = (space.address(data, 12 + n * width) for n in range(4))
    return Superblock(
        version=data[8],
        space=space,
        end_of_file=_end(space, base, end),
        root=root,
        extension=None if extension == space.undefined else extension,
        driver_info=None,
        sound=sound(data[: 16 + 4 * width]),
        consistency=data[11],
    )


def _end(space: AddressSpace, base: int, end: int) -> int:
    # the end counts from the start of the file; a file that was moved behind a user block keeps its old base
    return end if end == space.undefined else end - base
