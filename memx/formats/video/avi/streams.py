"""Streams of AVI files, and what their codecs say: formats in BITMAPINFOHEADER and WAVEFORMATEX."""

import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from memx.formats.video.assembly import Shown
from memx.formats.video.avi.framing import Frames, HeldFrames, MpegFrames
from memx.formats.video.avi.header import StreamHeader
from memx.formats.video.avi.index import Counter
from memx.formats.video.clock import NO_TIME, Clock
from memx.formats.video.codecs import still
from memx.formats.video.packets import Coding, NotKnown, ac3, h264, mpeg4, mpegaudio, sound
from memx.formats.video.probe import Observed

FIRST_BYTES = 1 << 12
_MPEG4 = frozenset(b"FMP4 DIVX DX50 XVID MP4S M4S2 ZMP4 DIV1 BLZ0 MP4V UMP4 SEDG RMP4 3IV2 FFDS FVFW".split())
_H264 = frozenset(b"H264 X264 AVC1 DAVC".split())
_MJPEG = b"MJPG"
_CODE = b"\0\0\1"
"""What begins the parts of a bit stream."""
_FIXED = {
    # codecs without B pictures whose samples are always alike; no parser looks at them
    b"MP42": ("msmpeg4v2", "yuv420p"),
    b"DIV2": ("msmpeg4v2", "yuv420p"),
    b"MP43": ("msmpeg4v3", "yuv420p"),
    b"DIV3": ("msmpeg4v3", "yuv420p"),
    b"DIV4": ("msmpeg4v3", "yuv420p"),
    b"WMV1": ("wmv1", "yuv420p"),
    b"IV41": ("indeo4", "yuv410p"),
}
_RAW = {
    b"I420": "yuv420p",
    b"IYUV": "yuv420p",
    b"YV12": "yuv420p",
    b"YUY2": "yuyv422",
    b"UYVY": "uyvy422",
}
_PCM = {8: ("pcm_u8", "u8"), 16: ("pcm_s16le", "s16"), 24: ("pcm_s24le", "s32"), 32: ("pcm_s32le", "s32")}
_WAVE_PCM, _ADPCM_MS, _FLOAT, _ALAW, _MULAW, _ADPCM_IMA, _MP2, _MP3, _AAC, _AC3 = (
    1,
    2,
    3,
    6,
    7,
    0x11,
    0x50,
    0x55,
    0xFF,
    0x2000,
)
_EXTENSIBLE = 0xFFFE
_SUBFORMATS = bytes.fromhex("000000001000800000aa00389b71")
"""How GUIDs of formats with a number end (KSDATAFORMAT_SUBTYPE)."""
_LAYOUTS = {4: (1, "mono"), 3: (2, "stereo"), 0x3F: (6, "5.1"), 0x60F: (6, "5.1(side)"), 0x33: (4, "quad")}
"""Channel masks: how many channels, and FFmpeg's name."""
_WIDEST = 1 << 15
_MOST_CHANNELS = 64
First = Callable[[int], bytes | None]
"""The first bytes of a stream's first packet, by its number; None where it has none."""


@dataclass(slots=True)
class Stream:
    """A stream with its packets. `counter` counts its chunks, `offset` is how far they have come."""

    index: int
    seen: Observed
    shown: Shown
    counter: Counter
    offset: int
    look: Callable[[bytes, int, int], int] | None = None
    begin: int = 0
    """Bytes of a packet that are looked at, for most."""
    frames: Frames | None = None
    """What puts frames together that chunks part."""
    bit_rate: int = 0
    most: int = field(init=False)
    """The largest packet that is made of a chunk; a larger one is parted."""

    def __post_init__(self) -> None:
        size = self.counter.sample_size
        self.most = 1 << 31 if size <= 1 else 1024 * size if size < 32 else size


@dataclass(slots=True)
class Outline:
    """What its header alone says of a stream: all that an index is read with.

    `by_index` is whether the index has to tell the key frames: where a parser looks at each picture, it has the last
    word.
    """

    counter: Counter
    bit_rate: int = 0
    by_index: bool = False


