"""RIFF AVI and OpenDML AVI read by their structure: no payload but the first bytes of packets, no library."""

from collections.abc import Iterator
from fractions import Fraction
from itertools import chain, count, islice
from typing import Any

from memx.errors import CorruptFile, TruncatedFile
from memx.formats.base import BelongsTo
from memx.formats.extent import cut_off
from memx.formats.video.assembly import limited, packet_line, packet_record, stream_record
from memx.formats.video.avi.apart import Apart
from memx.formats.video.avi.chunks import Chunks
from memx.formats.video.avi.header import HeaderReader, Headers, chunk, read_info
from memx.formats.video.avi.index import Counter, Index, OldIndex, OpenIndex
from memx.formats.video.avi.packets import Demuxer
from memx.formats.video.avi.streams import FIRST_BYTES, Outline, Stream, outline, stream_of
from memx.formats.video.avi.survey import KeyFrames, Survey, survey
from memx.formats.video.clock import rescale
from memx.formats.video.demuxed import DemuxedReader, presented
from memx.formats.video.gathering import gathered, in_blocks
from memx.formats.video.probe import Presentation, estimate, probe
from memx.formats.video.window import Window
from memx.records import Record

CONTAINER = "avi"
_MOST_CHUNKS = 1 << 12
"""The first packet of a stream is looked for in so many chunks, and an index behind so many."""
_NEAR = 500
"""Offsets in an old index that lie closer than this before the first packet count from elsewhere."""


