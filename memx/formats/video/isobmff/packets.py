"""Samples as packets: one record each, those of all streams interleaved as FFmpeg's demuxer reads them."""

from collections.abc import Iterable, Iterator

from memx.formats.video.isobmff.edits import Entry
from memx.formats.video.isobmff.model import Track
from memx.records import Record

_SECOND = 1_000_000

Dated = tuple[int, int, Record]
"""Where a packet lies, its decoding time in microseconds, and its record."""


def packets(entries: Iterable[Entry], index: int, time_scale: int, track: Track) -> Iterator[Dated]:
    """The packets of one stream: the hot loop."""
    delayed = track.offsets
    half = time_scale // 2
    for pos, dts, size, duration, offset, key, discarded in entries:
        record = {
            "type": "packet",
            "stream_index": index,
            "pts": dts + offset + track.dts_shift if delayed else dts,
            "dts": dts,
            "duration": duration or None,
            "size": size,
            "pos": pos,
            "keyframe": key,
        }
        if discarded:
            record["discard"] = True
        yield pos, (dts * _SECOND + half) // time_scale, record


def interleaved(streams: list[Iterator[Dated]]) -> Iterator[Record]:
    """The packets of all streams: the one that lies first in the file, unless another is due a second earlier."""
    if len(streams) < 2:
        for stream in streams:
            for _, _, record in stream:
                yield record
        return
    heads = [(head, stream) for stream in streams if (head := next(stream, None)) is not None]
    while heads:
        place = 0
        (best_pos, best_time, record), stream = heads[0]
        for number in range(1, len(heads)):
            (pos, time, other), _ = heads[number]
            if (pos < best_pos) if abs(time - best_time) <= _SECOND else time < best_time:
                place, best_pos, best_time, record = number, pos, time, other
        stream = heads[place][1]
        yield record
        head = next(stream, None)
        if head is None:
            del heads[place]
        else:
            heads[place] = (head, stream)


def timed(entries: Iterable[Entry], end: int, fallback: int) -> Iterator[Entry]:
    """Entries without a duration last up to the next one, the last one up to `end`; else as long as `fallback`."""
    before: Entry | None = None
    for entry in entries:
        if before is not None:
            yield _lasting(before, entry[1], fallback)
        before = entry
    if before is not None:
        yield _lasting(before, end, fallback)


def _lasting(entry: Entry, end: int, fallback: int) -> Entry:
    if entry[3]:
        return entry
    duration = end - entry[1] if end >= entry[1] else 0
    return (*entry[:3], duration or fallback, *entry[4:])