def outline(header: StreamHeader) -> Outline:
    """The outline of a stream. NotKnown where only FFmpeg can tell."""
    data = header.format
    if data is None or header.kind not in (b"vids", b"auds"):
        raise NotKnown("a stream that is neither pictures nor sound, or without a format")
    if header.kind == b"vids":
        if len(data) < 40:
            raise NotKnown("a picture format that ends early")
        code = data[16:20].upper()
        return Outline(Counter(0, 0, header.start), by_index=code not in _MPEG4 | _H264 | {_MJPEG})
    if len(data) < 16:
        raise NotKnown("a sound format that ends early")
    mean, block = struct.unpack_from("<IH", data, 8)
    sample_size = block if header.sample_size and block else header.sample_size
    counter = Counter(sample_size, block, header.start * max(1, header.sample_size))
    if _sound_tag(data) == _MP3 and counter.block == 1152 and counter.sample_size == 1152:
        counter.sample_size = 0
    return Outline(counter, 8 * mean)


def _sound_tag(data: bytes) -> int:
    tag = int.from_bytes(data[:2], "little")
    return int.from_bytes(data[24:26], "little") if tag == _EXTENSIBLE else tag


def stream_of(header: StreamHeader, index: int, outlined: Outline, first: First) -> Stream:
    """The stream of a header. NotKnown where only FFmpeg can tell."""
    assert header.format is not None  # what has an outline
    if header.kind == b"vids":
        return _picture(header, index, outlined, first)
    return _sound(header, index, outlined, first)


def _finished(stream: Stream, header: StreamHeader) -> Stream:
    stream.shown.tags = header.tags
    stream.shown.frames = header.length
    stream.seen.clock.start = 0
    stream.seen.duration = stream.shown.frames if not header.sample_size or header.kind == b"vids" else NO_TIME
    return stream


def _picture(header: StreamHeader, index: int, outlined: Outline, first: First) -> Stream:
    data = header.format or b""
    _, width, height, _, depth = struct.unpack("<IIiHH", data[:16])
    tag, extra = data[16:20], data[40:]
    width, height = width & 0x7FFFFFFF, abs(height)
    if max(width, height) > _WIDEST or (header.aspect and max(header.aspect.as_integer_ratio()) > _WIDEST):
        raise NotKnown("pictures of an odd size")
    code, look, begin, parsed, decoded = tag.upper(), None, 0, True, 1
    if code in _MPEG4:
        headers = extra if _CODE in extra else b""
        coding = mpeg4.coding(headers or _begin(first, index))
        look, begin = mpeg4.Pictures().look, mpeg4.BEGIN
        tag = b"XVID" if header.handler == b"XVID" else tag
    elif code in _H264:
        coding, pictures = h264.unordered(extra if extra[:1] == b"\1" or _CODE in extra else _begin(first, index))
        look, begin = pictures.look, h264.BEGIN
    elif code == _MJPEG:
        coding = Coding.of("mjpeg", still.jpeg(_begin(first, index)), intra_only=True)
    elif code in _FIXED:
        name, pixels = _FIXED[code]
        coding, parsed, decoded = Coding(name, pix_fmt=pixels), False, 0
    elif code in _RAW or (tag == bytes(4) and depth == 24):
        coding = Coding("rawvideo", pix_fmt=_RAW.get(code, "bgr24"), intra_only=True)
        parsed, decoded = False, 0
    else:
        raise NotKnown(f"the codec {tag!r}")
    coding.width, coding.height = coding.width or width, coding.height or height
    clock = Clock("video", header.base, delay=coding.delay, parsed=parsed, intra_only=coding.intra_only)
    clock.in_order = code not in _H264
    clock.rate, clock.fields = coding.rate, coding.fields
    seen = Observed(coding, clock, average_rate=1 / header.base, decoded=decoded)
    shown = Shown(tag=tag, aspect=header.aspect)
    return _finished(Stream(index, seen, shown, outlined.counter, header.start, look, begin), header)


def _begin(first: First, index: int) -> bytes:
    data = first(index)
    if not data:
        raise NotKnown("a stream without packets")
    return data


