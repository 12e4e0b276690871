"""ffprobe's word on video: every stream, chapter and packet.

Debian's ffprobe and PyAV may carry different releases of FFmpeg. Where those are known to differ (`RELEASE`,
`_packets`) and they do carry different ones, a value that is not ffprobe's has to be PyAV's own, read here apart
from memx.
"""

import json
import re
import subprocess
from collections.abc import Iterator
from fractions import Fraction
from typing import Any

from tests.oracles import NotReadable

STREAM = {
    # memx: ffprobe
    "kind": "codec_type",
    "codec": "codec_name",
    "width": "width",
    "height": "height",
    "frame_rate": "avg_frame_rate",
    "r_frame_rate": "r_frame_rate",
    "time_base": "time_base",
    "start_time_s": "start_time",
    "duration_s": "duration",
    "nb_frames": "nb_frames",
    "bit_rate": "bit_rate",
    "codec_tag_string": "codec_tag_string",
    "profile": "profile",
    "sample_aspect_ratio": "sample_aspect_ratio",
    "pix_fmt": "pix_fmt",
    "level": "level",
    "sample_rate": "sample_rate",
    "channels": "channels",
    "channel_layout": "channel_layout",
    "sample_fmt": "sample_fmt",
}
RELEASE = {
    "duration_s",
    "start_time_s",
    "bit_rate",
    "nb_frames",
    "frame_rate",
    "r_frame_rate",
    "time_base",
    "sample_aspect_ratio",
}
"""Of streams, what FFmpeg 8 says otherwise than FFmpeg 5 in some files."""
PACKET = ("stream_index", "pts", "dts", "duration", "size", "pos")


def disagreements(path: Any, records: list[dict[str, Any]]) -> list[str]:
    """Where `records`, all that memx gave for the file, differ from `ffprobe`; none if nowhere."""
    probe = ffprobe(path)
    file = records[0]
    moving = [s for s in probe["streams"] if s.get("codec_type") == "video" and not s["disposition"]["attached_pic"]]
    if file["format"] != "video":
        return [f"ffprobe sees {moving[0].get('codec_name')} pictures, memx {file['format']}"] if moving else []
    raw = None if _release() == probe["release"] else pyav(path)
    found = list(_container(file, probe["format"], raw))
    found += _streams([r for r in records if r["type"] == "stream"], probe["streams"], raw)
    found += _chapters([r for r in records if r["type"] == "chapter"], probe["chapters"], raw)
    attached = {s["index"] for s in probe["streams"] if s["disposition"]["attached_pic"]}
    theirs = [_plain(p) for p in probe["packets"] if p["stream_index"] not in attached]
    mine = [{name: r[name] for name in (*PACKET, "keyframe")} for r in records if r["type"] == "packet"]
    if mine != theirs and not (raw and mine == raw["packets"] and _of_another_release(file, mine, theirs)):
        found += _packets(mine, theirs)
    return found


def _release() -> int:
    import av

    return av.library_versions["libavformat"][0]


def pyav(path: Any) -> dict[str, Any]:
    """What PyAV itself says where releases of FFmpeg differ: `RELEASE` of each stream, and every packet."""
    import av

    with av.open(f"file:{path}", container_options={"fflags": "-genpts"}, metadata_errors="replace") as container:
        streams = [
            {
                "duration_s": None if s.duration is None else float(s.duration * s.time_base),
                "start_time_s": None if s.start_time is None else float(s.start_time * s.time_base),
                "bit_rate": getattr(s.codec_context, "bit_rate", None),
                "nb_frames": s.frames,
                "frame_rate": str(getattr(s, "average_rate", None)),
                "r_frame_rate": str(getattr(s, "base_rate", None)),
                "time_base": str(s.time_base),
                "sample_aspect_ratio": str(getattr(s, "sample_aspect_ratio", None)).replace("/", ":"),
            }
            for s in container.streams
        ]
        duration = None if container.duration is None else container.duration / 1e6
        start = None if container.start_time is None else container.start_time / 1e6
        packets = [
            {
                "stream_index": p.stream_index,
                "pts": p.pts,
                "dts": p.dts,
                "duration": p.duration or None,
                "size": p.size,
                "pos": p.pos,
                "keyframe": p.is_keyframe,
            }
            for p in _demuxed(container)
            if not container.streams[p.stream_index].disposition & 0x400
        ]
        ends = [chapter["end"] for chapter in container.chapters()]
    return {
        "duration_s": duration,
        "start_time_s": start,
        "streams": streams,
        "packets": packets,
        "chapter_ends": ends,
    }


