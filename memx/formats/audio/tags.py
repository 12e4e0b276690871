"""Tags of WAVE and FLAC files, read without FFmpeg, under the names that FFmpeg gives them."""

from dataclasses import dataclass, field
from typing import Any

from memx.formats.audio.chunks import Chunk, chunks
from memx.records import text
from memx.sources import Source

_MOST = 4096
"""Tags, and blocks, that are looked at."""
_RIFF_NAMES = {
    "IART": "artist",
    "ICMT": "comment",
    "ICOP": "copyright",
    "ICRD": "date",
    "IGNR": "genre",
    "ILNG": "language",
    "INAM": "title",
    "IPRD": "album",
    "IPRT": "track",
    "ITRK": "track",
    "ISFT": "encoder",
    "ISMP": "timecode",
    "ITCH": "encoded_by",
}
_VORBIS_NAMES = {"ALBUMARTIST": "album_artist", "TRACKNUMBER": "track", "DISCNUMBER": "disc", "DESCRIPTION": "comment"}
_LEAST_PICTURE = 34
_CHANNEL_MASK = "WAVEFORMATEXTENSIBLE_CHANNEL_MASK"
"""Which loudspeakers the channels are for: no tag (RFC 9639, 8.6.2)."""
_BROADCAST = (
    ("comment", 0, 256),  # Description
    ("encoded_by", 256, 32),  # Originator
    ("originator_reference", 288, 32),
    ("date", 320, 10),  # OriginationDate
    ("creation_time", 330, 8),  # OriginationTime
)
"""The text fields of the `bext` chunk (EBU Tech 3285, 2.3): FFmpeg's name, offset, bytes."""


@dataclass(slots=True)
class Tags:
    """`tags` and `pictures` as records have them. As in FFmpeg, names that differ in case alone are the same."""

    limit: int
    tags: dict[str, Any] = field(default_factory=dict)
    pictures: list[dict[str, Any]] = field(default_factory=list)
    _names: dict[str, str] = field(default_factory=dict)
    """The names in `tags` by themselves in upper case."""

    def add(self, source: Source, name: str, offset: int, length: int, *, join: bool = False) -> None:
        """The tag whose value lies at `offset`, read if it is not too long; `join` adds to one of the same name."""
        if length > self.limit:
            self.put(name, {"offset": offset, "length": length, "bulk": True})
            return
        value = text(source.read_at(offset, length).split(b"\0")[0])
        before = self.put(name, value)
        if join and isinstance(before, str):
            self.tags[name] = f"{before};{value}"

    def put(self, name: str, value: Any) -> Any:
        """Sets a tag; returns the value that it had, or None."""
        before = self.tags.pop(self._names.get(name.upper(), name), None)
        self.tags[name], self._names[name.upper()] = value, name
        return before

    def rename(self, names: dict[str, str]) -> None:
        """Gives tags whose names in upper case are in `names` the names there."""
        tags, self.tags, self._names = self.tags, {}, {}
        for name, value in tags.items():
            self.put(names.get(name.upper(), name), value)


def read_tags(source: Source, limit: int) -> Tags | None:
    """The tags of a WAVE or FLAC file, values longer than `limit` bytes not read.

    None for other files, and where a tag is of a kind that is left to FFmpeg (ID3).
    """
    head = source.read_at(0, 12)
    if head[:4] == b"fLaC":
        return _flac_tags(source, Tags(limit))
    if head[:4] in (b"RIFF", b"RIFX", b"RF64", b"BW64") and head[8:] == b"WAVE":
        return _wave_tags(source, Tags(limit), "big" if head[:4] == b"RIFX" else "little")
    return None


def _wave_tags(source: Source, found: Tags, order: Any) -> Tags | None:
    for chunk in chunks(source):
        if chunk.kind.lower() == b"id3 ":
            return None
        if chunk.kind == b"LIST" and source.read_at(chunk.offset, 4) == b"INFO":
            _info_tags(source, chunk, found, order)
        elif chunk.kind == b"bext":
            _broadcast_tags(source, chunk, found)
    return found


