"""Objects that are nearly like the one before them, of which memx remembers how it was laid out."""

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal, cast

import h5py
import netCDF4
import numpy as np
import pytest

from memx.engine.options import StreamOptions
from memx.engine.reading.streaming import stream
from memx.formats.hdf5 import alike
from memx.formats.hdf5.alike import Alike, Found
from memx.records import Record

VALUES: list[dict[str, Any]] = [
    {"a": 1, "b": "text", "c": 0.5},
    {"a": 1, "b": "other", "c": 0.5},
    {"a": 1, "b": "other", "c": [0.5, 1.5]},
    {"a": 1, "b": 2, "c": "text"},
    {"a": 2, "c": 0.5, "b": "text"},
    {"a": 2, "c": 1.5, "d": "text"},
    {"a": 2},
    {},
    {"b": "text", "a": 1, "c": 0.5},
    {"a": 1, "b": "text" * 200, "c": 0.5},
    {"a": 1, "b": "", "c": 0.5},
]


@pytest.mark.parametrize("track_order", [False, True])
@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_objects_nearly_alike_have_their_own_attributes(
    tmp_path: Path, libver: Literal["earliest", "latest"], track_order: bool
) -> None:
    path, wanted = tmp_path / "alike.h5", {}
    with h5py.File(path, "w", libver=libver) as file:
        for turn in range(4):
            for number, values in enumerate(VALUES):
                name = f"{turn}-{number:02}" if turn % 2 else f"{number:02}-{turn}"
                data_set = file.create_dataset(name, data=np.arange(3), track_order=track_order)
                for label, value in values.items():
                    data_set.attrs[label] = value
                wanted[f"/{name}"] = values
    told = {record["path"]: record for record in stream(str(path)) if record["type"] == "dataset"}
    assert {path: record["attributes"] for path, record in told.items()} == wanted
    assert all(list(record["attributes"]) == sorted(record["attributes"]) for record in told.values())


def test_an_attribute_that_breaks_off_is_told_of_where_those_of_objects_like_it_are_sound(tmp_path: Path) -> None:
    path = tmp_path / "broken.h5"
    with h5py.File(path, "w") as file:
        for number in range(6):
            file.create_dataset(f"d{number}", data=np.arange(3)).attrs.update({"a": number, "b": f"text{number}"})
    raw = path.read_bytes()
    at = raw.index(b"text4") - 8
    path.write_bytes(raw[:at] + (3).to_bytes(8, "little") + raw[at + 8 :])  # shorter than what refers to it
    records = [record for record in stream(str(path)) if record["type"] in ("dataset", "error")]
    at = next(index for index, record in enumerate(records) if record["type"] == "error")
    assert [record["type"] for record in records].count("error") == 1
    assert records[at - 1]["path"] == "/d4"
    assert records[at - 1]["attributes"] == {"a": 4}
    assert records[at + 1]["attributes"] == {"a": 5, "b": "text5"}


def _hdf5(path: Path, libver: Literal["earliest", "latest"], *, track_order: bool) -> None:
    """Data sets of every storage, three of each kind or more, among each other; with times, and with none."""
    storages: list[dict[str, Any]] = [
        {"data": np.arange(10, dtype="f4")},
        {"shape": (10,), "dtype": "f4"},
        {"data": np.arange(10, dtype="f4"), "chunks": (5,), "maxshape": (None,)},
        {"shape": (10,), "dtype": "i2", "compression": "gzip", "fillvalue": 3},
        {"data": np.arange(10, dtype="i2"), "chunks": (10,), "compression": "gzip"},
        {"data": "text"},
    ]
    with h5py.File(path, "w", libver=libver, track_order=track_order) as file:
        file["type"] = np.dtype("<u2")
        for name in ("one", "other"):
            group = file.create_group(name)
            for number in range(36):
                storage = storages[number % len(storages)]
                data_set = group.create_dataset(f"d{number:02}", track_times=number % 4 == 0, **storage)
                data_set.attrs["units"], data_set.attrs["scale"] = "K", number / 2
                if number % 3 == 0:
                    data_set.attrs["fixed"], data_set.attrs["list"] = np.bytes_(b"n%d" % number), [number, 1]
                    data_set.attrs["ref"], data_set.attrs["null"] = group.ref, h5py.Empty("f4")
                if number % 3 == 1:  # more than fits into the first block of a header
                    data_set.attrs.update({f"note {n}": f"text {n}" for n in range(5)})
                group.create_dataset(f"t{number:02}", (number % 2,), dtype=file["type"])
        file["again"], file["soft"] = file["one/d01"], h5py.SoftLink("/one/d02")


def _netcdf(path: Path, model: str) -> None:
    with netCDF4.Dataset(path, "w", format=cast("Any", model)) as file:
        for name, size in (("t", None), ("y", 4), ("x", 5)):
            file.createDimension(name, size)
        for group in (file, file.createGroup("sub")) if model == "NETCDF4" else (file,):
            for number in range(48):
                dimensions = (("t", "y", "x"), ("y",), ("y", "x"), ())[number % 4]
                variable = group.createVariable(f"v{number}", "f4", dimensions, zlib=number % 8 == 0)
                variable.setncatts({"units": "K", "long_name": f"of number {number:02}", "factor": 0.5})
                if number % 12 == 0:
                    variable[0] = 1
        for name in ("t", "y", "x"):
            file.createVariable(name, "f8", (name,)).setncattr("units", "m")


