"""The README says what is so: its commands are run, its Python is run, its targets are made."""

import re
import shutil
from pathlib import Path

import pydicom
import pytest

from tests.cli.command import memx
from tests.samples import fits

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
METRICS = re.compile(r'"metrics":\{.*\}|"strategy":"\w+","chunk_size":\d+')


@pytest.fixture
def files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the README's examples are typed."""
    assert pydicom.__file__ is not None
    scan = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"
    for name in ("CT_small.dcm", "scan.dcm"):
        shutil.copy(scan, tmp_path / name)
    shutil.copy(fits.build(tmp_path), tmp_path / "cube.fits")
    fits.build_giant(tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "100")
    return tmp_path


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.MULTILINE | re.DOTALL)


def test_it_opens_with_the_two_commands() -> None:
    first = [line.split("  ")[0].strip() for line in blocks("")[0].splitlines()]
    assert first == ["make demo", "make test"]
    assert README.index("make demo") < 20


def test_its_targets_exist() -> None:
    named = set(re.findall(r"\bmake ([a-z-]+)\b(?= {2}|`)", README))
    there = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))
    assert {"demo", "test", "check", "docs", "install"} <= named <= there


def test_its_commands_say_what_it_shows(files: Path) -> None:
    shown = [block for block in blocks("console") if any(line[:2] != "$ " for line in block.splitlines())]
    assert len(shown) == 3
    for block in shown:
        command, *lines = block.splitlines()
        words = [word.strip("'") for word in command.removeprefix("$ memx ").split(" | ")[0].split()]
        table = ["--table"] if "--select" in words else []
        done = memx(*words, *table)
        assert (done.returncode, done.stderr) == (0, b"")
        said = {METRICS.sub("", line) for line in done.stdout.decode().splitlines()}
        for line in lines:
            if line != "..." and not line.startswith("complete"):
                assert METRICS.sub("", re.sub(r"direct · \w+$", "", line)) in {
                    re.sub(r"direct · \w+$", "", text) for text in said
                }


def test_its_python_runs(files: Path) -> None:
    (block,) = blocks("python")
    names: dict[str, object] = {}
    exec(compile(block, "README.md", "exec"), names)
    assert isinstance(names["shapes"], list)
    assert len(names["shapes"]) > 1
