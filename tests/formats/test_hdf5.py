"""HDF5: both readers, by structure and through h5py, against h5py's high-level interface."""

import math
import random
import re
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from h5py import h5r
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from memx.engine.options import StreamOptions
from memx.engine.reading.streaming import Stream
from memx.errors import CorruptFile, TruncatedFile, UnsupportedSource
from memx.formats.base import ReadOptions
from memx.formats.hdf5.cacheimage import ImagedSpace
from memx.formats.hdf5.checksums import lookup3
from memx.formats.hdf5.filters import unfiltered
from memx.formats.hdf5.library import HDF5StreamReader
from memx.formats.hdf5.space import AddressSpace
from memx.records import MAX_LINE, Record, encode
from memx.sources import open_source
from tests.contract import assert_contract
from tests.oracles.hdf5 import disagreements
from tests.samples import hdf5 as samples

Read = Callable[..., list[Record]]


def directly(path: Path, **options: Any) -> list[Record]:
    """All records of memx's own reader, as the user gets them."""
    records = list(Stream(path, StreamOptions(**options)).records())
    assert_contract(records, path)
    assert records[0]["reader"] == "direct"
    return records


def through_library(path: Path, **options: Any) -> list[Record]:
    """The records of the reader that goes through h5py, behind a `file` line."""
    with HDF5StreamReader(open_source(path), ReadOptions(format="hdf5", **options)) as reader, reader.source:
        return [{"type": "file", "reader": "h5py"}, *reader]


@pytest.fixture(params=[directly, through_library], ids=lambda read: read.__name__)
def read(request: pytest.FixtureRequest) -> Read:
    function: Read = request.param
    return function


def by_path(records: list[Record]) -> dict[str, Record]:
    return {record["path"]: record for record in records if record["type"] not in ("file", "end", "error")}


@pytest.mark.parametrize("build", [samples.build, samples.build_latest], ids=lambda build: build.__name__)
def test_samples_agree_with_h5py(build: Any, read: Read, tmp_path: Path) -> None:
    path = build(tmp_path)
    records = read(path)
    assert [record for record in records if record["type"] == "error"] == []
    assert disagreements(str(path), records) == []


@pytest.mark.parametrize("build", [samples.build, samples.build_latest], ids=lambda build: build.__name__)
def test_both_readers_say_the_same(build: Any, tmp_path: Path) -> None:
    path = build(tmp_path)
    direct, library = by_path(directly(path)), by_path(through_library(path))
    assert list(direct) == list(library)
    for record in (direct["/attributes"], library["/attributes"]):
        record["attributes"].pop("regions")  # h5py dies of them
    for record in direct.values():
        for value in record.get("attributes", {}).values():
            if isinstance(value, dict) and value.get("bulk"):
                del value["offset"]  # which h5py does not tell
    assert direct == library


@pytest.mark.slow
def test_the_oracle_sees_what_is_wrong(tmp_path: Path) -> None:
    path = samples.build(tmp_path)
    for at, changed in (
        ("/datasets/chunked", {"shape": [10, 21]}),
        ("/datasets/chunked", {"maxshape": [10, 40]}),
        ("/datasets/chunked", {"fillvalue": 0}),
        ("/datasets/contiguous", {"offset": 1}),
        ("/datasets/contiguous", {"dtype": ">f4"}),
        ("/datasets/filtered", {"filters": []}),
        ("/datasets/compact", {"layout": "contiguous"}),
        ("/attributes", {"attributes": {}}),
        ("/links/soft", {"target": "/x"}),
        ("/links/hard", {"target": "/a"}),
        ("/types/compound", {"dtype": "<i4"}),
    ):
        records = directly(path)
        place = next(n for n, record in enumerate(records) if record.get("path") == at)
        records[place] = records[place] | changed
        assert disagreements(str(path), records), (at, changed)
        del records[place]
        assert disagreements(str(path), records), at


def test_attributes_of_every_type(read: Read, tmp_path: Path) -> None:
    records = by_path(read(samples.build(tmp_path)))
    attributes = records["/attributes"]["attributes"]
    chunked = records["/datasets/chunked"]["address"]
    attributes.pop("regions")
    assert attributes == {
        "integer": -5,
        "array": [[0, 1, 2], [3, 4, 5]],
        "big": 2**64 - 1,
        "floats": ["NaN", "Infinity", "-Infinity", 0.1],
        "half": 0.5,
        "long_double": 1.5,
        "complex": [1.0, -2.0],
        "truth": [True, False],
        "text": "Über\tall",
        "texts": ["a", "", "日本"],
        "fixed": ["ab", "c"],
        "latin": "\\xe9",
        "bytes": "a\0b",
        "null": None,
        "nothing": [],
        "enum": 1,
        "opaque": {"inline_binary": "AAH/"},
        "moment": [{"inline_binary": "pV0NXgAAAAA="}],
        "compound": [
            {"n": 1, "name": "é", "place": [0.5, "NaN"], "tag": {"inline_binary": "YWI="}},
            {"n": 2, "name": "", "place": [1.0, 2.0], "tag": {"inline_binary": "AAA="}},
        ],
        "sequences": [[1, 2, 3], []],
        "reference": {"reference": "object", "address": chunked},
        "no_reference": None,
        "region": {"reference": "region", "address": chunked, "points": 4, "bounds": [[0, 1], [1, 2]]},
        "bits": 0xF00F,
        "array_type": [[[1, 1], [1, 1]]],
    }


