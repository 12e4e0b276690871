"""`memx stream`: each record as soon as it is read."""

from typing import Annotated

from typer import Argument, Exit, Option

from memx.cli import options
from memx.engine.session import FRAME_LENGTH, StreamOptions
from memx.engine.strategy import ExtractionStrategy

EXAMPLES = """\b
Examples:
  memx stream scan.dcm
  memx stream --select 'Patient*' --select 7FE00010 *.dcm
  memx stream --json --limit 100 film.mkv | jq .pts
  curl -s https://example.org/cube.fits.gz | memx stream -
"""


def _show_schema(asked: bool) -> None:
    if asked:
        import sys
        from importlib.resources import files

        sys.stdout.write(files("memx").joinpath("records.schema.json").read_text(encoding="utf-8"))
        raise Exit


def stream(
    source: Annotated[list[str], Argument(metavar="SOURCE...", help="Files; - is standard input.", show_default=False)],
    output: Annotated[str | None, Option("-o", "--output", metavar="FILE", help="Write to FILE.")] = None,
    format: Annotated[  # noqa: A002 - the name of the option
        str | None,
        Option("-f", "--format", metavar="NAME", parser=options.format_name, help="Read it as this format."),
    ] = None,
    table: Annotated[
        bool | None,
        Option("--table/--json", help="A table, or JSON lines. [default: a table on a terminal]", show_default=False),
    ] = None,
    limit: Annotated[int | None, Option(metavar="N", min=0, help="At most N records a source.")] = None,
    select: Annotated[
        list[str] | None,
        Option(metavar="PATTERN", help="Keep records whose type, tag, keyword, path or name matches. Repeatable."),
    ] = None,
    max_memory: Annotated[
        int | None,
        Option(metavar="SIZE", parser=options.size(), help="What memx may keep resident, all in all."),
    ] = None,
    strategy: Annotated[ExtractionStrategy | None, Option(help="How much memory to spend on speed.")] = None,
    chunk_size: Annotated[
        int | None,
        Option(metavar="SIZE", parser=options.size(), help="Read so much at once; the chunks of binary files."),
    ] = None,
    max_value_bytes: Annotated[
        int | None,
        Option(metavar="SIZE", parser=options.size(0), help="Leave longer values unread. [default: 64K]"),
    ] = None,
    frame_length: Annotated[int, Option(metavar="N", min=1, help="Samples of an audio frame.")] = FRAME_LENGTH,
    hop_length: Annotated[
        int | None,
        Option(metavar="N", min=1, help="Samples from frame to frame. [default: the frame length]"),
    ] = None,
    timeout: Annotated[
        float | None,
        Option(metavar="SECONDS", parser=options.seconds, help="Give up on a source after so long."),
    ] = None,
    with_path: Annotated[bool, Option("--with-path", help="Name the source in every record.")] = False,
    schema: Annotated[
        bool, Option("--schema", callback=_show_schema, is_eager=True, help="Print the JSON Schema of the records.")
    ] = False,
    no_color: Annotated[bool, Option("--no-color", help="Show no colours; NO_COLOR does the same.")] = False,
) -> int:
    """Show the metadata of files, each record as soon as it is read.

    The records are JSON lines, or a table on a terminal. What is wrong with a file is a record too.
    """
    from memx.cli.output import OutputOptions, emit
    from memx.engine.streaming import Stream

    wanted = StreamOptions(
        format=format,
        select=tuple(select or ()),
        limit=limit,
        chunk_size=chunk_size,
        max_value_bytes=StreamOptions().max_value_bytes if max_value_bytes is None else max_value_bytes,
        frame_length=frame_length,
        hop_length=hop_length,
        strategy=strategy,
        with_path=with_path,
        max_memory=max_memory,
        timeout=timeout,
    )
    complete = emit([Stream(name, wanted) for name in source], OutputOptions(output, table, not no_color))
    return 0 if complete else 1
