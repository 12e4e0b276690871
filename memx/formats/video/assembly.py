"""`stream` records from what a container and the codecs say, with the fields of `memx.formats.video.describe`."""

from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from memx.formats.video.clock import NO_TIME, Packet, absolute
from memx.formats.video.probe import Observed
from memx.records import Record, encode

DISPOSITIONS = (
    "default", "dub", "original", "comment", "lyrics", "karaoke", "forced", "hearing_impaired", "visual_impaired",
    "clean_effects", "attached_pic", "timed_thumbnails", "non_diegetic", "captions", "descriptions", "metadata",
    "dependent", "still_image", "multilayer",
)  # fmt: skip
"""FFmpeg's names, in its order."""


class Tags(dict[str, Any]):
    """Tags by name; as in FFmpeg, names that differ in case alone are the same, and the last one stands."""

    def put(self, name: str, value: Any) -> None:
        """Sets a tag; it stands last."""
        folded = name.upper()
        before = next((known for known in self if known.upper() == folded), None)
        if before is not None:
            del self[before]
        self[name] = value


@dataclass(slots=True)
class Shown:
    """What the container alone says of a stream; `tag` is a four-character code, `aspect` the shape of a sample."""

    tag: bytes = b""
    aspect: Fraction | None = None
    dispositions: set[str] = field(default_factory=set)
    tags: Tags = field(default_factory=Tags)
    rotation: float | None = None
    frames: int = 0


def limited(tags: Tags, limit: int) -> dict[str, Any]:
    """Tags as they are; one longer than `limit` bytes is `{"bulk": true, "length": N}`."""
    kept: dict[str, Any] = {}
    for name, value in tags.items():
        length = len(value.encode("utf-8", "surrogatepass")) if isinstance(value, str) else 0
        kept[name] = value if length <= limit else {"bulk": True, "length": length}
    return kept


def stream_record(index: int, seen: Observed, shown: Shown, limit: int) -> Record:
    """The record of a stream whose packets FFmpeg would have looked at; longer tags than `limit` are left out."""
    coding, clock = seen.coding, seen.clock
    record: Record = {
        "type": "stream",
        "index": index,
        "kind": clock.kind,
        "codec": coding.name,
        "width": None,
        "height": None,
        "frame_rate": None,
        "time_base": ratio(clock.base),
        "start_time_s": seconds(clock.start, clock.base),
        "duration_s": seconds(seen.duration, clock.base),
        "nb_frames": shown.frames or None,
        "bit_rate": coding.bit_rate,
        "codec_tag_string": four_characters(shown.tag) if any(shown.tag) else None,
        "profile": coding.profile,
    }
    if clock.kind == "video":
        record["frame_rate"], record["r_frame_rate"] = ratio(seen.average_rate), ratio(clock.frame_rate)
        record["width"], record["height"] = coding.width, coding.height
        own = Fraction(*coding.aspect) if all(coding.aspect) else None
        aspect = shown.aspect or own
        record["sample_aspect_ratio"] = f"{aspect.numerator}:{aspect.denominator}" if aspect else None
        record["pix_fmt"], record["level"] = coding.pix_fmt, coding.level
        if shown.rotation is not None:
            record["rotation"] = shown.rotation
    elif clock.kind == "audio":
        record["sample_rate"], record["channels"] = coding.sample_rate or None, coding.channels or None
        record["channel_layout"], record["sample_fmt"] = coding.layout, coding.sample_fmt
    record["disposition"] = {name: name in shown.dispositions for name in DISPOSITIONS}
    record["tags"] = limited(shown.tags, limit)
    return record


def packet_record(packet: Packet) -> Record:
    """The `packet` record of a packet whose times are complete."""
    return {
        "type": "packet",
        "stream_index": packet.stream,
        "pts": None if packet.pts == NO_TIME else absolute(packet.pts),
        "dts": None if packet.dts == NO_TIME else absolute(packet.dts),
        "duration": packet.duration or None,
        "size": packet.size,
        "pos": packet.pos,
        "keyframe": packet.key,
    }


def packet_line(packet: Packet) -> str:
    """The same as a line of JSON."""
    return encode(packet_record(packet)).decode("ascii")


def line_begin(index: int) -> str:
    """How the lines of the packets of a stream begin, up to `pts`: for those who write them at once."""
    return f'{{"type":"packet","stream_index":{index},"pts":'


LINE_END = {False: ',"keyframe":false}\n', True: ',"keyframe":true}\n'}
"""How the lines of packets end, behind `pos`."""


def line_pair(index: int, dts: str, duration: str, *, all_keys: bool) -> tuple[str, str]:
    """The lines of the packets of a stream, of others and of key frames, to be filled with what is not said here."""
    begin = f'{line_begin(index)}%d,"dts":{dts},"duration":{duration},"size":%d,"pos":%d'
    return begin + LINE_END[all_keys], begin + LINE_END[True]


def ratio(value: Fraction | None) -> str | None:
    """A ratio as ffprobe writes it; None where it is not known."""
    return f"{value.numerator}/{value.denominator}" if value else None


def seconds(time: int, base: Fraction) -> float | None:
    """`time`, which counts `base`, in seconds; None where there is none."""
    return None if time == NO_TIME else time * base.numerator / base.denominator


def four_characters(tag: bytes) -> str:
    """A four-character code as FFmpeg writes it: what is no letter, digit, or one of a few signs, as a number."""
    return "".join(
        chr(byte) if 48 <= byte < 58 or 65 <= byte < 91 or 97 <= byte < 123 or byte in b".- _" else f"[{byte}]"
        for byte in tag
    )
