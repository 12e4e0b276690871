"""Samples as packets, those of one stream."""

from collections.abc import Iterable, Iterator

from memx.formats.video.isobmff.edits import Entry, Span
from memx.formats.video.isobmff.interleaving import Dated
from memx.formats.video.isobmff.model import Track
from memx.records import Record

_SECOND = 1_000_000


def packet_records(spans: Iterable[Span], index: int, time_scale: int, track: Track) -> Iterator[Dated[Record]]:
    """The packets of one stream as records."""
    half, delayed = time_scale // 2, track.offsets
    for span in spans:
        for pos, dts, size, duration, offset, key, discarded in span:
            record: Record = {
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
            yield pos, (dts * _SECOND + half) // time_scale, size, record


def packet_lines(spans: Iterable[Span], index: int, time_scale: int, track: Track) -> Iterator[Dated[str]]:
    """The packets of one stream as lines of JSON, the same as those of their records: the hot loop."""
    half, begin = time_scale // 2, f'{{"type":"packet","stream_index":{index},"pts":'
    words = {False: "false}\n", True: "true}\n"}
    for span in spans:
        shift = span.shift
        for pos, dts, size, duration, offset, key, discarded in span.entries or ():
            pts = dts + offset + track.dts_shift if track.offsets else dts
            end = words[key] if not discarded else words[key][:-2] + ',"discard":true}\n'
            yield (
                pos,
                (dts * _SECOND + half) // time_scale,
                size,
                f'{begin}{pts},"dts":{dts},"duration":{duration or "null"},"size":{size},"pos":{pos},"keyframe":{end}',
            )
        later = track.dts_shift if track.offsets else 0
        for pos, decoded, size, duration, offset, key in span.samples or ():
            dts = decoded + shift
            told = str(dts)
            shown = offset + later
            yield (
                pos,
                (dts * _SECOND + half) // time_scale,
                size,
                f'{begin}{dts + shown if shown else told},"dts":{told},"duration":{duration or "null"},'
                f'"size":{size},"pos":{pos},"keyframe":{words[key]}',
            )


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
