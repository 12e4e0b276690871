"""VP8 (RFC 6386) and VP9 (VP9 Bitstream & Decoding Process Specification 0.6)."""

from memx.formats.video.codecs.bits import Bits
from memx.formats.video.codecs.picture import yuv
from memx.formats.video.packets.coding import Coding, NotKnown

VP9_HEADER = 32
"""Bytes of a VP9 key frame that tell its format and size."""
_RGB = 7  # color_space
_SYNC = 0x498342


def vp8() -> Coding:
    """VP8 has one kind of samples."""
    return Coding("vp8", pix_fmt="yuv420p")


class Vp8Pictures:
    """Tells key frames by the first byte of each packet (RFC 6386, 9.1)."""

    def __init__(self) -> None:
        self._last = 1

    def look(self, data: bytes, at: int, size: int) -> int:
        """0: no key frame, 1: a key frame; -n: n bytes of the packet, at `at` in `data`, are needed."""
        if size < 3:
            return self._last
        if at >= len(data):
            return -1
        if data[at] >> 1 & 7 <= 3:
            self._last = ~data[at] & 1
        return self._last


def vp9(data: bytes) -> Coding:
    """The format of a stream whose first packet begins with `data` (6.2). NotKnown where that is no key frame."""
    bits = Bits(data[:VP9_HEADER])
    if bits.take(2) != 2:
        raise NotKnown("VP9 without a frame marker")
    profile = bits.take(1) | bits.take(1) << 1
    if profile == 3 and bits.take(1):
        raise NotKnown("VP9 of an unknown profile")
    if bits.take(1) or bits.take(1):
        raise NotKnown("VP9 that does not begin with a key frame")
    bits.skip(2)
    if bits.take(24) != _SYNC:
        raise NotKnown("VP9 without a sync code")
    depth = (12 if bits.take(1) else 10) if profile >= 2 else 8
    said = Coding("vp9", profile=f"Profile {profile}", pix_fmt=_vp9_pixels(bits, profile, depth))
    said.width, said.height = bits.take(16) + 1, bits.take(16) + 1
    if bits.over:
        raise NotKnown("VP9 whose first packet ends early")
    return said


def _vp9_pixels(bits: Bits, profile: int, depth: int) -> str:
    """color_config, 6.2.2."""
    if bits.take(3) == _RGB:
        if not profile & 1:
            raise NotKnown("VP9 with RGB in a profile that has none")
        bits.skip(1)
        chroma, rgb = 3, True
    else:
        bits.skip(1)
        across, down = (bits.take(1), bits.take(1)) if profile & 1 else (1, 1)
        if profile & 1:
            bits.skip(1)
            if down:
                raise NotKnown("VP9 with samples of an unusual shape")
        chroma, rgb = (1 if down else 2 if across else 3), False
    name = yuv(chroma, depth, rgb=rgb)
    assert name is not None  # the depths are known ones
    return name


class Vp9Pictures:
    """Tells key frames by the first byte of each packet (6.2)."""

    def __init__(self) -> None:
        self._last = 1

    def look(self, data: bytes, at: int, size: int) -> int:
        """0: no key frame, 1: a key frame; -n: n bytes of the packet, at `at` in `data`, are needed."""
        if at >= len(data):
            return -1
        first = data[at]
        if first & 0x30 == 0x30:  # profile 3 has a bit more
            if first & 8:
                return self._last
            first <<= 1
        # shown again, or else not a key frame
        self._last = 0 if first & 8 or first & 4 else 1
        return self._last
