"""H.264: ISO/IEC 14496-10, and its configuration record, ISO/IEC 14496-15, 5.3.3.1."""

from dataclasses import dataclass, field

from memx.formats.video.codecs.bits import Bits, without_emulation
from memx.formats.video.codecs.coding import Coding, NotKnown, Ratio

_WITH_CHROMA = frozenset((100, 110, 122, 244, 44, 83, 86, 118, 128, 138, 144))
"""Profiles whose parameter sets say what the chroma is (7.3.2.1.1)."""
_PROFILES = {
    66: "Baseline",
    77: "Main",
    88: "Extended",
    100: "High",
    110: "High 10",
    122: "High 4:2:2",
    144: "High 4:4:4",
    244: "High 4:4:4 Predictive",
    44: "CAVLC 4:4:4",
    118: "Multiview High",
    128: "Stereo High",
}
SHAPES: tuple[Ratio, ...] = (
    (0, 1),
    (1, 1),
    (12, 11),
    (10, 11),
    (16, 11),
    (40, 33),
    (24, 11),
    (20, 11),
    (32, 11),
    (80, 33),
    (18, 11),
    (15, 11),
    (64, 33),
    (160, 99),
    (4, 3),
    (3, 2),
    (2, 1),
)
"""Sample aspect ratios by `aspect_ratio_idc` (table E-1)."""
_EXTENDED = 255
_MOST_SETS = 32
_SLICE, _IDR, _SEI = 1, 5, 6
_RECOVERY_POINT = 6
_MOST_HEADER = 1 << 12
"""So much of a packet is looked at for its first slice."""


@dataclass(slots=True)
class SequenceParameters:
    """A sequence parameter set (7.3.2.1.1)."""

    profile: int = 0
    constraints: int = 0
    level: int = 0
    chroma: int = 1
    depth: int = 8
    reference_frames: int = 0
    width: int = 0
    height: int = 0
    aspect: Ratio = (0, 1)
    full_range: bool | None = None
    matrix: int = 2
    rate: Ratio = (0, 1)
    reorder: int | None = None
    """`max_num_reorder_frames`; None where it is not said."""
    frames_only: bool = True


@dataclass(slots=True)
class Configuration:
    """An AVCDecoderConfigurationRecord: `nal_length` bytes stand before each NAL unit."""

    nal_length: int
    sequence: SequenceParameters
    single_reference: frozenset[int] = field(default_factory=frozenset)
    """The picture parameter sets under which a P slice refers to one picture by default."""


def configuration(data: bytes) -> Configuration:
    """The record `data`. Raises NotKnown where it has not one sequence parameter set, or one that is not understood."""
    if len(data) < 7 or data[0] != 1:
        raise NotKnown("H.264 without a configuration record")
    nal_length, at = (data[4] & 3) + 1, 5
    if data[at] & 31 != 1:
        raise NotKnown("H.264 with several sequence parameter sets")
    sets, at = _units(data, at + 1, 1)
    pictures, _ = _units(data, at + 1, min(data[at] if at < len(data) else 0, _MOST_SETS))
    single = frozenset(number for unit in pictures for number, alone in [_picture_parameters(unit)] if alone)
    return Configuration(nal_length, sequence_parameters(sets[0]), single)


def _units(data: bytes, at: int, count: int) -> tuple[list[bytes], int]:
    units = []
    for _ in range(count):
        length = int.from_bytes(data[at : at + 2], "big")
        unit = data[at + 2 : at + 2 + length]
        if len(unit) < length or length < 4:
            raise NotKnown("H.264 with a configuration record that ends early")
        units.append(without_emulation(unit))
        at += 2 + length
    return units, at


