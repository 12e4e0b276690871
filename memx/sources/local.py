"""A regular file on this machine."""

import os
import stat
from collections.abc import Callable
from functools import partial

from memx.errors import SourceDenied, SourceFailed, SourceNotFound, UnsupportedSource
from memx.records import display_path
from memx.sources.base import Source

_DROP_EVERY = 8 << 20
_NO_ACCESS_TIME = getattr(os, "O_NOATIME", 0)
"""Of Linux: whoever looks at an archive does not use it, and each small read costs a tenth less."""


def open_descriptor(path: str | os.PathLike[str]) -> int:
    """A descriptor of `path`, open for reading.

    Raises SourceNotFound, SourceDenied, UnsupportedSource (a folder or a socket) or SourceFailed.
    """
    name = display_path(path)
    try:
        descriptor = _open(path)
    except FileNotFoundError as exc:
        raise SourceNotFound(f"there is no file {name}") from exc
    except PermissionError as exc:
        raise SourceDenied(f"no permission to read {name}") from exc
    except (OSError, ValueError) as exc:
        raise SourceFailed(f"{name} cannot be opened: {reason(exc)}") from exc
    mode = os.fstat(descriptor).st_mode
    if stat.S_ISDIR(mode):
        os.close(descriptor)
        raise UnsupportedSource(f"{name} is a folder: give its files, or use memx extract, which walks folders")
    os.set_blocking(descriptor, True)
    return descriptor


def _open(path: str | os.PathLike[str]) -> int:
    # a named pipe without a writer would block the open for ever: it is opened without waiting
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK
    try:
        return os.open(path, flags | _NO_ACCESS_TIME)
    except PermissionError:  # only the owner of a file may leave its time of access as it is
        return os.open(path, flags)


def reason(error: Exception) -> str:
    """What the operating system says, without the file name."""
    return (getattr(error, "strerror", None) or str(error)).lower()


class LocalFile(Source):
    """A regular file, read with positioned reads on one descriptor, which it owns.

    With `drop_behind` the page cache behind a long forward read is given back (`posix_fadvise`), so that
    a huge file does not push out what the machine was using.
    """

    seekable = True
    _descriptor = -1

    def __init__(self, descriptor: int, path: str, *, name: str | os.PathLike[str] | None = None) -> None:
        self._descriptor = descriptor
        self.path = path
        self.size = os.fstat(descriptor).st_size
        self.drop_behind = False
        self._name = name
        self._position = 0
        self._dropped = 0

    def read(self, length: int) -> bytes:
        data = self.read_at(self._position, length)
        self._position += len(data)
        self._drop()
        return data

    def readinto(self, buffer: memoryview) -> int:
        done = 0
        try:
            while done < len(buffer) and (got := os.preadv(self._descriptor, [buffer[done:]], self._position)):
                done += got
                self._position += got
        except OSError as exc:
            raise SourceFailed(f"{self.path} cannot be read: {reason(exc)}", offset=self._position) from exc
        self.bytes_read += done
        self._drop()
        return done

    def read_at(self, offset: int, length: int) -> bytes:
        # a declared length is clamped before anything is allocated for it
        left = (self.size or 0) - offset
        if length > left:
            length = left
        try:
            data = os.pread(self._descriptor, length, offset) if length > 0 else b""
            if len(data) < length:
                data = self._whole(data, offset, length)
        except OSError as exc:
            raise SourceFailed(f"{self.path} cannot be read: {reason(exc)}", offset=offset) from exc
        self.bytes_read += len(data)
        return data

    def reads_at(self, length: int) -> Callable[[int], bytes]:
        return partial(os.pread, self._descriptor, length)

    def was_read(self, count: int) -> None:
        self.bytes_read += count

    def _whole(self, data: bytes, offset: int, length: int) -> bytes:
        """`data`, which a short read gave, and what follows it."""
        parts, have = [data], len(data)
        while have < length and (part := os.pread(self._descriptor, length - have, offset + have)):
            parts.append(part)
            have += len(part)
        return b"".join(parts)

    def skip(self, length: int) -> int:
        stepped = min(length, max(0, (self.size or 0) - self._position))
        self._position += stepped
        return stepped

    def seek(self, offset: int) -> None:
        self._position = offset

    def tell(self) -> int:
        return self._position

    def peek(self, length: int) -> bytes:
        return self.read_at(0, length)

    def local_path(self) -> str | None:
        return None if self._name is None else os.fspath(self._name)

    def close(self) -> None:
        descriptor, self._descriptor = self._descriptor, -1
        if descriptor >= 0:
            os.close(descriptor)

    def __del__(self) -> None:
        self.close()  # a reader that was iterated and forgotten leaves nothing open

    def forgo_read_ahead(self) -> None:
        """Has the kernel read what is asked for and nothing ahead of it: less page cache, more waiting."""
        os.posix_fadvise(self._descriptor, 0, 0, os.POSIX_FADV_RANDOM)

    def _drop(self) -> None:
        if self.drop_behind and self._position - self._dropped >= _DROP_EVERY:
            os.posix_fadvise(self._descriptor, self._dropped, self._position - self._dropped, os.POSIX_FADV_DONTNEED)
            self._dropped = self._position
