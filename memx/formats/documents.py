"""One document from the records of one file: the shape that people know from each format's own tools.

A document is folded record by record, and takes at most `ROOM` bytes of JSON: what does not fit is left out,
and `truncated` says so. It nests no deeper than `DEPTH_MOST` items or groups: parsers of JSON have bounds
of their own.
"""

from abc import ABC, abstractmethod
from typing import Any

from memx.records import MAX_LINE, Record, encode_value

ROOM = MAX_LINE - (1 << 16)
"""Bytes of JSON that a document may take; the rest of a line is for what stands around it."""
DEPTH_MOST = 64
"""Items within items, or groups within groups; each is up to three levels of JSON, and jq reads 256."""
_LEAST = 64
"""With less room than this a document is full: most records would not fit, and none is measured any more."""
_OF_FILE = frozenset(("type", "path", "format", "size", "reader", "strategy", "chunk_size", "source", "spooled"))
_STAMPS = ("type", "source")


class Document(ABC):
    """Takes the records between `file` and `end` one by one; `metadata` is the document so far."""

    def __init__(self, file: Record) -> None:
        self.metadata: dict[str, Any] = {}
        self.truncated = False
        self._room = ROOM
        for key, item in file.items():
            if key not in _OF_FILE and not self._put(self.metadata, key, item):
                self.truncated = True

    def add(self, record: Record) -> None:
        """Folds `record` in, if there is room for it."""
        if self._room < _LEAST or not self.fold(record):
            self.truncated = True

    @abstractmethod
    def fold(self, record: Record) -> bool:
        """Puts `record` into `metadata`; False where there is no room, or no place since its holder was cut."""

    def finish(self) -> None:  # noqa: B027 - most have nothing to add
        """Adds what only all records together tell."""

    def _put(self, holder: dict[str, Any], key: str, content: Any) -> bool:
        """Sets a member of a part of the document, if there is room."""
        fits = self._spend(len(encode_value(content)) + len(encode_value(key)) + 2)
        if fits:
            holder[key] = content
        return fits

    def _append(self, holder: list[Any], content: Any) -> bool:
        fits = self._spend(len(encode_value(content)) + 1)
        if fits:
            holder.append(content)
        return fits

    def _spend(self, size: int) -> bool:
        if size > self._room:
            return False
        self._room -= size
        return True


_ELEMENT_MOST, _BYTE_MOST = 160, 12
"""Bytes of JSON that a DICOM element takes at most, and those that each byte of its value does (a PN of one letter)."""


class DicomDocument(Document):
    """The DICOM JSON Model (PS3.18 F.2), with the File Meta Information beside the data set.

    What was not read is a `BulkDataURI`, relative to the file itself as dcm4che writes it:
    `?offset=1024&length=524288`, without a length where that is undefined.
    """

    def __init__(self, file: Record) -> None:
        super().__init__(file)
        self._parent: str | None = None
        self._holder: dict[str, Any] | None = self.metadata
        self._at_most = 0
        """Bytes that the elements so far take at most, while none is measured; -1 from where each of them is."""

    def add(self, record: Record) -> None:
        if self._at_most < 0:
            super().add(record)
            return
        self._at_most += _ELEMENT_MOST + _BYTE_MOST * (record["length"] or 0)
        if self._at_most > self._room:
            self._at_most = -1
            self._spend(len(encode_value(self.metadata)))
            super().add(record)
            return
        parent = record.get("parent")
        if parent != self._parent:
            self._parent, self._holder = parent, self._item(parent)
        if self._holder is None:
            self.truncated = True
        else:
            self._holder[record["tag"]] = _dicom_element(record)

    def fold(self, record: Record) -> bool:
        parent = record.get("parent")
        if parent != self._parent:  # elements of one item come together
            self._parent, self._holder = parent, self._item(parent)
        return self._holder is not None and self._put(self._holder, record["tag"], _dicom_element(record))

    def _item(self, parent: str | None) -> dict[str, Any] | None:
        """The sequence item that `parent` names, made where it is new; None where it has no place."""
        item = self.metadata
        steps = parent.split(".") if parent else []
        if len(steps) > DEPTH_MOST:
            return None
        for step in steps:
            tag, _, index = step.rstrip("]").partition("[")
            holder = item.get(tag)
            if holder is None or holder["vr"] != "SQ":
                return None
            sequence: list[dict[str, Any]] = holder["Value"]
            if (missing := int(index) + 1 - len(sequence)) > 0:
                if not self._spend(3 * missing):
                    return None
                sequence.extend({} for _ in range(missing))
            item = sequence[int(index)]
        return item


