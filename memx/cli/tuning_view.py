"""What `memx gc-tune` found out, as tables or as one JSON object; how far it has come, on standard error."""

import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from memx.cli.columns import Column, bar, fit, fitting, heading, joined, spread, wrapped
from memx.cli.drawing import Drawing, canvas
from memx.cli.lines import LineWriter, OutputBroke
from memx.cli.output import table_width
from memx.cli.paint import painter
from memx.cli.text import safe_json, safe_text
from memx.engine.analysis.statistics import Interval
from memx.engine.collector.optimizer import GarbageCollectionOptimizer
from memx.engine.tuning.advice import Advice
from memx.engine.tuning.experiment import Candidate, Verdict, medians
from memx.records import Record, display_path, encode
from memx.units import format_size

_BAR = 24
_COLUMNS = (
    Column("setting", 20, 1),
    Column("cpu time", 8, right=True),
    Column("", 6, right=True),
    Column("peak", 9, right=True),
    Column("", 6, right=True),
    Column("pauses", 7, right=True),
    Column("verdict", 12, 1),
)
_STYLE = {Verdict.RECOMMENDED: "bold green", Verdict.GOOD: "green", Verdict.REFUSED: "magenta", Verdict.FAILED: "red"}


class TuningOutput:
    """Standard output takes a table a format as soon as it is known, or at the end one JSON object."""

    def __init__(self, table: bool | None, color: bool, runs: int) -> None:
        if sys.stdout is None:
            raise OutputBroke("standard output is closed")
        self._terminal = sys.stdout.isatty()
        self._table = self._terminal if table is None else table
        self._color = color and not os.environ.get("NO_COLOR")
        self._paint = painter(self._terminal and self._color)
        self._width = table_width()
        self._drawing: Drawing | None = None
        config = GarbageCollectionOptimizer().get_current_config()
        self._record: Record = {
            "type": "gc-tune",
            "collector": {"kind": config["collector"], "heeded": config["heeded"], "python": sys.version.split()[0]},
            "runs": runs,
            "results": [],
        }

    def progress(self, name: str, done: int, most: int) -> None:
        """So many runs of what is called `name` are done, of so many at most."""
        descriptor = canvas()
        if descriptor is None:
            return
        self._drawing = self._drawing or Drawing(descriptor)
        line = f"{safe_text(name)}  {bar(done / most, _BAR)}  {done:,} of {most:,} runs"
        self._drawing.draw([fit(line, self._drawing.width).rstrip()])

    def show(self, advice: Advice, applied: Path | None) -> None:
        """This was found out, and written to the file `applied`, if there is one."""
        self._stop()
        written = None if applied is None else display_path(os.fspath(applied))
        if self._table:
            self._write("".join(f"{line}\n" for line in self._lines(advice, written)).encode("utf-8", "replace"))
        self._record["results"].append(advice.as_dict() | {"applied": written})

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()
        if value is None and not self._table:
            line = encode(self._record)
            self._write(safe_json(line) if self._terminal else line)

    def _stop(self) -> None:
        if self._drawing is not None:
            self._drawing.erase()

    def _write(self, block: bytes) -> None:
        with LineWriter(1, "standard output") as writer:
            writer.write(block)

    def _lines(self, advice: Advice, written: str | None) -> Iterator[str]:
        if self._record["results"]:
            yield ""
        else:
            about = self._record["collector"]
            yield f"the {about['kind']} collector of Python {about['python']}"
            yield ""
        if advice.tuning is None:
            yield from wrapped(f"{safe_text(advice.name) or 'unreadable'}: {safe_text(advice.reason)}", self._width)
            return
        rounds = "" if advice.rounds == 1 else f", {advice.rounds} times a run"
        left = f" · {advice.failed:,} left out, since they fail" if advice.failed else ""
        files = f"{advice.files:,} {'file' if advice.files == 1 else 'files'}"
        yield self._paint(safe_text(advice.name), "bold") + f" · {files}{rounds} · {format_size(advice.size)}{left}"
        yield from self._candidates(advice.tuning.baseline, advice.tuning.candidates)
        for one in advice.tuning.candidates:
            if one.verdict in (Verdict.REFUSED, Verdict.FAILED):
                yield from wrapped(f"{one.setting}: {one.verdict}, {safe_text(one.reason)}", self._width)
        style = "bold green" if advice.recommended is not None else "bold"
        yield from (self._paint(line, style) for line in wrapped(safe_text(advice.reason), self._width))
        if written is not None:
            yield f"written to {safe_text(written)}, [collector.{safe_text(advice.name)}]"

    def _candidates(self, baseline: Candidate, candidates: Iterable[Candidate]) -> Iterator[str]:
        columns = fitting(_COLUMNS, self._width)
        widths = spread(columns, self._width)
        yield self._paint(heading(columns, widths), "underline cyan")
        for one in (baseline, *candidates):
            found, ratios = medians(one.runs), one.comparison
            cells = (
                str(one.setting),
                "-" if found["cpu_s"] is None else _seconds(found["cpu_s"]),
                "" if ratios is None else _percent(ratios.cpu),
                "-" if found["peak"] is None else format_size(found["peak"]),
                "" if ratios is None else _percent(ratios.peak),
                "-" if found["pause_s"] is None else _seconds(found["pause_s"]),
                "in force" if one is baseline else str(one.verdict).replace("-", " "),
            )
            style, line = _STYLE.get(one.verdict, ""), joined(columns, widths, cells)
            yield self._paint(line, style) if style else line


def _seconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _percent(found: Interval) -> str:
    return f"{100 * (found.estimate - 1):+.0f} %"
