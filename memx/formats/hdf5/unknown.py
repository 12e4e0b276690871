"""What memx does not know of an object is asked of the library; what is broken is not."""

from collections.abc import Iterator
from typing import Any

from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.base import ReadOptions
from memx.formats.hdf5.groups import Link, UnknownLinks
from memx.formats.hdf5.integrity import is_broken
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
    file: HDF5File,
    options: ReadOptions,
    error: UnsupportedSource,
    path: str,
    address: int,
    *,
    counted: bool = False,
    **more: bool,
) -> list[Record]:
    """The library's records of the object at `path`. Raises `error`, or CorruptFile where it is broken.

    `more` is what else to ask for; see `memx.formats.hdf5.library.reader`. `counted`: the construct was counted before.
    """
    if (worse := judged(file, error, address)) is not error:
        raise worse from error
    told = asked(options, error.message, {"path": path, "address": address, **more}, counted=counted)
    if not told:
        raise error
    return told


_CONTRADICTED = "it contradicts a checksum: "
_CANNOT_BE_READ = "cannot be read: "


def judged(file: HDF5File, error: Exception, address: int) -> Exception:
    """`error`; where that is of the unknown, but checksums say that the object at `address` is broken: CorruptFile."""
    if isinstance(error, UnsupportedSource) and is_broken(file.space, address):
        return CorruptFile(_CONTRADICTED + error.message, offset=file.space.base + address)
    return error


def asked_for_attributes(
    file: HDF5File, options: ReadOptions, faults: list[Record], path: str, address: int, **more: bool
) -> list[Record]:
    """The library's records of an object of whose attributes memx has `faults`.

    None where none of those is of the unknown, or where the library can read no more of the attributes. What is broken
    rather than unknown is told of as such in `faults` themselves.
    """
    unknown = [found for found in faults if found["code"] == UnsupportedSource.code]
    if not unknown:
        return []
    if is_broken(file.space, address):
        for found in unknown:
            what, _, why = found["message"].rpartition(_CANNOT_BE_READ)
            found |= {"code": CorruptFile.code, "message": what + _CANNOT_BE_READ + _CONTRADICTED + why}
        return []
    question = {"path": path, "address": address, **more}
    told = asked(options, unknown[0]["message"].rpartition(_CANNOT_BE_READ)[2], question)
    left = sum(record["type"] == "error" for record in told)
    return told if left < len(faults) else []


def links_from_library(
    options: ReadOptions, error: Exception, path: str, address: int, *, counted: bool = False
) -> Iterator[Link] | None:
    """The links of the group at `path` that memx's reader has not given before it met `error`.

    None where the library has no answer, or is none to be asked. The iterator raises CorruptFile where the library
    stops before the end.
    """
    if not isinstance(error, UnsupportedSource):
        return None
    first = error.given if isinstance(error, UnknownLinks) else 0
    page = _page(options, error, {"path": path, "address": address, "members": first}, counted=counted)
    return None if page is None else _links(options, error, page, {"path": path, "address": address}, first)


def _links(
    options: ReadOptions, error: UnsupportedSource, page: Record | None, question: dict[str, Any], first: int
) -> Iterator[Link]:
    while page is not None and page["links"]:
        for name, kind, address, value in page["links"]:
            yield Link(bytes.fromhex(name), kind, address, bytes.fromhex(value), 0)
        first += len(page["links"])
        if first >= page["count"]:
            return
        page = _page(options, error, question | {"members": first}, counted=True)
    if page is None or first < page["count"]:
        raise CorruptFile(f"the library stops after {first} links: {error.message}")


def _page(options: ReadOptions, error: UnsupportedSource, question: dict[str, Any], *, counted: bool) -> Record | None:
    told = asked(options, error.message, question, counted=counted)
    return told[0] if told else None


def construct_of(unknown: str) -> str:
    """What the message `unknown` says that memx does not know."""
    return unknown.removesuffix(" is not known")


def asked(options: ReadOptions, unknown: str, question: dict[str, Any], *, counted: bool = False) -> list[Record]:
    """What the library answers about an object that has what `unknown` says; nothing where it has no answer."""
    if options.ask_library is None:
        return []
    construct = "" if counted else construct_of(unknown)
    told = options.ask_library(_LIBRARY, construct, question)
    return told if told and told[0]["type"] != "error" else []
