"""Data sets that pydicom writes, real files from its wheel, and the same damaged: memx against pydicom."""

import io
import random
import warnings
from pathlib import Path
from typing import Any

import pydicom
import pydicom.data
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
)

from memx.errors import MemxError
from memx.formats.dicom import DicomStreamReader
from memx.records import MAX_LINE, encode
from memx.sources.stream import ForwardStream, SeekableStream
from tests.oracles import NotReadable
from tests.oracles.dicom import disagreements

DATA = Path(pydicom.data.__file__).parent
FILES = sorted(path for path in DATA.rglob("*") if path.is_file() and path.read_bytes()[128:132] == b"DICM")
NAKED = [DATA / "test_files" / name for name in ("ExplVR_BigEndNoMeta.dcm", "ExplVR_LitEndNoMeta.dcm", "rtstruct.dcm")]

_WORDS = st.text(st.characters(min_codepoint=33, max_codepoint=126, exclude_characters="\\=^"), max_size=12)
_NUMBERS = {
    "US": st.integers(0, 2**16 - 1),
    "SS": st.integers(-(2**15), 2**15 - 1),
    "UL": st.integers(0, 2**32 - 1),
    "SL": st.integers(-(2**31), 2**31 - 1),
    "UV": st.integers(0, 2**64 - 1),
    "SV": st.integers(-(2**63), 2**63 - 1),
    "FL": st.floats(width=32),
    "FD": st.floats(),
    "IS": st.integers(-(2**31), 2**31 - 1).map(str),
    "DS": st.floats(-1e9, 1e9).map(lambda value: f"{value:.8g}"),
    "AT": st.integers(0, 2**32 - 1),
}
_TEXTS = {
    "CS": _WORDS.map(str.upper),
    "LO": st.text(st.characters(min_codepoint=32, max_codepoint=0x24F, exclude_characters="\\"), max_size=30),
    "SH": _WORDS,
    "AE": _WORDS,
    "UI": st.lists(st.integers(0, 999).map(str), min_size=1, max_size=6).map(".".join),
    "UC": _WORDS,
    "PN": st.lists(_WORDS, min_size=1, max_size=3).map("=".join),
}
_BYTES = st.binary(max_size=40).map(lambda raw: raw + bytes(len(raw) % 2))
# tags of the dictionary by VR, so that implicit VR can tell them; groups behind 0028 and before the pixel data
_TAGS = {
    vr: [tag for tag, row in pydicom.datadict.DicomDictionary.items() if row[0] == vr and 0x00300000 < tag < 0x7FE00000]
    for vr in (*_NUMBERS, *_TEXTS, "LT", "UT", "OB", "OW", "UN", "SQ")
}
_VRS = sorted(vr for vr, tags in _TAGS.items() if tags and vr != "SQ")


@st.composite
def elements(draw: st.DrawFn) -> tuple[int, str, Any]:
    vr = draw(st.sampled_from(_VRS))
    tag = draw(st.sampled_from(_TAGS[vr]))
    if vr in ("OB", "OW", "UN"):
        return tag, vr, draw(_BYTES)
    if vr in ("LT", "UT"):
        return tag, vr, draw(st.text(st.characters(min_codepoint=32, max_codepoint=0x17F), max_size=50))
    return tag, vr, draw(st.lists({**_NUMBERS, **_TEXTS}[vr], max_size=4))


def _data_set(content: list[Any], undefined: bool) -> Dataset:
    data_set = Dataset()
    for tag, vr, value in content:
        if vr == "SQ":
            data_set.add_new(tag, vr, [_data_set(item, undefined) for item in value])
            data_set[tag].is_undefined_length = undefined
        else:
            data_set.add_new(tag, vr, value)
    data_set.is_undefined_length_sequence_item = undefined
    return data_set


_content = st.recursive(
    st.lists(elements(), max_size=6),
    lambda items: st.lists(
        elements() | st.tuples(st.sampled_from(_TAGS["SQ"]), st.just("SQ"), st.lists(items, max_size=3)), max_size=4
    ),
    max_leaves=12,
)


