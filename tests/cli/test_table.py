"""The table: every record of every format as one row, never wider than the terminal, and harmless."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from memx.cli.table import COLUMNS, TableView, brief
from memx.formats import format_names
from memx.records import Record


def file(name: str | None, **fields: Any) -> Record:
    return {
        "type": "file",
        "path": "scans/a file.x",
        "format": name,
        "size": 5 << 20,
        "reader": "direct",
        "strategy": "balanced",
        "chunk_size": 1 << 20,
    } | fields


METRICS = {"elapsed_s": 0.5, "bytes_read": 4096, "peak_rss": 30 << 20, "peak_rss_delta": 0, "peak_exact": True}
END: Record = {
    "type": "end",
    "path": "x",
    "status": "complete",
    "reason": None,
    "records": 2,
    "metrics": METRICS,
}
RECORDS: dict[str, list[Record]] = {
    "dicom": [
        {
            "type": "element",
            "tag": "00100010",
            "vr": "PN",
            "keyword": "PatientName",
            "offset": 340,
            "length": 8,
            "value": ["Doe^Jane"],
        },
        {"type": "element", "tag": "00081115", "vr": "SQ", "keyword": "ReferencedSeriesSequence", "length": None},
        {
            "type": "element",
            "tag": "00080050",
            "vr": "SH",
            "keyword": None,
            "offset": 8,
            "length": 0,
            "value": [],
            "parent": "00081115[0].00081199[0]",
        },
        {
            "type": "element",
            "tag": "7FE00010",
            "vr": "OW",
            "keyword": "PixelData",
            "offset": 900,
            "length": 524288,
            "bulk": True,
        },
    ],
    "fits": [
        {"type": "card", "hdu": 0, "keyword": "BITPIX", "value": -32, "comment": "bits"},
        {"type": "card", "hdu": 0, "keyword": "HISTORY", "value": "made", "comment": None},
        {
            "type": "hdu",
            "index": 0,
            "name": "",
            "kind": "PRIMARY",
            "shape": [100, 100],
            "bitpix": -32,
            "header_offset": 0,
            "data_offset": 2880,
            "data_size": 40000,
        },
    ],
    "hdf5": [
        {"type": "group", "path": "/", "attributes": {"title": "run [bold]1[/bold]", "n": [1, 2.5]}},
        {
            "type": "dataset",
            "path": "/a",
            "attributes": {},
            "shape": [3, 4],
            "dtype": "<f4",
            "layout": "chunked",
            "filters": [{"id": 1}],
        },
        {"type": "datatype", "path": "/t", "attributes": {}, "dtype": "<f4"},
        {"type": "link", "path": "/l", "kind": "external", "target": "/x", "file": "other.h5"},
        {"type": "link", "path": "/m", "kind": "hard", "target": "/a", "file": None},
    ],
    "netcdf": [
        {"type": "dimension", "path": "/time", "size": 12, "unlimited": True},
        {
            "type": "variable",
            "path": "/t",
            "dtype": ">f4",
            "dimensions": ["time"],
            "shape": [12],
            "attributes": {"units": "K"},
        },
    ],
    "audio": [
        {
            "type": "stream",
            "index": 0,
            "codec": "pcm_s16le",
            "sample_rate": 44100,
            "channels": 2,
            "duration_s": 1.5,
            "tags": {"title": "x"},
        },
        {"type": "frame", "index": 0, "time_s": 0.0, "rms": [0.25, 1.0]},
        {"type": "frame", "index": 1, "time_s": 0.05, "rms": ["NaN", 2.0]},
    ],
    "video": [
        {"type": "stream", "index": 0, "kind": "video", "codec": "h264", "width": 640, "height": 480, "tags": {}},
        {"type": "chapter", "index": 0, "start_s": 0.0, "end_s": 1.0, "tags": {"title": "One"}},
        {
            "type": "packet",
            "stream_index": 0,
            "pts": 512,
            "dts": None,
            "duration": 512,
            "size": 100,
            "pos": 48,
            "keyframe": True,
        },
    ],
    "binary": [
        {"type": "chunk", "index": 0, "offset": 0, "length": 1048576, "entropy": 7.25},
        {"type": "digest", "sha256": "ab" * 32, "size": 1048576},
    ],
}


def shown(view: TableView, *records: Record) -> list[str]:
    return [line for record in records for line in view.lines(record)]


def plain(width: int) -> TableView:
    return TableView(width, lambda text, _style: text)


def test_every_format_has_its_columns() -> None:
    assert set(COLUMNS) == set(RECORDS) == set(format_names())


@pytest.mark.parametrize("width", [80, 117, 160])
@pytest.mark.parametrize("name", format_names())
def test_one_row_a_record_within_the_width(name: str, width: int) -> None:
    view = plain(width)
    lines = shown(view, file(name))
    for record in RECORDS[name]:
        rows = shown(view, record)
        assert len(rows) == 1 or (len(rows) < 4 and record["type"] == "stream")
        lines += rows
    lines += shown(view, END)
    assert [line for line in lines if cell_len(line) > width] == []
    titles = [column.title for column in COLUMNS[name]]
    assert all(title.split(",")[0] in lines[1] for title in titles)
    assert lines[-1].startswith("complete · 2 records · 0.500 s · 4 KiB read · peak 30 MiB")


def test_a_wide_terminal_shows_more() -> None:
    record = {"type": "element", "tag": "00104000", "vr": "LT", "keyword": "PatientComments", "value": ["w" * 300]}
    counts = [shown(plain(width), file("dicom"), record)[-1].count("w") for width in (80, 160)]
    assert 20 < counts[0] < counts[1]


def test_what_the_rows_say() -> None:
    lines = shown(plain(80), file("dicom"), *RECORDS["dicom"])
    assert "Doe^Jane" in lines[2]
    assert "undefined" in lines[3]
    assert lines[5].rstrip().endswith("not read, at byte 900")
    lines = shown(plain(120), file("hdf5", variant=None), *RECORDS["hdf5"])
    assert "title=run [bold]1[/bold]  n=1, 2.5" in lines[2]
    assert "3 x 4" in lines[3]
    assert "external link to other.h5 : /x" in lines[5]
    assert "hard link to /a" in lines[6]
    lines = shown(plain(120), file("audio"), *RECORDS["audio"])
    assert "██······ 0.2500   ████████ 1.0000" in lines[3]
    assert "NaN" in lines[4]


def test_errors_and_ends() -> None:
    error = {"type": "error", "code": "corrupt", "message": "the header \x1b[31m lies", "offset": 4096}
    end = END | {"status": "failed", "reason": "the header \x1b[31m lies"}
    lines = shown(plain(100), file(None, size=None), error, end)
    assert lines[0].endswith("  unreadable · direct · balanced")
    assert lines[2] == "corrupt: the header \\x1b[31m lies (at byte 4,096)"
    assert lines[3].endswith("the header \\x1b[31m lies")


def test_an_unknown_record_is_shown_all_the_same() -> None:
    assert "weight=3" in shown(plain(80), file("fits"), {"type": "future", "weight": 3})[-1]


def test_only_styled_text_is_painted() -> None:
    painted = TableView(80, lambda text, style: f"<{style}>{text}</>")
    lines = shown(painted, file("binary"), *RECORDS["binary"], END)
    assert lines[0].startswith("<bold>scans/a file.x</>")
    assert "<" not in lines[2]
    assert lines[-1].startswith("<green>complete</>")


@given(st.recursive(st.none() | st.booleans() | st.integers() | st.text(), lambda inner: st.lists(inner, max_size=4)))
def test_brief_is_one_printable_line(value: Any) -> None:
    assert brief(value).isprintable()


@given(st.text(max_size=600), st.integers(80, 160))
def test_no_text_breaks_the_width(text: str, width: int) -> None:
    card = {"type": "card", "hdu": 0, "keyword": text[:8], "value": text, "comment": text}
    for line in shown(plain(width), file("fits", path=text), card, END | {"reason": text})[1:]:
        assert cell_len(line) <= width
        assert line.isprintable()


def test_a_huge_value_costs_what_is_shown() -> None:
    assert len(brief(["x" * 1000] * 100_000)) < 30_000
    assert len(brief({str(key): "v" * 100 for key in range(100_000)})) < 1000
