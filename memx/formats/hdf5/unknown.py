"""What memx does not know of an object is asked of the library; what is broken is not."""

from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.base import ReadOptions
from memx.formats.hdf5.checksums import header_is_broken
from memx.formats.hdf5.objects import HDF5File, broken
from memx.records import Record

_LIBRARY = "hdf5-library"


def settled(file: HDF5File, options: ReadOptions, error: Exception, path: str, address: int) -> list[Record]:
    """The records of the object at `path` of which memx's reader says `error`: the library's, or an `error`."""
    if not isinstance(error, UnsupportedSource):
        return [broken(f"the object {path}", error)]
    try:
        return from_library(file, options, error, path, address)
    except (UnsupportedSource, CorruptFile) as exc:
        return [broken(f"the object {path}", exc)]


def from_library(
    file: HDF5File, options: ReadOptions, error: UnsupportedSource, path: str, address: int
) -> list[Record]:
    """The library's records of the object at `path`. Raises `error`, or CorruptFile where its header is broken."""
    if header_is_broken(file.space, address):
        where = file.space.base + address
        raise CorruptFile(f"its header contradicts its checksum: {error.message}", offset=where) from error
    told = asked(options, error.message, path, address)
    if not told:
        raise error
    return told


def asked_for_attributes(options: ReadOptions, faults: list[Record], path: str, address: int) -> list[Record]:
    """The library's records of an object of whose attributes memx has `faults`; none where none is of the unknown."""
    unknown = next((found["message"] for found in faults if found["code"] == UnsupportedSource.code), None)
    return [] if unknown is None else asked(options, unknown.rpartition("cannot be read: ")[2], path, address)


def asked(options: ReadOptions, unknown: str, path: str, address: int) -> list[Record]:
    """The library's records of the object at `path`, which has what `unknown` says; none where it has no answer."""
    if options.ask_library is None:
        return []
    construct = unknown.removesuffix(" is not known")
    told = options.ask_library(_LIBRARY, construct, {"path": path, "address": address})
    return told if told and told[0]["type"] != "error" else []
