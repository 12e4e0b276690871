"""NetCDF: every data model against netCDF4-python, and classic headers made by hand."""

import io
import re
import subprocess
import tempfile
from itertools import product
from pathlib import Path
from typing import Any

import h5py
import netCDF4
import numpy as np
import pytest
from h5py import h5a, h5s, h5t
from hypothesis import given
from hypothesis import strategies as st

from memx.engine.options import StreamOptions
from memx.engine.reading.streaming import Stream
from memx.records import Record
from tests.contract import assert_contract
from tests.oracles.netcdf import disagreements
from tests.samples import netcdf as samples
from tests.samples.netcdf import ClassicHeader

MODELS = (*samples.CLASSIC, "NETCDF4", "NETCDF4_CLASSIC")


class Pipe(io.BytesIO):
    """Bytes that can only be read on."""

    def seekable(self) -> bool:
        return False


def read(origin: Any, **options: Any) -> list[Record]:
    """All records; the contract is held against them."""
    records = list(Stream(origin, StreamOptions(**options)).records())
    assert_contract(records, origin if isinstance(origin, Path) else None)
    assert records[0]["format"] == "netcdf"
    return records


def by_path(records: list[Record], kind: str = "variable") -> dict[str, Record]:
    return {record["path"]: record for record in records if record["type"] == kind}


def errors(records: list[Record]) -> list[tuple[str, str]]:
    return [(record["code"], record["message"]) for record in records if record["type"] == "error"]


@pytest.mark.parametrize("model", MODELS)
def test_every_model_agrees_with_netcdf4(model: str, tmp_path: Path) -> None:
    path = samples.build_model(tmp_path, model)
    records = read(path)
    assert (records[0]["variant"], records[-1]["status"]) == (model, "complete")
    assert disagreements(str(path), records) == []


@pytest.mark.parametrize(
    "build", [samples.build_netcdf4, samples.build_phony, samples.build_scales], ids=lambda build: build.__name__
)
def test_netcdf4_samples_agree_with_netcdf4(build: Any, tmp_path: Path) -> None:
    path = build(tmp_path)
    records = read(path)
    assert (errors(records), records[-1]["status"]) == ([], "complete")
    assert disagreements(str(path), records) == []


def test_storage_is_told_as_of_hdf5(tmp_path: Path) -> None:
    for path in (samples.build(tmp_path), samples.build_netcdf4(tmp_path)):
        records = read(path)
        unlimited = {dimension["path"] for dimension in records if dimension.get("unlimited")}
        variables = [record for record in records if record["type"] == "variable"]
        assert variables
        for variable in variables:
            assert variable.keys() >= {"layout", "chunks", "filters", "offset", "storage_size"}
            bounds = [path not in unlimited for path in variable["dimension_paths"]]
            assert [bound is not None for bound in variable["maxshape"]] == bounds


def test_the_oracle_sees_what_is_wrong(tmp_path: Path) -> None:
    path = samples.build_netcdf4(tmp_path)
    for kind, at, changed in (
        ("variable", "/long", {"shape": [3, 8]}),
        ("variable", "/long", {"dimensions": ["time", "x"]}),
        ("variable", "/long", {"dtype": "<f8"}),
        ("variable", "/long", {"filters": []}),
        ("variable", "/long", {"chunks": [1, 1]}),
        ("variable", "/time", {"attributes": {}}),
        ("variable", "/time", {"attributes": {"units": "days since 2000-01-01", "more": 1}}),
        ("dimension", "/time", {"size": 7}),
        ("dimension", "/time", {"unlimited": False}),
        ("type", "/cloud", {"members": {"clear": 0}}),
        ("group", "/inner", {"attributes": {"note": "without"}}),
    ):
        records = read(path)
        place = next(n for n, r in enumerate(records) if (r["type"], r.get("path")) == (kind, at))
        records[place] = records[place] | changed
        assert disagreements(str(path), records), changed
        del records[place]
        assert disagreements(str(path), records), at


def test_unlimited_dimensions_are_as_long_as_what_was_written(tmp_path: Path) -> None:
    records = read(samples.build_netcdf4(tmp_path))
    dimensions, variables = by_path(records, "dimension"), by_path(records)
    assert (dimensions["/time"]["size"], dimensions["/z"]["size"]) == (9, 0)
    assert variables["/short"]["shape"] == [9, 3]
    assert variables["/inner/both"]["dimension_paths"] == ["/time", "/inner/x"]
    assert variables["/inner/deeper/far"]["dimension_paths"] == ["/inner/x", "/z"]


