"""Records as rows of a table for people: one row a record, each shown as it comes, none kept."""

import json
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from memx.cli.columns import GAP, Column, bar, fit, fit_end, joined, spread, width_of, wrapped
from memx.cli.paint import STATUS_STYLE
from memx.cli.text import safe_text
from memx.records import Record
from memx.units import format_size

_ROOM = 400
"""Characters of a value that are looked at: more than any column shows."""
_LEAST_PATH = 8
"""Cells of a path that is on one line with what is said of it."""
_DEEPEST = 8
"""Levels of nesting that are shown by indentation."""


@dataclass(frozen=True, slots=True)
class Row:
    """The cells of one row; where they are fewer than the columns, the last has all the room left, and wraps."""

    cells: tuple[str, ...]
    style: str = ""


_OBJECTS = (
    Column("type", 9),
    Column("path", 22, 3, end=True),
    Column("dtype", 6, 1),
    Column("shape", 10, 1),
    Column("attributes", 20, 5),
)
COLUMNS: dict[str, tuple[Column, ...]] = {
    "dicom": (
        Column("tag", 8),
        Column("vr", 2),
        Column("keyword", 22, 2),
        Column("length", 9, right=True),
        Column("value", 24, 4),
    ),
    "fits": (Column("hdu", 3, right=True), Column("keyword", 8, 1), Column("value", 24, 3), Column("comment", 20, 3)),
    "hdf5": _OBJECTS,
    "netcdf": _OBJECTS,
    "audio": (Column("index", 8, right=True), Column("time", 10, right=True), Column("rms, a channel", 40, 1)),
    "video": (
        Column("stream", 6, right=True),
        Column("pts", 10, 1, right=True),
        Column("dts", 10, 1, right=True),
        Column("duration", 8, right=True),
        Column("size", 9, right=True),
        Column("pos", 12, 1, right=True),
        Column("key", 3),
    ),
    "binary": (
        Column("index", 8, right=True),
        Column("offset", 16, right=True),
        Column("length", 10, right=True),
        Column("entropy", 8, right=True),
        Column("", 16, 1),
    ),
}
_ANY = (Column("type", 10), Column("fields", 40, 1))


