"""Tags: RFC 9559, 5.1.8, under the names that FFmpeg gives them; and chapters, 5.1.7."""

import datetime
from collections.abc import Callable, Iterable
from typing import Any

from memx.formats.video.assembly import Tags, limited
from memx.formats.video.clock import NO_TIME
from memx.formats.video.matroska.ebml import Place
from memx.formats.video.matroska.header import Segment
from memx.records import Record, text

_NAMES = {"LEAD_PERFORMER": "performer", "PART_NUMBER": "track"}
_EPOCH = datetime.datetime(2001, 1, 1, tzinfo=datetime.UTC)
_NANOSECONDS = 1_000_000_000
_MOST_NAME = 1023


def shown(value: Any) -> Any:
    """Text of the file as records have it: one that is too long is named, not read."""
    return {"bulk": True, "length": value.length} if isinstance(value, Place) else text(value)


def file_tags(segment: Segment) -> Tags:
    """The tags of the file that are no Tags: its title, what wrote it, and when."""
    tags, info = Tags(), segment.info
    if "title" in info:
        tags.put("title", shown(info["title"]))
    if "muxer" in info:
        tags.put("encoder", shown(info["muxer"]))
    date = info.get("date")
    if isinstance(date, bytes) and len(date) == 8:
        written = _date(int.from_bytes(date, "big", signed=True))
        if written is not None:
            tags.put("creation_time", written)
    return tags


def _date(nanoseconds: int) -> str | None:
    """DateUTC: nanoseconds since the beginning of 2001."""
    microseconds = abs(nanoseconds) // 1000 * (1 if nanoseconds >= 0 else -1)
    try:
        date = _EPOCH + datetime.timedelta(microseconds=microseconds)
    except OverflowError:
        return None
    return date.strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def distribute(segment: Segment, target: Callable[[str, int], Iterable[Tags]], overall: Tags) -> None:
    """Puts each tag where it belongs: `target` gives the Tags of the tracks, chapters or attachments of a UID."""
    for tag in segment.tags:
        targets = tag.get("targets", {})
        prefix = b""
        for kind in ("attachment", "chapter", "track"):
            uid = targets.get(kind)
            if uid:
                found = list(target(kind, uid))
                break
        else:
            found, prefix = [overall], targets.get("type") or b""
        for tags in found:
            _add(tag.get("tags", []), tags, prefix if isinstance(prefix, bytes) else b"")
            _rename(tags)


def _add(simple: list[dict[str, Any]], tags: Tags, prefix: bytes) -> None:
    for tag in simple:
        name = tag.get("name")
        if not isinstance(name, bytes):
            continue
        key = (prefix + b"/" + name if prefix else name)[:_MOST_NAME]
        language = tag.get("language")
        spoken = language if isinstance(language, bytes) and language not in (b"und", b"") else b""
        keys = [key] if tag.get("default") or not spoken else []
        if spoken:
            keys.append((key + b"-" + spoken)[:_MOST_NAME])
        for full in keys:
            if "value" in tag:
                tags.put(text(full), shown(tag["value"]))
            _add(tag.get("tags", []), tags, full)


def _rename(tags: Tags) -> None:
    if any(name.upper() in _NAMES for name in tags):
        renamed = [(_NAMES.get(name.upper(), name), value) for name, value in tags.items()]
        tags.clear()
        for name, value in renamed:
            tags.put(name, value)


class Chapter:
    """A chapter as FFmpeg takes it; times are in nanoseconds."""

    def __init__(self, uid: int, start: int, end: int, title: Any) -> None:
        self.uid, self.start, self.end = uid, start, end
        self.tags = Tags()
        if title is not None:
            self.tags.put("title", shown(title))

    def record(self, limit: int) -> Record:
        """The `chapter` record; longer tags than `limit` are left out."""
        tags = limited(self.tags, limit)
        return {
            "type": "chapter",
            "id": self.uid - (1 << 64) if self.uid >> 63 else self.uid,
            "title": tags.get("title"),
            "time_base": f"1/{_NANOSECONDS}",
            "start": self.start,
            "start_s": self.start / _NANOSECONDS,
            "end": None if self.end == NO_TIME else self.end,
            "end_s": None if self.end == NO_TIME else self.end / _NANOSECONDS,
            "tags": tags,
        }


def chapters(segment: Segment) -> list[Chapter]:
    """The chapters of all editions, of the outermost level, as far as each begins behind the ones before it."""
    found: list[Chapter] = []
    latest = 0
    for edition in segment.editions:
        for atom in edition.get("chapters", []):
            start, end, uid = atom.get("start"), atom.get("end"), atom.get("uid")
            if start is None or not uid or (latest and start <= latest):
                continue
            latest = start
            if end is not None and end < start:
                continue
            title = atom.get("display", {}).get("title")
            found.append(Chapter(uid, start, NO_TIME if end is None else end, title))
    return found


def close_chapters(found: list[Chapter], start: int, duration: int) -> None:
    """Ends chapters that have no end where the next begins, or at the end of the file; microseconds."""
    last = duration + (0 if start == NO_TIME else start) if duration > 0 else 0
    ordered = sorted(found, key=lambda chapter: (chapter.start, chapter.uid))
    for number, chapter in enumerate(ordered):
        if chapter.end != NO_TIME:
            continue
        end = last * 1000 if last else None
        following = ordered[number + 1].start if number + 1 < len(ordered) else None
        if following is not None and following > chapter.start and (end is None or following < end):
            end = following
        chapter.end = chapter.start if end is None or end < chapter.start else end