def test_bookkeeping_is_hidden(tmp_path: Path) -> None:
    records = read(samples.build_netcdf4(tmp_path))
    variables = by_path(records)
    assert set(variables) >= {"/x", "/names"}
    assert not any("_nc4_non_coord_" in path for path in variables)
    for record in records:
        assert not {"CLASS", "NAME", "DIMENSION_LIST", "_Netcdf4Dimid", "_NCProperties"} & set(
            record.get("attributes", ())
        )


def test_attributes_are_as_netcdf_gives_them(tmp_path: Path) -> None:
    attributes = by_path(read(samples.build_netcdf4(tmp_path)), "group")["/"]["attributes"]
    assert attributes == {"texts": ["a", "日本"], "text": "one", "chars": "chars", "numbers": [0, 1, 2, 3]}
    classic = by_path(read(samples.build(tmp_path)), "group")["/"]["attributes"]
    assert classic == {
        "title": "Über alles",
        "Conventions": "CF-1.8",
        "empty": "",
        "numbers": [0, 1, 2],
        "single": float(np.float32(0.1)),
    }


def test_text_of_every_shape_and_padding_is_as_netcdf_gives_it(tmp_path: Path) -> None:
    path = tmp_path / "text.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.nul = "a\0b "
    held = (b"ab  ", b"a\0b ", b"a b\0", b"    ", b"\0\0\0\0", b"abcd")
    with h5py.File(path, "a") as file:
        for padding, shape, number in product((0, 1, 2), ((), (1,), (2,), (2, 2)), range(len(held))):
            kind = h5t.C_S1.copy()
            kind.set_size(4)
            kind.set_strpad(padding)
            space = h5s.create_simple(shape) if shape else h5s.create(h5s.SCALAR)
            attribute = h5a.create(file.id, f"{padding} {shape} {number}".encode(), kind, space)
            attribute.write(np.full(shape, held[number], "S4"), mtype=kind)
        for name, value in {"grid": [["a", "b"], ["c", "d"]], "one": [["a"]]}.items():
            file.attrs.create(name, np.array(value, object), dtype=h5py.string_dtype())
        file.attrs["no text"] = h5py.Empty(h5py.string_dtype())
        file.attrs["no characters"] = h5py.Empty("S4")
    records = read(path)
    attributes = by_path(records, "group")["/"]["attributes"]
    with netCDF4.Dataset(path) as file:
        theirs = {name: file.getncattr(name) for name in file.ncattrs()}
    assert attributes == {k: v.tolist() if isinstance(v, np.ndarray) else v for k, v in theirs.items()}
    assert (attributes["nul"], attributes["2 (2,) 1"], attributes["no text"]) == ("ab ", ["a", "a"], [])


def test_kinds_of_user_defined_types(tmp_path: Path) -> None:
    records = read(samples.build_netcdf4(tmp_path))
    types = by_path(records, "type")
    assert {path: record["kind"] for path, record in types.items()} == {
        "/cloud": "enum",
        "/row": "vlen",
        "/pair": "compound",
    }
    assert types["/cloud"]["members"] == {"clear": 0, "rain": 1}
    assert types["/row"]["base"] == "<i4"
    assert types["/pair"]["members"][2] == {"name": "label", "dtype": "|S1", "shape": [4], "offset": 8}


def test_complex_numbers_are_compounds_to_netcdf(tmp_path: Path) -> None:
    path = tmp_path / "complex.nc"
    with h5py.File(path, "w") as file:
        file["number"] = np.dtype("<c16")
        file.create_dataset("z", (3,), file["number"])
    records = read(path)
    assert disagreements(str(path), records) == []
    members = [{"name": name, "dtype": "<f8", "shape": [], "offset": at} for name, at in (("r", 0), ("i", 8))]
    assert by_path(records, "type")["/number"]["members"] == members
    assert by_path(records)["/z"]["user_type"] == "/number"


