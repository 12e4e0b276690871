"""The report of `memx profile` as one page that works offline: Bokeh's charts, and a table that can be sorted.

All that comes from files, their names above all, is escaped: by `html.escape` here, by Bokeh in its charts; and
what would reorder or hide text is shown as an escape, as on a terminal.
"""

import html
import os
from collections.abc import Iterator, Sequence
from typing import Any

from memx.cli.profile_view import seconds, slope_of
from memx.cli.text import safe_text
from memx.errors import UsageError
from memx.records import Record
from memx.units import format_size

MIB = 1 << 20
MISSING = "--html needs Bokeh: pip install 'memx-cli[report]'"
ROWS = 1000
"""Files of the table: those with the highest peaks."""
_COLORS = ("#4477aa", "#ee6677", "#228833", "#aa8800", "#66ccee", "#aa3377", "#999999", "#cc6633")
"""By group; told apart also by who sees no colours well (Paul Tol, "Colour Schemes", 2021: bright)."""
_INK = "#808890"
"""Of axes and their text: readable on white and on black."""


def escape(text: str) -> str:
    """`text` as HTML, and harmless."""
    return html.escape(safe_text(text))


def check() -> None:
    """Raises UsageError where Bokeh is not installed."""
    from importlib.util import find_spec

    if find_spec("bokeh") is None:
        raise UsageError(MISSING)


def write(file: str, report: dict[str, Any], sources: list[str]) -> None:
    """Writes the page of `report` to `file`. Raises UsageError where that is a source, and OutputBroke."""
    from memx.cli.lines import OutputBroke
    from memx.cli.output import OutputOptions, opened

    text = page(report).encode("utf-8", "backslashreplace")
    with opened(OutputOptions(file=file, sources=sources)) as descriptor:
        try:
            while text:
                text = text[os.write(descriptor, text) :]
        except OSError as exc:
            raise OutputBroke(f"cannot write {file}: {exc.strerror}") from exc


def page(report: dict[str, Any]) -> str:
    """The page."""
    from bokeh.embed import components
    from bokeh.resources import Resources

    charts = {name: chart for name, chart in _charts(report) if chart is not None}
    script, places = components(charts)
    inline = Resources(mode="inline", components=["bokeh"], log_level="error")
    parts = "".join(f"<h2>{escape(name)}</h2>\n{place}\n" for name, place in places.items())
    head = f"<style>{_STYLE}</style>\n{inline.render()}\n{script}"
    body = "\n".join((_summary(report), _problems(report), _groups(report), parts, _files(report)))
    return _PAGE.format(policy=_POLICY, head=head, body=body, sort=_SORT)