def _dicom_element(record: Record) -> dict[str, Any]:
    element: dict[str, Any] = {"vr": record["vr"]}
    if record["vr"] == "SQ":
        element["Value"] = []
    elif record.get("bulk"):
        length = "" if record["length"] is None else f"&length={record['length']}"
        element["BulkDataURI"] = f"?offset={record['offset']}{length}"
    elif "inline_binary" in record:
        element["InlineBinary"] = record["inline_binary"]
    elif record.get("value"):
        values = record["value"]
        element["Value"] = [_person_name(item) for item in values] if record["vr"] == "PN" else values
    return element


def _person_name(text: str | None) -> dict[str, str] | None:
    """PS3.18 F.2.2: the component groups of a PN by their names; an empty value is null."""
    groups = zip(("Alphabetic", "Ideographic", "Phonetic"), (text or "").split("="), strict=False)
    return {name: group for name, group in groups if group} or None


class FitsDocument(Document):
    """The headers by HDU: `header` has the values by keyword, `comments` what stands behind them.

    A keyword that stands several times has its first value, as in astropy; the others are under `repeated`.
    COMMENT, HISTORY and text without a keyword are lists.
    """

    _COMMENTARY = frozenset(("COMMENT", "HISTORY", ""))

    def __init__(self, file: Record) -> None:
        super().__init__(file)
        self._hdus: list[dict[str, Any]] = []
        self.metadata["hdus"] = self._hdus

    def fold(self, record: Record) -> bool:
        is_card = record["type"] == "card"
        hdu = self._hdu(record["hdu"] if is_card else record["index"])
        if hdu is None:
            return False
        if is_card:
            return self._card(hdu, record)
        fields = _without(record, "index", *_STAMPS)
        if not self._spend(len(encode_value(fields))):
            return False
        header, comments = hdu.pop("header"), hdu.pop("comments")
        hdu.update(fields, header=header, comments=comments)  # what it is, then what is said of it
        return True

    def _card(self, hdu: dict[str, Any], card: Record) -> bool:
        keyword, header = card["keyword"], hdu["header"]
        value = card["value"] if "value" in card else _without(card, "hdu", "keyword", "comment", *_STAMPS)
        if keyword in self._COMMENTARY:
            return self._append_to(header, keyword, value)
        if keyword in header:
            return self._append_to(hdu.setdefault("repeated", {}), keyword, value)
        if not self._put(header, keyword, value):
            return False
        return not card["comment"] or self._put(hdu["comments"], keyword, card["comment"])

    def _append_to(self, holder: dict[str, Any], keyword: str, value: Any) -> bool:
        if keyword not in holder and not self._put(holder, keyword, []):
            return False
        return self._append(holder[keyword], value)

    def _hdu(self, index: int) -> dict[str, Any] | None:
        """The HDU of `index`, which is the last one or new; None where there is no room for it."""
        if not self._hdus or self._hdus[-1]["index"] != index:
            if not self._spend(2 * _LEAST):
                return None
            self._hdus.append({"index": index, "header": {}, "comments": {}})
        return self._hdus[-1]


_HOLDERS = {
    "group": "groups",
    "dataset": "datasets",
    "datatype": "datatypes",
    "link": "links",
    "dimension": "dimensions",
    "variable": "variables",
    "type": "types",
}
"""Under which name a group holds the objects of a kind."""


