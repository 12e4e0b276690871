"""What attributes hold, as JSON."""

from collections.abc import Callable, Iterator
from math import prod
from typing import Any

import numpy as np
from h5py import h5, h5a, h5g, h5r, h5s, h5t

from memx.formats.hdf5.library.datatypes import deadly, dtype_name, numpy_name
from memx.formats.hdf5.library.handles import LIBRARY_ERRORS, broken
from memx.records import Record, binary, encode_value, plain, text

ATTRIBUTES_MOST = 1 << 19
"""Bytes of JSON that the attributes of one object may take: a record has to fit into a line."""
_SORTED_MOST = 256
"""Objects of more attributes give them in the order of their own index: libhdf5 sorts by holding them all."""
_NAMES = 1024
_FAULT_COST = 512


class AttributeReader:
    """Reads the attributes of the objects of one open file."""

    hidden: frozenset[str] = frozenset()
    """Attributes that are left out."""
    index: int = h5.INDEX_NAME
    """The order in which attributes are read: by name, or by creation."""

    def __init__(self, file: Any, max_value_bytes: int) -> None:
        self._file = file
        self._max_value_bytes = max_value_bytes

    def fields(self, thing: Any, what: str) -> tuple[dict[str, Any], list[Record]]:
        """The `attributes` field of an open object, which messages call `what`, and an `error` record for each fault.

        Where they would take more than ATTRIBUTES_MOST, the rest is left out: `attributes_truncated` is true
        and `attribute_count` says how many there are.
        """
        attributes: dict[str, Any] = {}
        faults: list[Record] = []
        try:
            count = h5a.get_num_attrs(thing)
            room = ATTRIBUTES_MOST
            for name in _names(thing, count, self.index) if count else ():
                label = text(name)
                if label in self.hidden:
                    continue
                try:
                    value = self.value(h5a.open(thing, name))
                except LIBRARY_ERRORS as exc:
                    faults.append(broken(f"the attribute {label} of {what}", exc))
                    room -= _FAULT_COST
                else:
                    attributes[label] = value
                    room -= len(encode_value(value)) + len(name) + 4
                if room < 0 and len(attributes) + len(faults) < count:
                    return {"attributes": attributes, "attributes_truncated": True, "attribute_count": count}, faults
        except LIBRARY_ERRORS as exc:
            faults.append(broken(f"the list of attributes of {what}", exc))
        return {"attributes": attributes}, faults

    def value(self, attribute: Any) -> Any:
        """The value of an open attribute, or where it is long or of a type that NumPy lacks, what is known of it."""
        shape = attribute.shape
        if shape is None:
            return None  # a null dataspace
        points = prod(shape)
        length = attribute.get_storage_size() if points else 0  # h5py takes a size of 0 for a failure
        try:
            dtype = attribute.dtype
        except LIBRARY_ERRORS:
            return _not_read(numpy_name(attribute.get_type()), shape, length)
        if max(length, points * dtype.itemsize) > self._max_value_bytes:
            return _not_read(dtype_name(dtype), shape, length)
        if dtype.hasobject and deadly(attribute.get_type()):
            return _not_read(dtype_name(dtype), shape, length)
        array = _read(attribute, shape, dtype)
        if dtype.hasobject and (length := _bytes_held(array)) > self._max_value_bytes:
            return _not_read(dtype_name(dtype), shape, length)  # only the reading told how long its parts are
        return self.json(array)

    def fill_value(self, properties: Any, datatype: Any) -> Any:
        """The fill value of a dataset's creation properties. Raises LIBRARY_ERRORS where h5py cannot give it."""
        dtype = datatype.dtype
        if dtype.itemsize > self._max_value_bytes:
            return _not_read(dtype_name(dtype), (), dtype.itemsize)
        memory = np.zeros((), dtype)
        properties.get_fill_value(memory)
        return self.json(memory)

    def json(self, array: Any) -> Any:
        """An array, or a scalar of NumPy, in JSON's own types: arrays as nested lists, compounds as objects."""
        dtype = array.dtype
        if dtype.names is not None:
            if array.ndim:
                return [self.json(item) for item in array]
            return {
                text(name.encode("utf-8", "surrogateescape")): self.json(_field(array[name])) for name in dtype.names
            }
        kind = dtype.kind
        if kind in "biu":
            return array.tolist()
        if kind in "fc":
            return plain(
                array.astype("c16" if kind == "c" else "f8").tolist() if dtype.itemsize > 8 else array.tolist()
            )
        if kind in "VmM":  # h5py keeps moments as opaque bytes, of whose type the tag tells
            return _each(array.view(f"V{dtype.itemsize}").tolist(), binary)
        return _each(array.tolist() if kind == "S" or array.ndim else array[()], self._element)

    def _element(self, value: Any) -> Any:
        """One thing that has no number type: text, opaque bytes, a reference, a sequence of variable length."""
        if isinstance(value, bytes):
            return text(value)
        if isinstance(value, str):
            return text(value.encode("utf-8", "surrogateescape"))
        if isinstance(value, h5r.Reference):
            return self._reference(value)
        if isinstance(value, np.ndarray | np.generic):
            return self.json(value)
        return value

    def _reference(self, reference: Any) -> dict[str, Any] | None:
        """Where a reference leads: the address of the object, as its own record has it; null for a null reference.

        The path would cost a search through the whole file.
        """
        if not reference:
            return None
        region = isinstance(reference, h5r.RegionReference)
        told: dict[str, Any] = {"reference": "region" if region else "object"}
        try:
            told["address"] = h5g.get_objinfo(h5r.dereference(reference, self._file)).objno[0]
            if region:
                space = h5r.get_region(reference, self._file)
                told["points"] = int(space.get_select_npoints())
                if space.get_select_type() in (h5s.SEL_HYPERSLABS, h5s.SEL_POINTS):
                    first, last = space.get_select_bounds()
                    told["bounds"] = [[int(n) for n in first], [int(n) for n in last]]
        except LIBRARY_ERRORS:
            told.setdefault("address", None)  # the object is gone
        return told


