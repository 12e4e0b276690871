"""What a source of bytes is."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from types import TracebackType
from typing import Self

SKIP_BLOCK = 1 << 18


class Source(ABC):
    """Bytes with a position, read forward; where `seekable`, read anywhere too.

    `path` is what records say; `size` is in bytes, None where only the end will tell; `bytes_read` counts
    what was really read, and never what was stepped over.
    """

    path: str
    size: int | None = None
    seekable: bool = False
    bytes_read: int = 0

    @abstractmethod
    def read(self, length: int) -> bytes:
        """The next `length` bytes; fewer only at the end."""

    def read_on(self, least: int, most: int) -> bytes:
        """The next bytes, `most` at most, without waiting for more than `least`; fewer only at the end."""
        return self.read(most)

    @abstractmethod
    def readinto(self, buffer: memoryview) -> int:
        """Fills `buffer` with the next bytes; how many, less than its length only at the end."""

    @abstractmethod
    def tell(self) -> int:
        """The position, in bytes from the start."""

    @abstractmethod
    def peek(self, length: int) -> bytes:
        """The first bytes of the source, at most `length`, without moving; only before the first read."""

    def skip(self, length: int) -> int:
        """Steps over `length` bytes; how many were there, less only at the end."""
        left = length
        while left > 0:
            got = len(self.read(min(left, SKIP_BLOCK)))
            if not got:
                break
            left -= got
        return length - left

    def read_at(self, offset: int, length: int) -> bytes:
        """`length` bytes from `offset`, fewer only at the end; the position stays. Only where `seekable`."""
        raise NotImplementedError(f"{type(self).__name__} reads forward only")

    def reads_at(self, length: int) -> Callable[[int], bytes]:
        """What reads as `read_at` does, always `length` bytes, for loops that read hundreds of thousands of times.

        `was_read` is told of them, many at a time. While the source is open, and at offsets that are known to be
        inside. It may raise OSError: `read_at` says what is wrong.
        """
        return lambda offset: self.read_at(offset, length)

    def was_read(self, count: int) -> None:  # noqa: B027 - `read_at` has counted them
        """So many bytes were read by what `reads_at` gave."""

    def seek(self, offset: int) -> None:
        """Moves the position. Only where `seekable`."""
        raise NotImplementedError(f"{type(self).__name__} reads forward only")

    def local_path(self) -> str | None:
        """A path under which the same bytes can be opened by a library, or None."""
        return None

    def left(self) -> int | None:
        """Bytes from the position to the end, None where that is unknown."""
        return None if self.size is None else max(0, self.size - self.tell())

    @abstractmethod
    def close(self) -> None:
        """Lets go of what the source holds. Closing twice is no error."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
