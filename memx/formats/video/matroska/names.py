"""Codec identifiers of Matroska, and what is made of each: RFC 9559, 14, and "Matroska Codec Specifications"."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from memx.formats.video.codecs import hevc, still
from memx.formats.video.matroska.encodings import Encoding
from memx.formats.video.packets import Coding, NotKnown, ac3, av1, dts, h264, mpeg4, mpeg12, mpegaudio, sound, vpx

_NAMES = (
    # the first that a CodecID begins with; what follows is looked at for some
    ("A_AAC", "aac"),
    ("A_AC3", "ac3"),
    ("A_ALAC", "alac"),
    ("A_DTS", "dts"),
    ("A_EAC3", "eac3"),
    ("A_FLAC", "flac"),
    ("A_MPEG/L2", "mp2"),
    ("A_MPEG/L3", "mp3"),
    ("A_OPUS", "opus"),
    ("A_PCM/FLOAT/IEEE", "pcm_f"),
    ("A_PCM/INT/BIG", "pcm_be"),
    ("A_PCM/INT/LIT", "pcm_le"),
    ("A_VORBIS", "vorbis"),
    ("S_TEXT/UTF8", "subrip"),
    ("S_TEXT/ASS", "ass"),
    ("S_TEXT/SSA", "ass"),
    ("S_ASS", "ass"),
    ("S_SSA", "ass"),
    ("S_HDMV/PGS", "hdmv_pgs_subtitle"),
    ("S_VOBSUB", "dvd_subtitle"),
    ("S_DVBSUB", "dvb_subtitle"),
    ("V_AV1", "av1"),
    ("V_MJPEG", "mjpeg"),
    ("V_MPEG2", "mpeg2video"),
    ("V_MPEG4/ISO/ASP", "mpeg4"),
    ("V_MPEG4/ISO/AP", "mpeg4"),
    ("V_MPEG4/ISO/SP", "mpeg4"),
    ("V_MPEG4/ISO/AVC", "h264"),
    ("V_MPEGH/ISO/HEVC", "hevc"),
    ("V_VP8", "vp8"),
    ("V_VP9", "vp9"),
)
_PCM = {
    # by name above and depth: FFmpeg's name, and its format of samples
    ("pcm_le", 8): ("pcm_u8", "u8"),
    ("pcm_le", 16): ("pcm_s16le", "s16"),
    ("pcm_le", 24): ("pcm_s24le", "s32"),
    ("pcm_le", 32): ("pcm_s32le", "s32"),
    ("pcm_be", 8): ("pcm_u8", "u8"),
    ("pcm_be", 16): ("pcm_s16be", "s16"),
    ("pcm_be", 24): ("pcm_s24be", "s32"),
    ("pcm_be", 32): ("pcm_s32be", "s32"),
    ("pcm_f", 32): ("pcm_f32le", "flt"),
    ("pcm_f", 64): ("pcm_f64le", "dbl"),
}
First = Callable[[int], tuple[bytes, int] | None]
"""The first bytes of a track's first packet and its size, by track number; None where it has none."""
Look = Callable[[bytes, int, int], int]


@dataclass(slots=True)
class Made:
    """What is made of a codec; `decoded` is how many packets FFmpeg decodes to know its parameters."""

    coding: Coding
    parsed: bool = False
    decoded: int = 0
    tag: bytes = b""
    measure: Callable[[int], int] | None = None
    decoding_times: bool = False


def codec_of(name: str, entry: dict[str, Any], encoding: Encoding, first: First) -> tuple[Look | None, bool, Made]:
    """What tells of packets, whether that is their samples, and what else is made of a codec. NotKnown for others."""
    found = next((codec for prefix, codec in _NAMES if name.startswith(prefix)), None)
    private = _private(entry, encoding)
    if name == "V_MS/VFW/FOURCC":
        return _video_for_windows(private, entry, first)
    if found is None:
        raise NotKnown(f"the codec {name[:64]}")
    if name[0] == "V":
        return _picture(found, private, entry, first)
    if name[0] == "A":
        return _sound(found, private, entry, first)
    # the size of pictures of text shows in the first of them
    return None, False, Made(Coding(found, intra_only=True), decoded=1 if found == "hdmv_pgs_subtitle" else 0)


def _private(entry: dict[str, Any], encoding: Encoding) -> bytes:
    data = entry.get("private", b"")
    if not isinstance(data, bytes):
        raise NotKnown("very long private data of a codec")
    if encoding.private and data:
        if encoding.unpacker is None:
            return encoding.lead + data
        unpacked = encoding.unpacked(data, 1 << 20)
        if unpacked is None:
            raise NotKnown("private data that cannot be unpacked")
        return unpacked[0]
    return data


