"""`memx profile`: what memory and time each format, extractor and file costs, and which is a problem."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

from typer import Argument, Context, Option

from memx.cli import options
from memx.cli.text import say
from memx.engine.dataset.discovery import discover, identity
from memx.engine.options import StreamOptions
from memx.errors import UsageError

if TYPE_CHECKING:
    from memx.cli.live import LiveView
    from memx.cli.output import Look
    from memx.engine.profile.profiling import Profile
    from memx.engine.profile.regression import Baseline
    from memx.records import Record

BROKEN_PROMISE = 3
"""The exit status where an assertion that the user asked for failed."""
EXAMPLES = """\b
Examples:
  memx profile dataset/
  memx profile --extractor mylab:summary --repeat 20 dataset/
  memx profile --json dataset/ > before.json
  memx profile --baseline before.json --assert-peak 64M dataset/
  memx profile --html report.html --trace memory.jsonl dataset/
"""


def profile(
    context: Context,
    source: Annotated[list[str], Argument(metavar="SOURCE...", help="Files, and folders to walk.", show_default=False)],
    output: options.Output = None,
    format: options.Format = None,  # noqa: A002 - the name of the option
    table: Annotated[
        bool | None,
        Option(
            "--table/--json",
            help="Tables, or the whole report as one JSON object. [default: tables on a terminal, else a line a file]",
            show_default=False,
        ),
    ] = None,
    html: Annotated[str | None, Option(metavar="FILE", help="Write the report as one page that works offline.")] = None,
    extractor: Annotated[
        list[str] | None,
        Option(
            metavar="MODULE:FUNCTION",
            help="Call this with each path instead of reading the file. May be repeated, to compare several.",
        ),
    ] = None,
    repeat: Annotated[
        int, Option(metavar="N", min=0, help="Read each file N times (8 at least), to tell what stays behind.")
    ] = 0,
    baseline: Annotated[
        str | None, Option(metavar="FILE", help="Fail where files got worse since this report of --json.")
    ] = None,
    assert_peak: Annotated[
        int | None,
        Option("--assert-peak", metavar="SIZE", parser=options.size(), help="Fail where a file peaks above SIZE."),
    ] = None,
    trace: Annotated[
        str | None, Option(metavar="FILE", help="Write the memory over time of each file, and what raised its peak.")
    ] = None,
    jobs: options.Jobs = None,
    max_memory: options.MaxMemory = None,
    timeout: options.Timeout = None,
    stall: options.Stall = None,
    strategy: options.Strategy = None,
    no_color: options.NoColor = False,
) -> int:
    """Measure what memory and time each format, extractor and file costs, and name those that are a problem.

    Each file is read by a worker process of its own, of which the kernel tells the peak; of more than a thousand
    small files of a kind, the others share workers. Some are read again at the end, to see whether memory leaks.
    """
    if "-" in source:
        raise UsageError("standard input cannot be read again and again: give files or folders")
    wanted = StreamOptions(
        format=format,
        strategy=strategy,
        max_memory=max_memory,
        timeout=timeout,
        stall=stall,
        collectors=context.obj.tables or None,
    )
    if html is not None:
        from memx.cli.profile_page import check

        check()
    without = identity(1 if output in (None, "-") else str(output))
    with ExitStack() as stack:
        from memx.engine.profile.profiling import Profile

        run = Profile(
            lambda: discover(source, without),
            wanted,
            extractors=extractor or (),
            jobs=jobs or 1,
            repeat=repeat,
            budget=assert_peak,
            baseline=_baseline(baseline),
            trace=_traces(trace, source, stack),
        )
        complete = _emit(run, source, output, table, not no_color)
    if html is not None:
        from memx.cli.profile_page import write

        write(html, run.report(), source)
    return _assertions(run, assert_peak) or (0 if complete else 1)


def _baseline(file: str | None) -> "Baseline | None":
    if file is None:
        return None
    from memx.engine.profile.regression import Baseline

    return Baseline(file)


def _traces(file: str | None, sources: list[str], stack: ExitStack) -> "Callable[[Record], None] | None":
    """What writes a trace to `file`."""
    if file is None:
        return None
    from memx.cli.lines import LineWriter
    from memx.cli.output import OutputOptions, opened
    from memx.records import encode

    descriptor = stack.enter_context(opened(OutputOptions(file=file, sources=sources)))
    writer = stack.enter_context(LineWriter(descriptor, file))
    return lambda record: writer.write(encode(record))


def _emit(run: "Profile", sources: list[str], output: str | None, table: bool | None, color: bool) -> bool:
    """Writes what was asked for; whether every file was complete."""
    from memx.cli.output import OutputOptions, emit
    from memx.cli.profile_view import Report

    to = OutputOptions(file=output, table=table, color=color, sources=sources)
    return emit([Report(run, whole=table is False)], to, _look(sources), run.interrupt)


def _look(sources: list[str]) -> "Look":
    from memx.cli.output import Look
    from memx.cli.profile_view import ProfileTable

    def view(descriptor: int, color: bool) -> "LiveView":
        from memx.cli.progress import RunView

        return RunView(descriptor, color=color, files=lambda: discover(sources))

    return Look(ProfileTable, view)


def _assertions(run: "Profile", most: int | None) -> int:
    """Says which assertions failed; then the exit status, else 0."""
    from memx.units import format_size

    report, failed = run.report(), False
    if most is not None and report["over_budget"]:
        worst, count = report["worst"][0], report["over_budget"]
        what = "1 file peaks" if count == 1 else f"{count:,} files peak"
        peak = format_size(worst["metrics"]["peak_rss"])
        say(f"{what} above {format_size(most)}: {worst['path']} at {peak}")
        failed = True
    if report["baseline"] is not None and not report["baseline"]["holds"]:
        say(report["baseline"]["reason"])
        failed = True
    return BROKEN_PROMISE if failed else 0
