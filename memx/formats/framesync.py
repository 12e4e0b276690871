"""Streams of compressed sound without a container: how long each frame is, read from its header.

Each `*_frame` takes bytes and a position and gives the length of the frame there in bytes with what all frames
of its stream have in common, or `NO_FRAME`.
"""

from collections.abc import Callable

Frame = tuple[int, object]
NO_FRAME: Frame = (0, None)

_LOW = (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160)
_KBITS = (
    (
        tuple(range(32, 449, 32)),
        (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
        (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    ),
    ((32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256), _LOW, _LOW),
)
"""kbit/s by version (1; 2 and 2.5), layer and index less one."""
_AC3_KBITS = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)


def mpeg_frame(data: bytes, at: int) -> Frame:
    """ISO 11172-3, 2.4.1.3 and 2.4.2.3; ISO 13818-3, 2.4.2.3; MPEG 2.5, which no standard names, halves again."""
    word = int.from_bytes(data[at : at + 4], "big")
    version, layer = word >> 19 & 3, 4 - (word >> 17 & 3)
    rate, sampling = word >> 12 & 15, word >> 10 & 3
    if word >> 21 != 0x7FF or version == 1 or layer == 4 or rate in (0, 15) or sampling == 3:
        return NO_FRAME  # a free bit rate (0) leaves the length open
    bits = _KBITS[version != 3][layer - 1][rate - 1] * 1000
    hertz = (44100, 48000, 32000)[sampling] >> {3: 0, 2: 1, 0: 2}[version]
    padding = word >> 9 & 1
    if layer == 1:
        length = (12 * bits // hertz + padding) * 4
    else:
        length = (72 if layer == 3 and version != 3 else 144) * bits // hertz + padding
    return length, (version, layer, sampling)


def adts_frame(data: bytes, at: int) -> Frame:
    """ISO 14496-3, 1.A.3.2: AAC in ADTS."""
    word = int.from_bytes(data[at : at + 7], "big")
    length = word >> 13 & 0x1FFF
    if word >> 44 != 0xFFF or word >> 41 & 3 or (word >> 34 & 15) > 12 or length < 7:
        return NO_FRAME
    return length, (word >> 43 & 1, word >> 30 & 0x3FF)  # version; profile, sampling frequency, channels


def loas_frame(data: bytes, at: int) -> Frame:
    """ISO 14496-3, 1.7.2: AAC in LATM, in the synchronized stream that is called LOAS."""
    word = int.from_bytes(data[at : at + 3], "big")
    return (word & 0x1FFF) + 3 if word >> 13 == 0x2B7 and word & 0x1FFF else 0, None


def ac3_frame(data: bytes, at: int) -> Frame:
    """ETSI TS 102 366, 4.3 and E.1.2: AC-3 and E-AC-3."""
    if data[at : at + 2] != b"\x0b\x77" or len(data) < at + 6:
        return NO_FRAME
    version, sampling, size = data[at + 5] >> 3, data[at + 4] >> 6, data[at + 4] & 63
    if 10 < version <= 16:
        return ((data[at + 2] & 7) << 8 | data[at + 3]) * 2 + 2, sampling
    if version > 16 or sampling == 3 or size > 37:
        return NO_FRAME
    kbits = _AC3_KBITS[size >> 1]
    return 2 * (kbits * 2, kbits * 320 // 147 + (size & 1), kbits * 3)[sampling], sampling


def frames_in_a_row(data: bytes, at: int, frame_at: Callable[[bytes, int], Frame], most: int = 4) -> int:
    """How many frames of one stream follow each other from `at`, `most` at most.

    One whose header is in `data` counts, even if `data` ends before it does.
    """
    length, common = frame_at(data, at)
    count, same = 0, common
    while length and same == common and count < most:
        count += 1
        at += length
        length, same = frame_at(data, at)
    return count


def begins_with_frames(data: bytes) -> bool:
    """Whether `data` begins with two frames in a row (three of LOAS, whose sync word is short)."""
    return frames_in_a_row(data, 0, loas_frame) >= 3 or any(
        frames_in_a_row(data, 0, frame_at) >= 2 for frame_at in (mpeg_frame, adts_frame, ac3_frame)
    )


def holds_frames(data: bytes) -> bool:
    """Whether three frames in a row begin anywhere in `data`."""
    for sync, frame_at in ((b"\xff", mpeg_frame), (b"\xff", adts_frame), (b"\x0b\x77", ac3_frame)):
        at = data.find(sync)
        while at >= 0:
            if frames_in_a_row(data, at, frame_at, most=3) == 3:
                return True
            at = data.find(sync, at + 1)
    return False
