"""What is known of the pictures of a stream, whatever the codec."""

from dataclasses import dataclass
from fractions import Fraction


@dataclass(slots=True)
class PictureFormat:
    """None, or nought, is not known. `pix_fmt` and `profile` are FFmpeg's names."""

    width: int = 0
    height: int = 0
    pix_fmt: str | None = None
    profile: str | None = None
    level: int | None = None
    aspect: tuple[int, int] = (0, 1)
    """The shape of a pixel."""
    frame_rate: Fraction | None = None
    crop_begins: bool = False
    """Whether rows above or columns to the left are cut off."""
    coded_width: int = 0
    """Before what the stream itself says to be cut off, as is `coded_height`."""
    coded_height: int = 0
    reorder: int | None = None
    """How many pictures may stand before one that is shown before them; None where the stream does not say."""
    references: int = 0
    """How many pictures others may refer to, in H.264."""
    bit_rate: int = 0
    """Bits a second, where the codec has always as many."""


def yuv(chroma: int, depth: int, *, full_range: bool = False, rgb: bool = False) -> str | None:
    """FFmpeg's name of a planar format; `chroma` is chroma_format_idc: 0 grey, 1 4:2:0, 2 4:2:2, 3 4:4:4."""
    order = "le" if depth > 8 else ""
    bits = str(depth) if depth > 8 else ""
    if chroma == 0:
        return f"gray{bits}{order}" if depth in (8, 10, 12) else None
    if depth not in (8, 9, 10, 12, 14):
        return None
    if rgb and chroma == 3:
        return f"gbrp{bits}{order}"
    name = {1: "420", 2: "422", 3: "444"}[chroma]
    return f"yuvj{name}p" if full_range and depth == 8 else f"yuv{name}p{bits}{order}"


ASPECTS = (
    (0, 1), (1, 1), (12, 11), (10, 11), (16, 11), (40, 33), (24, 11), (20, 11), (32, 11),
    (80, 33), (18, 11), (15, 11), (64, 33), (160, 99), (4, 3), (3, 2), (2, 1),
)  # fmt: skip
"""aspect_ratio_idc (ITU-T H.264, table E-1; H.265, table E.1; H.273)."""
