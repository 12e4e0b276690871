"""Streams and chapters of a PyAV container as records, in ffprobe's terms."""

import re
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from memx.records import Record

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.container.core import Chapter
    from av.stream import Stream

_NO_TIME = -(1 << 63)  # AV_NOPTS_VALUE
_NO_TIMES = (None, _NO_TIME, (1 << 63) - 1)


def stream_records(container: "InputContainer", limit: int) -> list[Record]:
    """A `stream` record for each stream; tags longer than `limit` bytes are left out, see `tags`.

    Fields that only some kinds of streams have are null or absent in the others. `frame_rate` is ffprobe's
    `avg_frame_rate`; it and `time_base` are ratios of integers (`30000/1001`), as ffprobe writes them.
    """
    dumped = _dump(container)
    return [_stream_record(stream, dumped.get(stream.index, {}), limit) for stream in container.streams]


def chapter_record(chapter: "Chapter", limit: int) -> Record:
    """The `chapter` record; `start` and `end` are in its `time_base`."""
    base, named = chapter["time_base"], tags(chapter["metadata"], limit)
    return {
        "type": "chapter",
        "id": chapter["id"],
        "title": named.get("title"),
        "time_base": ratio(base),
        "start": None if chapter["start"] in _NO_TIMES else chapter["start"],
        "start_s": seconds(chapter["start"], base),
        "end": None if chapter["end"] in _NO_TIMES else chapter["end"],
        "end_s": seconds(chapter["end"], base),
        "tags": named,
    }


def tags(metadata: Mapping[str, Any], limit: int) -> dict[str, Any]:
    """Tags as they are; one longer than `limit` bytes, or that was not read, is `{"bulk": true, "length": N}`."""
    kept: dict[str, Any] = {}
    for key, value in metadata.items():
        if not isinstance(value, str):
            kept[key] = value
            continue
        length = len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
        kept[key] = value if length <= limit else {"bulk": True, "length": length}
    return kept


def seconds(time: int | None, base: "Fraction | None") -> float | None:
    """`time`, which counts `base`, in seconds; None where there is none."""
    if time in _NO_TIMES or time is None or not base:
        return None
    return time * base.numerator / base.denominator


def ratio(value: "Fraction | None") -> str | None:
    """A ratio as ffprobe writes it; None where it is not known."""
    return f"{value.numerator}/{value.denominator}" if value else None


def _stream_record(stream: "Stream", dumped: dict[str, str], limit: int) -> Record:
    context = stream.codec_context
    record: Record = {
        "type": "stream",
        "index": stream.index,
        "kind": None if stream.type == "unknown" else stream.type,
        "codec": dumped.get("codec") if context is None else context.codec.canonical_name,
        "width": None,
        "height": None,
        "frame_rate": None,
        "time_base": ratio(stream.time_base),
        "start_time_s": seconds(stream.start_time, stream.time_base),
        "duration_s": seconds(stream.duration, stream.time_base),
        "nb_frames": stream.frames or None,
        "bit_rate": getattr(context, "bit_rate", None),
        "codec_tag_string": dumped.get("tag"),
        "profile": getattr(context, "profile", None),
    }
    if stream.type == "video":
        _add_picture(record, stream, context)
        if "rotation" in dumped:
            record["rotation"] = float(dumped["rotation"])
    elif stream.type == "audio" and context is not None:
        _add_sound(record, context)
    # the names are those of ffprobe's `disposition`
    record["disposition"] = {flag.name: bool(stream.disposition & flag) for flag in type(stream.disposition)}
    record["tags"] = tags(stream.metadata, limit)
    return record


def _add_picture(record: Record, stream: Any, context: Any) -> None:
    bare = stream.container.format.name == "mpegvideo"  # without a container the average is FFmpeg's default, 25
    record["frame_rate"] = ratio(stream.guessed_rate if bare else stream.average_rate)
    record["r_frame_rate"] = ratio(stream.base_rate)
    if context is None:
        return
    record["width"], record["height"] = context.width, context.height
    shape = stream.sample_aspect_ratio
    record["sample_aspect_ratio"] = f"{shape.numerator}:{shape.denominator}" if shape else None
    record["pix_fmt"] = context.pix_fmt
    record["level"] = context.level if context.level != _NO_LEVEL else None


_NO_LEVEL = -99  # AV_LEVEL_UNKNOWN


def _add_sound(record: Record, context: Any) -> None:
    record["sample_rate"] = context.sample_rate or None
    record["channels"] = context.layout.nb_channels or None
    layout = context.layout.name
    record["channel_layout"] = None if layout.endswith("channels") else layout  # "2 channels": FFmpeg knows no more
    record["sample_fmt"] = context.format.name if context.format else None


def _dump(container: "InputContainer") -> dict[int, dict[str, str]]:
    """What PyAV has no attribute for, from the description that FFmpeg prints, by stream index.

    `codec` (also where there is no decoder), `tag`, and `rotation` in degrees.
    """
    import av.logging

    level = av.logging.get_level()
    av.logging.set_level(av.logging.INFO)  # FFmpeg gives its description to its log alone
    try:
        lines = container.dumps_format().splitlines()  # type: ignore[attr-defined]  # PyAV's stubs lack it
    finally:
        av.logging.set_level(level)
    found: dict[int, dict[str, str]] = {}
    current: dict[str, str] = {}
    for line in lines:
        if header := _DUMPED_STREAM.match(line):
            current = found[int(header["index"])] = {"codec": header["codec"]} if header["codec"] != "none" else {}
            if tag := _DUMPED_TAG.search(line):
                current["tag"] = tag[1]
        elif turned := _DUMPED_ROTATION.match(line):
            current["rotation"] = turned[1]
    return found


# lines of tags are indented deeper than those of streams, and have a colon before their value
_DUMPED_STREAM = re.compile(r"  Stream #0:(?P<index>\d+)[^ ]*: \w+: (?P<codec>\w+)")
_DUMPED_TAG = re.compile(r" \(([^()]*) / 0x[0-9A-F]{4,8}\)")
_DUMPED_ROTATION = re.compile(r"      [Dd]isplay ?[Mm]atrix: rotation of (-?[\d.]+) degrees")
