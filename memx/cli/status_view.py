"""`status` and `alert` records for people, or as JSON lines."""

import os
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from memx.cli.columns import bar
from memx.cli.drawing import Drawing, canvas
from memx.cli.lines import LineWriter, OutputBroke
from memx.cli.live import LEVEL_STYLE
from memx.cli.output import WIDEST, table_width
from memx.cli.text import safe_json, safe_text
from memx.records import Record, encode
from memx.units import format_size

if TYPE_CHECKING:
    from rich.console import RenderableType

_BAR = 16
_LABELS = 16
"""Cells before what is said."""
_WIDE = 60
"""From so many cells on there is room to say where each limit is written."""
_SPARKS = "▁▂▃▄▅▆▇█"
_TITLE = {"host": "host", "cgroup-v1": "cgroup v1", "cgroup-v2": "cgroup v2", "rlimit": "rlimit", "max-memory": "memx"}


class StatusOutput:
    """Where `memx status` says what it found, on standard output.

    JSON lines, or a table where it is a terminal (`table` says otherwise). With `live`, and where standard error
    is a terminal too, the table stays in its place there and is drawn anew.
    """

    def __init__(self, table: bool | None, color: bool, *, live: bool) -> None:
        if sys.stdout is None:
            raise OutputBroke("standard output is closed")
        self._terminal = sys.stdout.isatty()
        self._table = self._terminal if table is None else table
        self._color = color and not os.environ.get("NO_COLOR")
        self.lively = live and self._table and self._terminal and canvas() is not None
        """Whether there is a view that is drawn anew."""
        self._used: deque[float] = deque(maxlen=60)
        self._stack = ExitStack()
        self._drawing: Drawing | None = None

    def show(self, status: Record) -> None:
        """This is how it is now."""
        self._used.append(status["used_percent"])
        if not self._table:
            self._write(encode(status))
        elif self._drawing is None:
            self._print(_view(status, self._history(table_width()), table_width()))
        else:
            self._draw(self._drawing, status)

    def alert(self, alert: Record) -> None:
        """The level has changed."""
        if not self._table:
            self._write(encode(alert))
        else:
            if self._drawing is not None:
                self._drawing.erase()  # what comes next is drawn below
            self._print([_alert_line(alert)])

    def __enter__(self) -> Self:
        self._writer = self._stack.enter_context(LineWriter(1, "standard output"))
        if self.lively:
            self._drawing = Drawing(sys.stderr.fileno())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._drawing is not None:
            self._drawing.again(self._drawing.lines)  # over the terminal's echo of Ctrl-C
        self._stack.__exit__(kind, value, trace)

    def _history(self, width: int) -> list[float]:
        """The latest uses, as many as there is room for in `width` cells."""
        return list(self._used)[_LABELS - width :] if len(self._used) > 1 else []

    def _draw(self, drawing: Drawing, status: Record) -> None:
        """The view in its place: as many processes as the terminal has room for."""
        width = min(WIDEST, drawing.width)
        lines = self._rendered(_view(status, self._history(width), width), sys.stderr, width)
        drawing.draw(lines[: drawing.height])

    def _write(self, line: bytes) -> None:
        self._writer.write(safe_json(line) if self._terminal else line)

    def _print(self, things: "Iterable[RenderableType]") -> None:
        lines = self._rendered(things, sys.stdout, table_width())
        self._writer.write("".join(f"{line}\n" for line in lines).encode("utf-8", "replace"))

    def _rendered(self, things: "Iterable[RenderableType]", file: Any, width: int) -> list[str]:
        """The lines of `things` in the colours of `file`."""
        from rich.console import Console

        system: Literal["auto"] | None = "auto" if self._color else None
        console = Console(file=file, width=width, color_system=system, highlight=False, markup=False, emoji=False)
        with console.capture() as capture:
            for thing in things:
                console.print(thing)
        return [line.rstrip() for line in capture.get().splitlines()]


def sparkline(percents: Iterable[float]) -> str:
    """One character a value, from 0 to 100."""
    return "".join(_SPARKS[max(0, min(7, int(percent * 8 / 100)))] for percent in percents)


