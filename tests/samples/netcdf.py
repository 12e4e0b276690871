"""NetCDF files of every data model, and classic headers made by hand."""

import struct
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
from h5py import h5d, h5p, h5s, h5t

CLASSIC = ("NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA")
TYPES = ("i1", "S1", "i2", "i4", "f4", "f8")
NOT_A_VARIABLE = "This is a netCDF dimension but not a netCDF variable."
CDF5_TYPES = ("u1", "u2", "u4", "i8", "u8")


def build(folder: Path) -> Path:
    """Every construct of the classic data model."""
    return build_model(folder, "NETCDF3_CLASSIC")


def build_model(folder: Path, model: str) -> Path:
    """Every construct of the classic data model, in one of the formats."""
    path = folder / f"{model}.nc"
    with netCDF4.Dataset(path, "w", format=model) as file:
        file.title, file.Conventions, file.empty = "Über alles", "CF-1.8", ""
        file.numbers, file.single = np.arange(3, dtype="i2"), np.float32(0.1)
        for name, size in (("time", None), ("lat", 3), ("lon", 4)):
            file.createDimension(name, size)
        types = (*TYPES, *CDF5_TYPES) if model in ("NETCDF3_64BIT_DATA", "NETCDF4") else TYPES
        for kind in types:
            variable = file.createVariable(f"over_time_{kind}", kind, ("time", "lat"))
            variable.units = "K"
            if kind != "S1":
                variable.valid_range = np.array([0, 1], kind)
            file.createVariable(f"fixed_{kind}", kind, ("lat", "lon"))
        file.createVariable("scalar", "f8", ()).bad = np.array([np.nan, np.inf])
        file.createVariable("lat", "f4", ("lat",))[:] = [1, 2, 3]
        file["over_time_f4"][:] = np.ones((2, 3))
    return path


def build_netcdf4(folder: Path) -> Path:
    """Groups, user-defined types, strings, unlimited dimensions written to different lengths."""
    path = folder / "every.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.setncattr_string("texts", ["a", "日本"])
        file.setncattr_string("text", "one")
        file.chars, file.numbers = b"chars", np.arange(4)
        for name, size in (("time", None), ("x", 3), ("z", None)):
            file.createDimension(name, size)
        file.createVariable("time", "f8", ("time",)).units = "days since 2000-01-01"
        small = file.createVariable("short", "i4", ("time", "x"))
        file.createVariable("long", "f4", ("x", "time"), zlib=True, shuffle=True, fletcher32=True)[:, :7] = 1
        small[:2] = 1
        file.createVariable("big_endian", ">i2", ("x",), endian="big")
        file.createVariable("names", str, ("x",))[:] = np.array(["a", "bc", ""], object)
        file.createVariable("never", "u8", ("z",))
        file.createVariable("x", "i4", ("time",))  # called like a dimension that it is not along
        _user_types(file)
        inner = file.createGroup("inner")
        inner.note = "within"
        inner.createDimension("x", 5)
        inner.createVariable("both", "i8", ("time", "x"))[:9] = 0
        inner.createGroup("deeper").createVariable("far", "f4", ("x", "z"))
    return path


def _user_types(file: Any) -> None:
    enum = file.createEnumType("i1", "cloud", {"clear": 0, "rain": 1})
    file.createVariable("clouds", enum, ("x",), fill_value=0).weather = "today"
    file.createVariable("ragged", file.createVLType("i4", "row"), ("x",))
    compound = file.createCompoundType(
        np.dtype([("re", "f4"), ("im", "f4"), ("label", "S1", (4,))], align=True), "pair"
    )
    file.createVariable("pairs", compound, ("x",))


def build_phony(folder: Path) -> Path:
    """Plain HDF5, for which netCDF makes up dimensions."""
    path = folder / "phony.nc"
    with h5py.File(path, "w") as file:
        file["a"] = np.zeros((3, 4))
        file["b"] = np.zeros((4, 4))
        file["group/c"] = np.zeros((3, 5))
        file["group/scalar"] = 1
        file.create_dataset("grows", (2, 3), "f4", maxshape=(None, 3), chunks=(1, 3))
    return path


def build_cycle(folder: Path) -> Path:
    """A group that holds itself: netCDF-C does not come back from it."""
    path = folder / "cycle.nc"
    with h5py.File(path, "w") as file:
        file["group/c"] = np.zeros((3, 5))
        file["group/up"] = file["group"]
        file["z/last"] = 1
    return path


