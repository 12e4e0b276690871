"""A sample of every format, and every way in which a source can be opened."""

import importlib
import io
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from memx.engine.options import StreamOptions
from memx.engine.reading.streaming import Stream
from memx.formats import FORMATS, Format
from memx.records import Record, decode
from memx.sources import Origin

KEYS = [row.key for row in FORMATS]


def builder(row: Format) -> Callable[[Path], Path]:
    """What builds a file of `row`: in `tests/samples/<name>.py` `build`, or for a further row `build_<key>`."""
    module = importlib.import_module(f"tests.samples.{row.name}")
    found: Callable[[Path], Path] = getattr(module, "build" if row.key == row.name else f"build_{row.key}")
    return found


def read(origin: Origin, **options: Any) -> list[Record]:
    """All records of `origin`, from `file` to `end`."""
    return list(Stream(origin, StreamOptions(**options)).records())


def command(*arguments: str | os.PathLike[str], stdin: int | None = None) -> subprocess.CompletedProcess[bytes]:
    """The real command, run to its end."""
    return subprocess.run(
        [sys.executable, "-m", "memx", *arguments], stdin=stdin, capture_output=True, check=False, timeout=100
    )


def lines_of(output: bytes) -> list[Record]:
    """The records of a command's output, each line for itself."""
    return [decode(line) for line in output.splitlines()]


@contextmanager
def fed_pipe(data: bytes) -> Iterator[int]:
    """The reading end of a pipe into which a thread writes `data`."""
    reading, writing = os.pipe()
    thread = threading.Thread(target=_feed, args=(writing, data))
    thread.start()
    try:
        yield reading
    finally:
        os.close(reading)
        thread.join()


def _feed(descriptor: int, data: bytes) -> None:
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
    except BrokenPipeError:
        pass  # the reader had enough


def as_text(path: Path) -> list[Record]:
    return read(str(path))


def as_path(path: Path) -> list[Record]:
    return read(path)


def as_buffered_file(path: Path) -> list[Record]:
    with path.open("rb") as file:
        return read(file)


def as_raw_file(path: Path) -> list[Record]:
    with path.open("rb", buffering=0) as file:
        return read(file)


def as_bytes_io(path: Path) -> list[Record]:
    return read(io.BytesIO(path.read_bytes()))


def as_pipe(path: Path) -> list[Record]:
    with fed_pipe(path.read_bytes()) as descriptor, os.fdopen(os.dup(descriptor), "rb") as file:
        return read(file)


def as_named_pipe(path: Path) -> list[Record]:
    # beside the sample, not in its place: the name must not change what is detected
    fifo = path.with_name(f"fifo{path.suffix}")
    os.mkfifo(fifo)
    writer = threading.Thread(target=lambda: _feed(os.open(fifo, os.O_WRONLY), path.read_bytes()))
    writer.start()
    try:
        return read(fifo)
    finally:
        writer.join()
        fifo.unlink()


def as_standard_input(path: Path) -> list[Record]:
    with fed_pipe(path.read_bytes()) as descriptor:
        done = command("stream", "-", stdin=descriptor)
    assert done.stderr == b""
    assert done.returncode == 0
    return lines_of(done.stdout)


WAYS = [
    as_text,
    as_path,
    as_buffered_file,
    as_raw_file,
    as_bytes_io,
    as_pipe,
    as_named_pipe,
    as_standard_input,
]
