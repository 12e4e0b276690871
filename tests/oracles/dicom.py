"""pydicom on a DICOM file, compared with what memx said: tags, VRs, parents, values, offsets, lengths, fragments."""

import base64
import math
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tests.oracles import NotReadable

MOST = 1 << 16
PIXEL_DATA = {0x7FE00008, 0x7FE00009, 0x7FE00010}
BINARY = {"OB", "OD", "OF", "OL", "OV", "OW", "UN"}
DELIMITERS = {0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD}
_LEFT_OVER = "\x1b$)A"
"""The escape sequence of GB 2312, which pydicom leaves in the text (it counts on Python's codec to take it)."""
Key = tuple[str, str]


def disagreements(path: str | Path, records: list[dict[str, Any]]) -> list[str]:
    """How `records` differ from what pydicom reads in `path`, one sentence each.

    Where memx says that the file breaks, what stands behind that place is not compared. Where pydicom drops the
    whole data set since its pixel data has no end, what stands before them is.
    """
    theirs, raw_sizes, whole = _theirs(path)
    elements = [record for record in records if record["type"] == "element"]
    ours = {(record.get("parent", ""), record["tag"]): record for record in elements}  # of twins the last, as pydicom
    faults = [record for record in records if record["type"] == "error"]
    closed = tuple(f"{'.'.join(filter(None, key))}[" for key, (element, _) in theirs.items() if element is None)
    differences = [
        f"{key}: memx has it, pydicom lacks it"
        for key in ours
        if whole and key not in theirs and not key[0].startswith(closed)
    ]
    order = {key: index for index, key in enumerate(theirs)}
    reached = max((order.get(key, -1) for key in ours), default=-1)
    for key, (element, offset) in theirs.items():
        record = ours.get(key)
        if record is None:
            if not (faults and (order[key] > reached or _near(offset or 0, faults))):
                differences.append(f"{key}: pydicom has it at {offset}, memx lacks it")
            continue
        cut = faults and _near(record["offset"], faults)
        differences.extend(f"{key}: {text}" for text in _compare(record, element, offset, raw_sizes.get(key), cut))
    return differences


def _near(offset: int, faults: list[dict[str, Any]]) -> bool:
    return any(abs(offset - fault.get("offset", -100)) <= 12 for fault in faults)


