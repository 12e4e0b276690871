"""What is known of a stream's codec."""

from dataclasses import dataclass
from fractions import Fraction

from memx.formats.video.codecs.picture import PictureFormat

Ratio = tuple[int, int]
"""Numerator and denominator; (0, 1) is not known."""


class NotKnown(Exception):
    """A construct of which this reader cannot say what FFmpeg makes of it: the message names it."""


@dataclass(slots=True)
class Coding:
    """A codec and its parameters, named as FFmpeg names them; None or 0 where they are not known or do not apply."""

    name: str | None
    profile: str | None = None
    level: int | None = None
    bit_rate: int | None = None

    width: int = 0
    height: int = 0
    pix_fmt: str | None = None
    aspect: Ratio = (0, 1)
    """The shape of a sample, as the bit stream says."""
    rate: Fraction | None = None
    """Frames a second, as the bit stream says."""
    delay: int = 0
    """How many pictures are held back so that they come in the order in which they are shown."""
    fields: bool = False
    """Whether pictures may be coded as two fields, so that times count fields."""
    intra_only: bool = False
    """Whether every packet stands alone, whatever its container says."""

    sample_rate: int = 0
    channels: int = 0
    layout: str | None = None
    sample_fmt: str | None = None
    frame_samples: int = 0
    """Samples a packet, where that is always the same."""

    @classmethod
    def of(cls, name: str, found: PictureFormat | None, **more: bool) -> "Coding":
        """What `found` says of pictures. Raises NotKnown where nothing was found, or no format of pixels."""
        if found is None or found.pix_fmt is None:
            raise NotKnown(f"{name} without a configuration that is understood")
        said = cls(name, found.profile, found.level, None, found.width, found.height, found.pix_fmt, found.aspect)
        said.rate, said.delay = found.frame_rate, found.reorder or 0
        for key, value in more.items():
            setattr(said, key, value)
        return said
