"""What sound files in chunks announce, read from their chunk headers: where things lie, and whether all is there."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from memx.errors import TruncatedFile
from memx.formats import extent
from memx.formats.audio.mpeg import behind_tags
from memx.sources import Source

_MOST = 10_000
"""Chunks that are looked at: a real file has a few dozen."""
_ELSEWHERE = {b"\x1aE\xdf\xa3": "matroska", b"\x30\x26\xb2\x75": "asf"}
"""How containers begin that pictures have, too."""
_PAGE_TAIL = 1 << 16
"""An Ogg page is at most 65,307 bytes long (RFC 3533, 6)."""
_TABLE_PART = 1 << 16
"""Bytes of a table that are read at once."""
_OPEN_SIZES = frozenset((0, 0x7FFFF000, 0x7FFFFFFF, 0x80000000))
"""Sizes that programs write which do not know the length of the sound (SoX, MPlayer, arecord ...)."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """`offset` is where the body begins; `size` is what the header says, in bytes."""

    kind: bytes
    offset: int
    size: int


@dataclass(frozen=True, slots=True)
class _Layout:
    start: int
    kind: int = 4
    """Bytes of a chunk's name, of which four tell it."""
    size: int = 4
    big: bool = False
    whole: bool = False
    """Whether the size counts the header too."""
    align: int = 2


_LAYOUTS = {
    b"RIFF": _Layout(12),  # Multimedia Programming Interface and Data Specifications 1.0
    b"RF64": _Layout(12),  # EBU Tech 3306
    b"BW64": _Layout(12),  # ITU-R BS.2088
    b"RIFX": _Layout(12, big=True),
    b"FORM": _Layout(12, big=True),  # EA IFF 85
    b"FRM8": _Layout(16, size=8, big=True),  # DSDIFF 1.5
    b"caff": _Layout(8, size=8, big=True, align=1),  # Core Audio Format
    b"riff": _Layout(40, kind=16, size=8, whole=True, align=8),  # Wave64
}
_DATA = (b"data", b"SSND", b"BODY", b"DSD ", b"DST ")


def chunks(source: Source) -> Iterator[Chunk]:
    """The chunks of the file, as far as it reaches; none for what is not in chunks."""
    layout = _LAYOUTS.get(source.read_at(0, 4))
    if layout is None:
        return
    at, wide, length = layout.start, 0, layout.kind + layout.size
    for _ in range(_MOST):
        header = source.read_at(at, length)
        if len(header) < length:
            return
        kind = header[:4]
        size = int.from_bytes(header[layout.kind :], "big" if layout.big else "little")
        body = at + length
        if kind == b"data" and size == 0xFFFFFFFF and wide:
            size = wide
        elif kind == b"ds64":
            wide = int.from_bytes(source.read_at(body + 8, 8), "little")
        yield Chunk(kind, body, max(0, size - length) if layout.whole else size)
        at = body + (max(0, size - length) if layout.whole else size)
        at += -at % layout.align


def cut_off(source: Source) -> TruncatedFile | None:
    """The error of a file that ends before its sound, by its own account, does; None where that cannot be told."""
    size = source.size or 0
    magic = source.read_at(0, 4)
    if magic == b"OggS":
        return _cut_page(source, size)
    if magic == b".snd":
        return _cut_au(source, size)
    if source.read_at(4, 4) == b"ftyp":
        return _cut_box(source, size)
    if magic in _ELSEWHERE:
        return extent.cut_off(source, _ELSEWHERE[magic])
    if magic[:3] in (b"TTA", b"ID3"):
        return _cut_true_audio(source, size)
    layout = _LAYOUTS.get(magic)
    if layout is None:
        return None
    end = layout.start
    for chunk in chunks(source):
        end = chunk.offset + chunk.size
        if chunk.kind in _DATA and end > size and not _is_open(chunk.size):
            return TruncatedFile(f"the file ends at byte {size}, its sound at byte {end}", offset=size)
    # chunks behind the sound often lie about their size, and so do heads: both must say that more should come
    announced = _form_end(source, layout)
    if announced <= size + 1 or size - 1 <= end <= size:
        return None
    return TruncatedFile(f"the file ends at byte {size} of {announced}", offset=size)


def _form_end(source: Source, layout: _Layout) -> int:
    """Where the file should end, by the size that stands at its head; 0 where none does."""
    if layout.start == 8:
        return 0
    begin, behind = (layout.kind, 0) if layout.whole else (4, 4 + layout.size)
    length = int.from_bytes(source.read_at(begin, layout.size), "big" if layout.big else "little")
    return 0 if _is_open(length) else behind + length


def _is_open(size: int) -> bool:
    """Whether a size of a data chunk says that the length was not known when it was written."""
    return size in _OPEN_SIZES or 0xFFFFFF00 <= size <= 0xFFFFFFFF or size >= 1 << 63


def _cut_au(source: Source, size: int) -> TruncatedFile | None:
    header = source.read_at(0, 12)
    begin, length = int.from_bytes(header[4:8], "big"), int.from_bytes(header[8:12], "big")
    if _is_open(length) or begin + length <= size:
        return None
    return TruncatedFile(f"the file ends at byte {size}, its sound at byte {begin + length}", offset=size)


def _cut_page(source: Source, size: int) -> TruncatedFile | None:
    """RFC 3533, 6: whether the last page is there to its end."""
    begin = max(0, size - _PAGE_TAIL)
    tail = source.read_at(begin, _PAGE_TAIL)
    at = tail.rfind(b"OggS")
    if at < 0 or len(tail) - at < 27:
        end = begin + len(tail) + 1
    else:
        lacing = tail[at + 27 : at + 27 + tail[at + 26]]
        end = begin + at + 27 + tail[at + 26] + sum(lacing)
    if end <= size:
        return None
    return TruncatedFile(f"the file ends at byte {size}, inside an Ogg page", offset=size)


def _cut_true_audio(source: Source, size: int) -> TruncatedFile | None:
    """True Audio (TTA1 format description): behind its header stands how long each frame is, of 256/245 seconds."""
    at = behind_tags(source)
    header = source.read_at(at, 22)
    if header[:4] != b"TTA1" or len(header) < 22:
        return None
    rate, samples = struct.unpack_from("<II", header, 10)
    frame = 256 * rate // 245
    table = 4 * -(-samples // frame) if frame else 0
    at += len(header)
    end = at + table + 4  # behind the table its checksum
    for begin in range(at, min(at + table, size), _TABLE_PART):
        part = source.read_at(begin, min(_TABLE_PART, at + table - begin))
        end += sum(length for (length,) in struct.iter_unpack("<I", part[: len(part) & ~3]))
    if end <= size:
        return None
    return TruncatedFile(f"the file ends at byte {size}, its sound at byte {end}", offset=size)


def _cut_box(source: Source, size: int) -> TruncatedFile | None:
    """ISO/IEC 14496-12, 4.2: whether the last box is there to its end."""
    at = 0
    for _ in range(_MOST):
        header = source.read_at(at, 16)
        length = int.from_bytes(header[:4], "big")
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        if len(header) < 8 or length < 8:
            break
        at += length
        if at > size:
            name = header[4:8].decode("latin-1")
            return TruncatedFile(
                f"the file ends at byte {size}, inside its {name!r} box, which reaches to {at}", offset=size
            )
    return None
