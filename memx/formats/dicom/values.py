"""What the bytes of a value mean: lists of JSON's types (PS3.5 6.2, PS3.18 F.2).

Every converter takes the bytes of a value, never empty, and the decoder of the data set's character set. It
returns a list, or None for bytes that are none (or that contradict their VR): they leave as base64. An empty
value among several is None (PS3.18 F.2.5). Text loses its padding as it does in pydicom.
"""

import struct
from collections.abc import Callable
from math import isfinite
from typing import Any

from memx.formats.dicom.charset import Decode, visible
from memx.records import number

Values = list[Any] | None
Convert = Callable[[bytes, Decode], Values]


def _binary(_raw: bytes, _decode: Decode) -> Values:
    return None


def _several(text: str) -> Values:
    if "\\" in text:
        return [part or None for part in text.split("\\")]
    return [text] if text else []


def _codes(raw: bytes, _decode: Decode) -> Values:
    return _several(raw.decode("latin-1").rstrip(" \0"))


def _titles(raw: bytes, _decode: Decode) -> Values:
    return _several("\\".join([part.strip() for part in raw.decode("latin-1").split("\\")]))


def _uids(raw: bytes, _decode: Decode) -> Values:
    return _several("\\".join([part.strip() for part in raw.decode("latin-1").rstrip("\0 ").split("\\")]))


def texts(raw: bytes, decode: Decode) -> Values:
    """LO and its like: several texts between backslashes."""
    text = decode(raw)
    if "\\" in text:
        return [visible(part.rstrip("\0 ")) or None for part in text.split("\\")]
    text = visible(text.rstrip("\0 "))
    return [text] if text else []


def _one_text(raw: bytes, decode: Decode) -> Values:
    text = visible(decode(raw).rstrip("\0 "))
    return [text] if text else []


def _uri(raw: bytes, _decode: Decode) -> Values:
    text = raw.decode("latin-1").rstrip()
    return [text] if text else []


def _names(raw: bytes, decode: Decode) -> Values:
    """PN: component groups stay joined by `=`; empty groups at the end go (PS3.5 6.2.1)."""
    text = decode(raw.rstrip(b"\0 "))
    if "\\" in text:
        return [visible(part.rstrip("=")) or None for part in text.split("\\")]
    text = visible(text.rstrip("="))
    return [text] if text else []


def _integer(text: str) -> int | float | None:
    if not text.strip():
        return None
    if "_" in text:  # Python's own spelling, not DICOM's
        raise ValueError(text)
    try:
        return int(text)
    except ValueError:
        value = float(text)
        return int(value) if value == int(value) else value


def _decimal(text: str) -> float | str | None:
    if not text.strip():
        return None
    if "_" in text:
        raise ValueError(text)
    return number(float(text))


def _integers(raw: bytes, decode: Decode) -> Values:
    text = raw.decode("latin-1").rstrip(" \0")
    try:
        return [_integer(part) for part in text.split("\\")] if text else []
    except (ValueError, OverflowError):
        return texts(raw, decode)


def _decimals(raw: bytes, decode: Decode) -> Values:
    try:
        values = list(map(float, raw.rstrip(b" \0").split(b"\\")))
        if b"_" not in raw and isfinite(sum(values)):
            return values  # as nearly all are
    except ValueError:
        pass
    text = raw.decode("latin-1").strip().rstrip(" \0")
    try:
        return [_decimal(part) for part in text.split("\\")] if text else []
    except ValueError:
        return texts(raw, decode)


def _numbers(order: str, code: str) -> Convert:
    size = struct.calcsize(f"={code}")
    single = struct.Struct(f"{order}{code}").unpack

    def convert(raw: bytes, _decode: Decode) -> Values:
        if len(raw) == size:
            return list(single(raw))
        if len(raw) % size:
            return None
        return list(struct.unpack(f"{order}{len(raw) // size}{code}", raw))

    return convert


def _floats(order: str, code: str) -> Convert:
    plain = _numbers(order, code)

    def convert(raw: bytes, decode: Decode) -> Values:
        values = plain(raw, decode)
        return values and [value if isfinite(value) else number(value) for value in values]

    return convert


def _tags(order: str) -> Convert:
    def convert(raw: bytes, _decode: Decode) -> Values:
        halves = struct.unpack(f"{order}{len(raw) // 4 * 2}H", raw[: len(raw) // 4 * 4])
        return [f"{group:04X}{element:04X}" for group, element in zip(halves[::2], halves[1::2], strict=True)] or None

    return convert


_TEXT: dict[str, Convert] = {
    **dict.fromkeys(("AS", "CS", "DA", "DT", "TM"), _codes),
    **dict.fromkeys(("LO", "SH", "UC"), texts),
    **dict.fromkeys(("LT", "ST", "UT"), _one_text),
    "AE": _titles,
    "DS": _decimals,
    "IS": _integers,
    "PN": _names,
    "UI": _uids,
    "UR": _uri,
}
_INTEGERS = {"SL": "l", "SS": "h", "SV": "q", "UL": "L", "US": "H", "UV": "Q"}


def converters(order: str) -> dict[str, Convert]:
    """The converter of each VR for values in byte order `order` (`<` or `>`); a VR that is missing is binary."""
    return {
        **_TEXT,
        **{vr: _numbers(order, code) for vr, code in _INTEGERS.items()},
        "FL": _floats(order, "f"),
        "FD": _floats(order, "d"),
        "AT": _tags(order),
    }


CONVERTERS = {"<": converters("<"), ">": converters(">")}


def converter(vr: str, order: str) -> Convert:
    """The converter of `vr`."""
    return CONVERTERS[order].get(vr, _binary)
