"""The DICOM reader on files made byte by byte, with what must come out, and against pydicom."""

import io
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from memx.errors import CorruptFile, MemxError, OverLimit, TruncatedFile
from memx.formats import detect
from memx.formats.base import ReadOptions
from memx.formats.dicom import DicomStreamReader
from memx.formats.dicom.tokenizer import MAX_DEPTH, MAX_PADDING
from memx.records import MAX_LINE, encode
from memx.sources import open_source
from memx.sources.stream import ForwardStream, SeekableStream
from tests.oracles.dicom import disagreements
from tests.samples.dicom import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    JPEG,
    UNDEFINED,
    Writer,
    build,
    build_giant,
    build_small,
    data_set,
    file,
    meta,
)

W = Writer()
I = Writer(IMPLICIT)  # noqa: E741 - the counterpart of W


def read(data: bytes, **options: Any) -> tuple[list[dict[str, Any]], MemxError | None]:
    """The records of `data`, and the error they end with; a pipe must give the same as a file."""
    outcomes = []
    for stream in (SeekableStream, ForwardStream):
        records, error = [], None
        try:
            for record in DicomStreamReader(stream(io.BytesIO(data), "x.dcm"), ReadOptions(**options)):
                assert len(encode(record)) <= MAX_LINE
                records.append(record)
        except MemxError as exc:
            error = exc
        outcomes.append((records, error))
    assert outcomes[0][0] == outcomes[1][0]
    assert type(outcomes[0][1]) is type(outcomes[1][1])
    return outcomes[0]


def body(data: bytes, syntax: str = EXPLICIT, **options: Any) -> list[dict[str, Any]]:
    """The records behind the meta information of a file with this data set, which must end well."""
    records, error = read(file(data, syntax), **options)
    assert error is None, error
    assert not [record for record in records if record["type"] == "error"]
    return [record for record in records if not record["tag"].startswith("0002")]


def one(data: bytes, syntax: str = EXPLICIT, **options: Any) -> dict[str, Any]:
    records = body(data, syntax, **options)
    assert len(records) == 1
    return records[0]


def places(records: list[dict[str, Any]]) -> list[str]:
    return [f"{record['parent']}.{record['tag']}" if "parent" in record else record["tag"] for record in records]


