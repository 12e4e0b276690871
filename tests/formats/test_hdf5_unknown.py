"""What memx does not know of an HDF5 object is asked of h5py, in a process of its own."""

import re
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest

from memx.engine.options import StreamOptions
from memx.engine.reading.librarian import Librarian
from memx.engine.reading.streaming import Stream
from memx.errors import CorruptFile, UnsupportedSource
from memx.formats.base import ReadOptions
from memx.formats.hdf5 import datatypes, filters, groups, objects, typemessages
from memx.formats.hdf5.checksums import lookup3
from memx.formats.hdf5.headers import ObjectHeader
from memx.formats.hdf5.heaps import FractalHeap
from memx.formats.hdf5.layouts import CHUNKED, Layout
from memx.formats.hdf5.space import AddressSpace
from memx.formats.hdf5.typemessages import Parser
from memx.formats.hdf5.unknown import links_from_library
from memx.records import Record
from tests.contract import assert_contract
from tests.oracles.hdf5 import disagreements
from tests.samples import hdf5 as samples
from tests.samples import netcdf as netcdf_samples


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

    monkeypatch.setitem(typemessages._PARSERS, datatypes.ENUM, parse_less)
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
    assert told(records) == before
    assert records[-1]["status"] == "complete"
    assert records[-1]["metrics"]["asked_library"] == {"object header version 9": 2}
    hidden |= {before["/"]["address"]}
    records = read(path)
    assert told(records) == before
    assert records[-1]["metrics"]["asked_library"] == {"object header version 9": 3}


def test_members_of_a_heap_of_unknown_filters_are_asked_of_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = samples.build_filtered_heap(tmp_path)
    before = read(path)
    monkeypatch.setattr(filters, "_DEFLATE", -1)
    records = read(path)
    assert disagreements(str(path), records) == []
    assert records[1:-1] == before[1:-1]
    assert records[-1]["metrics"]["asked_library"] == {"the filter deflate of a heap": 2}


