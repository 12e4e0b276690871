"""What leaves memx: records, and the one encoder that makes strict JSON of them.

A record is a dictionary whose first key is `type`. RECORDS.md names the fields; `records.schema.json`
beside this module describes them all.
"""

import base64
import json
import math
import os
from collections.abc import Iterable
from typing import Any

import orjson

Record = dict[str, Any]
"""One line: JSON's own types only; its first key is `type`."""

MAX_LINE = 1 << 20
"""Bytes of the longest line, its newline included."""


def encode(record: Record) -> bytes:
    """`record` as one line of strict JSON with its newline, at most `MAX_LINE` bytes.

    Members that would make it longer are replaced and named under `cut`: see `_cut`.
    """
    try:
        line = orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError:
        line = _encode_odd(record)
    return line if len(line) <= MAX_LINE else _encode_cut(record)


def encode_all(records: list[Record]) -> bytes:
    """The lines of `records`, as `encode` makes each: at once, for one call costs as much as several records."""
    try:
        block = orjson.dumps(records)
    except TypeError:
        return b"".join(map(encode, records))
    # no string holds a bare quote, and no line a newline; where the same stands inside of a record, it shows
    lines = block[1:-1].replace(b'},{"type":', b'}\n{"type":') + b"\n"
    if len(lines) <= MAX_LINE and lines.count(b"\n") == len(records):
        return lines
    return b"".join(map(encode, records))


def decode(line: bytes) -> Record:
    """The record of one line that `encode` made."""
    # orjson makes floats of integers beyond 64 bits, and says nothing
    record: Record = json.loads(line) if _has_long_number(line) else orjson.loads(line)
    return record


def decode_all(lines: bytes) -> list[Record]:
    """The records of whole lines, each as `decode` makes it: at once, which costs a fourth of one by one."""
    listed = b"[" + lines[:-1].replace(b"\n", b",") + b"]"
    records: list[Record] = json.loads(listed) if _has_long_number(listed) else orjson.loads(listed)
    return records


def _has_long_number(line: bytes) -> bool:
    return _LONG_NUMBER in line.translate(_NO_DIGIT_BUT_NOUGHT)  # many times faster than a regular expression


_LONG_NUMBER = b"0" * 19
_NO_DIGIT_BUT_NOUGHT = bytes.maketrans(b"123456789", b"000000000")


def text(raw: bytes) -> str:
    """`raw` as text; bytes that are no UTF-8 stay readable as backslash escapes."""
    return raw.decode("utf-8", "backslashreplace")


def sentence(message: str) -> str:
    """`message` on one line: what cannot be printed, names in a file may hold anything, as backslash escapes."""
    if message.isprintable():
        return message
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode("ascii") for char in message)


def display_path(path: str | os.PathLike[str] | bytes) -> str:
    """A path as records carry it: bytes of the name that are no UTF-8 become backslash escapes."""
    return text(os.fsencode(path))


def binary(raw: bytes | bytearray | memoryview) -> dict[str, str]:
    """Bytes as JSON carries them: base64 under `inline_binary`."""
    return {"inline_binary": base64.b64encode(raw).decode("ascii")}


def number(value: float) -> float | str:
    """A float as strict JSON has it: what JSON lacks is a string."""
    if math.isfinite(value):
        return value
    return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"


def plain(value: Any) -> Any:
    """`value` in JSON's own types: floats through `number`, bytes through `binary`, sequences as lists.

    NumPy scalars and arrays are told by their `tolist`, so that nothing here imports NumPy. Complex
    numbers become `[real, imaginary]`.
    """
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        return number(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return binary(value)
    if isinstance(value, complex):
        return [number(value.real), number(value.imag)]
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if hasattr(value, "tolist"):
        listed = value.tolist()
        return number(float(value)) if type(listed) is type(value) else plain(listed)  # a long double stays one
    if isinstance(value, Iterable):
        return [plain(item) for item in value]
    return str(value)


def _encode_odd(record: Record) -> bytes:
    """The slow way, for what orjson refuses: lone surrogates and integers beyond 64 bits."""
    line = json.dumps(plain(record), ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return line.encode("utf-8", "backslashreplace_json") + b"\n"


def _json_safe_surrogate(error: UnicodeError) -> tuple[str, int]:
    """A lone surrogate inside a JSON string: its byte as a backslash escape, the backslash doubled."""
    if not isinstance(error, UnicodeEncodeError):
        raise error
    escapes = (
        f"\\\\x{code - 0xDC00:02x}" if 0xDC80 <= code <= 0xDCFF else f"\\\\u{code:04x}"
        for code in map(ord, error.object[error.start : error.end])
    )
    return "".join(escapes), error.end


def _register() -> None:
    import codecs

    codecs.register_error("backslashreplace_json", _json_safe_surrogate)


_register()


def _encode_cut(record: Record) -> bytes:
    """The line of a record that is too long, its largest members replaced until it fits.

    A replaced member is `{"bulk":true,"length":N}`, N the bytes that its JSON would have taken; `cut` names
    each by its keys joined with a dot. The members of a mapping (`attributes`, `tags`) are cut one by one
    where that is enough, else the mapping as a whole. A value whose record says where it lies gives way to
    `bulk`, as one that was not read.
    """
    slim = {key: dict(item) if isinstance(item, dict) else item for key, item in record.items()}
    excess = len(encode_value(slim)) + _CUT_ROOM - MAX_LINE
    cut: list[str] = []
    inner = [(item, f"{key}.") for key, item in slim.items() if isinstance(item, dict)]
    for holder, prefix in (*inner, (slim, "")):
        sizes = sorted(((len(encode_value(item)), key) for key, item in holder.items()), reverse=True)
        for size, key in sizes:
            if excess <= 0 or size < _CUT_LEAST or len(cut) >= _CUT_MOST:
                break
            if key != "type":
                if holder is slim and key in _VALUES and slim.keys() >= {"offset", "length"}:
                    del slim[key]
                    slim["bulk"] = True
                else:
                    holder[key] = {"bulk": True, "length": size}
                cut.append(f"{prefix}{key}"[:_CUT_LEAST])
                excess -= size - _CUT_LEAST
    return encode(slim | {"cut": cut})


_VALUES = ("value", "inline_binary")
_CUT_ROOM, _CUT_LEAST, _CUT_MOST = 1 << 16, 256, 100
"""Room left for `cut`; members and names of `cut` shorter than this stay; so many are cut one by one."""


def encode_value(value: Any) -> bytes:
    """`value` alone as JSON, without a newline and without a bound."""
    try:
        return orjson.dumps(value)
    except TypeError:
        return _encode_odd({"": value})[4:-2]
