"""A plain `memx stream FILE...` goes past typer, and says the same."""

import os
import re
import sys
from pathlib import Path

import pytest

from memx.cli import plain
from memx.cli.configuration import location
from tests.cli.command import memx
from tests.samples import dicom, fits
from tests.test_architecture import loaded_after

METRICS = re.compile(rb'"metrics":\{[^}]*\}|"chunk_size":\d+')


@pytest.fixture
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """An environment in which nothing is set; the folder of the user's configuration."""
    for name in [name for name in os.environ if name.startswith("MEMX_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    return tmp_path


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere typer is always asked")
def test_only_what_is_plain(bare: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert plain.sources(["stream", "a", "b c"]) == ["a", "b c"]
    for argv in ([], ["stream"], ["extract", "a"], ["stream", "-"], ["stream", "a", "--json"], ["stream", "--", "a"]):
        assert plain.sources(argv) is None
    monkeypatch.setenv("MEMX_TIMEOUT", "3")
    assert plain.sources(["stream", "a"]) is None
    monkeypatch.delenv("MEMX_TIMEOUT")
    file = location()
    assert file == bare / "memx" / "config.toml"
    file.parent.mkdir()
    file.touch()
    assert plain.sources(["stream", "a"]) is None


def test_it_says_the_same(bare: Path) -> None:
    paths = [dicom.build(bare), fits.build(bare), bare / "missing"]
    one, other = memx("stream", *paths), memx("stream", "--json", *paths)
    assert one.returncode == other.returncode == 1
    assert METRICS.sub(b"", one.stdout) == METRICS.sub(b"", other.stdout)
    assert one.stdout.count(b"\n") > 50
    assert one.stderr == other.stderr


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere typer is always asked")
def test_it_does_not_load_typer(bare: Path) -> None:
    path = bare / "small.bin"
    path.write_bytes(bytes(1000))
    code = f"from memx.cli import main; main(['stream', {str(path)!r}])"
    assert not loaded_after(code) & {"typer", "rich", "numpy"}
