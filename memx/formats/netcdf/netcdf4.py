"""NetCDF-4: HDF5 files, told in the terms of netCDF.

netCDF-4 is HDF5 by definition, so this imports the HDF5 reader's parts: the one import between formats.
"""

from collections.abc import Iterable, Iterator
from itertools import chain
from math import prod
from typing import Any, ClassVar, Literal

from memx.errors import CorruptFile, MemxError, UnsupportedSource
from memx.formats.base import StreamReader
from memx.formats.hdf5.alike import Alike, Found
from memx.formats.hdf5.attributes import AttributeReader
from memx.formats.hdf5.datatypes import COMPOUND, ENUM, OPAQUE, STRING, VLEN, Datatype
from memx.formats.hdf5.direct import in_blocks, open_file, raise_if_short
from memx.formats.hdf5.messages import DATATYPE
from memx.formats.hdf5.objects import FAULTS, broken
from memx.formats.hdf5.unknown import asked, asked_for_attributes, from_library
from memx.formats.netcdf.dimensions import MARKS, Dimensions, Shape
from memx.formats.netcdf.tree import Answer, Event, Tree
from memx.records import Record, text

_RENAMED = "_nc4_non_coord_"
"""What netCDF puts before the name of a variable that is called like a dimension without being along it."""
_NOT_STORED = frozenset(
    ("type", "path", "attributes", "attributes_truncated", "attribute_count", "address", "committed")
)
"""Fields of the library's record of a dataset that do not tell of its storage."""
_KINDS = {ENUM: "enum", COMPOUND: "compound", VLEN: "vlen", OPAQUE: "opaque"}
_ATOMIC = "atomic"


class NetCDFAttributes(AttributeReader):
    """Attributes as netCDF gives them: text without NULs, one number for an array of one, bookkeeping hidden."""

    hidden = frozenset(
        (
            "CLASS",
            "DIMENSION_LIST",
            "NAME",
            "REFERENCE_LIST",
            "_Format",
            "_IsNetcdf4",
            "_NCProperties",
            "_Netcdf4Coordinates",
            "_Netcdf4Dimid",
            "_SuperblockVersion",
            "_nc3_strict",
        )
    )
    same = MARKS
    by_creation = True

    def decoded(self, datatype: Datatype, shape: tuple[int, ...] | None, data: bytes, at: int) -> Any:
        """The value of an attribute.

        Text of a fixed length is NC_CHAR in one element, of which the padding stays and NULs go, and NC_STRING in
        several, each up to its first NUL; of text the shape is lost.
        """
        if shape is None:
            return "" if datatype.kind == STRING else []
        if datatype.kind == STRING:
            size = datatype.size
            if not shape:
                return text(data[at : at + size].replace(b"\0", b""))
            places = range(at, at + prod(shape) * size, size)
            return _as_netcdf([text(data[place : place + size].split(b"\0", 1)[0]) for place in places])
        if shape and datatype.is_string:
            shape = (prod(shape),)
        return _as_netcdf(super().decoded(datatype, shape, data, at))

    def in_its_terms(self, attributes: dict[str, Any]) -> dict[str, Any]:
        """What HDF5's library says of attributes; of those without a value it does not tell text from numbers."""
        return {
            name: [] if value is None else _as_netcdf(value)
            for name, value in attributes.items()
            if name not in self.hidden
        }


def _as_netcdf(value: Any) -> Any:
    if isinstance(value, list) and len(value) == 1:
        value = value[0]
    return value.replace("\0", "") if isinstance(value, str) else value


