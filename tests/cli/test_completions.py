"""The completions, typed into the shells that they are for."""

import os
import pty
import re
import select
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from memx.cli import docgen

FOLDER = docgen.ROOT / "completions"
AT_ONCE = 0.15
"""Seconds within which an answer feels like none was waited for."""
_CONTROL = re.compile(r"\x1b(?:\[[0-9;?]*[a-zA-Z]|[=>]|\][^\x07]*\x07)|\x07")
_READY = "ready-to-go"
CASES = [
    ("memx ext", "ract"),
    ("memx stream --max-m", "emory"),
    ("memx stream -f n", "etcdf"),
    ("memx stream --format=n", "etcdf"),
    ("memx extract --strategy con", "servative"),
    ("memx stream --select el", "ement"),
    ("memx status --alert cr", "itical"),
    ("memx stream the", " file.dcm"),
    ("memx stream scan.dcm the", " file.dcm"),
    ("memx profile arch", "ive"),
    ("memx stream -o res", "ults.jsonl"),
    ("memx extract --files-from res", "ults.jsonl"),
]
STARTS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], f"source {FOLDER}/memx.bash"),
    "zsh": (["zsh", "-f", "-i"], f"fpath=({FOLDER} $fpath); autoload -Uz compinit; compinit -u -D"),
}


class Shell:
    """A shell at a terminal, in `folder`."""

    def __init__(self, name: str, folder: Path) -> None:
        command, setup = STARTS[name]
        self._master, slave = pty.openpty()
        environment = {"TERM": "xterm", "HOME": str(folder), "PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8"}
        self._process = subprocess.Popen(
            command, stdin=slave, stdout=slave, stderr=slave, cwd=folder, env=environment, start_new_session=True
        )
        os.close(slave)
        self.types(f"{setup}; bind 'set enable-bracketed-paste off' 2>/dev/null; echo {_READY[:5]}''{_READY[5:]}\n")
        self.waits_for(_READY)

    def types(self, text: str) -> None:
        os.write(self._master, text.encode())

    def waits_for(self, text: str) -> float:
        """The seconds until `text` is on the terminal."""
        shown, began = "", time.monotonic()
        while text not in _CONTROL.sub("", shown).replace("\\", ""):
            assert select.select([self._master], [], [], 20)[0], f"{text!r} does not come, but {shown!r}"
            shown += os.read(self._master, 1 << 16).decode("utf-8", "replace")
        return time.monotonic() - began

    def completes(self, line: str, rest: str) -> float:
        """Types `line` and Tab; the seconds until `rest` stands behind it."""
        self.types(line)
        self.waits_for(line.split()[-1])
        self.types("\t")
        passed = self.waits_for(rest)
        self.types("\x15\n")  # away with the line
        return passed

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._master)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("the file.dcm", "scan.dcm", "results.jsonl"):
        (tmp_path / name).touch()
    (tmp_path / "archive").mkdir()
    return tmp_path


@pytest.fixture(params=[pytest.param(name, marks=pytest.mark.oracle(name)) for name in STARTS])
def shell(request: pytest.FixtureRequest, folder: Path) -> Iterator[Shell]:
    shell = Shell(request.param, folder)
    yield shell
    shell.close()


@pytest.mark.slow
def test_what_is_typed_is_completed_at_once(shell: Shell) -> None:
    shell.completes(*CASES[0])  # the first time, zsh loads what it completes with
    for line, rest in CASES:
        # the machine may be busy
        assert min(shell.completes(line, rest) for _ in range(3)) < AT_ONCE, line


@pytest.mark.oracle("fish")
@pytest.mark.parametrize(("line", "rest"), CASES)
def test_fish(line: str, rest: str, folder: Path) -> None:
    script = f"source {FOLDER}/memx.fish; complete -C '{line}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
        timeout=20,
        env=os.environ | {"HOME": str(folder)},
    )
    word = re.split(r"[ =]", line)[-1]
    offered = [one.split("\t")[0].rpartition("=")[2].rstrip("/") for one in done.stdout.splitlines()]
    assert word + rest in offered
    assert done.stderr == ""


@pytest.mark.oracle("fish")
def test_fish_offers_no_files_where_none_are_taken(folder: Path) -> None:
    for line in ("memx status ", "memx status --count ", "memx stream -f "):
        script = f"source {FOLDER}/memx.fish; complete -C '{line}'"
        done = subprocess.run(
            ["fish", "--no-config", "-c", script], cwd=folder, capture_output=True, text=True, check=True, timeout=20
        )
        assert "scan.dcm" not in done.stdout


def test_each_shell_is_here() -> None:
    assert {path.name for path in FOLDER.iterdir()} == {"memx.bash", "_memx", "memx.fish"}
    assert shutil.which("bash") is not None