class AviStreamReader(DemuxedReader):
    """`stream` and `packet` records, as `memx.formats.video.library` gives them.

    - The media data are walked chunk by chunk, of which only headers and first bytes are read; indexes are walked
      beside them in windows, for key frames, and before them once, for bit rates.
    - In a summary there are no packets.
    - A file that ends early gives its packets up to there, and TruncatedFile.
    """

    extent = "avi"
    _given = 0
    """How many packets of the demuxer's queue were given."""

    def _open(self) -> dict[str, Any]:
        self._window = Window(self.source)
        headers = HeaderReader(self._window, self.options.max_value_bytes).read()
        kinds = [header.kind for header in headers.streams]
        if self.options.format is None and b"vids" not in kinds and b"auds" in kinds:
            raise BelongsTo("audio")
        if not kinds:
            raise CorruptFile("there are no streams", offset=headers.movi)
        size = self.source.size or 0
        self._limit = size if size >= headers.riff_end else headers.riff_end if headers.riff_end != 8 else 1 << 62
        self._firsts: dict[int, bytes] | None = None
        self._headers = headers
        outlines = [outline(header) for header in headers.streams]
        index = self._index(headers, [one.counter for one in outlines])
        self._found = found = self._survey(index, headers, outlines)
        streams = [stream_of(*one, self._first) for one in zip(headers.streams, count(), outlines, strict=False)]
        if size < headers.riff_end:
            for stream in streams:
                if stream.seen.duration > 0:
                    stream.seen.duration = rescale(stream.seen.duration * size, _part(headers.riff_end))
        _measure(found, streams, size)
        self._streams = streams
        chunks: Chunks | Apart = self._chunks(headers, max(stream.begin for stream in streams))
        if index is not None and (headers.must_use_index or found.apart) and any(one.count for one in found.streams):
            chunks = Apart(self.source, index, found, streams)
        self._demuxer = Demuxer(self.source, chunks, streams, _key_frames(index, found, streams))
        seen = [stream.seen for stream in streams]
        probe(seen, self._demuxer.packets(), self._demuxer.queue)
        shown = Presentation()
        estimate(seen, shown, size, headers.movi)
        return presented(CONTAINER, shown, limited(headers.tags, self.options.max_value_bytes))

    def _descriptions(self) -> Iterator[Record]:
        for stream in self._streams:
            yield stream_record(stream.index, stream.seen, stream.shown, self.options.max_value_bytes)

    def _blocks(self) -> Iterator[bytes]:
        """Up to the first packet that is cut off."""
        queue = self._demuxer.queue
        if self.options.summary:
            return
        yield from in_blocks(self._lines())
        if self._given == len(queue):
            queue.clear()
            self._given = 0
            yield from gathered(self._demuxer.add_lines)

    def _lines(self) -> Iterator[str]:
        """The packets that were looked at before."""
        queue = self._demuxer.queue
        while self._given < len(queue) and not queue[self._given].corrupt:
            yield packet_line(queue[self._given])
            self._given += 1

    def _ending(self) -> Iterator[Record]:
        """What is cut off. Raises TruncatedFile where the file ends early."""
        size, demuxer = self.source.size or 0, self._demuxer
        if not self.options.summary:
            for packet in chain(demuxer.queue[self._given :], demuxer.ending()):
                yield packet_record(packet) | ({"corrupt": True} if packet.corrupt else {})
            if demuxer.cut:
                raise TruncatedFile(f"the file ends at byte {size}, inside the last packet", offset=size)
        error = cut_off(self.source, "avi")
        if error is not None:
            raise error

    def _chunks(self, headers: Headers, begin: int = 0) -> Chunks:
        return Chunks(self.source, headers.movi + 4, self._limit, len(headers.streams), begin)

    def _first(self, number: int) -> bytes | None:
        """The first bytes of the first packet of a stream."""
        if self._firsts is None:
            self._firsts, chunks = {}, self._chunks(self._headers)
            for found in islice(chunks, _MOST_CHUNKS):
                if found[1] and found[0] not in self._firsts:
                    self._firsts[found[0]] = chunks.payload(found, FIRST_BYTES)
                if len(self._firsts) == len(self._headers.streams):
                    break
        return self._firsts.get(number) or self._first_of_index(number)

    def _first_of_index(self, number: int) -> bytes | None:
        """The same for a stream that begins late."""
        entry = self._found.streams[number].first if self._found.streams else None
        if entry is None:
            return None
        kind, size = chunk(self._window, entry.pos)
        same = kind[:2] == b"%02d" % number and size == entry.size
        return self.source.read_at(entry.pos + 8, min(size, FIRST_BYTES)) if same else None

    def _index(self, headers: Headers, counters: list[Counter]) -> Index | None:
        """The index that FFmpeg would load."""
        places = {number: header.index for number, header in enumerate(headers.streams) if header.index is not None}
        if places:
            return OpenIndex(self.source, counters, places)
        at, found = headers.movi_end, None
        for _ in range(_MOST_CHUNKS):
            kind, size = chunk(self._window, at)
            if not kind:
                break
            if kind == b"idx1" and found is None:
                found = OldIndex(self.source, counters, at + 8, size // 16)
            elif kind == b"LIST" and size >= 4:
                if self._window.read(at + 8, 4) == b"INFO":
                    read_info(self._window, at + 12, at + 8 + size, headers.tags, self.options.max_value_bytes)
            elif found is not None:
                break
            at += 8 + size + (size & 1)
        if found is not None:
            self._shift(headers, found)
        return found

    def _shift(self, headers: Headers, index: OldIndex) -> None:
        """Old indexes count offsets from the list, or from the file: the first packet tells."""
        first = next(iter(self._chunks(headers)), None)
        named = index.first()
        if first is not None and named is not None:
            begin = first[2] - 8
            if headers.movi + 4 != named or named + _NEAR > begin:
                index.shift = begin - named

    def _survey(self, index: Index | None, headers: Headers, outlines: list[Outline]) -> Survey:
        if index is None:
            return Survey()
        both = list(zip(headers.streams, outlines, strict=True))
        ticks = [float(header.base) / max(1, one.counter.sample_size) for header, one in both]
        pictures = [number for number, one in enumerate(outlines) if one.by_index]
        found = survey(index, ticks, [one.bit_rate for one in outlines], pictures)
        found.apart = found.apart or self._begins_late(found)
        return found

    def _begins_late(self, found: Survey) -> bool:
        """Whether a stream begins where another has ended, or chunks lie in each other (`guess_ni_flag`)."""
        begins, ends = [0], []
        for one in found.streams:
            if one.first is None or one.last is None:
                continue
            kind, length = chunk(self._window, one.first.pos)
            own = one.second is not None and kind[:2] == b"%02d" % one.first.stream
            if own and one.second is not None and one.first.pos + length > one.second.pos:
                return True
            if own and length == one.first.size + 8:
                return True
            begins.append(one.first.pos)
            ends.append(one.last.pos)
        return bool(ends) and max(begins) > min(ends)


def _measure(found: Survey, streams: list[Stream], size: int) -> None:
    """Bit rates by the index, where it is of the whole file (`calculate_bitrate`)."""
    if not found.streams:
        return
    last = max((one.last.pos for one in found.streams if one.last is not None), default=0)
    total = sum(one.size for one in found.streams)
    if last < rescale(size * 9, _part(10)) or total * 9 // 10 > last or total < last * 9 // 10:
        return
    for one, stream in zip(found.streams, streams, strict=True):
        if one.count < 2 or stream.bit_rate > 0 or one.first is None or one.last is None:
            continue
        duration = one.last.time - one.first.time
        if duration > 0:
            rate = rescale(8 * one.size, 1 / (duration * stream.seen.clock.base))
            stream.bit_rate, stream.seen.coding.bit_rate = rate, rate or None


def _key_frames(index: Index | None, found: Survey, streams: list[Stream]) -> dict[int, KeyFrames]:
    pictures = [stream for stream in streams if stream.seen.clock.kind == "video" and not stream.seen.clock.parsed]
    return {stream.index: KeyFrames(index, stream.index, found) for stream in pictures}


def _part(number: int) -> Fraction:
    return Fraction(1, number)