def _demuxed(container: Any) -> Iterator[Any]:
    """The packets up to where PyAV stops, its own empty ones left out."""
    import av

    try:
        for packet in container.demux():
            if packet.size or packet.pos is not None:
                yield packet
    except av.error.FFmpegError:
        return


def _plain(packet: dict[str, Any]) -> dict[str, Any]:
    """A packet of ffprobe's, in memx's words."""
    plain: dict[str, Any] = {name: packet.get(name) for name in PACKET}
    for name in ("size", "pos"):
        plain[name] = None if plain[name] is None else int(plain[name])
    return plain | {"keyframe": "K" in packet["flags"]}


def _of_another_release(file: dict[str, Any], mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> bool:
    """Whether packets differ as FFmpeg's releases do.

    FFmpeg 8 takes a sample's duration from `stts` and `trun`, FFmpeg 5 from its neighbours; it reads on where
    FFmpeg 5 stopped at a caption track; it gives a packet of AC-3 before it has seen the next one; and it reads DV
    and damaged Ogg pages in other steps.
    """

    def timeless(packets: list[dict[str, Any]]) -> list[dict[str, Any]]:
        return sorted((packet | {"duration": None} for packet in packets), key=lambda packet: packet["stream_index"])

    return file["container"] in ("ogg", "dv") or timeless(mine[: len(theirs)]) == timeless(theirs)


def ffprobe(path: Any) -> dict[str, Any]:
    """What ffprobe prints of `path`; raises NotReadable where it cannot."""
    sections = ["-show_library_versions", "-show_format", "-show_streams", "-show_chapters", "-show_packets"]
    command = ["ffprobe", "-v", "quiet", *sections, "-of", "json", f"file:{path}"]
    done = subprocess.run(command, capture_output=True, check=False)
    try:
        said: dict[str, Any] = json.loads(done.stdout.decode("utf-8", "replace"))
    except ValueError as exc:
        raise NotReadable(f"ffprobe prints no JSON: {exc}") from exc
    if "format" not in said:
        raise NotReadable(f"ffprobe cannot open it (status {done.returncode})")
    said["release"] = next(lib["major"] for lib in said["library_versions"] if lib["name"] == "libavformat")
    return said


def _container(file: dict[str, Any], theirs: dict[str, Any], raw: dict[str, Any] | None) -> Iterator[str]:
    if file["container"] != theirs["format_name"]:
        yield f"container: memx {file['container']}, ffprobe {theirs['format_name']}"
    for field, name in (("start_time_s", "start_time"), ("duration_s", "duration")):
        if not _same(file[field], theirs.get(name)) and not (raw and file[field] == raw.get(field)):
            yield f"{field}: memx {file[field]}, ffprobe {theirs.get(name)}"
    yield from _tags("container", file["tags"], theirs.get("tags", {}))


def _streams(mine: list[dict[str, Any]], theirs: list[dict[str, Any]], raw: dict[str, Any] | None) -> Iterator[str]:
    if len(mine) != len(theirs):
        yield f"streams: memx {len(mine)}, ffprobe {len(theirs)}"
    for record, stream in zip(mine, theirs, strict=False):
        where = f"stream {record['index']}"
        for field, name in STREAM.items():
            if field not in record or _same(record[field], stream.get(name)):
                continue
            if not (raw and field in RELEASE and _same(record[field], raw["streams"][record["index"]][field])):
                yield f"{where} {field}: memx {record[field]!r}, ffprobe {stream.get(name)!r}"
        for name, flag in stream["disposition"].items():
            if record["disposition"].get(name) != bool(flag):
                yield f"{where} disposition {name}: ffprobe {flag}"
        turned = [side["rotation"] for side in stream.get("side_data_list", []) if "rotation" in side]
        if turned != ([record["rotation"]] if "rotation" in record else []):
            yield f"{where} rotation: memx {record.get('rotation')}, ffprobe {turned}"
        yield from _tags(where, record["tags"], stream.get("tags", {}))


def _chapters(mine: list[dict[str, Any]], theirs: list[dict[str, Any]], raw: dict[str, Any] | None) -> Iterator[str]:
    if len(mine) != len(theirs):
        yield f"chapters: memx {len(mine)}, ffprobe {len(theirs)}"
    ends = raw["chapter_ends"] if raw else []
    for place, (record, told) in enumerate(zip(mine, theirs, strict=False)):
        newer = place < len(ends) and record["end"] == ends[place]  # releases differ in what ends the last one
        chapter = told | {"end": record["end"], "end_time": record["end_s"]} if newer else told
        for field, name in (("id", "id"), ("start", "start"), ("end", "end"), ("time_base", "time_base")):
            if record[field] != chapter[name]:
                yield f"chapter {record['id']} {field}: memx {record[field]}, ffprobe {chapter[name]}"
        for field, name in (("start_s", "start_time"), ("end_s", "end_time")):
            if not _same(record[field], chapter[name]):
                yield f"chapter {record['id']} {field}: memx {record[field]}, ffprobe {chapter[name]}"
        yield from _tags(f"chapter {record['id']}", record["tags"], chapter.get("tags", {}))


def _packets(mine: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> Iterator[str]:
    if len(mine) != len(theirs):
        yield f"packets: memx {len(mine)}, ffprobe {len(theirs)}"
    for number, (record, packet) in enumerate(zip(mine, theirs, strict=False)):
        for name in (name for name in record if record[name] != packet[name]):
            yield f"packet {number} {name}: memx {record[name]}, ffprobe {packet[name]}"


def _tags(where: str, mine: dict[str, Any], theirs: dict[str, str]) -> Iterator[str]:
    for key in sorted(mine.keys() | theirs.keys()):
        if theirs.get(key) == "[0][0][0][0]" or (key == "name" and key not in theirs):
            continue  # newer releases leave out a vendor_id of nothing, and read a track's name
        if _text(mine.get(key)) != _text(theirs.get(key)):
            yield f"{where} tag {key}: memx {mine.get(key)!r}, ffprobe {theirs.get(key)!r}"


def _text(value: Any) -> Any:
    """Text in which what is no UTF-8 looks the same from both sides."""
    return re.sub(r"(\\x[89a-f][0-9a-f]|\ufffd)+", "?", value) if isinstance(value, str) else value


def _same(mine: Any, theirs: Any) -> bool:
    """Whether a field says what ffprobe's does, which leaves out, or writes N/A for, what it does not know."""
    if theirs in (None, "N/A", "unknown", "0/0", "0:1", "None", "0", "[0][0][0][0]", -99, 0):
        return mine in (None, 0)
    if isinstance(mine, float):
        return abs(mine - float(theirs)) < 2e-6
    if isinstance(mine, str) and "/" in mine and re.fullmatch(r"\d+/\d+", theirs):
        return Fraction(mine) == Fraction(theirs)
    if isinstance(mine, str) and mine.endswith(("/1", ":1")):
        return theirs in (mine, mine[:-2])
    return str(mine) == str(theirs)
