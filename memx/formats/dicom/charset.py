"""Specific Character Set (0008,0005): what the bytes of a text mean (PS3.3 C.12.1.1.2, PS3.5 6.1.2).

Where the standard leaves a choice, and for what is out of standard, this does as pydicom does. Bytes that
the declared character set lacks become marks, which `visible` turns into backslash escapes: after a text was
split into values, since the separator of values is a backslash.
"""

import codecs
import re
from collections.abc import Callable
from functools import lru_cache, partial

Decode = Callable[[bytes], str]

DEFAULT = "latin-1"
"""ISO IR 6 has no characters above 7F; what a file has there is most often Latin-1."""

_CODECS = {
    "": DEFAULT,
    "ISO_IR 6": DEFAULT,
    "ISO_IR 13": "shift_jis",  # JIS X 0201 is the part of it in one byte
    "ISO_IR 100": "latin-1",
    "ISO_IR 101": "iso8859_2",
    "ISO_IR 109": "iso8859_3",
    "ISO_IR 110": "iso8859_4",
    "ISO_IR 126": "iso8859_7",
    "ISO_IR 127": "iso8859_6",
    "ISO_IR 138": "iso8859_8",
    "ISO_IR 144": "iso8859_5",
    "ISO_IR 148": "iso8859_9",
    "ISO_IR 166": "tis_620",
    "ISO_IR 203": "iso8859_15",
    "ISO_IR 58": "gb2312",
    "ISO_IR 87": "iso2022_jp",
    "ISO_IR 149": "euc_kr",
    "ISO_IR 159": "iso2022_jp_2",
    "ISO_IR 192": "utf-8",
    "GB18030": "gb18030",
    "GBK": "gbk",
    "ISO 2022 GBK": "gbk",  # DICOM CP-1234 names these two as seen in files
    "ISO 2022 58": "gb2312",
}
_ALONE = {"ISO_IR 192", "GBK", "GB18030"}
"""Not to be mixed with code extensions (PS3.3 table C.12-5)."""

_ESCAPES = {
    b"(B": DEFAULT,
    b"-A": "latin-1",
    b")I": "shift_jis",
    b"(J": "shift_jis",
    b"$B": "iso2022_jp",
    b"-B": "iso8859_2",
    b"-C": "iso8859_3",
    b"-D": "iso8859_4",
    b"-F": "iso8859_7",
    b"-G": "iso8859_6",
    b"-H": "iso8859_8",
    b"-L": "iso8859_5",
    b"-M": "iso8859_9",
    b"-T": "tis_620",
    b"-b": "iso8859_15",
    b"$)C": "euc_kr",
    b"$(D": "iso2022_jp_2",
    b"$)A": "gb2312",
}
"""The codec that follows an escape sequence (PS3.3 tables C.12-3 and C.12-4)."""
_KEEPS_ESCAPE = {"iso2022_jp", "iso2022_jp_2"}
"""Codecs that want to see the escape sequence."""
_RESET = re.compile(rb"[\t\n\f\r]")
"""Controls that bring the first character set back (PS3.5 6.1.2.5.3)."""
_PARTS = re.compile(rb"^[^\x1b]+|\x1b[^\x1b]*")
_MARK = "memx.dicom.mark"
_MARKS = re.compile("[\udc00-\udcff]")
_PYTHON_NAME = re.compile(
    r"(utf[-_]?8|latin[-_]?\d|(us[-_]?)?ascii|iso[-_]?8859[-_]\d{1,2}|(windows[-_]|cp)\d{3,4}|koi8[-_][ru]"
    r"|shift[-_]?jis|euc[-_](kr|jp)|gb2312|big5)",
    re.IGNORECASE,
)
"""Names of Python that some writers put there; never any codec that a file cares to name."""


def visible(text: str) -> str:
    """`text` with a backslash escape for every byte that its character set lacks."""
    return text if text.isascii() else _MARKS.sub(lambda mark: f"\\x{ord(mark[0]) - 0xDC00:02x}", text)


def _mark(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return "".join(chr(0xDC00 + byte) for byte in error.object[error.start : error.end]), error.end


codecs.register_error(_MARK, _mark)


def default(raw: bytes) -> str:
    """`raw` as text of the default character repertoire."""
    return raw.decode(DEFAULT) if b"\x1b" not in raw else _decode((DEFAULT,), raw)


@lru_cache(maxsize=64)
def decoder(values: tuple[str, ...]) -> Decode:
    """What turns bytes into text under a Specific Character Set of these `values`."""
    terms = [re.sub(r"^ISO.2022.IR.|^ISO[^_]IR[^0-9]?|^ISO_IR ", "ISO_IR ", value.strip()) for value in values] or [""]
    if len(terms) > 1:
        terms = terms[:1] if terms[0] in _ALONE else [term for term in terms if term not in _ALONE]
    names = tuple(_codec(term) for term in terms)
    return default if names == (DEFAULT,) else partial(_decode, names)


def _codec(term: str) -> str:
    return _CODECS.get(term) or (term if _PYTHON_NAME.fullmatch(term) and _exists(term) else DEFAULT)


def _exists(name: str) -> bool:
    try:
        b"".decode(name)
    except LookupError:
        return False
    return True


def _decode(names: tuple[str, ...], raw: bytes) -> str:
    if b"\x1b" not in raw:
        return raw.decode(names[0], _MARK)
    return "".join(_decode_part(names, part) for part in _PARTS.findall(raw))


def _decode_part(names: tuple[str, ...], part: bytes) -> str:
    """The text of `part`, which may begin with one escape sequence and has no other."""
    if not part.startswith(b"\x1b"):
        return part.decode(names[0], _MARK)
    length = 4 if part[1:3] in (b"$(", b"$)") else 3
    codec = _ESCAPES.get(part[1:length])
    if codec is None or codec not in (*names, DEFAULT):
        return part.decode(names[0], _MARK)
    if codec in _KEEPS_ESCAPE:
        return part.decode(codec, _MARK)
    reset = _RESET.search(part)
    end = reset.start() if reset else len(part)
    return part[length:end].decode(codec, _MARK) + part[end:].decode(names[0], _MARK)