@pytest.mark.slow
@given(
    content=_content,
    undefined=st.booleans(),
    syntax=st.sampled_from(
        [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian, DeflatedExplicitVRLittleEndian]
    ),
)
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
def test_what_pydicom_writes_is_read(tmp_path_factory: Any, content: Any, undefined: bool, syntax: Any) -> None:
    path = tmp_path_factory.getbasetemp() / "property.dcm"
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        data_set = _data_set(content, undefined)
        data_set.SpecificCharacterSet = "ISO_IR 192"
        data_set.file_meta = FileMetaDataset()
        data_set.file_meta.TransferSyntaxUID = syntax
        data_set.file_meta.MediaStorageSOPClassUID = data_set.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        data_set.save_as(path, enforce_file_format=True)
    assert disagreements(path, list(DicomStreamReader().stream(path))) == []


@pytest.mark.parametrize("path", [*FILES, *NAKED], ids=lambda path: str(path.relative_to(DATA)))
def test_real_files_agree_with_pydicom(path: Path) -> None:
    records: list[dict[str, Any]] = []
    try:
        records.extend(DicomStreamReader().stream(path))
    except MemxError as exc:
        assert "truncated" in path.name  # the only broken ones
        records.append({"type": "error", "code": exc.code, "message": exc.message, "offset": exc.offset})
    try:
        assert disagreements(path, records) == []
    except NotReadable:
        assert "truncated" in path.name


@pytest.mark.parametrize("path", NAKED, ids=lambda path: path.name)
@pytest.mark.parametrize("size", [61, 997])
def test_however_the_bytes_come_the_lines_are_the_same(path: Path, size: int) -> None:
    class Trickle(io.BytesIO):
        def read1(self, _length: int | None = -1, /) -> bytes:
            return super().read1(size)

    whole = list(map(encode, DicomStreamReader(SeekableStream(io.BytesIO(path.read_bytes()), "x"))))
    assert list(map(encode, DicomStreamReader(ForwardStream(Trickle(path.read_bytes()), "x")))) == whole


def _damaged(data: bytes, chance: random.Random) -> bytes:
    """`data` cut, or with some of its bytes changed, taken out or put in; more often at the beginning."""
    damaged = bytearray(data)
    if chance.random() < 0.25:
        del damaged[chance.randrange(len(damaged)) :]
    for _ in range(chance.choice((0, 1, 1, 2, 5, 30)) if damaged else 0):
        at = chance.randrange(min(len(damaged), chance.choice((400, 2000, len(damaged)))))
        damaged[at : at + chance.choice((0, 1, 4, 8))] = chance.choice(
            (
                chance.randbytes(1),
                chance.randbytes(4),
                b"",
                b"\xff\xff\xff\xff",
                b"\xfe\xff\x00\xe0\xff\xff\xff\xff",
                b"\xfe\xff\x0d\xe0\0\0\0\0",
                b"\xfe\xff\xdd\xe0\0\0\0\0",
                b"SQ",
                b"UN",
                b"IS",
            )
        )
        if not damaged:
            break
    return bytes(damaged)


@pytest.mark.parametrize("seed", range(10))
def test_damaged_files_end_with_errors_of_memx(seed: int) -> None:
    """No other exception, no line too long, nothing out of order, and a pipe says what a file says."""
    chance = random.Random(seed)
    small = [path for path in FILES if path.stat().st_size < 60_000]
    for _ in range(60):
        path = chance.choice(small)
        damaged = _damaged(path.read_bytes(), chance)
        said = []
        for stream in (SeekableStream, ForwardStream):
            lines: list[bytes] = []
            offsets = [-1]
            try:
                for record in DicomStreamReader(stream(io.BytesIO(damaged), "x")):
                    lines.append(encode(record))
                    if record["type"] == "element" and record["tag"][:4] != "0002":
                        offsets.append(record["offset"])
            except MemxError as exc:
                lines.append(type(exc).__name__.encode())
            assert offsets == sorted(offsets), path
            assert max(map(len, lines), default=0) <= MAX_LINE
            said.append(lines)
        assert said[0] == said[1], path
