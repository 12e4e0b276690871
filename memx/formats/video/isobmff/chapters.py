"""Chapters, and the time codes of `tmcd` tracks, which are read from samples.

QuickTime File Format, "Chapter Lists" and "Timecode Media".
"""

from memx.formats.base import BelongsTo
from memx.formats.video.isobmff.film import Film
from memx.formats.video.isobmff.model import Chapter, Track
from memx.formats.video.isobmff.times import rescale
from memx.records import Record, text

_MOST_CHAPTERS = 1 << 16
_DROP_FRAME, _24_HOURS = 1, 2


def read_chapter_tracks(film: Film, limit: int) -> None:
    """Makes chapters of the tracks that others refer to for that; pictures among them become attached pictures.

    Raises BelongsTo("video") where there are more than anybody can have meant.
    """
    movie = film.movie
    for number in movie.chapter_tracks:
        track = next((track for track in movie.tracks if track.id == number and not track.attached), None)
        if track is None:
            continue
        if track.kind == "video":
            track.attached = True
            track.dispositions |= {"attached_pic", "timed_thumbnails"}
        else:
            track.kind, track.codec, track.discarded = "data", "bin_data", True
            _chapters(film, track, limit)


def _chapters(film: Film, track: Track, limit: int) -> None:
    before: tuple[int, int, int, int] | None = None
    for number, (pos, start, size, *_) in enumerate(film.entries(track)):
        if before is not None:
            _chapter(film, track, before, start, limit)
        if number >= _MOST_CHAPTERS:
            raise BelongsTo("video", "very many chapters")
        before = (number, pos, start, size)
    if before is not None:
        _chapter(film, track, before, track.duration, limit)


def _chapter(film: Film, track: Track, sample: tuple[int, int, int, int], end: int, limit: int) -> None:
    """A text sample: two bytes of length, then UTF-8, or UTF-16 behind a byte order mark."""
    number, pos, start, size = sample
    if pos + 2 > film.space.end:
        return
    length = film.space.number(pos, 2)
    if length > size - 2:
        return
    raw = film.space.upto(pos + 2, min(length, limit))
    if raw[:2] in (b"\xfe\xff", b"\xff\xfe"):
        title = raw[: len(raw) // 2 * 2].decode("utf-16", "replace").split("\0")[0]
    else:
        title = text(raw.split(b"\0")[0])
    film.movie.chapters[number] = Chapter(track.time_scale, start, end if end >= start else None, title)


def chapter_records(film: Film, start: int | None, duration: int | None) -> list[Record]:
    """The records; `start` and `duration` of the film are in microseconds, and end the last chapter."""
    chapters = sorted(film.movie.chapters.items())
    in_time = sorted((chapter for _, chapter in chapters), key=lambda c: c.start / c.scale)
    last = (duration or 0) + (start or 0) if duration and duration > 0 else 0
    records = []
    for number, chapter in chapters:
        end = chapter.end
        if end is None:
            end = rescale(last, chapter.scale, 1_000_000) if last else None
            place = next(i for i, other in enumerate(in_time) if other is chapter)
            if place + 1 < len(in_time):
                following = rescale(in_time[place + 1].start, chapter.scale, in_time[place + 1].scale)
                if following > chapter.start and (end is None or following < end):
                    end = following
            end = chapter.start if end is None or end < chapter.start else end
        title = chapter.title
        records.append(
            {
                "type": "chapter",
                "id": number,
                "title": title,
                "time_base": f"1/{chapter.scale}",
                "start": chapter.start,
                "start_s": chapter.start / chapter.scale,
                "end": end,
                "end_s": end / chapter.scale,
                "tags": {} if title is None else {"title": title},
            }
        )
    return records


def read_timecodes(film: Film) -> None:
    """Puts time codes into the tags of their tracks, of the pictures that refer to them, or of the movie."""
    movie = film.movie
    for track in movie.tracks:
        if track.tag == b"tmcd" and track.timecode is not None:
            first = next(film.entries(track), None)
            code = None if first is None else _timecode(film, first[0], track.timecode)
            if code is not None:
                track.tags.put("timecode", code)
    for track in movie.tracks:
        source = next((t for t in movie.tracks if 0 < track.timecode_track == t.id and t is not track), None)
        if source is not None and "timecode" in source.tags:
            track.tags.put("timecode", source.tags["timecode"])
    referred = {track.timecode_track for track in movie.tracks if track.kind == "video"}
    for track in movie.tracks:
        if track.tag == b"tmcd" and track.index + 1 not in referred and "timecode" in track.tags:
            movie.tags.put("timecode", track.tags["timecode"])
            break


def _timecode(film: Film, pos: int, counts: tuple[int, int, int, int]) -> str | None:
    """The first sample is a number of frames; it is written as hours, minutes, seconds and frames (SMPTE 12M)."""
    flags, scale, duration, frames = counts
    if not (0 < scale < 1 << 31 and 0 < duration < 1 << 31 and frames) or pos + 4 > film.space.end:
        return None
    rate = (scale + duration // 2) // duration
    drop = flags & _DROP_FRAME
    if rate <= 0 or (drop and rate % 30):
        return None
    if frames == scale // duration:
        frames = rate
    number = rescale(film.space.number(pos, 4), rate, frames)
    if drop:
        dropped, ten_minutes = rate // 30 * 2, rate // 30 * 17982
        tens, rest = divmod(number, ten_minutes)
        number += 9 * dropped * tens + dropped * int((rest - dropped) / (ten_minutes // 10))
    seconds, frame = divmod(number, rate)
    hours = seconds // 3600 % 24 if flags & _24_HOURS else seconds // 3600
    width = 5 if rate > 10000 else 4 if rate > 1000 else 3 if rate > 100 else 2 if rate > 10 else 1
    return f"{hours:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{';' if drop else ':'}{frame:0{width}}"