def _view(status: Record, history: list[float], width: int) -> "Iterator[RenderableType]":
    """The tables, the least important below."""
    yield _memory(status, history)
    yield _limits(status, width >= _WIDE)
    if status["processes"]:
        yield _processes(status["processes"])


def _memory(status: Record, history: list[float]) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    style = LEVEL_STYLE[status["level"]]
    used = Text.assemble((bar(status["used_percent"] / 100, _BAR), style), f"  {status['used_percent']:.1f} %")
    table.add_row("memory", Text(status["level"], style=style))
    table.add_row("used", used)
    if history:
        table.add_row("lately", Text(sparkline(history), style=style))
    table.add_row("available", f"{format_size(status['available'])} of {format_size(status['limit'])}")
    table.add_row("limited by", Text(_limited_by(status), style="bold"))
    for title, text in _details(status):
        table.add_row(title, Text(text))
    return table


def _limited_by(status: Record) -> str:
    where = f" ({safe_text(status['limit_path'])})" if status["limit_path"] else ""
    return f"{_TITLE[status['limit_source']]}: {status['limit_name']}{where}"


def _details(status: Record) -> Iterator[tuple[str, str]]:
    peak = f"peak {format_size(status['peak'])}{'' if status['peak_exact'] else ' (sampled)'}"
    unique = f", {format_size(status['uss'])} its own" if status["uss"] is not None else ""
    swap = f", {format_size(status['swap'])} swapped" if status["swap"] else ""
    yield f"process {status['pid']}", f"{format_size(status['rss'])} resident{unique}, {peak}{swap}"
    if status["page_cache"] is not None:
        yield "page cache", f"{format_size(status['page_cache'])} in its cgroup"
    if status["pressure"] is not None:
        yield "pressure", f"{status['pressure']:.1f} % of the last 10 s waited for memory"
    collector = status["collector"]
    if collector is not None:
        thresholds = ", ".join(map(str, collector["thresholds"]))
        state = "" if collector["enabled"] else ", disabled"
        yield "collector", f"{collector['kind']}, thresholds {thresholds}{state}"
    configuration = status["configuration"]
    said = ([safe_text(configuration["file"])] if configuration["file"] else []) + list(configuration["variables"])
    yield "settings", ", ".join(said) or "memx's own: no configuration file, no variables"


def _limits(status: Record, where: bool) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="underline cyan")
    table.add_column("\nlimit", no_wrap=True)
    for title in ("allows", "used", "left"):
        table.add_column(f"\n{title}", justify="right", no_wrap=True)
    if where:
        table.add_column("\nsaid by", overflow="fold", ratio=1)
    for number, limit in enumerate(status["limits"]):
        name = f"{_TITLE[limit['source']]} {limit['name']}" if limit["source"] != "host" else "host"
        sizes = (format_size(limit[key]) for key in ("limit", "used", "available"))
        said_by = [safe_text(limit["path"] or "-")] if where else []
        table.add_row(*map(Text, (name, *sizes, *said_by)), style="bold" if number == 0 else "")
    return table


def _processes(processes: list[dict[str, Any]]) -> "RenderableType":
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), pad_edge=False, header_style="underline cyan")
    table.add_column("\npid", justify="right", no_wrap=True, min_width=5)
    table.add_column("\nresident", justify="right", no_wrap=True, min_width=9)
    table.add_column("\nlargest processes", no_wrap=True, overflow="ellipsis")
    for process in processes:
        command = Text(safe_text(process["command"] or f"[{process['name']}]"), no_wrap=True, overflow="ellipsis")
        table.add_row(str(process["pid"]), format_size(process["rss"]), command)
    return table


def _alert_line(alert: Record) -> "RenderableType":
    from rich.text import Text

    before = f", was {alert['before']}" if alert["before"] else ""
    left = f"{format_size(alert['available'])} of {format_size(alert['limit'])} left"
    text = f"{alert['time'][11:19]}  memory is {alert['level']}{before}: {left}, limited by {_limited_by(alert)}"
    return Text(text, style=LEVEL_STYLE[alert["level"]])
