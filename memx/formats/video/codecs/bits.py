"""Bits of a header, first the highest of each byte."""

from memx.formats.video.codecs.coding import NotKnown


class Bits:
    """Reads `data` bit by bit; NotKnown where it ends too early."""

    __slots__ = ("_left", "_value")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._left = 8 * len(data)

    @property
    def left(self) -> int:
        """How many bits follow."""
        return self._left

    def take(self, count: int) -> int:
        """The next `count` bits as a number."""
        self._left -= count
        if self._left < 0:
            raise NotKnown("a header that ends early")
        return self._value >> self._left & (1 << count) - 1

    def skip(self, count: int) -> None:
        """Steps over `count` bits."""
        self.take(count)

    def unsigned(self) -> int:
        """An unsigned Exp-Golomb code (ISO/IEC 14496-10, 9.1), at most 32 bits."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 31:
                raise NotKnown("an Exp-Golomb code without an end")
        return (1 << zeros) - 1 + self.take(zeros)

    def signed(self) -> int:
        """A signed Exp-Golomb code (ISO/IEC 14496-10, 9.1.1)."""
        code = self.unsigned()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def without_emulation(data: bytes) -> bytes:
    """A NAL unit without its emulation prevention bytes (ISO/IEC 14496-10, 7.3.1)."""
    if b"\0\0\3" not in data:
        return data
    parts, start = [], 0
    while (at := data.find(b"\0\0\3", start)) >= 0:
        parts.append(data[start : at + 2])
        start = at + 3
    return b"".join((*parts, data[start:]))