def test_storage(read: Read, tmp_path: Path) -> None:
    path = samples.build_latest(tmp_path)  # behind a user block
    records = by_path(read(path))
    contiguous = records["/datasets/contiguous"]
    raw = path.read_bytes()[contiguous["offset"] :][: contiguous["storage_size"]]
    assert np.frombuffer(raw, contiguous["dtype"]).tolist() == list(range(12))
    filtered = records["/datasets/filtered"]
    assert [entry["name"] for entry in filtered["filters"]] == ["shuffle", "deflate", "fletcher32"]
    assert filtered["filters"][1] == {"id": 1, "name": "deflate", "parameters": [4], "optional": True}
    never = records["/datasets/never_written"]
    assert (never["offset"], never["storage_size"], never["shape"]) == (None, 0, [5])
    assert (records["/datasets/null"]["shape"], records["/datasets/scalar"]["shape"]) == (None, [])
    assert records["/datasets/chunked"]["maxshape"] == [None, 40]
    assert records["/datasets/external"]["external"] == [{"file": "elsewhere.raw", "offset": 8, "length": 16}]
    assert records["/datasets/virtual"]["virtual"] == [{"file": "no such file.h5", "dataset": "data"}]
    assert records["/datasets/enum"]["datatype"] == {"class": "enum", "members": samples.ENUM}


def test_every_object_once(read: Read, tmp_path: Path) -> None:
    records = by_path(read(samples.build(tmp_path)))
    links = {path: (r["kind"], r["target"], r["file"]) for path, r in records.items() if r["type"] == "link"}
    assert links == {
        "/a/b/up": ("hard", "/a", None),
        "/links/back": ("hard", "/", None),
        "/links/dangling": ("soft", "/no/where", None),
        "/links/external": ("external", "/inside", "other.h5"),
        "/links/hard": ("hard", "/datasets/contiguous", None),
        "/links/naïve name": ("hard", "/datasets/contiguous", None),
        "/links/self": ("hard", "/links", None),
        "/links/soft": ("soft", "/datasets/chunked", None),
        "/types/enum": ("hard", "/links/hard_type", None),
    }


