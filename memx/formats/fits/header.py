"""A FITS header, read forward block by block; its cards are given as they are read, never kept."""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Any

from memx.errors import MemxError
from memx.formats.fits.cards import CARD, LongString, bulk, is_end, parse_card
from memx.records import MAX_LINE, Record
from memx.sources import Source

BLOCK = 2880
"""Bytes of the blocks that a FITS file is made of (FITS Standard 4.0, 3.1)."""
STRUCTURAL = frozenset(
    (
        *("SIMPLE", "XTENSION", "BITPIX", "NAXIS", "PCOUNT", "GCOUNT", "EXTNAME", "EXTVER", "EXTLEVEL"),
        *("GROUPS", "PTYPE", "TFIELDS", "THEAP", "ZIMAGE", "ZTABLE", "ZCMPTYPE", "ZBITPIX", "ZNAXIS", "ZTILE"),
        *("TTYPE", "TFORM", "TUNIT", "TNULL", "TSCAL", "TZERO", "TDISP", "TBCOL", "TDIM"),
    )
)
"""The keywords, less their index, that say what an HDU is, how long its data are and what its columns are."""

_DIGITS = "0123456789"
_BLANK = (" " * CARD, "\0" * CARD)
_NO_KEYWORD = ("END", "CONTINUE", "        ", "\0")
_FIRST_CARD = re.compile(rb"(?=[^=]{1,8}=)[A-Z0-9_-]+ *=")
_NEXT_HEADER = (b"XTENSION=", b"SIMPLE  =")
_PRINTABLE = bytes(range(0x20, 0x7F))


def begins_header(block: bytes) -> bool:
    """Whether `block` begins with a card that has a value, as every header does."""
    return _FIRST_CARD.match(block) is not None


@lru_cache(maxsize=1024)
def _parsed(image: str) -> tuple[str, Any, str, bool]:
    """The card of `image`, and whether it is STRUCTURAL; the HDUs of a file have most cards in common."""
    keyword, value, comment = parse_card(image)
    return keyword, value, comment, keyword.rstrip(_DIGITS) in STRUCTURAL


class Header:
    """The header that `block`, just read from `source`, begins; `cards` reads on to its end.

    `first` is the keyword of its first card. Then `kept` holds the values of its STRUCTURAL keywords, the first
    where one stands twice, in all no more than a record may be long. `ended` tells whether END was found; where
    it was not, the file ended in the header, or could not be read on (`broken`), or `ahead` is a block that was
    read and is no part of it.
    """

    def __init__(self, source: Source, block: bytes, index: int, limit: int) -> None:
        self.index = index
        self.offset = source.tell() - len(block)
        self.first = block[:8].partition(b"=")[0].strip().decode("ascii", "replace")
        self.kept: dict[str, Any] = {}
        self.ended = False
        self.broken: MemxError | None = None
        self.ahead = block
        self._source = source
        self._limit = limit
        self._room = MAX_LINE

    def cards(self) -> Iterator[list[Record]]:
        """The `card` records, block by block; a card is known when no CONTINUE follows. The hot loop."""
        index, limit = self.index, self._limit
        held: Record | None = None
        telling = False
        long: LongString | None = None
        image, begun = "", 0
        for offset, block in self._blocks():
            batch: list[Record] = []
            for at in range(0, len(block), CARD):
                last, image = image, block[at : at + CARD]
                card = True
                if image.startswith(_NO_KEYWORD):
                    if held is not None and image.startswith("CONTINUE"):
                        long = long or LongString(last, begun, limit)
                        if long.add(image):
                            continue
                    self.ended = is_end(image)
                    card = not self.ended and image not in _BLANK
                if held is not None:
                    batch.append(self._known(held, long, begun) if telling or long else held)
                    held = long = None
                if card:
                    keyword, value, comment, structural = _parsed(image)
                    value = [*value] if type(value) is list else value  # the record is its taker's
                    held = {"type": "card", "hdu": index, "keyword": keyword, "value": value, "comment": comment}
                    begun, telling = offset + at, structural or limit < CARD
                elif self.ended:
                    break
            if batch:
                yield batch
            if self.ended:
                return
        # a string that the end of the file cut off would be taken for the whole
        if held is not None and (self.ahead or not (long or LongString(image, begun, limit)).open):
            yield [self._known(held, long, begun)]

    def _blocks(self) -> Iterator[tuple[int, str]]:
        """Offset and whole cards of each block, while the header goes on."""
        block, self.ahead = self.ahead, b""
        offset = self.offset
        while True:
            whole = len(block) // CARD * CARD
            if block[whole:].rstrip() == b"END":  # a file that ends right behind the letters
                block, whole = block.ljust(whole + CARD), whole + CARD
            yield offset, block[:whole].decode("ascii", "surrogateescape")
            if len(block) < BLOCK:
                return
            offset += BLOCK
            try:
                block = self._source.read(BLOCK)
            except MemxError as exc:  # the last card is yet to be given
                self.broken = exc
                return
            if block.startswith(_NEXT_HEADER) or _is_data(block):
                self.ahead = block
                return

    def _known(self, record: Record, long: LongString | None, offset: int) -> Record:
        """The whole record of the card at `offset`; what it says of the HDU is kept."""
        keyword, value = record["keyword"], record["value"]
        if long is not None:
            record, value = long.into(record), long.value() if long.joined else value
        elif self._limit < CARD and isinstance(value, str) and len(value) > self._limit:
            record = bulk(record, offset + 8, CARD - 8)
        if keyword.rstrip(_DIGITS) in STRUCTURAL and keyword not in self.kept:
            self._room -= len(value) + CARD if isinstance(value, str) else CARD
            if self._room > 0:
                self.kept[keyword] = value
        return record


def _is_data(block: bytes) -> bool:
    """Whether most of what would be cards in `block`, up to END, has no text where a keyword stands."""
    if not block.translate(None, _PRINTABLE):
        return False
    cards = bad = 0
    for at in range(0, len(block), CARD):
        name = block[at : at + 8]
        if name == b"END     ":
            break
        cards += 1
        bad += bool(name.translate(None, _PRINTABLE))
    return bad * 2 > cards
