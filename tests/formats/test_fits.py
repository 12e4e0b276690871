"""Whole FITS files: structure, faults, and agreement with astropy."""

import bz2
import io
import json
import lzma
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from astropy.io import fits as astropy_fits
from hypothesis import given
from hypothesis import strategies as st

from memx.engine.options import StreamOptions
from memx.engine.reading.streaming import Stream
from memx.formats.fits import FitsStreamReader
from memx.formats.signatures import is_fits
from memx.records import Record
from tests.contract import assert_contract
from tests.oracles import NotReadable
from tests.oracles.fits import disagreements
from tests.samples import fits as samples
from tests.samples.fits import BLOCK, header, primary

DATA = Path(astropy_fits.__file__).parent / "tests" / "data"
IMAGE = ("XTENSION= 'IMAGE   '", "BITPIX  =                    8")


def read(data: bytes | Path | str, **options: Any) -> list[Record]:
    """The records between `file` and `end`, then `end`; the contract is held against them all."""
    source = io.BytesIO(data) if isinstance(data, bytes) else data
    records = list(Stream(source, StreamOptions(format="fits", **options)).records())
    assert_contract(records)
    return records[1:]


def hdus(records: list[Record]) -> list[Record]:
    return [record for record in records if record["type"] == "hdu"]


def values(records: list[Record]) -> dict[str, Any]:
    return {record["keyword"]: record["value"] for record in records if record["type"] == "card"}


@pytest.mark.parametrize("build", [samples.build, samples.build_groups, samples.build_gzip], ids=lambda b: b.__name__)
def test_samples_agree_with_astropy(build: Any, tmp_path: Path) -> None:
    path = build(tmp_path)
    records = list(Stream(path).records())
    assert_contract(records, path)
    assert records[-1]["status"] == "complete"
    assert disagreements(str(path), records) == []


@pytest.mark.parametrize("path", sorted(DATA.rglob("*.fits")), ids=lambda path: path.name)
def test_real_files_agree_with_astropy(path: Path) -> None:
    records = list(Stream(path).records())
    assert_contract(records, path)
    assert records[0]["format"] == "fits"
    assert disagreements(str(path), records) == []


def test_the_oracle_sees_what_is_wrong(tmp_path: Path) -> None:
    path = samples.build(tmp_path)
    for changed in (
        {"value": 17},
        {"keyword": "X"},
        {"comment": "other"},
        {"name": "X"},
        {"shape": [1]},
        {"data_size": 9999},
    ):
        records = list(Stream(path).records())
        key = next(iter(changed))
        at = next(at for at, record in enumerate(records) if key in record and record["type"] in ("card", "hdu"))
        records[at] = records[at] | changed
        assert disagreements(str(path), records), changed


def test_kinds_names_and_places(tmp_path: Path) -> None:
    found = hdus(read(samples.build(tmp_path)))
    assert [(record["kind"], record["name"]) for record in found] == [
        ("PRIMARY", "PRIMARY"),
        ("IMAGE", "IMAGE"),
        ("BINTABLE", "TABLE"),
        ("TABLE", "ASCII"),
        ("BINTABLE", "PACKED"),
        ("IMAGE", "EMPTY"),
    ]
    assert found[0]["shape"] == [2, 3, 4]
    assert found[0]["data_size"] == 48
    assert found[2]["heap"]["length"] == 32
    assert found[2]["columns"][0] == {"name": "number", "format": "J", "unit": "count", "null": -1, "disp": "I6"}
    assert found[3]["columns"][1] == {"name": "id", "format": "A4", "unit": None, "start": 9}
    assert found[4]["compressed"] == {
        "kind": "IMAGE",
        "shape": [20, 30],
        "bitpix": 16,
        "algorithm": "RICE_1",
        "tile": [5, 30],
    }
    assert found[5]["ver"] == 2


def test_random_groups(tmp_path: Path) -> None:
    (found,) = hdus(read(samples.build_groups(tmp_path)))
    assert (found["kind"], found["gcount"], found["pcount"], found["parameters"]) == ("GROUPS", 10, 2, ["U", "V"])
    assert found["data_size"] == 4 * 10 * (2 + 6)


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress], ids=["bzip2", "xz"])
def test_compressed_files_are_read_through(compress: Any, tmp_path: Path) -> None:
    plain = samples.build(tmp_path)
    packed = tmp_path / "packed"
    packed.write_bytes(compress(plain.read_bytes()))
    records = list(Stream(packed).records())
    assert records[0]["format"] == "fits"
    assert records[0]["compression"] in ("bzip2", "xz")
    assert records[1:-1] == list(Stream(plain).records())[1:-1]


