"""HDF5 as h5py's high-level interface has it, compared with memx's records."""

import base64
import math
import re
from collections import Counter
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.oracles import NotReadable

Record = dict[str, Any]
LONGEST = 1 << 16
"""Bytes of the longest value that memx reads unless told otherwise."""
LAYOUTS = {h5py.h5d.COMPACT: "compact", h5py.h5d.CONTIGUOUS: "contiguous", h5py.h5d.CHUNKED: "chunked"}


def disagreements(path: str, records: list[Record]) -> list[str]:
    """Where memx and h5py say different things of the file at `path`; empty where they agree."""
    try:
        file = h5py.File(path, "r", locking=False)
    except Exception as exc:
        raise NotReadable(f"h5py: {exc}") from exc
    if any(r.get("code") == "crashed" for r in records):
        raise NotReadable("h5py dies of this file")
    try:
        return Comparison(file, records).run()
    finally:
        try:
            file.close()
        except RuntimeError:
            pass  # a corrupt file may refuse even this


REFUSALS = (OSError, KeyError, RuntimeError, ValueError)
"""What h5py raises for what libhdf5 refuses to read."""


class Comparison:
    def __init__(self, file: h5py.File, records: list[Record]) -> None:
        self.file = file
        self.errors = " | ".join(r["message"] for r in records if r["type"] == "error")
        self.records = [r for r in records if r["type"] in ("group", "dataset", "datatype", "link")]
        self.chunks: dict[str, list[Record]] = {}
        for record in records:
            if record["type"] == "chunk":
                self.chunks.setdefault(record["path"], []).append(record)
        self.by_path = {r["path"]: r for r in self.records}
        self.failed = records[-1].get("status") == "failed"
        self.found: list[str] = []

    def run(self) -> list[str]:
        for path, count in Counter(r["path"] for r in self.records).items():
            if count > 1:
                self.found.append(f"{path}: {count} records")
        addresses = Counter(r["address"] for r in self.records if r["type"] != "link")
        self.found += [f"object at {address} has {count} records" for address, count in addresses.items() if count > 1]
        if "/" not in self.by_path:
            return self.found if self.failed else [*self.found, "no record of the root group"]
        for record in self.records:
            try:
                self.compare(record)
            except REFUSALS:
                pass  # a broken object, of which memx reads more than h5py dares
        return self.found

    def differ(self, path: str, what: str, ours: Any, theirs: Any) -> None:
        if not same(ours, theirs):
            self.found.append(f"{path}: {what}: memx {str(ours)[:200]!r}, h5py {str(theirs)[:200]!r}")

    def compare(self, record: Record) -> None:
        path = record["path"]
        if record["type"] == "link":
            self.compare_link(record)
            return
        thing = self.file[name_of(path)]
        kind = {h5py.Group: "group", h5py.File: "group", h5py.Dataset: "dataset", h5py.Datatype: "datatype"}[
            type(thing)
        ]
        self.differ(path, "type", record["type"], kind)
        self.differ(path, "address", record["address"], address(thing))
        if kind == "dataset":
            self.compare_dataset(path, record, thing)
        elif kind == "datatype":
            self.differ(path, "dtype", record["dtype"], spelled(lambda: thing.dtype))
        else:
            self.compare_members(path, thing)
        self.compare_attributes(path, record, thing)

    def compare_members(self, path: str, group: h5py.Group) -> None:
        try:
            names = list(group)
        except REFUSALS:
            return
        for name in names:
            member = f"{path.rstrip('/')}/{shown(name)}"
            if member not in self.by_path and member not in self.errors:
                self.found.append(f"{member}: memx has no record of it")

    def compare_link(self, record: Record) -> None:
        path = record["path"]
        parent, _, name = path.rpartition("/")
        try:
            link = self.file[name_of(parent or "/")].get(name_of(name), getlink=True)
        except TypeError:
            self.differ(path, "kind", record["kind"], "user-defined")
            return
        kind = {h5py.SoftLink: "soft", h5py.ExternalLink: "external", h5py.HardLink: "hard"}.get(type(link))
        self.differ(path, "kind", record["kind"], kind)
        if kind == "hard":
            target = self.by_path.get(record["target"], {"type": "nothing"})
            if target["type"] not in ("group", "dataset", "datatype"):
                self.found.append(f"{path}: its target {record['target']} has no record of its own")
            self.differ(path, "target", target.get("address"), address(self.file[name_of(path)]))
        else:
            self.differ(path, "target", record["target"], shown(link.path))
            self.differ(path, "file", record["file"], shown(link.filename) if kind == "external" else None)

    def compare_dataset(self, path: str, record: Record, dataset: h5py.Dataset) -> None:
        properties = dataset.id.get_create_plist()
        expected = {
            "shape": None if dataset.shape is None else list(dataset.shape),
            "maxshape": None if dataset.maxshape is None else list(dataset.maxshape),
            "dtype": spelled(lambda: dataset.dtype),
            "layout": "virtual" if dataset.is_virtual else LAYOUTS.get(properties.get_layout()),
            "chunks": None if dataset.chunks is None else list(dataset.chunks),
            # libhdf5 adds a user block to the address of what has none
            "offset": dataset.id.get_offset() if dataset.id.get_storage_size() else None,
            "storage_size": dataset.id.get_storage_size(),
        }
        for field, theirs in expected.items():
            self.differ(path, field, record[field], theirs)
        if self.chunks and dataset.chunks:
            self.compare_chunks(path, self.chunks.get(path, []), dataset)
        filters = [properties.get_filter(i) for i in range(properties.get_nfilters())]
        ours = [(f["id"], f["parameters"], f.get("optional", False)) for f in record["filters"]]
        self.differ(path, "filters", ours, [(f[0], list(f[2]), bool(f[1] & 1)) for f in filters])
        if "fillvalue" in record:
            self.differ(path, "fillvalue", record["fillvalue"], self.json(dataset.fillvalue))
        if dataset.external:
            self.differ(
                path, "external", [list(e.values()) for e in record["external"]], list(map(list, dataset.external))
            )

    def compare_chunks(self, path: str, records: list[Record], dataset: h5py.Dataset) -> None:
        theirs: list[Any] = []
        dataset.id.chunk_iter(lambda it: theirs.append((it.chunk_offset, it.byte_offset, it.size, it.filter_mask)))
        ours = [(tuple(r["chunk_offset"]), r["offset"], r["size"], r["filter_mask"]) for r in records]
        unlimited = [axis for axis, most in enumerate(dataset.maxshape) if most is None]
        if len(unlimited) == 1 and unlimited[0] and sorted(ours) != sorted(theirs):
            # libhdf5 2.0 finds each rightly in an extensible array, but lists all as if the first axis were unlimited
            raw = Path(self.file.filename).read_bytes()
            self.found += [
                f"{path}: chunk {first} holds other data"
                for first, offset, size, mask in ours
                if stored(dataset, first) != (mask, raw[offset : offset + size])
            ]
            ours, theirs = [place[1:] for place in ours], [place[1:] for place in theirs]
        if sorted(ours) != sorted(theirs):
            odd = sorted(set(ours) ^ set(theirs))
            self.found.append(f"{path}: of {len(ours)} and h5py's {len(theirs)} chunks differ {odd[:4]}")

    def compare_attributes(self, path: str, record: Record, thing: Any) -> None:
        ours = record["attributes"]
        try:
            names = list(thing.attrs)
        except REFUSALS:
            return
        if not record.get("attributes_truncated"):
            missing = {n for n in map(shown, names) if n not in ours and f"attribute {n} of {path}" not in self.errors}
            if missing:
                self.found.append(f"{path}: attributes missing: {sorted(missing)}")
        for name in names:
            if shown(name) not in ours:
                continue
            value = ours[shown(name)]
            id_ = thing.attrs.get_id(name)
            if kills(id_.get_type()) or is_revised(id_.get_type()):
                continue
            if isinstance(value, dict) and value.get("bulk") is True:
                self.differ(path, f"attribute {name} shape", value["shape"], list(id_.shape))
                self.differ(path, f"attribute {name} dtype", value["dtype"], spelled(lambda id_=id_: id_.dtype))
                if value["length"] <= LONGEST and value["dtype"][:2] not in ("ob", "|V"):
                    self.found.append(f"{path}: attribute {name} was not read, without need")
                continue
            try:
                theirs = self.json(thing.attrs[name])
            except (*REFUSALS, TypeError):  # of a type without a word of NumPy's
                continue
            self.differ(path, f"attribute {name}", value, theirs)

    def json(self, value: Any) -> Any:
        """A value of h5py as memx should have it."""
        if value is None or isinstance(value, h5py.Empty):
            return None
        if isinstance(value, h5py.Reference):
            if not value:
                return None
            told: Record = {"reference": "region" if isinstance(value, h5py.RegionReference) else "object"}
            try:
                told["address"] = address(self.file[value])
            except Exception:
                return told | {"address": None}
            if told["reference"] == "region":
                try:
                    space = h5py.h5r.get_region(value, self.file.id)
                except Exception:
                    return told
                told["points"] = space.get_select_npoints()
                if space.get_select_type() in (h5py.h5s.SEL_HYPERSLABS, h5py.h5s.SEL_POINTS):
                    told["bounds"] = [list(map(int, b)) for b in space.get_select_bounds()]
            return told
        if isinstance(value, bytes | np.bytes_):
            return bytes(value).decode("utf-8", "backslashreplace")
        if isinstance(value, str):
            return shown(value)
        if isinstance(value, np.void | np.datetime64 | np.timedelta64) and value.dtype.names is None:
            return {"inline_binary": base64.b64encode(value.tobytes()).decode()}
        if isinstance(value, np.void):
            return {shown(name): self.json(value[name]) for name in value.dtype.names}
        if isinstance(value, np.ndarray):
            return self.json(value[()]) if value.ndim == 0 else [self.json(item) for item in value]
        if isinstance(value, np.complexfloating | complex):
            return [self.json(float(value.real)), self.json(float(value.imag))]
        if isinstance(value, np.bool_ | bool):
            return bool(value)
        if isinstance(value, np.integer | int):
            return int(value)
        number = float(value)
        return number if math.isfinite(number) else {math.inf: "Infinity", -math.inf: "-Infinity"}.get(number, "NaN")


