"""Structures of a version that memx does not know: as h5py knows them, and as nobody does.

What memx sees of a file is altered as it is read, so that the library, which reads by itself, knows what memx does not.
"""

import re
from collections.abc import Callable
from pathlib import Path

import h5py
import netCDF4
import numpy as np
import pytest

from memx.engine.options import StreamOptions
from memx.engine.reading.streaming import Stream
from memx.formats.hdf5.checksums import lookup3
from memx.records import Record
from memx.sources import LocalFile
from tests.contract import assert_contract
from tests.samples import hdf5 as samples
from tests.samples import netcdf as netcdf_samples

UNKNOWN = 99


def read(path: Path) -> list[Record]:
    records = list(Stream(path, StreamOptions(chunks=True)).records())
    assert_contract(records, path)
    assert records[0]["reader"] == "direct"
    return records


def alter(monkeypatch: pytest.MonkeyPatch, places: dict[int, int]) -> None:
    """Lets memx see other bytes at `places` than there are."""
    read_at = LocalFile.read_at

    def read_other(self: LocalFile, offset: int, length: int) -> bytes:
        data = bytearray(read_at(self, offset, length))
        for place, value in places.items():
            if offset <= place < offset + len(data):
                data[place - offset] = value
        return bytes(data)

    monkeypatch.setattr(LocalFile, "read_at", read_other)


def found(raw: bytes, mark: bytes) -> list[int]:
    return [match.start() for match in re.finditer(mark, raw, re.DOTALL)]


def as_if(raw: bytes, header: int, place: int) -> dict[int, int]:
    """What alters the version at `place` of the object header at `header`, whose checksum then says so, too."""
    flags = raw[header + 5]
    at = header + 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    return sealed(raw, header, at + width + int.from_bytes(raw[at : at + width], "little"), place)


def sealed(raw: bytes, begin: int, end: int, place: int) -> dict[int, int]:
    """What has to be altered for a structure whose checksum stands at `end` to have an unknown version at `place`."""
    changed = bytearray(raw[begin:end])
    assert raw[end : end + 4] == lookup3(bytes(changed)).to_bytes(4, "little")
    changed[place - begin] = UNKNOWN
    return {place: UNKNOWN} | dict(enumerate(lookup3(bytes(changed)).to_bytes(4, "little"), end))


_SUMMED = {b"FAHD": 24, b"EAHD": 68, b"BTHD": 34}
"""The bytes of structures before their checksums."""


def unknown(raw: bytes, mark: bytes, place: int) -> dict[int, int]:
    """What has to be altered for an unknown version at `place` in a structure that has a `mark`."""
    if mark in _CHECKED:
        return as_if(raw, raw.rindex(b"OHDR", 0, place), place)
    if raw[place - 1] == 0 and raw[place - 5 : place - 1] in _SUMMED:  # not its own version
        return sealed(raw, place - 5, place - 5 + _SUMMED[raw[place - 5 : place - 1]], place)
    return {place: UNKNOWN}


def build_old(folder: Path) -> Path:
    path = folder / "old.h5"
    with h5py.File(path, "w", libver="earliest") as file:
        for index in range(300):
            file[f"group/link {index:03d}"] = h5py.SoftLink("/d")
        file["d"], file["group/e"] = np.arange(4), 1
        file["d"].attrs["text"], file["d"].attrs["number"] = "in the global heap", 5
        file.create_dataset("chunked", data=np.arange(100), chunks=(10,))
        file.create_dataset("external", (4,), "<i4", external=[("elsewhere.raw", 8, 16)])
        layout = h5py.VirtualLayout((4,), "<i4")
        layout[:] = h5py.VirtualSource("no such file.h5", "data", (4,))
        file.create_virtual_dataset("virtual", layout)
    return path


def build_chunks(folder: Path) -> Path:
    path = folder / "chunks.h5"
    with h5py.File(path, "w", libver="latest") as file:
        for name, how in {"": {}, " filtered": {"compression": "gzip"}}.items():
            make = file.create_dataset
            make(f"fixed{name}", data=np.arange(100), chunks=(10,), **how)
            make(f"growing{name}", data=np.arange(100), chunks=(10,), maxshape=(None,), **how)
            make(f"growing both{name}", data=np.ones((90, 80)), chunks=(7, 7), maxshape=(None, None), **how)
        make("growing far", (20_000,), "i1", chunks=(2,), maxshape=(None,))[:] = 1
    return path


def build_shared(folder: Path) -> Path:
    return samples.build_shared_messages(folder, 50)