def _sound(header: StreamHeader, index: int, outlined: Outline, first: First) -> Stream:
    data, counter = header.format or b"", outlined.counter
    tag, channels, rate, mean, block, depth = struct.unpack("<HHIIHH", data[:16])
    if not rate or rate >> 31 or not 0 < channels <= _MOST_CHANNELS:
        raise NotKnown("sound without a rate, or with an odd number of channels")
    layout, number = None, _sound_tag(data)
    if tag == _EXTENSIBLE:
        if len(data) < 40 or data[26:40] != _SUBFORMATS:
            raise NotKnown("sound of an unknown kind")
        layout = _LAYOUTS.get(int.from_bytes(data[20:24], "little"))
        if layout is None or layout[0] != channels:
            raise NotKnown("sound with an unusual layout")
    coding = Coding(None, sample_rate=rate, channels=channels, bit_rate=8 * mean or None, intra_only=True)
    clock = Clock("audio", header.base, intra_only=True, sample_rate=rate)
    stream = Stream(index, Observed(coding, clock), Shown(tag=number.to_bytes(4, "little")), counter, counter.start)
    stream.bit_rate = outlined.bit_rate
    coding.layout = layout and layout[1]
    if number in (_MP2, _MP3):
        _frames(stream, number, first)
    elif number == _AC3:
        _held_frames(stream, first)
    elif number == _AAC:
        _advanced(stream, data[18:])
    else:
        _samples(stream, number, block, depth)
    return _finished(stream, header)


def _frames(stream: Stream, tag: int, first: First) -> None:
    """MPEG audio: a parser puts its frames together."""
    coding, counter, clock = stream.seen.coding, stream.counter, stream.seen.clock
    coding.name = "mp3" if tag == _MP3 else "mp2"
    found = mpegaudio.frame(int.from_bytes(_begin(first, stream.index)[:4], "big"))
    if found is None or f"mp{found.layer}" != coding.name or (found.layer == 2 and counter.block in range(1, 5)):
        raise NotKnown("MPEG audio that does not begin with a frame of its kind")
    coding.sample_rate, coding.channels = found.rate, found.channels
    clock.sample_rate, clock.parsed, clock.by_offset = found.rate, True, True
    coding.layout = ("mono", "stereo")[found.channels - 1]
    coding.sample_fmt = "fltp" if tag == _MP3 else "s16p"
    stream.seen.decoded = 1
    stream.frames, stream.begin = MpegFrames(), mpegaudio.HEADER


def _held_frames(stream: Stream, first: First) -> None:
    """AC-3: a parser puts its frames together, and waits for the next one."""
    seen, data = stream.seen, _begin(first, stream.index)
    said = ac3.coding(data, len(data))
    if said.name != "ac3":
        raise NotKnown("AC-3 that does not begin with a frame of its kind")
    said.bit_rate = seen.coding.bit_rate
    seen.coding, seen.decoded, seen.clock.sample_rate = said, 1, said.sample_rate
    seen.clock.parsed = seen.clock.by_offset = True
    stream.frames, stream.begin = HeldFrames(), ac3.HEADER


def _advanced(stream: Stream, config: bytes) -> None:
    """AAC: a chunk is a packet, and no parser looks at it."""
    said, seen = sound.aac(config), stream.seen
    said.bit_rate, said.intra_only = seen.coding.bit_rate, True
    seen.coding, seen.decoded, seen.clock.sample_rate = said, 1, said.sample_rate


def _samples(stream: Stream, tag: int, block: int, depth: int) -> None:
    """Sound whose packets have as many samples as their size says."""
    coding, channels = stream.seen.coding, stream.seen.coding.channels
    bits = (8 if tag in (_ALAW, _MULAW) else depth) * channels
    coding.bit_rate = coding.bit_rate or bits * coding.sample_rate
    if tag == _WAVE_PCM and depth in _PCM:
        coding.name, coding.sample_fmt = _PCM[depth]
    elif tag == _FLOAT and depth == 32:
        coding.name, coding.sample_fmt = "pcm_f32le", "flt"
    elif tag in (_ALAW, _MULAW) and depth == 8:
        coding.name, coding.sample_fmt = "pcm_alaw" if tag == _ALAW else "pcm_mulaw", "s16"
    elif tag == _ADPCM_MS and block > 7 * channels and channels <= 2:
        coding.name, coding.sample_fmt = "adpcm_ms", "s16"
        samples = 2 + (block - 7 * channels) * 2 // channels
        stream.seen.clock.measure = lambda size: size // block * samples
        return
    elif tag == _ADPCM_IMA and depth == 4 and block > 4 * channels and channels <= 2:
        coding.name, coding.sample_fmt = "adpcm_ima_wav", "s16p"
        samples = 1 + (block - 4 * channels) // (depth * channels) * 8
        stream.seen.clock.measure = lambda size: size // block * samples
        return
    else:
        raise NotKnown(f"sound of format {tag:#x}, {depth} bits")
    stream.seen.clock.measure = lambda size: 8 * size // bits
