"""Every row of FORMATS: its sample, opened in every way and with every option."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from memx.engine.options import StreamOptions
from memx.engine.reading.session import selector
from memx.engine.reading.streaming import Stream
from memx.errors import UsageError
from memx.formats import FORMATS, Format, format_names
from memx.records import Record, decode
from tests.contract import assert_contract, comparable
from tests.contract.sources import WAYS, builder, command, lines_of, read

NAMELESS = ("path", "size", "spooled")


@pytest.mark.parametrize("row", FORMATS, ids=lambda row: row.key)
def test_every_row_has_a_builder(row: Format) -> None:
    assert callable(builder(row)), f"write tests/samples/{row.name}.py with a function that builds a {row.key} file"


def test_sample_keeps_the_contract(sample: Path, expected: list[Record], request: pytest.FixtureRequest) -> None:
    assert_contract(expected, sample)
    assert expected[-1]["status"] == "complete", expected[-1]
    assert expected[-1]["reason"] is None
    assert len(expected) > 3
    key = request.node.callspec.params["sample"]
    assert expected[0]["format"] == next(row.name for row in FORMATS if row.key == key)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_same_records_however_opened(sample: Path, expected: list[Record], way: Callable[[Path], list[Record]]) -> None:
    records = way(sample)
    assert_contract(records)
    assert comparable(records, *NAMELESS) == comparable(expected, *NAMELESS)


def test_lines_are_the_records(sample: Path, expected: list[Record]) -> None:
    blocks = b"".join(Stream(sample).lines())
    assert blocks.endswith(b"\n")
    assert comparable(map(decode, blocks.splitlines())) == comparable(expected)


@pytest.mark.slow
def test_the_command_gives_the_same_bytes_twice(sample: Path, expected: list[Record]) -> None:
    first, second = command("stream", sample), command("stream", sample)
    assert first.returncode == second.returncode == 0
    assert first.stderr == second.stderr == b""
    assert comparable(lines_of(first.stdout)) == comparable(lines_of(second.stdout)) == comparable(expected)


def test_limit_cuts_and_says_so(sample: Path, expected: list[Record]) -> None:
    records = read(sample, limit=2)
    assert_contract(records, sample)
    assert records[-1]["status"] == "complete"
    assert records[-1]["records"] == 2
    assert "2 records" in records[-1]["reason"]
    assert records[1:-1] == expected[1:3]


def test_limit_of_all_cuts_nothing(sample: Path, expected: list[Record]) -> None:
    count = expected[-1]["records"]
    records = read(sample, limit=count)
    assert records[-1]["reason"] is None
    assert records[1:-1] == expected[1:-1]


def test_limit_of_none_leaves_two_lines(sample: Path) -> None:
    assert [record["type"] for record in read(sample, limit=0)] == ["file", "end"]


def test_select_keeps_what_matches(sample: Path, expected: list[Record]) -> None:
    pattern = expected[-2]["type"]
    records = read(sample, select=(pattern,))
    assert_contract(records, sample, selected=True)
    keep = selector((pattern,))
    assert records[1:-1] == [record for record in expected[1:-1] if keep(record)]
    assert 0 < records[-1]["records"] <= expected[-1]["records"]


def test_select_of_nothing_keeps_nothing(sample: Path) -> None:
    records = read(sample, select=("no such thing",))
    assert [record["type"] for record in records] == ["file", "end"]
    assert records[-1]["status"] == "complete"


def test_with_path_names_the_source_on_every_line(sample: Path, expected: list[Record]) -> None:
    records = read(sample, with_path=True)
    assert_contract(records, sample)
    assert all(record["source"] == str(sample) for record in records)
    bare = [{key: item for key, item in record.items() if key != "source"} for record in records]
    assert comparable(bare) == comparable(expected)


@pytest.mark.parametrize("strategy", ["aggressive", "balanced", "conservative"])
def test_strategy_changes_nothing_that_is_said(sample: Path, expected: list[Record], strategy: str) -> None:
    from memx.engine.memory.strategy import ExtractionStrategy

    records = read(sample, strategy=ExtractionStrategy(strategy))
    assert records[0]["strategy"] == strategy
    assert comparable(records) == comparable(expected)


def test_in_a_worker_it_is_the_same(sample: Path, expected: list[Record]) -> None:
    assert comparable(read(sample, timeout=60)) == comparable(expected)


def test_tiny_values_are_cut_and_said(sample: Path, expected: list[Record]) -> None:
    records = read(sample, max_value_bytes=4)
    assert_contract(records, sample)
    assert records[-1]["status"] == "complete"
    assert [record["type"] for record in records] == [record["type"] for record in expected]


def test_format_may_be_said(sample: Path, expected: list[Record]) -> None:
    assert comparable(read(sample, format=expected[0]["format"])) == comparable(expected)


def test_an_unknown_format_is_wrong_usage(sample: Path) -> None:
    with pytest.raises(UsageError, match="no format 'jpeg'"):
        Stream(sample, StreamOptions(format="jpeg"))


@pytest.mark.parametrize("name", format_names())
def test_a_forced_format_ends_properly(sample: Path, name: str) -> None:
    records = read(sample, format=name)
    assert_contract(records, sample)
    assert records[0]["format"] == name


@pytest.mark.parametrize("suffix", [".dcm", ".fits", ".h5", ".nc", ".wav", ".mp4", ".bin", ".txt", ""])
def test_the_name_does_not_decide(sample: Path, expected: list[Record], suffix: str, tmp_path: Path) -> None:
    other = tmp_path / f"renamed{suffix}"
    os.symlink(sample, other)
    if expected[0]["format"] == "hdf5" and suffix == ".nc":
        # whoever calls an HDF5 file so means netCDF-4, which it is as well; in all else the bytes decide
        assert read(other)[0]["format"] == "netcdf"
        return
    assert comparable(read(other), "path") == comparable(expected, "path")


def test_after_an_interrupt_the_end_stands_and_nothing_is_left(sample: Path) -> None:
    records = Stream(sample).records()
    given = [next(records), next(records)]
    given.append(records.throw(KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        given += records
    assert_contract(given, sample)
    assert given[-1]["reason"] == "interrupted"
    assert given[-1]["status"] == "truncated"


def test_abandoned_it_leaves_nothing(sample: Path) -> None:
    # that nothing is left, the fixture `unchanged_world` sees
    records = Stream(sample).records()
    assert next(records)["type"] == "file"
    records.close()


def test_never_begun_it_leaves_nothing(sample: Path) -> None:
    assert Stream(sample).records() is not None
