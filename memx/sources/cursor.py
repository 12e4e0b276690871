"""One bounded buffer over a source, for readers that walk many small structures forward."""

from memx.sources.base import Source

BLOCK = 1 << 16


class Cursor:
    """A forward cursor over `source`, from where that stands.

    A hot loop may look into `buffer` at `index` by itself; `start + index` is the offset in the source.
    The buffer never holds more than what was asked for at once and one block.
    """

    __slots__ = ("block", "buffer", "index", "source", "start")

    def __init__(self, source: Source, block: int = BLOCK) -> None:
        self.source = source
        self.block = block
        self.buffer = b""
        self.index = 0
        self.start = source.tell()

    def tell(self) -> int:
        """The offset of the next byte."""
        return self.start + self.index

    def ensure(self, length: int) -> bool:
        """Whether `length` bytes follow; then they all lie in `buffer` from `index` on."""
        have = len(self.buffer) - self.index
        if have >= length:
            return True
        left = self.source.left()
        if left is not None and have + left < length:
            return False  # nothing is allocated for what is not there
        kept = self.buffer[self.index :]
        self.start += self.index
        self.index = 0
        self.buffer = kept + self.source.read_on(length - have, max(length, self.block) - have)
        return len(self.buffer) >= length

    def take(self, length: int) -> bytes:
        """The next `length` bytes; fewer only at the end."""
        if not self.ensure(length):
            left = self.source.left()
            self.ensure(length if left is None else len(self.buffer) - self.index + left)
        data = self.buffer[self.index : self.index + length]
        self.index += len(data)
        return data

    def skip(self, length: int) -> int:
        """Steps over `length` bytes without reading what can be jumped; how many were there."""
        inside = min(length, len(self.buffer) - self.index)
        self.index += inside
        if inside == length:
            return length
        self.start += self.index
        self.index, self.buffer = 0, b""
        stepped = self.source.skip(length - inside)
        self.start += stepped
        return inside + stepped

    def seek(self, offset: int) -> None:
        """Goes to `offset`; only where the source is `seekable`."""
        if self.start <= offset <= self.start + len(self.buffer):
            self.index = offset - self.start
        else:
            self.source.seek(offset)
            self.start, self.index, self.buffer = offset, 0, b""
