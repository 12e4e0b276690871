"""Several frames in a block: RFC 9559, 10.3."""

from functools import lru_cache
from operator import sub

from memx.errors import CorruptFile
from memx.formats.video.matroska.ebml import number

XIPH, FIXED, EBML = 0b010, 0b100, 0b110
MOST_HEADER = 256 * 8 + 1
"""Bytes that the sizes of 256 frames take at most, but for those of Xiph lacing."""


def sizes(lacing: int, data: bytes, size: int, offset: int) -> tuple[int, list[int]]:
    """Where the first frame begins in the payload, and the sizes of all frames.

    `data` is the beginning of the payload, which is `size` bytes long and stands at `offset` in the file.
    CorruptFile where the frames do not fit.
    """
    if not data:
        raise CorruptFile(f"the block at {offset} has no frames", offset=offset)
    count, at = data[0] + 1, 1
    found: list[int] = []
    if lacing == FIXED:
        if (size - 1) % count:
            raise CorruptFile(f"the block at {offset} is not parted evenly", offset=offset)
        return 1, [(size - 1) // count] * count
    # FFmpeg reads a first EBML size even where there is one frame, and takes it off that
    for _ in range(max(1, count - 1) if lacing == EBML else count - 1):
        if lacing == XIPH:
            length, at = _xiph(data, at)
        else:
            length, at = _ebml(data, at, found)
        if length < 0 or at > min(len(data), size):
            raise CorruptFile(f"the frames of the block at {offset} have no sizes", offset=offset)
        found.append(length)
    last = size - at - sum(found)
    if last < 0:
        raise CorruptFile(f"the frames of the block at {offset} are longer than it is", offset=offset)
    return at, [*found, last][-count:]


@lru_cache(256)
def shares(duration: int, count: int) -> tuple[int, ...]:
    """How long each of `count` frames lasts of a block that lasts `duration`: as even as whole units can be."""
    ends = [duration * number // count for number in range(count + 1)]
    return tuple(map(sub, ends[1:], ends))


def _xiph(data: bytes, at: int) -> tuple[int, int]:
    """10.3.2: bytes that are summed, up to one that is less than 255."""
    length = 0
    while at < len(data) and data[at] == 255:
        length, at = length + 255, at + 1
    if at >= len(data):
        return -1, at
    return length + data[at], at + 1


def _ebml(data: bytes, at: int, before: list[int]) -> tuple[int, int]:
    """10.3.3: the first size, then differences, from which half of what they can say is taken."""
    value, width = number(data, at)
    if not width:
        return -1, at
    if value is None:
        value = (1 << 7 * width) - 1
    if before:
        value += before[-1] - ((1 << 7 * width - 1) - 1)
    return value, at + width
