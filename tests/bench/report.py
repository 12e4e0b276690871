"""What was measured, as a table, as JSON, and as Markdown: `python -m tests.bench.report FILE.json`."""

import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from tests.bench.growth import MOST, Growth
from tests.bench.row import MIB
from tests.bench.runner import Against, Result

Line = dict[str, Any]
"""A row against one peer, as JSON has it: None for what was not measured or is no goal."""


def machine() -> str:
    """The kind of machine, which figures mean nothing without."""
    cores = len(os.sched_getaffinity(0))
    return f"{cores} cores {platform.machine()}, {platform.python_implementation()} {platform.python_version()}"


def lines(result: Result) -> Iterator[Line]:
    """A line a peer; one alone where there is none."""
    row = result.row
    missed = []
    if row.peak is not None and result.peak > row.peak:
        missed.append("peak")
    if row.reads is not None and result.read is not None and result.read > row.reads:
        missed.append("reads")
    base: Line = {
        "row": row.key,
        "work": row.work,
        "missing": result.missing or None,
        "seconds": result.seconds and statistics.median(result.seconds),
        "peak": result.peak or None,
        "peak_goal": row.peak,
        "read": result.read,
        "read_goal": row.reads,
    }
    for against in result.against:
        yield base | _beside(result, against, missed)
    if not result.against:
        yield base | {"against": None, "missed": missed}


def _beside(result: Result, against: Against, missed: Sequence[str]) -> Line:
    peer = against.peer
    line: Line = {"against": peer.name, "ratio_goal": peer.at_most, "missing": against.missing or None}
    if against.missing:
        return line | {"missed": list(missed)}
    slow = peer.at_most is not None and against.ratio > peer.at_most
    fat = peer.more is not None and result.peak > against.peak + peer.more
    return line | {
        "ratio": against.ratio,
        "ratio_spread": [min(against.ratios), max(against.ratios)],
        "their_seconds": statistics.median(against.seconds),
        "their_peak": against.peak,
        "missed": [*(["time"] if slow else []), *missed, *(["peak over theirs"] if fat else [])],
    }


HEADINGS = ("work", "against", "time, ratio", "at most", "memx", "they", "peak, MiB", "at most", "theirs", "")


def cells(line: Line) -> tuple[str, ...]:
    """A line as text, in the columns of `HEADINGS`."""
    goal, peak_goal = line.get("ratio_goal"), line["peak_goal"]
    if "ratio" not in line:
        said = line["missing"] or ""
        return (line["work"], line["against"] or "", "", _number(goal), "", "", "", "", "", said)
    low, high = line["ratio_spread"]
    read = "" if line["read"] is None else f"reads {line['read']:.1%} (at most {line['read_goal']:.0%})"
    missed = f"MISSED: {', '.join(line['missed'])}" if line["missed"] else ""
    return (
        line["work"],
        line["against"],
        f"{line['ratio']:.2f} ({low:.2f}-{high:.2f})",
        _number(goal),
        f"{line['seconds']:.2f} s",
        f"{line['their_seconds']:.2f} s",
        f"{line['peak'] / MIB:.1f}",
        "" if peak_goal is None else f"{peak_goal / MIB:.0f}",
        f"{line['their_peak'] / MIB:.1f}",
        "; ".join(filter(None, (read, missed))),
    )


def _number(goal: float | None) -> str:
    return "" if goal is None else f"{goal:.2f}"


def table(rows: Iterable[Line]) -> Table:
    """Every line, for a terminal."""
    shown = Table(title=f"memx and others, {machine()}", title_justify="left", box=None, pad_edge=False)
    for index, heading in enumerate(HEADINGS):
        shown.add_column(heading, justify="right" if 2 <= index <= 8 else "left", no_wrap=index not in (0, 9))
    for line in rows:
        style = "red" if line["missed"] else "dim" if "ratio" not in line else ""
        shown.add_row(*cells(line), style=style)
    return shown


def growth_table(growths: Iterable[Growth]) -> Table:
    """How cost grows, for a terminal."""
    shown = Table(title="with the number of records", title_justify="left", box=None, pad_edge=False)
    for heading in ("records", "1,000", "10,000", "100,000", "exponent", "at most", "peak, MiB", "grows by", ""):
        shown.add_column(heading, justify="left" if heading in ("records", "") else "right")
    for growth in growths:
        if growth.missing:
            shown.add_row(growth.title, *[""] * 7, growth.missing, style="dim")
            continue
        shown.add_row(
            growth.title,
            *(f"{seconds:.2f} s" for seconds in growth.seconds),
            f"{growth.exponent:.2f}",
            f"{MOST:.1f}",
            " ".join(f"{peak / MIB:.1f}" for peak in growth.peaks),
            f"{growth.grows / MIB:+.1f}",
            f"MISSED: {', '.join(growth.missed)}" if growth.missed else "",
            style="red" if growth.missed else "",
        )
    return shown


def as_json(rows: Sequence[Line], growths: Sequence[Growth]) -> Line:
    """All of it, with the date and the machine's kind."""
    return {
        "date": time.strftime("%Y-%m-%d"),
        "machine": machine(),
        "rows": list(rows),
        "growth": [growth.as_json() for growth in growths],
    }


def markdown(told: Line) -> Iterator[str]:
    """The lines of the README's table."""
    yield "| work | against | time, ratio | goal | peak, MiB | goal | theirs |"
    yield "|---|---|---|---|---|---|---|"
    for line in told["rows"]:
        if "ratio" in line:
            work, against, ratio, goal, _, _, peak, peak_goal, theirs, _ = cells(line)
            ratio = f"**{ratio}**" if "time" in line["missed"] else ratio
            peak = f"**{peak}**" if "peak" in line["missed"] else peak
            yield f"| {work} | `{against}` | {ratio} | {goal} | {peak} | {peak_goal} | {theirs} |"
    yield ""
    yield f"{told['date']}, {told['machine']}; the median of five pairs and their spread; bold is short of the goal."


if __name__ == "__main__":
    print(*markdown(json.loads(Path(sys.argv[1]).read_text())), sep="\n")
