"""`memx stream`: each record as soon as it is read."""

from typing import Annotated

from typer import Argument, Context, Exit, Option

from memx.cli import options
from memx.engine.options import FRAME_LENGTH, MAX_VALUE_BYTES, StreamOptions

EXAMPLES = """\b
Examples:
  memx stream scan.dcm
  memx stream --select 'Patient*' --select 7FE00010 *.dcm
  memx stream --json --limit 100 film.mkv | jq .pts
  memx stream --table --no-color -f binary cube.fits
  memx stream --chunk-size 64K firmware.bin
  memx stream --frame-length 8192 --hop-length 4096 song.flac
  memx stream --chunks --with-path -o records.jsonl run.h5
  memx stream --max-value-bytes 1M --select PixelData scan.dcm
  memx stream --max-memory 256M --timeout 60 cube.fits
  memx stream --strategy conservative cube.fits
  memx stream --schema | jq .title
  curl -s https://example.org/cube.fits.gz | memx stream -
"""


def _show_schema(asked: bool) -> None:
    if asked:
        import sys
        from importlib.resources import files

        sys.stdout.write(files("memx").joinpath("records.schema.json").read_text(encoding="utf-8"))
        raise Exit


Sources = Annotated[list[str], Argument(metavar="SOURCE...", help="Files; - is standard input.", show_default=False)]
Limit = Annotated[
    int | None,
    Option(metavar="N", parser=options.number(0), help="Show at most N records of each source. (default: all)"),
]
Select = Annotated[
    list[str] | None,
    Option(
        metavar="PATTERN",
        help="Keep records whose type, tag, keyword, path or name is like PATTERN: * and ? stand for anything. "
        "May be repeated.",
    ),
]
ChunkSize = Annotated[
    int | None,
    Option(
        metavar="SIZE",
        parser=options.size(),
        envvar="MEMX_CHUNK_SIZE",
        help="Read SIZE at once, and tell of a binary file in chunks of it. (default: by the strategy; chunks of 1M)",
    ),
]
FrameLength = Annotated[
    int,
    Option(
        metavar="N",
        parser=options.number(1),
        help=f"Tell the level of sound in frames of N samples. (default: {FRAME_LENGTH})",
        show_default=False,
    ),
]
HopLength = Annotated[
    int | None,
    Option(metavar="N", parser=options.number(1), help="Begin a frame every N samples. (default: the frame length)"),
]
Chunks = Annotated[bool, Option("--chunks", help="Say also where each chunk of HDF5 and NetCDF-4 data lies.")]
WithPath = Annotated[bool, Option("--with-path", help="Name the source in every record.")]
Schema = Annotated[
    bool, Option("--schema", callback=_show_schema, is_eager=True, help="Print the JSON Schema of the records.")
]


def stream(
    context: Context,
    source: Sources,
    output: options.Output = None,
    format: options.Format = None,  # noqa: A002 - the name of the option
    table: options.Table = None,
    limit: Limit = None,
    select: Select = None,
    max_memory: options.MaxMemory = None,
    strategy: options.Strategy = None,
    chunk_size: ChunkSize = None,
    max_value_bytes: options.MaxValueBytes = None,
    frame_length: FrameLength = FRAME_LENGTH,
    hop_length: HopLength = None,
    chunks: Chunks = False,
    timeout: options.Timeout = None,
    with_path: WithPath = False,
    schema: Schema = False,
    no_color: options.NoColor = False,
) -> int:
    """Show the records of files, each as soon as it is read.

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
        collectors=context.obj.tables or None,
        two_processes=True,
    )
    to = OutputOptions(file=output, table=table, color=not no_color, sources=source)
    complete = emit((Stream(name, wanted) for name in source), to)
    return 0 if complete else 1