def test_scales_with_several_links_and_phony_dimensions_behind_all_others(tmp_path: Path) -> None:
    path = tmp_path / "scales.nc"
    only = "This is a netCDF dimension but not a netCDF variable.         3"
    with h5py.File(path, "w") as file:
        scale, grows = file.create_dataset("x", (3,), "f4"), file.create_dataset("t", (3,), "f4", maxshape=(None,))
        scale.make_scale("x")
        grows.make_scale(only)
        file["other"] = file["inner/x too"] = scale
        file["inner/plain"] = np.zeros((7, 3))
        file["along"], file["inner/along"], file["fixed"] = np.zeros(3), np.zeros(3), np.zeros(2)
        for name, of in {"along": scale, "inner/along": scale, "fixed": grows}.items():
            file[name].dims[0].attach_scale(of)
        file.create_dataset("late/scale", (4,), "f4").make_scale("late")
        file.create_dataset("long", (5,), "f4", maxshape=(None,)).dims[0].attach_scale(grows)
        file.create_dataset("as long", (5,), "f4", maxshape=(None,))
    records = read(path)
    assert disagreements(str(path), records) == []
    told = by_path(records)
    assert {name: told[name]["dimension_paths"] for name in ("/along", "/inner/along", "/inner/x too", "/other")} == {
        "/along": ["/other"],
        "/inner/along": ["/inner/x too"],
        "/inner/x too": ["/inner/x too"],
        "/other": ["/other"],
    }
    assert told["/fixed"]["shape"] == [5]
    assert told["/as long"]["dimensions"] == ["phony_dim_6"]
    assert told["/inner/plain"]["dimensions"][0] == "phony_dim_5"


def test_a_group_that_holds_itself(tmp_path: Path) -> None:
    records = read(samples.build_cycle(tmp_path))
    assert set(by_path(records)) == {"/group/c", "/z/last"}
    assert len(errors(records)) == 1


def test_links_out_of_the_file_are_not_opened(tmp_path: Path) -> None:
    path = tmp_path / "links.nc"
    with h5py.File(tmp_path / "other.h5", "w") as file:
        file["x"] = np.zeros(3)
    with h5py.File(path, "w") as file:
        file["here"] = np.zeros(3)
        file["soft"] = h5py.SoftLink("/here")
        file["gone"] = h5py.SoftLink("/no/where")
        file["outside"] = h5py.ExternalLink("other.h5", "/x")
        file["through"] = h5py.SoftLink("/outside")
    records = read(path)
    assert set(by_path(records)) == {"/here", "/soft"}
    assert {p: (r["kind"], r["target"], r["file"]) for p, r in by_path(records, "link").items()} == {
        "/gone": ("soft", "/no/where", None),
        "/outside": ("external", "/x", "other.h5"),
        "/through": ("soft", "/outside", None),
    }


@pytest.mark.oracle("ncdump")
@pytest.mark.parametrize("model", MODELS)
def test_ncdump_declares_the_same(model: str, tmp_path: Path) -> None:
    path = samples.build_model(tmp_path, model)
    told = subprocess.run(["ncdump", "-h", path], capture_output=True, text=True, check=True).stdout
    theirs = set(re.findall(r"^\t\w+ (\w+(?:\(.*?\))?) ;$", told, re.MULTILINE))
    ours = set()
    for record in by_path(read(path)).values():
        dimensions = f"({', '.join(record['dimensions'])})" if record["dimensions"] else ""
        ours.add(record["path"][1:] + dimensions)
    assert ours == theirs


# classic headers, by hand


def write(header: ClassicHeader, tmp_path: Path, size: int | None = None) -> Path:
    return header.write(tmp_path / "hand.nc", size)


def over_records(header: ClassicHeader, *variables: bytes) -> ClassicHeader:
    return header.dimensions((b"t", 0), (b"x", 3)).attributes().variables(*variables)


def test_offsets_lead_to_the_data(tmp_path: Path) -> None:
    path = samples.build(tmp_path)
    lat = by_path(read(path))["/lat"]
    raw = path.read_bytes()[lat["offset"] :][: lat["storage_size"]]
    assert np.frombuffer(raw, lat["dtype"]).tolist() == [1, 2, 3]


@pytest.mark.parametrize("version", [1, 2, 5])
def test_numbers_of_records(version: int, tmp_path: Path) -> None:
    header = ClassicHeader(version, 4)
    path = write(
        over_records(header, header.variable(b"a", [0, 1], 400, 3), header.variable(b"b", [0], 408, 6)), tmp_path, 464
    )
    records = read(path)
    assert records[-1]["status"] == "complete"
    assert by_path(records, "dimension")["/t"] == {"type": "dimension", "path": "/t", "size": 4, "unlimited": True}
    a = by_path(records)["/a"]
    assert (a["shape"], a["offset"], a["storage_size"], a["layout"]) == ([4, 3], 400, 24, "record")
    assert a["maxshape"] == [None, 3]