def test_compressed_data_that_break_off(tmp_path: Path) -> None:
    packed = samples.build_gzip(tmp_path).read_bytes()
    whole = read(packed)[:-1]
    for cut in range(20, len(packed), 97):
        *records, end = read(packed[:cut])
        assert end["status"] in ("truncated", "failed")
        given = [record for record in records if record["type"] != "error"]
        assert given == whole[: len(given)]


class TestFaults:
    @pytest.mark.slow
    def test_cut_anywhere(self, tmp_path: Path) -> None:
        data = samples.build(tmp_path).read_bytes()
        whole = read(data)[:-1]
        ends = [h["data_offset"] + h["data_size"] for h in hdus(whole)]
        cuts = {*range(0, len(data) - BLOCK, 411), *ends, *(-(-end // BLOCK) * BLOCK + 5 for end in ends[:-1])}
        for cut in sorted(cuts):
            *records, end = read(data[:cut])
            given = [record for record in records if record["type"] != "error"]
            if given and given[-1]["type"] == "hdu" and given[-1]["data_offset"] % BLOCK:
                del given[-1]  # cut behind END: its data would begin where the file ends
            assert given == whole[: len(given)]
            in_padding = any(done <= cut <= -(-done // BLOCK) * BLOCK for done in ends)
            assert (end["status"] == "complete") == in_padding, cut

    def test_padding_may_be_missing(self) -> None:
        data = header(*IMAGE, "NAXIS   = 1", "NAXIS1  = 10")
        assert read(primary() + data + bytes(10))[-1]["status"] == "complete"
        *_, fault, end = read(primary() + data + bytes(9))
        assert (fault["code"], end["status"]) == ("truncated", "truncated")

    def test_no_end_card_but_the_data_show(self) -> None:
        first = header("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 1", "NAXIS1  = 3000").replace(b"END", b"   ")
        data = bytes(range(256)) * 12
        records = read(first + data.ljust(2 * BLOCK, b"\0") + header(*IMAGE, "NAXIS   = 0"))
        assert [record["data_offset"] for record in hdus(records)] == [BLOCK, 4 * BLOCK]
        assert [record["message"] for record in records if record["type"] == "error"] == [
            "the header of HDU 0 has no END card"
        ]

    def test_no_end_card_but_the_next_header_shows(self) -> None:
        records = read(primary().replace(b"END", b"   ") + header(*IMAGE, "NAXIS   = 0"))
        assert [record["kind"] for record in hdus(records)] == ["PRIMARY", "IMAGE"]
        assert records[-1]["status"] == "truncated"

    def test_no_end_card_at_all(self) -> None:
        *records, fault, end = read(primary("KEY     = 5").replace(b"END", b"   "))
        assert values(records)["KEY"] == 5
        assert (fault["code"], end["status"]) == ("truncated", "truncated")

    def test_end_right_at_the_end_of_the_file(self) -> None:
        assert len(hdus(read(primary().rstrip()))) == 1

    def test_filler_behind_the_last_hdu_is_nothing(self) -> None:
        for filler in (bytes(BLOCK), b" " * BLOCK, b"\0", b"\n"):
            assert read(primary() + filler)[-1]["status"] == "complete"

    def test_garbage_behind_the_last_hdu_is_said(self) -> None:
        *_, fault, end = read(primary() + b"\xaa" * BLOCK)
        assert (fault["code"], fault["offset"], end["status"]) == ("corrupt", BLOCK, "truncated")

    def test_an_extension_that_is_none(self) -> None:
        records = read(primary() + header("BITPIX  = 8", "NAXIS   = 0") + header(*IMAGE, "NAXIS   = 0"))
        assert [record["kind"] for record in hdus(records)] == ["PRIMARY", "UNKNOWN", "IMAGE"]
        assert records[-1]["status"] == "truncated"

    def test_not_conforming(self) -> None:
        (found,) = hdus(read(header("SIMPLE  = F", "BITPIX  = 8", "NAXIS   = 0") + bytes(5000)))
        assert found["data_size"] == 5000

    @pytest.mark.parametrize(
        ("cards", "said"),
        [
            (("NAXIS   = 1", "NAXIS1  = -5"), "'-5' as NAXIS1"),
            (("NAXIS   = 1", "NAXIS1  = 'x'"), "'x' as NAXIS1"),
            (("NAXIS   = 1",), "no NAXIS1"),
            (("NAXIS   = -1",), "'-1' as NAXIS"),
            (("NAXIS   = T",), "'True' as NAXIS"),
            (("NAXIS   = 1000",), "1000 axes"),
            (("NAXIS   = 1", f"NAXIS1  = {10**60}"), "more data than a file can hold"),
            (("NAXIS   = 1", "NAXIS1  = 5", "GCOUNT  = -1"), "'-1' as GCOUNT"),
            (("EXTEND  = T",), "no NAXIS"),
        ],
    )
    def test_axes_that_are_none(self, cards: tuple[str, ...], said: str) -> None:
        *records, end = read(header("SIMPLE  = T", "BITPIX  = 8", *cards))
        assert end["status"] == "truncated"
        assert said in end["reason"]
        assert values(records)["BITPIX"] == 8

    def test_many_huge_axes(self) -> None:
        axes = [f"NAXIS{n:<3}= {10**50}" for n in range(1, 1000)]
        *_, end = read(header("SIMPLE  = T", "BITPIX  = 8", "NAXIS   = 999", *axes))
        assert "more data" in end["reason"]

    def test_a_bitpix_of_no_kind(self) -> None:
        *records, end = read(header("SIMPLE  = T", "BITPIX  = 24", "NAXIS   = 1", "NAXIS1  = 10") + bytes(30))
        assert hdus(records)[0]["data_size"] == 30
        assert "24 as BITPIX" in end["reason"]

    def test_fields_without_end(self) -> None:
        table = header(
            "XTENSION= 'BINTABLE'", "BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 0", "NAXIS2  = 0", f"TFIELDS = {10**30}"
        )
        assert len(hdus(read(primary() + table))[1]["columns"]) == 999

    def test_line_breaks(self) -> None:
        *_, end = read(b"SIMPLE  =                    T\nBITPIX  =                    8\nEND\n".ljust(BLOCK))
        assert end["status"] == "failed"
        assert "line breaks" in end["reason"]

    @pytest.mark.parametrize("data", [b"", b"SIMPLE  = T", b"\0" * BLOCK, bytes(range(256)) * 20])
    def test_no_fits_at_all(self, data: bytes) -> None:
        *records, end = read(data)
        assert end["status"] in ("failed", "truncated")
        assert [record["type"] for record in records] == ["error"]


class TestStreaming:
    def test_only_headers_are_read(self, tmp_path: Path) -> None:
        *_, end = read(samples.build_small(tmp_path))
        assert end["metrics"]["bytes_read"] < 20_000

    def test_a_giant_costs_no_more_than_a_small_one(self, tmp_path: Path) -> None:
        small, giant = (_measured(build(tmp_path)) for build in (samples.build_small, samples.build_giant))
        assert giant["status"] == "complete"
        assert abs(giant["peak"] - small["peak"]) < 2 << 20

    @pytest.mark.slow
    def test_a_million_cards_cost_no_more_than_a_few(self, tmp_path: Path) -> None:
        path = tmp_path / "million.fits"
        cards = b"".join(b"K%-7d= %20d".ljust(82) % (n % 10**7, n) for n in range(10))
        with path.open("wb") as file:
            first = primary().replace(b"END", b"   ")
            file.write(first)
            block = (cards[:80] * 36)[:BLOCK]
            for _ in range(28_000):
                file.write(block)
            file.write(b"END".ljust(BLOCK))
        few = _measured(samples.build_small(tmp_path))
        many = _measured(path)
        assert many["records"] > 1_000_000
        assert many["peak"] - few["peak"] < 2 << 20

    def test_a_string_without_end_is_stepped_over(self) -> None:
        more = "CONTINUE  '" + "x" * 60 + "&' / more"
        records = read(primary("LONG    = 'abc&'", *[more] * 5000, "NEXT    = 1"))
        long = next(record for record in records if record.get("keyword") == "LONG")
        assert long["bulk"] is True
        assert long["length"] == 5001 * 80 - 10
        assert "value" not in long
        assert next(record for record in records if record.get("keyword") == "NEXT")["value"] == 1

    @pytest.mark.parametrize("shift", range(30, 38))
    def test_a_string_goes_on_in_the_next_block(self, shift: int) -> None:
        filler = [f"K{n:<7}= {n}" for n in range(shift - 4)]
        records = read(primary(*filler, "LONG    = 'one &' / a", "CONTINUE  'two&' / b", "CONTINUE  'three'"))
        long = next(record for record in records if record.get("keyword") == "LONG")
        assert (long["value"], long["comment"]) == ("one twothree", "a b")

    def test_a_continued_name_is_known_whole(self) -> None:
        data = primary() + header(*IMAGE, "NAXIS   = 0", "EXTNAME = 'one &'", "CONTINUE  'two'")
        assert hdus(read(data))[1]["name"] == "one two"

    def test_structure_is_known_though_values_are_not_wanted(self, tmp_path: Path) -> None:
        path = samples.build(tmp_path)
        assert hdus(read(path, max_value_bytes=1)) == hdus(read(path))
        data = primary() + header(*IMAGE, "NAXIS   = 0", "EXTNAME = 'one &'", "CONTINUE  'two'")
        assert hdus(read(data, max_value_bytes=1))[1]["name"] == "one two"

    def test_a_column_name_per_field_is_bounded(self) -> None:
        long = [
            card for n in range(1, 1000) for card in (f"TTYPE{n:<3}= 'a&'", *["CONTINUE  '" + "x" * 60 + "&'"] * 30)
        ]
        fields = ("BITPIX  = 8", "NAXIS   = 2", "NAXIS1  = 0", "NAXIS2  = 0", "TFIELDS = 999")
        columns = hdus(read(primary() + header("XTENSION= 'BINTABLE'", *fields, *long)))[1]["columns"]
        assert len(json.dumps(columns)) < 2 << 20

    def test_card_by_card(self) -> None:
        class Meter(io.BytesIO):
            given = 0

            def read(self, size: int | None = -1, /) -> bytes:
                data = super().read(size)
                self.given += len(data)
                return data

            def seekable(self) -> bool:
                return False

        meter = Meter(primary(*[f"K{n:<7}= {n}" for n in range(10_000)]))
        reader = FitsStreamReader()
        records = reader.stream(meter)
        next(records)
        assert meter.given <= 2 * BLOCK
        assert sum(1 for _ in records) == 10_003


@pytest.mark.parametrize(
    ("head", "suffix", "expected"),
    [
        (b"SIMPLE  =                    T / x", "", True),
        (b"SIMPLE  = F", "", True),
        (b"SIMPLE = T", "", True),
        (b"SIMPLE  = True", "", False),
        (b"SIMPLE = Text", "", False),
        (b"SIMPLY  = T", "", False),
        (b"XTENSION= 'IMAGE   '", "", True),
        (b"BITPIX  =                    8".ljust(80), ".fits", True),
        (b"BITPIX  =                    8".ljust(80), ".txt", False),
        (b"hello world", ".fits", False),
        (b"", ".fits", False),
    ],
)
def test_signature(head: bytes, suffix: str, expected: bool) -> None:
    assert is_fits(head, suffix) is expected


@given(st.integers(0, 2**32))
def test_mutated_files_end_properly(seed: int) -> None:
    rng = random.Random(seed)
    data = bytearray(
        (
            DATA / rng.choice(["tb.fits", "table.fits", "group.fits", "test1.fits", "variable_length_table.fits"])
        ).read_bytes()
    )
    for _ in range(rng.randint(1, 4)):
        _mutate(data, rng)
    end = read(bytes(data))[-1]
    assert end["status"] in ("complete", "truncated", "failed")


def test_mutated_values_agree_with_astropy(tmp_path: Path) -> None:
    """Digits and letters of one header changed: what astropy still reads, memx reads the same."""
    rng, path = random.Random(5), tmp_path / "mutant.fits"
    original = samples.build(tmp_path).read_bytes()
    compared = 0
    for _ in range(40):
        data = bytearray(original)
        for _ in range(5):
            at = rng.randrange(6 * 80, 14 * 80)
            data[at] = rng.choice(b"0123456789ABCabc. ")
        path.write_bytes(data)
        records = list(Stream(path).records())
        try:
            assert disagreements(str(path), records) == []
        except NotReadable:
            continue
        compared += 1
    assert compared > 20


def _mutate(data: bytearray, rng: random.Random) -> None:
    at = rng.randrange(len(data))
    match rng.randrange(5):
        case 0:
            data[at] ^= 1 << rng.randrange(8)
        case 1:
            del data[max(1, at) :]
        case 2:
            data[at : at + 80] = rng.randbytes(80)
        case 3:
            at -= at % 80
            other = rng.randrange(0, len(data), 80)
            data[at : at + 80], data[other : other + 80] = data[other : other + 80], data[at : at + 80]
        case _:
            data[at : at + 80] = b"CONTINUE  'more&' / comment".ljust(80)


def _measured(path: Path) -> dict[str, Any]:
    """`end` of a run in a process of its own, with the peak that the kernel counted from outside."""
    code = (
        "import sys, resource, json\n"
        "from memx.engine.reading.streaming import Stream\n"
        "for record in Stream(sys.argv[1]).records(): pass\n"
        "print(json.dumps(record | {'peak': resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}))"
    )
    # through a small process: ru_maxrss begins at what the parent of a fork had
    command = ["/bin/sh", "-c", '"$0" "$@"; exit $?', sys.executable, "-c", code, str(path)]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    found: dict[str, Any] = json.loads(done.stdout)
    return found
