"""The walk through an HDF5 file by its structure: depth first, every object once, no library."""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal, NamedTuple

from memx.errors import CorruptFile, MemxError, OverLimit, TruncatedFile
from memx.formats.base import StreamReader, fault
from memx.formats.hdf5.attributes import AttributeReader
from memx.formats.hdf5.groups import EXTERNAL, HARD, SOFT, Link, is_group, links_of
from memx.formats.hdf5.headers import ObjectHeader, read_header
from memx.formats.hdf5.layouts import CHUNKED, CONTIGUOUS, NAMES, VIRTUAL, parse_layout, storage_size, virtual_sources
from memx.formats.hdf5.messages import (
    DATASPACE,
    DATATYPE,
    EXTERNAL_FILES,
    FILL,
    FILTERS,
    LAYOUT,
    REFERENCE_COUNT,
    parse_external,
    parse_fill,
    parse_filters,
)
from memx.formats.hdf5.shared import Shared
from memx.formats.hdf5.superblock import read_superblock
from memx.formats.hdf5.values import Values
from memx.records import Record, text

DEPTH_MOST = 1000
_OBJECT_LEAST = 16
"""No object header takes fewer bytes: so a file cannot hold more objects than this says."""


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
        if header.first(LAYOUT) is not None:
            yield from self._with_attributes("dataset", path, header)
        elif is_group(header):
            if len(self._levels) >= DEPTH_MOST:
                yield fault(OverLimit.code, f"groups nest more than {DEPTH_MOST} deep, at {path[:200]}")
                return
            self._path.append(name)
            yield from self._group(path, header)
        elif header.first(DATATYPE) is not None:
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
        extent_body, type_body, layout_body = (first(header, kind) for kind in (DATASPACE, DATATYPE, LAYOUT))
        if extent_body is None or type_body is None or layout_body is None:
            raise CorruptFile("it lacks its dataspace or its datatype")
        extent = self._values.dataspace(extent_body)
        datatype = self._values.datatype(type_body)
        layout = parse_layout(space, layout_body)
        filters, external = first(header, FILTERS), first(header, EXTERNAL_FILES)
        record["shape"], record["maxshape"] = extent
        record["dtype"] = datatype.name
        record["layout"] = NAMES[layout.kind]
        record["chunks"] = layout.chunk if layout.kind == CHUNKED else None
        record["filters"] = parse_filters(filters) if filters else []
        placed = layout.kind == CONTIGUOUS and layout.address is not None and external is None
        record["offset"] = space.base + (layout.address or 0) if placed else None
        record["storage_size"] = storage_size(space, layout, extent)
        if external is not None:
            record |= parse_external(space, external)
        if layout.kind == VIRTUAL:
            record |= virtual_sources(space, self._values.heap, layout)
        fill = first(header, FILL)
        value = parse_fill(fill) if fill else None
        if value is not None and datatype.decode is not None and len(value) >= datatype.size:
            record["fillvalue"] = self._attributes.value(datatype, (), value, 0)
        if datatype.told:
            record["datatype"] = datatype.told


def _references(header: ObjectHeader) -> int:
    """How many hard links lead to an object (IV.A.1, IV.A.2.w)."""
    if header.version == 1:
        return header.references
    message = header.first(REFERENCE_COUNT)
    return 1 if message is None else int.from_bytes(message.body[1:5], "little")


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
