"""Codecs made for editing: the formats of their pictures, from the first bytes of one.

DV: IEC 61834-2 and SMPTE ST 314, ST 370; VC-3 (DNxHD, DNxHR): SMPTE ST 2019-1; ProRes: SMPTE RDD 36.
"""

import struct
from typing import NamedTuple

from memx.formats.video.codecs.picture import PictureFormat
from memx.formats.video.packets.coding import NotKnown

DV_HEAD, VC3_HEAD, PRORES_HEAD = 480, 0x16E, 32
"""So many first bytes of a picture are looked at."""
_VC3_PREFIXES = (b"\0\0\2\x80\1", b"\0\0\2\x80\2")
_VC3_RESOLUTION_INDEPENDENT = 3
_VC3_DEPTHS = {1: 8, 2: 10, 3: 12}
_VC3_PROFILES = {1270: "DNXHR 444", 1271: "DNXHR HQX", 1272: "DNXHR HQ", 1273: "DNXHR SQ", 1274: "DNXHR LB"}
_VIDEO_CONTROL = 0x61
"""The pack that tells the shape of pictures (IEC 61834-4)."""


class _System(NamedTuple):
    width: int
    height: int
    pix_fmt: str
    narrow: tuple[int, int]
    """The shape of a sample of pictures of 4:3, then of 16:9."""
    wide: tuple[int, int]

    bit_rate: int


_525, _625, _750 = ((8, 9), (32, 27)), ((16, 15), (64, 45)), ((1, 1), (4, 3))
_SYSTEMS = {
    # whether there are 50 fields a second, and the type of the signal
    (0, 0x00): _System(720, 480, "yuv411p", *_525, 28771229),
    (1, 0x00): _System(720, 576, "yuv420p", *_625, 28800000),
    (0, 0x04): _System(720, 480, "yuv422p", *_525, 57542458),
    (1, 0x04): _System(720, 576, "yuv422p", *_625, 57600000),
    (0, 0x14): _System(1280, 1080, "yuv422p", (1, 1), (3, 2), 115084915),
    (1, 0x14): _System(1440, 1080, "yuv422p", *_750, 115200000),
    (0, 0x18): _System(960, 720, "yuv422p", *_750, 115084915),
    (1, 0x18): _System(960, 720, "yuv422p", *_750, 115200000),
}


def dv(data: bytes) -> PictureFormat | None:
    """The format of a DV picture that begins with `data`. NotKnown for a system that FFmpeg may know."""
    if len(data) < DV_HEAD or data[0] >> 5:
        return None
    system = _SYSTEMS.get((data[3] >> 7, data[451] & 31))
    if system is None:
        raise NotKnown("DV of an unusual system")
    application = data[4] & 7
    found = PictureFormat(system.width, system.height, system.pix_fmt, bit_rate=system.bit_rate)
    if data[3] >> 7 and not data[451] & 31 and application:
        found.pix_fmt = "yuv411p"
    if data[453] == _VIDEO_CONTROL:
        shape = data[455] & 7
        wide = shape == 2 or (not application and shape == 7)
        found.aspect = system.wide if wide else system.narrow
    return found


def vc3(data: bytes) -> PictureFormat | None:
    """The format of a VC-3 picture that begins with `data`. NotKnown where only all of the picture tells."""
    independent = data[:2] == b"\0\0" and data[4:5] == bytes((_VC3_RESOLUTION_INDEPENDENT,))
    if len(data) < VC3_HEAD or not (independent or data[:5] in _VC3_PREFIXES):
        return None
    depth, compression = _VC3_DEPTHS.get(data[0x21] >> 5), int.from_bytes(data[0x28:0x2C], "big")
    full_chroma, transformed = data[0x2C] >> 6 & 1, data[0x2C] & 7
    if depth is None or (full_chroma and (transformed or depth == 8)):
        raise NotKnown("VC-3 of an unusual format")
    height, width = struct.unpack(">HH", data[0x18:0x1C])
    if data[5] & 2 and (height + 15) >> 4 == int.from_bytes(data[0x16C:0x16E], "big"):
        height *= 2  # of a field
    name = "yuv444p" if full_chroma else "yuv422p"
    return PictureFormat(
        width, height, name if depth == 8 else f"{name}{depth}le", _VC3_PROFILES.get(compression, "DNXHD")
    )


def prores(data: bytes, depth: int) -> PictureFormat:
    """The format of a ProRes picture that begins with `data` (6.1.1), `depth` being that of its profile's samples."""
    if len(data) < PRORES_HEAD or data[4:8] != b"icpf":
        return PictureFormat()
    chroma, alpha = "444" if data[20] >> 6 == 3 else "422", "a" if data[25] & 15 else ""
    return PictureFormat(pix_fmt=f"yuv{alpha}{chroma}p{depth}le")
