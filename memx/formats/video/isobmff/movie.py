"""The movie box: headers, tracks, edit lists, and where the sample tables lie.

ISO/IEC 14496-12, 8.2 to 8.6; QuickTime File Format, "Movie Atoms". The walk descends into every known box, wherever
it stands, as FFmpeg's does.
"""

import math
import struct
import time
import zlib
from collections.abc import Callable
from typing import ClassVar

from memx.errors import CorruptFile, OverLimit
from memx.formats.base import BelongsTo
from memx.formats.video.isobmff.boxes import Box, Inflated, Space, boxes
from memx.formats.video.isobmff.descriptions import DescriptionReader
from memx.formats.video.isobmff.metadata import MetadataReader
from memx.formats.video.isobmff.model import Edit, Movie, Table, Tags, Track, TrackDefaults
from memx.formats.video.isobmff.names import language
from memx.records import text

_DEEPEST = 10
_MOST_TRACKS = 1000
_MOST_BOXES = 1 << 20
_LONGEST_MOVIE = 1 << 24
"""Bytes that a compressed movie may inflate to."""
_MANIFEST = bytes.fromhex("a5d40b30e81411ddba2f0800200c9a66")
_UNIX = 2082844800
"""Seconds from 1904 to 1970."""
_UNKNOWN_TIME = {4: (1 << 32) - 1, 8: (1 << 64) - 1}
_LONGEST_NAME = 1 << 12
_HEADER = 8
_STRUCTURE = frozenset(b"moov trak mdia minf stbl".split())
"""What holds boxes and nothing else; in others writers leave all kinds of fillings."""
_CONTAINERS = frozenset(b"moov trak mdia minf dinf edts stbl udta tref mvex".split())