class NetCDF4StreamReader(StreamReader):
    """A `group`, its `dimension`s, its `type`s and `variable`s, then the groups within it.

    Two walks: the lengths of unlimited dimensions, and which dimensions there are, only the whole file tells.
    The first starts after the record of the root group. What lies behind external links is not opened: they are
    `link` records, as in HDF5; so are links that lead nowhere.
    """

    format = "netcdf"
    access: ClassVar[Literal["forward", "seek", "path"]] = "seek"

    def open(self) -> dict[str, Any]:
        self._file = file = open_file(self)
        self._attributes = NetCDFAttributes(file.values, file.shared, self.options.max_value_bytes)
        self._alike = Alike(file, self._attributes)
        self._types: dict[int, str] = {}
        self._dimensions = Dimensions(file, self.options)
        try:
            strict = self._is_strict()
        except (CorruptFile, *FAULTS) as exc:
            raise file.broken_off(exc) from exc
        return {"variant": "NETCDF4_CLASSIC" if strict else "NETCDF4"}

    def records(self) -> Iterator[Record]:
        try:
            yield from self._walk()
        except (CorruptFile, *FAULTS) as exc:
            raise self._file.broken_off(exc) from exc

    def blocks(self) -> Iterator[Record | bytes]:
        """The records as lines, many at a time, errors between them as records."""
        return in_blocks(self.records())

    def _walk(self) -> Iterator[Record]:
        yield from self._file.faults
        tree = Tree(self._file, self.options, self._alike)
        for event in tree.walk():
            if event.kind == "enter":
                yield from self._described({"type": "group", "path": event.path}, event)
                if event.path == "/":
                    self._learn(tree)
                for dimension in self._dimensions.of_group(event.path):
                    yield {
                        "type": "dimension",
                        "path": dimension.path,
                        "size": dimension.size,
                        "unlimited": dimension.unlimited,
                    }
            elif event.kind == "record":
                yield event.record
            elif event.kind != "leave":
                yield from self._readable(event)
        raise_if_short(self._file)

    def _learn(self, tree: Tree) -> None:
        for event in tree.walk(again=True):
            self._dimensions.learn(event)
            if event.kind == "type":
                self._types[event.address] = event.path
        self._dimensions.complete()

    def _is_strict(self) -> bool:
        """Whether the root group says that the file keeps to netCDF's classic model."""
        file = self._file
        try:
            return b"_nc3_strict" in self._attributes.names(file.header(file.root))
        except UnsupportedSource as exc:  # it is counted in the walk
            told = asked(self.options, exc.message, {"path": "/", "address": file.root}, counted=True)
            return bool(told) and "_nc3_strict" in told[0]["attributes"]

    def _readable(self, event: Event) -> Iterable[Record]:
        """The records of a dataset or a type, or the `error` of one that cannot be read."""
        try:
            if event.found is not None:
                try:
                    return self._as_others(event, event.found)
                except (MemxError, *FAULTS):  # what is wrong shows where it is read as a whole
                    event = Event(event.kind, event.path, event.name, self._file.header(event.address))
            record = self._type(event) if event.kind == "type" else self._variable(event)
        except (MemxError, *FAULTS) as exc:
            return [broken(f"the object {event.path}", exc)]
        if record is None:
            return ()
        records = self._described(record, event)
        if self.options.chunks and record.get("chunks"):
            return chain(records, self._chunks(event, record["path"]))
        return records

    def _as_others(self, event: Event, found: Found) -> Iterable[Record]:
        """The record of a dataset that is like others before. Raises FormatError where there is more to be told."""
        marks, kind = self._dimensions.marks(event), found.kind
        if marks.is_scale and marks.is_dimension_only:
            return ()
        if kind.record is None:
            stored = self._file.dataset_fields(kind.header, self._attributes)
            kind.record = self._record(event, stored, self._dimensions.shape(event, marks))
        record = kind.record.copy()
        record["path"] = _path(event)
        record["dimensions"], record["dimension_paths"], record["shape"] = self._dimensions.shape(event, marks)
        self._alike.place(found, record)
        record["attributes"] = attributes = self._attributes.filled(kind.slots, found.values)
        if attributes is None or (self.options.chunks and record["chunks"]):
            raise CorruptFile("it has attributes that cannot be read, or chunks")
        return (record,)

    def _variable(self, event: Event) -> Record | None:
        """The `variable` record of a dataset; None for a scale that is a dimension alone."""
        marks = self._dimensions.marks(event)
        if marks.is_scale and marks.is_dimension_only:
            return None
        stored = self._stored(event)
        return self._record(event, stored, self._dimensions.shape(event, marks))

    def _record(self, event: Event, stored: dict[str, Any], shape: Shape) -> Record:
        record: Record = {
            "type": "variable",
            "path": _path(event),
            "dtype": stored.pop("dtype"),
            "dimensions": shape.names,
            "dimension_paths": shape.paths,
            "shape": shape.lengths,
        }
        del stored["shape"]
        return record | stored | self._user_type(event)

    def _stored(self, event: Event) -> dict[str, Any]:
        """Type and storage of a dataset, asked of the library where they hold what memx does not know."""
        if event.header is not None:
            try:
                return self._file.dataset_fields(event.header, self._attributes)
            except UnsupportedSource as exc:
                told = from_library(self._file, self.options, exc, event.path, event.address)
                if told[0]["type"] != "dataset":
                    raise
                event.answer = Answer(exc, told)
        assert event.answer is not None
        return {key: value for key, value in event.answer.records[0].items() if key not in _NOT_STORED}

    def _chunks(self, event: Event, path: str) -> Iterator[Record]:
        """The `chunk` records of the variable at `path`, the library's where it told of its storage."""
        if event.answer is None:
            assert event.header is not None
            yield from self._file.chunk_records(event.header, path)
            return
        unknown = event.answer.unknown
        question = {"path": event.path, "address": event.address, "chunks": True}
        told = asked(self.options, unknown.message, question, counted=True)
        for record in told[1:] if told else [broken(f"the index of the chunks of {path}", unknown)]:
            yield record | {"path": path} if record["type"] == "chunk" else record

    def _user_type(self, event: Event) -> dict[str, Any]:
        if event.header is None:
            assert event.answer is not None
            committed = event.answer.records[0]["committed"]
            return {} if committed is None else {"user_type": self._types.get(committed)}
        try:
            datatype, committed = self._file.datatype(event.header)
        except UnsupportedSource:
            committed = self._file.shared.committed(event.header.first[DATATYPE])
            return {"user_type": self._types[committed]} if committed in self._types else {}
        if committed is None or _kind(datatype) == _ATOMIC:
            return {}
        return {"user_type": self._types.get(committed)}

    def _type(self, event: Event) -> Record:
        """The `type` record of a user-defined type.

        `kind` is `enum`, `compound`, `vlen` or `opaque` (else `atomic`). `members` are the names and values of an
        enumeration, or the name, dtype, shape and offset of each field of a compound.
        """
        if event.answer is not None:
            parts: Record = event.answer.records[0]["parts"]
            return {"type": "type", "path": event.path} | parts
        assert event.header is not None
        try:
            datatype, _ = self._file.datatype(event.header)
        except UnsupportedSource as exc:
            told = from_library(self._file, self.options, exc, event.path, event.address, parts=True)[0]
            if told["type"] != "datatype":
                raise
            parts = told["parts"]
            return {"type": "type", "path": event.path} | parts
        kind = _kind(datatype)
        record: Record = {
            "type": "type",
            "path": event.path,
            "kind": kind,
            "dtype": datatype.name,
            "size": datatype.in_memory,
        }
        if kind in ("enum", "vlen") and datatype.base is not None:
            record["base"] = datatype.base.name
        if kind == "enum":
            record["members"] = (datatype.told or {}).get("members")
        elif kind == "compound":
            record["members"] = [_member(*member) for member in datatype.members]
        return record

    def _described(self, record: Record, event: Event) -> Iterator[Record]:
        """`record`, of the object of `event`, with its attributes, then an `error` for each that cannot be read."""
        attributes: dict[str, Any] = {}
        told: list[Record] = []
        faults: list[Record] = []
        if event.header is not None:
            attributes, faults = self._attributes.fields(event.header, record["path"])
            if faults:
                told = asked_for_attributes(
                    self._file, self.options, faults, event.path, event.address, by_creation=True
                )
        elif event.answer is not None:
            told = event.answer.records
        if told:
            attributes = {key: value for key, value in told[0].items() if key.startswith("attribute")}
            attributes["attributes"] = self._attributes.in_its_terms(attributes["attributes"])
            faults = [each for each in told if each["type"] == "error"]
        yield record | attributes
        yield from faults


def _kind(datatype: Datatype) -> str:
    """What a datatype is to netCDF, to which a complex number is a compound of two."""
    if datatype.members:
        return _KINDS[COMPOUND]
    return _ATOMIC if datatype.is_string else _KINDS.get(datatype.kind, _ATOMIC)


def _path(event: Event) -> str:
    return event.path[: -len(event.name)] + event.name.removeprefix(_RENAMED)


def _member(name: str, offset: int, datatype: Datatype) -> Record:
    shape: tuple[int, ...] = ()
    while datatype.shape and datatype.base is not None:
        shape, datatype = shape + datatype.shape, datatype.base
    return {"name": name, "dtype": datatype.name, "shape": list(shape), "offset": offset}
