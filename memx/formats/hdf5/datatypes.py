"""Datatypes (IV.A.2.d): what each is called, and how its elements become JSON."""

import math
import struct
from collections.abc import Callable
from typing import Any, NamedTuple

from memx.records import number, text

FIXED, FLOAT, TIME, STRING, BITFIELD, OPAQUE, COMPOUND, REFERENCE, ENUM, VLEN, ARRAY, COMPLEX = range(12)
"""The datatype classes."""

MEMBERS_MOST = 1000
"""Members of an enumeration or a compound that are named."""
_CODES = {1: "b", 2: "h", 4: "i", 8: "q"}
_PADDING = {0: "null-terminated", 1: "null-padded", 2: "space-padded"}

Decode = Callable[[bytes, int], Any]
"""The JSON of the element that begins at an index of some bytes."""


class Datatype(NamedTuple):
    """A datatype: `kind` is its class, `size` the bytes of an element."""

    kind: int
    size: int
    dtype: str
    """NumPy's spelling, as a field of a compound has it."""
    decode: Decode | None
    """None for a type that NumPy lacks."""
    told: dict[str, Any] | None = None
    """What NumPy's spelling does not say: see `memx.formats.hdf5.library.datatypes.describe`."""
    code: str | None = None
    """The code of `struct`, with its byte order, where there is one."""
    variable: bool = False
    """Whether elements have parts elsewhere, in a global heap."""
    shape: tuple[int, ...] = ()
    """The extents of an array type."""
    base: "Datatype | None" = None
    members: tuple[tuple[str, int, "Datatype"], ...] = ()
    """Name, offset in memory and type of the members of a compound, one of complex numbers too."""
    width: int = 0
    """The bytes of an element in memory, where libhdf5 has it: pointers are as wide as the machine's."""

    @property
    def in_memory(self) -> int:
        """`width`, or where that is the same `size`."""
        return self.width or self.size

    @property
    def is_string(self) -> bool:
        """Whether elements are text, of fixed or variable length."""
        return self.kind == STRING or (self.kind == VLEN and self.base is None)

    @property
    def name(self) -> str:
        """NumPy's spelling of the type by itself: `|u1`, `object`, a compound as `str(numpy.dtype)`."""
        if self.decode is None:
            return f"|V{self.in_memory}"
        return _BY_ITSELF.get(self.dtype) or ("|" + self.dtype if self.dtype[0] in "SV" else self.dtype)


_BY_ITSELF = {"O": "object", "?": "|b1", "i1": "|i1", "u1": "|u1"}


def string_told(padding: int, charset: int, length: int | None) -> dict[str, Any]:
    """What is told of a string type; None for the length of one that varies."""
    return {
        "class": "string",
        "charset": "utf-8" if charset == 1 else "ascii",
        "padding": _PADDING.get(padding),
        "length": length,
    }


def _null_terminated(size: int) -> Decode:
    return lambda data, at: text(data[at : at + size].split(b"\0", 1)[0])


def _null_padded(size: int) -> Decode:
    return lambda data, at: text(data[at : at + size].rstrip(b"\0"))


def _space_padded(size: int) -> Decode:
    return lambda data, at: text(data[at : at + size].rstrip(b" ").rstrip(b"\0"))


_STRINGS = {0: _null_terminated, 1: _null_padded, 2: _space_padded}


def string(size: int, padding: int, charset: int) -> Datatype:
    """Text of a fixed length."""
    decode = _STRINGS.get(padding, _null_padded)(size)
    return Datatype(STRING, size, f"S{size}", decode, string_told(padding, charset, size))


def integer(
    kind: int, size: int, big: int, signed: int, offset: int, precision: int, told: dict[str, Any] | None
) -> Datatype:
    """A fixed-point number or a bit field."""
    order = ">" if big else "<"
    code = _CODES.get(size)
    if code is None:
        return Datatype(kind, size, f"V{size}", None, told)
    code = order + (code if signed else code.upper())
    name = f"{'' if size == 1 else order}{'i' if signed else 'u'}{size}"
    if offset == 0 and precision == 8 * size:
        unpack = struct.Struct(code).unpack_from
        return Datatype(kind, size, name, lambda data, at: unpack(data, at)[0], told, code)
    mask, sign = (1 << precision) - 1, 1 << max(0, precision - 1) if signed else 0

    def decode(data: bytes, at: int) -> int:
        raw = int.from_bytes(data[at : at + size], "big" if big else "little") >> offset & mask
        return (raw ^ sign) - sign

    return Datatype(kind, size, name, decode, told)