_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'; img-src data: blob:"
"""Nothing is asked for from anywhere."""
_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>memx profile</title>
{head}
</head>
<body>
<h1>memx profile</h1>
{body}
<script>{sort}</script>
</body>
</html>
"""
_STYLE = """
:root { color-scheme: light dark; --line: #8884; --bad: #b3261e; --warn: #8a5a00; --good: #1b6e3c; }
@media (prefers-color-scheme: dark) { :root { --bad: #ff8a80; --warn: #ffcc66; --good: #7fd6a0; } }
body { font: 15px/1.45 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.5rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
.scroll { overflow: auto; max-height: 36rem; }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { position: sticky; top: 0; background: Canvas; }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 12rem; overflow-wrap: anywhere; }
th button { all: unset; cursor: pointer; } th button:focus-visible { outline: 2px solid; }
th[aria-sort=ascending] button::after { content: " \\2191"; }
th[aria-sort=descending] button::after { content: " \\2193"; }
ul.problems { padding-left: 1.2rem; }
.bad { color: var(--bad); }
.warn { color: var(--warn); }
.good { color: var(--good); }
.dim { opacity: .75; }
"""
_SORT = """
for (const table of document.querySelectorAll("table")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, at) => head.firstChild.addEventListener("click", () => {
    const falling = head.ariaSort !== "descending";
    heads.forEach(other => other.removeAttribute("aria-sort"));
    head.ariaSort = falling ? "descending" : "ascending";
    const key = row => row.cells[at].dataset.v ?? row.cells[at].textContent;
    const rows = [...table.tBodies[0].rows].sort((a, b) => {
      const x = key(a), y = key(b), order = isNaN(x) || isNaN(y) ? x.localeCompare(y) : x - y;
      return falling ? -order : order;
    });
    table.tBodies[0].append(...rows);
  }));
}
"""


def _summary(report: dict[str, Any]) -> str:
    parts = (
        f"{report['files']:,} files",
        format_size(report["bytes"]),
        f"{report['failed']:,} failed",
        f"highest peak {format_size(report['peak_rss'])}",
        f"{seconds(report['elapsed_s'])} with {report['jobs']} at once",
        f"begun {report['began']}",
        f"memx {report['memx']}, Python {report['python']}",
        "interrupted" if report["interrupted"] else "",
    )
    return f"<p class=dim>{escape(' · '.join(filter(None, parts)))}</p>"


def _problems(report: dict[str, Any]) -> str:
    items = []
    for problem in report["problems"]:
        style = "warn" if problem["kind"] == "failures" else "bad"
        path = problem["evidence"].get("path")
        where = f" <span class=dim>{escape(path)}</span>" if path else ""
        name = f"<b class={style}>{escape(problem['kind'].replace('-', ' '))}</b>"
        items.append(f"<li>{name}: {escape(_name(problem))}: {escape(problem['reason'])}{where}</li>")
    items += [
        f"<li><b class=bad>regression</b>: {escape(found['path'])}: {escape(found['reason'])}</li>"
        for found in (report["baseline"] or {}).get("regressions", ())
    ]
    listed = f"<ul class=problems>{''.join(items)}</ul>" if items else "<p class=good>none</p>"
    return f"<h2>Problems</h2>\n{listed}"


def _groups(report: dict[str, Any]) -> str:
    rows = [
        (
            (_name(group), None),
            (f"{group['files']:,}", group["files"]),
            (f"{group['failed']:,}", group["failed"]),
            (format_size(group["bytes"]), group["bytes"]),
            *((seconds(group["elapsed_s"][name]), group["elapsed_s"][name]) for name in ("median", "p95", "max")),
            *((format_size(group["peak_rss"][name]), group["peak_rss"][name]) for name in ("median", "p95", "max")),
            (format_size(group["mean_rss"]), group["mean_rss"]),
            (_or_dash(group["peak_to_size"]), group["peak_to_size"] or 0),
            (slope_of(group), group["slope"]["estimate"]),
            (_or_dash((group["bytes_per_second"] or 0) / 1e6), group["bytes_per_second"] or 0),
            (seconds(group["gc"]["pause_s"]), group["gc"]["pause_s"]),
            ((group["repeat"] or {}).get("verdict") or "-", None),
        )
        for group in report["groups"]
    ]
    heads = ("format", "files", "failed", "bytes", "time, median", "p95", "max", "peak, median", "p95", "max")
    more = ("mean", "peak/size", "slope", "MB/s", "pauses", "read again")
    return "<h2>By format and extractor</h2>\n" + _table((*heads, *more), rows)


def _files(report: dict[str, Any]) -> str:
    known = {(record["path"], record["extractor"]): record for record in _known(report)}
    records = sorted(known.values(), key=lambda record: -record["metrics"]["peak_rss"])[:ROWS]
    rows = [
        (
            (record["path"], None),
            (record["extractor"] or record["format"] or "-", None),
            (record["status"] if record["code"] is None else record["code"], None),
            ("-" if record["size"] is None else format_size(record["size"]), record["size"] or 0),
            (format_size(record["metrics"]["peak_rss"]), record["metrics"]["peak_rss"]),
            (format_size(record["metrics"]["peak_rss_delta"]), record["metrics"]["peak_rss_delta"]),
            (format_size(record["metrics"]["mean_rss"]), record["metrics"]["mean_rss"]),
            (seconds(record["metrics"]["elapsed_s"]), record["metrics"]["elapsed_s"]),
        )
        for record in records
    ]
    all_of_them = (
        "" if report["files"] <= len(rows) else f" <span class=dim>({len(rows):,} of {report['files']:,})</span>"
    )
    heads = ("file", "read as", "status", "size", "peak", "growth", "mean", "time")
    return f"<h2>Files{all_of_them}</h2>\n{_table(heads, rows)}"


def _table(heads: Sequence[str], rows: Sequence[Sequence[tuple[str, float | None]]]) -> str:
    """Cells are texts, and numbers to sort them by."""
    top = "".join(f"<th><button type=button>{escape(head)}</button></th>" for head in heads)
    body = "".join(f"<tr>{''.join(_cell(*cell) for cell in row)}</tr>\n" for row in rows)
    return f"<div class=scroll><table><thead><tr>{top}</tr></thead><tbody>\n{body}</tbody></table></div>"


def _cell(text: str, value: float | None) -> str:
    by = "" if value is None else f' data-v="{value}"'
    return f"<td{by}>{escape(text)}</td>"


def _charts(report: dict[str, Any]) -> Iterator[tuple[str, Any]]:
    colors = {_name(group): _COLORS[at % len(_COLORS)] for at, group in enumerate(report["groups"])}
    yield "Memory of memx and its workers over the run", _over_time(report)
    yield "Peak against size", _scatter(_known(report), colors)
    yield "Longest readings, by worker", _timeline(report, colors)


def _known(report: dict[str, Any]) -> list[Record]:
    """Every file that the report tells of; some twice."""
    return [*report["sample"], *report["worst"], *report["slowest"]]


def _figure(**about: Any) -> Any:
    """An empty chart that suits a light and a dark page."""
    from bokeh.plotting import figure

    chart = figure(
        sizing_mode="stretch_width",
        height=320,
        background_fill_alpha=0,
        border_fill_alpha=0,
        outline_line_color=None,
        tools="pan,xwheel_zoom,box_zoom,reset,save",
        **about,
    )
    chart.toolbar.logo = None
    chart.grid.grid_line_color = _INK
    chart.grid.grid_line_alpha = 0.25
    for name in ("axis_label_text_color", "major_label_text_color", "axis_line_color"):
        setattr(chart.axis, name, _INK)
    chart.axis.major_tick_line_color = chart.axis.minor_tick_line_color = _INK
    return chart


def _over_time(report: dict[str, Any]) -> Any:
    points = report["memory"]
    if not points:
        return None
    times, sizes = [at for at, _ in points], [memory / MIB for _, memory in points]
    chart = _figure(x_axis_label="seconds", y_axis_label="resident, MiB")
    chart.varea(x=times, y1=0, y2=sizes, fill_color=_COLORS[0], fill_alpha=0.25)
    chart.line(times, sizes, line_color=_COLORS[0], line_width=2)
    chart.y_range.start = 0
    if report["budget"]:
        chart.hspan(y=[report["budget"] / MIB], line_color=_COLORS[1])
    return chart


def _scatter(records: list[Record], colors: dict[str, str]) -> Any:
    sized = [record for record in records if record["size"]]
    if not sized:
        return None
    from bokeh.models import HoverTool, NumeralTickFormatter

    chart = _figure(x_axis_type="log", x_axis_label="size of the file", y_axis_label="peak, MiB")
    chart.xaxis.formatter = NumeralTickFormatter(format="0.[0] ib")
    for name, color in colors.items():
        mine = [record for record in sized if _name(record) == name]
        if mine:
            x, y = "size", "peak"
            chart.scatter(x, y, size=7, color=color, alpha=0.6, legend_label=name, source=_columns(mine))
    chart.add_tools(
        HoverTool(tooltips=[("", "@path"), ("size", "@size_said"), ("peak", "@peak_said"), ("time", "@time")])
    )
    _place_legend(chart)
    return chart


def _timeline(report: dict[str, Any], colors: dict[str, str]) -> Any:
    known = {(record["path"], record["began_s"]): record for record in [*_known(report), *report["longest"]]}
    if not known:
        return None
    from bokeh.models import HoverTool

    chart = _figure(x_axis_label="seconds since the run began", y_axis_label="worker")
    chart.height = 140 + 28 * report["jobs"]
    chart.yaxis.ticker = list(range(1, report["jobs"] + 1))
    for name, color in colors.items():
        mine = [record for record in known.values() if _name(record) == name]
        if mine:
            how = {"fill_color": color, "line_color": color, "legend_label": name}
            chart.hbar(y="worker", left="began", right="ended", height=0.7, source=_columns(mine), **how)
    chart.add_tools(HoverTool(tooltips=[("", "@path"), ("peak", "@peak_said"), ("time", "@time")]))
    _place_legend(chart)
    return chart


def _columns(records: list[Record]) -> Any:
    from bokeh.models import ColumnDataSource

    return ColumnDataSource(
        {
            "path": [safe_text(record["path"]) for record in records],
            "size": [record["size"] for record in records],
            "peak": [record["metrics"]["peak_rss"] / MIB for record in records],
            "size_said": [format_size(record["size"] or 0) for record in records],
            "peak_said": [format_size(record["metrics"]["peak_rss"]) for record in records],
            "time": [seconds(record["metrics"]["elapsed_s"]) for record in records],
            "worker": [record["worker"]["number"] + 1 for record in records],
            "began": [record["began_s"] for record in records],
            "ended": [record["began_s"] + record["metrics"]["elapsed_s"] for record in records],
        }
    )


def _place_legend(chart: Any) -> None:
    legend = chart.legend[0]
    chart.add_layout(legend, "right")
    legend.label_text_color = _INK
    legend.background_fill_alpha = 0
    legend.border_line_color = None
    legend.click_policy = "hide"


def _name(about: dict[str, Any]) -> str:
    return safe_text(" ".join(filter(None, (about["format"] or "unreadable", about["extractor"]))))


def _or_dash(value: float | None) -> str:
    return "-" if not value else f"{value:,.4g}"
