"""What memx does not know of an HDF5 object is asked of h5py, in a process of its own."""

from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest

from memx.engine.options import StreamOptions
from memx.engine.reading.librarian import Librarian
from memx.engine.reading.streaming import Stream
from memx.errors import UnsupportedSource
from memx.formats.base import ReadOptions
from memx.formats.hdf5 import datatypes, objects
from memx.formats.hdf5.checksums import lookup3
from memx.formats.hdf5.datatypes import Parser
from memx.formats.hdf5.headers import ObjectHeader
from memx.formats.hdf5.layouts import CHUNKED, Layout
from memx.formats.hdf5.space import AddressSpace
from memx.records import Record
from tests.contract import assert_contract
from tests.oracles.hdf5 import disagreements
from tests.samples import hdf5 as samples


def read(path: Path, **options: Any) -> list[Record]:
    records = list(Stream(path, StreamOptions(**options)).records())
    assert_contract(records, path)
    assert records[0]["reader"] == "direct"
    return records


def told(records: list[Record]) -> dict[str, Record]:
    return {record["path"]: record for record in records[1:-1] if record["type"] not in ("error", "chunk")}


def forget_chunked_layouts(monkeypatch: pytest.MonkeyPatch) -> None:
    """As if chunked layouts were of a version that memx does not know."""
    parse = objects.parse_layout

    def parse_older(space: AddressSpace, body: bytes) -> Layout:
        layout = parse(space, body)
        if layout.kind == CHUNKED:
            raise UnsupportedSource("a data layout of version 9, class 2 is not known")
        return layout

    monkeypatch.setattr(objects, "parse_layout", parse_older)


@pytest.mark.parametrize("build", [samples.build, samples.build_latest], ids=lambda build: build.__name__)
def test_one_data_set_is_asked_of_the_library(build: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = build(tmp_path)
    before = read(path, chunks=True)
    assert "asked_library" not in before[-1]["metrics"]
    forget_chunked_layouts(monkeypatch)
    records = read(path, chunks=True)
    assert disagreements(str(path), records) == []
    assert records[1:-1] == before[1:-1]
    chunked = sum(record.get("layout") == "chunked" for record in records)
    assert records[-1]["metrics"]["asked_library"] == {"a data layout of version 9, class 2": chunked}


def test_an_attribute_is_asked_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = samples.build(tmp_path)
    before = read(path)
    parse = Parser._enum

    def parse_less(self: Parser, *arguments: Any) -> Any:
        if arguments[-2] == 1:  # bytes
            raise UnsupportedSource("datatype class 8, version 9 is not known")
        return parse(self, *arguments)

    monkeypatch.setitem(datatypes._PARSERS, datatypes.ENUM, parse_less)
    records = read(path)
    assert disagreements(str(path), records) == []
    for found in (before, records):
        told(found)["/attributes"]["attributes"].pop("regions")  # which h5py cannot read
    assert told(records) == told(before)
    assert records[-1]["metrics"]["asked_library"]["datatype class 8, version 9"] > 2


def test_an_object_of_an_unknown_header_is_asked_of_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "two.h5"
    with h5py.File(path, "w") as file:
        file["a/inside"], file["b"], file["c"] = 1, 2, 3
        file["d"] = file["b"]
    before = told(read(path))
    hidden = {before["/a"]["address"], before["/b"]["address"]}
    read_header = objects.read_header

    def read_less(space: AddressSpace, address: int) -> ObjectHeader:
        if address in hidden:
            raise UnsupportedSource("object header version 9 is not known", offset=address)
        return read_header(space, address)

    monkeypatch.setattr(objects, "read_header", read_less)
    records = read(path)
    assert told(records) == {name: record for name, record in before.items() if name != "/a/inside"}
    assert [record["message"] for record in records if record["type"] == "error"] == [
        "the list of members of /a cannot be read: object header version 9 is not known"
    ]
    assert records[-1]["metrics"]["asked_library"] == {"object header version 9": 2}


def test_a_netcdf_variable_is_asked_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "unlimited.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("time", None)
        file.createVariable("t", "f4", ("time",), fill_value=9)[:] = np.arange(3)
        file["t"].units = "s"
    before = read(path)
    forget_chunked_layouts(monkeypatch)
    records = read(path)
    assert records[1:-1] == before[1:-1]
    assert records[-1]["metrics"]["asked_library"] == {"a data layout of version 9, class 2": 1}


def test_what_contradicts_its_checksum_is_broken_not_unknown(tmp_path: Path) -> None:
    path = tmp_path / "one.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("d", data=np.arange(5))
    before = told(read(path))
    data = bytearray(path.read_bytes())
    header = before["/d"]["address"]
    data[data.index(b"\x08\x12\0", header) + 4] = 99  # the version of its layout: a message of type 8 and 18 bytes
    path.write_bytes(data)
    records = read(path)
    (error,) = (record for record in records if record["type"] == "error")
    assert (error["code"], "checksum" in error["message"]) == ("corrupt", True)
    assert "asked_library" not in records[-1]["metrics"]


def test_a_superblock_that_contradicts_its_checksum(tmp_path: Path) -> None:
    path = tmp_path / "one.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file["d"] = 1
    before = told(read(path))
    data = bytearray(path.read_bytes())
    data[44] ^= 1
    path.write_bytes(data)
    records = read(path)
    assert told(records) == before
    assert (records[-1]["status"], records[-1]["reason"]) == ("truncated", "the superblock contradicts its checksum")


def test_lookup3_of_its_authors_own_example() -> None:
    assert lookup3(b"") == 0xDEADBEEF
    assert lookup3(b"Four score and seven years ago") == 0x17770551


def test_a_library_that_is_not_to_be_had(tmp_path: Path) -> None:
    path = samples.build(tmp_path)
    question = {"path": "/datasets/chunked", "address": told(read(path))["/datasets/chunked"]["address"]}
    for place, budget in ((None, None), (str(path), 1 << 20), (str(tmp_path / "gone"), None)):
        librarian = Librarian(place, ReadOptions(), budget)
        try:
            assert librarian("hdf5-library", "it", question) == []
        finally:
            librarian.close()
    librarian = Librarian(str(path), ReadOptions(), None)
    try:
        assert librarian("hdf5-library", "it", question | {"address": 1}) == []
        assert librarian("hdf5-library", "it", question | {"path": "/no/where"}) == []
        (record,) = librarian("hdf5-library", "it", question)
        assert record["path"] == "/datasets/chunked"
        assert librarian.asked == {"it": 3}
        assert librarian._process is not None
        librarian._process.kill()  # the library died of its last question: the next one is asked of another
        assert librarian("hdf5-library", "it", question) == []
        assert librarian("hdf5-library", "it", question) == [record]
    finally:
        librarian.close()
    assert librarian._process is None
