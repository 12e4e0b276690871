"""Samples as packets, those of all streams interleaved as FFmpeg's demuxer reads them."""

import json
from collections.abc import Generator, Iterable, Iterator
from typing import TypeVar

from memx.formats.video.isobmff.edits import Entry, Span
from memx.formats.video.isobmff.model import Track
from memx.records import Record

_SECOND = 1_000_000
LINES = 256

_P = TypeVar("_P", Record, str)
Dated = tuple[int, int, int, _P]
"""Where a packet lies, its decoding time in microseconds, its size, and what is said of it: a record, or its line."""


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
    inv=1e6/time_scale
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
                dts * inv,
                size,
                f'{begin}{dts + shown if shown else told},"dts":{told},"duration":{duration or "null"},'
                f'"size":{size},"pos":{pos},"keyframe":{words[key]}',
            )


def interleaved(
    streams: list[Iterator[Dated[_P]]], file_end: int, parsed: list[bool], passed: int
) -> Generator[_P, None, tuple[int, int] | None]:
    """The packets of all streams: the one that lies first in the file, unless another is due a second earlier.

    Returns, where a packet reaches behind the end of the file, the place of its stream and where it ends. Behind one
    that begins there FFmpeg reads no more, unless that happens while it looks at packets: so many are `passed` over.
    Of packets that the file cuts off `parsed` streams make no key frames.
    """
    missing: tuple[int, int] | None = None
    heads: list[Dated[_P]] = []
    places: list[int] = []
    steps = []
    for place, stream in enumerate(streams):
        for head in stream:
            heads.append(head)
            places.append(place)
            steps.append(stream.__next__)
            break
    rest = range(1, len(heads))
    while heads:
        block: list[_P] = []
        append = block.append
        try:
            for _ in range(LINES):
                number, first = 0, heads[0]
                for other in rest:
                    head = heads[other]
                    if -_SECOND <= head[1] - first[1] <= _SECOND:
                        if head[0] < first[0]:
                            number, first = other, head
                    elif head[1] < first[1]:
                        number, first = other, head
                pos, time, size, packet = first
                if pos + size > file_end:
                    missing = places[number], pos + size
                    if pos >= file_end and not passed:
                        yield block
                        return missing
                    if pos < file_end:
                        append(_cut(packet, file_end - pos, parsed[places[number]]))
                    else:
                        passed -= 1
                else:
                    append(packet)
                heads[number] = steps[number]()
        except StopIteration:
            del heads[number], places[number], steps[number]
            rest = range(1, len(heads))
        yield block
    return missing


def _cut(packet: _P, size: int, parsed: bool) -> _P:
    """A packet of which the file holds only `size` bytes."""
    record: Record = json.loads(packet) if isinstance(packet, str) else packet
    discard = record.pop("discard", None)
    record.update(size=size, keyframe=record["keyframe"] and not parsed, corrupt=True)
    if discard:
        record["discard"] = True
    return json.dumps(record, separators=(",", ":")) + "\n" if isinstance(packet, str) else record


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
