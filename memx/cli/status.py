"""`memx status`: the memory that there is, and which limit set it."""

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

from typer import Context, Option

from memx.cli import options
from memx.engine.memory.levels import MemoryLevel
from memx.errors import SourceNotFound, UsageError
from memx.records import Record, encode

if TYPE_CHECKING:
    from memx.engine.status import StatusReader

EXAMPLES = """\b
Examples:
  memx status
  memx status --json | jq '.available, .limit_path'
  memx status --table --no-color --count 1
  memx status --watch --pid 4711
  memx status --watch --interval 5 > memory.jsonl
  memx status --alert high --alert-command 'logger $MEMX_LEVEL'
"""
Watch = Annotated[bool, Option("-w", "--watch", help="Look again and again, until interrupted.")]
Interval = Annotated[
    float,
    Option(
        metavar="SECONDS", parser=options.seconds, help="Look every so many SECONDS. (default: 1)", show_default=False
    ),
]
Count = Annotated[int | None, Option(metavar="N", parser=options.number(1), help="Look N times, then end.")]
Pid = Annotated[
    int | None, Option(metavar="PID", parser=options.number(1), help="Show process PID. (default: memx itself)")
]
Alert = Annotated[
    MemoryLevel | None, Option(help="Watch, and print an alert when memory comes to this level or leaves it.")
]
AlertCommand = Annotated[
    str | None,
    Option(metavar="CMD", help="Run CMD in a shell at each alert: MEMX_LEVEL is set, standard input has the alert."),
]


def status(
    context: Context,
    table: options.Table = None,
    watch: Watch = False,
    interval: Interval = 1.0,
    count: Count = None,
    pid: Pid = None,
    alert: Alert = None,
    alert_command: AlertCommand = None,
    no_color: options.NoColor = False,
) -> int:
    """Show how much memory there is, and which limit set it.

    Also the collector's state, the largest processes, and the configuration that memx read. A table on a terminal,
    else one JSON object; with --watch a live view, or a JSON object a line.
    """
    if alert_command is not None and alert is None:
        raise UsageError("--alert-command is about alerts: say with --alert from which level on")
    from memx.cli.status_view import StatusOutput
    from memx.engine.status import Alarm, StatusReader

    reader = StatusReader(pid)
    try:
        first = reader.read(uss=True)
    except SourceNotFound as exc:
        raise UsageError(exc.message) from exc
    live = watch or count is not None or alert is not None
    configuration = {"configuration": context.obj.record()}
    with ExitStack() as stack:
        output = stack.enter_context(StatusOutput(table, not no_color, live=live))
        if not live:
            output.show(first | configuration)
            return 0
        alarm = Alarm(alert) if alert else None
        bell = stack.enter_context(_Bell(alert_command))
        for record in _looks(reader, first, interval, count):
            change = alarm.check(record) if alarm else None
            if change is not None:
                output.alert(change)
                bell.ring(change)
            if watch or count is not None or output.lively:
                output.show(record | configuration)
    return 0


def _looks(reader: "StatusReader", first: Record, interval: float, count: int | None) -> Iterator[Record]:
    """The first status, then one every `interval` seconds, until the process that is watched ends."""
    from memx.engine.memory.monitor import next_tick

    yield first
    due, given = time.monotonic(), 1
    while count is None or given < count:
        due = next_tick(due, time.monotonic(), interval)
        time.sleep(max(0.0, due - time.monotonic()))
        try:
            record = reader.read()
        except SourceNotFound:
            return
        yield record
        given += 1


class _Bell:
    """Runs the user's command once an alert, beside the watching; what it prints goes to standard error."""

    def __init__(self, command: str | None) -> None:
        self._command = command
        self._running: list[subprocess.Popen[bytes]] = []

    def ring(self, alert: Record) -> None:
        """Starts the command."""
        self._running = [process for process in self._running if process.poll() is None]
        if self._command is None:
            return
        process = subprocess.Popen(
            self._command,
            shell=True,
            stdin=subprocess.PIPE,
            stdout=sys.stderr.fileno() if sys.stderr is not None else subprocess.DEVNULL,
            env=os.environ | {"MEMX_LEVEL": alert["level"], "MEMX_BEFORE": alert["before"] or ""},
        )
        assert process.stdin is not None
        try:
            process.stdin.write(encode(alert))  # smaller than the pipe: this does not wait
            process.stdin.close()
        except BrokenPipeError:
            pass  # it does not read it
        self._running.append(process)

    def __enter__(self) -> "_Bell":
        return self

    def __exit__(self, *_: object) -> None:
        for process in self._running:
            process.wait()
