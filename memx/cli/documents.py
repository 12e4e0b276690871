"""`metadata` records as a table of files: one row a file, shown when it was read, none kept."""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from memx.cli.columns import GAP, Column, fit, fitting, heading, laid, spread, wrapped
from memx.cli.paint import STATUS_STYLE, Paint
from memx.cli.table import brief
from memx.cli.text import safe_text
from memx.records import Record
from memx.units import format_size

WIDE = 120
"""From so many cells on, what is in a file has a column; else a line of its own."""
_INDENT = "  "
_NAMED = 4
"""So many things of a kind are named; the others are counted."""

_COLUMNS = (
    Column("file", 16, 2, end=True),
    Column("format", 7),
    Column("status", 9),
    Column("size", 9, right=True),
    Column("peak", 9, right=True),
    Column("time", 9, right=True),
)
_STATUS = 2


class DocumentTable:
    """Turns `metadata` records into lines of text `width` cells wide; `paint(text, style)` colours."""

    def __init__(self, width: int, paint: Paint) -> None:
        self._paint = paint
        self._wide = width >= WIDE
        self._width = width
        self._columns = (*_COLUMNS, Column("what is in it", 30, 3)) if self._wide else fitting(_COLUMNS, width)
        self._widths = spread(self._columns, width)
        self._statuses: Counter[str] = Counter()
        self._bytes = self._peak = 0
        self._seconds = 0.0

    def lines(self, record: Record) -> Iterator[str]:
        """The lines of one file."""
        if not self._statuses:
            yield self._paint(heading(self._columns, self._widths), "underline cyan")
        self._note(record)
        cells = self._cells(record)
        parts = laid(self._columns, self._widths, cells)
        parts[_STATUS] = self._paint(parts[_STATUS], STATUS_STYLE[record["status"]])
        first, *more = self._contents(record)
        line = (" " * GAP).join([*parts, *([first] if self._wide else [])])
        yield line.rstrip()
        left = sum(self._widths[:-1]) + GAP * len(self._widths[:-1]) if self._wide else 0
        for text in more if self._wide else (first, *more):
            yield self._paint(f"{' ' * left or _INDENT}{text}", "" if self._wide else "dim")

    def closing(self) -> Iterator[str]:
        """All files in one line, where there were several."""
        count = sum(self._statuses.values())
        if count > 1:
            statuses = ", ".join(f"{self._statuses[name]:,} {name}" for name in STATUS_STYLE if self._statuses[name])
            total = f"{count:,} files: {statuses} · {format_size(self._bytes)} in {_duration(self._seconds)}"
            for line in wrapped(f"{total} · highest peak {format_size(self._peak)}", self._width):
                yield self._paint(line, "bold")

    def _note(self, record: Record) -> None:
        metrics = record["metrics"]
        self._statuses[record["status"]] += 1
        self._bytes += record["size"] or 0
        self._seconds += metrics["elapsed_s"]
        self._peak = max(self._peak, metrics["peak_rss"])

    def _cells(self, record: Record) -> list[str]:
        metrics, size = record["metrics"], record["size"]
        return [
            safe_text(record["path"]),
            record["format"] or "-",
            record["status"],
            "-" if size is None else format_size(size),
            format_size(metrics["peak_rss"]),
            _duration(metrics["elapsed_s"]),
        ]

    def _contents(self, record: Record) -> list[str]:
        """What is in the file, or what is wrong with it, in lines of their own column."""
        width = self._widths[-1] if self._wide else self._width - len(_INDENT)
        wrong = wrapped(f"{record['code']}: {brief(record['reason'])}", width) if record["code"] else []
        text = "" if record["format"] is None else _BRIEF.get(record["format"], _plain)(record["metadata"])
        if record.get("metadata_truncated"):
            text += " · and more than a document holds"
        return [*wrong, fit(text, width).rstrip()] if text or not wrong else wrong


def _duration(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.0f} ms"
    if seconds < 60:
        return f"{seconds:.1f} s"
    return f"{int(seconds) // 60}:{int(seconds) % 60:02} min"


def _facts(*facts: str | None) -> str:
    return " · ".join(fact for fact in facts if fact)


