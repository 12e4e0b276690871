"""AAC's AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1), and the layouts of AC-3 (ETSI TS 102 366, 4.4.2.3)."""

from dataclasses import dataclass

from memx.formats.video.codecs.bits import Bits

_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8, 0, 0, 0, 7, 8, 24, 8)
_PROFILES = {1: "Main", 2: "LC", 3: "SSR", 4: "LTP", 23: "LD", 39: "ELD", 42: "xHE-AAC"}
_LC, _SBR, _PS, _ALS = 2, 5, 29, 36
_UNDECODED = frozenset((37, 38))
"""Scalable lossless coding, for which FFmpeg has no decoder."""
LAYOUTS = {1: "mono", 2: "stereo", 3: "3.0", 4: "4.0", 5: "5.0", 6: "5.1", 7: "6.1(back)", 8: "7.1"}
"""FFmpeg's names of the layouts that AAC's channel configurations mean, by their number of channels."""
XIPH_LAYOUTS = LAYOUTS | {4: "quad", 7: "6.1"}
"""Of Opus (RFC 7845, 5.1.1.2) and Vorbis."""
FLAC_LAYOUTS = XIPH_LAYOUTS | {5: "5.0(side)", 6: "5.1(side)"}
ALAC_LAYOUTS = LAYOUTS | {8: "7.1(wide)"}
_ELEMENTS = {
    # single channels (S) and pairs (C) in front, at the sides and at the back; channels of bass
    ("S", "", "", 0): "mono",
    ("C", "", "", 0): "stereo",
    ("C", "", "", 1): "2.1",
    ("C", "", "S", 0): "3.0(back)",
    ("C", "", "C", 0): "quad",
    ("SC", "", "", 0): "3.0",
    ("SC", "", "", 1): "3.1",
    ("SC", "", "S", 0): "4.0",
    ("SC", "", "S", 1): "4.1",
    ("SC", "", "C", 0): "5.0",
    ("SC", "", "C", 1): "5.1",
    ("SC", "", "CS", 0): "hexagonal",
    ("SC", "", "CS", 1): "6.1(back)",
    ("SC", "", "CC", 0): "7.0",
    ("SC", "", "CC", 1): "7.1",
    ("SCC", "", "C", 1): "7.1(wide)",
}
"""FFmpeg's names of layouts by program configuration; it has none for others."""
AC3_LAYOUTS = ("stereo", "mono", "stereo", "3.0", "3.0(back)", "4.0", "quad(side)", "5.0(side)")
AC3_WITH_BASS = ("2.1", None, "2.1", "3.1", None, "4.1", None, "5.1(side)")
AC3_CHANNELS = (2, 1, 2, 3, 3, 4, 4, 5)
AC3_RATES = (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384, 448, 512, 576, 640)
"""Kilobits a second (table F.4.1 of ETSI TS 102 366)."""
LAYOUT_TAGS = {
    100 << 16 | 1: "mono",
    **dict.fromkeys((number << 16 | 2 for number in (101, 102, 104, 105, 106)), "stereo"),
    103 << 16 | 2: "downmix",
    108 << 16 | 4: "quad",
    113 << 16 | 3: "3.0",
    115 << 16 | 4: "4.0",
    117 << 16 | 5: "5.0(side)",
    121 << 16 | 6: "5.1(side)",
    128 << 16 | 8: "7.1",
    131 << 16 | 3: "3.0(back)",
    132 << 16 | 4: "quad(side)",
    133 << 16 | 3: "2.1",
    136 << 16 | 4: "3.1",
    137 << 16 | 5: "4.1",
}
"""Layout tags of Core Audio; FFmpeg has no name for those with their channels in another order than it has."""
LAYOUT_MASKS = {
    0x3: "stereo",
    0x4: "mono",
    0x7: "3.0",
    0xB: "2.1",
    0xF: "3.1",
    0x33: "quad",
    0x37: "5.0",
    0x3F: "5.1",
    0xFF: "7.1(wide)",
    0x103: "3.0(back)",
    0x107: "4.0",
    0x10F: "4.1",
    0x137: "hexagonal",
    0x13F: "6.1(back)",
    0x603: "quad(side)",
    0x607: "5.0(side)",
    0x60F: "5.1(side)",
    0x637: "7.0",
    0x63F: "7.1",
    0x6C3: "6.0(front)",
    0x6C7: "7.0(front)",
    0x6CB: "6.1(front)",
    0x6CF: "7.1(wide-side)",
    0x707: "6.0",
    0x70F: "6.1",
    0x737: "octagonal",
}
"""Loudspeakers in a bit map, as in WAVE files."""


