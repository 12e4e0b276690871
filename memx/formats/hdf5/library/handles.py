"""Opening a file and listing its groups through libhdf5, in memory that does not grow with either."""

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

from h5py import h5, h5f, h5g, h5l, h5o, h5p

from memx.errors import CorruptFile, MemxError, TruncatedFile, UnsupportedSource
from memx.formats.base import fault
from memx.records import Record, text

LIBRARY_ERRORS = (OSError, LookupError, RuntimeError, ValueError, TypeError, NotImplementedError, ArithmeticError)
"""What h5py raises for what libhdf5 refuses; which of them is chance."""

SORTED_MOST = 4096
"""Groups of more members are listed in the order of their own index, since libhdf5 sorts by holding them all."""
_NAME_MOST = 300
"""Characters of a path in a message."""
_CACHE = 1 << 16
"""Bytes of libhdf5's metadata cache, as it counts them: in memory an object takes twenty times what it has on disk."""
_CACHE_MOST = 1 << 26
"""What the cache grows to for a single thing that is larger: the names of an old group are one heap, read whole."""


class Link(NamedTuple):
    """A member of a group; `address` is that of the object's header, for hard links."""

    name: bytes
    kind: int
    address: int


def open_file(path: str) -> Any:
    """The `h5py.h5f.FileID` of `path`, read-only and without a lock. Raises CorruptFile or TruncatedFile."""
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_file_locking(False, True)
    access.set_cache(0, 1, 0, 0.75)  # no chunk is ever read
    access.set_mdc_config(_cache_config(access.get_mdc_config()))
    name = path.encode("utf-8", "surrogateescape")
    try:
        return h5f.open(name, h5f.ACC_RDONLY, access)
    except LIBRARY_ERRORS as exc:
        if "already open for write" not in str(exc):
            raise unreadable("the file", exc) from exc
    try:  # a file that its writer still holds open, for readers like this one
        return h5f.open(name, h5f.ACC_RDONLY | h5f.ACC_SWMR_READ, access)
    except LIBRARY_ERRORS as exc:
        raise unreadable("the file", exc) from exc


def _cache_config(cache: Any) -> Any:
    """A small metadata cache, which makes room for one large entry and shrinks again when that grows old."""
    cache.set_initial_size, cache.initial_size, cache.min_size, cache.max_size = True, _CACHE, _CACHE, _CACHE_MOST
    cache.incr_mode = 0
    cache.flash_incr_mode, cache.flash_multiple, cache.flash_threshold = 1, 1.0, 0.25
    cache.decr_mode, cache.epoch_length, cache.epochs_before_eviction = 2, 5000, 3
    cache.max_decrement, cache.apply_empty_reserve = _CACHE_MOST, False
    return cache


def open_object(location: Any, name: bytes) -> Any:
    """The object behind the hard link `name`: a GroupID, DatasetID or TypeID."""
    return h5o.open(location, name)


def identity(thing: Any) -> tuple[int, int]:
    """The address of the header of an open object, and how many hard links lead to it."""
    info = h5g.get_objinfo(thing)
    return info.objno[0], info.nlink


def members(group: Any, batch: int = SORTED_MOST, first: int = 0) -> Iterator[Link]:
    """The links of `group` from number `first` on, at most `batch` held at once.

    In the order of their creation where the group tracks it, else by name; beyond SORTED_MOST members in the
    order of the group's index: by creation, by name (old groups) or by a hash of the name. Raises LIBRARY_ERRORS.
    """
    count = group.get_num_objs()
    tracked = group.get_create_plist().get_link_creation_order() & h5p.CRT_ORDER_TRACKED
    index = h5.INDEX_CRT_ORDER if tracked else h5.INDEX_NAME
    order = h5.ITER_INC if count <= SORTED_MOST else h5.ITER_NATIVE
    at = first
    found: list[Link] = []

    def collect(name: bytes, info: Any) -> bool | None:
        found.append(Link(name, info.type, info.u))
        return True if len(found) == batch else None

    while at < count:
        failure: Exception | None = None
        try:
            group.links.iterate(collect, info=True, idx_type=index, order=order, idx=at)
        except LIBRARY_ERRORS as exc:
            failure = exc
        yield from found
        if failure is not None:
            raise failure
        if len(found) < batch:
            return
        at += len(found)
        found.clear()


def links_held(depth: int) -> int:
    """How many links of a group to hold that lies `depth` groups deep, 1 for the root: all together stay few."""
    return max(64, min(SORTED_MOST, 2 * SORTED_MOST // depth))


def link_target(group: Any, name: bytes) -> tuple[str | None, str | None]:
    """Where the soft or external link `name` points: the path, and the file, which is None for a soft link."""
    value = group.links.get_val(name)
    if isinstance(value, tuple):
        return text(value[1]), text(value[0])
    return text(value), None


def link_value(group: Any, link: Link) -> bytes:
    """What a link message holds for `link` (IV.A.2.g): nothing for a hard one, nor for one that is the user's own."""
    if link.kind not in LINK_KINDS:
        return b""
    value = group.links.get_val(link.name)
    return b"\0%s\0%s\0" % value if isinstance(value, tuple) else bytes(value)


LINK_KINDS = {h5l.TYPE_SOFT: "soft", h5l.TYPE_EXTERNAL: "external"}
"""The kinds of links that hold a name; any other but a hard link is the user's own."""

HARD = h5l.TYPE_HARD


def reason(error: Exception) -> str:
    """libhdf5's own words, without h5py's wrapping around them."""
    said = str(error.args[0]) if error.args else str(error)
    inner = re.search(r"\((.*)\)", said, re.DOTALL)
    return text((inner.group(1) if inner else said).encode("utf-8", "surrogateescape"))[:300].rstrip(". ")


def unreadable(what: str, error: Exception) -> MemxError:
    """The memx error for what libhdf5 said of `what`."""
    why = reason(error)
    if why.startswith("truncated file"):
        return TruncatedFile(f"{what} is shorter than its superblock says: {why}")
    if "already open for write" in why:
        return UnsupportedSource(f"{what} was left open by its writer; h5clear -s marks it as closed")
    return CorruptFile(f"{what} cannot be read: {why}")


def broken(what: str, error: Exception) -> Record:
    """The `error` record of one object or attribute that libhdf5 cannot read."""
    return fault(CorruptFile.code, f"{what[:_NAME_MOST]} cannot be read: {reason(error)}")