def test_links_in_the_order_of_their_creation(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "order.h5"
    with h5py.File(path, "w", track_order=True) as file:
        for name in ("z", "a", "m"):
            file[name] = 1
    assert list(by_path(read(path))) == ["/", "/z", "/a", "/m"]


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_groups_larger_than_what_is_sorted(libver: str, read: Read, tmp_path: Path) -> None:
    paths = list(by_path(read(samples.build_members(tmp_path, 5000, libver))))[2:]
    assert len(paths) == 5000
    assert sorted(paths) == [f"/many/link {index:07d}" for index in range(5000)]
    if libver == "earliest":  # whose index is one by name
        assert paths == sorted(paths)


def test_long_values_are_not_read(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "long.h5"
    with h5py.File(path, "w") as file:
        file.attrs["short"], file.attrs["long"] = np.zeros(4, "u1"), np.zeros((2, 50), "<u2")
        file.attrs["text"] = "x" * 200
    attributes = by_path(read(path, max_value_bytes=100))["/"]["attributes"]
    assert attributes["short"] == [0, 0, 0, 0]
    long, text = attributes["long"], attributes["text"]
    assert {key: long[key] for key in ("bulk", "dtype", "shape", "length")} == {
        "bulk": True,
        "dtype": "<u2",
        "shape": [2, 50],
        "length": 200,
    }
    assert (text["bulk"], text["dtype"]) == (True, "object")


@pytest.mark.slow
def test_more_attributes_than_a_line_holds(read: Read, tmp_path: Path) -> None:
    root = by_path(read(samples.build_attributes(tmp_path, 25000)))["/"]
    assert (root["attributes_truncated"], root["attribute_count"]) == (True, 25000)
    assert 5000 < len(root["attributes"]) < 25000
    assert len(encode(root)) <= MAX_LINE
    assert all(name == f"attribute {value:06d}" for name, value in root["attributes"].items())


@pytest.mark.slow
def test_nesting_has_an_end(read: Read, tmp_path: Path) -> None:
    records = read(samples.build_nested(tmp_path, 1200))
    (error,) = (record for record in records if record["type"] == "error")
    assert error["code"] == "over-limit"
    assert sum(record["type"] == "group" for record in records) in (1000, 1001)


def test_one_broken_object_costs_itself_alone(read: Read, tmp_path: Path) -> None:
    path = samples.build(tmp_path)
    before = by_path(read(path))
    address = before["/datasets/chunked"]["address"]
    data = bytearray(path.read_bytes())
    data[address] = 0xEE  # the version of the object header
    path.write_bytes(data)
    records = read(path)
    (error,) = (record for record in records if record["type"] == "error" and "/datasets/chunked" in record["message"])
    assert error["code"] in ("corrupt", "unsupported")
    assert list(by_path(records)) == [name for name in before if name != "/datasets/chunked"]


@pytest.mark.parametrize("length", [9, 50, 96, 800, 5000])
def test_a_file_that_was_cut(length: int, read: Read, tmp_path: Path) -> None:
    path = tmp_path / "cut.h5"
    path.write_bytes(samples.build(tmp_path).read_bytes()[:length])
    if read is directly:
        end = read(path)[-1]
        assert end["status"] in ("truncated", "failed")
        assert end["reason"]
    else:
        with pytest.raises((TruncatedFile, CorruptFile)):
            read(path)


def test_what_is_no_hdf5_but_said_to_be(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "no.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(2000))
    if read is directly:
        assert list(Stream(path).records())[-1]["status"] == "failed"
    else:
        with pytest.raises(CorruptFile):
            read(path)


_NUMBERS = st.one_of(
    npst.integer_dtypes(endianness="?"),
    npst.unsigned_integer_dtypes(endianness="?"),
    npst.floating_dtypes(endianness="?", sizes=(16, 32, 64)),
    npst.complex_number_dtypes(endianness="<"),
    npst.boolean_dtypes(),
    npst.byte_string_dtypes(max_len=8),
)
_ARRAYS = npst.arrays(_NUMBERS, npst.array_shapes(min_dims=0, max_dims=3, max_side=4))
_TEXTS = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), max_size=20)
_VALUES = st.one_of(_ARRAYS, _TEXTS, st.lists(_TEXTS, min_size=1, max_size=4))
_NAMES = st.text(st.characters(exclude_categories=("Cs",), exclude_characters="\0"), min_size=1, max_size=20)


@pytest.mark.slow
@given(st.dictionaries(_NAMES, _VALUES, max_size=12), st.sampled_from(["earliest", "latest"]))
def test_any_attributes_agree_with_h5py(attributes: dict[str, Any], libver: str) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "any.h5"
        with h5py.File(path, "w", libver=libver) as file:
            for name, value in attributes.items():
                file.attrs[name] = value
        for read in (directly, through_library):
            records = read(path)
            assert set(by_path(records)["/"]["attributes"]) == set(attributes)
            assert disagreements(str(path), records) == []


def test_floats_keep_every_bit(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "floats.h5"
    values = np.array([0.1, math.pi, 5e-324, -0.0, 1.7976931348623157e308])
    with h5py.File(path, "w") as file:
        file.attrs["values"] = values
    again = by_path(read(path))["/"]["attributes"]["values"]
    assert np.array(again).tobytes() == values.tobytes()


def test_complex_numbers_of_halves_and_regions_of_nothing(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "rare.h5"
    with h5py.File(path, "w") as file:
        halves = np.array((1, -2), [("r", "f2"), ("i", "f2")])
        file["halves"], file.attrs["halves"] = halves, halves
        file.attrs["nothing"] = file.create_dataset("data", (4,), "f4").regionref[0:0]
    records = read(path)
    assert disagreements(str(path), records) == []
    assert by_path(records)["/"]["attributes"]["nothing"]["points"] == 0
    assert by_path(records)["/halves"]["dtype"] == "[('r', '<f2'), ('i', '<f2')]"


def test_references_that_lead_nowhere(read: Read, tmp_path: Path) -> None:
    path = tmp_path / "references.h5"
    with h5py.File(path, "w") as file:
        data = file.create_dataset("d", (4,), "f4")
        regions = np.array([data.regionref[0:2]] * 4 + [h5py.RegionReference()], h5py.regionref_dtype)
        file.attrs.create("regions", regions, dtype=h5py.regionref_dtype)
        file.attrs.create("objects", np.array([data.ref] * 4, h5py.ref_dtype), dtype=h5py.ref_dtype)
        address = h5py.h5o.get_info(data.id).addr
    raw = bytearray(path.read_bytes())
    heap = raw.index(b"GCOL")
    first = next(re.finditer(b"(?:%s.{4}){4}" % re.escape(struct.pack("<Q", heap)), raw, re.DOTALL)).start()
    raw[first + 12 : first + 48] = struct.pack("<QIQIQI", heap, 99, (1 << 64) - 1, 1, 0, 1)
    first = raw.index(struct.pack("<4Q", *[address] * 4))
    raw[first + 8 : first + 32] = struct.pack("<3Q", 0, (1 << 64) - 1, 1 << 40)
    path.write_bytes(raw)
    records = read(path)
    assert disagreements(str(path), records) == []
    gone = {"reference": "region", "address": None}
    region = {"reference": "region", "address": address, "points": 2, "bounds": [[0], [1]]}
    assert by_path(records)["/"]["attributes"] == {
        "objects": [{"reference": "object", "address": to} if to != 0 else None for to in (address, 0, None, None)],
        "regions": [region, gone, gone, gone, None],
    }


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
def test_regions_that_take_all_there_is(libver: Any, read: Read, tmp_path: Path) -> None:
    path = tmp_path / "regions.h5"
    shapes: dict[str, Any] = {"grid": (4, 5), "scalar": (), "none": None, "growing": (0, 3)}
    with h5py.File(path, "w", libver=libver) as file:
        for name, shape in shapes.items():
            longest = (None, 3) if name == "growing" else None
            data_set = (
                file.create_dataset(name, data=h5py.Empty("f4"))
                if shape is None
                else file.create_dataset(name, shape, "f4", maxshape=longest)
            )
            space = data_set.id.get_space()
            space.select_all()
            region = h5r.create(file.id, name.encode(), h5r.DATASET_REGION, space)
            file.attrs.create(name, region, dtype=h5py.regionref_dtype)
    records = read(path)
    assert disagreements(str(path), records) == []
    told = by_path(records)
    assert told["/"]["attributes"] == {
        name: {"reference": "region", "address": told["/" + name]["address"], "points": points}
        for name, points in {"growing": 0, "grid": 20, "none": 0, "scalar": 1}.items()
    }


def test_an_x87_float_without_its_leading_one_is_no_number(tmp_path: Path) -> None:
    path = tmp_path / "floats.h5"
    with h5py.File(path, "w") as file:
        space = h5py.h5s.create_simple((2,))
        there = h5py.h5a.create(file.id, b"values", h5py.h5t.NATIVE_LDOUBLE, space)
        there.write(np.array([1.5, 1.5], np.longdouble))
    whole = path.read_bytes()
    path.write_bytes(whole.replace(b"\xc0\xff\x3f", b"\x40\xff\x3f", 1))
    assert by_path(directly(path))["/"]["attributes"]["values"] == ["NaN", 1.5]


_READ_ALL = """
import sys
from pathlib import Path
from memx.errors import MemxError
from memx.formats.hdf5.filters import unfiltered
from memx.formats.hdf5.library import HDF5StreamReader
from memx.formats.hdf5.space import AddressSpace
for path in sys.argv[1:]:
    print(path, flush=True)
    try:
        for record in HDF5StreamReader().stream(path):
            pass
    except MemxError:
        pass
"""


@pytest.mark.slow
def test_the_library_reader_takes_any_mutant(tmp_path: Path) -> None:
    chance = random.Random(7)
    whole = [samples.build(tmp_path).read_bytes(), samples.build_latest(tmp_path).read_bytes()]
    left = []
    for index in range(120):
        data = bytearray(whole[index % 2])
        for _ in range(chance.choice((1, 4, 16))):
            data[chance.randrange(len(data))] = chance.randrange(256)
        path = tmp_path / f"mutant {index}.h5"
        path.write_bytes(data)
        left.append(path)
    while left:
        done = subprocess.run(
            [sys.executable, "-c", _READ_ALL, *left], capture_output=True, text=True, timeout=100, check=False
        )
        # libhdf5 may kill the process, which in memx is a worker; what memx raises is its own
        assert done.returncode <= 0, done.stderr
        seen = done.stdout.splitlines()
        assert seen
        left = left[len(seen) :]


@pytest.mark.parametrize("libver", ["earliest", "latest"])
@pytest.mark.parametrize("size", [100, 40_000])
def test_a_value_that_was_not_read_lies_where_its_record_says(tmp_path: Path, libver: str, size: int) -> None:
    numbers = np.arange(size, dtype=">u2")
    path = tmp_path / "long.h5"
    with h5py.File(path, "w", libver=libver, userblock_size=1024) as file:
        for count in range(12):  # a latest file keeps so many in a heap
            file.attrs[f"small{count}"] = count
        if libver == "latest" or size < 32_000:  # an old header has no room for more
            file.attrs["long"] = numbers
        file.create_dataset("d", data=1).attrs["long"] = numbers[:100]
    records = {record.get("path"): record for record in directly(path, max_value_bytes=64)}
    cut = [value for key in ("/", "/d") if (value := records[key]["attributes"].get("long"))]
    assert cut
    for value in cut:
        count = value["shape"][0]
        assert value == {"bulk": True, "dtype": ">u2", "shape": [count], "offset": value["offset"], "length": 2 * count}
        lies = path.read_bytes()[value["offset"] : value["offset"] + value["length"]]
        assert lies == numbers[:count].tobytes()


@pytest.mark.slow
@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
def test_chunks_of_every_index_are_those_of_h5py(libver: str, tmp_path: Path) -> None:
    path = samples.build_chunks(tmp_path, libver)
    records = directly(path, chunks=True)
    assert disagreements(str(path), records) == []
    chunks = [record for record in records if record["type"] == "chunk"]
    assert len({record["path"] for record in chunks}) == 16
    assert [record["filter_mask"] for record in chunks if record["path"].endswith("/mask")] == [1]
    sizes = {record["path"]: record["storage_size"] for record in records if record["type"] == "dataset"}
    assert sum(sizes.values()) == sum(record["size"] for record in chunks)
    before = [record for record in directly(path) if record["type"] not in ("file", "end")]
    assert before == [record for record in records if record["type"] not in ("file", "end", "chunk")]


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_chunks_follow_their_data_set(libver: str, read: Read, tmp_path: Path) -> None:
    path = tmp_path / "two.h5"
    with h5py.File(path, "w", libver=libver) as file:
        file.create_dataset("a", data=np.arange(6, dtype="i1").reshape(2, 3), chunks=(1, 2))
        file.create_dataset("b", data=np.arange(4, dtype="i1"), chunks=(4,))
    records = [record for record in read(path, chunks=True) if record["type"] not in ("file", "end", "group")]
    told = [(record["type"], record["path"], record.get("chunk_offset")) for record in records]
    chunks = [("chunk", "/a", place) for place in ([0, 0], [0, 2], [1, 0], [1, 2])]
    assert told == [("dataset", "/a", None), *chunks, ("dataset", "/b", None), ("chunk", "/b", [0])]
    raw = path.read_bytes()
    held = [raw[r["offset"] : r["offset"] + r["size"]] for r in records if r["type"] == "chunk"]
    assert held == [b"\0\1", b"\2\0", b"\3\4", b"\5\0", b"\0\1\2\3"]


@pytest.mark.slow
def test_the_oracle_sees_wrong_chunks(tmp_path: Path) -> None:
    path = samples.build_chunks(tmp_path, "latest")
    for at in ("/index/fixed", "/index filtered/growing second"):
        records = directly(path, chunks=True)
        place = next(n for n, r in enumerate(records) if r["type"] == "chunk" and r["path"] == at)
        for changed in ({"offset": 1}, {"size": 1}, {"filter_mask": 2}, {"chunk_offset": [7, 7]}):
            wrong = records[place] | changed
            assert disagreements(str(path), [*records[:place], wrong, *records[place + 1 :]]), (at, changed)
        assert disagreements(str(path), [*records[:place], *records[place + 1 :]])


def test_links_in_filtered_heaps(tmp_path: Path) -> None:
    path = samples.build_filtered_heap(tmp_path)
    records = directly(path)
    assert disagreements(str(path), records) == []
    assert (by_path(records)["/many/huge"]["target"], records[-1]["status"]) == ("x" * 6000, "complete")
    data = bytearray(path.read_bytes())
    at = data.index(b"FRHP") + data[data.index(b"FRHP") :].index(b"\x02\x02\x01\x00\x01\x00\x01\x00")  # the pipeline
    data[at + 2] = 4  # szip, for which memx has no decoder
    path.write_bytes(data)
    records = directly(path)
    assert any(record["type"] == "error" and "szip" in record["message"] for record in records)


def test_what_filters_did_is_undone() -> None:
    import zlib

    pipeline = [{"id": code, "name": "", "parameters": [4] if code == 2 else []} for code in (2, 1, 3)]
    plain = np.arange(1000, dtype="<u4").tobytes() + b"rest"[:3]
    shuffled = np.frombuffer(plain[:4000], "u1").reshape(1000, 4).T.tobytes() + plain[4000:]
    assert unfiltered(zlib.compress(shuffled) + bytes(4), pipeline, 0, len(plain)) == plain
    assert unfiltered(shuffled, pipeline, 0b110, len(plain)) == plain
    assert unfiltered(plain, pipeline, 0b111, len(plain)) == plain
    bomb = zlib.compress(bytes(1 << 24))
    for data, size in ((bomb + bytes(4), 100), (shuffled + bytes(4), len(plain)), (b"", 5)):
        with pytest.raises(CorruptFile):
            unfiltered(data, pipeline, 0, size)
    with pytest.raises(UnsupportedSource):
        unfiltered(b"", [{"id": 32000, "name": "lzf", "parameters": []}], 0, 0)


@pytest.mark.parametrize(("libver", "superblock"), [("earliest", 0), ("latest", 3)])
@pytest.mark.parametrize("lengths", [2, 4, 8])
@pytest.mark.parametrize("offsets", [2, 4, 8])
def test_addresses_and_lengths_of_any_width(
    offsets: int, lengths: int, libver: str, superblock: int, tmp_path: Path
) -> None:
    path = samples.build_widths(tmp_path, offsets, lengths, libver)
    assert path.read_bytes()[8] == superblock
    records = directly(path, chunks=True)
    assert disagreements(str(path), records) == []
    assert records[-1]["status"] == "complete"
    attributes = by_path(records)["/plain"]["attributes"]
    assert (attributes["text"], attributes["texts"]) == ("in the global heap", ["of", "any", "length", ""])


@pytest.mark.parametrize("user_block", [0, 512, 4096])
@pytest.mark.parametrize("version", [0, 1, 2, 3])
def test_superblocks_of_every_version(version: int, user_block: int, tmp_path: Path) -> None:
    path = samples.build_superblock(tmp_path, version, user_block)
    assert path.read_bytes()[user_block + 8] == version
    records = directly(path, chunks=True)
    assert disagreements(str(path), records) == []
    assert (records[-1]["status"], by_path(records)["/group/inside"]["shape"]) == ("complete", [3])


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_numbers_of_any_width_and_layout(libver: str, tmp_path: Path) -> None:
    path = samples.build_numbers(tmp_path, libver)
    records = directly(path)
    assert disagreements(str(path), records) == []
    values = by_path(records)["/"]["attributes"]
    assert (len(values), records[-1]["status"]) == (25, "complete")
    raw = {name: bytes((37 * n + 11 * len(name)) % 256 for n in range(12)) for name in values}
    for name, step, signed in (("i4 17 0", -1, True), ("u4 31 1", 1, False), ("I4 5 3", 1, True)):
        bits, offset = map(int, name.split()[1:])
        for n, value in enumerate(values[name]):
            field = int.from_bytes(raw[name][4 * n : 4 * n + 4][::step], "big") >> offset & (1 << bits) - 1
            assert value == field - (field >> bits - 1 << bits) * signed
    assert values["committed"] == [1, 2]


def test_headers_with_times_and_bounds(tmp_path: Path) -> None:
    path = tmp_path / "times.h5"
    with h5py.File(path, "w", libver="latest") as file:
        how = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        how.set_obj_track_times(True)
        how.set_attr_phase_change(4, 2)
        h5py.h5d.create(file.id, b"d", h5py.h5t.STD_I32LE, h5py.h5s.create_simple((3,)), how)
        for index in range(3):
            file["d"].attrs[f"a{index}"] = index
    records = directly(path)
    assert path.read_bytes()[by_path(records)["/d"]["address"] + 5] & 0x30 == 0x30
    assert by_path(records)["/d"]["attributes"] == {"a0": 0, "a1": 1, "a2": 2}
    assert disagreements(str(path), records) == []


def test_layouts_of_the_first_versions_and_links_of_the_user(tmp_path: Path) -> None:
    path = samples.build_old_layouts(tmp_path)
    records = directly(path, chunks=True)
    assert disagreements(str(path), records) == []
    assert (records[-1]["status"], by_path(records)["/links/external"]["kind"]) == ("complete", "user-defined")
    raw = path.read_bytes()
    for name in ("/one", "/two"):
        place = by_path(records)[name]["offset"]
        assert np.frombuffer(raw[place : place + 24], "<i4").tolist() == list(range(6))


@pytest.mark.slow
@pytest.mark.parametrize(("count", "depth"), [(20, 0), (400, 1), (5000, 2), (40_000, 3)])
def test_b_trees_of_every_depth(count: int, depth: int, tmp_path: Path) -> None:
    path = samples.build_members(tmp_path, count, "latest")
    raw = path.read_bytes()
    depths = {raw[at + 12] for at in (found.start() for found in re.finditer(b"BTHD\0\5", raw))}
    assert depth in depths
    paths = sorted(by_path(directly(path)))
    assert paths == ["/", "/many", *(f"/many/link {index:07d}" for index in range(count))]


def test_structures_in_an_image_of_a_cache(tmp_path: Path) -> None:
    path = samples.build_cache_image(tmp_path)
    raw = path.read_bytes()
    records = directly(path, chunks=True)
    assert raw.count(b"MDCI") == 1
    assert (records[-1]["status"], "asked_library" in records[-1]["metrics"]) == ("complete", False)
    assert disagreements(str(path), records) == []
    told = by_path(records)
    root = raw[512 + told["/"]["address"] :]
    assert root[:4] != b"OHDR"  # it is nowhere but in the image
    assert len(told["/plain"]["attributes"]) == 40
    assert told["/many/link 39"]["target"] == "/a"


@pytest.mark.parametrize(
    ("place", "value", "code"),
    [
        ("signature", b"MDC!", "corrupt"),
        ("count", b"\xff\xff\0\0", "corrupt"),
        ("address", b"\xff" * 7 + b"\0", "corrupt"),
        ("length", b"\0" * 8, "corrupt"),
        ("length", b"\xff" * 8, "corrupt"),
        ("parents", b"\xff\xff", "corrupt"),
        ("version", b"\1", "h5py"),
        ("count", b"\xff\xff\xff\xff", "h5py"),
    ],
)
def test_an_image_that_cannot_be(place: str, value: bytes, code: str, tmp_path: Path) -> None:
    path = samples.build_cache_image(tmp_path)
    raw = bytearray(path.read_bytes())
    at = raw.index(b"MDCI")
    at += {"signature": 0, "version": 4, "count": 14, "parents": 18 + 8, "address": 18 + 14, "length": 18 + 22}[place]
    raw[at : at + len(value)] = value
    path.write_bytes(raw)
    records = list(Stream(path).records())
    assert_contract(records, path)
    if code == "h5py":
        assert (records[0]["reader"], records[-1]["status"]) == ("h5py", "failed")  # it knows no other version either
    else:  # which has the root group
        assert (records[0]["reader"], records[1]["code"], records[-1]["status"]) == ("direct", code, "failed")
        assert "metadata cache image" in records[1]["message"]


def test_what_is_left_without_an_image(tmp_path: Path) -> None:
    path = samples.build_cache_image(tmp_path)
    raw = bytearray(path.read_bytes())
    with h5py.File(tmp_path / "other.h5", "w", libver="latest", userblock_size=512) as file:
        file["d"] = h5py.SoftLink("/")
    other = (tmp_path / "other.h5").read_bytes()[512 + 48 :][:120]
    assert other[:4] == b"OHDR"
    raw[512 + 48 : 512 + 48 + 120] = other  # an older root group where the image has a newer one
    at = raw.index(b"MDCI")
    raw[at] = 0
    path.write_bytes(raw)
    records = directly(path)
    assert (records[-1]["status"], list(by_path(records))) == ("truncated", ["/", "/d"])
    assert records[1]["message"].startswith("the metadata cache image cannot be read: ")


def test_what_lies_over_what() -> None:
    class Counted:
        size = 100

        def read_at(self, at: int, length: int) -> bytes:
            return bytes(range(at, min(at + length, 100)))

    below = AddressSpace(Counted(), 0)
    space = ImagedSpace(Counted(), below, [(40, 10, 80), (20, 10, 70), (30, 5, 95)])
    whole = [*range(20), *range(70, 80), *range(95, 100), *range(35, 40), *range(80, 90), *range(50, 100)]
    for begin in range(101):
        for end in range(begin, 101):
            assert list(space.read(begin, end - begin)) == whole[begin:end]
    for begin, length in ((0, 101), (100, 1), (-1, 2), (3, -1)):
        with pytest.raises(CorruptFile):
            space.read(begin, length)


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_a_file_that_its_writer_has_open(libver: str, tmp_path: Path) -> None:
    path = samples.build_unclosed(tmp_path, libver)
    records = directly(path)
    if libver == "latest":  # h5py has to be told that the file was closed
        data = bytearray(path.read_bytes())
        assert data[11] & 1
        data[11] = 0
        data[44:48] = lookup3(bytes(data[:44])).to_bytes(4, "little")
        path.write_bytes(data)
    assert disagreements(str(path), records) == []
    assert (records[-1]["status"], by_path(records)["/grows"]["shape"]) == ("complete", [100 * (libver == "latest")])


@pytest.mark.parametrize("listed", [50, 0])
def test_shared_messages(listed: int, tmp_path: Path) -> None:
    path = samples.build_shared_messages(tmp_path, listed)
    assert path.read_bytes().count(b"SMTB") == 1
    records = directly(path)
    assert disagreements(str(path), records) == []
    assert records[-1]["status"] == "complete"
    told = by_path(records)
    assert told["/d29"]["attributes"]["units"] == "a long text that all have" * 2
    assert len(told["/d29"]["attributes"]) == 14


@pytest.mark.parametrize("version", [1, 2, 3, 4, 5])
def test_compounds_of_every_version(version: int, read: Read, tmp_path: Path) -> None:
    path = samples.build_compound(tmp_path, version)
    message = bytes((version << 4 | 6, 2)) + b"\0\0\x20\0\0\0grid\0"
    assert path.read_bytes().count(message) == 3
    records = read(path)
    assert disagreements(str(path), records) == []
    told = by_path(records)
    assert {told["/data"]["dtype"], told["/type"]["dtype"]} == {"[('grid', '<i4', (2, 3)), ('y', '<f8')]"}
    assert told["/"]["attributes"]["compound"] == [
        {"grid": [[1, -2, 3], [4, 5, -6]], "y": 1.25},
        {"grid": [[7, 8, 9], [10, 11, 12]], "y": 2.5},
    ]


def test_references_of_1_12(tmp_path: Path) -> None:
    path = samples.build_references(tmp_path)
    records = directly(path)
    assert disagreements(str(path), records) == []
    told = by_path(records)
    data, file = told["/d"]["address"], str(tmp_path / "elsewhere.h5")
    with h5py.File(file) as other:
        there = h5py.h5o.get_info(other["d"].id).addr
    for name, place in (("here", {"address": data}), ("there", {"address": there, "file": file})):
        assert told["/"]["attributes"][name] == [
            {"reference": "object"} | place,
            {"reference": "region", "points": 6, "bounds": [[1, 1], [2, 3]]} | place,
            {"reference": "region", "points": 2, "bounds": [[1, 0], [3, 2]]} | place,
            {"reference": "attribute", "attribute": "units"} | place,
            None,
        ]
    assert (told["/of them"]["dtype"], told["/of them"]["datatype"]) == ("|V64", {"class": "reference", "kind": "any"})
    assert by_path(through_library(path))["/of them"] == told["/of them"]
    message = rb"\x47\x12\0\0\x12\0\0\0\x02\x01\x01\x01.{16}(?=\x02\0\x08)"  # type and space, before the first
    (place,) = (match.end() for match in re.finditer(message, path.read_bytes(), re.DOTALL))
    for at, value in ((0, 9), (18 + 2, 0xFF), (18 + 6, 1), (18 + 14, 77)):  # of the first, its type; then of another
        raw = bytearray(path.read_bytes())
        raw[place + at] = value
        (tmp_path / "broken.h5").write_bytes(raw)
        broken = directly(tmp_path / "broken.h5")
        assert [record["code"] for record in broken if record["type"] == "error"] in (["corrupt"], ["unsupported"])
        assert by_path(broken)["/"]["attributes"].keys() == {"there"}


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
def test_mappings_of_virtual_data_sets(libver: str, tmp_path: Path) -> None:
    path = samples.build_virtual(tmp_path, libver)
    records = directly(path)
    assert disagreements(str(path), records) == []
    assert "asked_library" not in records[-1]["metrics"]
    told, theirs = by_path(records), by_path(through_library(path))
    assert len(told) == 7
    assert {name: record.get("virtual") for name, record in told.items()} == {
        name: record.get("virtual") for name, record in theirs.items()
    }
    assert told["/shared"]["virtual"][-1] == {"file": ".", "dataset": "a name as long 1"}
    assert (b"a long name 0.h5\0a name as long 1\0" in path.read_bytes()) == (libver != "latest")


def test_a_mapping_that_shares_with_none(tmp_path: Path) -> None:
    path = samples.build_virtual(tmp_path, "latest")
    raw = bytearray(path.read_bytes())
    at = raw.index(b"\1\0\0\0\0\0\0\0\0a name as long 1\0")  # the second one has its file from the first
    for place, value, code in ((1, 1, "corrupt"), (0, 8, "unsupported")):
        changed = raw.copy()
        changed[at + place] = value
        path.write_bytes(changed)
        (error,) = (record for record in directly(path) if record["type"] == "error")
        assert (error["code"], "/shared" in error["message"]) == (code, True)


def test_chunks_at_the_edges_that_are_not_filtered(tmp_path: Path) -> None:
    path = samples.build_whole_edges(tmp_path)
    records = directly(path, chunks=True)
    assert disagreements(str(path), records) == []
    sizes = {
        r["path"]: [c["size"] for c in records if c["type"] == "chunk" and c["path"] == r["path"]]
        for r in records[1:-1]
    }
    assert (sizes["/single"], sizes["/fixed"][-1], sizes["/fixed"][0] < 40) == ([40], 40, True)


def test_chunks_of_more_than_4_gib(tmp_path: Path) -> None:
    path = tmp_path / "large.h5"
    with h5py.File(path, "w", libver="latest") as file:
        file.create_dataset("plain", (1 << 34,), "u1", chunks=(1 << 33,))
        file.create_dataset("filtered", (1 << 34,), "u1", chunks=(1 << 33,), compression="gzip")
    records = directly(path, chunks=True)
    assert disagreements(str(path), records) == []
    assert by_path(records)["/filtered"]["chunks"] == [1 << 33]


def test_strings_of_every_padding_and_character_set(read: Read, tmp_path: Path) -> None:
    path = samples.build_strings(tmp_path)
    records = read(path)
    assert disagreements(str(path), records) == []
    told = by_path(records)
    assert {tuple(told[f"/{n} 0 fixed"]["datatype"].values()) for n in range(3)} == {
        ("string", "ascii", padding, 6) for padding in ("null-terminated", "null-padded", "space-padded")
    }
    assert told["/0 1 variable"]["datatype"]["charset"] == "utf-8"
    assert told["/"]["attributes"] == {
        f"{padding} {charset} fixed": value
        for padding, value in enumerate(
            (["ab    ", "a", "éxyz"], ["ab    ", "a\0b  ", "éxyz"], ["ab", "a\0b  ", "éxyz"])
        )
        for charset in range(2)
    }


def test_floats_of_hdf5_2(tmp_path: Path) -> None:
    path = samples.build_new_floats(tmp_path)
    records = directly(path)
    assert disagreements(str(path), records) == []
    told = by_path(records)
    assert [told[f"/{name}"]["dtype"] for name in ("BFLOAT16LE", "BFLOAT16BE", "F8E4M3")] == ["<f4", ">f4", "<f2"]
    assert told["/"]["attributes"]["F8E4M3"][:4] == [0.0, 0.203125, 5.0, 120.0]


@pytest.mark.parametrize("libver", ["earliest", "latest"])
def test_headers_that_go_on_elsewhere(libver: str, tmp_path: Path) -> None:
    path = samples.build_continued(tmp_path, libver)
    raw = path.read_bytes()
    records = directly(path)
    assert disagreements(str(path), records) == []
    told = by_path(records)
    if libver == "latest":
        assert raw.count(b"OCHK") >= 2
    else:
        for name in "ab":
            header = raw[told[f"/{name}"]["address"] :]
            size = int.from_bytes(header[8:12], "little")
            assert re.search(rb"\x10\0\x10\0.\0\0\0", header[16 : 16 + size], re.DOTALL)  # a continuation message
    assert len(told["/a"]["attributes"]) == len(told["/b"]["attributes"]) == 8


def test_fill_values_of_old(read: Read, tmp_path: Path) -> None:
    path = samples.build_old_fill_values(tmp_path)
    records = read(path)
    assert disagreements(str(path), records) == []
    assert [by_path(records)[f"/{name}"]["fillvalue"] for name in ("old", "one")] == [77, 77]


def test_floats_in_vax_order(tmp_path: Path) -> None:
    path = samples.build_vax(tmp_path, 3)
    records = directly(path)
    assert disagreements(str(path), records) == []
    record = by_path(records)["/d"]
    assert (record["dtype"], record["attributes"]["v"]) == ("|V4", [1.5, -2.25, pytest.approx(0.1)])
    with h5py.File(path) as file:
        again = np.zeros(3, "f4")
        file["d"].attrs.get_id("v").read(again, mtype=h5py.h5t.NATIVE_FLOAT)
    assert record["attributes"]["v"] == again.tolist()
    old = samples.build_vax(tmp_path, 1)  # where the bit means nothing
    assert disagreements(str(old), directly(old)) == []


@pytest.mark.parametrize(("libver", "superblock"), [("earliest", 0), ("latest", 3)])
@pytest.mark.parametrize("driver", ["family", "split"])
def test_a_file_in_several_is_named_as_such(driver: str, libver: str, superblock: int, tmp_path: Path) -> None:
    size = {"memb_size": 4096} if driver == "family" else {}
    name = tmp_path / ("part%d.h5" if size else "part")
    h5py.File(name, "w", driver=driver, libver=libver, **size).close()
    path = tmp_path / ("part0.h5" if size else "part-m.h5")
    assert path.read_bytes()[8] == superblock  # the newest one has its driver's information in an extension
    records = directly(path)
    assert (records[-1]["status"], records[1]["code"]) == ("failed", "unsupported")
    assert f"an HDF5 {'family' if size else 'multi'} file" in records[-1]["reason"]
