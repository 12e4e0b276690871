"""NetCDF-4: HDF5 files, told in the terms of netCDF.

netCDF-4 is HDF5 by definition, so this imports the HDF5 reader's parts: the one import between formats.
"""

from collections.abc import Iterator
from typing import Any, ClassVar, Literal

from h5py import h5, h5a, h5t

from memx.formats.base import StreamReader
from memx.formats.hdf5.library.datatypes import describe, numpy_name
from memx.formats.hdf5.library.handles import LIBRARY_ERRORS, broken, identity, open_file, open_object, unreadable
from memx.formats.hdf5.library.storage import storage_fields
from memx.formats.hdf5.library.values import AttributeReader
from memx.formats.netcdf.dimensions import Dimensions, extents_of, is_dimension_only, is_scale
from memx.formats.netcdf.tree import Event, Tree
from memx.records import Record, text

_RENAMED = "_nc4_non_coord_"
"""What netCDF puts before the name of a variable that is called like a dimension without being along it."""
_KINDS = {h5t.ENUM: "enum", h5t.COMPOUND: "compound", h5t.VLEN: "vlen", h5t.OPAQUE: "opaque"}


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
    index = h5.INDEX_CRT_ORDER

    def value(self, attribute: Any) -> Any:
        """The value of an open attribute."""
        if attribute.shape is None:
            return "" if attribute.get_type().get_class() == h5t.STRING else []
        value = super().value(attribute)
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if isinstance(value, str):
            return value.replace("\0", "")
        return value


class NetCDF4StreamReader(StreamReader):
    """A `group`, its `dimension`s, its `type`s and `variable`s, then the groups within it.

    Two walks: the lengths of unlimited dimensions, and which dimensions there are, only the whole file tells.
    The first starts after the record of the root group. What lies behind external links is not opened: they are
    `link` records, as in HDF5; so are links that lead nowhere.
    """

    format = "netcdf"
    reader = "h5py"
    access: ClassVar[Literal["forward", "seek", "path"]] = "path"

    _file: Any = None

    def open(self) -> dict[str, Any]:
        path = self.source.local_path()
        assert path is not None
        self._file = open_file(path)
        self._attributes = NetCDFAttributes(self._file, self.options.max_value_bytes)
        self._types: dict[int, str] = {}
        self._dimensions = Dimensions()
        try:
            strict = h5a.exists(open_object(self._file, b"/"), b"_nc3_strict")
        except LIBRARY_ERRORS as exc:
            raise unreadable("the root group", exc) from exc
        return {"variant": "NETCDF4_CLASSIC" if strict else "NETCDF4"}

    def close(self) -> None:
        self._file = None  # the last handle closes the file
        super().close()

    def records(self) -> Iterator[Record]:
        tree = Tree(self._file, self.source.size or 0)
        for event in tree.walk():
            if event.kind == "enter":
                yield from self._described({"type": "group", "path": event.path}, event.thing)
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

    def _learn(self, tree: Tree) -> None:
        for event in tree.walk():
            self._dimensions.learn(event)
            if event.kind == "type":
                self._types[event.address] = event.path
        self._dimensions.complete()

    def _readable(self, event: Event) -> Iterator[Record]:
        """The records of a dataset or a type, or the `error` of one that cannot be read."""
        try:
            record = _type_record(event) if event.kind == "type" else self._variable(event)
        except LIBRARY_ERRORS as exc:
            yield broken(f"the object {event.path}", exc)
            return
        if record is not None:
            yield from self._described(record, event.thing)

    def _variable(self, event: Event) -> Record | None:
        """The `variable` record of a dataset; None for a scale that is a dimension alone."""
        dataset = event.thing
        if is_scale(dataset) and is_dimension_only(dataset):
            return None
        datatype = dataset.get_type()
        dimensions = self._dimensions.of_variable(event)
        extents = extents_of(dataset)
        record: Record = {
            "type": "variable",
            "path": event.path[: -len(event.name)] + event.name.removeprefix(_RENAMED),
            "dtype": numpy_name(datatype),
            "dimensions": [dimension and dimension.name for dimension in dimensions],
            "dimension_paths": [dimension and dimension.path for dimension in dimensions],
            # a variable is as long as its dimensions are, written so far or not
            "shape": [
                extent if dimension is None else dimension.size
                for dimension, (extent, _) in zip(dimensions, extents, strict=True)
            ],
        }
        record |= storage_fields(dataset, datatype, self._attributes)
        told = describe(datatype)
        if told:
            record["datatype"] = told
        if datatype.get_class() in _KINDS and datatype.committed():
            record["user_type"] = self._types.get(identity(datatype)[0])
        return record

    def _described(self, record: Record, thing: Any) -> Iterator[Record]:
        attributes, faults = self._attributes.fields(thing, record["path"])
        yield record | attributes
        yield from faults


def _type_record(event: Event) -> Record:
    """The `type` record of a user-defined type.

    `kind` is `enum`, `compound`, `vlen` or `opaque` (else `atomic`). `members` are the names and values of an
    enumeration, or the name, dtype, shape and offset of each field of a compound.
    """
    datatype = event.thing
    kind = _KINDS.get(datatype.get_class(), "atomic")
    record: Record = {
        "type": "type",
        "path": event.path,
        "kind": kind,
        "dtype": numpy_name(datatype),
        "size": datatype.get_size(),
    }
    if kind == "enum":
        told = describe(datatype) or {}
        record |= {"base": numpy_name(datatype.get_super()), "members": told.get("members")}
    elif kind == "vlen":
        record["base"] = numpy_name(datatype.get_super())
    elif kind == "compound":
        record["members"] = [_member(datatype, index) for index in range(datatype.get_nmembers())]
    return record


def _member(datatype: Any, index: int) -> Record:
    inner = datatype.get_member_type(index)
    shape: list[int] = []
    if inner.get_class() == h5t.ARRAY:
        shape, inner = list(inner.get_array_dims()), inner.get_super()
    return {
        "name": text(datatype.get_member_name(index)),
        "dtype": numpy_name(inner),
        "shape": shape,
        "offset": datatype.get_member_offset(index),
    }
