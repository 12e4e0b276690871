"""Documents: what people of each format expect, held against the format's own tools, and never too much of it."""

import hashlib
import json
import logging
import math
import subprocess
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.engine.reading.documents import extract
from memx.formats import format_names
from memx.formats.documents import DEPTH_MOST, DOCUMENTS, ROOM, BinaryDocument, Document, PlainDocument
from memx.records import Record, encode_value
from tests.contract.sources import builder
from tests.samples import dicom, fits, video


def document_of(path: Path) -> dict[str, Any]:
    record = extract(path)
    assert (record["status"], record["reason"], record["code"]) == ("complete", None, None)
    assert "metadata_truncated" not in record
    metadata: dict[str, Any] = record["metadata"]
    return metadata


def file_of(name: str, **members: Any) -> Record:
    about = {"type": "file", "path": "x", "format": name, "size": 1, "reader": "direct", "strategy": None}
    return about | {"chunk_size": 1} | members


def folded(name: str, *records: Record, **members: Any) -> Document:
    document = DOCUMENTS[name](file_of(name, **members))
    for record in records:
        document.add(record)
    document.finish()
    return document


def test_every_format_has_a_document() -> None:
    assert set(DOCUMENTS) == set(format_names())


# DICOM: the DICOM JSON Model


def differences(mine: Any, other: Any, where: str = "") -> Iterator[str]:
    if isinstance(mine, dict) and isinstance(other, dict):
        for key in sorted(mine.keys() | other.keys()):
            if key not in mine or key not in other:
                yield f"{where}.{key} is only in {'memx' if key in mine else 'pydicom'}"
            else:
                yield from differences(mine[key], other[key], f"{where}.{key}")
    elif isinstance(mine, list) and isinstance(other, list) and len(mine) == len(other):
        for index, (one, another) in enumerate(zip(mine, other, strict=True)):
            yield from differences(one, another, f"{where}[{index}]")
    # PS3.18 F.2.5: an empty value is null, for which pydicom has an empty string
    elif mine != other and not (mine is None and other == ""):
        yield f"{where}: {mine!r:.80}, but {other!r:.80}"


def json_model(path: Path) -> dict[str, Any] | None:
    """The data set as pydicom says it; None where it cannot."""
    import pydicom

    logging.disable(logging.CRITICAL)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            dataset = pydicom.dcmread(path)
            said = dataset.to_json_dict(bulk_data_threshold=1 << 17, bulk_data_element_handler=lambda _element: "there")
            plain: dict[str, Any] = json.loads(json.dumps(said))
            return plain
    except Exception:  # of any kind, on files that were made to be wrong
        return None
    finally:
        logging.disable(logging.NOTSET)


def without_bulk(dataset: dict[str, Any]) -> dict[str, Any]:
    """Bulk and inline binary apart, which each library draws its own line between."""
    for tag, element in dataset.items():
        if element["vr"] == "SQ":
            for item in element["Value"]:
                without_bulk(item)
        elif {"BulkDataURI", "InlineBinary"} & element.keys():
            dataset[tag] = {"vr": element["vr"]}
    return dataset


def wheel_files() -> list[Path]:
    import pydicom.data

    root = Path(pydicom.data.__file__).parent
    folders = (root / "test_files", root / "charset_files")
    return sorted(path for folder in folders for path in folder.rglob("*") if path.is_file())


@pytest.mark.slow
def test_dicom_is_the_json_model_of_pydicom() -> None:
    compared, faults = 0, []
    for path in wheel_files():
        expected = json_model(path)
        record = extract(path)
        if expected is None or record["status"] != "complete":
            continue
        compared += 1
        dataset = {tag: element for tag, element in record["metadata"].items() if tag[:4] != "0002"}
        faults += [f"{path.name}{fault}" for fault in differences(without_bulk(dataset), without_bulk(expected))]
    assert faults == []
    assert compared > 150