def _names(thing: Any, count: int, index: int) -> Iterator[bytes]:
    """The names of the attributes of `thing`, `_NAMES` held at once; see `_SORTED_MOST` for their order."""
    order = h5.ITER_INC if count <= _SORTED_MOST else h5.ITER_NATIVE
    at = 0
    found: list[bytes] = []

    def collect(name: bytes) -> bool | None:
        found.append(name)
        return True if len(found) == _NAMES else None

    while at < count:
        h5a.iterate(thing, collect, at, index_type=index, order=order)
        yield from found
        if len(found) < _NAMES:
            return
        at += len(found)
        found.clear()


def _read(attribute: Any, shape: tuple[int, ...], dtype: Any) -> Any:
    """The array of an attribute; NumPy has no array type of its own, so such elements become more dimensions."""
    stored, memory = dtype, h5t.py_create(dtype)
    while dtype.subdtype is not None:
        dtype, inner = dtype.subdtype
        shape += inner
    array = np.zeros(shape, dtype)
    if not array.size:
        return array
    try:
        attribute.read(array, mtype=memory)
    except LIBRARY_ERRORS:
        # h5py's type of opaque bytes lacks their tag, and libhdf5 then refuses to convert them
        own = attribute.get_type()
        if stored.hasobject or own.get_size() != stored.itemsize:
            raise
        attribute.read(array, mtype=own)
    return array


def _bytes_held(value: Any) -> int:
    """How many bytes the parts of a value of variable length take."""
    if isinstance(value, np.ndarray) and value.dtype.kind == "O":
        return sum(map(_bytes_held, value.flat))
    if isinstance(value, np.ndarray | np.void) and value.dtype.names is not None:
        return sum(_bytes_held(np.asarray(value[name])) for name in value.dtype.names)
    return len(value) if isinstance(value, bytes | str) else getattr(value, "nbytes", 16)


def _field(value: Any) -> Any:
    """A field of a compound, which for an object dtype is the object itself."""
    if isinstance(value, np.ndarray | np.generic):
        return value
    holder = np.empty((), object)
    holder[()] = value
    return holder


def _each(value: Any, element: Callable[[Any], Any]) -> Any:
    if isinstance(value, list):
        return [_each(item, element) for item in value]
    return element(value)


def _not_read(dtype: str, shape: tuple[int, ...], length: int) -> dict[str, Any]:
    return {"bulk": True, "dtype": dtype, "shape": list(shape), "length": length}