def agrees(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file.dcm"
    path.write_bytes(data)
    assert disagreements(path, list(DicomStreamReader().stream(path))) == []


def test_record_is_as_the_contract_has_it() -> None:
    assert one(W.element(0x00100010, "PN", "Doe^Jane")) == {
        "type": "element",
        "tag": "00100010",
        "vr": "PN",
        "keyword": "PatientName",
        "offset": len(file(b"")) + 8,
        "length": 8,
        "value": ["Doe^Jane"],
    }


def test_meta_information_comes_first() -> None:
    records, error = read(file(data_set()))
    assert error is None
    assert [record["tag"] for record in records[:6]] == [
        "00020000", "00020001", "00020002", "00020003", "00020010", "00080005",
    ]  # fmt: skip
    assert records[0]["value"] == [len(meta(EXPLICIT)) - 128 - 4 - 12]
    assert records[1]["inline_binary"] == "AAE="


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG, DEFLATED])
def test_every_syntax_says_the_same(tmp_path: Path, syntax: str) -> None:
    def said(records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return [
            {key: value for key, value in record.items() if key not in ("offset", "length") or "value" in record}
            | {"offset": None, "length": None}
            for record in records
        ]

    assert said(body(data_set(syntax), syntax)) == said(body(data_set()))
    agrees(tmp_path, file(data_set(syntax), syntax))


def test_sample_agrees_with_pydicom(tmp_path: Path) -> None:
    path = build(tmp_path)
    records = list(DicomStreamReader().stream(path))
    assert disagreements(path, records) == []
    pixels = next(record for record in records if record["tag"] == "7FE00010")
    assert (pixels["fragments"], pixels["length"], pixels["bulk"], "value" in pixels) == (3, None, True, False)
    assert records[-1]["tag"] == "FFFCFFFC"


@pytest.mark.parametrize("table", [b"", struct.pack("<2L", 0, 108)])
def test_fragments_are_counted_without_the_table(table: bytes) -> None:
    assert one(W.encapsulated(bytes(100), bytes(50), table=table), JPEG)["fragments"] == 2


def test_fragments_are_stepped_over(tmp_path: Path) -> None:
    path = tmp_path / "f.dcm"
    path.write_bytes(file(W.encapsulated(*[bytes(1 << 20)] * 8) + W.element(0xFFFCFFFC, "OB", b"ab"), JPEG))
    with open_source(path) as source:
        assert list(DicomStreamReader(source))[-1]["inline_binary"] == "YWI="
    assert source.bytes_read < 1 << 18


def test_native_pixels_are_never_read(tmp_path: Path) -> None:
    path = tmp_path / "f.dcm"
    path.write_bytes(file(W.element(0x7FE00010, "OW", bytes(8 << 20)) + W.element(0xFFFCFFFC, "OB", b"ab")))
    with open_source(path) as source:
        pixels, last = list(DicomStreamReader(source))[-2:]
    assert (pixels["length"], pixels["bulk"], last["tag"]) == (8 << 20, True, "FFFCFFFC")
    assert source.bytes_read < 1 << 18


@pytest.mark.parametrize("tag", [0x7FE00008, 0x7FE00009, 0x7FE00010])
def test_short_pixels_are_bulk_too(tag: int) -> None:
    icon = W.element(tag, "OW", b"1234")
    records = body(W.sequence(0x00880200, icon) + icon)
    assert [record.get("bulk") for record in records] == [None, True, True]


def test_nested_items_have_parents(tmp_path: Path) -> None:
    leaf = W.element(0x00080100, "SH", "X")
    for defined in (True, False):
        inner = W.sequence(0x00209113, leaf, leaf, defined=defined)
        data = W.sequence(0x52009230, inner, leaf, defined=defined) + leaf
        assert places(body(data)) == [
            "52009230",
            "52009230[0].00209113",
            "52009230[0].00209113[0].00080100",
            "52009230[0].00209113[1].00080100",
            "52009230[1].00080100",
            "00080100",
        ]
        agrees(tmp_path, file(data))


@pytest.mark.parametrize("writer", [W, I])
@pytest.mark.parametrize("defined", [True, False])
def test_empty_sequences(writer: Writer, defined: bool) -> None:
    data = writer.sequence(0x00081111, defined=defined) + writer.sequence(0x00081115, b"", b"", defined=defined)
    first, second, last = body(data + writer.element(0x00100020, "LO", "1"), IMPLICIT if writer is I else EXPLICIT)
    assert first["value"] == []
    assert second["vr"] == "SQ"
    assert "value" not in second
    assert last["value"] == ["1"]


def test_unknown_of_undefined_length_is_an_implicit_sequence(tmp_path: Path) -> None:
    item = I.element(0x00080100, "SH", "X")
    data = W.header(0x00091001, "UN", UNDEFINED) + W.item(item, defined=False) + W.mark(0xFFFEE0DD)
    assert [record["vr"] for record in body(data)] == ["SQ", "SH"]
    agrees(tmp_path, file(data))


def test_unknown_of_a_known_tag_has_its_own_vr(tmp_path: Path) -> None:
    data = W.element(0x00280030, "UN", r"0.5\0.25") + W.sequence(0x00400275, I.element(0x00080100, "SH", "X"), vr="UN")
    spacing, sequence, code = body(data)
    assert (spacing["vr"], spacing["value"]) == ("DS", [0.5, 0.25])
    assert (sequence["vr"], code["parent"]) == ("SQ", "00400275[0]")
    agrees(tmp_path, file(data))


def test_private_elements_of_known_creators(tmp_path: Path) -> None:
    data = I.element(0x00290010, "LO", "SIEMENS CSA HEADER") + I.element(0x00291008, "CS", "IMAGE NUM 4")
    known = body(data, IMPLICIT)
    assert [(record["vr"], record["keyword"]) for record in known] == [("LO", None), ("CS", None)]
    unknown = body(data.replace(b"SIEMENS", b"SOMEONE"), IMPLICIT)
    assert unknown[1]["vr"] == "UN"
    assert "inline_binary" in unknown[1]
    agrees(tmp_path, file(data, IMPLICIT))


def test_private_creators_do_not_leave_their_item() -> None:
    creator, element = I.element(0x00290010, "LO", "SIEMENS CSA HEADER"), I.element(0x00291008, "CS", "IMAGE NUM 4")
    records = body(I.sequence(0x00081115, creator + element, element), IMPLICIT)
    assert [record["vr"] for record in records] == ["SQ", "LO", "CS", "UN"]


@pytest.mark.parametrize(("signed", "vr", "value"), [(0, "US", 65531), (1, "SS", -5)])
def test_pixel_representation_decides(tmp_path: Path, signed: int, vr: str, value: int) -> None:
    smallest = I.numbers(0x00280106, "SS", "h", -5)
    mapped = I.numbers(0x00409216, "SS", "h", -5)
    data = I.numbers(0x00280103, "US", "H", signed) + smallest + I.sequence(0x00409096, mapped)
    _, top, _, inside = body(data, IMPLICIT)
    assert [(record["vr"], record["value"]) for record in (top, inside)] == [(vr, [value])] * 2
    agrees(tmp_path, file(data, IMPLICIT))


@pytest.mark.parametrize(("entries", "vr"), [(1, "US"), (4, "OW")])
def test_lookup_tables(tmp_path: Path, entries: int, vr: str) -> None:
    table = I.numbers(0x00283002, "US", "H", entries, 0, 16) + I.numbers(0x00283006, "US", "H", *range(entries))
    assert [record["vr"] for record in body(I.sequence(0x00283000, table), IMPLICIT)][2] == vr
    agrees(tmp_path, file(I.sequence(0x00283000, table), IMPLICIT))


def test_descriptors_count_without_a_sign() -> None:
    assert one(W.numbers(0x00281101, "SS", "h", -1, -5, 16))["value"] == [65535, -5, 16]


def test_group_lengths_and_repeating_groups() -> None:
    data = (
        I.numbers(0x00080000, "UL", "L", 4) + I.numbers(0x60020010, "US", "H", 3) + I.element(0x60023000, "OW", b"12")
    )
    assert [(record["vr"], record["keyword"]) for record in body(data, IMPLICIT)] == [
        ("UL", None), ("US", "OverlayRows"), ("OW", "OverlayData"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("vr", "raw", "value"),
    [
        ("IS", rb"1\-2\ +3 ", [1, -2, 3]),
        ("IS", rb"1\\2", [1, None, 2]),
        ("IS", b"1.0 ", [1]),
        ("IS", b"1.5 ", [1.5]),
        ("IS", b"1_000 ", ["1_000"]),
        ("IS", rb"1\two", ["1", "two"]),
        ("IS", b"9" * 5000, ["9" * 5000]),
        ("IS", b"  ", []),
        ("DS", rb"1\0.5\-2e-3 ", [1.0, 0.5, -0.002]),
        ("DS", rb"nan\inf\-inf", ["NaN", "Infinity", "-Infinity"]),
        ("DS", b"1,5 ", ["1,5"]),
        ("DS", b"\0\0", []),
        ("CS", rb"A\\B ", ["A", None, "B"]),
        ("AE", b" STORE  ", ["STORE"]),
        ("LO", b" two \\ words", [" two", " words"]),
        ("LT", rb" C:\temp ", [r" C:\temp"]),
        ("UI", b"1.2\\1.3\0", ["1.2", "1.3"]),
        ("UR", b"https://x.org ", ["https://x.org"]),
        ("PN", b"A^B==c^d\\= ", ["A^B==c^d", None]),
        ("AT", struct.pack("<4H", 0x10, 0x20, 0x7FE0, 0xABCD), ["00100020", "7FE0ABCD"]),
        ("FL", struct.pack("<2f", 0.5, float("nan")), [0.5, "NaN"]),
        ("FD", struct.pack("<d", 1e300), [1e300]),
        ("UV", struct.pack("<Q", 2**64 - 1), [2**64 - 1]),
        ("SV", struct.pack("<q", -(2**63)), [-(2**63)]),
        ("UL", b"\1\0\0\0\2\0\0\0", [1, 2]),
    ],
)
def test_values(vr: str, raw: bytes, value: list[Any]) -> None:
    assert one(W.element(0x00091001, vr, raw))["value"] == value


@pytest.mark.parametrize(("vr", "raw"), [("US", b"abcdef"[:5] + b"x\0"), ("FD", b"1234"), ("AT", b"12"), ("OB", b"ab")])
def test_bytes_that_are_no_value_are_kept(vr: str, raw: bytes) -> None:
    data = W.header(0x00091001, vr, len(raw)) + raw
    assert "inline_binary" in one(data)
    assert "value" not in one(data)


@pytest.mark.parametrize("vr", ["OB", "UN", "US", "PN", "DS", "UT"])
def test_empty_values(vr: str) -> None:
    assert one(W.element(0x00091001, vr))["value"] == []


def test_long_values_are_not_read() -> None:
    record = one(W.element(0x00091001, "LO", "x" * 100), max_value_bytes=99)
    assert record["bulk"] is True
    assert "value" not in record
    assert one(W.element(0x00091001, "LO", "x" * 100), max_value_bytes=100)["value"] == ["x" * 100]


def test_bytes_without_character_stay_visible() -> None:
    data = W.element(0x00080005, "CS", "ISO_IR 192") + W.element(0x00100010, "PN", b"A\xff\xfeB\\C")
    assert body(data)[1]["value"] == [r"A\xff\xfeB", "C"]


@pytest.mark.parametrize("start", [b"", bytes(128) + b"DICM"])
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT, BIG])
def test_files_without_meta_information(tmp_path: Path, start: bytes, syntax: str) -> None:
    records, error = read(start + data_set(syntax))
    assert error is None
    assert [record["tag"] for record in records] == [record["tag"] for record in body(data_set())]
    (tmp_path / "nameless").write_bytes(start + data_set(syntax))
    with open_source(tmp_path / "nameless") as source:
        assert detect(source).name == "dicom"
    agrees(tmp_path, start + data_set(syntax))