def brief(value: Any) -> str:
    """A value as one cell shows it: text as it is, several joined by commas, what is long cut short."""
    if isinstance(value, str):
        return safe_text(value[:_ROOM].strip()).replace("\n", " ")
    if isinstance(value, dict):
        if "inline_binary" in value:
            return f"{len(value['inline_binary']) * 3 // 4} bytes"
        return _pairs(value)
    if isinstance(value, list):
        return ", ".join(brief(item) for item in value[: _ROOM // 8])
    if value is None:
        return "-"
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else json.dumps(value)


def _pairs(fields: dict[str, Any], *without: str) -> str:
    """The fields but for those named `without`, as `key=value`, up to the room that a cell can have."""
    text = ""
    for key, value in fields.items():
        shown = _flags(value) if isinstance(value, dict) else value
        if key not in without and shown is not None and shown != {} and len(text) < _ROOM:
            text += f"{'  ' if text else ''}{safe_text(key)}={brief(shown)}"
    return text


def _flags(value: dict[str, Any]) -> Any:
    """Of things that hold or do not, like the disposition of a stream, those that do; else `value` itself."""
    if not value or not all(isinstance(flag, bool) for flag in value.values()):
        return value
    return [name for name, holds in value.items() if holds] or None


def _value(record: Record) -> str:
    """The value of `record`, or where it lies when it was not read."""
    if record.get("bulk"):
        return f"not read, at byte {brief(record.get('offset'))}"
    if "inline_binary" in record:
        return brief({"inline_binary": record["inline_binary"]})
    value = record.get("value")
    return "" if value is None or value == [] else brief(value)


def _element(record: Record) -> Row:
    depth = min(_DEEPEST, str(record.get("parent") or "").count("["))
    keyword = "  " * depth + brief(record.get("keyword") or "")
    length = record.get("length")
    cells = (record["tag"], record["vr"], keyword, "undefined" if length is None else f"{length:,}", _value(record))
    return Row(cells, "dim" if record.get("bulk") else "")


def _card(record: Record) -> Row:
    return Row((brief(record["hdu"]), brief(record["keyword"]), _value(record), brief(record.get("comment") or "")))


def _hdu(record: Record) -> Row:
    title = f"{record['kind']} {brief(record.get('name') or '')}".strip()
    data = f"{_shape(record.get('shape'))}  bitpix={brief(record.get('bitpix'))}"
    at = f"data: {brief(record.get('data_size'))} bytes at {brief(record.get('data_offset'))}"
    return Row((brief(record["index"]), title, data, at), "bold")


def _shape(shape: Any) -> str:
    return " x ".join(map(str, shape)) if isinstance(shape, list) else brief(shape) if shape is not None else ""


def _object(record: Record) -> Row:
    kind = record["type"]
    shape = _shape(record["size"] if kind == "dimension" else record.get("shape"))
    rest = _pairs(record.get("attributes") or {})
    if kind == "link":
        file = f"{brief(record['file'])} : " if record.get("file") else ""
        rest = f"{record['kind']} link to {file}{brief(record['target'])}"
    elif kind == "dimension" and record.get("unlimited"):
        rest = "unlimited"
    dtype = brief(record.get("dtype") or "")
    return Row((kind, brief(record["path"]), dtype, shape, rest), "" if kind != "group" else "bold")


def _frame(record: Record) -> Row:
    levels = "   ".join(f"{_meter(level)} {_level(level)}" for level in record["rms"])
    return Row((str(record["index"]), f"{record['time_s']:.3f} s", levels))


def _level(level: Any) -> str:
    return f"{level:.4f}" if isinstance(level, float | int) else brief(level)


def _meter(level: Any) -> str:
    """A bar of eight cells for an RMS level, 1.0 being full scale."""
    return bar(level if isinstance(level, float | int) else 0.0, 8)


def _stream(record: Record) -> Row:
    return Row((brief(record["index"]), _pairs(record, "type", "index")), "bold")


def _packet(record: Record) -> Row:
    fields = ("stream_index", "pts", "dts", "duration", "size", "pos")
    return Row((*(brief(record.get(field)) for field in fields), "key" if record.get("keyframe") else ""))


def _chunk(record: Record) -> Row:
    if "chunk_offset" in record:  # of HDF5 and netCDF
        place = f"at {record['offset']:,}, {record['size']:,} bytes"
        return Row(("chunk", brief(record["path"]), "", brief(record["chunk_offset"]), place), "dim")
    entropy = record["entropy"]
    numbers = (f"{record[field]:,}" for field in ("index", "offset", "length"))
    return Row((*numbers, f"{entropy:.4f}", bar(entropy / 8, 16)))


def _digest(record: Record) -> Row:
    return Row(("sha256", brief(record["sha256"])), "bold")


def _error(record: Record) -> Row:
    where = f" (at byte {record['offset']:,})" if record.get("offset") is not None else ""
    return Row((f"{record['code']}: {brief(record['message'])}{where}",), "red")


def _anything(record: Record) -> Row:
    return Row((record["type"], _pairs(record, "type", "source")))


_ROWS: dict[str, Callable[[Record], Row]] = {
    "element": _element,
    "card": _card,
    "hdu": _hdu,
    "group": _object,
    "dataset": _object,
    "datatype": _object,
    "link": _object,
    "dimension": _object,
    "variable": _object,
    "type": _object,
    "frame": _frame,
    "stream": _stream,
    "packet": _packet,
    "chunk": _chunk,
    "digest": _digest,
    "error": _error,
}


class TableView:
    """Turns the records of source after source into lines of text `width` cells wide.

    `paint(text, style)` colours; it is not asked where there is no style.
    """

    def __init__(self, width: int, paint: Callable[[str, str], str]) -> None:
        self._width = width
        self._paint = paint
        self._columns: tuple[Column, ...] = _ANY
        self._widths: list[int] = []
        self._sources = 0

    def lines(self, record: Record) -> Iterator[str]:
        """The lines that show `record`, without their newlines."""
        kind = record["type"]
        if kind == "file":
            yield from self._begin(record)
        elif kind == "end":
            yield from self._end(record)
        else:
            yield from self._row(_ROWS.get(kind, _anything)(record))

    def closing(self) -> Iterator[str]:
        """Nothing: each source has said its end."""
        return iter(())

    def _begin(self, file: Record) -> Iterator[str]:
        self._columns = COLUMNS.get(file["format"] or "", _ANY)
        self._widths = spread(self._columns, self._width)
        if self._sources:
            yield ""
        self._sources += 1
        size = file["size"]
        facts = [
            file["format"] or "unreadable",
            *([format_size(size)] if size is not None else []),
            *(brief(file[key]) for key in ("variant", "reader", "strategy") if file.get(key)),
            *(["copied to disk first"] if file.get("spooled") else []),
        ]
        about = "  " + " · ".join(facts)
        path, room = safe_text(file["path"]), self._width - width_of(about)
        if room < _LEAST_PATH:
            yield self._paint(fit_end(path, self._width), "bold")
            yield self._paint(fit(about.strip(), self._width).rstrip(), "dim")
        else:
            yield self._paint(fit_end(path, room), "bold") + self._paint(about, "dim")
        yield self._paint(self._join([column.title for column in self._columns]), "underline cyan")

    def _end(self, end: Record) -> Iterator[str]:
        metrics, status = end["metrics"], end["status"]
        count = f"{end['records']:,} {'record' if end['records'] == 1 else 'records'}"
        facts = f"{count} · {metrics['elapsed_s']:.3f} s · {format_size(metrics['bytes_read'])} read"
        reason = f" · {safe_text(end['reason'])}" if end["reason"] else ""
        text = f"{status} · {facts} · peak {format_size(metrics['peak_rss'])}{reason}"
        first, *more = wrapped(text, self._width)
        yield self._paint(status, STATUS_STYLE[status]) + first[len(status) :]
        yield from more

    def _row(self, row: Row) -> Iterator[str]:
        last = len(row.cells) - 1
        lines = [row.cells]
        if last + 1 < len(self._columns):
            room = self._width - sum(self._widths[:last]) - GAP * last
            blank = ("",) * last
            lines = [
                (*(blank if at else row.cells[:last]), part) for at, part in enumerate(wrapped(row.cells[last], room))
            ]
        for cells in lines:
            line = self._join(cells)
            yield self._paint(line, row.style) if row.style else line

    def _join(self, cells: Sequence[str]) -> str:
        return joined(self._columns, self._widths, cells)
