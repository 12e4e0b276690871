"""What astropy.io.fits says of a file, against what memx said."""

import re
import warnings
from collections.abc import Iterator
from typing import Any

from astropy.io import fits
from astropy.io.fits.hdu.base import _BaseHDU, _NonstandardHDU
from astropy.io.fits.verify import VerifyError

from memx.records import plain
from tests.oracles import NotReadable

_KINDS = {
    "PrimaryHDU": "PRIMARY",
    "_NonstandardHDU": "PRIMARY",
    "GroupsHDU": "GROUPS",
    "ImageHDU": "IMAGE",
    "TableHDU": "TABLE",
    "BinTableHDU": "BINTABLE",
}
_UNKNOWN = object()


def disagreements(path: str, records: list[dict[str, Any]]) -> list[str]:
    """Differences of cards, structure, places and columns, HDU by HDU; raises NotReadable where astropy gives up."""
    found: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            hdus = fits.open(path, memmap=True, lazy_load_hdus=True, disable_image_compression=True)
        except Exception as exc:  # astropy raises whatever came up
            raise NotReadable(f"astropy: {exc}") from exc
        with hdus:
            index = -1
            for index, hdu in enumerate(_opened(hdus, found)):
                found += [f"HDU {index}: {what}" for what in _differences(hdu, index, records)]
    end = records[-1]
    if end["status"] == "complete":
        ours = sum(record["type"] == "hdu" for record in records)
        if ours != index + 1:
            found.append(f"memx has {ours} HDUs, astropy {index + 1}")
    return found


def _opened(hdus: fits.HDUList, found: list[str]) -> Iterator[_BaseHDU]:
    """The HDUs, as far as astropy can read them."""
    index = 0
    while True:
        try:
            hdu = hdus[index]
        except (IndexError, OSError):
            return
        yield hdu
        index += 1


def _differences(hdu: _BaseHDU, index: int, records: list[dict[str, Any]]) -> Iterator[str]:
    ours = [r for r in records if r["type"] == "card" and r["hdu"] == index]
    yield from _card_differences(_header(hdu), ours)
    record = next((r for r in records if r["type"] == "hdu" and r["index"] == index), None)
    if record is None:
        yield "memx has no record of it"
        return
    for key, theirs in _structure(hdu).items():
        if _ascii(record[key]) != theirs:
            yield f"{key} is {record[key]!r}, astropy has {theirs!r}"
    padded = -(-record["data_size"] // 2880) * 2880
    if padded != hdu._data_size:
        yield f"data_size is {record['data_size']}, astropy spans {hdu._data_size}"
    if "columns" in record and isinstance(hdu, fits.hdu.table._TableBaseHDU):
        yield from _column_differences(hdu, record["columns"])


def _structure(hdu: _BaseHDU) -> dict[str, Any]:
    header = _header(hdu)
    kind = _KINDS.get(type(hdu).__name__) or str(header.get("XTENSION", "UNKNOWN"))
    axes = [header[f"NAXIS{n}"] for n in range(header.get("NAXIS", 0), 0, -1)]
    return {
        "name": "PRIMARY" if isinstance(hdu, _NonstandardHDU) and not hdu.name else hdu.name,
        "kind": header["XTENSION"] if kind == "BINTABLE" else kind,
        "shape": list(hdu.shape) if isinstance(hdu, fits.ImageHDU | fits.PrimaryHDU) and kind != "GROUPS" else axes,
        "bitpix": header.get("BITPIX"),
        "header_offset": hdu._header_offset,
        "data_offset": hdu._data_offset,
        "ver": hdu.ver,
    }


def _header(hdu: _BaseHDU) -> fits.Header:
    """The header as it stands in the file: astropy adds to that of an open HDU."""
    hdu._file.seek(hdu._header_offset)
    raw = hdu._file.read(hdu._data_offset - hdu._header_offset)
    return fits.Header.fromstring(raw.decode("ascii", "replace").replace("\ufffd", "?"))


def _card_differences(header: fits.Header, ours: list[dict[str, Any]]) -> Iterator[str]:
    theirs = [card for card in header.cards if card._image.strip(" \0")]
    if len(theirs) != len(ours):
        yield f"memx has {len(ours)} cards, astropy {len(theirs)}"
    for number, (card, record) in enumerate(zip(theirs, ours, strict=False)):
        value = _value(card)
        if _ascii(record["keyword"]) != card.keyword.strip():
            yield f"card {number}: keyword {record['keyword']!r}, astropy has {card.keyword!r}"
        elif value is _UNKNOWN or "bulk" in record:
            continue
        elif _ascii(record["value"]) != value or type(record["value"]) is not type(value):
            yield f"card {number} {card.keyword}: value {record['value']!r}, astropy has {value!r}"
        elif _ascii(record["comment"]) != card.comment:
            yield f"card {number} {card.keyword}: comment {record['comment']!r}, astropy has {card.comment!r}"


def _value(card: fits.Card) -> Any:
    """The value of `card`, mended where astropy can mend it."""
    try:
        value = card.value
    except VerifyError:
        try:
            card.verify("silentfix")
            value = card.value
        except (VerifyError, ValueError):
            return _UNKNOWN
    return None if isinstance(value, fits.card.Undefined) else plain(value)


def _ascii(value: Any) -> Any:
    """A text of memx with each byte that is no ASCII as the question mark that astropy puts for it."""
    if not isinstance(value, str) or (value.isascii() and "\\x" not in value):
        return value
    shown = re.sub(r"\\x[89a-f][0-9a-f]", "?", value)
    return "".join(char if char.isascii() else "?" * len(char.encode()) for char in shown)


def _column_differences(hdu: Any, ours: list[dict[str, Any]]) -> Iterator[str]:
    try:
        columns = list(hdu.columns)
    except Exception:  # columns that astropy cannot make sense of; the cards were compared
        return
    if len(columns) != len(ours):
        yield f"memx has {len(ours)} columns, astropy {len(columns)}"
    for column, record in zip(columns, ours, strict=False):
        for key in ("name", "unit", "null", "bscale", "bzero", "disp", "start"):
            theirs = getattr(column, key)
            mine = _ascii(record.get(key))
            if mine != theirs and theirs not in (None, ""):
                yield f"column {record['name']}: {key} is {mine!r}, astropy has {theirs!r}"
        if record["format"] is None or record["format"].strip() != str(column.format):
            yield f"column {record['name']}: format is {record['format']!r}, astropy has {column.format!r}"
