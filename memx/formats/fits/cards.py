"""A card of a FITS header: 80 bytes that hold a keyword, a value and a comment (FITS Standard 4.0, section 4).

Text is handled as Python strings in which each byte that is no ASCII is one lone surrogate, so that columns
stay bytes; `restored` makes printable text of them.
"""

import re
from typing import Any

from memx.records import number, text

CARD = 80
Card = tuple[str, Any, str]
"""Keyword, value in JSON's own types, comment."""

_PLAIN = re.compile(
    r"(?=[A-Z0-9_ -]{8}= )(?!COMMENT |HISTORY |CONTINUE)([A-Z0-9_-]+) *= *"
    r"(?:'([ -&(-~]*)'|([TF])|([+-]?[0-9]+)(?![0-9.DE])|([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[DE][+-]?[0-9]+)?))?"
    r" *(?:/ *([ -~]*))?\Z"
)
"""What nearly every card looks like: keyword; string, logical, integer, real; comment. A short cut, no more."""
_NAME = 1 << 10
"""Strings of this length are known to memx, though it may not be wanted to say them: names of HDUs and columns."""
_COMMENTARY = {"", "COMMENT", "HISTORY"}
_STRING = re.compile(r"'([^']*(?:''[^']*)*)' *(?:/(.*))?\Z", re.DOTALL)
_LAST_QUOTE = re.compile(r"' *(?:/|\Z)")
_NUMBER = r"[+-]? *(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?) *(?:[DEde] *[+-]? *[0-9]+)?"
_REAL = re.compile(_NUMBER)
_COMPLEX = re.compile(rf"\( *({_NUMBER}) *, *({_NUMBER}) *\)")
_FIELD = r"[A-Za-z_]\w*(?:\.[0-9]+)?"
_RECORD = re.compile(
    rf"'({_FIELD}(?:\.{_FIELD})*): +([+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[DE][+-]?[0-9]+)?)' *(?:/([ -~]*))?\Z"
)


def restored(string: str) -> str:
    """`string` with its surrogates as what they stand for: UTF-8 where they are, else backslash escapes."""
    return string if string.isascii() else text(string.encode("utf-8", "surrogateescape"))


def is_end(image: str) -> bool:
    """Whether `image` is the END card, also where something follows END that is no part of a keyword."""
    return image.startswith("END") and not re.match(r"[A-Z0-9_-]", image[3:4])


def parse_card(image: str) -> Card:
    """The card of `image`, of any kind but a wholly blank one and END.

    - Of commentary cards (COMMENT, HISTORY, blank keyword) and of cards without a value indicator all behind
      column 8 is the value.
    - A HIERARCH card's keyword is what stands between HIERARCH and the equals sign (ESO's convention).
    - A record-valued card (Calabretta et al., Representations of distortions, 3.1) is `keyword.field`.
    - A value that is of no type of section 4.2 is given as the string that stands there.
    """
    if (found := _PLAIN.match(image)) is None:
        return _parse_odd(image)
    keyword, string, logical, whole, real, comment = found.groups()
    comment = comment.rstrip() if comment else ""
    if string is not None:
        return (keyword, string.rstrip(), comment) if ": " not in string else _parse_odd(image)
    if whole is not None:
        return keyword, int(whole), comment
    if real is not None:
        return keyword, number(float(real.replace("D", "E"))), comment
    return keyword, None if logical is None else logical == "T", comment


def _parse_odd(image: str) -> Card:
    """`parse_card`, for every card there is."""
    keyword, field = split_card(image)
    if field is None:
        return keyword, restored(image[8:].rstrip()), ""
    if ": " in field and (found := _RECORD.match(field)):
        specifier, value, comment = found.groups()
        return f"{keyword}.{specifier}", number(float(value.replace("D", "E"))), (comment or "").strip()
    return keyword, *parse_value(field)