def test_dicom_keeps_the_meta_elements_and_names_bulk_by_its_place(tmp_path: Path) -> None:
    metadata = document_of(dicom.build(tmp_path))
    assert metadata["00020010"] == {"vr": "UI", "Value": ["1.2.840.10008.1.2.4.50"]}
    assert metadata["00100010"]["Value"] == [{"Alphabetic": "Doe^Jane", "Ideographic": "x^y", "Phonetic": "z"}]
    assert metadata["00081115"]["Value"][0]["00082218"]["Value"][0]["00080100"] == {"vr": "SH", "Value": ["T-11500"]}
    assert metadata["00081111"] == {"vr": "SQ", "Value": []}
    assert metadata["00100040"] == {"vr": "CS"}
    assert metadata["00020001"]["InlineBinary"] == "AAE="


def _bytes_of(value: list[Any]) -> int:
    """What a value takes in its file at least: UTF-8, with a backslash between two."""
    return sum(len(item.encode("utf-8", "replace")) if isinstance(item, str) else 2 for item in value) + len(value)


def element(tag: str, vr: str = "LO", **members: Any) -> Record:
    return {"type": "element", "tag": tag, "vr": vr, "keyword": None, "offset": 4, "length": 2} | members


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (element("7FE00010", "OW", bulk=True, length=6, offset=90), {"BulkDataURI": "?offset=90&length=6"}),
        (element("7FE00010", "OB", bulk=True, length=None, fragments=3), {"BulkDataURI": "?offset=4"}),
        (element("00091001", "UN", inline_binary="AA=="), {"InlineBinary": "AA=="}),
        (element("00100010", "PN", value=[None, "A^B"]), {"Value": [None, {"Alphabetic": "A^B"}]}),
        (element("00100010", "PN", value=["=b=c"]), {"Value": [{"Ideographic": "b", "Phonetic": "c"}]}),
        (element("00100010", "PN", value=[]), {}),
        (element("00189087", "FD", value=["NaN"]), {"Value": ["NaN"]}),
    ],
)
def test_dicom_element(record: Record, expected: dict[str, Any]) -> None:
    assert folded("dicom", record).metadata == {record["tag"]: {"vr": record["vr"]} | expected}


def test_dicom_items_without_elements_keep_their_place() -> None:
    inside = element("00080100", value=["x"], parent="00081115[2]")
    assert folded("dicom", element("00081115", "SQ"), inside).metadata["00081115"]["Value"] == [
        {},
        {},
        {"00080100": {"vr": "LO", "Value": ["x"]}},
    ]


def test_dicom_nests_no_deeper_than_parsers_read() -> None:
    records, parent = [], ""
    for _ in range(3 * DEPTH_MOST):
        place = {"parent": parent} if parent else {}
        records += [element("00080100", value=["x"], **place), element("00081115", "SQ", **place)]
        parent = f"{parent}.00081115[0]".lstrip(".")
    document = folded("dicom", *records)
    assert document.truncated
    assert orjson.loads(orjson.dumps(document.metadata)) == document.metadata


def test_dicom_of_a_million_empty_items_is_cut() -> None:
    far = element("00080100", value=["x"], parent="00081115[99999999]")
    document = folded("dicom", element("00081115", "SQ"), far)
    assert document.truncated
    assert document.metadata["00081115"]["Value"] == []


# FITS: the headers by HDU


def test_fits_has_the_values_and_comments_of_astropy(tmp_path: Path) -> None:
    from astropy.io import fits as astropy_fits

    path = fits.build(tmp_path)
    hdus = document_of(path)["hdus"]
    with astropy_fits.open(path, disable_image_compression=True) as opened:
        assert [hdu["name"] or "" for hdu in hdus] == [hdu.name for hdu in opened]
        for mine, other in zip(hdus, opened, strict=True):
            for card in other.header.cards:
                if card.keyword in ("COMMENT", "HISTORY", ""):
                    continue
                value = card.value
                if isinstance(value, complex):
                    value = [value.real, value.imag]
                if isinstance(value, astropy_fits.card.Undefined):
                    value = None
                assert mine["header"][card.keyword] == value
                assert mine["comments"].get(card.keyword, "") == card.comment
            assert mine["header"].get("COMMENT", []) == list(other.header.get("COMMENT", []))
    assert [hdu["index"] for hdu in hdus] == list(range(len(hdus)))