@pytest.mark.parametrize(("said", "written"), [(EXPLICIT, IMPLICIT), (IMPLICIT, EXPLICIT), (JPEG, IMPLICIT)])
def test_the_first_element_outweighs_the_transfer_syntax(tmp_path: Path, said: str, written: str) -> None:
    assert body(data_set(written), said) == body(data_set(written), said)
    assert [r["tag"] for r in body(data_set(written), said)] == [r["tag"] for r in body(data_set())]
    agrees(tmp_path, file(data_set(written), said))


@pytest.mark.parametrize(("said", "written"), [(EXPLICIT, BIG), (BIG, EXPLICIT), (BIG, IMPLICIT)])
def test_byte_order_is_seen(said: str, written: str) -> None:
    assert [r["tag"] for r in body(data_set(written), said)] == [r["tag"] for r in body(data_set())]


def test_implicit_meta_information(tmp_path: Path) -> None:
    head = bytes(128) + b"DICM" + I.element(0x00020010, "UI", IMPLICIT)
    records, error = read(head + data_set(IMPLICIT))
    assert error is None
    assert records[0]["value"] == [IMPLICIT]
    agrees(tmp_path, head + data_set(IMPLICIT))


def test_command_set(tmp_path: Path) -> None:
    command = I.numbers(0x00000000, "UL", "L", 10) + I.numbers(0x00000100, "US", "H", 1)
    records, error = read(meta(EXPLICIT) + command + data_set())
    assert error is None
    assert [record["keyword"] for record in records[5:8]] == [
        "CommandGroupLength", "CommandField", "SpecificCharacterSet",
    ]  # fmt: skip
    agrees(tmp_path, meta(EXPLICIT) + command + data_set())


