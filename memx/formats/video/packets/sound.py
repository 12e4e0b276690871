"""Sound codecs whose packets, or whose configuration, are told in a few bytes."""

from memx.formats.video.codecs.bits import Bits
from memx.formats.video.packets import DROPPED
from memx.formats.video.packets.coding import Coding, NotKnown

_AAC_RATES = (96000, 88200, 64000, 48000, 44100, 32000, 24000, 22050, 16000, 12000, 11025, 8000, 7350)
_AAC_LAYOUTS = ("", "mono", "stereo", "3.0", "4.0", "5.0", "5.1", "7.1")
_AAC_CHANNELS = (0, 1, 2, 3, 4, 5, 6, 8)
_AAC_PROFILES = {1: "Main", 2: "LC", 3: "SSR", 4: "LTP"}
_SBR, _ESCAPE = 5, 31
_SYNC_EXTENSION = 0x2B7
_IMPLICIT_SBR_UP_TO = 24000


def aac(data: bytes) -> Coding:
    """AAC by its AudioSpecificConfig (ISO/IEC 14496-3, 1.6.2.1).

    NotKnown where the configuration leaves to the packets what is to be heard: a program configuration, or a
    rate so low that spectral band replication may come unannounced.
    """
    bits = Bits(data)
    kind, rate = _aac_object(bits), _aac_rate(bits)
    channels = bits.take(4)
    if kind not in _AAC_PROFILES or not 1 <= channels < len(_AAC_LAYOUTS):
        raise NotKnown("AAC of an unusual kind")
    short = bits.take(1)
    if bits.take(1):
        bits.skip(14)
    bits.skip(1)
    announced = bits.left >= 16 and bits.take(11) == _SYNC_EXTENSION and _aac_object(bits) == _SBR
    if bits.over or (announced and bits.take(1)) or (not announced and rate <= _IMPLICIT_SBR_UP_TO):
        raise NotKnown("AAC that has, or may have, spectral band replication")
    said = Coding("aac", profile=_AAC_PROFILES[kind], sample_rate=rate, sample_fmt="fltp")
    said.channels, said.layout = _AAC_CHANNELS[channels], _AAC_LAYOUTS[channels]
    said.frame_samples = 960 if short else 1024
    return said


def _aac_object(bits: Bits) -> int:
    kind = bits.take(5)
    return 32 + bits.take(6) if kind == _ESCAPE else kind


def _aac_rate(bits: Bits) -> int:
    index = bits.take(4)
    if index == 15:
        return bits.take(24)
    if index >= len(_AAC_RATES):
        raise NotKnown("AAC of an unknown rate")
    return _AAC_RATES[index]


_XIPH_LAYOUTS = ("", "mono", "stereo", "3.0", "quad", "5.0", "5.1", "6.1", "7.1")
_FLAC_LAYOUTS = ("", "mono", "stereo", "3.0", "quad", "5.0(side)", "5.1(side)", "6.1", "7.1")


def opus(data: bytes, channels: int) -> Coding:
    """Opus by its identification header (RFC 7845, 5.1); `channels` is the container's word."""
    if data[:8] == b"OpusHead" and len(data) >= 19:
        channels, family = data[9], data[18]
        if family > 1 or not 1 <= channels <= 8:
            raise NotKnown("Opus with a channel mapping of its own")
    elif data or not 1 <= channels <= 2:
        raise NotKnown("Opus without a header")
    return Coding("opus", sample_rate=48000, channels=channels, layout=_XIPH_LAYOUTS[channels], sample_fmt="fltp")


_OPUS_FRAMES = (480, 960, 1920, 2880) * 3 + (480, 960) * 2 + (120, 240, 480, 960) * 4
"""Samples of a frame at 48 kHz, by configuration number (RFC 6716, table 2)."""
_OPUS_MOST = 5760


class OpusPackets:
    """How long each packet is, by its first bytes (RFC 6716, 3)."""

    def look(self, data: bytes, at: int, size: int) -> int:
        """Samples at 48 kHz; -n: n bytes of the packet, at `at` in `data`, are needed; or DROPPED."""
        if at >= len(data):
            return -1
        frame, code = _OPUS_FRAMES[data[at] >> 3], data[at] & 3
        if code < 2:
            return frame << code if not code or size & 1 else DROPPED
        if code == 2:
            return 2 * frame if size > 1 else DROPPED
        if size < 2:
            return DROPPED
        if at + 1 >= len(data):
            return -2
        samples = frame * (data[at + 1] & 63)
        return samples if 0 < samples <= _OPUS_MOST else DROPPED


def vorbis(data: bytes) -> "tuple[Coding, VorbisPackets]":
    """Vorbis by its three headers, laced as Xiph does (Vorbis I, 4.2); and how long its packets are."""
    headers = xiph_headers(data)
    first = headers[0]
    if first[:7] != b"\x01vorbis" or len(first) < 30 or headers[2][:7] != b"\x05vorbis":
        raise NotKnown("Vorbis without its headers")
    channels = first[11]
    if not 1 <= channels < len(_XIPH_LAYOUTS):
        raise NotKnown("Vorbis with many channels")
    said = Coding("vorbis", sample_rate=int.from_bytes(first[12:16], "little"), channels=channels)
    said.layout, said.sample_fmt = _XIPH_LAYOUTS[channels], "fltp"
    blocks = (1 << (first[28] & 15), 1 << (first[28] >> 4))
    return said, VorbisPackets(blocks, _vorbis_modes(headers[2]))


