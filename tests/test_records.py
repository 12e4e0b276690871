import json
import math
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.records import (
    MAX_LINE,
    binary,
    decode,
    decode_all,
    display_path,
    encode,
    encode_all,
    encode_value,
    number,
    plain,
    sentence,
    text,
)

scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(1 << 80), 1 << 80)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"))
)
names = st.text(st.characters(codec="utf-8"))
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(names, inner, max_size=4), max_leaves=20
)


def strict(line: bytes) -> Any:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is no JSON")

    return json.loads(line.decode("utf-8"), parse_constant=refuse)


@given(st.dictionaries(names, values, max_size=5))
def test_what_is_encoded_comes_back(members: dict[str, Any]) -> None:
    record = {"type": "test", **members}
    line = encode(record)
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert strict(line) == record
    assert decode(line) == record


@given(st.text(), st.integers(-(1 << 70), 1 << 70))
def test_any_text_gives_strict_json(string: str, large: int) -> None:
    record = {"type": "test", "value": string, "number": large}
    line = encode(record)
    parsed = strict(line)
    assert parsed["number"] == large
    parsed["value"].encode("utf-8")  # no lone surrogate is left


def test_bytes_of_a_name_stay_readable() -> None:
    # as the file system gives what is no UTF-8
    record = {"type": "file", "path": b"na\xefve".decode("utf-8", "surrogateescape")}
    assert strict(encode(record))["path"] == r"na\xefve"


def test_lone_surrogates_are_escapes() -> None:
    assert strict(encode({"type": "test", "value": "a\ud800b"}))["value"] == r"a\ud800b"
    assert strict(encode({"type": "test", "\ud800": 1})) == {"type": "test", r"\ud800": 1}


@pytest.mark.parametrize("value", [1 << 64, -(1 << 63) - 1, 10**40])
def test_large_integers_are_exact(value: int) -> None:
    line = encode({"type": "test", "value": value})
    assert str(value).encode() in line
    assert decode(line)["value"] == value


@given(st.binary())
def test_text_keeps_every_byte(raw: bytes) -> None:
    shown = text(raw)
    shown.encode("utf-8")
    try:
        assert shown == raw.decode("utf-8")
    except UnicodeDecodeError:
        assert "\\x" in shown


def test_paths_as_records_carry_them() -> None:
    assert display_path("a/b") == "a/b"
    assert display_path(Path("a") / "b") == "a/b"
    assert display_path(b"a\xff") == "a\\xff"
    assert display_path("ä") == "ä"


def test_sentences_stay_on_one_line() -> None:
    assert sentence("the attribute äöü of / is odd") == "the attribute äöü of / is odd"
    assert sentence("a\nb\x1b[31m\udcff\u202e") == r"a\nb\x1b[31m\udcff\u202e"


def test_bytes_are_base64() -> None:
    assert binary(b"\0\xff") == {"inline_binary": "AP8="}
    assert binary(memoryview(bytearray(b""))) == {"inline_binary": ""}


def test_numbers_that_json_lacks_are_strings() -> None:
    assert number(1.5) == 1.5
    assert number(math.nan) == "NaN"
    assert number(math.inf) == "Infinity"
    assert number(-math.inf) == "-Infinity"


def test_plain_knows_numpy_without_importing_it() -> None:
    import numpy as np

    assert plain(np.float32(0.5)) == 0.5
    assert plain(np.int64(3)) == 3
    assert plain(np.float64("nan")) == "NaN"
    assert plain(np.array([[1, 2], [3, 4]], ">i2")) == [[1, 2], [3, 4]]
    assert plain(np.array([b"a", b"b"])) == [binary(b"a"), binary(b"b")]
    assert plain(np.bool_(True)) is True
    assert plain(np.array([1 + 2j])) == [[1.0, 2.0]]


def test_plain_of_everything_else() -> None:
    assert plain({1: (None, True, b"x")}) == {"1": [None, True, binary(b"x")]}
    assert plain(date(2026, 1, 2)) == "2026-01-02"
    assert plain(range(3)) == [0, 1, 2]
    assert plain(complex(math.nan, 1)) == ["NaN", 1.0]


@given(st.lists(st.floats() | st.binary() | st.complex_numbers() | scalars))
def test_plain_can_always_be_encoded(items: list[Any]) -> None:
    strict(encode({"type": "test", "value": plain(items)}))


