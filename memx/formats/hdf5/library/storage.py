"""How a dataset lies in the file."""

from collections.abc import Iterator
from typing import Any

from h5py import h5d, h5s

from memx.errors import OverLimit
from memx.formats.base import fault
from memx.formats.hdf5.library.datatypes import describe, numpy_name
from memx.formats.hdf5.library.handles import LIBRARY_ERRORS, broken
from memx.formats.hdf5.library.values import AttributeReader
from memx.records import Record, text

_LAYOUTS = {h5d.COMPACT: "compact", h5d.CONTIGUOUS: "contiguous", h5d.CHUNKED: "chunked", h5d.VIRTUAL: "virtual"}
_SOURCES_MOST = 256
"""Files of external storage, or sources of a virtual dataset, that are named."""
_CHUNKS_MOST = 1 << 16
"""Chunks of a dataset that are listed: h5py has no way to list them a few at a time."""
_FILTER_NAMES = {1: "deflate", 2: "shuffle", 3: "fletcher32", 4: "szip", 5: "nbit", 6: "scaleoffset"}
"""The filters of the library itself (H5Zpublic.h); others bear their name in the file."""


def dataset_fields(dataset: Any, reader: AttributeReader) -> dict[str, Any]:
    """Shape, type and storage of an open dataset: the fields of RECORDS.md from `shape` to `storage_size`, and more.

    `shape` and `maxshape` are null for a null dataspace; null within `maxshape` is unlimited.
    """
    space = dataset.get_space()
    datatype = dataset.get_type()
    fields = extent_fields(space) | {"dtype": numpy_name(datatype)} | storage_fields(dataset, datatype, reader)
    told = describe(datatype)
    return fields | {"datatype": told} if told else fields


def extent_fields(space: Any) -> dict[str, Any]:
    """`shape` and `maxshape` of a dataspace."""
    if space.get_simple_extent_type() == h5s.NULL:
        return {"shape": None, "maxshape": None}
    longest = [None if extent == h5s.UNLIMITED else extent for extent in space.get_simple_extent_dims(True)]
    return {"shape": list(space.shape), "maxshape": longest}


def storage_fields(dataset: Any, datatype: Any, reader: AttributeReader) -> dict[str, Any]:
    """Layout, chunks, filters, place and size of an open dataset, and its fill value where one was set."""
    properties = dataset.get_create_plist()
    layout = properties.get_layout()
    fields = {
        "layout": _LAYOUTS.get(layout),
        "chunks": list(properties.get_chunk()) if layout == h5d.CHUNKED else None,
        "filters": [_filter(properties, index) for index in range(properties.get_nfilters())],
        "offset": _offset(dataset),
        "storage_size": dataset.get_storage_size(),
    }
    if layout == h5d.CONTIGUOUS and properties.get_external_count():
        fields |= _external(properties)
    if layout == h5d.VIRTUAL:
        fields |= _virtual(properties)
    if properties.fill_value_defined() == h5d.FILL_VALUE_USER_DEFINED:
        try:
            fields["fillvalue"] = reader.fill_value(properties, datatype)
        except LIBRARY_ERRORS:
            pass  # NumPy lacks the type, or h5py the way to ask for it
    return fields


def chunk_records(dataset: Any, path: str) -> Iterator[Record]:
    """A `chunk` record for each stored chunk of an open chunked dataset; libhdf5 lists them only all at once."""
    found: list[Any] = []

    def collect(chunk: Any) -> bool | None:
        found.append(chunk)
        return True if len(found) > _CHUNKS_MOST else None

    try:
        dataset.chunk_iter(collect)
    except LIBRARY_ERRORS as exc:
        yield broken(f"the index of the chunks of {path}", exc)
    for at, mask, offset, size in found[:_CHUNKS_MOST]:
        place = {"chunk_offset": list(at), "offset": offset, "size": size, "filter_mask": mask}
        yield {"type": "chunk", "path": path} | place
    if len(found) > _CHUNKS_MOST:
        yield fault(OverLimit.code, f"{path[:200]} has more than the {_CHUNKS_MOST} chunks that are listed")


def _offset(dataset: Any) -> int | None:
    """Where the data of a contiguous dataset begin; libhdf5 adds a user block even to the address of none."""
    offset: int | None = dataset.get_offset()
    return offset if dataset.get_storage_size() else None


def _filter(properties: Any, index: int) -> dict[str, Any]:
    code, flags, parameters, name = properties.get_filter(index)
    told = {"id": code, "name": _FILTER_NAMES.get(code) or text(name), "parameters": list(parameters)}
    return told | {"optional": True} if flags & 1 else told


def _external(properties: Any) -> dict[str, Any]:
    count = properties.get_external_count()
    files = [properties.get_external(index) for index in range(min(count, _SOURCES_MOST))]
    told = [{"file": text(name), "offset": offset, "length": length} for name, offset, length in files]
    return {"external": told} if count <= _SOURCES_MOST else {"external": told, "external_count": count}


def _virtual(properties: Any) -> dict[str, Any]:
    count = properties.get_virtual_count()
    told = [
        {"file": properties.get_virtual_filename(index), "dataset": properties.get_virtual_dsetname(index)}
        for index in range(min(count, _SOURCES_MOST))
    ]
    return {"virtual": told} if count <= _SOURCES_MOST else {"virtual": told, "virtual_count": count}