_IEEE = {(2, 10, 5, 15): "e", (4, 23, 8, 127): "f", (8, 52, 11, 1023): "d"}
_FLOATS = (
    (2, 10, 16, -14, "f2"),
    (4, 23, 128, -126, "f4"),
    (8, 52, 1024, -1022, "f8"),
    (16, 64, 16384, -16382, "f16"),
)
"""Of each of NumPy's floats: size, bits of the mantissa, greatest and least exponent, name."""


def floating(
    size: int, bits: int, offset: int, precision: int, e_at: int, e_size: int, m_at: int, m_size: int, bias: int
) -> Datatype:
    """A floating-point number of any layout: sign, exponent, mantissa at their bits, its leading one implied or not."""
    order = ">" if bits & 1 else "<"
    implied = bits >> 4 & 3 == 2
    sign_at = bits >> 8 & 0xFF
    code = _IEEE.get((size, m_size, e_size, bias))
    if code and implied and offset == 0 and bits & 0x40 == 0 and sign_at == 8 * size - 1:
        unpack = struct.Struct(order + code).unpack_from
        name = f"{order}f{size}"
        return Datatype(FLOAT, size, name, lambda data, at: number(unpack(data, at)[0]), None, order + code)
    most, least = (1 << e_size) - 1 - bias, 1 - bias
    fits = (name for n, m, e, f, name in _FLOATS if size <= n and m_size <= m and most <= e and least >= f)
    name = next((order + name for name in fits), "")
    if not name:
        return Datatype(FLOAT, size, f"V{size}", None)
    top = (1 << e_size) - 1

    def decode(data: bytes, at: int) -> float | str:
        raw = data[at : at + size]
        if bits & 0x41 == 0x41:  # VAX: little-endian words, the most significant first
            raw = b"".join(raw[n : n + 2] for n in range(size - 2, -1, -2))
            value = int.from_bytes(raw, "little")
        else:
            value = int.from_bytes(raw, "big" if bits & 1 else "little")
        mantissa, exponent = value >> m_at & (1 << m_size) - 1, value >> e_at & top
        sign = -1.0 if value >> sign_at & 1 else 1.0
        if exponent and (e_size, m_size) == (15, 64) and not mantissa >> 63:
            return number(math.nan)  # without its leading one an x87 takes it for no number
        if exponent == top and not bits & 0x40:
            fraction = mantissa & ~(0 if implied else 1 << m_size - 1)
            return number(math.nan if fraction else sign * math.inf)
        if implied:
            mantissa, exponent = (mantissa | 1 << m_size, exponent) if exponent else (mantissa, 1)
            return number(sign * _scaled(mantissa, exponent - bias - m_size))
        return number(sign * _scaled(mantissa, max(exponent, 1) - bias - m_size + 1))

    return Datatype(FLOAT, size, f"V{size}" if bits & 0x40 else name, decode)  # NumPy has no word for VAX order


def _scaled(mantissa: int, exponent: int) -> float:
    try:
        return math.ldexp(mantissa, exponent)
    except OverflowError:
        return math.inf


def array(base: Datatype, shape: tuple[int, ...]) -> Datatype:
    """An array type."""
    count = math.prod(shape)
    told = {"class": "array", "base": base.told} if base.told else None
    dtype = f"({base.dtype!r}, {shape})" if base.dtype[0] not in "([{" else f"({base.dtype}, {shape})"
    if base.decode is None:
        return Datatype(ARRAY, base.size * count, "V", None, told, width=base.in_memory * count)

    def decode(data: bytes, at: int) -> Any:
        return nested(elements(base, data, at, count), shape)

    width = base.in_memory * count
    return Datatype(ARRAY, base.size * count, dtype, decode, told, None, base.variable, shape, base, width=width)


def complex_of(part: Datatype, size: int) -> Datatype:
    """Complex numbers of two floats."""
    if part.kind != FLOAT or part.decode is None or part.size * 2 != size or part.dtype[1:] == "f2":
        return Datatype(COMPLEX, size, f"V{size}", None)
    first = part.decode
    name = part.dtype[0] + "c" + str(2 * int(part.dtype[2:]))
    return Datatype(COMPLEX, size, name, lambda data, at: [first(data, at), first(data, at + part.size)])


