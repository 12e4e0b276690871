"""A temporary copy on disk, for formats that must seek in what comes through a pipe."""

import os
import tempfile

from memx.errors import OverLimit
from memx.sources.base import Source
from memx.sources.local import LocalFile, reason


def spool(source: Source) -> LocalFile:
    """A file with all that is left of `source`, on disk in the folder for temporary files (`TMPDIR`).

    It has a path while it is open, and goes when it is closed. Raises OverLimit where the disk is full.
    """
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
    """A file without a name, so that a memx killed with SIGKILL leaves nothing behind.

    It is reached through the descriptor table of this process, where that is a folder (Linux).
    """

    def __init__(self, path: str) -> None:
        descriptor, name = tempfile.mkstemp(prefix="memx-")
        through = f"/proc/{os.getpid()}/fd/{descriptor}"
        self._unlink_later = None if os.path.exists(through) else name
        if self._unlink_later is None:
            os.unlink(name)
        super().__init__(descriptor, path, name=self._unlink_later or through)

    def write(self, data: memoryview) -> None:
        while data:
            written = os.write(self._descriptor, data)
            data = data[written:]
            self.size = (self.size or 0) + written

    def close(self) -> None:
        super().close()
        name, self._unlink_later = self._unlink_later, None
        if name is not None:
            os.unlink(name)