def _begin(entry: dict[str, Any], first: First) -> tuple[bytes, int]:
    found = first(entry.get("number") or 0)
    if found is None:
        raise NotKnown("a track without packets")
    return found


def _picture(name: str, private: bytes, entry: dict[str, Any], first: First) -> tuple[Look | None, bool, Made]:
    colour = entry.get("video", {}).get("colour", {}).get("range")
    full = {1: False, 2: True}.get(colour or 0)
    if name == "h264":
        coding, pictures = h264.coding(private, full)
        return pictures.look, False, Made(coding, True, 1)
    if name == "hevc":
        return None, False, Made(Coding.of("hevc", hevc.configuration(private, full_range=full)))
    if name == "vp8":
        return vpx.Vp8Pictures().look, False, Made(vpx.vp8(), True)
    if name == "vp9":
        return vpx.Vp9Pictures().look, False, Made(vpx.vp9(_begin(entry, first)[0]), True, 1)
    if name == "av1":
        return None, False, Made(av1.coding(private), True)
    if name == "mpeg4":
        coding = mpeg4.coding(private or _begin(entry, first)[0])
        return mpeg4.Pictures().look, False, Made(coding, True, 1)
    if name == "mpeg2video":
        return mpeg12.Pictures().look, False, Made(mpeg12.coding(private + _begin(entry, first)[0]), True, 1)
    coding = Coding.of("mjpeg", still.jpeg(_begin(entry, first)[0]), intra_only=True)
    return None, False, Made(coding, True, 1)


def _video_for_windows(private: bytes, entry: dict[str, Any], first: First) -> tuple[Look | None, bool, Made]:
    """A BITMAPINFOHEADER names the codec; times are those of decoding."""
    if len(private) < 40:
        raise NotKnown("video for Windows without a header")
    tag, extra = private[16:20], private[40:]
    if tag.upper() not in (b"XVID", b"DIVX", b"DX50", b"FMP4", b"MP4V"):
        raise NotKnown("video for Windows of a codec that is read elsewhere")
    coding = mpeg4.coding(extra or _begin(entry, first)[0])
    made = Made(coding, True, 1, tag=tag, decoding_times=True)
    return mpeg4.Pictures().look, False, made


def _sound(name: str, private: bytes, entry: dict[str, Any], first: First) -> tuple[Look | None, bool, Made]:
    said = entry.get("audio", {})
    rate = said.get("output_rate") or said.get("rate") or 8000.0
    if not 0 < rate < 1 << 31:
        raise NotKnown("sound of an odd rate")
    channels = 1 if said.get("channels") is None else said["channels"]
    if name == "aac":
        return None, False, Made(sound.aac(private), False, 1)
    if name == "opus":
        return sound.OpusPackets().look, True, Made(sound.opus(private, channels), True)
    if name == "vorbis":
        coding, packets = sound.vorbis(private)
        coding.intra_only = True
        return packets.look, True, Made(coding, True)
    if name == "flac":
        return sound.FlacPackets().look, True, Made(sound.flac(private), True)
    if name in ("mp3", "mp2"):
        return _mpeg_audio(name, entry, first)
    if name in ("ac3", "eac3", "dts"):
        coding = (dts if name == "dts" else ac3).coding(*_begin(entry, first))
        samples = coding.frame_samples
        if coding.name != name or "rate" not in said:
            raise NotKnown("sound that is not what its track says")
        return (lambda _data, _at, _size: samples), True, Made(coding, True)
    if name == "alac":
        return None, False, Made(sound.alac(private, int(rate)))
    depth = said.get("depth") or {"pcm_f": 32}.get(name, 16)
    if (name, depth) not in _PCM:
        raise NotKnown(f"uncompressed sound of {depth} bits")
    codec, samples_as = _PCM[name, depth]
    coding = Coding(codec, sample_rate=int(rate), channels=channels, sample_fmt=samples_as, intra_only=True)
    coding.bit_rate = int(rate) * channels * depth or None
    return None, False, Made(coding, measure=lambda size: 8 * size // (depth * channels) if channels else 0)


def _mpeg_audio(name: str, entry: dict[str, Any], first: First) -> tuple[Look | None, bool, Made]:
    data, size = _begin(entry, first)
    frame = mpegaudio.frame(int.from_bytes(data[:4], "big"))
    if frame is None or f"mp{frame.layer}" != name or (frame.size != size and name == "mp3"):
        raise NotKnown("MPEG audio that is not one frame a packet")
    coding = Coding(name, sample_rate=frame.rate, channels=frame.channels, intra_only=True)
    coding.layout, coding.sample_fmt = ("mono", "stereo")[frame.channels - 1], "s16p" if name == "mp2" else "fltp"
    packets = mpegaudio.Packets(coding, frame)
    return packets.look, True, Made(coding, True, 1)
