"""The objects of an open HDF5 file: what each is, and what its header says of it."""

import struct
from collections.abc import Iterator
from typing import Any, Literal

from memx.errors import CorruptFile, MemxError, TruncatedFile, UnsupportedSource
from memx.formats.base import fault
from memx.formats.hdf5.attributes import AttributeReader
from memx.formats.hdf5.cacheimage import CACHE_IMAGE, overlaid
from memx.formats.hdf5.datatypes import Datatype
from memx.formats.hdf5.filters import parse_filters
from memx.formats.hdf5.groups import EXTERNAL, SOFT, Link, is_group, links_of
from memx.formats.hdf5.headers import ObjectHeader, read_header
from memx.formats.hdf5.integrity import is_broken
from memx.formats.hdf5.layouts import (
    CHUNKED,
    CONTIGUOUS,
    NAMES,
    VIRTUAL,
    chunks_of,
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
    Dataspace,
    parse_external,
    parse_fill,
    parse_old_fill,
)
from memx.formats.hdf5.shared import SHARED, Shared
from memx.formats.hdf5.superblock import Superblock, read_superblock
from memx.formats.hdf5.values import Values
from memx.records import Record, text
from memx.sources import Source

OBJECT_LEAST = 16
"""No object header takes fewer bytes: so a file cannot hold more objects than its size over this."""
FAULTS = (IndexError, ValueError, struct.error)
"""What a message that ends in its midst raises, beside memx's own errors, where its parser did not look ahead."""

_DESCRIBING = (LAYOUT, DATASPACE, DATATYPE, FILTERS, FILL, OLD_FILL)
_DESCRIBED = 1024
"""So many different kinds of data sets are remembered: a file has thousands of the same kind."""

Kind = Literal["group", "dataset", "datatype"]


