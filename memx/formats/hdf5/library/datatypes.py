"""What HDF5's datatypes are called: NumPy's spelling, and what that spelling leaves out."""

from typing import Any

from h5py import h5r, h5t

from memx.formats.hdf5.library.handles import LIBRARY_ERRORS
from memx.records import text

_MEMBERS_MOST = 1000
"""Members of an enumeration or a compound that are named."""
_DEPTH_MOST = 8


def numpy_name(datatype: Any) -> str:
    """NumPy's spelling of an open HDF5 datatype; `|Vn` for n bytes of a type that NumPy lacks."""
    try:
        return dtype_name(datatype.dtype)
    except LIBRARY_ERRORS:
        return f"|V{datatype.get_size()}"


def dtype_name(dtype: Any) -> str:
    """`dtype` as records spell it: `<f4`, `|S12`, `object`, a compound as `str` has it."""
    if dtype.kind == "O":
        return "object"
    if dtype.names is not None or dtype.subdtype is not None:
        return str(dtype)
    return str(dtype.str)


def describe(datatype: Any, depth: int = 0) -> dict[str, Any] | None:
    """What NumPy's spelling does not say, with the words of the HDF5 specification (IV.A.2.d); else None.

    `{"class":"enum","members":{...}}`, `{"class":"vlen","base":"<i4"}` and the like.
    """
    kind = datatype.get_class()
    describer = _DESCRIBERS.get(kind)
    if describer is None or depth > _DEPTH_MOST:
        return None
    try:
        told: dict[str, Any] | None = describer(datatype, depth)
        return told
    except LIBRARY_ERRORS:
        return None


def is_user_defined(datatype: Any) -> bool:
    """Whether an open datatype is of a class that netCDF has user-defined types of."""
    return datatype.get_class() in _KINDS


def parts(datatype: Any) -> dict[str, Any]:
    """What a user-defined type is made of: its `kind`, `dtype` and `size`, its `base` and its `members`.

    `kind` is `enum`, `compound`, `vlen`, `opaque`, or `atomic` for any other. Raises LIBRARY_ERRORS.
    """
    kind = _KINDS.get(datatype.get_class(), "atomic")
    told: dict[str, Any] = {"kind": kind, "dtype": numpy_name(datatype), "size": datatype.get_size()}
    if kind in ("enum", "vlen"):
        told["base"] = numpy_name(datatype.get_super())
    if kind == "enum":
        told["members"] = _enum(datatype, 0)["members"]
    elif kind == "compound":
        told["members"] = [_part(datatype, index) for index in range(min(datatype.get_nmembers(), _MEMBERS_MOST))]
    return told


def _part(datatype: Any, index: int) -> dict[str, Any]:
    member, shape = datatype.get_member_type(index), ()
    while member.get_class() == h5t.ARRAY:
        shape, member = shape + member.get_array_dims(), member.get_super()
    return {
        "name": text(datatype.get_member_name(index)),
        "dtype": numpy_name(member),
        "shape": list(shape),
        "offset": datatype.get_member_offset(index),
    }


def deadly(datatype: Any, within: bool = False) -> bool:
    """Whether reading such values kills h5py: in sequences it takes the 12 bytes of a region reference for 8."""
    kind = datatype.get_class()
    if kind == h5t.REFERENCE:
        return within and datatype.get_size() != _OBJECT_SIZE
    if kind == h5t.COMPOUND:
        return any(deadly(datatype.get_member_type(index), within) for index in range(datatype.get_nmembers()))
    return kind in (h5t.VLEN, h5t.ARRAY) and deadly(datatype.get_super(), within or kind == h5t.VLEN)


def _string(datatype: Any, _depth: int) -> dict[str, Any]:
    variable = datatype.is_variable_str()
    return {
        "class": "string",
        "charset": "utf-8" if datatype.get_cset() == h5t.CSET_UTF8 else "ascii",
        "padding": _PADDING.get(datatype.get_strpad()),
        "length": None if variable else datatype.get_size(),
    }


def _enum(datatype: Any, _depth: int) -> dict[str, Any]:
    count = min(datatype.get_nmembers(), _MEMBERS_MOST)
    members = {text(datatype.get_member_name(i)): int(datatype.get_member_value(i)) for i in range(count)}
    return _counted({"class": "enum", "members": members}, datatype)


def _compound(datatype: Any, depth: int) -> dict[str, Any] | None:
    count = min(datatype.get_nmembers(), _MEMBERS_MOST)
    members = {}
    for i in range(count):
        told = describe(datatype.get_member_type(i), depth + 1)
        if told is not None:
            members[text(datatype.get_member_name(i))] = told
    return _counted({"class": "compound", "members": members}, datatype) if members else None


def _counted(told: dict[str, Any], datatype: Any) -> dict[str, Any]:
    count = datatype.get_nmembers()
    return told | {"member_count": count} if count > _MEMBERS_MOST else told


def _based(name: str) -> Any:
    def describer(datatype: Any, depth: int) -> dict[str, Any] | None:
        base = datatype.get_super()
        told = describe(base, depth + 1)
        if name == "array" and told is None:
            return None  # NumPy says it all
        return {"class": name, "base": told or numpy_name(base)}

    return describer


def _reference(datatype: Any, _depth: int) -> dict[str, Any]:
    return {"class": "reference", "kind": _REFERENCES.get(datatype.get_size(), "any")}


_KINDS = {h5t.ENUM: "enum", h5t.COMPOUND: "compound", h5t.VLEN: "vlen", h5t.OPAQUE: "opaque"}
_OBJECT_SIZE = h5r.Reference().typesize
_REFERENCES = {_OBJECT_SIZE: "object", h5r.RegionReference().typesize: "region"}
"""By the size of their type; elements of that of HDF5 1.12 say of themselves what they lead to."""
_PADDING = {h5t.STR_NULLTERM: "null-terminated", h5t.STR_NULLPAD: "null-padded", h5t.STR_SPACEPAD: "space-padded"}
_DESCRIBERS: dict[int, Any] = {
    h5t.STRING: _string,
    h5t.ENUM: _enum,
    h5t.COMPOUND: _compound,
    h5t.VLEN: _based("vlen"),
    h5t.ARRAY: _based("array"),
    h5t.REFERENCE: _reference,
    h5t.OPAQUE: lambda datatype, _depth: {"class": "opaque", "tag": text(datatype.get_tag())},
    h5t.BITFIELD: lambda _datatype, _depth: {"class": "bitfield"},
    h5t.TIME: lambda datatype, _depth: {"class": "time", "size": datatype.get_size()},
}
