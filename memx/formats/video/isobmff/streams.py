"""`stream` records: what the tracks, and the configurations of their codecs, tell.

Fields and names are those of the reader through FFmpeg (`memx.formats.video.describe`), which decodes first pictures
to know a few of them. Where the first bytes of a picture do not tell its format FFmpeg is asked; what AAC does not
announce of spectral band replication is null here.
"""

import math
from fractions import Fraction
from typing import Any

from memx.formats.video.codecs.picture import PictureFormat
from memx.formats.video.describe import ratio, seconds, tags
from memx.formats.video.isobmff.boxes import Space
from memx.formats.video.isobmff.model import Track
from memx.formats.video.isobmff.names import PCM_BITS, four_characters
from memx.formats.video.isobmff.pictures import picture_format
from memx.formats.video.isobmff.sound import ALAC_LAYOUTS, FLAC_LAYOUTS, LAYOUTS, XIPH_LAYOUTS, aac
from memx.formats.video.isobmff.times import reduced
from memx.formats.video.packets import NotKnown
from memx.records import Record

_DISPOSITION_NAMES = """
default dub original comment lyrics karaoke forced hearing_impaired visual_impaired clean_effects attached_pic
timed_thumbnails non_diegetic captions descriptions metadata dependent still_image multilayer
"""
_DISPOSITIONS = _DISPOSITION_NAMES.split()
_FOUR_BITS = frozenset(("adpcm_ima_qt", "adpcm_ima_wav", "adpcm_ms"))
_SIZED_BY_DECODER = frozenset(("mpeg4", "h263", "h261"))
_IN_FIELDS = frozenset(("h264", "mpeg2video", "vc1"))
"""Codecs whose clock may tick twice a frame."""
_FORMATS_OF_SAMPLES = """
fltp aac mp3 ac3 eac3 dts opus vorbis amr_nb
flt nellymoser amr_wb pcm_f32be pcm_f32le
dbl pcm_f64be pcm_f64le
u8 pcm_u8 pcm_s8
s16 pcm_s16be pcm_s16le pcm_alaw pcm_mulaw qdm2 mp4als adpcm_ms adpcm_yamaha adpcm_swf adpcm_g722 adpcm_g726 gsm gsm_ms
s16p mp2 mp1 adpcm_ima_qt adpcm_ima_wav mace3 mace6 g723_1
s32 pcm_s24be pcm_s24le pcm_s32be pcm_s32le
"""
_LAYOUTS = {"opus": XIPH_LAYOUTS, "vorbis": XIPH_LAYOUTS, "flac": FLAC_LAYOUTS, "alac": ALAC_LAYOUTS}
_SAMPLE_FORMATS = {
    codec: name for name, *codecs in map(str.split, _FORMATS_OF_SAMPLES.strip().splitlines()) for codec in codecs
}