def kills(datatype: Any, within: bool = False) -> bool:
    """Whether h5py dies of values of this type: sequences of region references, which it takes for 8 bytes each."""
    if isinstance(datatype, h5py.h5t.TypeCompoundID):
        return any(kills(datatype.get_member_type(index), within) for index in range(datatype.get_nmembers()))
    if isinstance(datatype, h5py.h5t.TypeVlenID | h5py.h5t.TypeArrayID):
        return kills(datatype.get_super(), within or isinstance(datatype, h5py.h5t.TypeVlenID))
    return within and datatype.equal(h5py.h5t.STD_REF_DSETREG)


def is_revised(datatype: Any) -> bool:
    """Whether a type is that of the references of HDF5 1.12, which h5py lacks."""
    return isinstance(datatype, h5py.h5t.TypeReferenceID) and datatype.get_size() == 64


def same(ours: Any, theirs: Any) -> bool:
    """Equality in which 1 is not true, and 1 is not 1.0 either."""
    if isinstance(ours, list | tuple) and isinstance(theirs, list | tuple):
        return len(ours) == len(theirs) and all(map(same, ours, theirs))
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return ours.keys() == theirs.keys() and all(same(item, theirs[key]) for key, item in ours.items())
    if isinstance(ours, bool) or isinstance(theirs, bool):
        return ours is theirs
    return bool(ours == theirs)


def stored(dataset: h5py.Dataset, first: tuple[int, ...]) -> Any:
    try:
        return dataset.id.read_direct_chunk(first)
    except REFUSALS:
        return None  # there is no such chunk


def shown(name: str | bytes) -> str:
    raw = name if isinstance(name, bytes) else name.encode("utf-8", "surrogateescape")
    return raw.decode("utf-8", "backslashreplace")


def name_of(path: str) -> str | bytes:
    """The name in the file of a path that memx shows: escapes of bytes that are no UTF-8 turned back."""
    raw = re.sub(rb"\\x([89a-f][0-9a-f])", lambda m: bytes.fromhex(m[1].decode()), path.encode())
    return raw if raw != path.encode() else path


def address(thing: Any) -> int:
    return h5py.h5g.get_objinfo(thing.id).objno[0]


def spelled(get: Any) -> str | None:
    try:
        dtype = get()
    except Exception:
        return Unknown()
    if dtype.kind == "O":
        return "object"
    return str(dtype) if dtype.names or dtype.subdtype else dtype.str


class Unknown(str):
    """What h5py cannot spell is equal to memx's bytes without a type."""

    def __eq__(self, other: object) -> bool:
        return str(other).startswith("|V")

    __hash__ = str.__hash__