def test_deflated_data_in_zlib_clothes() -> None:
    import zlib

    records, error = read(meta(DEFLATED) + zlib.compress(data_set()))
    assert error is None
    assert len(records) == 5 + len(body(data_set()))


def test_deflated_data_that_breaks_off() -> None:
    whole = file(data_set(DEFLATED) + W.element(0x7FE00010, "OB", bytes(range(256)) * 99), DEFLATED)
    records, error = read(whole[:-40])
    assert isinstance(error, TruncatedFile)
    assert len(records) > 20


@pytest.mark.parametrize("length", [4, 100, 1 << 16, 1 << 31, UNDEFINED - 1])
def test_lengths_that_lie(length: int) -> None:
    data = W.element(0x00080005, "CS", "ISO_IR 100") + W.header(0x00091001, "OB", length) + b"abc"
    records, error = read(file(data))
    assert isinstance(error, TruncatedFile)
    assert error.offset is not None
    assert records[5]["value"] == ["ISO_IR 100"]


@pytest.mark.parametrize("tag", [0x00091001, 0x7FE00010])
def test_cut_anywhere_gives_what_was_there(tag: int) -> None:
    whole = file(data_set() + W.element(tag, "OB", bytes(100)))
    every = read(whole)[0]
    ends = [at for at in range(132, len(whole)) if read(whole[:at])[1] is None]
    starts = [record["offset"] - 8 for record in every]
    assert len(ends) < len(starts) + 20
    for at in range(132, len(whole), 7):
        records = read(whole[:at])[0]
        assert records == every[: len(records)]


