"""The report of `memx profile` as tables, or as one JSON object."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from memx.cli.columns import Column, fitting, heading, joined, spread, wrapped
from memx.cli.paint import Paint
from memx.cli.text import safe_text
from memx.records import Record, encode_value
from memx.units import format_size

if TYPE_CHECKING:
    from memx.engine.profile.profiling import Profile

WIDE = 140
_NARROW = (
    Column("format", 14, 2),
    Column("files", 6, right=True),
    Column("failed", 6, right=True),
    Column("time", 7, right=True),
    Column("max", 7, right=True),
    Column("peak", 9, right=True),
    Column("max", 9, right=True),
    Column("slope", 8, right=True),
)
_WIDE = (
    Column("format", 14, 4),
    Column("files", 6, right=True),
    Column("bytes", 9, right=True),
    Column("failed", 6, right=True),
    Column("time", 7, right=True),
    Column("p95", 7, right=True),
    Column("max", 7, right=True),
    Column("peak", 9, right=True),
    Column("p95", 9, right=True),
    Column("max", 9, right=True),
    Column("mean", 9, right=True),
    Column("slope", 8, right=True),
    Column("MB/s", 6, right=True),
    Column("pauses", 7, right=True),
)
_FILES = (
    Column("worst files", 16, 2, end=True),
    Column("read as", 8, 1),
    Column("size", 9, right=True),
    Column("peak", 9, right=True),
    Column("growth", 9, right=True),
    Column("time", 9, right=True),
)


class Report:
    """What a `Profile` tells: for tables the report, at the end or where it is interrupted; as lines also each file."""

    def __init__(self, run: "Profile", *, whole: bool) -> None:
        self._run = run
        self._whole = whole

    def __getattr__(self, name: str) -> Any:
        return getattr(self._run, name)

    @property
    def status(self) -> str:
        """`complete`, if every file was."""
        return self._run.status

    @property
    def write_batch(self) -> int | None:
        """As memx sees fit."""
        return None

    def records(self) -> Iterator[Record]:
        """The report."""
        for _ in self._run.records():
            pass
        yield self._run.report()

    def lines(self) -> Iterator[bytes]:
        """Each file's record; or, where it is to be `whole`, the report on one line, however long."""
        return (encode_value(report) + b"\n" for report in self.records()) if self._whole else self._run.lines()


class ProfileTable:
    """Shows a report; `paint(text, style)` colours."""

    def __init__(self, width: int, paint: Paint) -> None:
        self._width = width
        self._paint = paint

    def closing(self) -> Iterator[str]:
        """Nothing: all is in the report."""
        return iter(())

    def lines(self, report: Record) -> Iterator[str]:
        """The figures by group, the worst files, and the problems, where the eye is when it ends."""
        yield from self._groups(report["groups"])
        yield ""
        yield from self._worst(report["worst"])
        repeats = [group for group in report["groups"] if group["repeat"]]
        if repeats:
            yield ""
            yield from self._repeats(repeats)
        yield ""
        yield from self._problems(report["problems"])
        if report["baseline"] is not None:
            yield from wrapped(f"baseline: {safe_text(report['baseline']['reason'])}", self._width)
            for found in report["baseline"]["regressions"]:
                yield from wrapped(f"  {safe_text(found['path'])}: {safe_text(found['reason'])}", self._width)
        yield from (self._paint(line, "bold") for line in wrapped(_total(report), self._width))

    def _groups(self, groups: list[dict[str, Any]]) -> Iterator[str]:
        columns = _WIDE if self._width >= WIDE else fitting(_NARROW, self._width)
        widths = spread(columns, self._width)
        yield self._paint(heading(columns, widths), "underline cyan")
        for group in groups:
            line = joined(columns, widths, _wide(group) if columns is _WIDE else _narrow(group))
            yield self._paint(line, "magenta") if group["failed"] else line
        sampled = [group for group in groups if group["sampled"]]
        for group in sampled:
            about = (
                f"medians, percentiles and slopes of {_name(group)} are of {group['sampled']:,} files, drawn at random"
            )
            yield from (self._paint(line, "dim") for line in wrapped(about, self._width))

    def _worst(self, records: list[Record]) -> Iterator[str]:
        columns = fitting(_FILES, self._width)
        widths = spread(columns, self._width)
        yield self._paint(heading(columns, widths), "underline cyan")
        for record in records:
            metrics, size = record["metrics"], record["size"]
            cells = (
                safe_text(record["path"]),
                safe_text(record["extractor"] or record["format"] or "-"),
                "-" if size is None else format_size(size),
                format_size(metrics["peak_rss"]),
                format_size(metrics["peak_rss_delta"]),
                seconds(metrics["elapsed_s"]),
            )
            line = joined(columns, widths, cells)
            yield line if record["status"] == "complete" else self._paint(line, "magenta")

    def _repeats(self, groups: list[dict[str, Any]]) -> Iterator[str]:
        """What readings of the same file, one after the other, leave behind."""
        for group in groups:
            repeat = group["repeat"]
            about = f"{_name(group)}, read {repeat['runs']} times: {repeat['verdict'] or 'no verdict'}"
            style = "bold red" if repeat["verdict"] == "leak" else ""
            for line in wrapped(f"{about}, {safe_text(repeat['reason'])}", self._width):
                yield self._paint(line, style) if style else line

    def _problems(self, problems: list[dict[str, Any]]) -> Iterator[str]:
        if not problems:
            yield self._paint("no problems", "green")
        for problem in problems:
            style = "magenta" if problem["kind"] == "failures" else "bold red"
            about = f"{problem['kind'].replace('-', ' ')}: {_name(problem)}: {problem['reason']}"
            path = problem["evidence"].get("path")
            about += f" ({path})" if path else ""
            yield from (self._paint(line, style) for line in wrapped(safe_text(about), self._width))