def _info_tags(source: Source, chunk: Chunk, found: Tags, order: Any) -> None:
    at, end = chunk.offset + 4, min(chunk.offset + chunk.size, source.size or 0)
    for _ in range(_MOST):
        header = source.read_at(at, 8)
        length = int.from_bytes(header[4:], order)
        if len(header) < 8 or at + 8 + length > end:
            return
        name = header[:4].decode("latin-1")
        found.add(source, _RIFF_NAMES.get(name, name), at + 8, length)
        at += 8 + length + length % 2


def _broadcast_tags(source: Source, chunk: Chunk, found: Tags) -> None:
    fixed = source.read_at(chunk.offset, min(chunk.size, 602))
    if len(fixed) < 602:
        return
    for name, at, length in _BROADCAST:
        if fixed[at]:
            found.add(source, name, chunk.offset + at, length)
    found.put("time_reference", str(int.from_bytes(fixed[338:346], "little")))
    if fixed[346] >= 1 and any(fixed[348:412]):
        umid = fixed[348:412] if any(fixed[380:412]) else fixed[348:380]
        found.put("umid", "0x" + umid.hex().upper())
    if chunk.size > 602:
        found.add(source, "coding_history", chunk.offset + 602, chunk.size - 602)


def _flac_tags(source: Source, found: Tags) -> Tags:
    """RFC 9639, 8: the metadata blocks."""
    at = 4
    for _ in range(_MOST):
        header = source.read_at(at, 4)
        length = int.from_bytes(header[1:], "big")
        if len(header) < 4:
            break
        if header[0] & 127 == 4:
            _vorbis_tags(source, at + 4, min(at + 4 + length, source.size or 0), found)
        elif header[0] & 127 == 6 and length >= _LEAST_PICTURE:
            _flac_picture(source, at + 4, length, found)
        at += 4 + length
        if header[0] & 128:
            break
    found.rename(_VORBIS_NAMES)
    return found


def _vorbis_tags(source: Source, at: int, end: int, found: Tags) -> None:
    """Vorbis I, 5.2: lengths and `NAME=value` strings, all little endian."""
    at += 4 + int.from_bytes(source.read_at(at, 4), "little")
    count = int.from_bytes(source.read_at(at, 4), "little")
    at += 4
    for _ in range(min(count, _MOST)):
        length = int.from_bytes(source.read_at(at, 4), "little")
        if at + 4 + length > end:
            return
        name, equals, _ = source.read_at(at + 4, min(length, 256)).partition(b"=")
        key = text(name)
        if equals and name and length > len(name) + 1 and key.upper() != _CHANNEL_MASK:
            offset = at + 4 + len(name) + 1
            found.add(source, key, offset, length - len(name) - 1, join=True)
        at += 4 + length


def _flac_picture(source: Source, at: int, length: int, found: Tags) -> None:
    """RFC 9639, 8.8: kind, media type, description, size; the picture itself is not read."""
    fixed = source.read_at(at, min(length, 1024))
    mime_end = 8 + int.from_bytes(fixed[4:8], "big")
    text_end = mime_end + 4 + int.from_bytes(fixed[mime_end : mime_end + 4], "big")
    sizes = fixed[text_end : text_end + 20]
    picture: dict[str, Any] = {"kind": int.from_bytes(fixed[:4], "big"), "media_type": text(fixed[8:mime_end])}
    if len(sizes) == 20:
        size = min(int.from_bytes(sizes[16:], "big"), max(0, (source.size or 0) - at - text_end - 20))
        picture |= {"description": text(fixed[mime_end + 4 : text_end])}
        picture |= {"width": int.from_bytes(sizes[:4], "big"), "height": int.from_bytes(sizes[4:8], "big")}
        picture |= {"offset": at + text_end + 20, "length": size, "bulk": True}
    found.pictures.append(picture)