def build_scales(folder: Path) -> Path:
    """Dimension scales as h5py attaches them: without netCDF's hidden numbers."""
    path = folder / "scales.nc"
    with h5py.File(path, "w") as file:
        file["x"], file["y"] = np.arange(3.0), np.arange(4)
        file["x"].make_scale("x")
        file["y"].make_scale("y")
        file["data"] = np.zeros((3, 4))
        file["data"].dims[0].attach_scale(file["x"])
        file["data"].dims[1].attach_scale(file["y"])
    return path


class ClassicHeader:
    """Writes a classic header token by token, whatever it says."""

    def __init__(self, version: int = 1, records: int = 0) -> None:
        self.version = version
        self.parts = [b"CDF", bytes([version]), self.count(records)]

    def count(self, value: int) -> bytes:
        return struct.pack(">Q" if self.version == 5 else ">I", value)

    def name(self, name: bytes) -> bytes:
        return self.count(len(name)) + name + bytes(-len(name) % 4)

    def attribute(self, name: bytes, kind: int, count: int, raw: bytes) -> bytes:
        return self.name(name) + struct.pack(">I", kind) + self.count(count) + raw + bytes(-len(raw) % 4)

    def items(self, tag: int, items: list[bytes], count: int | None = None) -> "ClassicHeader":
        """A list; `count` is what it says that it has, where that is a lie."""
        number = len(items) if count is None else count
        self.parts.append(struct.pack(">I", tag if number else 0) + self.count(number) + b"".join(items))
        return self

    def dimensions(self, *pairs: tuple[bytes, int], count: int | None = None) -> "ClassicHeader":
        return self.items(10, [self.name(name) + self.count(size) for name, size in pairs], count)

    def attributes(self, *items: bytes, count: int | None = None) -> "ClassicHeader":
        return self.items(12, list(items), count)

    def variable(self, name: bytes, numbers: list[int], begin: int, kind: int = 4, attributes: bytes = b"") -> bytes:
        dimensions = self.count(len(numbers)) + b"".join(map(self.count, numbers))
        listed = attributes or bytes(4) + self.count(0)
        offset = struct.pack(">I" if self.version == 1 else ">Q", begin)
        return self.name(name) + dimensions + listed + struct.pack(">I", kind) + self.count(0) + offset

    def variables(self, *items: bytes, count: int | None = None) -> "ClassicHeader":
        return self.items(11, list(items), count)

    def write(self, path: Path, size: int | None = None) -> Path:
        """The file, with zeros up to `size` bytes."""
        raw = b"".join(self.parts)
        with path.open("wb") as file:
            file.write(raw)
            file.truncate(size if size is not None else len(raw))
        return path


def build_small(folder: Path) -> Path:
    """The structure of the giant, 8 MiB."""
    return _sparse(folder / "small.nc", 8 << 20)


def build_giant(folder: Path) -> Path:
    """100 GiB, of which the disk holds next to nothing."""
    return _sparse(folder / "giant.nc", 100 << 30)


def _sparse(path: Path, size: int) -> Path:
    header, part = ClassicHeader(5), (size - 8192) // 50
    units = struct.pack(">I", 12) + header.count(1) + header.attribute(b"units", 2, 6, b"counts")
    parts = [header.variable(b"part %d" % index, [0], 8192 + index * part, 1, units) for index in range(50)]
    return header.dimensions((b"x", part)).attributes().variables(*parts).write(path, size)


def build_small_netcdf4(folder: Path) -> Path:
    """The structure of the giant, 8 MiB."""
    return _sparse_netcdf4(folder / "small4.nc", 8 << 20)


def build_giant_netcdf4(folder: Path) -> Path:
    """100 GiB, of which the disk holds next to nothing."""
    return _sparse_netcdf4(folder / "giant4.nc", 100 << 30)


def _sparse_netcdf4(path: Path, size: int) -> Path:
    early = h5p.create(h5p.DATASET_CREATE)
    early.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    early.set_fill_time(h5d.FILL_TIME_NEVER)
    with h5py.File(path, "w") as file:
        file.attrs["_NCProperties"] = "version=2"
        file.create_dataset("x", (size // 50,), "f4").make_scale(NOT_A_VARIABLE)
        for index in range(50):
            h5d.create(file.id, b"part %d" % index, h5t.STD_U8LE, h5s.create_simple((size // 50,)), early)
            file[f"part {index}"].attrs["units"] = "counts"
            file[f"part {index}"].dims[0].attach_scale(file["x"])
    return path
