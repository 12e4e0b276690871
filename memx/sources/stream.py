"""Bytes that come once and in order: a pipe, standard input, a Python file object."""

from collections.abc import Callable
from typing import BinaryIO, TypeVar

from memx.errors import MemxError, SourceFailed
from memx.sources.base import Source
from memx.sources.local import reason

_A = TypeVar("_A")
_R = TypeVar("_R")


class ForwardStream(Source):
    """A binary file object that is only read forward. It owns the object where `owned`."""

    def __init__(self, file: BinaryIO, path: str, *, owned: bool = True) -> None:
        self.path = path
        self._file = file
        self._owned = owned
        self._ahead = b""
        self._position = 0

    def read(self, length: int) -> bytes:
        return self.read_on(length, length)

    def read_on(self, least: int, most: int) -> bytes:
        data, self._ahead = self._ahead[:most], self._ahead[most:]
        if len(data) < least:
            data += self._pull(least - len(data), most - len(data))
        self._position += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        # what was peeked goes first; the rest is read straight into the buffer where the object can
        done = min(len(buffer), len(self._ahead))
        buffer[:done], self._ahead = self._ahead[:done], self._ahead[done:]
        readinto = getattr(self._file, "readinto", None)
        while done < len(buffer):
            if readinto is None:
                part = self._pull(1, len(buffer) - done)
                got = len(part)
                buffer[done : done + got] = part
            else:
                got = self._call(readinto, buffer[done:]) or 0
                self.bytes_read += got
            if not got:
                break
            done += got
        self._position += done
        return done

    def tell(self) -> int:
        return self._position

    def peek(self, length: int) -> bytes:
        if len(self._ahead) < length:
            self._ahead += self._pull(length - len(self._ahead), length - len(self._ahead))
        return self._ahead[:length]

    def close(self) -> None:
        if self._owned:
            self._file.close()

    def _pull(self, least: int, most: int) -> bytes:
        """Bytes from the object, fewer than `least` only at its end, in pieces that the end bounds."""
        read = getattr(self._file, "read1", self._file.read)  # which does not wait until it has all
        parts: list[bytes] = []
        while least > 0 and (part := self._call(read, min(most, 1 << 20))):
            parts.append(part)
            least -= len(part)
            most -= len(part)
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        self.bytes_read += len(data)
        return data

    def _call(self, method: Callable[[_A], _R], argument: _A) -> _R:
        try:
            return method(argument)
        except (MemxError, MemoryError):
            raise
        except Exception as exc:  # the object may be anyone's, and raise whatever its library raises
            raise SourceFailed(f"{self.path} cannot be read: {reason(exc)}", offset=self._position) from exc


class SeekableStream(ForwardStream):
    """A binary file object that can seek, from where it stands to its end."""

    seekable = True

    def __init__(self, file: BinaryIO, path: str, *, owned: bool = False) -> None:
        super().__init__(file, path, owned=owned)
        self._origin = self._call(lambda _: file.tell(), None)
        self.size = max(0, self._call(lambda end: file.seek(0, end), 2) - self._origin)
        self._call(file.seek, self._origin)

    def read_on(self, least: int, most: int) -> bytes:
        data = self.read_at(self._position, most)
        self._position += len(data)
        return data

    def readinto(self, buffer: memoryview) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        length = min(length, max(0, (self.size or 0) - offset))
        if not length:
            return b""
        self._call(self._file.seek, self._origin + offset)
        return self._pull(length, length)

    def skip(self, length: int) -> int:
        stepped = min(length, max(0, (self.size or 0) - self._position))
        self._position += stepped
        return stepped

    def seek(self, offset: int) -> None:
        self._position = offset

    def peek(self, length: int) -> bytes:
        return self.read_at(0, length)