class MovieReader:
    """Reads `moov` into a `Movie`; one for each file.

    Raises CorruptFile or TruncatedFile where FFmpeg would not open the file either, and BelongsTo("video") where
    it has to be asked.
    """

    def __init__(self, movie: Movie, limit: int) -> None:
        self.movie = movie
        self.broken: CorruptFile | None = None
        """The first place where no box stands that ought to; FFmpeg passes over what is behind it in silence."""
        self._metadata = MetadataReader(movie, limit)
        self._track: Track | None = None
        self._boxes_left = _MOST_BOXES

    def read(self, space: Space, box: Box, depth: int = 0, *, itunes: bool = False) -> None:
        """All that is in `box`."""
        if depth > _DEEPEST:
            raise CorruptFile("boxes nest too deep", offset=box.at)
        reached = box.body
        for inner in boxes(space, box.body, box.end):
            if inner.kind in (b"trak", b"mdat") and box.kind != b"moov":
                return  # a broken file: what follows belongs to the outside
            reached = inner.end
            self._boxes_left -= 1
            if self._boxes_left < 0:
                raise CorruptFile(f"the movie box holds more than {_MOST_BOXES} boxes", offset=inner.at)
            handler = self._HANDLERS.get(inner.kind)
            if handler is not None:
                handler(self, space, inner, depth)
            elif inner.kind in _CONTAINERS:
                self.read(space, inner, depth + 1)
            elif box.kind in (b"udta", b"ilst"):
                self._metadata.item(space, inner, self._tags(), itunes=itunes)
            elif inner.kind == b"keys" and box.kind == b"meta" and self.movie.has_keys:
                self._metadata.keys(space, inner)
        if box.kind in _STRUCTURE and box.end - reached >= _HEADER and self.broken is None:
            place = f"no box begins at {reached}, inside the {box.kind.decode()} box at {box.at}"
            self.broken = CorruptFile(place, offset=reached)

    def file_type(self, space: Space, box: Box) -> None:
        """The `ftyp` box (4.3)."""
        if self.movie.tracks:
            return
        data = space.body(box, _LONGEST_NAME)
        if len(data) < 8:
            raise CorruptFile("the file type box is too short", offset=box.at)
        brand, tags = data[:4].split(b"\0")[0], self.movie.tags
        self.movie.isom = self.movie.isom or brand != b"qt  "
        tags.put("major_brand", text(brand))
        tags.put("minor_version", str(int.from_bytes(data[4:8], "big")))
        tags.put("compatible_brands", text(data[8:].split(b"\0")[0]))
        self.movie.qt_compatible = b"qt  " in data[8:].split(b"\0")[0]

    def _tags(self) -> Tags:
        return self.movie.tags if self._track is None else self._track.tags

    def _last(self) -> Track | None:
        """The track that a box belongs to: FFmpeg asks which was the last one, and so the box may stand outside too."""
        return self.movie.tracks[-1] if self.movie.tracks else None

    def _movie_header(self, space: Space, box: Box, _depth: int) -> None:
        """8.2.2."""
        long = space.number(box.body, 1) == 1
        data, at = space.body(box, 128), 20 if long else 12
        self._creation(data, self.movie.tags, long=long)
        self.movie.time_scale = _positive(data[at : at + 4])
        at += (12 if long else 8) + 16
        if len(data) >= at + 36:
            self.movie.matrix = struct.unpack(">9i", data[at : at + 36])

    def _trak(self, space: Space, box: Box, depth: int) -> None:
        if len(self.movie.tracks) >= _MOST_TRACKS:
            raise OverLimit(f"there are more than {_MOST_TRACKS} tracks", offset=box.at)
        self._track = Track(len(self.movie.tracks))
        self.movie.tracks.append(self._track)
        self.read(space, box, depth + 1)
        self._track = None

    def _track_header(self, space: Space, box: Box, _depth: int) -> None:
        """8.3.2. The movie's matrix is applied behind the track's."""
        track = self._last()
        if track is None:
            return
        if track.id != -1:
            raise CorruptFile("a track has two headers", offset=box.at)
        data = space.body(box, 128).ljust(104, b"\0")
        at = 20 if data[0] == 1 else 12
        track.enabled, track.id = bool(data[3] & 1), int.from_bytes(data[at : at + 4], "big", signed=True)
        at += (16 if data[0] == 1 else 12) + 16
        if track.enabled:
            track.dispositions.add("default")
        mine, movies = struct.unpack(">9i", data[at : at + 36]), self.movie.matrix
        width, height = struct.unpack(">ii", data[at + 36 : at + 44])
        track.width, track.height = width >> 16, height >> 16
        shifts = (16, 16, 30)
        matrix = tuple(
            _signed(sum(mine[3 * row + k] * movies[3 * k + column] >> shifts[k] for k in range(3)))
            for row in range(3)
            for column in range(3)
        )
        if matrix != (1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30):
            track.matrix = matrix
            if width and height:
                across, down = math.hypot(matrix[0], matrix[3]), math.hypot(matrix[1], matrix[4])
                if 1 < across < 1 << 24 and 1 < down < 1 << 24 and abs(across / down - 1) > 0.01:
                    track.aspect = (across / down).as_integer_ratio()

    def _media_header(self, space: Space, box: Box, _depth: int) -> None:
        """8.4.2."""
        track = self._last()
        if track is None:
            return
        if track.time_scale:
            raise CorruptFile("a track has two media headers", offset=box.at)
        data = space.body(box, 64).ljust(36, b"\0")
        if data[0] > 1:
            raise CorruptFile(f"there is no media header of version {data[0]}", offset=box.at)
        long = data[0] == 1
        self._creation(data, track.tags, long=long)
        at, width = (20, 8) if long else (12, 4)
        track.time_scale = _positive(data[at : at + 4])
        duration = int.from_bytes(data[at + 4 : at + 4 + width], "big")
        track.duration = 0 if duration == _UNKNOWN_TIME[width] else duration if duration < 1 << 63 else 0
        tongue = language(int.from_bytes(data[at + 4 + width : at + 6 + width], "big"))
        if tongue is not None:
            track.tags.put("language", tongue)

    def _creation(self, data: bytes, tags: Tags, *, long: bool) -> None:
        seconds = int.from_bytes(data[4 : 12 if long else 8], "big")
        if not long and 0 < seconds < _UNIX:
            seconds += _UNIX  # written by those who count from 1970
        if not 0 < seconds < 1 << 38:
            return
        date = time.gmtime(seconds - _UNIX)
        tags.put("creation_time", f"{date.tm_year:04}-{time.strftime('%m-%dT%H:%M:%S', date)}.000000Z")

    def _handler(self, space: Space, box: Box, _depth: int) -> None:
        """8.4.3: what a track is; of `meta` outside tracks whether its items have names."""
        data, track = space.body(box, _LONGEST_NAME), self._track
        kind = data[8:12]
        if track is None:
            self.movie.has_keys = self.movie.has_keys or kind == b"mdta"
            return
        if kind in _KINDS:
            track.kind = _KINDS[kind]
        elif kind == b"m1a ":
            track.codec = "mp2"
        elif kind == b"MPEG":
            raise BelongsTo(
                "video", "an MPEG stream in a track"
            )  # an MPEG stream, its own container, in the media data
        name = data[24:]
        if name and name[0]:
            pascal = not self.movie.isom and name[0] == len(name) - 1
            track.tags.put("handler_name", text(name[pascal:].split(b"\0")[0]), overwrite=False)

    def _edit_list(self, space: Space, box: Box, _depth: int) -> None:
        """8.6.6."""
        track = self._last()
        if track is None or box.size < 8:
            return
        width = 8 if space.number(box.body, 1) == 1 else 4
        count = min(space.number(box.body + 4, 4), (box.size - 8) // (2 * width + 4))
        if count > _MOST_EDITS:
            raise BelongsTo("video", "an edit list of very many edits")
        edits = []
        for number in range(count):
            data = space.read(box.body + 8 + number * (2 * width + 4), 2 * width)
            begin = int.from_bytes(data[width:], "big", signed=True)
            edits.append(Edit(int.from_bytes(data[:width], "big", signed=width == 8), begin))
            if edits[-1].duration < 0:
                raise CorruptFile("an edit takes less than no time", offset=box.at)
        if edits:
            track.edits = tuple(edits)

    def _references(self, space: Space, box: Box, _depth: int) -> None:
        """A `chap` reference (QuickTime File Format, "Chapter Lists")."""
        data = space.body(box, 4 * _MOST_TRACKS)
        self.movie.chapter_tracks = struct.unpack(f">{len(data) // 4}i", data[: len(data) // 4 * 4])

    def _timecode(self, space: Space, box: Box, _depth: int) -> None:
        track = self._last()
        if track is not None and box.size >= 4:
            track.timecode_track = space.number(box.body, 4)

    def _data_references(self, space: Space, box: Box, _depth: int) -> None:
        """8.7.2: media in other files are nothing that this reader looks for."""
        for inner in boxes(space, box.body + 8, box.end):
            if inner.kind == b"alis" and inner.end - inner.at > 150:
                raise BelongsTo("video", "media in other files")

    def _defaults(self, space: Space, box: Box, _depth: int) -> None:
        """`trex`, 8.8.3."""
        if box.size >= 24:
            number, *values = struct.unpack(">5I", space.read(box.body + 4, 20))
            self.movie.defaults.setdefault(number, TrackDefaults(*values))

    def _description(self, space: Space, box: Box, _depth: int) -> None:
        track = self._last()
        if track is not None:
            if track.entries:
                raise CorruptFile("a track has two boxes of sample descriptions", offset=box.at)
            DescriptionReader(self.movie, track).read(space, box)

    def _table(self, space: Space, box: Box, _depth: int) -> None:
        """A sample table (8.6 and 8.7): only where it lies is kept."""
        track = self._track
        if track is None:
            return
        kind, width = box.kind, _WIDTHS[box.kind]
        count = min(space.number(box.body + 4, 4), max(0, box.size - 8) // width) if box.size >= 8 else 0
        table = Table(space, box.body + 8, count)
        if kind == b"stts":
            track.stts = table
        elif kind == b"ctts":
            track.ctts = table if count else track.ctts
        elif kind == b"stss":
            track.stss, track.sync_absent = (table, track.sync_absent) if count else (track.stss, True)
        elif kind == b"stps":
            track.stps = table if count else None
        elif kind == b"stsc":
            track.stsc = track.stsc or (table if count else None)
        elif track.stco is None and count:
            track.stco, track.offset_size = table, width

    def _sizes(self, space: Space, box: Box, _depth: int) -> None:
        """`stsz` and `stz2`, 8.7.3."""
        track = self._track
        if track is None:
            return
        fixed, count = struct.unpack(">II", space.read(box.body + 4, 8))
        track.sample_count = count
        track.size_bits = 32
        if box.kind == b"stz2":
            track.size_bits, fixed = fixed & 0xFF, 0
            if track.size_bits not in (4, 8, 16, 32):
                raise CorruptFile(f"sample sizes of {track.size_bits} bits are not possible", offset=box.at)
        track.fixed_size = fixed
        track.sample_size = track.sample_size or fixed
        if not fixed:
            track.sample_count = min(count, max(0, box.size - 12) * 8 // track.size_bits)
            track.sizes = Table(space, box.body + 12, track.sample_count)

    def _groups(self, space: Space, box: Box, _depth: int) -> None:
        """`sbgp` of type `rap `: random access points that are no sync samples (8.9.2; 10.4)."""
        track = self._track
        if track is None or box.size < 12 or space.read(box.body + 4, 4) != b"rap ":
            return
        at = box.body + (12 if space.number(box.body, 1) == 1 else 8)
        if at + 4 <= box.end:
            count = min(space.number(at, 4), (box.end - at - 4) // 8)
            track.rap = Table(space, at + 4, count) if count else track.rap

    def _kind(self, space: Space, box: Box, _depth: int) -> None:
        """8.10.4: what a track is for, by the roles of DASH (ISO/IEC 23009-1, 5.8.5.5)."""
        track = self._last()
        scheme, _, rest = space.body(box, _LONGEST_NAME)[4:].partition(b"\0")
        if track is not None and scheme.startswith(b"urn:mpeg:dash:role:2011"):
            for role, dispositions in _ROLES.items():
                if rest.startswith(role):
                    track.dispositions |= dispositions

    def _meta(self, space: Space, box: Box, depth: int) -> None:
        """8.11.1: in QuickTime no full box; what counts begins with the handler."""
        data = space.body(box, 4096)
        at = data.find(b"hdlr")
        if at >= 4:
            self.read(space, Box(b"meta", box.at, box.body + at - 4, box.end), depth + 1)

    def _items(self, space: Space, box: Box, depth: int) -> None:
        self.read(space, box, depth + 1, itunes=True)

    def _custom(self, space: Space, box: Box, _depth: int) -> None:
        if self.movie.tracks:
            self._metadata.custom(space, box)

    def _chapters(self, space: Space, box: Box, _depth: int) -> None:
        self._metadata.chapters(space, box)

    def _compressed(self, space: Space, box: Box, depth: int) -> None:
        """`cmov` (QuickTime File Format, "Compressed Movie Resources")."""
        head = space.body(box, 24)
        if len(head) < 24 or head[4:8] != b"dcom" or head[16:20] != b"cmvd":
            raise CorruptFile("a compressed movie box lacks what says how it is compressed", offset=box.at)
        if head[8:12] != b"zlib":
            raise CorruptFile("a movie box is compressed in a way that is not known", offset=box.at)
        length = int.from_bytes(head[20:24], "big")
        if length > _LONGEST_MOVIE or box.size > _LONGEST_MOVIE:
            raise BelongsTo("video", "a very long compressed movie box")
        try:
            data = zlib.decompressobj().decompress(space.read(box.body + 24, box.size - 24), length)
        except zlib.error as exc:
            raise CorruptFile(f"the compressed movie box cannot be inflated: {exc}", offset=box.at) from exc
        inflated = Space(Inflated(data))
        self.read(inflated, Box(b"moov", 0, 0, len(data)), depth + 1)

    def _vendor(self, space: Space, box: Box, _depth: int) -> None:
        """A Smooth Streaming manifest (PIFF 1.3) in a `uuid` box: the rates of the streams."""
        data = space.body(box) if self.movie.tracks and box.size > 20 else b""
        if data[:16] == _MANIFEST:
            for part in data[20:].split(b'systemBitrate="')[1:]:
                digits = part.split(b'"')[0]
                self.movie.bit_rates.append(int(digits) if digits.isdigit() and len(digits) < 12 else 0)

    def _ignore(self, _space: Space, _box: Box, _depth: int) -> None:
        pass

    _HANDLERS: ClassVar[dict[bytes, Callable[["MovieReader", Space, Box, int], None]]] = {
        b"mvhd": _movie_header,
        b"trak": _trak,
        b"tkhd": _track_header,
        b"mdhd": _media_header,
        b"hdlr": _handler,
        b"elst": _edit_list,
        b"chap": _references,
        b"tmcd": _timecode,
        b"dref": _data_references,
        b"trex": _defaults,
        b"stsd": _description,
        **dict.fromkeys((b"stts", b"ctts", b"stss", b"stps", b"stsc", b"stco", b"co64"), _table),
        b"stsz": _sizes,
        b"stz2": _sizes,
        b"sbgp": _groups,
        b"kind": _kind,
        b"meta": _meta,
        b"ilst": _items,
        b"----": _custom,
        b"chpl": _chapters,
        b"uuid": _vendor,
        b"cmov": _compressed,
        **dict.fromkeys((b"iinf", b"iloc"), _ignore),
    }


_KINDS = {b"vide": "video", b"soun": "audio", b"subp": "subtitle", b"clcp": "subtitle"}
_ROLES = {
    b"caption": {"hearing_impaired", "captions"},
    b"commentary": {"comment"},
    b"description": {"visual_impaired", "descriptions"},
    b"dub": {"dub"},
    b"forced-subtitle": {"forced"},
}
_WIDTHS = {b"stts": 8, b"ctts": 8, b"stss": 4, b"stps": 4, b"stsc": 12, b"stco": 4, b"co64": 8}
_MOST_EDITS = 1 << 12


def _positive(data: bytes) -> int:
    """A time scale; 1 where there is none."""
    value = int.from_bytes(data, "big", signed=True)
    return value if value > 0 else 1


def _signed(value: int) -> int:
    """The low 32 bits as a signed number."""
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)