def test_truncated_fragments() -> None:
    whole = file(W.encapsulated(bytes(100), bytes(100)), JPEG)
    for cut, count in ((8, 2), (50, 2), (120, 1)):
        records, error = read(whole[:-cut])
        assert isinstance(error, TruncatedFile)
        assert records[-1]["fragments"] == count


def test_fragments_among_other_bytes() -> None:
    pixels = W.encapsulated(bytes(100), bytes(100))
    at = len(pixels) - 8 - 108
    data = pixels[:at] + b"junk" + pixels[at:] + W.element(0xFFFCFFFC, "OB", b"ab")
    records, error = read(file(data, JPEG))
    assert error is None
    assert [record["type"] for record in records[-3:]] == ["element", "error", "element"]
    assert records[-1]["tag"] == "FFFCFFFC"


def test_sequence_with_something_else() -> None:
    inside = W.item(W.element(0x00080100, "SH", "X")) + b"something else"
    data = W.header(0x00081115, "SQ", len(inside)) + inside + W.element(0x00100020, "LO", "1")
    records, error = read(file(data))
    assert error is None
    assert [record["type"] for record in records[-4:]] == ["element", "element", "error", "element"]


def test_element_longer_than_its_sequence() -> None:
    inside = W.item(W.header(0x00080100, "SH", 500) + b"abcd")
    data = W.header(0x00081115, "SQ", len(inside)) + inside + W.element(0x00100020, "LO", "1")
    records, error = read(file(data))
    assert error is None
    assert [record["type"] for record in records[-4:]] == ["element", "element", "error", "element"]
    assert records[-3]["bulk"] is True


def test_items_that_lie() -> None:
    code, last = W.element(0x00080100, "SH", "X"), W.element(0x00100020, "LO", "1")
    items = W.mark(0xFFFEE000, 500) + code + W.item(code)
    for head in (W.header(0x00081115, "SQ", len(items)), W.header(0x00081115, "SQ", UNDEFINED)):
        tail = W.mark(0xFFFEE0DD) if head.endswith(b"\xff" * 4) else b""
        records, error = read(file(head + items + tail + last))
        assert error is None
        assert any(record["type"] == "error" for record in records)
        elements = places([record for record in records[5:] if record["type"] == "element"])
        assert elements == ["00081115", "00081115[0].00080100", "00081115[1].00080100", "00100020"]


def test_delimiters_in_odd_places() -> None:
    last = W.element(0x00100020, "LO", "1")
    code = W.element(0x00080100, "SH", "X")
    without_item_end = W.mark(0xFFFEE000, UNDEFINED) + code
    sequence = W.header(0x00081115, "SQ", UNDEFINED) + without_item_end * 2 + W.mark(0xFFFEE0DD)
    assert places(body(sequence + last)) == [
        "00081115", "00081115[0].00080100", "00081115[1].00080100", "00100020",
    ]  # fmt: skip
    without_end = W.header(0x00081115, "SQ", UNDEFINED) + W.item(code)
    assert places(body(without_end + last)) == ["00081115", "00081115[0].00080100", "00100020"]
    assert places(body(W.mark(0xFFFEE00D) + code + W.mark(0xFFFEE0DD) + last)) == ["00080100", "00100020"]
    superfluous = W.item(code + W.mark(0xFFFEE00D)) + W.item(code) + W.mark(0xFFFEE0DD)
    assert places(body(W.header(0x00081115, "SQ", len(superfluous)) + superfluous + last)) == [
        "00081115", "00081115[0].00080100", "00081115[1].00080100", "00100020",
    ]  # fmt: skip


def test_zero_bytes_behind_the_end() -> None:
    assert places(body(W.element(0x00100020, "LO", "1") + bytes(1001))) == ["00100020"]
    for tail in (bytes(MAX_PADDING * 2), bytes(50) + b"something"):
        records, error = read(file(W.element(0x00100020, "LO", "1") + tail))
        assert isinstance(error, CorruptFile)
        assert records[-1]["tag"] == "00100020"