def sequence_parameters(unit: bytes) -> SequenceParameters:
    """The sequence parameter set in `unit`, a NAL unit without emulation prevention. NotKnown if not understood."""
    bits = Bits(unit[1:])
    found = SequenceParameters(profile=bits.take(8), constraints=bits.take(8), level=bits.take(8))
    bits.unsigned()
    if found.profile in _WITH_CHROMA:
        _chroma(bits, found)
    bits.unsigned()  # log2_max_frame_num_minus4
    _picture_order(bits)
    found.reference_frames = bits.unsigned()
    bits.skip(1)
    width, height = 16 * (bits.unsigned() + 1), 16 * (bits.unsigned() + 1)
    found.frames_only = bool(bits.take(1))
    if not found.frames_only:
        height *= 2
        bits.skip(1)
    bits.skip(1)
    if bits.take(1):
        left, right, top, bottom = (bits.unsigned() for _ in range(4))
        across = 2 if found.chroma in (1, 2) else 1
        down = (2 if found.chroma == 1 else 1) * (1 if found.frames_only else 2)
        width, height = width - (left + right) * across, height - (top + bottom) * down
    if width <= 0 or height <= 0:
        raise NotKnown("H.264 pictures without a size")
    found.width, found.height = width, height
    if bits.take(1):
        _usability(bits, found)
    return found


def _chroma(bits: Bits, found: SequenceParameters) -> None:
    found.chroma = bits.unsigned()
    if found.chroma > 3 or (found.chroma == 3 and bits.take(1)):
        raise NotKnown("H.264 with separate color planes")
    found.depth = bits.unsigned() + 8
    if bits.unsigned() + 8 != found.depth:
        raise NotKnown("H.264 with different depths of luma and chroma")
    bits.skip(1)
    if bits.take(1):
        for number in range(12 if found.chroma == 3 else 8):
            if bits.take(1):
                _scaling_list(bits, 16 if number < 6 else 64)


def _scaling_list(bits: Bits, size: int) -> None:
    last = following = 8
    for _ in range(size):
        if following:
            following = (last + bits.signed()) & 255
        last = following or last


def _picture_order(bits: Bits) -> None:
    kind = bits.unsigned()
    if kind == 0:
        bits.unsigned()
    elif kind == 1:
        bits.skip(1)
        bits.signed()
        bits.signed()
        for _ in range(min(bits.unsigned(), 255)):
            bits.signed()
    elif kind != 2:
        raise NotKnown("H.264 with an unknown picture order")


def _usability(bits: Bits, found: SequenceParameters) -> None:
    """Video usability information (E.1.1)."""
    if bits.take(1):
        shape = bits.take(8)
        if shape == _EXTENDED:
            found.aspect = (bits.take(16), bits.take(16))
        elif shape < len(SHAPES):
            found.aspect = SHAPES[shape]
    if bits.take(1):
        bits.skip(1)
    if bits.take(1):
        bits.skip(3)
        found.full_range = bool(bits.take(1))
        if bits.take(1):
            bits.skip(16)
            found.matrix = bits.take(8)
    if bits.take(1):
        bits.unsigned()
        bits.unsigned()
    if bits.take(1):
        ticks, scale = bits.take(32), bits.take(32)
        if ticks and scale:
            found.rate = (scale, 2 * ticks)
        bits.skip(1)
    timed = [bits.take(1) and _reference_decoder(bits) for _ in range(2)]
    if any(timed):
        bits.skip(1)
    bits.skip(1)
    if bits.left and bits.take(1):
        bits.skip(1)
        for _ in range(4):
            bits.unsigned()
        found.reorder = min(bits.unsigned(), 16)


def _reference_decoder(bits: Bits) -> bool:
    """The parameters of the hypothetical reference decoder (E.1.2)."""
    count = bits.unsigned() + 1
    bits.skip(8)
    for _ in range(min(count, 32)):
        bits.unsigned()
        bits.unsigned()
        bits.skip(1)
    bits.skip(20)
    return True


def _picture_parameters(unit: bytes) -> tuple[int, bool]:
    """Number of a picture parameter set, and whether its P slices refer to one picture by default (7.3.2.2)."""
    bits = Bits(unit[1:])
    number = bits.unsigned()
    bits.unsigned()
    bits.skip(2)
    if bits.unsigned():
        raise NotKnown("H.264 with slice groups")
    return number, bits.unsigned() == 0


