"""What stands around the clusters of a segment: RFC 9559, section 5.1 and figure 1."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from memx.errors import CorruptFile
from memx.formats.base import fault
from memx.formats.video.matroska import elements
from memx.formats.video.matroska.ebml import Element, Field, Headers, element
from memx.formats.video.packets import NotKnown
from memx.formats.video.window import Window
from memx.records import Record
from memx.sources import Source

_MASTERS: dict[int, Mapping[int, Field]] = {
    elements.SEEK_HEAD: elements.SEEK_HEAD_FIELDS,
    elements.INFO: elements.INFO_FIELDS,
    elements.TRACKS: elements.TRACKS_FIELDS,
    elements.TAGS: elements.TAGS_FIELDS,
    elements.CHAPTERS: elements.CHAPTERS_FIELDS,
    elements.ATTACHMENTS: elements.ATTACHMENTS_FIELDS,
}
_MOST_ELEMENTS = 1 << 12
"""Elements before the first cluster."""
_MOST_SEEKS = 1 << 10
_ONCE = frozenset((elements.INFO, elements.TRACKS, elements.CHAPTERS, elements.ATTACHMENTS, elements.CUES))
"""Elements that a seek head leads to only where none was read: FFmpeg takes there to be one."""


@dataclass(slots=True)
class Segment:
    """A segment, but for its clusters: masters as dictionaries of their fields (see `elements`)."""

    begin: int = 0
    end: int | None = None
    """None: it says not how long it is."""
    first_cluster: int | None = None
    info: dict[str, Any] = field(default_factory=dict)
    tracks: list[dict[str, Any]] = field(default_factory=list)
    tags: list[dict[str, Any]] = field(default_factory=list)
    editions: list[dict[str, Any]] = field(default_factory=list)
    attachments: list[dict[str, Any]] = field(default_factory=list)
    seeks: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Record] = field(default_factory=list)


class HeaderReader:
    """Reads the header of a file and of its segment, and what seek heads lead to behind the clusters."""

    def __init__(self, source: Source, limit: int) -> None:
        self._window = Window(source)
        self._headers = Headers(self._window, limit)
        self._read: set[tuple[int, int]] = set()

    def read(self) -> Segment:
        """The segment. CorruptFile where there is none; NotKnown for what is left to FFmpeg."""
        begin = self._file_header()
        found = element(self._window, begin)
        while found is not None and found.id != elements.SEGMENT and found.end is not None:
            found = element(self._window, found.end)
        if found is None or found.id != elements.SEGMENT:
            raise CorruptFile("there is no segment", offset=begin)
        segment = Segment(found.body, found.end)
        if found.end is not None and found.end < self._window.size:
            raise NotKnown("bytes behind the segment")
        self._before_clusters(segment)
        self._seek(segment)
        return segment

    def _file_header(self) -> int:
        """The EBML header (RFC 8794, 11.2); where it ends."""
        found = element(self._window, 0)
        if found is None or found.id != elements.HEADER or found.end is None:
            raise CorruptFile("there is no EBML header", offset=0)
        values = self._headers.master(found, elements.HEADER_FIELDS)
        if (values.get("read_version") or 1) > 1 or (values.get("doctype_read_version") or 1) > 3:
            raise NotKnown("a later version of EBML or Matroska")
        if (values.get("id_length") or 4) > 4 or (values.get("size_length") or 8) > 8:
            raise NotKnown("identifiers or sizes longer than those of Matroska")
        return found.end

    def _before_clusters(self, segment: Segment) -> None:
        at, end = segment.begin, self._window.size if segment.end is None else min(segment.end, self._window.size)
        for _ in range(_MOST_ELEMENTS):
            if at >= end:
                return
            try:
                found = element(self._window, at)
                if found is None:
                    return
                if found.id == elements.CLUSTER:
                    segment.first_cluster = at
                    return
                if found.end is None or found.end > end:
                    raise CorruptFile(f"the element 0x{found.id:X} at {at} reaches beyond the segment", offset=at)
                self._take(segment, found)
                at = found.end
            except CorruptFile as exc:
                if not segment.tracks:
                    raise
                segment.faults.append(fault(exc.code, exc.message, exc.offset))
                segment.first_cluster = at  # the walk of the clusters finds its way from there
                return
        raise NotKnown("very many elements before the first cluster")

    def _seek(self, segment: Segment) -> None:
        """Reads what seek heads lead to, and was not read yet (5.1.1); what is broken there ends that."""
        done = 0
        while done < min(len(segment.seeks), _MOST_SEEKS):
            seek = segment.seeks[done]
            done += 1
            name, position = int.from_bytes(seek.get("id") or b"", "big"), seek.get("position")
            at = segment.begin + (position or 0)
            if name not in _MASTERS or position is None or at >= self._window.size:
                continue
            if (name, at) in self._read or (name in _ONCE and any(known == name for known, _ in self._read)):
                continue
            try:
                found = element(self._window, at)
                if found is None or found.id == elements.CLUSTER:
                    return
                self._take(segment, found)
            except CorruptFile:
                return

    def _take(self, segment: Segment, found: Element) -> None:
        """Adds what the element says to the segment."""
        self._read.add((found.id, found.at))
        fields = _MASTERS.get(found.id)
        if fields is None:
            return
        values = self._headers.master(found, fields)
        if found.id == elements.INFO:
            segment.info |= values
        else:
            for name, value in values.items():
                getattr(segment, name).extend(value)
