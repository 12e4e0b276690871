"""JPEG, PNG and BMP pictures: their size and format, from their first bytes.

ISO/IEC 10918-1, B.2; JFIF 1.02; PNG (W3C), 11.2.2 and 11.3.5.3.
"""

import struct

from memx.formats.video.codecs.picture import PictureFormat

HEAD = 1 << 16
"""So many first bytes of a picture are looked at."""
_JPEG_PROFILES = {0xC0: "Baseline", 0xC1: "Sequential", 0xC2: "Progressive", 0xC3: "Lossless", 0xF7: "JPEG-LS"}
_SAMPLINGS = {
    (0x11,): "gray",
    (0x22, 0x11, 0x11): "yuvj420p",
    (0x21, 0x11, 0x11): "yuvj422p",
    (0x12, 0x11, 0x11): "yuvj440p",
    (0x11, 0x11, 0x11): "yuvj444p",
    (0x41, 0x11, 0x11): "yuvj411p",
    (0x22, 0x21, 0x21): "yuvj440p",
    (0x22, 0x12, 0x12): "yuvj422p",
    (0x12, 0x12, 0x12): "yuvj444p",
    (0x21, 0x21, 0x21): "yuvj444p",
    (0x22, 0x22, 0x22): "yuvj444p",
}
_PNG_FORMATS = {
    (1, 0): "monob", (8, 0): "gray", (16, 0): "gray16be", (8, 2): "rgb24", (16, 2): "rgb48be",
    (8, 4): "ya8", (16, 4): "ya16be", (8, 6): "rgba", (16, 6): "rgba64be",
}  # fmt: skip


def jpeg(data: bytes) -> PictureFormat | None:
    """The format of a JPEG picture; None where its frame header is not in `data`, or is of a rare kind."""
    found, at, narrow = PictureFormat(), 2, False
    if data[:2] != b"\xff\xd8":
        return None
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFF:
            at += 1
            continue
        if marker == 0xE0 and data[at + 4 : at + 9] == b"JFIF\0" and at + 16 <= len(data):
            found.aspect = struct.unpack(">HH", data[at + 12 : at + 16])
        elif marker == 0xFE and data[at + 4 : at + 13] == b"CS=ITU601":
            narrow = True
        elif marker in (0xC0, 0xC1, 0xC2):
            return _frame(data[at + 2 : at + 2 + length], marker, found, narrow=narrow)
        at += 2 + length
    return None


def _frame(header: bytes, marker: int, found: PictureFormat, *, narrow: bool) -> PictureFormat | None:
    """A frame header (B.2.2); a comment may have said that samples are those of ITU-R BT.601, of a narrow range."""
    if len(header) < 8 or len(header) < 8 + 3 * header[7] or header[2] != 8:
        return None
    found.height, found.width = struct.unpack(">HH", header[3:7])
    samplings = tuple(header[9 + 3 * number] for number in range(header[7]))
    name = _SAMPLINGS.get(samplings if len(samplings) > 1 else (0x11,))
    found.pix_fmt = name.replace("yuvj", "yuv") if name and narrow else name
    found.profile = _JPEG_PROFILES[marker]
    return found if found.pix_fmt else None


def png(data: bytes) -> PictureFormat | None:
    """The format of a PNG picture; None where `data` begins none, or one of a rare kind."""
    if data[:8] != b"\x89PNG\r\n\x1a\n" or data[12:16] != b"IHDR" or len(data) < 33:
        return None
    width, height, depth, colour = struct.unpack(">IIBB", data[16:26])
    name = "pal8" if colour == 3 else _PNG_FORMATS.get((depth, colour))
    found = PictureFormat(width=width, height=height, pix_fmt=name)
    at = 33
    while at + 12 <= len(data) and data[at + 4 : at + 8] not in (b"IDAT", b"IEND"):
        length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
        if kind == b"pHYs" and at + 16 <= len(data):
            found.aspect = struct.unpack(">II", data[at + 8 : at + 16])
        elif kind == b"tRNS" and name == "rgb24":
            found.pix_fmt = "rgba"
        at += 12 + length
    return found


def bmp(data: bytes) -> PictureFormat | None:
    """The format of a BMP picture with a BITMAPINFOHEADER; None for others, and for those with fewer than 8 bits."""
    if data[:2] != b"BM" or len(data) < 66:
        return None
    width, height, _, depth, compression = struct.unpack("<iiHHI", data[18:34])
    name = {8: "pal8", 16: "rgb555le", 24: "bgr24", 32: "bgr0"}.get(depth)
    if depth == 16 and compression == 3 and data[54:58] == b"\0\xf8\0\0":
        name = "rgb565le"
    return None if name is None else PictureFormat(width=width, height=abs(height), pix_fmt=name)