def coding(config: Configuration, full_range: bool | None = None) -> Coding:
    """What FFmpeg says of it; `full_range` is the container's word, which counts where the stream has none."""
    said = config.sequence
    return Coding(
        "h264",
        profile=_profile(said),
        level=said.level,
        width=said.width,
        height=said.height,
        pix_fmt=_pix_fmt(said, said.full_range if said.full_range is not None else full_range),
        aspect=said.aspect,
        rate=said.rate,
        delay=said.reorder or 0,
        # pictures of the baseline profile come in the order in which they are shown
        delay_is_certain=said.reorder is not None or said.profile == 66,
        fields=True,
    )


def _profile(said: SequenceParameters) -> str | None:
    name = _PROFILES.get(said.profile)
    if said.profile == 66 and said.constraints & 0x40:
        return "Constrained Baseline"
    if said.profile in (110, 122, 244) and said.constraints & 0x10:
        return {110: "High 10 Intra", 122: "High 4:2:2 Intra", 244: "High 4:4:4 Intra"}[said.profile]
    return name


def _pix_fmt(said: SequenceParameters, full_range: bool | None) -> str:
    if said.depth not in (8, 9, 10, 12, 14):
        raise NotKnown(f"H.264 of {said.depth} bits")
    wide = "" if said.depth == 8 else f"{said.depth}le"
    if said.chroma == 0:
        raise NotKnown("H.264 without color")
    if said.chroma == 3 and said.matrix == 0:
        return "gbrp" + wide
    return f"yuv{'j' if full_range and not wide else ''}{ {1: '420', 2: '422', 3: '444'}[said.chroma] }p{wide}"


class Pictures:
    """Tells of each packet whether it is a key frame, as FFmpeg's parser does: by its NAL units up to a slice."""

    def __init__(self, config: Configuration) -> None:
        self._config = config
        self._one_reference = config.sequence.reference_frames <= 1

    def look(self, data: bytes, at: int, size: int) -> int:
        """0: no key frame, 1: a key frame, 2: a B picture; -n: n bytes of the packet are needed.

        The packet, `size` bytes, begins in `data` at `at`; what is not in `data` was not read.
        """
        length = self._config.nal_length
        start, recovery = 0, False
        while True:
            need = min(size, start + length + 24)
            if at + need > len(data):
                return -need
            unit = start + length
            if unit >= size:
                return 0
            width = int.from_bytes(data[at + start : at + unit], "big")
            if width <= 0 or width > size - unit:
                return 0
            kind = data[at + unit] & 31
            if kind == _IDR:
                return 1
            if kind == _SLICE:
                return self._slice(data[at + unit + 1 : at + need], recovery)
            if kind == _SEI and not recovery:
                end = min(unit + width, start + _MOST_HEADER)
                if at + end > len(data):
                    return -end
                recovery = _has_recovery_point(without_emulation(data[at + unit + 1 : at + end]))
            start = unit + width

    def _slice(self, header: bytes, recovery: bool) -> int:
        """`header`: the beginning of a slice's header (7.3.3)."""
        bits = Bits(without_emulation(header))
        try:
            bits.unsigned()
            kind = bits.unsigned() % 5
            if recovery:
                return 1
            if kind == 2 and self._one_reference and bits.unsigned() in self._config.single_reference:
                return 1  # nothing before it can be needed
        except NotKnown:
            return 0
        return 2 if kind == 1 else 0


def _has_recovery_point(messages: bytes) -> bool:
    """Whether a recovery point is among the messages of a supplemental enhancement NAL unit (7.3.2.3)."""
    at = 0
    while at + 2 < len(messages):
        numbers = []
        for _ in range(2):
            number = 0
            while at < len(messages) and messages[at] == 255:
                number, at = number + 255, at + 1
            if at >= len(messages):
                return False
            numbers.append(number + messages[at])
            at += 1
        if numbers[0] == _RECOVERY_POINT:
            return True
        at += numbers[1]
    return False
