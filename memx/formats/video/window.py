"""The headers of a container: small reads that lie together."""

from memx.sources import Source

_BLOCK = 1 << 12


class Window:
    """The bytes of a source, through one cached block: headers are small and lie together."""

    def __init__(self, source: Source) -> None:
        self.size = source.size or 0
        self._source = source
        self._start = 0
        self._data = b""

    def read(self, at: int, length: int) -> bytes:
        """The `length` bytes at `at`, fewer where the file ends."""
        begin = at - self._start
        if begin < 0 or begin + length > len(self._data):
            if length > _BLOCK:
                return self._source.read_at(at, length)
            self._start, begin = at, 0
            self._data = self._source.read_at(at, _BLOCK)
        return self._data[begin : begin + length]
