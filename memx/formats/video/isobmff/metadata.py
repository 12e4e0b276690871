"""User data and metadata items: `udta`, `ilst`, `keys`, `chpl`, `loci` (QuickTime File Format, "User Data Atoms" and
"Metadata"; 3GPP TS 26.244, 8; iTunes' items, which no standard describes), under FFmpeg's names for them.
"""

import struct
from collections.abc import Callable
from typing import Any

from memx.formats.video.isobmff.boxes import Box, Space, boxes
from memx.formats.video.isobmff.genres import GENRES
from memx.formats.video.isobmff.model import Chapter, Movie, Tags, Track
from memx.formats.video.isobmff.names import language
from memx.records import text

_NAMES = {
    line.split()[0].replace("@", "\xa9").encode("latin-1"): line.split()[1]
    for line in """
aART album_artist
akID account_type
apID account_id
catg category
cpil compilation
cprt copyright
desc description
disk disc
egid episode_uid
gnre genre
hdvd hd_video
keyw keywords
ldes synopsis
manu make
modl model
name name
pcst podcast
pgap gapless_playback
purd purchase_date
rtng rating
soaa sort_album_artist
soal sort_album
soar sort_artist
soco sort_composer
sonm sort_name
sosn sort_show
stik media_type
trkn track
tven episode_id
tves episode_sort
tvnn network
tvsh show
tvsn season_number
@ART artist
@PRD producer
@alb album
@aut artist
@chp chapter
@cmt comment
@com composer
@cpy copyright
@day date
@dir director
@dis disclaimer
@ed1 edit_date
@enc encoder
@fmt original_format
@gen genre
@grp grouping
@hst host_computer
@inf comment
@lyr lyrics
@mak make
@mod model
@nam title
@ope original_artist
@prd producer
@prf performers
@req playback_requirements
@src original_source
@st3 subtitle
@swr encoder
@too encoder
@trk track
@url URL
@wrn warning
@wrt composer
@xyz location
""".strip().splitlines()
} | {b"@PRM": "premiere_version", b"@PRQ": "quicktime_version", b"FIRM": "firmware"}
_RAW = frozenset((b"@PRM", b"@PRQ", b"FIRM"))
"""Texts without a length and a language before them."""
_BYTES = frozenset(b"akID cpil egid hdvd pcst pgap rtng stik".split())
_PADDED_BYTES = frozenset(b"tves tvsn".split())
_PAIRS = frozenset(b"disk trkn".split())
_ARTWORK = "com.apple.quicktime.artwork"
_PICTURES = {0x0D: "mjpeg", 0x0E: "png", 0x1B: "bmp"}
"""Well-known types of `covr` items."""
_HEX = frozenset(b"0123456789abcdefABCDEF")
_MOST_KEYS = 1 << 16
_LONGEST_KEY = 1 << 10