def _narrow(group: dict[str, Any]) -> tuple[str, ...]:
    return (
        _name(group),
        f"{group['files']:,}",
        f"{group['failed']:,}" if group["failed"] else "-",
        seconds(group["elapsed_s"]["median"]),
        seconds(group["elapsed_s"]["max"]),
        format_size(group["peak_rss"]["median"]),
        format_size(group["peak_rss"]["max"]),
        slope_of(group),
    )


def _wide(group: dict[str, Any]) -> tuple[str, ...]:
    rate = group["bytes_per_second"]
    return (
        _name(group),
        f"{group['files']:,}",
        format_size(group["bytes"]),
        f"{group['failed']:,}" if group["failed"] else "-",
        *(seconds(group["elapsed_s"][name]) for name in ("median", "p95", "max")),
        *(format_size(group["peak_rss"][name]) for name in ("median", "p95", "max")),
        format_size(group["mean_rss"]),
        slope_of(group),
        "-" if rate is None else f"{rate / 1e6:,.0f}",
        seconds(group["gc"]["pause_s"]),
    )


def slope_of(figures: dict[str, Any]) -> str:
    """Bytes of memory a byte of the file; in brackets where it may as well be none."""
    slope = figures["slope"]
    if slope["low"] is None or slope["high"] is None:
        return "-"
    text = f"{slope['estimate']:.2g}"
    return text if slope["low"] > 0 or slope["high"] < 0 else f"({text})"


def _name(about: dict[str, Any]) -> str:
    return safe_text(" ".join(filter(None, (about["format"] or "unreadable", about["extractor"]))))


def _total(report: dict[str, Any]) -> str:
    parts = (
        f"{report['files']:,} {'file' if report['files'] == 1 else 'files'}",
        f"{report['failed']:,} failed" if report["failed"] else "",
        f"{format_size(report['bytes'])} in {seconds(report['elapsed_s'])}",
        f"highest peak {format_size(report['peak_rss'])}",
        "interrupted" if report["interrupted"] else "",
    )
    return " · ".join(filter(None, parts))


def seconds(passed: float) -> str:
    """A time for people."""
    if passed < 0.01:
        return f"{passed * 1000:.1f} ms"
    if passed < 1:
        return f"{passed * 1000:.0f} ms"
    return f"{passed:.1f} s" if passed < 600 else f"{passed / 60:.0f} min"