def xiph_headers(data: bytes) -> list[bytes]:
    """Three headers in one: their count less one, the lengths of the first two, then all (Matroska, A_VORBIS)."""
    if data[:1] != b"\x02":
        raise NotKnown("headers that are not laced as Xiph does")
    lengths, at = [], 1
    for _ in range(2):
        length = 0
        while at < len(data) and data[at] == 255:
            length, at = length + 255, at + 1
        length += data[at] if at < len(data) else 0
        lengths.append(length)
        at += 1
    second, third = at + lengths[0], at + sum(lengths)
    if third >= len(data):
        raise NotKnown("headers that end early")
    return [data[at:second], data[second:third], data[third:]]


def _vorbis_modes(setup: bytes) -> list[int]:
    """The block size (0 or 1) of each mode; they stand last in the setup header, and are found from its end.

    A mode is 41 bits: block flag, window type and transform type of nought, mapping (4.2.4); their count stands
    before them in 6 bits.
    """
    value, left = int.from_bytes(setup, "little"), 8 * len(setup)
    left = value.bit_length() - 1  # the framing bit is the last that is set
    flags: list[int] = []
    found: list[int] = []
    while left >= 97 and len(flags) < 64:
        mapping = value >> left - 8 & 255
        if mapping > 63 or value >> left - 40 & 0xFFFFFFFF:
            break
        flags.append(value >> left - 41 & 1)
        left -= 41
        if (value >> left - 6 & 63) + 1 == len(flags):
            found = flags[::-1]
    if not found or len(found) > 63:
        raise NotKnown("Vorbis with modes that are not found")
    return found


class VorbisPackets:
    """How long each packet is: half of its block and half of the one before overlap (Vorbis I, 4.3.8)."""

    def __init__(self, blocks: tuple[int, int], modes: list[int]) -> None:
        self._blocks = blocks
        self._before = blocks[modes[0]]
        self._modes = modes
        self._mask = (1 << (len(modes) - 1).bit_length()) - 1 << 1 if len(modes) > 1 else 0
        self._flag = (self._mask | 1) + 1
        self._last = 0

    def look(self, data: bytes, at: int, size: int) -> int:
        """Samples; -n: n bytes of the packet, at `at` in `data`, are needed."""
        if not size:
            return self._last
        if at >= len(data):
            return -1
        first = data[at]
        mode = (first & self._mask) >> 1
        if first & 1 or mode >= len(self._modes):
            return self._last
        before = self._before
        if self._modes[mode]:
            before = self._blocks[bool(first & self._flag)]
        self._before = self._blocks[self._modes[mode]]
        self._last = (before + self._before) >> 2
        return self._last


def flac(data: bytes) -> Coding:
    """FLAC by its first metadata block (RFC 9639, 8.2)."""
    if data[:4] != b"fLaC" or len(data) < 42 or data[4] & 127:
        raise NotKnown("FLAC without stream information")
    if b"WAVEFORMATEXTENSIBLE_CHANNEL_MASK" in data.upper():
        raise NotKnown("FLAC with a channel mask")
    packed = int.from_bytes(data[18:26], "big")
    rate, channels, depth = packed >> 44, (packed >> 41 & 7) + 1, (packed >> 36 & 31) + 1
    said = Coding("flac", sample_rate=rate, channels=channels, layout=_FLAC_LAYOUTS[channels], intra_only=True)
    said.sample_fmt = "s32" if depth > 16 else "s16"
    if not rate or depth < 4:
        raise NotKnown("FLAC without a rate")
    return said


_FLAC_BLOCKS = (0, 192, 576, 1152, 2304, 4608, 0, 0, 256, 512, 1024, 2048, 4096, 8192, 16384, 32768)


class FlacPackets:
    """How long each packet is, by its frame header (RFC 9639, 9.1)."""

    def __init__(self) -> None:
        self._last = 0

    def look(self, data: bytes, at: int, size: int) -> int:
        """Samples; -n: n bytes of the packet, at `at` in `data`, are needed."""
        if size < 5:
            return self._last
        if at + 5 > len(data):
            return -5
        code = data[at + 2] >> 4
        if data[at] != 0xFF or data[at + 1] & 0xFE != 0xF8 or code == 0:
            return self._last
        if code not in (6, 7):
            self._last = _FLAC_BLOCKS[code]
            return self._last
        # the number of the frame, coded like UTF-8, stands before the size
        first = data[at + 4]
        size_at = at + 4 + (1 if first < 0x80 else 8 - (~first & 255).bit_length())
        end = size_at + (1 if code == 6 else 2)
        if end > len(data):
            return -(end - at) if end - at <= size else self._last
        self._last = int.from_bytes(data[size_at:end], "big") + 1
        return self._last


def alac(cookie: bytes, rate: int) -> Coding:
    """Apple Lossless by its magic cookie ("Apple Lossless Format Description"); `rate` is the container's word."""
    if len(cookie) < 24 or not 1 <= cookie[9] <= 2 or cookie[5] not in (16, 20, 24, 32):
        raise NotKnown("Apple Lossless with an unusual cookie")
    said = Coding("alac", sample_rate=rate, channels=cookie[9], layout=("mono", "stereo")[cookie[9] - 1])
    said.sample_fmt, said.intra_only = "s16p" if cookie[5] == 16 else "s32p", True
    return said