class HDF5File:
    """An open file. Objects are known by the address of their header.

    Raises CorruptFile, TruncatedFile, or UnsupportedSource for a superblock or a file driver that memx does not know.
    """

    def __init__(self, source: Source) -> None:
        self.superblock = block = read_superblock(source)
        self.space = block.space
        self.root = block.root
        self.faults: list[Record] = []
        """An `error` for what is broken of the file as a whole: what is left is read."""
        if not block.sound:
            self.faults.append(fault(CorruptFile.code, "the superblock contradicts its checksum", self.space.base))
        try:
            self._extend(source, block)
        except (CorruptFile, *FAULTS) as exc:
            raise self.broken_off(exc) from exc
        self.shared = Shared(self.space, block.extension)
        self.values = Values(self.space, self.shared)
        self._most = max(self.space.end, block.end_of_file)  # no address is behind it
        self._described: dict[tuple[Any, ...], dict[str, Any]] = {}

    def broken_off(self, fault: Exception) -> CorruptFile | TruncatedFile:
        """What is wrong where `fault` ends the reading: that the file is short, if it is."""
        corrupt = fault if isinstance(fault, CorruptFile) else CorruptFile("a structure of the file ends in its midst")
        return self.superblock.shortage() or corrupt

    def _extend(self, source: Source, block: Superblock) -> None:
        """Takes in what the superblock's extension and its driver information say."""
        extension = None if block.extension is None else self._extension(block.extension)
        _refuse_parts(block, extension)
        if extension is not None and CACHE_IMAGE in extension.first:
            self._overlay(source, extension.first[CACHE_IMAGE][1])

    def _extension(self, address: int) -> ObjectHeader:
        """The header of the superblock extension (II.C)."""
        if is_broken(self.space, address):
            where = self.space.base + address
            self.faults.append(fault(CorruptFile.code, "the superblock extension contradicts its checksum", where))
        return self.header(address)

    def _overlay(self, source: Source, message: bytes) -> None:
        """Lays the image of the cache over the file. Raises CorruptFile where without it there is no root group."""
        try:
            self.space = overlaid(source, self.space, message)
        except CorruptFile as exc:
            self.faults.append(broken("the metadata cache image", exc))
            try:
                self.kind(self.header(self.root))
            except (MemxError, *FAULTS):
                raise exc from None

    def header(self, address: int) -> ObjectHeader:
        """The header of an object."""
        return read_header(self.space, address)

    def kind(self, header: ObjectHeader) -> Kind:
        """What an object is. Raises CorruptFile where it is nothing."""
        if LAYOUT in header.first:
            return "dataset"
        if is_group(header):
            return "group"
        if DATATYPE in header.first:
            return "datatype"
        where = self.space.base + header.address
        raise CorruptFile("it is neither a group, a data set nor a datatype", offset=where)

    def links(self, header: ObjectHeader) -> Iterator[Link]:
        """The links of a group."""
        return links_of(self.space, header)

    def references(self, header: ObjectHeader) -> int:
        """How many hard links lead to an object (IV.A.1, IV.A.2.w)."""
        if header.version == 1:
            return header.references
        message = header.first.get(REFERENCE_COUNT)
        return 1 if message is None else int.from_bytes(message[1][1:5], "little")

    def dataspace(self, header: ObjectHeader) -> Dataspace:
        """The dataspace of a data set."""
        body = self.shared.first(header, DATASPACE)
        if body is None:
            raise CorruptFile("it has no dataspace", offset=self.space.base + header.address)
        return self.values.dataspace(body)

    def datatype(self, header: ObjectHeader) -> tuple[Datatype, int | None]:
        """The datatype of a data set or a committed one, and the address of the object that it is committed as."""
        message = header.first.get(DATATYPE)
        if message is None:
            raise CorruptFile("it has no datatype", offset=self.space.base + header.address)
        return self.values.datatype(self.shared.body(message, DATATYPE)), self.shared.committed(message)

    def datatype_fields(self, header: ObjectHeader) -> dict[str, Any]:
        """The fields of a committed datatype."""
        datatype, _ = self.datatype(header)
        return {"dtype": datatype.name} | ({"datatype": datatype.told} if datatype.told else {})

    def dataset_fields(self, header: ObjectHeader, attributes: AttributeReader) -> dict[str, Any]:
        """Shape, type and storage of a data set.

        Most data sets of a file differ in their place alone: what else their messages say is worked out once.
        """
        space, first = self.space, header.first
        bodies: list[bytes | None] = []
        for kind in _DESCRIBING:
            message = first.get(kind)
            bodies.append(
                None if message is None else self.shared.body(message, kind) if message[0] & SHARED else message[1]
            )
        layout_body = bodies[0]
        if layout_body is None or bodies[1] is None or bodies[2] is None:
            raise CorruptFile("it lacks its dataspace or its datatype", offset=space.base + header.address)
        if layout_body[0] >= 3 and layout_body[1] == CONTIGUOUS and EXTERNAL_FILES not in first:
            bodies[0] = layout_body[2 + space.offset_size :]  # all but the address
            fields = self._common(tuple(bodies), layout_body, attributes).copy()
            self.place(fields, space.address(layout_body, 2), fields["storage_size"])
            return fields
        fields = self._common(tuple(bodies), layout_body, attributes).copy()
        layout = parse_layout(space, layout_body)
        external = self.shared.first(header, EXTERNAL_FILES)
        if layout.kind == CONTIGUOUS and layout.address is not None and external is None:
            self.place(fields, layout.address, fields["storage_size"])
        extent = self.values.dataspace(bodies[1])
        fields["storage_size"] = storage_size(space, layout, extent, external=external is not None)
        if external is not None:
            fields |= parse_external(space, external)
        if layout.kind == VIRTUAL:
            fields |= virtual_sources(space, self.values.heap, layout)
        return fields

    def chunk_records(self, header: ObjectHeader, path: str) -> Iterator[Record]:
        """A `chunk` record for each chunk of the data set at `path` that is stored, in the order of its index."""
        body = self.shared.first(header, LAYOUT)
        assert body is not None
        base, most = self.space.base, self._most
        try:
            layout = parse_layout(self.space, body)
            for first, address, size, mask in chunks_of(self.space, layout, self.dataspace(header)):
                if address + size > most:
                    raise CorruptFile("a chunk lies behind the end of the file", offset=base + address)
                yield {
                    "type": "chunk",
                    "path": path,
                    "chunk_offset": list(first),
                    "offset": base + address,
                    "size": size,
                    "filter_mask": mask,
                }
        except (MemxError, *FAULTS) as exc:
            yield broken(f"the index of the chunks of {path}", exc)

    def place(self, fields: dict[str, Any], address: int, size: int) -> None:
        """Puts the place of contiguous data of `size` bytes into `fields`: none where they were never written.

        Raises CorruptFile where no file of this size has it.
        """
        if address == self.space.undefined:
            fields["offset"], fields["storage_size"] = None, 0
            return
        fields["offset"], fields["storage_size"] = self.space.base + address, size
        if address + size > self._most:
            raise CorruptFile("its data lie behind the end of the file", offset=fields["offset"])

    def _common(
        self, bodies: tuple[bytes | None, ...], layout_body: bytes, attributes: AttributeReader
    ) -> dict[str, Any]:
        """What data sets of the same messages have in common; `bodies` are in the order of `_DESCRIBING`."""
        found = self._described.get(bodies)
        if found is None:
            if len(self._described) >= _DESCRIBED:
                self._described.clear()
            found = self._described[bodies] = self._describe(bodies, layout_body, attributes)
        return found

    def _describe(
        self, bodies: tuple[bytes | None, ...], layout_body: bytes, attributes: AttributeReader
    ) -> dict[str, Any]:
        _, extent_body, type_body, filters, new_fill, old_fill = bodies
        assert extent_body is not None
        assert type_body is not None
        layout = parse_layout(self.space, layout_body)
        extent, datatype = self.values.dataspace(extent_body), self.values.datatype(type_body)
        fields: dict[str, Any] = {
            "shape": None if extent.shape is None else list(extent.shape),
            "maxshape": None if extent.longest is None else list(extent.longest),
            "dtype": datatype.name,
            "layout": NAMES[layout.kind],
            "chunks": list(layout.chunk) if layout.kind == CHUNKED else None,
            "filters": parse_filters(filters) if filters else [],
            "offset": None,
            "storage_size": layout.size or 0,
        }
        fill = parse_fill(new_fill) if new_fill is not None else parse_old_fill(old_fill)
        if fill is not None and len(fill) != datatype.size:
            raise CorruptFile(f"its fill value has {len(fill)} bytes, its type {datatype.size}")
        if fill is not None and datatype.decode is not None:
            fields["fillvalue"] = attributes.value(datatype, (), fill, 0)
        if datatype.told:
            fields["datatype"] = datatype.told
        return fields