def split_card(image: str) -> tuple[str, str | None]:
    """The keyword and what stands behind the value indicator, without blanks around it; None for cards without."""
    name = image[:8].strip()
    if name.upper() in _COMMENTARY:
        return name.upper(), None
    if name == "CONTINUE":
        return name, image[8:].strip()
    if name == "HIERARCH" and image[8:9] == " " and "=" in image:
        keyword, _, field = image[9:].partition("=")
        return restored(keyword.strip()), field.strip()
    indicator = image.find("= ")
    if 0 <= indicator <= 8:
        keyword = restored(image[:indicator].strip().upper())
        return keyword, None if keyword and keyword in _COMMENTARY else image[indicator + 2 :].strip()
    return restored(name), None


def parse_value(field: str) -> tuple[Any, str]:
    """Value and comment of what stands behind the value indicator, without blanks around it."""
    if (parts := split_string(field)) is not None:
        return restored(unquoted(parts[0])), restored(parts[1])
    head, _, tail = field.partition("/")
    head = head.strip()
    comment = restored(tail.strip())
    if not head:
        return None, comment
    if head in ("T", "F"):
        return head == "T", comment
    if _REAL.fullmatch(head):
        return _real(head), comment
    if found := _COMPLEX.fullmatch(head):
        return [_real(part, float) for part in found.groups()], comment
    return restored(head), comment


def split_string(field: str) -> tuple[str, str] | None:
    """The characters between the quotes, still doubled, and the comment; None where `field` is no string.

    Where the quotes are not doubled as section 4.2.1 asks, the string ends at the first that may end it.
    """
    if not field.startswith("'"):
        return None
    if found := _STRING.match(field):
        string, comment = found.groups()
        return string, (comment or "").strip()
    last = _LAST_QUOTE.search(field, 1)
    if last is None:
        return None
    return field[1 : last.start()], field[last.end() :].strip()


def unquoted(string: str) -> str:
    """A string's value: quotes single, trailing blanks are of no meaning (section 4.2.1)."""
    return string.replace("''", "'").rstrip()


def _real(digits: str, least: type[int] | type[float] = int) -> int | float | str:
    """The number of `digits`, which may have blanks inside and D for E (sections 4.2.3, 4.2.4)."""
    digits = digits.replace(" ", "").upper().replace("D", "E")
    if "." in digits or "E" in digits:
        return number(float(digits))
    return least(digits)


class LongString:
    """A string that goes on over CONTINUE cards (section 4.2.1.2). One of more than `limit` characters is bulk.

    `first` is the image of the card that begins it, at `offset` of the file. `open` tells whether its last
    ampersand promises more.
    """

    def __init__(self, first: str, offset: int, limit: int) -> None:
        self._pieces: list[str] = []
        self._comments: list[str] = []
        self._length = 0
        self._limit = limit
        self._kept = max(limit, _NAME)
        self._cards = 0
        self.open = False
        self._offset = offset
        self._begins = first.find("'")
        self._begun = self._add(split_card(first)[1])

    def add(self, image: str) -> bool:
        """Whether the CONTINUE card `image` goes on with the string; then it is part of it."""
        return self._begun and self._add(image[8:].strip())

    @property
    def joined(self) -> bool:
        """Whether the string has more than its first card."""
        return self._cards > 1

    def into(self, record: dict[str, Any]) -> dict[str, Any]:
        """The `record` of its first card with the whole of the string, or with where that lies."""
        if not self.joined:
            return record
        if self._length > self._limit:
            return bulk(record, self._offset + self._begins, self._cards * CARD - self._begins)
        return record | {"value": self.value(), "comment": restored(" ".join(self._comments))}

    def value(self) -> str | None:
        """The whole string; None of one that is too long."""
        return None if self._length > self._kept else restored(unquoted("".join(self._pieces)))

    def _add(self, field: str | None) -> bool:
        parts = field and split_string(field)
        if not parts:
            return False
        piece, comment = parts[0].rstrip(), parts[1]
        self.open = piece.endswith("&")
        piece = piece.removesuffix("&")
        self._cards += 1
        self._length += len(piece) + len(comment)
        if self._length <= self._kept:
            self._pieces.append(piece)
            self._comments += [comment] if comment else []
        return True


def bulk(record: dict[str, Any], offset: int, length: int) -> dict[str, Any]:
    """The card `record` with where its value lies in place of it."""
    rest = {key: item for key, item in record.items() if key not in ("value", "comment")}
    return rest | {"offset": offset, "length": length, "bulk": True, "comment": record["comment"]}