class StreamDescriber:
    """Makes the records; `limit` is the length of the longest tag that they carry."""

    def __init__(self, space: Space, limit: int) -> None:
        self._space = space
        self._limit = limit

    def record(self, track: Track, sample: tuple[int, int] | None, rate: Fraction | None) -> Record:
        """The record of a track; `sample` is where its first packet lies and its size, None where there is none.

        `rate` is what the tables say of the rate of all frames. NotKnown where FFmpeg may know more.
        """
        if track.codec is None and track.kind in ("video", "audio") and any(track.tag):
            raise NotKnown(f"samples of the kind {four_characters(track.tag)}")
        base = Fraction(1, 90000 if track.broken else track.time_scale)
        record: Record = {
            "type": "stream",
            "index": track.index,
            "kind": track.kind,
            "codec": track.codec,
            "width": None,
            "height": None,
            "frame_rate": None,
            "time_base": ratio(base),
            "start_time_s": seconds(track.start_time, base),
            "duration_s": seconds(track.duration, base),
            "nb_frames": track.frames or None,
            "bit_rate": track.bit_rate if 0 < track.bit_rate < 1 << 63 and track.kind != "data" else None,
            "codec_tag_string": four_characters(track.tag) if any(track.tag) else None,
            "profile": None,
        }
        if track.kind == "video":
            self._picture(record, track, sample, rate, base)
        elif track.kind == "audio":
            self._sound(record, track, sample)
        record["disposition"] = {name: name in track.dispositions for name in _DISPOSITIONS}
        record["tags"] = told_tags(track.tags, self._limit)
        return record

    def _picture(
        self, record: Record, track: Track, sample: tuple[int, int] | None, rate: Fraction | None, base: Fraction
    ) -> None:
        found = picture_format(track, None if sample is None else lambda most: self._head(sample, most))
        if track.codec == "av1" and sample is not None:
            found.aspect = (1, 1)
        average = None
        if track.fps_frames and track.fps_duration:
            average = reduced(track.time_scale * track.fps_frames, track.fps_duration)
        record["frame_rate"] = ratio(average)
        record["r_frame_rate"] = ratio(rate or _ticks(track, found, base))
        if (track.attached and not track.tag) or track.codec in _SIZED_BY_DECODER:
            width, height = found.width, found.height
            if not width and track.codec != "mpeg4" and sample is not None:
                width, height = track.coded_width, track.coded_height
        else:
            width, height = _size(track, found)
        record["width"], record["height"] = (width, height) if track.codec is not None else (None, None)
        aspect = _aspect(track, found)
        if all(track.display) and width and height:
            aspect = reduced(track.display[0] * height, track.display[1] * width)
        record["sample_aspect_ratio"] = f"{aspect.numerator}:{aspect.denominator}" if aspect else None
        record["pix_fmt"], record["level"] = found.pix_fmt, found.level
        record["profile"] = found.profile
        record["bit_rate"] = found.bit_rate or record["bit_rate"]
        if track.matrix is not None:
            record["rotation"] = _rotation(track.matrix)

    def _head(self, sample: tuple[int, int], most: int) -> bytes:
        pos, size = sample
        return self._space.upto(pos, min(size, most)) if pos < self._space.end else b""

    def _sound(self, record: Record, track: Track, sample: tuple[int, int] | None) -> None:
        layout, rate, channels, codec = track.channel_layout, track.sample_rate, track.channels, track.codec or ""
        layouts = _LAYOUTS.get(codec, LAYOUTS)
        sample_format = _SAMPLE_FORMATS.get(codec)
        if codec == "aac" and track.config:
            said = aac(track.config)
            layout, layouts = said.channel_layout, {}
            record["profile"] = said.profile if sample is not None else None
        elif codec == "alac" and len(track.config) == 28:
            sample_format = "s16p" if track.config[9] <= 16 else "s32p"
        elif codec == "flac" and len(track.config) == 34:
            depth = (int.from_bytes(track.config[12:14], "big") >> 4 & 31) + 1
            sample_format = "s16" if depth <= 16 else "s32"
        elif codec in ("mp3", "mp2", "mp1") and sample is not None:
            head = self._head(sample, 4)
            if head[:1] == b"\xff" and len(head) == 4:  # ISO/IEC 11172-3, 2.4.2.3: mode 3 is a single channel
                channels = 1 if head[3] >> 6 == 3 else 2
        elif codec in ("ac3", "eac3") and sample is not None:
            record["bit_rate"] = track.coded_rate or sample[1] * 8 * rate // 1536
            if track.channel_layout is None:
                channels, layout = self._surround(record, sample, codec)
        elif codec == "dts" and sample is not None:
            channels, layout = self._surround(record, sample, codec)
        elif codec == "opus":
            rate = 48000
        elif codec == "vorbis" and (at := track.config.find(b"\1vorbis")) >= 0 and len(track.config) >= at + 16:
            channels, rate = track.config[at + 11], int.from_bytes(track.config[at + 12 : at + 16], "little")
        if sample_format is None and sample is not None and codec:
            raise NotKnown(f"{codec} of which only a decoder tells more")
        if layout is None and sample_format is not None and codec not in (*PCM_BITS, "mp4als"):
            layout = layouts.get(channels)
        if record["bit_rate"] is None and codec in PCM_BITS:
            record["bit_rate"] = rate * channels * PCM_BITS[codec] or None
        elif record["bit_rate"] is None and codec in _FOUR_BITS:
            record["bit_rate"] = rate * channels * 4 or None
        record["sample_rate"], record["channels"] = rate or None, channels or None
        record["channel_layout"], record["sample_fmt"] = layout, sample_format

    def _surround(self, record: Record, sample: tuple[int, int], codec: str) -> tuple[int, str | None]:
        """Channels and layout, as the first packet says them; of DTS its profile and bit rate too."""
        from memx.formats.video.packets import ac3, dts

        if codec == "dts":
            said = dts.coding(self._head(sample, 16), sample[1])
            record["profile"], record["bit_rate"] = said.profile, said.bit_rate
        else:
            said = ac3.coding(self._head(sample, 8), sample[1])
        return said.channels, said.layout


def told_tags(values: dict[str, Any], limit: int) -> dict[str, Any]:
    """Tags as records have them; those that were too long to be read are where they lie."""
    texts = tags({name: value for name, value in values.items() if isinstance(value, str)}, limit)
    return {name: texts.get(name, value) for name, value in values.items()}


def _ticks(track: Track, found: PictureFormat, base: Fraction) -> Fraction | None:
    """The rate that a codec says, where the time base can tell its frames; else that of the time base."""
    rate = found.frame_rate
    if rate is not None and track.codec in _IN_FIELDS:
        rate *= 2
    if rate and base <= 1 / rate:
        return rate
    return 1 / base


def _size(track: Track, found: PictureFormat) -> tuple[int, int]:
    """The size of pictures: the container's word counts where it cuts off less than a block of what is coded."""
    width, height = track.coded_width, track.coded_height
    if not found.width:
        return width, height
    if track.codec == "h264":
        fits = 0 < width <= found.width and 0 < height <= found.height and not found.crop_begins
        if fits and -(-width // 16) == -(-found.width // 16) and -(-height // 16) == -(-found.height // 16):
            return width, height
    return found.width, found.height


def _aspect(track: Track, found: PictureFormat) -> Fraction | None:
    """The shape of a pixel: what the container says, what its sizes mean, what the codec says."""
    across, down = track.spacing
    aspect = None
    if not track.broken:
        aspect = reduced(across, down) if across and down else reduced(*track.aspect)
        coded = (track.coded_width, track.coded_height)
        if not aspect and all(coded) and track.width and track.height and coded != (track.width, track.height):
            aspect = reduced(track.coded_height * track.width, track.coded_width * track.height)
    if not aspect or aspect <= 0:
        aspect = reduced(*found.aspect) if found.aspect[0] and found.aspect[1] else None
    return aspect


def _rotation(matrix: tuple[int, ...]) -> float:
    """Degrees by which pictures are turned (libavutil/display.h), to two places."""
    a, b, _, c, d = matrix[:5]
    across, down = math.hypot(a, c), math.hypot(b, d)
    if not across or not down:
        return 0.0
    return float(f"{-math.degrees(math.atan2(b / down, a / across)):.2f}")
