"""NetCDF as netCDF4-python has it, compared with memx's records."""

import re
from collections import Counter
from typing import Any

import netCDF4
import numpy as np

from tests.oracles import NotReadable
from tests.oracles.hdf5 import same

Record = dict[str, Any]
ALIEN = ("reference", "bitfield", "time", "compound", "enum", "vlen", "opaque", "array")
"""Classes of HDF5 that netCDF leaves out, some of them only where they are not committed types."""


def disagreements(path: str, records: list[Record]) -> list[str]:
    """Where memx and netCDF4 say different things of the file at `path`; empty where they agree."""
    errors = [r for r in records if r["type"] == "error"]
    if records[0].get("variant", "NETCDF3").startswith("NETCDF3") and any(
        r["code"] == "corrupt" or "header" in r["message"] for r in errors
    ):
        raise NotReadable("netCDF-C takes minutes for a broken classic header, or dies of it")
    if any(r.get("code") == "crashed" for r in records):
        raise NotReadable("the library dies of this file")
    try:
        dataset = netCDF4.Dataset(path)
    except Exception as exc:
        raise NotReadable(f"netCDF4: {exc}") from exc
    with dataset:
        dataset.set_auto_maskandscale(False)
        return Comparison(dataset, records).run()


class Comparison:
    def __init__(self, dataset: netCDF4.Dataset, records: list[Record]) -> None:
        self.dataset = dataset
        self.file = records[0]
        self.errors = " | ".join(r["message"] for r in records if r["type"] == "error")
        self.records = {(r["type"], r["path"]): r for r in records if "path" in r and r["type"] not in ("file", "end")}
        self.counts = Counter((r["type"], r["path"]) for r in records if "path" in r)
        self.found: list[str] = []
        self.met: set[tuple[str, str]] = set()

    def run(self) -> list[str]:
        self.found += [
            f"{key}: {count} records" for key, count in self.counts.items() if count > 1 and "/" in key[1][:1]
        ]
        self.differ("/", "variant", self.file.get("variant"), variant(self.dataset))
        groups = [self.dataset]
        while groups:
            group = groups.pop()
            self.compare_group(group)
            groups += group.groups.values()
        for kind, path in self.records.keys() - self.met:
            record = self.records[kind, path]
            alien = kind == "variable" and record.get("datatype", {}).get("class") in ALIEN
            alien |= kind == "type" and record["kind"] in ("opaque", "vlen")  # netCDF4 does not tell of all
            if kind in ("group", "dimension", "type", "variable") and not alien and path not in self.errors:
                self.found.append(f"{path}: memx has a {kind} that netCDF4 has not")
        return self.found

    def differ(self, path: str, what: str, ours: Any, theirs: Any) -> None:
        if not same(ours, theirs):
            self.found.append(f"{path}: {what}: memx {str(ours)[:200]!r}, netCDF4 {str(theirs)[:200]!r}")

    def record(self, kind: str, path: str) -> Record | None:
        found = self.records.get((kind, path))
        self.met.add((kind, path))
        if found is None and path not in self.errors:
            self.found.append(f"{path}: memx has no {kind}")
        return found

    def compare_group(self, group: Any) -> None:
        path = group.path
        record = self.record("group", path)
        if record is not None:
            self.compare_attributes(path, record, group)
        base = path.rstrip("/")
        for name, dimension in group.dimensions.items():
            if (record := self.record("dimension", f"{base}/{name}")) is not None:
                self.differ(record["path"], "size", record["size"], len(dimension))
                if "there is a record dimension" not in self.errors:
                    self.differ(record["path"], "unlimited", record["unlimited"], dimension.isunlimited())
        kinds = {"enum": group.enumtypes, "compound": group.cmptypes, "vlen": group.vltypes}
        for kind, types in kinds.items():
            for name, theirs in types.items():
                if (record := self.record("type", f"{base}/{name}")) is not None:
                    self.compare_type(record, kind, theirs)
        for name, variable in group.variables.items():
            if (record := self.record("variable", f"{base}/{name}")) is not None:
                self.compare_variable(record, variable)

    def compare_type(self, record: Record, kind: str, theirs: Any) -> None:
        path = record["path"]
        self.differ(path, "kind", record["kind"], kind)
        if kind == "enum":
            self.differ(path, "members", record["members"], {k: int(v) for k, v in theirs.enum_dict.items()})
        if kind == "compound":
            self.differ(path, "members", [m["name"] for m in record["members"]], list(theirs.dtype.names))

    def compare_variable(self, record: Record, variable: Any) -> None:
        path = record["path"]
        self.differ(path, "dimensions", record["dimensions"], list(variable.dimensions))
        self.differ(path, "dimension_paths", record["dimension_paths"], [path_of(d) for d in variable.get_dims()])
        self.differ(path, "shape", record["shape"], list(variable.shape))
        self.differ(path, "dtype", *spelled(record["dtype"], variable))
        if self.dataset.data_model.startswith("NETCDF4"):
            chunking = variable.chunking()
            ours = record["chunks"] if record["layout"] == "chunked" else record["layout"]
            if chunking is not None:
                self.differ(path, "chunks", ours, chunking)
            filters = variable.filters() or {}
            names = {entry["name"] for entry in record["filters"]}
            for name, theirs in (("deflate", "zlib"), ("shuffle", "shuffle"), ("fletcher32", "fletcher32")):
                self.differ(path, name, name in names, bool(filters.get(theirs)))
        self.compare_attributes(path, record, variable)

    def compare_attributes(self, path: str, record: Record, thing: Any) -> None:
        try:
            names = thing.ncattrs()
        except Exception:  # netCDF gives up on all attributes for one that it cannot read
            return
        ours = record["attributes"]
        missing = [name for name in names if name not in ours and name not in self.errors]
        if missing and not record.get("attributes_truncated"):
            self.found.append(f"{path}: attributes missing: {missing}")
        extra = [name for name in ours if name not in names and not is_alien(ours[name])]
        if extra:
            self.found.append(f"{path}: attributes that netCDF4 has not: {extra}")
        for name in names:
            if name in ours and not (isinstance(ours[name], dict) and ours[name].get("bulk")):
                try:
                    theirs = thing.getncattr(name)
                except Exception:
                    continue
                self.differ(path, f"attribute {name}", comparable(ours[name]), comparable(json(theirs)))


