"""`memx stream`: each record as soon as it is read."""

from typing import Annotated

from typer import Argument, Exit, Option

from memx.cli import options
from memx.engine.options import FRAME_LENGTH, MAX_VALUE_BYTES, StreamOptions

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
    output: options.Output = None,
    format: options.Format = None,  # noqa: A002 - the name of the option
    table: options.Table = None,
    limit: Annotated[int | None, Option(metavar="N", min=0, help="At most N records a source.")] = None,
    select: Annotated[
        list[str] | None,
        Option(metavar="PATTERN", help="Keep records whose type, tag, keyword, path or name matches. Repeatable."),
    ] = None,
    max_memory: options.MaxMemory = None,
    strategy: options.Strategy = None,
    chunk_size: Annotated[
        int | None,
        Option(
            metavar="SIZE",
            parser=options.size(),
            envvar="MEMX_CHUNK_SIZE",
            help="Read so much at once; the chunks of binary files.",
        ),
    ] = None,
    max_value_bytes: options.MaxValueBytes = None,
    frame_length: Annotated[int, Option(metavar="N", min=1, help="Samples of an audio frame.")] = FRAME_LENGTH,
    hop_length: Annotated[
        int | None,
        Option(metavar="N", min=1, help="Samples from frame to frame. [default: the frame length]"),
    ] = None,
    chunks: Annotated[bool, Option("--chunks", help="Say where each chunk of HDF5 and NetCDF-4 data lies.")] = False,
    timeout: options.Timeout = None,
    with_path: Annotated[bool, Option("--with-path", help="Name the source in every record.")] = False,
    schema: Annotated[
        bool, Option("--schema", callback=_show_schema, is_eager=True, help="Print the JSON Schema of the records.")
    ] = False,
    no_color: options.NoColor = False,
) -> int:
    """Show the metadata of files, each record as soon as it is read.

    The records are JSON lines, or a table on a terminal. What is wrong with a file is a record too.
    """
    from memx.cli.output import OutputOptions, emit
    from memx.engine.reading.streaming import Stream

    wanted = StreamOptions(
        format=format,
        select=tuple(select or ()),
        limit=limit,
        chunk_size=chunk_size,
        max_value_bytes=MAX_VALUE_BYTES if max_value_bytes is None else max_value_bytes,
        frame_length=frame_length,
        hop_length=hop_length,
        chunks=chunks,
        strategy=strategy,
        with_path=with_path,
        max_memory=max_memory,
        timeout=timeout,
    )
    to = OutputOptions(file=output, table=table, color=not no_color, sources=source)
    complete = emit((Stream(name, wanted) for name in source), to)
    return 0 if complete else 1
