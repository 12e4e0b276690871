"""The parts of a DICOM file (PS3.10 7), and which syntax each is written in."""

from collections.abc import Iterator

from memx.errors import CorruptFile, TruncatedFile
from memx.formats.base import BatchedReader
from memx.formats.dicom.syntax import DEFLATED, LONG, SHORT, Syntax, guess
from memx.formats.dicom.tokenizer import Tokenizer
from memx.records import Record
from memx.sources import Cursor, InflatedSource, Origin, Source

_PREAMBLE, _PREFIX = 128, b"DICM"
_ZLIB_HEADER = 2


class DicomStreamReader(BatchedReader):
    """An `element` for every data element: file meta information, command set (PS3.7 6.3), data set.

    It reads forward only, steps over values that are long or pixel data, and takes files without preamble or
    meta information. Offsets inside a deflated data set count inflated bytes.
    """

    format = "dicom"

    def batches(self) -> Iterator[list[Record]]:
        cursor = Cursor(self.source)
        if cursor.ensure(_PREAMBLE + 4) and cursor.buffer[_PREAMBLE : _PREAMBLE + 4] == _PREFIX:
            cursor.skip(_PREAMBLE + 4)
        meta = self._part(cursor, Syntax(implicit=not _has_vr(cursor), group=0x0002))
        yield from meta.batches()
        command = self._part(cursor, Syntax(implicit=not _has_vr(cursor), group=0x0000))
        yield from command.batches()
        inflated = InflatedSource(_Rest(cursor), "deflate") if meta.transfer_syntax in DEFLATED else None
        if inflated is not None:
            cursor = Cursor(inflated)
        body = self._part(cursor, guess(_peek(cursor, 6), meta.transfer_syntax))
        yield from body.batches()
        if inflated is not None and inflated.ended_early:
            raise TruncatedFile("the deflated data set ends early", offset=cursor.tell())
        if not (meta.begun or command.begun or body.begun):
            raise CorruptFile("there is no data element", offset=0)

    def stream_dicom_elements(self, origin: Origin) -> Iterator[Record]:
        """The `element` records of `origin`, which is opened, and closed at the end."""
        return (record for record in self.stream(origin) if record["type"] == "element")

    def _part(self, cursor: Cursor, syntax: Syntax) -> Tokenizer:
        return Tokenizer(cursor, syntax, self.options.max_value_bytes)


def _peek(cursor: Cursor, length: int) -> bytes:
    """The next `length` bytes, fewer at the end; the cursor stays."""
    while length and not cursor.ensure(length):
        length -= 1
    return cursor.buffer[cursor.index : cursor.index + length]


def _has_vr(cursor: Cursor) -> bool:
    """Whether the element that begins here has an explicit VR."""
    return _peek(cursor, 6)[4:].decode("latin-1") in SHORT | LONG


class _Rest(Source):
    """What is left behind a cursor, with the bytes that it has buffered, as a source."""

    def __init__(self, cursor: Cursor) -> None:
        self.path = cursor.source.path
        self._cursor = cursor
        if _peek(cursor, _ZLIB_HEADER) in (b"\x78\x01", b"\x78\x5e", b"\x78\x9c", b"\x78\xda"):
            cursor.skip(_ZLIB_HEADER)  # some writers wrap the deflated data as RFC 1950 does

    @property
    def bytes_read(self) -> int:  # type: ignore[override]
        return self._cursor.source.bytes_read

    def read(self, length: int) -> bytes:
        return self._cursor.take(length)

    def read_on(self, least: int, most: int) -> bytes:
        cursor = self._cursor
        cursor.ensure(least)
        return cursor.take(min(most, max(least, len(cursor.buffer) - cursor.index)))

    def readinto(self, buffer: memoryview) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def tell(self) -> int:
        return self._cursor.tell()

    def peek(self, length: int) -> bytes:
        return _peek(self._cursor, length)

    def close(self) -> None:
        """Nothing: the source behind the cursor is closed by whoever opened it."""
