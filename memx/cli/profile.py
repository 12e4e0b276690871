"""`memx profile`: what memory and time each format, extractor and file costs, and which is a problem."""

from collections.abc import Callable
from contextlib import ExitStack
from typing import TYPE_CHECKING, Annotated

from typer import Context, Option

from memx.cli import options
from memx.cli.text import say
from memx.engine.dataset.discovery import discover, identity
from memx.engine.options import StreamOptions

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
  memx profile -f binary -j 2 -o files.jsonl dataset/
  memx profile --max-memory 1G --timeout 60 --stall 30 dataset/
  memx profile --table --no-color --strategy balanced dataset/
"""
Table = Annotated[
    bool | None,
    Option(
        "--table/--json",
        help="Tables, or the report as one JSON object. (default: tables on a terminal, else a JSON line a file)",
        show_default=False,
    ),
]
Html = Annotated[str | None, Option(metavar="FILE", help="Write the report to FILE, a page that works offline.")]
Repeat = Annotated[
    int,
    Option(
        metavar="N",
        parser=options.number(0),
        help="Read each file N times, 8 at least, to find leaks. (default: some of the files, at the end)",
        show_default=False,
    ),
]
BaselineFile = Annotated[
    str | None,
    Option(metavar="FILE", help="End with status 3 where files got worse since FILE, a report of --json."),
]
AssertPeak = Annotated[
    int | None,
    Option(
        "--assert-peak",
        metavar="SIZE",
        parser=options.size(),
        help="End with status 3 where a file takes more memory than SIZE.",
    ),
]
Trace = Annotated[
    str | None,
    Option(metavar="FILE", help="Write to FILE the memory over time of each file, and what raised its peak."),
]


def profile(
    context: Context,
    source: options.Sources,
    output: options.Output = None,
    format: options.Format = None,  # noqa: A002 - the name of the option
    table: Table = None,
    html: Html = None,
    extractor: options.ManyExtractors = None,
    repeat: Repeat = 0,
    baseline: BaselineFile = None,
    assert_peak: AssertPeak = None,
    trace: Trace = None,
    jobs: options.Jobs = None,
    max_memory: options.MaxMemory = None,
    timeout: options.Timeout = None,
    stall: options.Stall = None,
    strategy: options.Strategy = None,
    no_color: options.NoColor = False,
) -> int:
    """Measure what memory and time files cost, and name problems.

    Costs are told by format, extractor and file. Each file is read by a worker process of its own, of which the
    kernel tells the peak; of more than a thousand small files of a kind, the others share workers. Some are read
    again at the end, to see whether memory leaks.
    """
    options.check_repeatable(source)
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
    from memx.cli.output import OutputOptions, emit
    from memx.cli.profile_view import Report
    from memx.engine.profile.profiling import Profile

    with ExitStack() as stack:
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
        to = OutputOptions(file=output, table=table, color=not no_color, sources=source)
        complete = emit([Report(run, whole=table is False)], to, _look(source, max_memory), run.interrupt)
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


def _look(sources: list[str], max_memory: int | None) -> "Look":
    from memx.cli.output import Look
    from memx.cli.profile_view import ProfileTable

    def view(descriptor: int, color: bool) -> "LiveView":
        from memx.cli.progress import RunView

        return RunView(descriptor, color=color, files=lambda: discover(sources), max_memory=max_memory)

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
