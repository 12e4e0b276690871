"""What the first bytes of packets say: key frames, kinds of pictures, lengths in samples; FFmpeg's parsers' part.

A module a codec, or a family; none of them knows a container. What is not known for certain raises NotKnown:
then FFmpeg is asked. A `look` method takes `data`, the offset `at` in it where the packet begins, and the
packet's `size`; what is not in `data` was not read. It returns -n where the first n bytes of the packet are
needed to tell. For pictures it returns one of OTHER, KEY and BIDIRECTIONAL, for sound the samples of the packet.
"""

from collections.abc import Callable

from memx.formats.video.packets.coding import Coding, NotKnown

Look = Callable[[bytes, int, int], int]
"""See above."""
Read = Callable[[int, int], bytes]
"""So many bytes at an offset, as far as they are there."""
OTHER, KEY, BIDIRECTIONAL = 0, 1, 2
DROPPED = -(1 << 30)
"""What `look` returns for a packet that FFmpeg drops."""

__all__ = ["BIDIRECTIONAL", "DROPPED", "KEY", "OTHER", "Coding", "Look", "NotKnown", "Read", "look_on"]


def look_on(look: Look, read: Read, begin: int, size: int, said: int) -> int:
    """What `look`, which `said` how much it wants, says once it has seen that much of the packet at `begin`.

    DROPPED, or not less than nought: OTHER, or no samples, where the packet does not have as much.
    """
    have = -1  # a packet that turns out to be empty is looked at, too
    while said < 0 and said != DROPPED and -said > have:
        head = read(begin, min(-said, size))
        if len(head) <= have:
            return 0
        have = len(head)
        said = look(head, 0, size)
    return said if said >= 0 or said == DROPPED else 0