def card(keyword: str, value: Any, comment: str = "", hdu: int = 0) -> Record:
    return {"type": "card", "hdu": hdu, "keyword": keyword, "value": value, "comment": comment}


def test_fits_keeps_what_is_repeated_and_what_was_not_read() -> None:
    long = {"type": "card", "hdu": 0, "keyword": "LONG", "offset": 80, "length": 9000, "bulk": True, "comment": ""}
    structure = {"type": "hdu", "index": 0, "name": "PRIMARY", "kind": "PRIMARY", "shape": []}
    document = folded("fits", card("A", 1, "one"), card("A", 2), card("A", 3), long, structure, card("B", 4, hdu=1))
    assert document.metadata["hdus"] == [
        {
            "index": 0,
            "name": "PRIMARY",
            "kind": "PRIMARY",
            "shape": [],
            "repeated": {"A": [2, 3]},
            "header": {"A": 1, "LONG": {"offset": 80, "length": 9000, "bulk": True}},
            "comments": {"A": "one"},
        },
        {"index": 1, "header": {"B": 4}, "comments": {}},
    ]
    assert not document.truncated


# HDF5 and NetCDF: the tree


def test_hdf5_tree(tmp_path: Path) -> None:
    import h5py
    import numpy

    path = tmp_path / "tree.h5"
    with h5py.File(path, "w") as file:
        file.attrs["title"] = "all"
        group = file.create_group("outer/inner")
        group.attrs["depth"] = 2
        group.create_dataset("data", data=[[1, 2, 3]], dtype="<i2")
        file["alias"] = h5py.SoftLink("/outer/inner/data")
        file["kind"] = numpy.dtype("<f8")
    metadata = document_of(path)
    assert metadata["attributes"] == {"title": "all"}
    inner = metadata["groups"]["outer"]["groups"]["inner"]
    assert inner["attributes"] == {"depth": 2}
    assert (inner["datasets"]["data"]["shape"], inner["datasets"]["data"]["dtype"]) == ([1, 3], "<i2")
    assert metadata["links"]["alias"]["target"] == "/outer/inner/data"
    assert metadata["datatypes"]["kind"]["dtype"] == "<f8"
    assert metadata["datasets"] == {}


def as_cdl(name: str, metadata: dict[str, Any]) -> str:
    """What `ncdump -h` would say of a document with simple types."""
    lines = [f"netcdf {name} {{", "dimensions:"]
    for dimension, about in metadata["dimensions"].items():
        size = f"UNLIMITED ; // ({about['size']} currently)" if about["unlimited"] else f"{about['size']} ;"
        lines.append(f"\t{dimension} = {size}")
    lines.append("variables:")
    for variable, about in metadata["variables"].items():
        kind = {">f4": "float", "<f4": "float", ">i4": "int", "<i4": "int", "|S1": "char"}[about["dtype"]]
        shape = f"({', '.join(about['dimensions'])})" if about["dimensions"] else ""
        lines.append(f"\t{kind} {variable}{shape} ;")
        lines += [f'\t\t{variable}:{key} = "{text}" ;' for key, text in about["attributes"].items()]
    lines += ["", "// global attributes:"]
    lines += [f'\t\t:{key} = "{text}" ;' for key, text in metadata["attributes"].items()]
    return "\n".join([*lines, "}", ""])


@pytest.mark.oracle("ncdump")
@pytest.mark.parametrize("kind", ["NETCDF3_CLASSIC", "NETCDF4"])
def test_netcdf_is_what_ncdump_shows(tmp_path: Path, kind: str) -> None:
    import netCDF4

    path = tmp_path / "sample.nc"
    with netCDF4.Dataset(path, "w", format=kind) as file:
        file.title = "temperatures"
        file.createDimension("time", None)
        file.createDimension("lat", 3)
        times = file.createVariable("time", "i4", ("time",))
        times.units = "days since 2000-01-01"
        times[:] = [1, 2]
        file.createVariable("temp", "f4", ("time", "lat")).long_name = "temperature"
        file.createVariable("crs", "S1", ())
    metadata = document_of(path)
    assert metadata["variant"] == kind
    shown = subprocess.run(["ncdump", "-h", str(path)], capture_output=True, text=True, check=True, timeout=60).stdout
    assert as_cdl("sample", metadata) == shown


