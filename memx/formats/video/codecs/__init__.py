"""What a codec's configuration and the beginnings of its packets say, in FFmpeg's words.

A module a codec, or a family; none of them knows a container. A `Coding` holds what the `stream` record shows
and what the times of packets hang on. What is not known for certain raises NotKnown: then FFmpeg is asked.
"""

from memx.formats.video.codecs.coding import Coding, NotKnown

__all__ = ["Coding", "NotKnown"]
