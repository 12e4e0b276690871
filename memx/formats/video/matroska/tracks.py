"""Tracks: RFC 9559, 5.1.4, and what their codecs say (RFC 9559, 14; codec specifications of Matroska)."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from memx.formats.video.assembly import Shown
from memx.formats.video.clock import Clock, rescale
from memx.formats.video.codecs import still
from memx.formats.video.matroska import elements
from memx.formats.video.matroska.ebml import Place
from memx.formats.video.matroska.encodings import Encoding
from memx.formats.video.matroska.names import First, codec_of
from memx.formats.video.matroska.tags import shown
from memx.formats.video.packets import Coding, NotKnown
from memx.formats.video.probe import Observed
from memx.formats.video.rates import reduced

NANOSECONDS = 1_000_000_000
FIRST_BYTES = 1 << 12
"""So much of a first packet is looked at."""
_KINDS = {elements.VIDEO: ("video", "V"), elements.AUDIO: ("audio", "A"), elements.SUBTITLE: ("subtitle", "SD")}
_STEREO = (
    "mono", "left_right", "bottom_top", "top_bottom", "checkerboard_rl", "checkerboard_lr", "row_interleaved_rl",
    "row_interleaved_lr", "col_interleaved_rl", "col_interleaved_lr", "anaglyph_cyan_red", "right_left",
    "anaglyph_green_magenta", "block_lr", "block_rl",
)  # fmt: skip
_WIDE, _HIGH = frozenset((1, 8, 9, 11)), frozenset((2, 3, 6, 7))
"""Stereo modes with two pictures beside each other, and above each other."""
_FLAGS = {
    "forced": "forced",
    "hearing_impaired": "hearing_impaired",
    "visual_impaired": "visual_impaired",
    "comment": "comment",
}
_IMAGES = {b"image/jpeg": ("mjpeg", still.jpeg), b"image/png": ("png", still.png)}
_OTHER_IMAGES = (b"image/gif", b"image/tiff")
_FILES = (
    (b"application/x-truetype-font", "ttf"),
    (b"application/x-font", "ttf"),
    (b"application/vnd.ms-opentype", "otf"),
    (b"binary", "bin_data"),
)
_ATTACHED_BASE = Fraction(1, 90000)


@dataclass(slots=True)
class Track:
    """A stream with packets. Times of blocks are in units of its time base once `scale` and `shift` are applied."""

    index: int
    number: int
    uid: int
    seen: Observed
    shown: Shown
    encoding: Encoding
    look: Callable[[bytes, int, int], int] | None = None
    """What tells of a packet: see `memx.formats.video.packets`."""
    sounds: bool = False
    """Whether `look` gives samples."""
    cut_anew: bool = False
    """Whether FFmpeg's parser has the last word on how long packets are."""
    scale: float = 1.0
    shift: int = 0
    default_duration: int = 0
    """Nanoseconds of a frame; 0 is not known."""
    decoding_times: bool = False
    """Whether its times are those of decoding, as in AVI."""


def track_of(entry: dict[str, Any], index: int, scale: int, first: First) -> Track | None:
    """The track of a TrackEntry; None where FFmpeg makes no stream of it. NotKnown where only FFmpeg can tell.

    `scale` is that of the segment: nanoseconds of a unit.
    """
    kind, letters = _KINDS.get(entry.get("type") or 0, (None, ""))
    codec = entry.get("codec")
    if entry.get("type") == elements.METADATA:
        raise NotKnown("a track of metadata")
    if kind is None or not codec:
        return None
    name = codec.decode("latin-1")
    if name[0] not in letters:
        return None
    own_scale = entry.get("scale")
    own_scale = 1.0 if own_scale is None or own_scale < 0.01 else own_scale
    unit = int(scale * own_scale)
    if not 0 < unit < 1 << 32:
        raise NotKnown("a track with an odd time scale")
    base = Fraction(unit, NANOSECONDS)
    encoding = Encoding.of(entry)
    look, sounds, made = codec_of(name, entry, encoding, first)
    clock = Clock(kind, base, delay=made.coding.delay, in_order=made.coding.name not in ("h264", "hevc"))
    clock.parsed, clock.intra_only = made.parsed, made.coding.intra_only or kind == "audio"
    clock.rate, clock.fields = made.coding.rate, made.coding.fields
    number, uid = entry.get("number") or 0, entry.get("uid") or 0
    track = Track(index, number, uid, Observed(made.coding, clock), Shown(tag=made.tag), encoding, look, sounds)
    track.seen.decoded, track.decoding_times = made.decoded, made.decoding_times
    track.cut_anew = made.coding.name == "mp3"
    track.scale, track.shift = own_scale, rescale(entry.get("codec_delay") or 0, 1 / (base * NANOSECONDS))
    track.default_duration = entry.get("default_duration") or 0
    _describe(track, entry)
    if kind == "video":
        _picture(track, entry.get("video", {}))
    elif kind == "audio":
        clock.sample_rate, clock.measure = made.coding.sample_rate, made.measure
        said = entry.get("audio", {})
        rate = int(said.get("output_rate") or said.get("rate") or 8000.0)
        clock.skipped = _skipped(made.coding, rate, entry.get("codec_delay") or 0, base)
    return track