def _some(things: list[str], what: str) -> str:
    """The first of `things`, and how many there are: `3 HDUs: SCI, ERR, DQ`."""
    if not things:
        return ""
    named = ", ".join(things[:_NAMED]) + (" ..." if len(things) > _NAMED else "")
    return f"{len(things):,} {what if len(things) == 1 else f'{what}s'}: {named}"


def _shape(shape: Any) -> str:
    return "x".join(map(str, shape)) if isinstance(shape, list) and shape else ""


def _dicom(metadata: dict[str, Any]) -> str:
    def first(tag: str) -> Any:
        values = metadata.get(tag, {}).get("Value") or [None]
        return values[0]

    def text(tag: str) -> str:
        value = first(tag)
        return "" if value is None else brief(value)

    name = first("00100010")
    person = brief(name.get("Alphabetic") or name) if isinstance(name, dict) else None
    size = " x ".join(filter(None, (text("00280011"), text("00280010"), text("00280008"))))
    return _facts(text("00080060"), person, text("0008103E"), size, text("00080020"), f"{len(metadata):,} elements")


def _fits(metadata: dict[str, Any]) -> str:
    return _some([_hdu(hdu) for hdu in metadata["hdus"]], "HDU")


def _hdu(hdu: dict[str, Any]) -> str:
    return " ".join(filter(None, (brief(hdu.get("name") or hdu.get("kind") or "?"), _shape(hdu.get("shape")))))


def _hdf5(metadata: dict[str, Any]) -> str:
    names, groups = [], 0
    left = [("", metadata)]
    while left:
        path, group = left.pop()
        for name, about in group.get("datasets", {}).items():
            names.append(f"{path}/{safe_text(name)} {_shape(about.get('shape'))}".rstrip())
        inside = group.get("groups", {})
        groups += len(inside)
        left += [(f"{path}/{safe_text(name)}", below) for name, below in reversed(inside.items())]
    return _facts(_some(names, "dataset"), f"{groups:,} group{'' if groups == 1 else 's'}" if groups else "")


def _netcdf(metadata: dict[str, Any]) -> str:
    sizes = [
        f"{safe_text(name)}={about['size']}{' (unlimited)' if about.get('unlimited') else ''}"
        for name, about in metadata["dimensions"].items()
    ]
    names = [safe_text(name) for name in metadata["variables"]]
    groups = _some([safe_text(name) for name in metadata.get("groups", {})], "group")
    return _facts(_some(names, "variable"), _some(sizes, "dimension"), groups)


def _media(metadata: dict[str, Any]) -> str:
    tags = metadata.get("tags") or {}
    title = " - ".join(brief(tags[name]) for name in ("artist", "title") if isinstance(tags.get(name), str))
    seconds = metadata.get("duration_s")
    streams = [_stream(stream) for stream in metadata["streams"]]
    return _facts(title, _duration(seconds) if seconds else None, ", ".join(streams[:_NAMED]))


def _stream(stream: dict[str, Any]) -> str:
    size = f"{stream['width']}x{stream['height']}" if stream.get("width") else ""
    rate = f"{stream['sample_rate'] / 1000:g} kHz" if stream.get("sample_rate") else ""
    channels = stream.get("channels")
    layout = stream.get("channel_layout") or (f"{channels} channels" if channels else "")
    return " ".join(filter(None, (brief(stream.get("codec") or stream.get("kind") or "?"), size, rate, layout)))


def _binary(metadata: dict[str, Any]) -> str:
    if "entropy" not in metadata:
        return ""
    return _facts(f"{metadata['entropy']:.3f} bits a byte", f"sha256 {metadata['sha256'][:16]}...")


def _plain(metadata: dict[str, Any]) -> str:
    return _facts(*(f"{len(records):,} {kind}" for kind, records in metadata.items() if isinstance(records, list)))


_BRIEF: dict[str, Callable[[dict[str, Any]], str]] = {
    "dicom": _dicom,
    "fits": _fits,
    "hdf5": _hdf5,
    "netcdf": _netcdf,
    "audio": _media,
    "video": _media,
    "binary": _binary,
}
