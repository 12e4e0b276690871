"""What the first bytes of packets say: key frames, kinds of pictures, lengths in samples; FFmpeg's parsers' part.

A module a codec, or a family; none of them knows a container. What is not known for certain raises NotKnown:
then FFmpeg is asked. A `look` method takes `data`, the offset `at` in it where the packet begins, and the
packet's `size`; what is not in `data` was not read. It returns -n where the first n bytes of the packet are
needed to tell. For pictures it returns one of OTHER, KEY and BIDIRECTIONAL, for sound the samples of the packet.
"""

from memx.formats.video.packets.coding import Coding, NotKnown

OTHER, KEY, BIDIRECTIONAL = 0, 1, 2
DROPPED = -(1 << 30)
"""What `look` returns for a packet that FFmpeg drops."""

__all__ = ["BIDIRECTIONAL", "DROPPED", "KEY", "OTHER", "Coding", "NotKnown"]