def test_netcdf_groups_hold_their_own(tmp_path: Path) -> None:
    import netCDF4

    path = tmp_path / "groups.nc"
    with netCDF4.Dataset(path, "w") as file:
        inside = file.createGroup("a").createGroup("b")
        inside.createDimension("x", 2)
        inside.createVariable("v", "f8", ("x",))
        file.createEnumType("u1", "mood", {"calm": 0, "cross": 1})
    metadata = document_of(path)
    inner = metadata["groups"]["a"]["groups"]["b"]
    assert list(inner["dimensions"]) == ["x"]
    assert inner["variables"]["v"]["dimensions"] == ["x"]
    assert metadata["types"]["mood"]["kind"] == "enum"


def test_names_with_slashes_of_classic_files_stay_where_they_are() -> None:
    record = {"type": "variable", "path": "/a/b", "dtype": ">f4", "attributes": {}}
    document = folded("netcdf", record, variant="NETCDF3_CLASSIC")
    assert list(document.metadata["variables"]) == ["a/b"]


def test_what_hangs_in_a_tree_that_was_cut_is_cut_too() -> None:
    group = {"type": "group", "path": "/a", "attributes": {"long": "x" * ROOM}}
    inside = {"type": "dataset", "path": "/a/b", "attributes": {}}
    lost = {"type": "dataset", "path": "/gone/b", "attributes": {}}
    document = folded("hdf5", {"type": "group", "path": "/", "attributes": {"y": "y" * ROOM}}, group, inside, lost)
    assert document.truncated
    assert document.metadata["attributes"] == {"bulk": True, "length": ROOM + 8}
    assert document.metadata["groups"]["a"]["attributes"]["bulk"] is True
    assert list(document.metadata["groups"]["a"]["datasets"]) == ["b"]
    assert "gone" not in document.metadata["groups"]


def test_groups_nest_no_deeper_than_parsers_read() -> None:
    paths = ["/" + "/".join("g" * depth) for depth in range(1, 3 * DEPTH_MOST)]
    document = folded("hdf5", *({"type": "group", "path": path, "attributes": {}} for path in paths))
    assert document.truncated
    assert orjson.loads(orjson.dumps(document.metadata)) == document.metadata


# sound and pictures: streams