STRUCTURES: list[tuple[Callable[[Path], Path], bytes, int, str]] = [
    (build_old, b"SNOD", 4, "a symbol table node of version 99"),
    (build_old, b"TREE\0", 4, "a B-tree node of type 99"),
    (build_old, b"TREE\1", 4, "a B-tree node of type 99"),
    (build_old, b"HEAP", 4, "a local heap of version 99"),
    (build_old, b"GCOL", 4, "a global heap collection of version 99"),
    (build_old, b"\1\0\x18\0.\0\0\0\1", 8, "a dataspace of version 99"),
    (build_old, b"\7\0..\1\0\0\0\1\0\0\0\1\0\1\0", 8, "an external file list of version 99"),
    (build_old, b"\5\0\x08\0.\0\0\0\2", 8, "a fill value message of version 99"),
    (build_old, b"\x0c\0..\0\0\0\0\1\0\7\0", 8, "an attribute message of version 99"),
    (build_chunks, b"FAHD", 4, "a fixed array of version 99"),
    (build_chunks, b"FAHD", 5, "a fixed array for client 99"),
    (build_chunks, b"FADB", 4, "a data block of a fixed array of version 99"),
    (build_chunks, b"EAHD", 4, "an extensible array of version 99"),
    (build_chunks, b"EAHD", 5, "an extensible array for client 99"),
    (build_chunks, b"EAIB", 4, "an index block of an extensible array of version 99"),
    (build_chunks, b"EASB", 4, "a super block of an extensible array of version 99"),
    (build_chunks, b"EADB", 4, "a data block of an extensible array of version 99"),
    (build_chunks, b"BTHD\0\x0a", 4, "a B-tree header of version 99, record type 10"),
    (build_chunks, b"BTHD\0\x0b", 5, "a B-tree header of version 0, record type 99"),
    (build_chunks, b"BTIN\0\x0a", 4, "a B-tree node of version 99"),
    (build_chunks, b"BTLF\0\x0b", 4, "a B-tree node of version 99"),
    (samples.build_dense, b"FRHP", 4, "a fractal heap of version 99"),
    (samples.build_dense, b"FHIB", 4, "an indirect block of a fractal heap of version 99"),
    (samples.build_dense, b"BTIN\0\5", 4, "a B-tree node of version 99"),
    (samples.build_dense, b"BTLF\0\5", 4, "a B-tree node of version 99"),
    (samples.build_dense, b"BTLF\0\x08", 4, "a B-tree node of version 99"),
    (samples.build_dense, b"\x15\x12\0\4\0", 4, "an attribute info message of version 99"),
    (samples.build_dense, b"\x02\x12\0\0\0", 4, "a link info message of version 99"),
    (build_shared, b"SMTB", 4, "an index of shared messages of version 99"),
]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("build", "mark", "at", "construct"), STRUCTURES, ids=lambda value: repr(value) if isinstance(value, bytes) else ""
)
def test_a_structure_of_an_unknown_version(
    build: Callable[[Path], Path], mark: bytes, at: int, construct: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = build(tmp_path)
    raw = path.read_bytes()
    before = read(path)
    assert before[-1]["status"] == "complete"
    places = found(raw, mark)
    assert places
    with monkeypatch.context() as patch:
        altered: dict[int, int] = {}
        for place in places:
            altered |= unknown(raw, mark, place + at)
        alter(patch, altered)
        records = read(path)
    assert records[1:-1] == before[1:-1]  # as the library tells of it
    assert records[-1]["metrics"]["asked_library"].keys() == {construct}
    changed = bytearray(raw)
    for place in places:
        changed[place + at] = UNKNOWN
    path.write_bytes(changed)
    records = read(path)  # and the library does not know it, either
    errors = [record for record in records if record["type"] == "error"]
    assert errors
    told = {record["path"] for record in before[1:-1]}
    assert {record["path"] for record in records[1:-1] if record["type"] != "error"} <= told
    broken = len(altered) > len(places)  # a checksum tells it from unknown
    assert {error["code"] for error in errors} == {"corrupt" if broken else "unsupported"}
    assert all(("checksum" if broken else construct) in error["message"] for error in errors)
    assert ("asked_library" in records[-1]["metrics"]) is not broken


_CHECKED = (b"\x15\x12\0\4\0", b"\x02\x12\0\0\0")
"""Messages of headers that have checksums, which tell broken from unknown."""


def test_a_message_that_has_to_be_known(tmp_path: Path) -> None:
    path = tmp_path / "one.h5"
    with h5py.File(path, "w", libver="earliest") as file:
        file.create_dataset("d", data=np.arange(4), track_times=True)
        file["e"] = 1
    raw = bytearray(path.read_bytes())
    (at,) = found(raw, rb"\x12\0\x08\0.\0\0\0\x01")
    for flags, known in ((0, True), (0x80, False)):  # what is not known may be passed over, unless it says no
        raw[at], raw[at + 4] = 30, flags
        path.write_bytes(raw)
        records = read(path)
        paths = [record["path"] for record in records[1:-1] if record["type"] != "error"]
        assert paths == (["/", "/d", "/e"] if known else ["/", "/e"])
        if not known:
            assert (
                records[-1]["reason"]
                == "the object /d cannot be read: a message of type 30 that has to be known is not known"
            )
            assert records[-1]["metrics"]["asked_library"] == {"a message of type 30 that has to be known": 1}


def test_no_more_of_the_attributes_than_memx_can_read(tmp_path: Path) -> None:
    path = tmp_path / "one.h5"
    with h5py.File(path, "w", libver="earliest") as file:
        file["d"] = 1
        file["d"].attrs["text"], file["d"].attrs["number"] = "in the global heap", 5
    raw = bytearray(path.read_bytes())
    raw[found(raw, b"GCOL")[0] + 4] = UNKNOWN
    path.write_bytes(raw)
    records = read(path)
    (told,) = (record for record in records if record.get("path") == "/d")
    assert told["attributes"] == {"number": 5}
    (error,) = (record for record in records if record["type"] == "error")
    assert error["code"] == "unsupported"
    assert error["message"].endswith("a global heap collection of version 99 is not known")


@pytest.fixture
def netcdf(tmp_path: Path) -> Path:
    """User-defined types, groups, variables of every kind of storage, and a soft link."""
    path = netcdf_samples.build_netcdf4(tmp_path)
    with netCDF4.Dataset(path, "a") as file:
        file["names"].delncattr("_FillValue") if "_FillValue" in file["names"].ncattrs() else None
        file["x"].pair, file["inner"].more = np.zeros(1, file.cmptypes["pair"].dtype), "more"
    with h5py.File(path, "a") as file:
        file["soft"] = h5py.SoftLink("/inner/deeper/far")
    return path


@pytest.mark.slow
def test_every_object_of_a_netcdf_file_of_an_unknown_header(netcdf: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    raw = netcdf.read_bytes()
    before = read(netcdf)
    assert before[-1]["status"] == "complete"
    headers = found(raw, b"OHDR\2")
    assert len(headers) > 15
    for places in [*([place] for place in headers), headers]:
        with monkeypatch.context() as patch:
            alter(patch, {place + 4: UNKNOWN for place in places})
            records = read(netcdf)
        (theirs,) = (record for record in records if record.get("path") == "/names")
        theirs |= {"fillvalue": ""}  # which h5py cannot give
        assert records[1:-1] == before[1:-1]
        ((construct, count),) = records[-1]["metrics"]["asked_library"].items()
        assert construct == "object header version 99"
        assert len(places) <= count <= len(places) + 4  # what a type of the user's is, its variables need to know, too


def test_a_netcdf_object_whose_header_nobody_knows(netcdf: Path) -> None:
    raw = bytearray(netcdf.read_bytes())
    before = read(netcdf)
    with h5py.File(netcdf) as file:
        address = h5py.h5o.get_info(file["big_endian"].id).addr
    raw[address + 4] = UNKNOWN
    netcdf.write_bytes(raw)
    records = read(netcdf)
    (error,) = (record for record in records if record["type"] == "error")
    assert error["code"] == "unsupported"
    assert error["message"] == "the object /big_endian cannot be read: object header version 99 is not known"
    assert records[-1]["metrics"]["asked_library"] == {"object header version 99": 1}
    told = [record for record in records[1:-1] if record["type"] != "error"]
    assert told == [record for record in before[1:-1] if record.get("path") != "/big_endian"]


@pytest.mark.parametrize(
    ("mark", "construct"),
    [
        (rb"\x01..[\0\1]..\x02[\0-\2][\0\1][\0\1]", "a dataspace of version 99"),
        (rb"\x08..[\0\1]..\x03[\0-\2]", "a data layout of version 99"),
    ],
)
def test_netcdf_variables_of_unknown_messages(
    mark: bytes, construct: str, netcdf: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    raw = netcdf.read_bytes()
    before = read(netcdf)
    with h5py.File(netcdf) as file:
        places: dict[int, int] = {}
        for name in ("long", "_nc4_non_coord_x", "big_endian", "inner/both", "ragged"):
            address = h5py.h5o.get_info(file[name].id).addr
            places |= as_if(raw, address, address + found(raw[address : address + 300], mark)[0] + 6)
    alter(monkeypatch, places)
    records = read(netcdf)
    assert any(record["type"] == "chunk" for record in records)
    assert records[1:-1] == before[1:-1]
    asked = records[-1]["metrics"]["asked_library"]
    assert all(key.startswith(construct) for key in asked)
    assert sum(asked.values()) == 5


def test_a_plain_file_is_known_as_netcdf_by_what_the_library_says(
    netcdf: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "plain.h5"
    path.write_bytes(netcdf.read_bytes())
    before = read(path)
    assert before[0]["format"] == "netcdf"
    alter(monkeypatch, {int.from_bytes(path.read_bytes()[36:44], "little") + 4: UNKNOWN})  # the header of the root
    records = read(path)
    assert records[:-1] == before[:-1]
    assert records[-1]["metrics"]["asked_library"] == {"object header version 99": 1}