def _skipped(coding: Coding, rate: int, delay: int, base: Fraction) -> int:
    """Units of time that `delay` nanoseconds are, by way of whole samples as in FFmpeg.

    FFmpeg counts the samples at Opus' 48 kHz, whatever the track's `rate` is, and takes them to be of that. Of less
    than one sample a second there are none.
    """
    if rate < 1:
        return 0
    samples = rescale(delay, Fraction(48000 if coding.name == "opus" else rate, NANOSECONDS))
    return rescale(samples, 1 / (rate * base))


def _describe(track: Track, entry: dict[str, Any]) -> None:
    """Language, title and dispositions."""
    tags, flags = track.shown.tags, track.shown.dispositions
    language = entry.get("language", b"eng")
    if language != b"und":
        tags.put("language", shown(language))
    if "name" in entry:
        tags.put("title", shown(entry["name"]))
    default = entry.get("default")
    if default is None or default:
        flags.add("default")
    flags.update(name for field_name, name in _FLAGS.items() if entry.get(field_name))
    if entry.get("original") is not None:
        flags.add("original" if entry["original"] else "dub")
    if entry.get("descriptions") and track.seen.clock.kind == "subtitle":
        flags.add("descriptions")


def _picture(track: Track, video: dict[str, Any]) -> None:
    coding, clock = track.seen.coding, track.seen.clock
    if not track.default_duration and (video.get("frame_rate") or 0) > 0:
        track.default_duration = min(int(NANOSECONDS / video["frame_rate"]), (1 << 64) - 1)
    width, height = video.get("width") or 0, video.get("height") or 0
    wide = video.get("display_width")
    high = video.get("display_height")
    wide, high = width if wide is None else wide, height if high is None else high
    stereo = video.get("stereo")
    if stereo is not None and 0 < stereo < len(_STEREO):
        wide, high = wide * (2 if stereo in _WIDE else 1), high * (2 if stereo in _HIGH else 1)
    if (video.get("display_unit") or 0) < 4 and wide and high and width and height:
        track.shown.aspect = reduced(Fraction(height * wide, width * high), (1 << 31) - 1) or None
    coding.width, coding.height = coding.width or width, coding.height or height
    if track.default_duration:
        rate = reduced(Fraction(NANOSECONDS, track.default_duration), 30000)
        track.seen.average_rate = rate or None
        if 5 < rate < 1000:
            clock.frame_rate = rate
    if stereo is not None and stereo < len(_STEREO) and stereo:
        track.shown.tags.put("stereo_mode", _STEREO[stereo])
    if video.get("alpha"):
        track.shown.tags.put("alpha_mode", "1")
    track.shown.rotation = _rotation(video.get("projection", {}))


def _rotation(projection: dict[str, Any]) -> float | None:
    """Degrees by which pictures are turned, where the projection is a turn of a rectangle."""
    pitch, yaw, roll = (projection.get(name) or 0.0 for name in ("pitch", "yaw", "roll"))
    if projection.get("type") or projection.get("private"):
        raise NotKnown("a projection that is no rectangle")
    if pitch or yaw:
        raise NotKnown("a projection that is turned in space, or mirrored")
    return float(f"{roll:.2f}") if roll else None


@dataclass(slots=True)
class Attachment:
    """An attached file as a stream without packets of its own."""

    uid: int
    seen: Observed
    shown: Shown


def attachment_of(entry: dict[str, Any], read: Callable[[Place, int], bytes]) -> Attachment | None:
    """The stream of an AttachedFile; None where it is incomplete. `read` gives the beginning of its data."""
    name, media, data = entry.get("name"), entry.get("media_type"), entry.get("data")
    if name is None or not isinstance(media, bytes) or data is None or not data.length:
        return None
    made = Shown()
    made.tags.put("filename", shown(name))
    made.tags.put("mimetype", shown(media))
    if "description" in entry:
        made.tags.put("title", shown(entry["description"]))
    uid = entry.get("uid") or 0
    for prefix, (codec, parse) in _IMAGES.items():
        if media.startswith(prefix):
            coding = Coding.of(codec, parse(read(data, still.HEAD)), intra_only=True)
            seen = Observed(coding, Clock("video", _ATTACHED_BASE), attached=True, packets=1)
            made.dispositions.add("attached_pic")
            return Attachment(uid, seen, made)
    if media.startswith(_OTHER_IMAGES):
        raise NotKnown("an attached picture of a rare kind")
    named = next((codec for prefix, codec in _FILES if media.startswith(prefix)), None)
    seen = Observed(Coding(named), Clock("attachment", _ATTACHED_BASE), decoded=0 if named else -1)
    return Attachment(uid, seen, made)
