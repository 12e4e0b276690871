"""The fuzzing harness finds what it is there to find; atheris itself is not needed for that."""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from memx.errors import CorruptFile
from memx.formats import FORMATS, Format
from tests.fuzz import __main__ as fuzz
from tests.fuzz import seeds

READERS = [row for row in FORMATS if row.library is None and row.key != "binary"]  # which has no structure


@pytest.fixture(autouse=True)
def alarm() -> Iterator[None]:
    before = signal.signal(signal.SIGVTALRM, fuzz._hang)
    yield
    signal.signal(signal.SIGVTALRM, before)


@pytest.mark.slow
@pytest.mark.parametrize("row", READERS, ids=lambda row: row.key)
def test_every_reader_has_seeds_that_it_reads(row: Format, tmp_path: Path) -> None:
    making, sown = tmp_path / "making", tmp_path / "sown"
    making.mkdir()
    sown.mkdir()
    assert seeds.write_seeds(row, sown, making, None)
    for path in sown.iterdir():
        fuzz.read(row, path.read_bytes())


def test_what_memx_says_of_a_file_is_no_finding_and_all_else_is(monkeypatch: pytest.MonkeyPatch) -> None:
    for error, found in ((CorruptFile("broken"), False), (IndexError("a defect"), True), (RecursionError(), True)):

        def raises(_row: Format, _data: bytes, error: Exception = error) -> None:
            raise error

        monkeypatch.setattr(fuzz, "drain", raises)
        if found:
            with pytest.raises(type(error)):
                fuzz.read(READERS[0], b"")
        else:
            fuzz.read(READERS[0], b"")


def test_a_loop_without_end_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    def loops(_row: Format, _data: bytes) -> None:
        while True:
            pass

    monkeypatch.setattr(fuzz, "drain", loops)
    monkeypatch.setattr(fuzz, "SECONDS", 0.05)
    with pytest.raises(fuzz.Hang):
        fuzz.read(READERS[0], b"")


def test_memory_without_bounds_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fuzz, "drain", lambda _row, data: bytes(fuzz.MEMORY + (32 << 20)).replace(b"\0", b"\1", 1))
    with pytest.raises(fuzz.Growth):
        fuzz.read(READERS[0], b"")


def test_the_words_of_a_module_are_escaped_for_libfuzzer(tmp_path: Path) -> None:
    from memx.formats.video.isobmff import film

    seeds.write_words([film], tmp_path / "words")
    assert '"\\x6d\\x6f\\x6f\\x66"' in (tmp_path / "words").read_text().splitlines()
