"""FITS, read by memx itself: headers block by block, data stepped over (FITS Standard 4.0)."""

from collections.abc import Iterator
from typing import Any

from memx.errors import CorruptFile, TruncatedFile
from memx.formats.base import BatchedReader, fault
from memx.formats.fits.cards import CARD
from memx.formats.fits.hdu import Structure
from memx.formats.fits.header import BLOCK, Header, begins_header
from memx.records import Record
from memx.sources import InflatedSource, Source
from memx.sources.inflate import compression

_FILLER = b"\0 "
_TAIL = 1 << 18
"""How much behind the last HDU is looked at."""
_EVERYTHING = 1 << 63


class FitsStreamReader(BatchedReader):
    """The `card`s of each header, then its `hdu`; data are stepped over, never read where that can be.

    A file inside gzip, bzip2 or xz is inflated on the way, which needs no more memory; offsets are then those
    of the inflated bytes.
    """

    format = "fits"

    def open(self) -> dict[str, Any]:
        kind = compression(self.source.peek(8))
        self._bytes: Source = self.source if kind is None else InflatedSource(self.source, kind)
        return {} if kind is None else {"compression": kind}

    def batches(self) -> Iterator[list[Record]]:
        """The records, those of the cards of one block together; none of the lists is empty."""
        source, index = self._bytes, 0
        block = source.read(BLOCK)
        _check_first(block)
        while block:
            if index and not begins_header(block):
                yield from ([record] for record in self._tail(block, index))
                break
            header = Header(source, block, index, self.options.max_value_bytes)
            yield from header.cards()
            if header.broken is not None:
                raise header.broken
            if not header.ended and not header.ahead:
                what = f"the file ends in the header of HDU {index}, before its END card"
                raise TruncatedFile(what, offset=source.tell())
            yield from ([record] for record in self._hdu(header))
            block = header.ahead or source.read(BLOCK)
            index += 1
        if isinstance(source, InflatedSource) and source.ended_early:
            raise TruncatedFile("the compressed data ends before its end mark", offset=self.source.tell())

    def _hdu(self, header: Header) -> Iterator[Record]:
        """The `hdu` record of `header`, with what is wrong with it before; then its data are behind."""
        source, index = self._bytes, header.index
        expected = "XTENSION" if index else "SIMPLE"
        if header.first != expected and header.first != "SIMPLE":  # files may have been joined
            yield fault("corrupt", f"the header of HDU {index} does not begin with {expected}", header.offset)
        if not header.ended:
            yield fault("corrupt", f"the header of HDU {index} has no END card", source.tell() - len(header.ahead))
        structure = Structure(header.kept, index, header.offset)
        for flaw in structure.flaws:
            yield fault("corrupt", flaw, header.offset)
        begin = source.tell() - len(header.ahead)
        if not structure.conforming:
            size = len(header.ahead) + source.skip(_EVERYTHING)
            header.ahead = b""
            yield structure.record(begin, size)
            return
        yield structure.record(begin, structure.size)
        self._step_over(structure.size, header)

    def _step_over(self, size: int, header: Header) -> None:
        """Goes to the block behind `size` bytes of data; padding may be missing at the end of the file."""
        if not size:
            return
        there = len(header.ahead)
        there += self._bytes.skip(size - size % -BLOCK - there)
        header.ahead = b""
        if there < size:
            what = f"the data of HDU {header.index} end after {there} of {size} bytes"
            raise TruncatedFile(what, offset=self._bytes.tell())

    def _tail(self, block: bytes, index: int) -> Iterator[Record]:
        """What follows the last HDU: filler, of which nothing is said, else special records or a broken header."""
        offset = self._bytes.tell() - len(block)
        tail = block + self._bytes.read(_TAIL)
        if b"XTENSION=".startswith(tail):
            raise TruncatedFile(f"the file ends in the header of HDU {index}, before its END card", offset=offset)
        if len(tail) >= CARD and tail.strip(_FILLER):
            yield fault("corrupt", f"what stands behind HDU {index - 1} begins no header", offset)


def _check_first(block: bytes) -> None:
    """Raises where `block` cannot begin a FITS file."""
    if len(block) < CARD:
        raise TruncatedFile("the file is shorter than one card of a header", offset=len(block))
    if b"\n" in block[:CARD]:
        raise CorruptFile("this is the text of a header with line breaks, not a FITS file", offset=0)
    if not begins_header(block):
        raise CorruptFile("the file does not begin with a card of a FITS header", offset=0)
