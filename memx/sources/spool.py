"""A temporary copy on disk, for formats that must seek in what comes through a pipe."""

import os

from memx.errors import OverLimit
from memx.sources.base import Source
from memx.sources.local import LocalFile, reason


def spool(source: Source) -> LocalFile:
    """A file with all that is left of `source`, on disk in the folder for temporary files (`TMPDIR`).

    It has a path while it is open, and goes when it is closed. Raises OverLimit where the disk is full.
    """
    import tempfile  # late: most sources need no copy

    try:
        copy = _Spooled(source.path)
    except OSError as exc:
        raise OverLimit(f"no temporary copy of {source.path} can be kept: {reason(exc)}") from exc
    buffer = memoryview(bytearray(1 << 18))
    try:
        while got := source.readinto(buffer):
            copy.write(buffer[:got])
    except OSError as exc:
        copy.close()
        raise OverLimit(
            f"no temporary copy of {source.path} can be kept in {tempfile.gettempdir()}: {reason(exc)}; "
            "set TMPDIR to a folder with room"
        ) from exc
    except BaseException:
        copy.close()
        raise
    return copy


class _Spooled(LocalFile):
    """A file that goes when it is closed.

    It has to have a name, since libhdf5 opens no file without one. If this process is killed, the worker that
    reads the file removes it.
    """

    _file = ""

    def __init__(self, path: str) -> None:
        import tempfile

        descriptor, self._file = tempfile.mkstemp(prefix="memx-")
        super().__init__(descriptor, path, name=self._file)

    def write(self, data: memoryview) -> None:
        while data:
            written = os.write(self._descriptor, data)
            data = data[written:]
            self.size = (self.size or 0) + written

    def close(self) -> None:
        super().close()
        name, self._file = self._file, ""
        if name:
            remove(name)


def remove(name: str) -> None:
    """Removes a copy, which may be gone already."""
    try:
        os.unlink(name)
    except FileNotFoundError:
        pass