def test_audio_has_streams_and_totals(tmp_path: Path) -> None:
    import wave

    path = tmp_path / "tone.wav"
    with wave.open(str(path), "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(4 * 12000))
    metadata = document_of(path)
    stream = metadata["streams"][0]
    assert (stream["codec"], stream["sample_rate"], stream["channels"]) == ("pcm_s16le", 8000, 2)
    assert (metadata["container"], metadata["duration_s"], metadata["tags"]) == ("wav", 1.5, {})
    assert metadata.keys() == {"container", "duration_s", "tags", "streams"}


def test_audio_totals_of_several_streams() -> None:
    one = {
        "type": "stream",
        "index": 0,
        "container": "mka",
        "duration_s": 2.5,
        "tags": {"title": "t", "language": "de"},
    }
    two = {
        "type": "stream",
        "index": 1,
        "container": "mka",
        "duration_s": 3.5,
        "tags": {"title": "t", "language": "fr"},
    }
    chapter = {"type": "chapter", "id": 1, "title": "c"}
    metadata = folded("audio", one, two, chapter, {"type": "frame", "index": 0}).metadata
    assert (metadata["container"], metadata["duration_s"], metadata["tags"]) == ("mka", 3.5, {"title": "t"})
    assert len(metadata["streams"]) == 2
    assert metadata["chapters"] == [{"id": 1, "title": "c"}]


@pytest.mark.oracle("ffprobe")
def test_video_is_what_ffprobe_shows(tmp_path: Path) -> None:
    path = video.build(tmp_path)
    call = ["ffprobe", "-v", "error", "-show_streams", "-show_format", "-of", "json", str(path)]
    told = json.loads(subprocess.run(call, capture_output=True, check=True, timeout=60).stdout)
    metadata = document_of(path)
    assert metadata["container"] == told["format"]["format_name"]
    assert metadata["duration_s"] == pytest.approx(float(told["format"]["duration"]), abs=0.05)  # releases differ
    assert len(metadata["streams"]) == len(told["streams"])
    for mine, other in zip(metadata["streams"], told["streams"], strict=True):
        assert mine["codec"] == other.get("codec_name")
        assert (mine["width"], mine["height"]) == (other.get("width"), other.get("height"))
    assert "packets" not in metadata


# plain bytes


def test_binary_has_digest_and_entropy(tmp_path: Path) -> None:
    data = bytes(range(256)) * 8192 + b"\0" * (1 << 20)
    path = tmp_path / "plain.bin"
    path.write_bytes(data)
    metadata = document_of(path)
    assert metadata["sha256"] == hashlib.sha256(data).hexdigest()
    # a third of zeros on top of what is evenly spread: Shannon's formula over the two kinds of bytes
    zero, other = (1 / 3 + 2 / 3 / 256), 2 / 3 / 256
    assert metadata["entropy"] == pytest.approx(-(zero * math.log2(zero) + 255 * other * math.log2(other)))
    assert isinstance(DOCUMENTS["binary"](file_of("binary")), BinaryDocument)


def test_empty_file_has_no_entropy(tmp_path: Path) -> None:
    path = tmp_path / "empty"
    path.touch()
    assert document_of(path)["entropy"] == 0


# never too much

TEXT = st.text(max_size=20)
VALUE = st.one_of(TEXT, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.lists(TEXT, max_size=3))
TAG = st.sampled_from([f"{number:08X}" for number in range(8)])
PARENT = st.none() | st.lists(st.tuples(TAG, st.integers(0, 3)), min_size=1, max_size=3).map(
    lambda steps: ".".join(f"{tag}[{index}]" for tag, index in steps)
)
NAME = st.sampled_from("abc")
RECORDS = {
    "dicom": st.builds(
        lambda tag, vr, value, parent: (
            element(tag, vr, value=value, length=_bytes_of(value)) | ({"parent": parent} if parent else {})
        ),
        TAG,
        st.sampled_from(["LO", "PN", "SQ"]),
        st.lists(TEXT, max_size=40),
        PARENT,
    ),
    "fits": st.builds(card, st.sampled_from(["A", "B", "COMMENT", ""]), VALUE, TEXT, st.integers(0, 2)),
    "hdf5": st.builds(
        lambda kind, names, value: {"type": kind, "path": "/" + "/".join(names), "attributes": {"a": value}},
        st.sampled_from(["group", "dataset", "link"]),
        st.lists(NAME, max_size=4),
        VALUE,
    ),
    "audio": st.builds(lambda tags: {"type": "stream", "tags": tags}, st.dictionaries(NAME, TEXT)),
}


@pytest.mark.parametrize("name", list(RECORDS))
@given(data=st.data())
def test_no_document_is_larger_than_its_room(name: str, data: st.DataObject) -> None:
    document = DOCUMENTS[name](file_of(name))
    around = len(encode_value(document.metadata))
    document._room = room = data.draw(st.integers(0, 3000))
    records = data.draw(st.lists(RECORDS[name], max_size=60))
    for record in records:
        document.add(record)
    document.finish()
    assert len(encode_value(document.metadata)) <= room + around + 50  # the totals of sound, that are always there
    if len(encode_value(records)) * 6 + 300 * len(records) < room and name != "dicom":
        assert not document.truncated or name == "hdf5"


def test_a_document_of_any_other_format_is_its_records_by_type() -> None:
    document = PlainDocument(file_of("other", extra=1))
    document.add({"type": "thing", "name": "first"})
    assert document.metadata == {"extra": 1, "things": [{"name": "first"}]}


@pytest.mark.parametrize("name", ["dicom", "fits", "video"])
def test_samples_are_not_cut(name: str, tmp_path: Path) -> None:
    from memx.formats import by_key

    assert document_of(builder(by_key(name))(tmp_path))
