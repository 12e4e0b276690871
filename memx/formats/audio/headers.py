"""Where the samples of uncompressed sound lie, and of what kind they are, as the headers of a file say it.

What is rare, contradicts itself or is not known is left to the libraries: then there is no answer.
"""

import struct
from collections.abc import Callable
from dataclasses import dataclass

from memx.formats.audio.chunks import Chunk, chunks
from memx.sources import Source

_MOST_CHANNELS = 256
_HIGHEST_RATE = 1 << 31
_SUBTYPE = bytes.fromhex("000000001000800000aa00389b71")
"""What follows the format tag in the GUID of a WAVE format (KSDATAFORMAT_SUBTYPE, ksmedia.h)."""
_LEFT_TO_LIBRARIES = frozenset((b"id3 ", b"ID3 ", b"info", b"CHAN", b"\xbc\x94\x5f\x92"))
"""Chunks with tags or loudspeakers that FFmpeg knows to read; the last is the list of a Wave64 file."""


@dataclass(frozen=True, slots=True)
class Pcm:
    """Samples of `kind`, NumPy's type or `alaw`, `mulaw`, `<i3` or `>i3`, channel by channel in turn.

    `offset` and `length` are in bytes; the length is that of the whole samples that are there.
    """

    container: str
    kind: str
    sample_rate: int
    channels: int
    offset: int
    length: int

    @property
    def width(self) -> int:
        """Bytes of one sample of all channels."""
        return self.bits // 8 * self.channels

    @property
    def bits(self) -> int:
        """Bits of one sample of one channel."""
        return 8 if self.kind.endswith("law") else 8 * int(self.kind[-1])

    @property
    def codec(self) -> str:
        """FFmpeg's name."""
        if self.kind.endswith("law"):
            return f"pcm_{self.kind}"
        order = "" if self.bits == 8 else "be" if self.kind[0] == ">" else "le"
        return f"pcm_{'s' if self.kind[1] == 'i' else self.kind[1]}{self.bits}{order}"


def find_pcm(source: Source) -> Pcm | None:
    """Where the uncompressed samples of a WAVE, Wave64, AIFF, AU or CAF file lie; None for what is not such."""
    head = source.read_at(0, 40)
    if head[:4] == b".snd":
        return _sun_audio(source)
    reader = _READERS.get((head[:4], head[8:12] if head[:4] not in (b"riff", b"caff") else b""))
    if reader is None:
        return None
    found: dict[bytes, Chunk] = {}
    for chunk in chunks(source):
        if chunk.kind in _LEFT_TO_LIBRARIES or (chunk.kind in found and chunk.kind in _ONCE):
            return None
        found[chunk.kind] = chunk
    pcm = reader(source, head, found)
    sound = pcm is not None and 0 < pcm.channels <= _MOST_CHANNELS and 0 < pcm.sample_rate < _HIGHEST_RATE
    return pcm if sound else None


_ONCE = frozenset((b"fmt ", b"data", b"COMM", b"SSND", b"desc"))


def _wave(source: Source, head: bytes, found: dict[bytes, Chunk]) -> Pcm | None:
    """Multimedia Programming Interface and Data Specifications 1.0; WAVEFORMATEXTENSIBLE (mmreg.h); Wave64."""
    fmt, data = found.get(b"fmt "), found.get(b"data")
    if fmt is None or data is None or fmt.offset > data.offset or fmt.size < 16:
        return None
    order = ">" if head[:4] == b"RIFX" else "<"
    body = source.read_at(fmt.offset, min(fmt.size, 40))
    if len(body) < 16:
        return None
    tag, channels, rate, _, align, bits = struct.unpack_from(order + "HHIIHH", body)
    if tag == 0xFFFE:
        if order == ">" or len(body) < 40 or body[26:40] != _SUBTYPE or body[18:20] != body[14:16]:
            return None
        tag = int.from_bytes(body[24:26], "little")
    kind = _WAVE_KINDS.get((tag, bits))
    if kind is None or align != channels * bits // 8 or (head[:4] == b"riff" and channels > 2):
        return None
    kind = kind.replace("<", order)
    if not data.size and int.from_bytes(head[4:8], "little" if order == "<" else "big") == 8:
        data = Chunk(data.kind, data.offset, source.size or 0)  # a recorder that never came to say how much it wrote
    return _bounded("w64" if head[:4] == b"riff" else "wav", kind, rate, channels, source, data)


_WAVE_KINDS = {
    (1, 8): "|u1",
    (1, 16): "<i2",
    (1, 24): "<i3",
    (1, 32): "<i4",
    (3, 32): "<f4",
    (3, 64): "<f8",
    (6, 8): "alaw",
    (7, 8): "mulaw",
}
"""By the format tag (RFC 2361) and the bits of a sample."""