def _older(path: Path) -> None:
    """What tells the dimensions of a variable by the list of its scales alone."""
    _netcdf(path, "NETCDF4")
    with h5py.File(path, "a") as file:
        variables: list[h5py.Dataset] = []
        file.visititems(lambda _, found: variables.append(found))
        for variable in variables:
            if "_Netcdf4Coordinates" in variable.attrs:
                del variable.attrs["_Netcdf4Coordinates"]


WRITERS: dict[str, Callable[[Path], None]] = {
    "earliest.h5": lambda path: _hdf5(path, "earliest", track_order=False),
    "latest.h5": lambda path: _hdf5(path, "latest", track_order=False),
    "tracked.h5": lambda path: _hdf5(path, "latest", track_order=True),
    "new.nc": lambda path: _netcdf(path, "NETCDF4"),
    "classic.nc": lambda path: _netcdf(path, "NETCDF4_CLASSIC"),
    "older.nc": _older,
}


@pytest.fixture(params=WRITERS)
def written(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    path = tmp_path / request.param
    WRITERS[request.param](path)
    return path


def read(path: Path, **options: Any) -> list[Record]:
    return [*stream(str(path), StreamOptions(**options))][:-1]


def one_by_one(path: Path, monkeypatch: pytest.MonkeyPatch, **options: Any) -> list[Record]:
    """The records, where no object is taken for one like another."""
    with monkeypatch.context() as patch:
        patch.setattr(Alike, "find", lambda _self, _address: None)
        return read(path, **options)


def test_data_sets_like_others_are_told_as_if_each_were_the_only_one(
    written: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found: list[Found | None] = []
    find = Alike.find

    def watched(self: Alike, address: int) -> Found | None:
        found.append(find(self, address))
        return found[-1]

    for options in ({}, {"chunks": True}, {"max_value_bytes": 4}):
        wanted = one_by_one(written, monkeypatch, **options)
        monkeypatch.setattr(Alike, "find", watched)
        assert read(written, **options) == wanted
        monkeypatch.setattr(Alike, "find", find)
        if not options:
            assert sum(each is not None for each in found) > len(found) / 3


def damaged(raw: bytes) -> Iterator[bytes]:
    chance = random.Random(0)
    for _ in range(60):
        data = bytearray(raw)
        for _ in range(chance.choice((1, 4, 16, 64))):
            at = chance.randrange(len(data))
            data[at : at + 1] = chance.choice((b"\0", b"\xff", chance.randbytes(1)))
        yield bytes(data)


@pytest.mark.slow
def test_of_broken_files_the_same_is_told(written: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for data in damaged(written.read_bytes()):
        written.write_bytes(data)
        assert read(written) == one_by_one(written, monkeypatch)


def test_data_behind_the_end_are_told_of_where_those_of_others_are_inside(tmp_path: Path) -> None:
    path = tmp_path / "behind.h5"
    with h5py.File(path, "w") as file:
        places = [file.create_dataset(f"d{number}", data=np.arange(3)).id.get_offset() for number in range(6)]
    raw = path.read_bytes()
    assert raw.count(places[4].to_bytes(8, "little")) == 1
    path.write_bytes(raw.replace(places[4].to_bytes(8, "little"), (1 << 40).to_bytes(8, "little")))
    records = {record.get("path"): record for record in read(path)}
    assert [records[f"/d{number}"]["offset"] for number in (0, 1, 2, 3, 5)] == [*places[:4], places[5]]
    (error,) = (record for record in read(path) if record["type"] == "error")
    assert error["message"] == "the object /d4 cannot be read: its data lie behind the end of the file"


def test_kinds_that_never_come_again_are_learned_seldom_and_all_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, lessons, kinds = tmp_path / "many.h5", [], []
    cut = alike._Cut

    def counted(*parts: Any) -> Any:
        lessons.append(cut(*parts))
        return lessons[-1]

    monkeypatch.setattr(alike, "_Cut", counted)
    with h5py.File(path, "w", libver="latest") as file:
        for number in range(400):
            file.create_dataset(f"d{number:03}", (1, number + 1), "f4")
    wanted = one_by_one(path, monkeypatch)
    lessons.clear()
    assert read(path) == wanted
    assert len(lessons) <= alike._LEARNED_AT_FIRST + 1
    with h5py.File(path, "w", libver="latest") as file:
        for number in range(4000):
            file.create_dataset(f"d{number:04}", (1, number // 8 + 1), "f4")
    learn = Alike.learn

    def watched(self: Alike, header: Any) -> None:
        learn(self, header)
        kinds.append(sum(len(way.after) for ways in self._ways.values() for way in ways))

    monkeypatch.setattr(Alike, "learn", watched)
    assert read(path) == one_by_one(path, monkeypatch)
    assert alike._LEARNED_AT_FIRST < max(kinds) <= alike._KINDS_MOST


def test_a_broken_list_of_scales_harms_no_variable_that_tells_its_dimensions(tmp_path: Path) -> None:
    path = tmp_path / "scales.nc"
    _netcdf(path, "NETCDF4_CLASSIC")
    wanted, raw = read(path), path.read_bytes()
    assert b"GCOL" in raw
    path.write_bytes(raw.replace(b"GCOL", b"gone"))
    assert read(path) == wanted