@dataclass(slots=True)
class SoundConfig:
    """What a configuration says; nought or None is not known."""

    object_type: int = 0
    sample_rate: int = 0
    channels: int = 0
    profile: str | None = None
    channel_layout: str | None = None


def aac(config: bytes) -> SoundConfig:
    """What an AudioSpecificConfig says, with the band replication and parametric stereo that it announces."""
    bits = Bits(config[:64])
    kind, rate = _object_type(bits), _rate(bits)
    arrangement = bits.take(4)
    channels = _CHANNELS[arrangement] if arrangement < len(_CHANNELS) else 0
    found = SoundConfig(kind, rate, channels, _PROFILES.get(kind))
    if kind in (_SBR, _PS):
        found.sample_rate = _rate(bits) or rate
        found.object_type = _object_type(bits)
        found.profile = "HE-AACv2" if kind == _PS else "HE-AAC"
        if channels == 1 and (kind == _PS or found.object_type == _LC):
            found.channels = 2  # decoders expect parametric stereo, whether it comes or not
    elif kind == _ALS:
        _lossless(bits, found)
    elif kind in _PROFILES and not arrangement:
        _program(bits, found)
    else:
        _extension(bits, found)
    if found.object_type in _UNDECODED:
        found.channels = 0
    if found.object_type != _ALS and arrangement:
        found.channel_layout = LAYOUTS.get(found.channels)  # FFmpeg takes all of 8 channels for "7.1"
    return found


def _object_type(bits: Bits) -> int:
    kind = bits.take(5)
    return 32 + bits.take(6) if kind == 31 else kind


def _rate(bits: Bits) -> int:
    index = bits.take(4)
    if index == 15:
        return bits.take(24)
    return _RATES[index] if index < len(_RATES) else 0


def _extension(bits: Bits, found: SoundConfig) -> None:
    """The backward compatible announcement behind the configuration of the core (1.6.5)."""
    while bits.left > 15:
        if bits.peek(11) != 0x2B7:
            bits.skip(1)
            continue
        bits.skip(11)
        if _object_type(bits) == _SBR and bits.flag():
            rate = _rate(bits)
            if rate != found.sample_rate:
                found.sample_rate, found.profile = rate or found.sample_rate, "HE-AAC"
                if bits.left > 11 and bits.take(11) == 0x548 and bits.flag():
                    found.profile = "HE-AACv2"
                    found.channels = 2 if found.channels == 1 else found.channels
        return


def _program(bits: Bits, found: SoundConfig) -> None:
    """The channels of a program_config_element (4.4.1.1), behind the GASpecificConfig before it."""
    bits.skip(1)
    if bits.flag():
        bits.skip(14)
    bits.skip(11)
    counts = [bits.take(4), bits.take(4), bits.take(4)]
    bass, _, _ = bits.take(2), bits.take(3), bits.take(4)
    for width in (4, 4, 3):
        if bits.flag():
            bits.skip(width)
    placed = ["".join("SC"[bits.take(5) >> 4] for _ in range(count)) for count in counts]
    bits.skip(4 * bass)
    if not bits.over:
        front, side, back = placed
        found.channels = sum(counts) + "".join(placed).count("C") + bass
        found.channel_layout = _ELEMENTS.get((front, side, back, bass))


def _lossless(bits: Bits, found: SoundConfig) -> None:
    """ALSSpecificConfig (11.3.1): its rate and channels."""
    bits.skip(5)
    if bits.peek(24) != 0x414C53:
        bits.skip(24)
    bits.skip(32)
    found.sample_rate = bits.take(32)
    bits.skip(32)
    found.channels = bits.take(16) + 1