def _aiff(source: Source, head: bytes, found: dict[bytes, Chunk]) -> Pcm | None:
    """Audio Interchange File Format 1.3, and AIFF-C (draft of 1991)."""
    common, data = found.get(b"COMM"), found.get(b"SSND")
    body = b"" if common is None else source.read_at(common.offset, min(common.size, 22))
    if data is None or data.size < 8 or len(body) < 18 or found.keys() & _AIFF_TEXTS:
        return None
    channels, samples, bits = struct.unpack_from(">HIH", body)
    rate = _extended(body[8:18])
    compressed = body[18:22] if head[8:12] == b"AIFC" else b"NONE"
    kind = _AIFF_KINDS.get(compressed) or _AIFF_SIZES.get((compressed, bits))
    skipped = int.from_bytes(source.read_at(data.offset, 4), "big")
    if kind is None or rate is None or channels > 2 or skipped:
        return None
    pcm = _bounded("aiff", kind, rate, channels, source, Chunk(data.kind, data.offset + 8, data.size - 8))
    if pcm is None or bits not in (pcm.bits, 16):
        return None
    whole = data.offset + data.size <= (source.size or 0)
    return None if whole and pcm.length != samples * pcm.width else pcm


_AIFF_KINDS = {
    b"fl32": ">f4",
    b"FL32": ">f4",
    b"fl64": ">f8",
    b"FL64": ">f8",
    b"ulaw": "mulaw",
    b"ULAW": "mulaw",
    b"alaw": "alaw",
    b"ALAW": "alaw",
    b"in24": ">i3",
    b"in32": ">i4",
}
_AIFF_SIZES = {
    **{(kind, 8): "|i1" for kind in (b"NONE", b"twos")},
    **{(kind, 8 * width): f">i{width}" for kind in (b"NONE", b"twos") for width in (2, 3, 4)},
    **{(b"sowt", 8 * width): f"<i{width}" for width in (2, 3, 4)},
}
_AIFF_TEXTS = frozenset((b"NAME", b"AUTH", b"(c) ", b"ANNO", b"COMT"))


def _extended(raw: bytes) -> int | None:
    """A positive whole number in the 80 bits of IEEE 754's extended precision; None for any other."""
    exponent, mantissa = struct.unpack(">HQ", raw)
    shift = 16383 + 63 - exponent
    if not 0 <= shift < 64 or mantissa & ((1 << shift) - 1):
        return None
    return int(mantissa >> shift)


def _core_audio(source: Source, _head: bytes, found: dict[bytes, Chunk]) -> Pcm | None:
    """Apple Core Audio Format Specification 1.0: linear PCM."""
    description, data = found.get(b"desc"), found.get(b"data")
    body = b"" if description is None else source.read_at(description.offset, 32)
    if data is None or len(body) < 32 or body[8:12] != b"lpcm" or data.size < 4:
        return None
    rate, flags, packet, frames, channels, bits = struct.unpack_from(">d4xIIIII", body)
    number, order = "f" if flags & 1 else "i", "<" if flags & 2 else ">"
    kind = f"|{number}1" if bits == 8 else f"{order}{number}{bits // 8}"
    if kind not in _CAF_KINDS or bits % 8 or frames != 1 or packet != channels * bits // 8 or channels > 2:
        return None
    layout = found.get(b"chan")
    if layout is not None and source.read_at(layout.offset, 4) != (b"\0\x64\0\x01", b"\0\x65\0\x02")[channels - 1]:
        return None  # kAudioChannelLayoutTag_Mono and _Stereo alone are what anybody would assume
    if flags > 3 or not rate.is_integer() or not 0 < rate < _HIGHEST_RATE:
        return None
    return _bounded("caf", kind, int(rate), channels, source, Chunk(data.kind, data.offset + 4, data.size - 4))


_CAF_KINDS = frozenset(("|i1", *(order + kind for order in "<>" for kind in ("i2", "i3", "i4", "f4", "f8"))))


def _sun_audio(source: Source) -> Pcm | None:
    """The audio file format of NeXT and Sun (audio_filehdr.h)."""
    header = source.read_at(0, 24)
    if len(header) < 24:
        return None
    begin, length, encoding, rate, channels = struct.unpack_from(">5I", header, 4)
    kind = _SUN_KINDS.get(encoding)
    if kind is None or begin < 24 or not 0 < channels <= 2 or not 0 < rate < _HIGHEST_RATE:
        return None
    if b"=" in source.read_at(24, min(begin - 24, 1 << 16)):  # an annotation with tags
        return None
    return _bounded("au", kind, rate, channels, source, Chunk(b"data", begin, length))


_SUN_KINDS = {1: "mulaw", 2: "|i1", 3: ">i2", 4: ">i3", 5: ">i4", 6: ">f4", 7: ">f8", 27: "alaw"}


def _bounded(container: str, kind: str, rate: int, channels: int, source: Source, data: Chunk) -> Pcm | None:
    """The whole samples of `data` that are there."""
    there = max(0, (source.size or 0) - data.offset)
    pcm = Pcm(container, kind, rate, channels, data.offset, min(data.size, there))
    if not pcm.width:
        return None
    return Pcm(container, kind, rate, channels, data.offset, pcm.length - pcm.length % pcm.width)


_READERS: dict[tuple[bytes, bytes], Callable[[Source, bytes, dict[bytes, Chunk]], Pcm | None]] = {
    **{(form, b"WAVE"): _wave for form in (b"RIFF", b"RIFX", b"RF64", b"BW64")},
    **{(b"FORM", kind): _aiff for kind in (b"AIFF", b"AIFC")},
    (b"riff", b""): _wave,
    (b"caff", b""): _core_audio,
}
