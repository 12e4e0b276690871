"""Matroska and WebM read by their structure: RFC 9559. No payload but the first bytes of frames, no library."""

from collections.abc import Iterable, Iterator
from typing import Any

from memx.errors import CorruptFile, TruncatedFile
from memx.formats.base import BelongsTo
from memx.formats.extent import cut_off
from memx.formats.video.assembly import Tags, limited, packet_line, stream_record
from memx.formats.video.demuxed import DemuxedReader, presented
from memx.formats.video.gathering import in_blocks
from memx.formats.video.matroska.clusters import Block, Clusters
from memx.formats.video.matroska.demuxer import Demuxer
from memx.formats.video.matroska.ebml import Place
from memx.formats.video.matroska.encodings import Encoding
from memx.formats.video.matroska.header import HeaderReader, Segment
from memx.formats.video.matroska.tags import Chapter, chapters, close_chapters, distribute, file_tags
from memx.formats.video.matroska.tracks import FIRST_BYTES, Attachment, Track, attachment_of, track_of
from memx.formats.video.matroska.turns import Turns
from memx.formats.video.packets import NotKnown
from memx.formats.video.probe import Observed, Presentation, estimate, probe
from memx.records import Record

CONTAINER = "matroska,webm"
"""FFmpeg's name of the format."""
_SCALE = 1_000_000
_SECOND = 1_000_000
_LINE = 120
"""Bytes of the line of a packet, about."""
_MOST_BLOCKS = 1 << 12
"""The first packet of a track is looked for in so many blocks."""


class MatroskaStreamReader(DemuxedReader):
    """`stream`, `chapter` and `packet` records, as `memx.formats.video.library` gives them.

    - Of blocks only the headers are read, and the first bytes of frames where these tell what the container does
      not: key frames, kinds of pictures, lengths of sound.
    - In a summary there are no packets.
    - What is damaged is skipped up to the next cluster, and named by `error` records behind the packets; a file
      that ends early gives its packets up to there, and TruncatedFile.
    """

    extent = "matroska"

    def _open(self) -> dict[str, Any]:
        limit = self.options.max_value_bytes
        self._segment = segment = HeaderReader(self.source, limit).read()
        kinds = {entry.get("type") for entry in segment.tracks if entry.get("codec")}
        if self.options.format is None and 1 not in kinds and 2 in kinds:
            raise BelongsTo("audio")
        scale = segment.info.get("scale") or _SCALE
        self._streams = self._describe(segment, scale)
        tracks = [stream for stream in self._streams if isinstance(stream, Track)]
        if not self._streams:
            raise CorruptFile("there are no tracks", offset=segment.begin)
        clusters = self._clusters({t.number: t for t in tracks} | self._unwanted)
        self._demuxer = Demuxer(clusters, tracks, scale)
        seen = [stream.seen for stream in self._streams]
        probe(seen, self._demuxer.packets(), self._demuxer.queue)
        passed = max(1, clusters.at - (segment.first_cluster or 0))
        self._turns = Turns(self._demuxer, clusters, _LINE * max(1, len(self._demuxer.queue)) / passed)
        shown = self._present(segment, seen, scale)
        self._tags = file_tags(segment)
        self._chapters = chapters(segment)
        distribute(segment, self._owners, self._tags)
        close_chapters(self._chapters, shown.start, shown.duration)
        return presented(CONTAINER, shown, limited(self._tags, limit))

    def _descriptions(self) -> Iterator[Record]:
        limit = self.options.max_value_bytes
        for index, stream in enumerate(self._streams):
            yield stream_record(index, stream.seen, stream.shown, limit)
        for chapter in self._chapters:
            yield chapter.record(limit)

    def _blocks(self) -> Iterator[bytes]:
        if self.options.summary:
            return
        queue = self._demuxer.queue
        yield from in_blocks(map(packet_line, queue))
        queue.clear()
        yield from self._turns.blocks(self.options.accompany)

    def stretch(self, question: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        return self._turns.tell(question)

    def _ending(self) -> Iterator[Record]:
        """What was damaged. Raises TruncatedFile where the file ends before what it announces."""
        yield from self._segment.faults
        yield from self._demuxer.faults
        size = self.source.size or 0
        cut = cut_off(self.source, "matroska")
        if cut is None and self._demuxer.cut:
            cut = TruncatedFile(f"the file ends at byte {size}, inside a block", offset=size)
        if cut is not None:
            raise cut

    def _describe(self, segment: Segment, scale: int) -> list[Track | Attachment]:
        """The streams, in FFmpeg's order: tracks, then attachments."""
        self._unwanted: dict[int, None] = {}
        self._firsts: dict[int, tuple[bytes, int]] | None = None
        streams: list[Track | Attachment] = []
        for entry in segment.tracks:
            track = track_of(entry, len(streams), scale, self._first)
            if track is None:
                self._unwanted[entry.get("number") or 0] = None
            else:
                streams.append(track)
        for entry in segment.attachments:
            attachment = attachment_of(entry, self._beginning)
            if attachment is not None:
                streams.append(attachment)
        return streams

    def _beginning(self, place: Place, length: int) -> bytes:
        return self.source.read_at(place.offset, min(place.length, length))

    def _clusters(self, tracks: dict[int, Any]) -> Clusters:
        segment = self._segment
        end = self.source.size if segment.first_cluster is None else segment.end
        start = segment.first_cluster if segment.first_cluster is not None else end or 0
        return Clusters(self.source, start, end, tracks)

    def _first(self, number: int) -> tuple[bytes, int] | None:
        """The first bytes of the first packet of a track, and its size."""
        if self._firsts is None:
            self._firsts = self._find_firsts()
        return self._firsts.get(number)

    def _find_firsts(self) -> dict[int, tuple[bytes, int]]:
        numbers = {entry.get("number") or 0: entry for entry in self._segment.tracks}
        clusters = self._clusters({number: number for number in numbers})
        found: dict[int, tuple[bytes, int]] = {}
        for count, block in enumerate(clusters.blocks()):
            number, laced = block[0], block[3]
            if number not in found and not laced:
                found[number] = self._first_of(numbers[number], clusters, block)
            if len(found) == len(numbers) or count > _MOST_BLOCKS:
                break
        return found

    def _first_of(self, entry: dict[str, Any], clusters: Clusters, block: Block) -> tuple[bytes, int]:
        encoding, size = Encoding.of(entry), block[5]
        if encoding.unpacker is not None:
            unpacked = encoding.unpacked(clusters.payload(block, size), FIRST_BYTES)
            if unpacked is None:
                raise NotKnown("a first packet that cannot be unpacked")
            return unpacked
        return encoding.lead + clusters.payload(block, FIRST_BYTES), size + len(encoding.lead)

    def _present(self, segment: Segment, seen: list[Observed], scale: int) -> Presentation:
        duration = segment.info.get("duration") or 0.0
        shown = Presentation()
        if duration > 0 and duration * scale < 1 << 63:
            shown.duration = int(duration * scale * 1000 / _SECOND)
        estimate(seen, shown, self.source.size or 0, segment.first_cluster or 0)
        return shown

    def _owners(self, kind: str, uid: int) -> Iterable[Tags]:
        """The tags of what a UID stands for."""
        if kind == "chapter":
            return [chapter.tags for chapter in self._chapters if _same(chapter, uid)]
        wanted = Track if kind == "track" else Attachment
        return [stream.shown.tags for stream in self._streams if isinstance(stream, wanted) and stream.uid == uid]


def _same(chapter: Chapter, uid: int) -> bool:
    return chapter.uid == uid
