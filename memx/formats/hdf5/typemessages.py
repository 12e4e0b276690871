"""Datatype messages (IV.A.2.d): each class of `datatypes` as it stands in a file."""

import struct
from collections.abc import Callable
from typing import Any

from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.hdf5.datatypes import (
    ARRAY,
    BITFIELD,
    COMPLEX,
    COMPOUND,
    ENUM,
    FIXED,
    FLOAT,
    MEMBERS_MOST,
    OPAQUE,
    REFERENCE,
    STRING,
    TIME,
    VLEN,
    Datatype,
    Decode,
    array,
    complex_of,
    compound,
    floating,
    integer,
    string,
    string_told,
)
from memx.records import binary, text

_DEPTH_MOST = 16
_RANK_MOST = 32
_SIZES_MOST = 1 << 31


class Parser:
    """Parses datatype messages; `variable` decodes elements that lie in the global heap.

    `variable(base, text)` gives the decoder of sequences of `base`, or of strings; `reference(kind)` that of
    references of `kind` (0: object, 1: region, more: either, or an attribute).
    """

    def __init__(
        self, offset_size: int, variable: Callable[[Datatype | None], Decode], reference: Callable[[int], Decode]
    ) -> None:
        self._offset_size = offset_size
        self._variable = variable
        self._reference = reference

    def parse(self, body: bytes) -> Datatype:
        """The datatype that begins `body`. Raises CorruptFile or UnsupportedSource."""
        try:
            return self._parse(body, 0, 0)[0]
        except (IndexError, struct.error):
            raise CorruptFile("a datatype message ends in its midst") from None

    def _parse(self, body: bytes, at: int, depth: int) -> tuple[Datatype, int]:
        """The datatype at `at`, and where it ends."""
        if depth > _DEPTH_MOST:
            raise CorruptFile(f"a datatype nests deeper than {_DEPTH_MOST} levels")
        kind, version = body[at] & 15, body[at] >> 4
        bits = body[at + 1] | body[at + 2] << 8 | body[at + 3] << 16
        (size,) = struct.unpack_from("<I", body, at + 4)
        if not 1 <= version <= 5 or kind > COMPLEX:
            raise UnsupportedSource(f"datatype class {kind}, version {version} is not known")
        if not 0 < size < _SIZES_MOST:
            raise CorruptFile(f"a datatype of {size} bytes cannot be")
        return _PARSERS[kind](self, body, at + 8, depth, bits, size, version)

    def _fixed(self, body: bytes, at: int, _depth: int, bits: int, size: int, _version: int) -> tuple[Datatype, int]:
        offset, precision = struct.unpack_from("<HH", body, at)
        if offset + precision > 8 * size or not precision:
            raise CorruptFile(f"a number of {size} bytes cannot have {precision} bits from bit {offset} on")
        return integer(FIXED, size, bits & 1, bits & 8, offset, precision, None), at + 4

    def _bitfield(self, body: bytes, at: int, _depth: int, bits: int, size: int, _version: int) -> tuple[Datatype, int]:
        offset, precision = struct.unpack_from("<HH", body, at)
        return integer(BITFIELD, size, bits & 1, 0, offset, precision, {"class": "bitfield"}), at + 4

    def _float(self, body: bytes, at: int, _depth: int, bits: int, size: int, version: int) -> tuple[Datatype, int]:
        layout = struct.unpack_from("<HHBBBBI", body, at)
        if version < 3:
            bits &= ~0x40  # VAX order came with version 3; libhdf5 ignores the bit in what is older
        return floating(size, bits, *layout), at + 12

    def _time(self, _body: bytes, at: int, _depth: int, _bits: int, size: int, _version: int) -> tuple[Datatype, int]:
        return Datatype(TIME, size, f"V{size}", None, {"class": "time", "size": size}), at + 2

    def _string(self, _body: bytes, at: int, _depth: int, bits: int, size: int, _version: int) -> tuple[Datatype, int]:
        return string(size, bits & 15, bits >> 4 & 15), at

    def _opaque(self, body: bytes, at: int, _depth: int, bits: int, size: int, _version: int) -> tuple[Datatype, int]:
        length = bits & 0xFF
        tag = body[at : at + length].split(b"\0", 1)[0]
        told = {"class": "opaque", "tag": text(tag)}
        name = text(tag).removeprefix("NUMPY:") if tag[:8] in (b"NUMPY:<M", b"NUMPY:<m") and size == 8 else f"V{size}"
        return Datatype(OPAQUE, size, name, lambda data, i: binary(data[i : i + size]), told), at + length

    def _refers(self, _body: bytes, at: int, _depth: int, bits: int, size: int, _version: int) -> tuple[Datatype, int]:
        kind = bits & 15
        if kind > 1:  # the references of HDF5 1.12, which h5py lacks; each element says of itself what it leads to
            if kind > 4 or bits >> 4 & 15 != 1:
                raise UnsupportedSource(f"a reference type {kind}, version {bits >> 4 & 15} is not known")
            told = {"class": "reference", "kind": "any"}
            base = Datatype(REFERENCE, size, "O", self._reference(kind), told)
            return Datatype(REFERENCE, size, "V64", None, told, base=base, width=64), at
        told = {"class": "reference", "kind": "region" if kind else "object"}
        return Datatype(REFERENCE, size, "O", self._reference(kind), told), at

    def _enum(self, body: bytes, at: int, depth: int, bits: int, size: int, version: int) -> tuple[Datatype, int]:
        base, at = self._parse(body, at, depth + 1)
        names, count = [], bits & 0xFFFF
        for _ in range(count):
            name, at = _name(body, at, padded=version < 3)
            names.append(name)
        if base.decode is None or base.kind != FIXED:
            return Datatype(ENUM, size, f"V{size}", None), at + count * size
        values = [base.decode(body, at + n * base.size) for n in range(min(count, MEMBERS_MOST))]
        told: dict[str, Any] = {"class": "enum", "members": dict(zip(names, values, strict=False))}
        if count > MEMBERS_MOST:
            told["member_count"] = count
        at += count * base.size
        if base.size == 1 and dict(zip(names, values, strict=False)) == {"FALSE": 0, "TRUE": 1}:
            return Datatype(ENUM, 1, "?", lambda data, i: data[i] != 0, told, base=base), at
        return Datatype(ENUM, size, base.dtype, base.decode, told, base.code, base=base), at

    def _compound(self, body: bytes, at: int, depth: int, bits: int, size: int, version: int) -> tuple[Datatype, int]:
        members: list[tuple[str, int, Datatype]] = []
        width = (size.bit_length() + 7) // 8 if version >= 3 else 4
        for _ in range(bits & 0xFFFF):
            name, at = _name(body, at, padded=version < 3)
            offset = int.from_bytes(body[at : at + width], "little")
            at += width
            shape: tuple[int, ...] = ()
            if version == 1:
                if body[at] > 4:
                    raise CorruptFile(f"the member {name} of a compound has {body[at]} dimensions")
                shape = struct.unpack_from("<4I", body, at + 12)[: body[at]]
                at += 28
            member, at = self._parse(body, at, depth + 1)
            if shape:
                member = array(member, shape)
            if offset + member.size > size:
                raise CorruptFile(f"the member {name} of a compound lies outside it")
            members.append((name, offset, member))
        return compound(members, size), at

    def _vlen(self, body: bytes, at: int, depth: int, bits: int, size: int, _version: int) -> tuple[Datatype, int]:
        base, at = self._parse(body, at, depth + 1)
        if bits & 15 == 1:
            told = string_told(bits >> 4 & 15, bits >> 8 & 15, None)
            return Datatype(VLEN, size, "O", self._variable(None), told, variable=True, width=8), at
        decode = None if base.decode is None else self._variable(base)
        sequence = {"class": "vlen", "base": base.told or base.name}
        return Datatype(VLEN, size, "O", decode, sequence, variable=True, base=base, width=16), at

    def _array(self, body: bytes, at: int, depth: int, _bits: int, _size: int, version: int) -> tuple[Datatype, int]:
        rank = body[at]
        at += 1 if version >= 3 else 4
        shape = struct.unpack_from(f"<{rank}I", body, at)
        at += rank * (4 if version >= 3 else 8)
        if not shape or 0 in shape or rank > _RANK_MOST:
            raise CorruptFile(f"an array type of the shape {shape[:8]} cannot be")
        base, at = self._parse(body, at, depth + 1)
        return array(base, shape), at

    def _complex(self, body: bytes, at: int, depth: int, _bits: int, size: int, _version: int) -> tuple[Datatype, int]:
        part, at = self._parse(body, at, depth + 1)
        return complex_of(part, size), at


_PARSERS = {
    FIXED: Parser._fixed,
    FLOAT: Parser._float,
    TIME: Parser._time,
    STRING: Parser._string,
    BITFIELD: Parser._bitfield,
    OPAQUE: Parser._opaque,
    COMPOUND: Parser._compound,
    REFERENCE: Parser._refers,
    ENUM: Parser._enum,
    VLEN: Parser._vlen,
    ARRAY: Parser._array,
    COMPLEX: Parser._complex,
}


def _name(body: bytes, at: int, *, padded: bool) -> tuple[str, int]:
    """A name ended by a zero, in versions 1 and 2 padded to a multiple of eight; and where it ends."""
    end = body.index(b"\0", at) if b"\0" in body[at : at + 65536] else len(body)
    after = end + 1
    return text(body[at:end]), at + (after - at + 7 & ~7) if padded else after