class MetadataReader:
    """Puts what it reads into a movie's, or a track's, tags.

    A text longer than `limit` bytes is not read: its tag says where it lies.
    """

    def __init__(self, movie: Movie, limit: int) -> None:
        self._movie = movie
        self._limit = limit

    def item(self, space: Space, box: Box, tags: Tags, *, itunes: bool) -> None:
        """An item of `ilst` (where `itunes`) or of `udta`."""
        if box.kind == b"loci":
            self._location(space, box)
        elif box.kind == b"HMMT":
            self._moments(space, box)
        elif itunes and box.size > 8:
            self._data_items(space, box, tags)
        elif (name := _NAMES.get(box.kind)) is not None:
            self._user_data(space, box, name, tags)

    def keys(self, space: Space, box: Box) -> None:
        """The `keys` box: names for the items of `ilst`, by number from 1 on."""
        movie = self._movie
        if box.size < 8 or movie.keys:
            return
        count = min(space.number(box.body + 4, 4), _MOST_KEYS)
        movie.keys.append(None)
        at = box.body + 8
        for _ in range(count):
            if at + 8 > box.end:
                return
            length, namespace = space.number(at, 4), space.read(at + 4, 4)
            if length < 8 or at + length > box.end:
                return
            name = space.read(at + 8, min(length - 8, _LONGEST_KEY))
            movie.keys.append(text(name.split(b"\0")[0]) if namespace == b"mdta" else None)
            at += length

    def custom(self, space: Space, box: Box) -> None:
        """A `----` item: `mean`, `name` and `data`, once each."""
        found: dict[bytes, tuple[int, int]] = {}
        for inner in boxes(space, box.body, box.end):
            skip = 8 if inner.kind == b"data" else 4
            least = 9 if inner.kind == b"data" else 4
            if inner.kind not in (b"mean", b"name", b"data") or inner.kind in found or inner.size < least:
                break
            if len(found) == 3:
                break
            found[inner.kind] = (inner.body + skip, inner.size - skip)
        if len(found) < 3:
            return
        at, length = found[b"name"]
        name = text(space.read(at, min(length, _LONGEST_KEY)).split(b"\0")[0])
        if name == "iTunSMPB":
            self._padding(space, *found[b"data"])
        if name != "cdec":
            self._movie.tags.put(name, self._text(space, *found[b"data"]))

    def _padding(self, space: Space, at: int, length: int) -> None:
        """iTunes' note on gapless playback: in its second number the samples that the encoder added in front."""
        words = space.read(at, min(length, 64)).split()
        if len(words) > 3 and all(len(word) < 32 and not set(word) - _HEX for word in words[:4]):
            priming = int(words[1], 16)
            if 0 < priming < 16384:
                self._movie.tracks[-1].padding = priming

    def chapters(self, space: Space, box: Box) -> None:
        """Nero's `chpl` box: starts in units of 100 ns, and titles."""
        if box.size < 5:
            return
        at = box.body + (8 if space.number(box.body, 1) else 4)
        count = space.number(at, 1)
        at += 1
        for number in range(count):
            if at + 9 > box.end:
                return
            start, length = space.number(at, 8), space.number(at + 8, 1)
            if at + 9 + length > box.end:
                return
            title = text(space.read(at + 9, length).split(b"\0")[0])
            self._movie.chapters[number] = Chapter(10_000_000, start, None, title)
            at += 9 + length

    def _text(self, space: Space, at: int, length: int, decode: Callable[[bytes], str] = text) -> Any:
        if length > self._limit:
            return {"offset": at, "length": length, "bulk": True}
        return decode(space.read(at, length).split(b"\0")[0])

    def _user_data(self, space: Space, box: Box, name: str, tags: Tags) -> None:
        """A text of `udta`: its length, its language and its characters."""
        at, length, tongue, decode = box.body, box.size, None, text
        if length <= 4 and box.kind not in _RAW:
            decode = mac_roman
        elif box.kind not in _RAW and (said := space.number(at, 2)) <= length:
            code = space.number(at + 2, 2)
            tongue, at, length = language(code), at + 4, min(said, length - 4)
            decode = mac_roman if code < 0x400 or code == 0x7FFF else text
        if box.kind in _BYTES | _PADDED_BYTES | _PAIRS | {b"gnre"}:
            self._numbers(space, box.kind, name, at, length)
            return
        value = self._text(space, at, length, decode)
        tags.put(name, value)
        if tongue is not None and tongue != "und":
            tags.put(f"{name}-{tongue}", value)

    def _data_items(self, space: Space, box: Box, tags: Tags) -> None:
        """An item of `ilst`: `data` boxes with a type and a language before the value; the first one counts."""
        name = _NAMES.get(box.kind)
        if name is None and self._movie.has_keys and self._movie.keys:
            number = int.from_bytes(box.kind, "big")
            name = self._movie.keys[number] if 0 < number < len(self._movie.keys) else None
        for inner in boxes(space, box.body, box.end):
            if inner.kind != b"data" or inner.size < 8:
                return
            kind, at, length = space.number(inner.body, 4), inner.body + 8, inner.size - 8
            if box.kind == b"covr" or name == _ARTWORK:
                self._cover(space, kind, at, length)
                continue
            if name is None:
                return
            if box.kind in _BYTES | _PADDED_BYTES | _PAIRS | {b"gnre"}:
                self._numbers(space, box.kind, name, at, length)
            else:
                value = self._value(space, kind, at, length)
                if value is not None:
                    tags.put(name, value)
            return

    def _value(self, space: Space, kind: int, at: int, length: int) -> Any:
        """A value by its type (QuickTime File Format, "Well-Known Types"); None for those that are no text."""
        if kind in (21, 22):
            return str(int.from_bytes(space.read(at, length), "big", signed=kind == 21)) if 1 <= length <= 4 else "0"
        if kind == 23 and length >= 4:
            return f"{struct.unpack('>f', space.read(at, 4))[0]:f}"
        if kind == 3 or kind == 0:
            return self._text(space, at, length, mac_roman)
        return self._text(space, at, length) if kind in (1, 4) else None

    def _numbers(self, space: Space, kind: bytes, name: str, at: int, length: int) -> None:
        """Items that are small numbers in bytes; they belong to the movie wherever they stand."""
        data = space.upto(at, 8)
        data = data[: max(length, 0)].ljust(8, b"\0") if length < 6 else data.ljust(8, b"\0")
        tags = self._movie.tags
        if kind in _BYTES:
            tags.put(name, str(data[0]))
        elif kind in _PADDED_BYTES:
            tags.put(name, str(data[3]))
        elif kind == b"gnre":
            if 1 <= data[1] <= len(GENRES):
                tags.put(name, GENRES[data[1] - 1])
        else:
            current, total = struct.unpack(">hh", data[2:6])
            tags.put(name, f"{current}/{total}" if total else str(current))

    def _cover(self, space: Space, kind: int, at: int, length: int) -> None:
        codec = _PICTURES.get(kind)
        if codec is None:
            return
        if at + length > space.end:
            return
        if length >= 8 and codec != "bmp":
            codec = "png" if space.read(at, 8) == b"\x89PNG\r\n\x1a\n" else "mjpeg"
        movie = self._movie
        picture = Track(len(movie.tracks))
        picture.kind, picture.codec, picture.attached, picture.time_scale = "video", codec, True, 90000
        picture.dispositions.add("attached_pic")
        movie.covers[picture.index] = (at, length)
        movie.tracks.append(picture)

    def _location(self, space: Space, box: Box) -> None:
        """3GPP TS 26.244, 8.10: where it was recorded, written as ISO 6709."""
        data = space.body(box, 4096)
        place, end, rest = data[6:].partition(b"\0")
        if not end or len(rest) < 13:
            return
        longitude, latitude, altitude = (value / 65536 for value in struct.unpack(">iii", rest[1:13]))
        said = f"{latitude:+08.4f}{longitude:+09.4f}" + (f"{altitude:+f}" if altitude else "") + f"/{text(place[:99])}"
        tongue = language(int.from_bytes(data[4:6], "big"))
        if tongue not in (None, "und"):
            self._movie.tags.put(f"location-{tongue}", said)
        self._movie.tags.put("location", said)

    def _moments(self, space: Space, box: Box) -> None:
        """GoPro's `HMMT`: highlights, in milliseconds, as chapters without a title."""
        if box.size < 4:
            return
        count = space.number(box.body, 4)
        if count > box.size // 4:
            return
        for number in range(min(count, (box.size - 4) // 4)):
            self._movie.chapters[number] = Chapter(1000, space.number(box.body + 4 + 4 * number, 4), None, None)


def mac_roman(raw: bytes) -> str:
    """Text in the character set of the classic Macintosh, which UTF-8 does not look like."""
    return raw.decode("mac_roman").replace("\u20ac", "\xa4")  # as it was before the euro