def _theirs(path: str | Path) -> tuple[dict[Key, tuple[Any, int | None]], dict[Key, int], bool]:
    """Elements and their offsets, their lengths in the file, and whether that is all that pydicom reads."""
    import pydicom

    sizes: dict[Key, int] = {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = pydicom.dcmread(path, force=True)
            whole = bool(dataset)
            if not whole:
                dataset = pydicom.dcmread(path, force=True, stop_before_pixels=True)
            found = list(_walk(dataset.file_meta, "", sizes)) + list(_walk(dataset, "", sizes))
        except Exception as exc:  # pydicom raises of any kind on broken files
            raise NotReadable(f"pydicom: {type(exc).__name__}: {exc}") from exc
    if not found:
        raise NotReadable("pydicom finds no element")
    return {(parent, tag): (element, offset) for parent, tag, element, offset in found}, sizes, whole


def _walk(dataset: Any, parent: str, sizes: dict[Key, int]) -> Iterator[tuple[str, str, Any, int | None]]:
    from pydicom.dataelem import RawDataElement

    for tag in sorted(dataset.keys()):
        raw = dataset.get_item(tag)
        name = f"{tag:08X}"
        if int(tag) in DELIMITERS or (int(tag) == 0 and not raw.value):
            continue  # a delimiter without a sequence, or padding: no element
        if isinstance(raw, RawDataElement):
            sizes[parent, name] = raw.length
        try:
            element = dataset[tag]
        except Exception:  # what one element has, its neighbours need not
            element = None
        yield parent, name, element, getattr(raw, "value_tell", None) or getattr(raw, "file_tell", None)
        if element is not None and element.VR == "SQ":
            path = f"{parent}.{name}" if parent else name
            for index, item in enumerate(element.value or ()):
                yield from _walk(item, f"{path}[{index}]", sizes)


def _compare(
    record: dict[str, Any], element: Any, offset: int | None, length: int | None, cut: object
) -> Iterator[str]:
    from pydicom.datadict import keyword_for_tag

    if element is None:  # pydicom cannot convert it
        return
    # inside sequences of defined length pydicom counts from the sequence
    if offset is not None and record["offset"] != offset and not record.get("parent"):
        yield f"offset {record['offset']}, pydicom {offset}"
    if length is not None and (0xFFFFFFFF if record["length"] is None else record["length"]) != length:
        yield f"length {record['length']}, pydicom {length}"
    keyword = keyword_for_tag(element.tag) or None  # an element itself does not know those of repeating groups
    if record["keyword"] != keyword:
        yield f"keyword {record['keyword']!r}, pydicom {keyword!r}"
    if len(element.VR) == 2 and record["vr"] != element.VR:
        yield f"VR {record['vr']}, pydicom {element.VR}"
    elif "fragments" in record:
        fragments = _fragments(bytes(element.value), _order(element))
        if fragments is not None and fragments != record["fragments"] and not cut:
            yield f"{record['fragments']} fragments, pydicom {fragments}"
    elif record.get("bulk"):
        if not (int(record["tag"], 16) in PIXEL_DATA or record["length"] is None or record["length"] > MOST or cut):
            yield "bulk without need"
    elif element.VR != "SQ":
        yield from _compare_value(record, element)


def _compare_value(record: dict[str, Any], element: Any) -> Iterator[str]:
    if "inline_binary" in record:
        if isinstance(element.value, bytes) and base64.b64decode(record["inline_binary"]) != element.value:
            yield "other bytes"
        return
    expected = _values(element)
    if not _same(record["value"], expected):
        yield f"value {record['value']!r}, pydicom {expected!r}"


def _values(element: Any) -> list[Any]:
    """The value of `element` as the list that RECORDS.md asks for."""
    value = element.value
    if value is None or (hasattr(value, "__len__") and len(value) == 0):
        return []
    several = list(value) if hasattr(value, "append") else [value]
    if len(several) == 1 and several[0] is None:
        return []
    return [_plain(part, element.VR) for part in several]


def _plain(value: Any, vr: str) -> Any:
    if vr == "AT":
        return f"{int(value):08X}"
    if value is None or str(value).strip() == "":
        return None if vr in ("IS", "DS") or value is None or str(value) == "" else str(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        return float(value)
    return int(value) if isinstance(value, int) else str(value).replace(_LEFT_OVER, "")


def _same(ours: list[Any], theirs: list[Any]) -> bool:
    """Equal, where a character that pydicom gave up on may be any escape."""
    if len(ours) != len(theirs):
        return False
    for mine, other in zip(ours, theirs, strict=True):
        if isinstance(other, str) and isinstance(mine, str) and "\ufffd" in other:
            pattern = re.escape(other).replace("\ufffd", r"(\\x[0-9a-f]{2})+")
            if not re.fullmatch(pattern, mine, re.DOTALL):
                return False
        elif mine != other or isinstance(mine, str) != isinstance(other, str):
            return False
    return True


def _order(element: Any) -> str:
    return ">" if bytes(element.value)[:2] == b"\xff\xfe" else "<"


def _fragments(value: bytes, order: str) -> int | None:
    """The fragments of an encapsulated `value` by pydicom's own parser; None where that gives up."""
    from pydicom.encaps import parse_fragments

    table = 8 + int.from_bytes(value[4:8], "little" if order == "<" else "big")
    try:
        return int(parse_fragments(value[table:], endianness=order)[0])
    except Exception:  # no fragments at all
        return None