def variant(dataset: Any) -> str:
    return {"NETCDF3_64BIT": "NETCDF3_64BIT_OFFSET"}.get(dataset.data_model, dataset.data_model)


def path_of(dimension: Any) -> str:
    return f"{dimension.group().path.rstrip('/')}/{dimension.name}"


def spelled(ours: str, variable: Any) -> tuple[str, str]:
    """Both dtypes, in the byte order of memx's: netCDF4 gives a classic file's as this machine's own."""
    dtype = variable.dtype
    if dtype is str:
        return ("object" if ours.startswith("|S") else ours), "object"
    if isinstance(variable.datatype, netCDF4.VLType):
        return ours, "object"
    if dtype.names == ("r", "i") and ours[1:2] == "c":
        return ours, f"{dtype['r'].byteorder}c{dtype.itemsize}".replace("=", "<")
    if dtype.names:  # netCDF4 spells the alignment too
        return str([f"'{name}'" in ours for name in dtype.names]), str([True] * len(dtype.names))
    return ours, dtype.newbyteorder(ours[0] if ours[0] in "<>" else "=").str


def is_alien(value: Any) -> bool:
    """A value whose type netCDF lacks, so that it leaves the attribute out."""
    return isinstance(value, dict | list | bool | None)


def comparable(value: Any) -> Any:
    """netCDF4 replaces what is no UTF-8; NUL, which it drops, is dropped in lists too."""
    if isinstance(value, list):
        return [comparable(item) for item in value]
    if isinstance(value, dict):
        return {key: comparable(item) for key, item in value.items()}
    return re.sub(r"\\x[89a-f][0-9a-f]", "\ufffd", value).replace("\0", "") if isinstance(value, str) else value


def json(value: Any) -> Any:
    from memx.records import plain

    if isinstance(value, np.ndarray | np.void) and value.dtype.names:
        if value.ndim:
            items = [json(item) for item in value]
            return items[0] if len(items) == 1 else items
        return {name: json(value[name]) for name in value.dtype.names}
    if isinstance(value, bytes | np.bytes_):
        return value.decode("utf-8", "backslashreplace")
    if isinstance(value, np.ndarray):
        return json(value[()]) if value.ndim == 0 else [json(item) for item in value]
    return plain(value.astype("f8") if isinstance(value, np.longdouble) else value)