def test_a_long_line_is_cut_and_says_so() -> None:
    record = {"type": "element", "tag": "00100010", "value": ["x" * (2 * MAX_LINE)], "offset": 5}
    line = encode(record)
    assert len(line) <= MAX_LINE
    cut = strict(line)
    assert cut == {
        "type": "element",
        "tag": "00100010",
        "value": {"bulk": True, "length": 2 * MAX_LINE + 4},
        "offset": 5,
        "cut": ["value"],
    }
    assert record["value"] == ["x" * (2 * MAX_LINE)], "the caller's record was changed"


@pytest.mark.parametrize("member", [{"value": ["x" * MAX_LINE]}, {"inline_binary": "x" * MAX_LINE}])
def test_a_value_that_lies_in_the_file_is_bulk_where_its_line_is_too_long(member: dict[str, Any]) -> None:
    where = {"type": "element", "offset": 5, "length": MAX_LINE}
    assert strict(encode(where | member)) == where | {"bulk": True, "cut": list(member)}


def test_only_the_long_attributes_are_cut() -> None:
    record = {"type": "group", "path": "/", "attributes": {"short": 1, "long": "x" * MAX_LINE, "last": [2]}}
    cut = strict(encode(record))
    assert cut["attributes"] == {"short": 1, "long": {"bulk": True, "length": MAX_LINE + 2}, "last": [2]}
    assert cut["cut"] == ["attributes.long"]
    assert record["attributes"]["long"] == "x" * MAX_LINE, "the caller's record was changed"


def test_a_line_that_just_fits_is_left_alone() -> None:
    room = MAX_LINE - len(encode({"type": "t", "value": ""}))
    fits = {"type": "t", "value": "x" * room}
    assert len(encode(fits)) == MAX_LINE
    assert decode(encode(fits)) == fits
    assert "cut" in decode(encode({"type": "t", "value": "x" * (room + 1)}))


@pytest.mark.slow
@pytest.mark.parametrize(
    "record",
    [
        {"type": "group", "attributes": {f"a{i}": "x" * 1000 for i in range(5000)}},
        {"type": "group", "attributes": {f"a{i}": i for i in range(300_000)}},
        {"type": "group", "attributes": {"x" * (2 * MAX_LINE): 1}},
        {"type": "stream", "tags": {"a": {"b": ["x" * 2000] * 1000}}},
        {"type": "error", "code": "corrupt", "message": "x" * (2 * MAX_LINE)},
        {"type": "element", "value": ["\ud800" * MAX_LINE]},
        {"type": "element", "value": [1 << 70] * 100_000},
        {"type": "hdu", "columns": [{"name": f"c{i}", "format": "1E"} for i in range(50_000)]},
        {"type": "file", "path": "\0" * MAX_LINE, "format": None},
        {"type": "x"} | {f"member{i}": "y" * 300 for i in range(5000)},
    ],
    ids=lambda record: str(record)[:40],
)
def test_whatever_is_too_long_fits_at_last(record: dict[str, Any]) -> None:
    line = encode(record)
    assert len(line) <= MAX_LINE
    cut = strict(line)
    assert cut["type"] == record["type"]
    assert cut["cut"]


def test_a_value_alone() -> None:
    assert encode_value({"a": [1, None]}) == b'{"a":[1,null]}'
    assert json.loads(encode_value("\ud800")) == r"\ud800"
    assert json.loads(encode_value(1 << 70)) == 1 << 70


def test_a_long_double_becomes_a_number() -> None:
    import numpy as np

    assert plain(np.longdouble("1.5")) == 1.5
    assert plain(np.array([np.longdouble("inf")])) == ["Infinity"]


@pytest.mark.parametrize(
    "records",
    [
        [{"type": "card", "value": n} for n in range(3)],
        [{"type": "dataset", "attributes": {"a": [{"x": {}}, {"type": 1}, {"type": 2}]}}, {"type": "link"}],
        [{"type": "element", "value": ['},{"type":']}, {"type": "element", "value": [r"},{\"type\":"]}],
        [{"type": "element", "value": ["\ud800"]}, {"type": "element", "value": [1 << 70]}],
        [{"type": "element", "value": ["x" * MAX_LINE]}, {"type": "end"}],
    ],
    ids=("plain", "the same inside", "the same in a string", "odd", "long"),
)
def test_together_they_are_encoded_as_alone(records: list[dict[str, Any]]) -> None:
    lines = encode_all(records)
    assert lines == b"".join(map(encode, records))
    assert decode_all(lines) == [decode(line) for line in lines.splitlines()]
