"""Whether a container announces more bytes than its file has: what FFmpeg passes over in silence.

Each function walks only the outermost structure, by its lengths, and reads no payload.
"""

from collections.abc import Callable, Iterator

from memx.errors import CorruptFile, MemxError, TruncatedFile, UnsupportedSource
from memx.formats.signatures import transport_stride
from memx.sources import Source

_MOST_PARTS = 1 << 20
"""So many boxes, elements or chunks are walked; a file with more is not judged."""


def cut_off(source: Source, container: str) -> TruncatedFile | None:
    """The error that says where `source` breaks off, or None where nothing tells that it does.

    `container` is FFmpeg's name for the container: see `signatures.video_container`.
    """
    size, check = source.size, _CHECKS.get(container)
    if check is None or size is None:
        return None
    for what, begin, end in check(source, size):
        if end > size:
            message = f"the file ends at byte {size}, inside the {what} at {begin}, which announces bytes up to {end}"
            return TruncatedFile(message, offset=size)
    return None


Part = tuple[str, int, int]
"""What it is, where it begins, where it announces to end."""


def boxes(source: Source, size: int) -> Iterator[tuple[bytes, int, int]]:
    """The outermost boxes of ISO/IEC 14496-12, 4.2: type, offset, announced end. Ends where no box stands."""
    at = 0
    for _ in range(_MOST_PARTS):
        header = source.read_at(at, 16)
        length, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if length == 1:
            length = int.from_bytes(header[8:16], "big")
        elif length == 0:
            length = size - at  # up to the end of the file
        if at >= size or len(header) < 8 or length < 8 or not kind.isalnum():
            return
        yield kind, at, at + length
        at += length


def without_movie(source: Source) -> MemxError:
    """The error of a file of ISO/IEC 14496-12 that is all there and has no `moov` box."""
    if any(kind == b"moof" for kind, _, _ in boxes(source, source.size or 0)):
        return UnsupportedSource(
            "this is a media segment alone: what describes it, the moov box, is in its initialization segment"
        )
    return CorruptFile("there is no moov box, which would describe the streams")


def _isobmff(source: Source, size: int) -> Iterator[Part]:
    for kind, begin, end in boxes(source, size):
        if kind in _KNOWN_BOXES:  # anything may be appended to a file: only what is known is believed
            yield f"{kind.decode()} box", begin, end


_KNOWN_BOXES = frozenset(b"ftyp styp moov moof mdat mfra free skip wide pnot sidx emsg prft pdin uuid meta".split())


def _matroska(source: Source, size: int) -> Iterator[Part]:
    """The EBML header, the Segment, and in a Segment of unknown length its children (RFC 8794; RFC 9559, 5.1)."""
    at, inside = 0, False
    for _ in range(_MOST_PARTS):
        head = source.read_at(at, 12)
        name, id_length = _variable_integer(head, marker=True)
        length, length_length = _variable_integer(head[id_length:])
        if not id_length or not length_length:
            return
        body = at + id_length + length_length
        unknown = length == (1 << 7 * length_length) - 1
        if not unknown:
            yield f"element 0x{name:X}", at, body + length
        if unknown and (inside or name != _SEGMENT):
            return
        inside = inside or name == _SEGMENT
        at = body if unknown else body + length


_SEGMENT = 0x18538067


def _variable_integer(data: bytes, *, marker: bool = False) -> tuple[int, int]:
    """RFC 8794, 4: the integer at the start of `data`, its marker kept or not, and its bytes; (0, 0) for none."""
    if not data or not data[0]:
        return 0, 0
    length = 9 - data[0].bit_length()
    if len(data) < length:
        return 0, 0
    value = int.from_bytes(data[:length], "big")
    return (value if marker else value & ((1 << 7 * length) - 1)), length


def _riff(source: Source, size: int) -> Iterator[Part]:
    """The RIFF chunks of an AVI file, one after the other (OpenDML 1.02, 4.0)."""
    at = 0
    for _ in range(_MOST_PARTS):
        header = source.read_at(at, 8)
        length = int.from_bytes(header[4:8], "little")
        if header[:4] != b"RIFF" or length in (0, 0xFFFFFFFF):
            return  # a recording that was never finished does not know its length
        yield "RIFF chunk", at, at + 8 + length
        at += 8 + length + length % 2


def _asf(source: Source, size: int) -> Iterator[Part]:
    """The Header Object and the Data Object behind it (ASF 3.1, 5.1)."""
    at = 0
    for what in ("Header Object", "Data Object"):
        length = int.from_bytes(source.read_at(at + 16, 8), "little")
        if length < 24 or length >> 48:
            return  # a broadcast does not know its length, and there are writers that leave none
        yield what, at, at + length
        at += length


def _ogg(source: Source, size: int) -> Iterator[Part]:
    """The last page (RFC 3533, 6), which is at most 65,307 bytes long."""
    start = max(0, size - 65307)
    tail = source.read_at(start, 65307)
    at = tail.rfind(b"OggS\0")
    if at >= 0:
        segments = tail[at + 26] if at + 26 < len(tail) else 0
        yield "page", start + at, start + at + 27 + segments + sum(tail[at + 27 : at + 27 + segments])


def _transport(source: Source, size: int) -> Iterator[Part]:
    """The last transport packet (ISO/IEC 13818-1, 2.4.3.2)."""
    found = transport_stride(source.read_at(0, 4096))
    if found is not None:
        start, stride = found
        last = start + (size - start) // stride * stride
        if last < size and source.read_at(last, 1) == b"\x47":
            yield "transport packet", last, last + 188


def _flash(source: Source, size: int) -> Iterator[Part]:
    """The length in the header of a Flash file that is not compressed (SWF 19, chapter 2)."""
    header = source.read_at(0, 8)
    if header[:3] == b"FWS":
        yield "Flash file", 0, int.from_bytes(header[4:8], "little")


_CHECKS: dict[str, Callable[[Source, int], Iterator[Part]]] = {
    "mov": _isobmff,
    "matroska": _matroska,
    "avi": _riff,
    "asf": _asf,
    "ogg": _ogg,
    "mpegts": _transport,
    "swf": _flash,
}