def compound(members: list[tuple[str, int, Datatype]], size: int) -> Datatype:
    """A compound; of two floats `r` and `i` it is a complex number, as h5py has it."""
    if [name for name, _, _ in members] == ["r", "i"]:
        (_, first, real), (_, second, imaginary) = members
        if (
            real.kind == FLOAT
            and real.dtype == imaginary.dtype
            and real.dtype[1:] != "f2"  # of which NumPy has no complex numbers
            and (first, second, 2 * real.size) == (0, real.size, size)
        ):
            return complex_of(real, size)._replace(members=tuple(members))
    told = {name: member.told for name, _, member in members[:MEMBERS_MOST] if member.told}
    about: dict[str, Any] | None = {"class": "compound", "members": told} if told else None
    if about and len(members) > MEMBERS_MOST:
        about["member_count"] = len(members)
    decoders = [(name, offset, member.decode) for name, offset, member in members]
    width, placed = _in_memory(members, size)
    if any(decode is None for _, _, decode in decoders):
        return Datatype(COMPOUND, size, "V", None, about, members=placed, width=width)

    def decode(data: bytes, at: int) -> dict[str, Any]:
        return {name: decode(data, at + offset) for name, offset, decode in decoders if decode}

    variable = any(member.variable for _, _, member in members)
    dtype = _compound_dtype(placed, width)
    return Datatype(COMPOUND, size, dtype, decode, about, variable=variable, members=placed, width=width)


def _in_memory(
    members: list[tuple[str, int, Datatype]], size: int
) -> tuple[int, tuple[tuple[str, int, Datatype], ...]]:
    """Size and members of a compound as libhdf5 has it in memory, where parts of variable length are pointers."""
    grown, placed = 0, []
    for name, offset, member in members:
        placed.append((name, offset + grown, member))
        grown += member.in_memory - member.size
    return size + grown, tuple(placed)


def _compound_dtype(members: tuple[tuple[str, int, Datatype], ...], size: int) -> str:
    """A compound as `str(numpy.dtype)` has it: a list where the members follow each other, else with offsets."""
    packed, end = True, 0
    for _, offset, member in members:
        packed &= offset == end
        end = offset + _numpy_size(member)
    if packed and end == size:
        return "[" + ", ".join(f"({name!r}, {_member_format(member)})" for name, _, member in members) + "]"
    names = ", ".join(repr(name) for name, _, _ in members)
    formats = ", ".join(_member_dtype(member) for _, _, member in members)
    offsets = ", ".join(str(offset) for _, offset, _ in members)
    return f"{{'names': [{names}], 'formats': [{formats}], 'offsets': [{offsets}], 'itemsize': {size}}}"


def _numpy_size(member: Datatype) -> int:
    """The bytes of a member as NumPy has it: a Python object is a pointer."""
    if member.shape and member.base is not None:
        return math.prod(member.shape) * _numpy_size(member.base)
    return 8 if member.dtype == "O" else member.in_memory


def _member_format(member: Datatype) -> str:
    """A member in the list form: its shape stands beside its format."""
    if member.shape and member.base is not None:
        inner, shape = member, member.shape[:0]
        while inner.shape and inner.base is not None:
            shape, inner = shape + inner.shape, inner.base
        return f"{_member_dtype(inner)}, {shape}"
    return _member_dtype(member)


def _member_dtype(member: Datatype) -> str:
    return member.dtype if member.dtype[0] in "([{" else repr(member.dtype)


def elements(datatype: Datatype, data: bytes, at: int, count: int) -> list[Any]:
    """The JSON of `count` elements that begin at `at`."""
    if datatype.code is not None:
        values = struct.unpack_from(f"{datatype.code[0]}{count}{datatype.code[1]}", data, at)
        if datatype.code[1] in "efd" and not all(map(math.isfinite, values)):
            return [number(value) for value in values]
        return list(values)
    decode, size = datatype.decode, datatype.size
    assert decode is not None
    return [decode(data, at + n * size) for n in range(count)]


def nested(flat: list[Any], shape: tuple[int, ...]) -> Any:
    """`flat` as lists within lists of `shape`; its one element for the shape of a scalar."""
    if not shape:
        return flat[0]
    if not flat:
        return _empty(shape)
    for extent in reversed(shape[1:]):
        flat = [flat[at : at + extent] for at in range(0, len(flat), extent)]
    return flat


def _empty(shape: tuple[int, ...]) -> list[Any]:
    """Lists within lists down to the extent that is zero; one list alone where that would be many."""
    if len(shape) < 2 or not 0 < shape[0] <= _EMPTY_MOST:
        return []
    return [_empty(shape[1:]) for _ in range(shape[0])] if math.prod(shape[:-1]) <= _EMPTY_MOST else []


_EMPTY_MOST = 1024