@pytest.mark.parametrize(("variables", "count"), [(1, 11), (2, 8)])
def test_records_that_the_size_tells(variables: int, count: int, tmp_path: Path) -> None:
    header = ClassicHeader(1, 2**32 - 1)  # STREAMING
    # the only record variable is not padded: 6 bytes a record; of two, each is
    items = [header.variable(b"ab"[n : n + 1], [0, 1], 400 + 8 * n, 3) for n in range(variables)]
    path = write(over_records(header, *items), tmp_path, 400 + (66 if variables == 1 else 128))
    records = read(path)
    assert records[-1]["status"] == "complete"
    assert by_path(records, "dimension")["/t"]["size"] == count
    assert by_path(records)["/a"]["shape"] == [count, 3]
    piped = read(Pipe(path.read_bytes()))
    assert by_path(piped, "dimension")["/t"]["size"] is None
    assert by_path(piped)["/a"]["shape"] == [None, 3]


def test_a_pipe_gives_the_same(tmp_path: Path) -> None:
    path = samples.build(tmp_path)
    assert read(Pipe(path.read_bytes()))[1:-1] == read(path)[1:-1]


def test_every_cut_of_a_header_is_truncated(tmp_path: Path) -> None:
    whole = samples.build(tmp_path).read_bytes()
    complete = read(samples.build(tmp_path))
    end = min(record["offset"] for record in by_path(complete).values())
    for length in range(4, end, 37):
        records = read(io.BytesIO(whole[:length]))
        assert records[-1]["status"] == "truncated"
        assert errors(records)[-1][0] == "truncated"
        assert by_path(records).keys() <= by_path(complete).keys()


def test_data_that_are_not_all_there(tmp_path: Path) -> None:
    def status(size: int) -> str:
        header = ClassicHeader()
        header.dimensions((b"x", 3)).attributes().variables(header.variable(b"v", [0], 100, 3))
        return str(read(write(header, tmp_path, size))[-1]["status"])

    assert status(108) == "complete"
    assert status(106) == "complete"  # only padding is missing
    assert status(105) == "truncated"


def test_text_and_names(tmp_path: Path) -> None:
    header = ClassicHeader()
    items = (
        header.attribute(b"ended", 2, 4, b"abc\0"),
        header.attribute(b"latin", 2, 3, b"a\xe9b"),
        header.attribute("näme".encode(), 6, 1, b"\x7f\xf8" + bytes(6)),
        header.attribute(b"many", 3, 3, b"\0\1\0\2\0\3"),
    )
    root = by_path(read(write(header.dimensions().attributes(*items).variables(), tmp_path)), "group")["/"]
    assert root["attributes"] == {"ended": "abc", "latin": "a\\xe9b", "näme": "NaN", "many": [1, 2, 3]}


def test_long_attributes_are_not_read(tmp_path: Path) -> None:
    header = ClassicHeader()
    raw = bytes(range(200))
    path = write(header.dimensions().attributes(header.attribute(b"long", 1, 200, raw)).variables(), tmp_path)
    long = by_path(read(path, max_value_bytes=100), "group")["/"]["attributes"]["long"]
    assert path.read_bytes()[long["offset"] :][: long["length"]] == raw
    assert (long["bulk"], long["dtype"], long["shape"]) == (True, "|i1", [200])


