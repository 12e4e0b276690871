"""The walk through an HDF5 file by its structure: depth first, every object once, no library."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, NamedTuple

from memx.errors import CorruptFile, MemxError, OverLimit, TruncatedFile
from memx.formats.base import StreamReader, fault
from memx.formats.hdf5.attributes import AttributeReader
from memx.formats.hdf5.groups import EXTERNAL, HARD, SOFT, Link, is_group, links_of
from memx.formats.hdf5.headers import ObjectHeader, read_header
from memx.formats.hdf5.layouts import (
    CHUNKED,
    CONTIGUOUS,
    NAMES,
    VIRTUAL,
    Layout,
    parse_layout,
    storage_size,
    virtual_sources,
)
from memx.formats.hdf5.messages import (
    DATASPACE,
    DATATYPE,
    EXTERNAL_FILES,
    FILL,
    FILTERS,
    LAYOUT,
    OLD_FILL,
    REFERENCE_COUNT,
    parse_external,
    parse_fill,
    parse_filters,
    parse_old_fill,
)
from memx.formats.hdf5.shared import Shared
from memx.formats.hdf5.superblock import read_superblock
from memx.formats.hdf5.values import Values
from memx.records import Record, text

DEPTH_MOST = 1000
_OBJECT_LEAST = 16
"""No object header takes fewer bytes: so a file cannot hold more objects than this says."""

_DESCRIBING = (LAYOUT, DATASPACE, DATATYPE, FILTERS, FILL, OLD_FILL)
_DESCRIBED = 1024
"""So many different kinds of data sets are remembered: a file has thousands of the same kind."""


class _Level(NamedTuple):
    """A group on the way down, and its links that are still to come."""

    address: int
    links: Iterator[Link]


class DirectReader(StreamReader):
    """`group`, `dataset`, `datatype` and `link` records, as `memx.formats.hdf5.library` gives them."""

    format = "hdf5"
    access: ClassVar[Literal["forward", "seek", "path"]] = "seek"

    def open(self) -> dict[str, Any]:
        self._superblock = read_superblock(self.source)
        self._space = space = self._superblock.space
        self._values = Values(space)
        self._shared = Shared(space, self._superblock.extension)
        self._attributes = AttributeReader(self._values, self._shared, self.options.max_value_bytes)
        self._described: dict[tuple[Any, ...], dict[str, Any]] = {}
        self._seen: dict[int, str] = {}
        self._path: list[str] = []
        self._levels: list[_Level] = []
        self._depths: dict[int, int] = {}
        self._objects_left = space.end // _OBJECT_LEAST
        return {}

    def records(self) -> Iterator[Record]:
        root = self._superblock.root
        header = read_header(self._space, root)
        self._seen[root] = "/"
        yield from self._group("/", header)
        while self._levels:
            try:
                link = next(self._levels[-1].links, None)
            except (MemxError, IndexError) as exc:
                yield _broken(f"the list of members of {self._here()}", exc)
                link = None
            if link is None:
                self._leave()
            else:
                yield from self._member(link)
        missing = self._superblock.end_of_file - self._space.end
        if self._superblock.end_of_file != self._space.undefined and missing > 0:
            raise TruncatedFile(f"the file is {missing} bytes shorter than its superblock says")

    def _leave(self) -> None:
        """Back to the group above."""
        del self._depths[self._levels.pop().address]
        del self._path[-1:]

    def _here(self) -> str:
        return "/" + "/".join(self._path)

    def _member(self, link: Link) -> Iterator[Record]:
        """The records of one member of the group at the end of the walk; a group becomes the next level."""
        name = text(link.name)
        path = "/" + "/".join((*self._path, name))
        if link.kind != HARD:
            yield _other_link(link, path)
        elif link.name in (b"", b".") or b"/" in link.name:
            yield fault(CorruptFile.code, f"a link of {self._here()} is called {name!r}, which no link can be")
        elif (target := self._known(link.address)) is not None:
            yield {"type": "link", "path": path, "kind": "hard", "target": target, "file": None}
        else:
            try:
                header = read_header(self._space, link.address)
            except (MemxError, IndexError) as exc:
                yield _broken(f"the object {path}", exc)
                return
            if _references(header) > 1:
                self._seen[link.address] = path
            self._count(path)
            yield from self._object(path, name, header)

    def _known(self, address: int) -> str | None:
        """The path of an object that had its record, if it has several links, or if it lies on the way here."""
        depth = self._depths.get(address)
        return self._seen.get(address) if depth is None else "/" + "/".join(self._path[:depth])

    def _count(self, path: str) -> None:
        """Ends the walk through a file whose links lead on and on, by ways that its counts of links do not tell."""
        self._objects_left -= 1
        if self._objects_left < 0:
            raise CorruptFile(f"the links lead to more objects than the file can hold, at {path}")

    def _object(self, path: str, name: str, header: ObjectHeader) -> Iterator[Record]:
        if LAYOUT in header.first:
            yield from self._with_attributes("dataset", path, header)
        elif is_group(header):
            if len(self._levels) >= DEPTH_MOST:
                yield fault(OverLimit.code, f"groups nest more than {DEPTH_MOST} deep, at {path[:200]}")
                return
            self._path.append(name)
            yield from self._group(path, header)
        elif DATATYPE in header.first:
            yield from self._with_attributes("datatype", path, header)
        else:
            yield fault(CorruptFile.code, f"the object {path} is neither a group, a data set nor a datatype")

    def _group(self, path: str, header: ObjectHeader) -> Iterator[Record]:
        self._depths[header.address] = len(self._levels)
        self._levels.append(_Level(header.address, links_of(self._space, header)))
        yield from self._with_attributes("group", path, header)

    def _with_attributes(self, kind: str, path: str, header: ObjectHeader) -> Iterator[Record]:
        """The record of an object with its own fields and its attributes, then an `error` for each attribute's fault."""
        record: Record = {"type": kind, "path": path}
        try:
            if kind == "dataset":
                self._dataset(record, header)
            elif kind == "datatype":
                self._datatype(record, self._shared.first(header, DATATYPE))
        except (MemxError, IndexError) as exc:
            yield _broken(f"the object {path}", exc)
            return
        attributes, faults = self._attributes.fields(header, path)
        record["address"] = header.address
        record.update(attributes)
        yield record
        yield from faults

    def _datatype(self, record: Record, body: bytes | None) -> None:
        if body is None:
            raise CorruptFile("it has no datatype")
        datatype = self._values.datatype(body)
        record["dtype"] = datatype.name
        if datatype.told:
            record["datatype"] = datatype.told

    def _dataset(self, record: Record, header: ObjectHeader) -> None:
        """Puts shape, type and storage of a data set into `record`."""
        space, first = self._space, self._shared.first
        bodies = tuple(first(header, kind) for kind in _DESCRIBING)
        layout_body = bodies[0]
        if layout_body is None or bodies[1] is None or bodies[2] is None:
            raise CorruptFile("it lacks its dataspace or its datatype")
        layout = parse_layout(space, layout_body)
        key = (layout.kind, layout.chunk, *bodies[1:])
        fields = self._described.get(key)
        if fields is None:
            if len(self._described) >= _DESCRIBED:
                self._described.clear()
            fields = self._described[key] = self._describe(layout, *bodies[1:])
        record.update(fields)
        placed = layout.kind == CONTIGUOUS and layout.address is not None and EXTERNAL_FILES not in header.first
        record["offset"] = space.base + (layout.address or 0) if placed else None
        external = first(header, EXTERNAL_FILES)
        extent = self._values.dataspace(bodies[1])
        record["storage_size"] = storage_size(space, layout, extent, external=external is not None)
        if external is not None:
            record.update(parse_external(space, external))
        if layout.kind == VIRTUAL:
            record.update(virtual_sources(space, self._values.heap, layout))

    def _describe(
        self,
        layout: Layout,
        extent_body: bytes,
        type_body: bytes,
        filters: bytes | None,
        fill: bytes | None,
        old_fill: bytes | None,
    ) -> dict[str, Any]:
        """What data sets of the same messages have in common; the rest is for `_dataset` to put in its place."""
        extent, datatype = self._values.dataspace(extent_body), self._values.datatype(type_body)
        fields: dict[str, Any] = {
            "shape": extent.shape,
            "maxshape": extent.longest,
            "dtype": datatype.name,
            "layout": NAMES[layout.kind],
            "chunks": layout.chunk if layout.kind == CHUNKED else None,
            "filters": parse_filters(filters) if filters else [],
            "offset": None,
            "storage_size": 0,
        }
        value = parse_fill(fill) if fill is not None else parse_old_fill(old_fill)
        if value is not None and datatype.decode is not None and len(value) >= datatype.size:
            fields["fillvalue"] = self._attributes.value(datatype, (), value, 0)
        if datatype.told:
            fields["datatype"] = datatype.told
        return fields


def _references(header: ObjectHeader) -> int:
    """How many hard links lead to an object (IV.A.1, IV.A.2.w)."""
    if header.version == 1:
        return header.references
    message = header.first.get(REFERENCE_COUNT)
    return 1 if message is None else int.from_bytes(message[1][1:5], "little")


def _other_link(link: Link, path: str) -> Record:
    """A soft, external or user-defined link (IV.A.2.g)."""
    record: Record = {"type": "link", "path": path, "kind": "user-defined", "target": None, "file": None}
    if link.kind == SOFT:
        return record | {"kind": "soft", "target": text(link.value.split(b"\0", 1)[0])}
    if link.kind == EXTERNAL:
        file, _, target = link.value[1:].partition(b"\0")
        return record | {"kind": "external", "target": text(target.split(b"\0", 1)[0]), "file": text(file)}
    return record


def _broken(what: str, error: Exception) -> Record:
    if isinstance(error, MemxError):
        return fault(error.code, f"{what} cannot be read: {error.message}", error.offset)
    return fault(CorruptFile.code, f"{what} cannot be read: a message of its header ends in its midst")