def test_deep_nesting_is_bounded() -> None:
    def nested(depth: int) -> bytes:
        opening = W.header(0x00081115, "SQ", UNDEFINED) + W.mark(0xFFFEE000, UNDEFINED)
        return opening * depth + (W.mark(0xFFFEE00D) + W.mark(0xFFFEE0DD)) * depth

    assert len(body(nested(MAX_DEPTH))) == MAX_DEPTH
    records, error = read(file(nested(10_000)))
    assert isinstance(error, OverLimit)
    assert len(records) == 5 + MAX_DEPTH + 1


def test_nothing_in_it() -> None:
    for data in (b"", bytes(128) + b"DICM", bytes(200)):
        assert isinstance(read(data)[1], CorruptFile)


def test_future_vr_and_missing_vr() -> None:
    long = struct.pack("<HH2sHL", 0x10, 0x20, b"ZZ", 0, 4) + b"abcd"
    short = struct.pack("<HH2sH", 0x10, 0x20, b"ZZ", 4) + b"abcd"
    last = W.element(0x00100030, "DA", "20200101")
    for data in (long, short):
        first, second = body(data + last)
        assert (first["vr"], first["inline_binary"], second["value"]) == ("ZZ", "YWJjZA==", ["20200101"])
    switched = W.element(0x00080005, "CS", "ISO_IR 100") + I.element(0x00100020, "LO", "1") + last
    assert [record["vr"] for record in body(switched)] == ["CS", "LO", "DA"]


def test_pydicom_itself_is_not_imported(tmp_path: Path) -> None:
    path = tmp_path / "f.dcm"
    path.write_bytes(file(data_set(IMPLICIT), IMPLICIT))
    code = (
        "import sys; from memx.formats.dicom import DicomStreamReader\n"
        f"assert len(list(DicomStreamReader().stream({str(path)!r}))) > 10\n"
        "print([name for name in ('pydicom', 'numpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("head", "suffix", "expected"),
    [
        (W.element(0x00080005, "CS", "ISO_IR 100") * 1, "", True),
        (I.element(0x00080005, "CS", "ISO_IR 100"), ".dcm", True),
        (I.element(0x00080005, "CS", "ISO_IR 100"), "", False),
        (bytes(4096), "", False),
        (bytes(4096), ".dcm", False),
        (b"some text that goes on " * 20, ".dcm", False),
        (b"\x89PNG\r\n\x1a\n" + bytes(100), ".dcm", False),
    ],
)
def test_detection_without_prefix(head: bytes, suffix: str, expected: bool) -> None:
    from memx.formats.signatures import is_dicom

    assert is_dicom(head, suffix) is expected


def test_giant_is_stepped_over(tmp_path: Path) -> None:
    with open_source(build_giant(tmp_path)) as source:
        records = list(DicomStreamReader(source))
    assert source.bytes_read < 1 << 18
    small = list(DicomStreamReader().stream(build_small(tmp_path)))
    assert [record | {"offset": 0} for record in records] == [record | {"offset": 0} for record in small]
    assert records[-2]["fragments"] == 50
    assert records[-1]["offset"] > 100 << 30


def test_what_was_learned_of_one_file_tells_nothing_wrong_of_the_next() -> None:
    def smallest(signed: int, raw: bytes) -> dict[str, Any]:
        elements = I.numbers(0x00280103, "US", "H", signed) + I.element(0x00280106, "US", raw)
        return body(elements, IMPLICIT)[-1]

    for _ in range(2):
        assert (smallest(0, b"\xff\xff")["vr"], smallest(0, b"\xff\xff")["value"]) == ("US", [0xFFFF])
        assert (smallest(1, b"\xff\xff")["vr"], smallest(1, b"\xff\xff")["value"]) == ("SS", [-1])


def test_a_sequence_that_was_met_before_is_bounded_as_the_first_was() -> None:
    inner = W.sequence(0x00081140, W.element(0x00080100, "SH", "A"))
    outer = W.sequence(0x00081115, inner + inner)
    assert len(body(outer)) == 5
    overlong = bytearray(outer)
    at = outer.rindex(b"\x08\x00\x40\x11SQ")
    overlong[at + 8 : at + 12] = struct.pack("<L", 1000)
    records, _ = read(file(bytes(overlong)))
    assert [record["message"] for record in records if record["type"] == "error"] == [
        "element 00081140 is longer than the sequence around it"
    ]