class TreeDocument(Document):
    """The tree of an HDF5 or NetCDF file: a group holds its attributes, and what is in it by kind and name."""

    def __init__(self, file: Record) -> None:
        super().__init__(file)
        # in the order of ncdump -h
        self._always = ("dimensions", "variables") if file["format"] == "netcdf" else ("datasets", "groups")
        self.metadata.update({kind: {} for kind in self._always})
        self._flat = str(file.get("variant")).startswith("NETCDF3")  # there a name may hold a slash
        self._parent = ""
        self._holder: dict[str, Any] | None = self.metadata

    def fold(self, record: Record) -> bool:
        path: str = record["path"]
        content = _without(record, "path", *_STAMPS)
        if path == "/":
            fitting = self._fitting(path, content)
            self.metadata.update(fitting or {})
            return fitting is not None
        parent, _, name = ("", "", path[1:]) if self._flat else path.rpartition("/")
        if parent != self._parent:  # what is in a group mostly comes together
            self._parent, self._holder = parent, self._group(parent)
        if self._holder is None:
            return False
        kind = _HOLDERS[record["type"]]
        if kind not in self._holder and not self._put(self._holder, kind, {}):
            return False
        fitting = self._fitting(name, content)
        if fitting is None:
            return False
        self._holder[kind][name] = fitting
        return True

    def _fitting(self, name: str, content: dict[str, Any]) -> dict[str, Any] | None:
        """`content`, or that without its attributes, so that what is below it has a place; None where neither fits."""
        around = len(encode_value(name)) + 2
        if self._spend(around + len(encode_value(content))):
            return content
        self.truncated = True
        attributes = content.get("attributes")
        slim = content | {"attributes": {"bulk": True, "length": len(encode_value(attributes))}}
        return slim if attributes and self._spend(around + len(encode_value(slim))) else None

    def _group(self, path: str) -> dict[str, Any] | None:
        group = self.metadata
        names = path.split("/")[1:]
        if len(names) > DEPTH_MOST:
            return None
        for name in names:
            inside = group.get("groups", {}).get(name)
            if inside is None:
                return None
            group = inside
        return group


class MediaDocument(Document):
    """The streams and chapters of sound or video, below what the container says of itself.

    For sound, whose records are of streams alone, the container, the longest duration and the tags that all
    streams share stand there too.
    """

    def __init__(self, file: Record) -> None:
        super().__init__(file)
        self._totals = "container" not in file
        if self._totals:
            self.metadata.update(container=None, duration_s=None, tags={})
        self._streams: list[Record] = []
        self.metadata["streams"] = self._streams

    def fold(self, record: Record) -> bool:
        kind = record["type"]
        if kind not in ("stream", "chapter"):
            return True  # frames and packets are for those who stream
        return self._append(self.metadata.setdefault(f"{kind}s", []), _without(record, *_STAMPS))

    def finish(self) -> None:
        if not self._totals or not self._streams:
            return
        durations = [stream["duration_s"] for stream in self._streams if stream.get("duration_s") is not None]
        first, *others = (stream.get("tags") or {} for stream in self._streams)
        shared = {key: item for key, item in first.items() if all(other.get(key) == item for other in others)}
        self.metadata["container"] = self._streams[0].get("container")
        self.metadata["duration_s"] = max(durations, default=None)
        self.truncated |= not self._put(self.metadata, "tags", shared)


class BinaryDocument(Document):
    """The digest, and the entropy of all bytes together."""

    def fold(self, record: Record) -> bool:
        if record["type"] != "digest":
            return True  # chunks are for those who stream
        self.metadata.update(_without(record, "size", *_STAMPS))
        return True


class PlainDocument(Document):
    """Of a format without a shape of its own: its records by type."""

    def fold(self, record: Record) -> bool:
        return self._append(self.metadata.setdefault(f"{record['type']}s", []), _without(record, *_STAMPS))


def _without(record: Record, *keys: str) -> dict[str, Any]:
    return {key: item for key, item in record.items() if key not in keys}


DOCUMENTS: dict[str, type[Document]] = {
    "dicom": DicomDocument,
    "fits": FitsDocument,
    "hdf5": TreeDocument,
    "netcdf": TreeDocument,
    "audio": MediaDocument,
    "video": MediaDocument,
    "binary": BinaryDocument,
}
"""The document of each format; `PlainDocument` for any other."""
