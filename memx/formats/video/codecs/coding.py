"""What is known of a stream's codec."""

from dataclasses import dataclass

Ratio = tuple[int, int]
"""Numerator and denominator; (0, 1) is not known."""


class NotKnown(Exception):  # noqa: N818 - a direction, not an error
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
    rate: Ratio = (0, 1)
    """Frames a second, as the bit stream says."""
    delay: int = 0
    """How many pictures are held back so that they come in the order in which they are shown."""
    delay_is_certain: bool = True
    """Whether the bit stream says what `delay` is; else FFmpeg watches the first pictures."""
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
