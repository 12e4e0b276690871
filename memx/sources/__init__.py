"""Where bytes come from. `open_source` tells the kinds apart; a reader sees only a `Source`."""

import os
import select
import stat
import sys
from typing import BinaryIO

from memx.errors import SourceFailed, UnsupportedSource
from memx.records import display_path
from memx.sources.base import Source
from memx.sources.cursor import Cursor
from memx.sources.inflate import InflatedSource
from memx.sources.local import LocalFile, open_descriptor, reason
from memx.sources.spool import spool
from memx.sources.stream import ForwardStream, SeekableStream

Origin = str | os.PathLike[str] | BinaryIO
"""A path, `-` for standard input, or a binary file object."""

__all__ = ["Cursor", "InflatedSource", "LocalFile", "Origin", "Source", "name_of", "open_source", "spool"]


def name_of(origin: Origin) -> str:
    """What records call `origin`: its path, or `-` for a stream without a name."""
    if isinstance(origin, str | os.PathLike):
        return display_path(origin)
    name = getattr(origin, "name", None)
    return display_path(name) if isinstance(name, str | bytes) else "-"


def open_source(origin: Origin) -> Source:
    """The source of `origin`, at its first byte (for a file object: where that stands).

    A file object stays the caller's: it is not closed. Raises SourceError or UnsupportedSource.
    """
    if isinstance(origin, str | os.PathLike):
        return _open_stdin() if origin == "-" else _open_path(origin)
    if not hasattr(origin, "read"):
        raise UnsupportedSource(f"a {type(origin).__name__} is no source: give a path or a binary file object")
    try:
        nothing = origin.read(0)
        seekable = hasattr(origin, "seekable") and origin.seekable()
    except Exception as exc:  # a file object may be anyone's: a closed one, say, raises ValueError
        raise SourceFailed(f"{name_of(origin)} cannot be read: {reason(exc)}") from exc
    if isinstance(nothing, str):
        raise UnsupportedSource("the file object gives text: open it in binary mode")
    return SeekableStream(origin, name_of(origin)) if seekable else ForwardStream(origin, name_of(origin), owned=False)


def _open_path(path: str | os.PathLike[str]) -> Source:
    descriptor = open_descriptor(path)
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISREG(mode):
        return LocalFile(descriptor, display_path(path), name=path)
    if stat.S_ISFIFO(mode):
        _await_writer(descriptor)
    return ForwardStream(os.fdopen(descriptor, "rb", buffering=0), display_path(path))


def _await_writer(descriptor: int) -> None:
    """Waits until a named pipe has bytes, or had a writer: until then a read finds its end (fifo(7))."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    try:
        poll.poll()
    except BaseException:
        os.close(descriptor)
        raise


def _open_stdin() -> Source:
    if sys.stdin is None:
        raise SourceFailed("standard input is closed")
    return ForwardStream(os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0), "-")
