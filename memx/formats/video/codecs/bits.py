"""Bits in the order of the standards of ISO and ITU: the highest of a byte first."""


class Bits:
    """A cursor over bits; behind the end there are only noughts, and `over` says so."""

    __slots__ = ("_length", "_value", "at")

    def __init__(self, data: bytes) -> None:
        self._value = int.from_bytes(data, "big")
        self._length = 8 * len(data)
        self.at = 0

    @property
    def over(self) -> bool:
        """Whether more was read than there is."""
        return self.at > self._length

    @property
    def left(self) -> int:
        """Bits from here to the end."""
        return max(0, self._length - self.at)

    def take(self, count: int) -> int:
        """The next `count` bits as an unsigned number."""
        value = self.peek(count)
        self.at += count
        return value

    def peek(self, count: int) -> int:
        """As `take`, and stays."""
        shift = self._length - self.at - count
        value = self._value >> shift if shift >= 0 else self._value << -shift if shift > -count else 0
        return value & ((1 << count) - 1)

    def flag(self) -> bool:
        """One bit."""
        return self.take(1) == 1

    def skip(self, count: int) -> None:
        """Steps over `count` bits."""
        self.at += count

    def ue(self) -> int:
        """An unsigned Exp-Golomb code (ITU-T H.264, 9.1); codes of more than 32 bits are no codes, and end at once."""
        zeros = 0
        while not self.take(1):
            zeros += 1
            if zeros > 32 or self.over:
                self.at = self._length + 1
                return 0
        return (1 << zeros) - 1 + self.take(zeros)

    def se(self) -> int:
        """A signed Exp-Golomb code (ITU-T H.264, 9.1.1)."""
        code = self.ue()
        return (code + 1) // 2 if code & 1 else -(code // 2)


def unescaped(data: bytes) -> bytes:
    """A NAL unit without its emulation prevention bytes (ITU-T H.264, 7.4.1)."""
    return data.replace(b"\0\0\3", b"\0\0")
