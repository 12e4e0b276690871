"""What a header says of its HDU: its kind, name and shape, how long its data are, and the columns of a table.

Keywords and formulas are those of the FITS Standard 4.0; sections are named where they are used.
"""

import math
from collections.abc import Mapping
from typing import Any

from memx.errors import CorruptFile
from memx.records import Record

Kept = Mapping[str, Any]
"""The values of a header's structural keywords."""

MAX_AXES = MAX_COLUMNS = 999
BITPIX = (8, 16, 32, 64, -32, -64)
_MOST_BYTES = 1 << 63
_COLUMN = {
    "name": "TTYPE",
    "format": "TFORM",
    "unit": "TUNIT",
    "null": "TNULL",
    "bscale": "TSCAL",
    "bzero": "TZERO",
    "disp": "TDISP",
    "start": "TBCOL",
    "dim": "TDIM",
}
"""The members of a column, named as astropy's Column names them, and their keywords (section 7)."""


class Structure:
    """The structure that `kept` gives to HDU `index`, whose header lies at `offset`.

    `shape` is NAXISn, slowest axis first; `size` is the length of the data in bytes, without padding. `flaws` are
    sentences that say where the header leaves the standard without hiding what it means. Raises CorruptFile where
    no length can be found.
    """

    def __init__(self, kept: Kept, index: int, offset: int) -> None:
        self.kept = kept
        self.index = index
        self.offset = offset
        self.flaws: list[str] = []
        self.bitpix = self._bitpix()
        self.axes = [self._count(f"NAXIS{axis}", None) for axis in range(1, self._dimensions() + 1)]
        self.groups = "SIMPLE" in kept and kept.get("GROUPS") is True
        self.kind = self._kind()
        self.size = self._size()

    @property
    def shape(self) -> list[int]:
        return self.axes[::-1]

    @property
    def conforming(self) -> bool:
        """Whether SIMPLE is not F; else nothing but the header is FITS (section 4.4.1.1)."""
        return self.kept.get("SIMPLE") is not False

    def record(self, data_offset: int, data_size: int) -> Record:
        """The `hdu` record."""
        kept = self.kept
        record: Record = {
            "type": "hdu",
            "index": self.index,
            "name": self._name(),
            "kind": self.kind,
            "shape": self.shape,
            "bitpix": self.bitpix,
            "header_offset": self.offset,
            "data_offset": data_offset,
            "data_size": data_size,
            "ver": kept.get("EXTVER", 1),
        }
        if "EXTLEVEL" in kept:
            record["level"] = kept["EXTLEVEL"]
        if self.groups:
            record |= self._group_parameters()
        if self.kind.endswith("TABLE"):
            record["columns"] = self._columns()
            record |= self._heap(data_offset) | self._compressed()
        return record

    def _corrupt(self, what: str) -> CorruptFile:
        return CorruptFile(f"the header of HDU {self.index} {what}", offset=self.offset)

    def _count(self, keyword: str, default: int | None) -> int:
        value = self.kept.get(keyword, default)
        if value is None:
            raise self._corrupt(f"has no {keyword}")
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int) or isinstance(value, bool) or value < 0:
            raise self._corrupt(f"gives {str(value)[:80]!r} as {keyword}, which is no count")
        return value

    def _dimensions(self) -> int:
        if self.kept.get("NAXIS") is None:
            self.flaws.append(f"the header of HDU {self.index} has no NAXIS: its data cannot be found")
            return 0
        naxis = self._count("NAXIS", None)
        if naxis > MAX_AXES:
            raise self._corrupt(f"announces {naxis} axes, more than {MAX_AXES}")
        if naxis and self.bitpix is None:
            raise self._corrupt("has no BITPIX that is a number")
        if naxis and self.bitpix not in BITPIX:
            self.flaws.append(f"the header of HDU {self.index} gives {self.bitpix} as BITPIX, which is none of FITS")
        return naxis

    def _bitpix(self) -> int | None:
        value = self.kept.get("BITPIX")
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    def _kind(self) -> str:
        if self.groups:
            return "GROUPS"
        xtension = self.kept.get("XTENSION")
        if isinstance(xtension, str) and xtension:
            return xtension
        return "PRIMARY" if self.index == 0 or "SIMPLE" in self.kept else "UNKNOWN"

    def _name(self) -> str:
        name = self.kept.get("EXTNAME")
        if name is None:
            return "PRIMARY" if self.kind in ("PRIMARY", "GROUPS") else ""
        return str(name)

    def _size(self) -> int:
        """Bytes of data: sections 4.4.1.1, 4.4.1.2 and, for random groups, 6.1.1."""
        axes = self.axes[1:] if self.groups and self.axes[:1] == [0] else self.axes
        if not axes or self.bitpix is None:
            return 0
        pcount, gcount = self._count("PCOUNT", 0), self._count("GCOUNT", 1)
        size = abs(self.bitpix) * gcount * (pcount + math.prod(axes)) // 8
        if size >= _MOST_BYTES:
            raise self._corrupt("announces more data than a file can hold")
        return size

    def _group_parameters(self) -> Record:
        pcount = self._count("PCOUNT", 0)
        names = [self.kept.get(f"PTYPE{n}") for n in range(1, min(pcount, MAX_COLUMNS) + 1)]
        return {"gcount": self._count("GCOUNT", 1), "pcount": pcount, "parameters": names}

    def _columns(self) -> list[dict[str, Any]]:
        """A table's columns: `name`, `format` and `unit` of each, and what else its header says of it."""
        fields = self.kept.get("TFIELDS")
        if not isinstance(fields, int) or isinstance(fields, bool):
            return []
        columns = []
        for n in range(1, min(fields, MAX_COLUMNS) + 1):
            given = {key: self.kept.get(f"{root}{n}") for key, root in _COLUMN.items()}
            columns.append({k: v for k, v in given.items() if v is not None or k in ("name", "format", "unit")})
        return columns

    def _heap(self, data_offset: int) -> Record:
        """Where the variable-length arrays lie, if there are any (section 7.3.5)."""
        pcount, table = self.kept.get("PCOUNT"), math.prod(self.axes)
        if not pcount or self.kind == "TABLE" or not isinstance(pcount, int):
            return {}
        theap = self.kept.get("THEAP")
        begin = theap if isinstance(theap, int) and table <= theap <= table + pcount else table
        return {"heap": {"offset": data_offset + begin, "length": table + pcount - begin}}

    def _compressed(self) -> Record:
        """The image (section 10.1) or table (10.3) that this table holds compressed."""
        kept = self.kept
        kind = "IMAGE" if kept.get("ZIMAGE") is True else "TABLE" if kept.get("ZTABLE") is True else None
        if kind is None:
            return {}
        found: dict[str, Any] = {"kind": kind, "shape": self._compressed_axes("ZNAXIS", kind)}
        if kind == "IMAGE":
            found |= {"bitpix": kept.get("ZBITPIX"), "algorithm": kept.get("ZCMPTYPE")}
            found["tile"] = self._compressed_axes("ZTILE", kind) or None
        return {"compressed": found}

    def _compressed_axes(self, root: str, kind: str) -> list[Any]:
        naxis = 2 if kind == "TABLE" else self.kept.get("ZNAXIS")
        if not isinstance(naxis, int) or not 0 <= naxis <= MAX_AXES or f"{root}1" not in self.kept:
            return []
        return [self.kept.get(f"{root}{n}") for n in range(naxis, 0, -1)]