@pytest.mark.slow
@pytest.mark.parametrize("order", ["", "tracked"])
def test_members_are_asked_for_from_the_unknown_one_on(
    order: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "many.h5"
    with h5py.File(path, "w", libver="latest", track_order=bool(order)) as file:
        for index in range(9000):  # more than are sorted, and than a page of answers has
            file[f"link {index}"] = h5py.SoftLink(f"/{index}")
        file["external"], file["hard"] = h5py.ExternalLink("other.h5", "/inside"), file["/"]
    before = read(path)
    unknown = before[4500]["path"][1:].encode()
    parse = groups.parse_link

    def parse_less(space: AddressSpace, body: bytes) -> groups.Link:
        link = parse(space, body)
        if link.name == unknown:
            raise UnsupportedSource("a link message of version 9 is not known")
        return link

    monkeypatch.setattr(groups, "parse_link", parse_less)
    records = read(path)
    assert records[1:-1] == before[1:-1]
    assert records[-1]["metrics"]["asked_library"] == {"a link message of version 9": 1}


def test_what_the_library_does_not_know_either(tmp_path: Path) -> None:
    path = samples.build_filtered_heap(tmp_path)
    data, before = bytearray(path.read_bytes()), told(read(path))
    for signature, name in ((b"FRHP", "a fractal heap of version 9"), (b"BTHD", "a B-tree header of version 9")):
        at = data.index(signature, data.index(b"many")) + 4
        changed = data.copy()
        changed[at] = 9
        path.write_bytes(changed)
        records = read(path)
        (error,) = (record for record in records if record["type"] == "error")
        assert (error["code"], name in error["message"]) == ("unsupported", True)
        assert told(records) == {key: record for key, record in before.items() if not key.startswith("/few/")}
        ((construct, count),) = records[-1]["metrics"]["asked_library"].items()
        assert (construct.startswith(name), count) == (True, 1)


def test_a_library_that_stops_in_the_midst() -> None:
    def ask(_library: str, construct: str, question: dict[str, Any]) -> list[Record]:
        asked.append((construct, question["members"]))
        links = [[b"a".hex(), 0, 96, ""], [b"b".hex(), 1, 0, b"/a".hex()]]
        return [{"type": "members", "links": links, "count": 5}] if not question["members"] else []

    asked: list[tuple[str, int]] = []
    error = UnsupportedSource("a link message of version 9 is not known")
    options = ReadOptions(ask_library=ask)
    links = links_from_library(options, error, "/", 48)
    assert links is not None
    assert [next(links), next(links)] == [groups.Link(b"a", 0, 96, b"", 0), groups.Link(b"b", 1, 0, b"/a", 0)]
    with pytest.raises(CorruptFile, match="after 2 links"):
        next(links)
    assert asked == [("a link message of version 9", 0), ("", 2)]
    assert links_from_library(options, groups.UnknownLinks(error, 7), "/", 48) is None
    assert links_from_library(options, CorruptFile("it is broken"), "/", 48) is None
    assert links_from_library(ReadOptions(), error, "/", 48) is None


def test_members_of_a_netcdf_group_are_asked_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "groups.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("x", 3)
        for index in range(20):  # more than a header holds
            file.createVariable(f"v{index}", "f4", ("x",)).units = "K"
        file.createGroup("inner").createVariable("w", "f4", ("x",))
    before = read(path)
    place = FractalHeap.place

    def place_less(self: FractalHeap, heap_id: bytes) -> Any:
        raise UnsupportedSource("the filter szip of a heap is not known")

    monkeypatch.setattr(FractalHeap, "place", place_less)
    records = read(path)
    assert records[1:-1] == before[1:-1]
    assert records[-1]["metrics"]["asked_library"] == {"the filter szip of a heap": 1}
    monkeypatch.setattr(FractalHeap, "place", place)


@pytest.mark.slow
def test_netcdf_attributes_and_types_are_asked_of_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = netcdf_samples.build_netcdf4(tmp_path)
    with netCDF4.Dataset(path, "a") as file:
        file["x"].pair, file["x"].zero, file["x"].after = np.zeros(1, file.cmptypes["pair"].dtype), "a\0b", np.arange(1)
    before = read(path)
    assert told(before)["/x"]["attributes"].pop("zero") == "ab"  # of which h5py gives the first letter
    assert told(before)["/x"]["attributes"].keys() == {"pair", "after"}
    assert told(before)["/names"].pop("fillvalue") == ""  # which h5py cannot give
    for kind in (datatypes.ENUM, datatypes.COMPOUND, datatypes.VLEN, datatypes.FIXED):
        with monkeypatch.context() as patch:

            def parse_less(self: Parser, *arguments: Any, kind: int = kind) -> Any:
                raise UnsupportedSource(f"datatype class {kind}, version 9 is not known")

            patch.setitem(typemessages._PARSERS, kind, parse_less)
            records = read(path)
        assert records[-1]["metrics"]["asked_library"].keys() == {f"datatype class {kind}, version 9"}
        assert [record for record in records if record["type"] == "error"] == []
        told(records)["/names"].pop("fillvalue", None)
        assert told(records)["/x"]["attributes"].pop("zero") in ("a", "ab")
        assert records[1:-1] == before[1:-1]


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


@pytest.mark.parametrize(
    ("mark", "at", "message"),
    [
        (
            rb"BTHD\0\x05.{6}[^\0]",
            24,
            "the list of members of /many cannot be read: the header of a B-tree contradicts",
        ),
        (rb"BTHD\0\x05.{6}\0\0", 26, "the list of members of /few cannot be read: a B-tree has more or fewer records"),
        (
            rb"BTIN\0\x05",
            20,
            "the list of members of /many cannot be read: a node of a B-tree contradicts its checksum",
        ),
        (
            rb"\x01\x08..link 01500",
            0,
            "the list of members of /many cannot be read: it contradicts a checksum: a link m",
        ),
        (rb"\x03\0\x0c\0....\0attribute 7\0", 0, "of /few cannot be read: it contradicts a checksum: an attribute me"),
    ],
    ids=["tree", "leaf", "node", "link", "attribute"],
)
def test_heaps_and_indexes_that_contradict_their_checksums(mark: bytes, at: int, message: str, tmp_path: Path) -> None:
    path = samples.build_dense(tmp_path)
    before, raw = told(read(path)), bytearray(path.read_bytes())
    place = next(re.finditer(mark, raw, re.DOTALL)).start() + at
    raw[place] ^= 1 if at else 0x40
    path.write_bytes(raw)
    records = read(path)
    (error,) = (record for record in records if record["type"] == "error")
    assert (error["code"], message in error["message"]) == ("corrupt", True), error
    assert "asked_library" not in records[-1]["metrics"]
    group = re.search("of (/\\w+) cannot", error["message"])
    assert group
    left = {path: record for path, record in before.items() if not path.startswith(group[1])}
    assert left == {path: record for path, record in told(records).items() if not path.startswith(group[1])}
    with h5py.File(path) as file, pytest.raises((OSError, RuntimeError, KeyError)):
        list(file[group[1]]), dict(file[group[1]].attrs)


def test_a_superblock_extension_that_contradicts_its_checksum(tmp_path: Path) -> None:
    path = samples.build_shared_messages(tmp_path, 50)
    before, raw = read(path), bytearray(path.read_bytes())
    assert before[-1]["status"] == "complete"
    raw[int.from_bytes(raw[20:28], "little") + 8] ^= 1  # what is between its prefix and its messages
    path.write_bytes(raw)
    records = read(path)
    assert told(records) == told(before)
    assert records[-1]["reason"] == "the superblock extension contradicts its checksum"
    with pytest.raises(OSError, match=r"checksum|extension"):
        h5py.File(path)


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


def test_a_superblock_of_an_unknown_version_sends_the_whole_file(tmp_path: Path) -> None:
    path = samples.build_superblock(tmp_path, 3, 0)
    data = bytearray(path.read_bytes())
    data[8] = 9
    path.write_bytes(data)
    file, *_, end = Stream(path).records()
    assert (file["reader"], end["status"]) == ("h5py", "failed")  # the library does not know it either
    assert end["metrics"]["asked_library"] == {"superblock version 9": 1}


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("netcdf", [False, True], ids=["hdf5", "netcdf"])
def test_a_file_that_is_cut_is_truncated_however_little_is_left(libver: Any, netcdf: bool, tmp_path: Path) -> None:
    path = tmp_path / ("file.nc" if netcdf else "file.h5")
    with h5py.File(path, "w", libver=libver) as file:
        if netcdf:
            file.attrs["_NCProperties"] = "version=2"
        for number in range(40):
            file.create_dataset(f"set{number}", data=np.arange(100)).attrs["units"] = "K"
            file.attrs[f"attribute{number}"] = number
    whole = path.read_bytes()
    for length in (8, 12, 15, 30, 60, 80, 100, 150, 300, 1000, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:length])
        *_, end = Stream(path).records()
        assert end["status"] == "truncated", (length, end["reason"])


@pytest.mark.parametrize("build", [samples.build_cache_image, lambda folder: samples.build_shared_messages(folder, 50)])
def test_a_file_that_is_cut_before_its_superblock_extension_is_truncated(build: Any, tmp_path: Path) -> None:
    path = build(tmp_path)
    whole = path.read_bytes()
    begin = whole.index(b"\x89HDF")
    for length in (47, 48, 60, 200, 600, len(whole) // 2, len(whole) - begin - 1):
        path.write_bytes(whole[: begin + length])
        *_, end = Stream(path).records()
        assert end["status"] == "truncated", (length, end["reason"])