def faulty() -> dict[str, tuple[ClassicHeader, str]]:
    """Headers that cannot be, and a word of what is said of each."""
    made: dict[str, tuple[ClassicHeader, str]] = {}

    def add(name: str, header: ClassicHeader, word: str) -> None:
        made[name] = header, word

    header = ClassicHeader()
    add("tag", header.items(9, [header.name(b"x") + header.count(1)]), "tag")
    add("negative", ClassicHeader().dimensions(count=2**31), "negative")
    header = ClassicHeader()
    add("name", header.items(10, [header.count(2**30)], 1), "no name has")
    add("unnamed", ClassicHeader().dimensions((b"", 1)), "empty")
    header = ClassicHeader()
    add("type", header.dimensions().attributes(header.attribute(b"a", 7, 1, bytes(4))), "CDF-1 does not have")
    header = ClassicHeader()
    add("dimension", header.dimensions().attributes().variables(header.variable(b"v", [3], 200)), "has not")
    header = ClassicHeader()
    add("rank", header.dimensions((b"x", 1)).attributes().variables(header.variable(b"v", [0] * 1025, 9000)), "1025")
    add("two", ClassicHeader().dimensions((b"a", 0), (b"b", 0)).attributes().variables(), "record dimension")
    header = ClassicHeader()
    add("within", header.dimensions().attributes().variables(header.variable(b"v", [], 8)), "within the header")
    header = ClassicHeader()
    both = header.variable(b"v", [0], 200), header.variable(b"w", [0], 204)
    add("overlap", header.dimensions((b"x", 3)).attributes().variables(*both), "overlap")
    header = ClassicHeader(2)
    large = header.variable(b"v", [0], 200, 1), header.variable(b"w", [], 2**33, 1)
    add("large", header.dimensions((b"x", 2**32 - 2)).attributes().variables(*large), "larger than the format")
    return made


@pytest.mark.parametrize("name", faulty())
def test_headers_that_cannot_be(name: str, tmp_path: Path) -> None:
    header, word = faulty()[name]
    records = read(write(header, tmp_path, 20000))
    assert records[-1]["status"] == "truncated"
    code, message = errors(records)[0]
    assert code == "corrupt"
    assert word in message


@pytest.mark.parametrize("version", [1, 5])
def test_counts_are_never_believed(version: int, tmp_path: Path) -> None:
    most = 2 ** (63 if version == 5 else 31) - 1
    header = ClassicHeader(version)
    for cut in (
        ClassicHeader(version).dimensions(count=most),
        ClassicHeader(version).dimensions().attributes(count=most),
        ClassicHeader(version).dimensions().attributes().variables(count=most),
        ClassicHeader(version).dimensions().attributes(header.attribute(b"a", 1, most, b"abc")),
        ClassicHeader(version).dimensions().attributes().items(11, [header.name(b"v") + header.count(most)]),
    ):
        end = read(write(cut, tmp_path))[-1]
        assert end["status"] == "truncated"
        assert end["metrics"]["peak_rss_delta"] < 16 << 20


_BYTES = st.binary(max_size=40)


@given(st.dictionaries(st.binary(min_size=1, max_size=12).filter(lambda name: name.strip(b"\0")), _BYTES, max_size=8))
def test_any_attributes_come_back(attributes: dict[bytes, bytes]) -> None:
    header = ClassicHeader()
    items = [header.attribute(name, 2, len(value), value) for name, value in attributes.items()]
    raw = b"".join(header.dimensions().attributes(*items).variables().parts)
    found = by_path(read(io.BytesIO(raw)), "group")["/"]["attributes"]
    assert found == {
        name.decode("utf-8", "backslashreplace"): value.replace(b"\0", b"").decode("utf-8", "backslashreplace")
        for name, value in attributes.items()
    }


@given(st.data())
def test_any_bytes_within_a_header_end_well(data: st.DataObject) -> None:
    with tempfile.TemporaryDirectory() as folder:
        raw = bytearray(samples.build_model(Path(folder), data.draw(st.sampled_from(samples.CLASSIC))).read_bytes())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(4, len(raw) - 1))] = data.draw(st.integers(0, 255))
    records = read(io.BytesIO(raw))
    assert all(code in ("corrupt", "truncated") for code, _ in errors(records))


def test_chunks_follow_their_variable(tmp_path: Path) -> None:
    path = tmp_path / "chunks.nc"
    with netCDF4.Dataset(path, "w") as file:
        file.createDimension("x", 4)
        file.createVariable("v", "i1", ("x",), chunksizes=(2,))[:] = [0, 1, 2, 3]
        file.createVariable("w", "i1", ("x",))[:] = 9
    records = read(path, chunks=True)
    told = [record for record in records if record["type"] in ("variable", "chunk")]
    assert [(record["type"], record["path"]) for record in told] == [
        ("variable", "/v"),
        ("chunk", "/v"),
        ("chunk", "/v"),
        ("variable", "/w"),
    ]
    raw = path.read_bytes()
    held = {tuple(r["chunk_offset"]): raw[r["offset"] : r["offset"] + r["size"]] for r in told if r["type"] == "chunk"}
    assert held == {(0,): b"\0\1", (2,): b"\2\3"}
