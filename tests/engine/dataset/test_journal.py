"""The output as its own journal: what is there is not read again, and a killed run leaves nothing broken."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.engine.dataset.journal import Journal
from memx.engine.dataset.run import Run
from memx.engine.reading.documents import modified
from memx.errors import UsageError
from memx.records import Record, decode


@pytest.fixture
def archive(tmp_path: Path) -> list[str]:
    folder = tmp_path / "archive"
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}.bin").write_bytes(bytes([number]) * (number + 1))
    (folder / os.fsdecode(b"caf\xe9.bin")).write_bytes(b"latin")
    return sorted(str(path) for path in folder.iterdir())


def run(paths: list[str], out: Path) -> list[Record]:
    """Goes on with `out`; the records that were read now."""
    fresh = []
    with Journal(str(out)) as journal:
        with out.open("ab") as file:
            for line in Run(paths, journal=journal).lines():
                file.write(line)
                fresh.append(decode(line))
        journal.settle()
    return fresh


def told(out: Path) -> list[tuple[str, int, str]]:
    """What the file says: a path, the size, and the metadata, of each line."""
    records = [decode(line) for line in out.read_bytes().splitlines()]
    return sorted((record["path"], record["size"], str(record["metadata"])) for record in records)


def test_nothing_is_read_twice(archive: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    assert len(run(archive, out)) == len(archive)
    before = out.read_bytes()
    assert run(archive, out) == []
    assert out.read_bytes() == before


@given(share=st.floats(0, 1))
def test_a_run_killed_at_any_byte_comes_to_the_same(tmp_path_factory: pytest.TempPathFactory, share: float) -> None:
    tmp_path = tmp_path_factory.mktemp("killed")
    archive = []
    for number in range(5):
        path = tmp_path / f"{number}.bin"
        path.write_bytes(bytes([number]) * number)
        archive.append(str(path))
    out = tmp_path / "out.jsonl"
    run(archive, out)
    whole, undisturbed = out.read_bytes(), told(out)
    cut = round(share * len(whole))
    out.write_bytes(whole[:cut])
    fresh = run(archive, out)
    assert told(out) == undisturbed
    assert len(fresh) == len(archive) - whole[:cut].count(b"\n")


def test_what_has_changed_is_read_again_and_stands_once(archive: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run(archive, out)
    Path(archive[2]).write_bytes(b"longer than before")
    os.utime(archive[3], ns=(1, 1))
    assert [record["path"] for record in run(archive, out)] == archive[2:4]
    records = [decode(line) for line in out.read_bytes().splitlines()]
    assert sorted(record["path"] for record in records) == sorted(record["path"] for record in Run(archive).records())
    (changed,) = [record for record in records if record["path"] == archive[2]]
    assert (changed["size"], changed["mtime"]) == (18, modified(archive[2]))
    assert list(out.parent.glob(".out.jsonl.*")) == []


def test_a_missing_file_is_looked_for_again(archive: list[str], tmp_path: Path) -> None:
    out, later = tmp_path / "out.jsonl", tmp_path / "later.bin"
    assert [record["code"] for record in run([str(later)], out)] == ["not-found"]
    later.write_bytes(b"now")
    assert [record["status"] for record in run([str(later)], out)] == ["complete"]
    assert len(told(out)) == 1


def test_a_name_that_is_no_text_is_known_again(archive: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    (record,) = [record for record in run(archive, out) if "caf" in record["path"]]
    assert record["path_bytes"]["inline_binary"]
    assert run(archive, out) == []


def test_another_extractor_reads_all_again(archive: list[str], tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    run(archive, out)
    with Journal(str(out), "mine:f") as journal:
        assert not journal.has(archive[0], 1, modified(archive[0]))
    with Journal(str(out)) as journal:
        assert journal.has(archive[0], 1, modified(archive[0]))


@pytest.mark.parametrize("content", [b"my thesis", b"my thesis\n", b'{"type":"file"}\n', b"[]\n", b"\0" * 100 + b"\n"])
def test_what_is_no_output_of_memx_is_left_alone(content: bytes, tmp_path: Path) -> None:
    out = tmp_path / "thesis.txt"
    out.write_bytes(content)
    with pytest.raises(UsageError, match="no output of memx extract"):
        Journal(str(out))
    assert out.read_bytes() == content


def test_two_runs_do_not_write_to_one_file(tmp_path: Path) -> None:
    out = str(tmp_path / "out.jsonl")
    with Journal(out), pytest.raises(UsageError, match="another run"):
        Journal(out)


def test_where_nothing_can_be_written(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot open"):
        Journal(str(tmp_path / "nowhere" / "out.jsonl"))
