"""DICOM's data dictionary (PS3.6) and the known private ones, as pydicom has them.

pydicom is the authority, but importing it costs 0.2 s and 26 MB, for NumPy and much that is not needed
here. Its dictionaries are modules of plain data: only these are loaded, through Python's own cache of
compiled modules (5 ms and 3 MB, the private ones 5 ms and 2 MB more), and never the package.
"""

import importlib
from functools import cache
from importlib.machinery import PathFinder
from importlib.util import find_spec, module_from_spec
from types import ModuleType
from typing import Any


def entry(tag: int) -> tuple[str, str | None] | None:
    """VR and keyword of a public `tag`; None where the dictionary lacks it.

    The VR may be one of several words (`US or SS`), or `NONE` for delimiters; the keyword may be None.
    """
    row = _elements().get(tag)
    if row is None and not tag & 0x10000:
        row = next((row for value, mask, row in _repeaters() if tag & mask == value), None)
    return None if row is None else (row[0], row[4] or None)


def private_vr(tag: int, creator: str) -> str | None:
    """The VR of a private `tag` in the block of `creator`; None where no dictionary has it."""
    rows = _creators().get(creator)
    if rows is None:
        return None
    group, element = f"{tag >> 16:04X}", f"{tag & 0xFFFF:04X}"
    # a block may lie anywhere (PS3.5 7.8.1): tables say xx for its number
    for key in (group + element, f"{group}xx{element[2:]}", f"{group[:2]}xxxx{element[2:]}"):
        if key in rows:
            vr: str = rows[key][0]
            return vr
    return None


@cache
def _elements() -> dict[int, tuple[str, ...]]:
    elements: dict[int, tuple[str, ...]] = _table("_dicom_dict").DicomDictionary
    return elements


@cache
def _repeaters() -> list[tuple[int, int, tuple[str, ...]]]:
    """Value, mask and row of the repeating groups (PS3.5 7.6): 50xx, 60xx and their like."""
    rows: dict[str, Any] = _table("_dicom_dict").RepeatersDictionary
    return [
        (int(tag.replace("x", "0"), 16), int("".join("0" if digit == "x" else "F" for digit in tag), 16), row)
        for tag, row in rows.items()
    ]


@cache
def _creators() -> dict[str, dict[str, tuple[str, ...]]]:
    creators: dict[str, dict[str, tuple[str, ...]]] = _table("_private_dict").private_dictionaries
    return creators


def _table(name: str) -> ModuleType:
    """The module `name` of pydicom, without the package around it."""
    package = find_spec("pydicom")
    spec = package and PathFinder.find_spec(name, package.submodule_search_locations)
    if spec is None or spec.loader is None:  # a pydicom that is packed in some other way
        return importlib.import_module(f"pydicom.{name}")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
