"""The walk through an HDF5 file: depth first, every object once."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any, ClassVar, Literal

from h5py import h5, h5a, h5d, h5g, h5o

from memx.errors import CorruptFile, OverLimit
from memx.formats.base import BelongsTo, StreamReader, fault
from memx.formats.hdf5.library.datatypes import describe, is_user_defined, numpy_name, parts
from memx.formats.hdf5.library.handles import (
    HARD,
    LIBRARY_ERRORS,
    LINK_KINDS,
    SORTED_MOST,
    Link,
    broken,
    identity,
    link_target,
    link_value,
    links_held,
    members,
    open_file,
    open_object,
    unreadable,
)
from memx.formats.hdf5.library.storage import chunk_records, dataset_fields
from memx.formats.hdf5.library.values import AttributeReader
from memx.records import Record, text

DEPTH_MOST = 1000
"""Groups within groups; libhdf5 holds the whole path of every open one."""
_OBJECT_LEAST = 16
"""No object header takes fewer bytes: so a file cannot hold more objects than this says."""
_NETCDF_SUFFIXES = (".nc", ".nc4", ".cdf")
_PAGE, _LINK_COST = 1 << 19, 48
"""Bytes of JSON that a page of links may take, and those of a link beside its name and value."""
_NETCDF_LOOKED_AT = 64
"""Members of the root group that are asked whether they are dimensions of netCDF."""


@dataclass(slots=True)
class _Level:
    """A group on the way down, and those of its members that are still to come."""

    address: int
    links: Iterator[Link]
    group: Any


class HDF5StreamReader(StreamReader):
    """`group`, `dataset`, `datatype` and `link` records, through h5py.

    Every object gives one record, found by the address of its header (`address`); a further hard link to
    it is a `link` whose `target` is the path of that record. Soft links are not followed, files behind
    external links and external storage not opened; the sources of a virtual dataset without a fixed extent are opened
    by libhdf5 itself, which takes the extent from them. Groups nest at most DEPTH_MOST deep.
    """

    format = "hdf5"
    reader = "h5py"
    access: ClassVar[Literal["forward", "seek", "path"]] = "path"

    _file: Any = None

    def open(self) -> dict[str, Any]:
        path = self.source.local_path()
        assert path is not None
        self._file = open_file(path)
        if self.options.format is None and looks_like_netcdf(self._file, self.source.path):
            raise BelongsTo("netcdf4")
        self._attributes = AttributeReader(self._file, self.options.max_value_bytes)
        self._seen: dict[int, str] = {}  # the paths of objects with more than one hard link, by address
        self._path: list[str] = []
        self._levels: list[_Level] = []
        self._depths: dict[int, int] = {}  # where the groups on the way here stand in `_levels`, by address
        self._objects_left = (self.source.size or 0) // _OBJECT_LEAST
        return {}

    def close(self) -> None:
        self._levels = []
        self._file = None  # the last handle closes the file
        super().close()

    def records(self) -> Iterator[Record]:
        try:
            root = open_object(self._file, b"/")
            address, _ = identity(root)
        except LIBRARY_ERRORS as exc:
            raise unreadable("the root group", exc) from exc
        self._seen[address] = "/"
        yield from self._group("/", root, address)
        while self._levels:
            try:
                link = next(self._levels[-1].links, None)
            except LIBRARY_ERRORS as exc:
                yield broken(f"the list of members of {self._here()}", exc)
                link = None
            if link is None:
                self._leave()
            else:
                yield from self._member(link)

    def answer(self, question: dict[str, Any]) -> list[Record]:
        """The record of the object at `path`, if its header lies at `address`, and errors of its attributes.

        Of a group, where the number of one of its `members` is asked for: those from that one on; of a data set, where
        its `chunks` are: those, behind a record of the type `chunks`. Attributes come in the order of their creation
        where `by_creation` is asked for, what a datatype is made of where its `parts` are: of a data set then the
        address of a user-defined type that it has.
        """
        path: str = question["path"]
        try:
            thing = open_object(self._file, path.encode("utf-8"))
            address, _ = identity(thing)
        except LIBRARY_ERRORS:
            return []
        if address != question["address"]:
            return []
        if "members" in question:
            return _page(thing, question["members"]) if isinstance(thing, h5g.GroupID) else []
        if "chunks" in question:
            return [{"type": "chunks"}, *chunk_records(thing, path)] if isinstance(thing, h5d.DatasetID) else []
        self._attributes.index = h5.INDEX_CRT_ORDER if question.get("by_creation") else h5.INDEX_NAME
        if isinstance(thing, h5g.GroupID):
            told = self._with_attributes({"type": "group", "path": path}, thing, lambda _group: {}, address)
        elif isinstance(thing, h5d.DatasetID):
            dataset = self._dataset_parts if question.get("parts") else self._dataset_fields
            told = self._with_attributes({"type": "dataset", "path": path}, thing, dataset, address)
        else:
            datatype = _datatype_parts if question.get("parts") else _datatype_fields
            told = self._with_attributes({"type": "datatype", "path": path}, thing, datatype, address)
        return list(told)

    def _leave(self) -> None:
        """Back to the group above."""
        del self._depths[self._levels.pop().address]
        del self._path[-1:]

    def _here(self) -> str:
        return "/" + "/".join(self._path)

    def _member(self, link: Link) -> Iterator[Record]:
        """The records of one member of the group at the end of the walk; a group becomes the next level."""
        parent = self._levels[-1].group
        name = text(link.name)
        path = "/" + "/".join((*self._path, name))
        if link.kind != HARD:
            yield named_link(parent, link, path)
        elif link.name in (b"", b".") or b"/" in link.name:
            yield fault(CorruptFile.code, f"a link of {self._here()} is called {name!r}, which no link can be")
        elif (target := self._known(link.address)) is not None:
            yield {"type": "link", "path": path, "kind": "hard", "target": target, "file": None}
        else:
            try:
                thing = open_object(parent, link.name)
                address, links = identity(thing)
            except LIBRARY_ERRORS as exc:
                yield broken(f"the object {path}", exc)
                return
            if links > 1:
                self._seen[address] = path
            self._count(path)
            yield from self._object(path, name, thing, address)

    def _known(self, address: int) -> str | None:
        """The path of an object that had its record, if it has several links, or if it lies on the way here.

        The latter without trusting the file's own count of links: a cycle has to end.
        """
        depth = self._depths.get(address)
        return self._seen.get(address) if depth is None else "/" + "/".join(self._path[:depth])

    def _count(self, path: str) -> None:
        """Ends the walk through a file whose links lead on and on, by ways that its counts of links do not tell."""
        self._objects_left -= 1
        if self._objects_left < 0:
            raise CorruptFile(f"the links lead to more objects than the file can hold, at {path}")

    def _object(self, path: str, name: str, thing: Any, address: int) -> Iterator[Record]:
        if isinstance(thing, h5g.GroupID):
            if len(self._levels) >= DEPTH_MOST:
                yield fault(OverLimit.code, f"groups nest more than {DEPTH_MOST} deep, at {path[:200]}")
                return
            self._path.append(name)
            yield from self._group(path, thing, address)
        elif isinstance(thing, h5d.DatasetID):
            yield from self._with_attributes({"type": "dataset", "path": path}, thing, self._dataset_fields, address)
        else:
            yield from self._with_attributes({"type": "datatype", "path": path}, thing, _datatype_fields, address)

    def _group(self, path: str, group: Any, address: int) -> Iterator[Record]:
        self._depths[address] = len(self._levels)
        self._levels.append(_Level(address, members(group, links_held(len(self._levels) + 1)), group))
        yield from self._with_attributes({"type": "group", "path": path}, group, lambda _group: {}, address)

    def _dataset_fields(self, dataset: Any) -> dict[str, Any]:
        return dataset_fields(dataset, self._attributes)

    def _dataset_parts(self, dataset: Any) -> dict[str, Any]:
        datatype = dataset.get_type()
        committed = identity(datatype)[0] if is_user_defined(datatype) and datatype.committed() else None
        return self._dataset_fields(dataset) | {"committed": committed}

    def _with_attributes(self, record: Record, thing: Any, fields: Any, address: int) -> Iterator[Record]:
        """`record` with its own fields and its attributes, then an `error` for each attribute that cannot be read."""
        path = record["path"]
        try:
            record |= fields(thing)
        except LIBRARY_ERRORS as exc:
            yield broken(f"the object {path}", exc)
            return
        attributes, faults = self._attributes.fields(thing, path)
        record |= {"address": address} | attributes
        yield record
        yield from faults
        if self.options.chunks and record.get("chunks"):
            yield from chunk_records(thing, path)


def _datatype_fields(datatype: Any) -> dict[str, Any]:
    told = describe(datatype)
    name = {"dtype": numpy_name(datatype)}
    return name | {"datatype": told} if told else name


def _datatype_parts(datatype: Any) -> dict[str, Any]:
    return {"parts": parts(datatype)}


def _page(group: Any, first: int) -> list[Record]:
    """The links of an open group from number `first` on, some of many, for a reader that cannot list them.

    Each is its name, its kind, the address of a hard link, and its value, in hexadecimal digits; `count` is how many
    the group has. Fewer than there are, or none, where libhdf5 cannot go on.
    """
    links: list[Any] = []
    room = _PAGE
    try:
        count = group.get_num_objs()
        for link in islice(members(group, first=first), SORTED_MOST):
            address = link.address if link.kind == HARD else 0
            value = link_value(group, link)
            links.append([link.name.hex(), link.kind, address, value.hex()])
            room -= 2 * (len(link.name) + len(value)) + _LINK_COST
            if room < 0:
                break
    except LIBRARY_ERRORS:
        if not links:
            return []
    return [{"type": "members", "links": links, "count": count}]


def named_link(parent: Any, link: Link, path: str) -> Record:
    """The `link` record of a link that holds a name, soft, external or the user's own; it is not followed."""
    kind = LINK_KINDS.get(link.kind, "user-defined")
    if kind == "user-defined":
        return {"type": "link", "path": path, "kind": kind, "target": None, "file": None}
    try:
        target, file = link_target(parent, link.name)
    except LIBRARY_ERRORS as exc:
        return broken(f"the {kind} link {path}", exc)
    return {"type": "link", "path": path, "kind": kind, "target": target, "file": file}


def looks_like_netcdf(file: Any, path: str) -> bool:
    """Whether an HDF5 file is netCDF-4: by netCDF's own marks, or by its name where it ends as netCDF's do.

    The marks are attributes of the root group, `_NCProperties` and `_nc3_strict`, or, in files older than
    netCDF 4.4.1, what marks a dimension of the root group (NetCDF User's Guide, netCDF-4 format).
    """
    if path.lower().endswith(_NETCDF_SUFFIXES):
        return True
    try:
        root = h5o.open(file, b"/")
        if h5a.exists(root, b"_NCProperties") or h5a.exists(root, b"_nc3_strict"):
            return True
        for index, link in enumerate(members(root)):
            if index == _NETCDF_LOOKED_AT:
                break
            if link.kind == HARD and link.name not in (b"", b".") and b"/" not in link.name:
                thing = h5o.open(root, link.name)
                if isinstance(thing, h5d.DatasetID) and h5a.exists(thing, b"_Netcdf4Dimid"):
                    return True
    except LIBRARY_ERRORS:
        pass  # the walk will say what is wrong
    return False