_DRIVER_INFO = 0x14
_DRIVERS = {b"NCSAfami": "family", b"NCSAmult": "multi"}


def _refuse_parts(block: Superblock, extension: ObjectHeader | None) -> None:
    """Raises UnsupportedSource for one of the files that a family or multi file is made of (II.B, IV.A.2.u)."""
    name = b""
    if block.driver_info is not None:
        name = block.space.read(block.driver_info, 16)[8:]
    elif extension is not None and _DRIVER_INFO in extension.first:
        name = extension.first[_DRIVER_INFO][1][1:9]
    if name in _DRIVERS:
        kind = _DRIVERS[name]
        raise UnsupportedSource(f"this is one of the files of an HDF5 {kind} file, which memx does not put together")


def link_record(link: Link, path: str) -> Record:
    """The record of a soft, external or user-defined link (IV.A.2.g)."""
    record: Record = {"type": "link", "path": path, "kind": "user-defined", "target": None, "file": None}
    if link.kind == SOFT:
        return record | {"kind": "soft", "target": text(link.value.split(b"\0", 1)[0])}
    if link.kind == EXTERNAL:
        file, _, target = link.value[1:].partition(b"\0")
        return record | {"kind": "external", "target": text(target.split(b"\0", 1)[0]), "file": text(file)}
    return record


def broken(what: str, error: Exception) -> Record:
    """The `error` record of an object or a list that cannot be read."""
    if isinstance(error, MemxError):
        return fault(error.code, f"{what} cannot be read: {error.message}", error.offset)
    return fault(CorruptFile.code, f"{what} cannot be read: a message of its header ends in its midst")
