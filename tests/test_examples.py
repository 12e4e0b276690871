"""Every example of the README, the guide and the help is typed, in a folder where the files that it names are.

Where a tool is missing the test says so: skipped by name here, failed in CI (`oracle`). A shim stands for what no
test may do: see `tests.desk`. No block is left out: one that is of no known kind fails.
"""

import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from memx.cli import docgen
from tests.desk import ROOT, lay, typed

GUIDE = ROOT / "man" / "memx-guide.7"
TOOLS = ("jq", "find", "head", "tail")
KINDS = ("shell", "python", "toml", "make", "dockerfile", "file")
_ROFF = {r"\e": "\\", r"\-": "-", r"\(aq": "'", r"\(ga": "`", r"\(ha": "^", r"\(ti": "~", r"\&": ""}


@dataclass(frozen=True)
class Block:
    """One example, as it is to be run."""

    where: str
    kind: str
    """One of `KINDS`."""
    argument: str
    """Of a shell: the exit status that its last command shall have; of a file: its name."""
    text: str

    @property
    def commands(self) -> list[str]:
        """What is typed after `$`, and after `>` where a command goes on."""
        found: list[str] = []
        for line in self.text.splitlines():
            if line.startswith("$ "):
                found.append(line[2:])
            elif line.startswith("> "):
                found[-1] += "\n" + line[2:]
        return found


def of_readme() -> list[Block]:
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    kinds = {"console": "shell", "python": "python", "": "make"}
    found = re.finditer(r"^```(\w*)\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    return [Block(f"README.md: {number}", kinds[one[1]], "", one[2]) for number, one in enumerate(found)]


def of_guide() -> list[Block]:
    """The displays of the guide: the comment before each says what it is."""
    text = GUIDE.read_text(encoding="utf-8")
    found = re.findall(r'^\.\\" (\w+) ?(\S*)\n\.Bd -literal[^\n]*\n(.*?)^\.Ed', text, re.MULTILINE | re.DOTALL)
    assert len(found) == text.count("\n.Bd "), "a display of the guide is not named by a comment"
    return [Block(f"guide: {number}", kind, rest, unroffed(body)) for number, (kind, rest, body) in enumerate(found)]


def unroffed(text: str) -> str:
    """What roff prints for `text`."""
    assert re.search(r"(?<!\\)[-'`^~]", text) is None, f"a page would print another character than is typed: {text}"
    return re.sub(r"\\(?:\(..|.)", lambda escape: _ROFF[escape[0]], text)


def of_help() -> Iterator[Block]:
    for command in docgen.commands():
        _, _, examples = command.epilog.partition("Examples:\n")
        for line in examples.splitlines():
            if line.strip():
                yield Block(f"memx {command.name} --help: {line.strip()}", "shell", "", f"$ {line.strip()}")


def type_all(blocks: list[Block], folder: Path) -> None:
    """Types and runs `blocks`, one after the other."""
    for block in blocks:
        assert block.kind in KINDS, block
        if block.kind == "shell":
            assert block.commands, block
            for at, command in enumerate(block.commands):
                done = typed(command, folder)
                wanted = {130} if done.interrupted else {0}
                if at == len(block.commands) - 1 and block.argument:
                    wanted = {int(block.argument)}
                elif "--baseline" in command:
                    wanted = {0, 3}  # a busy machine may be slower now than it was
                assert done.returncode in wanted, (block.where, done)
                assert "Traceback" not in done.err, (block.where, done)
        elif block.kind == "python":
            code = [sys.executable, "-c", block.text]
            python = subprocess.run(code, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
            assert (python.returncode, python.stderr) == (0, ""), (block.where, python)
        elif block.kind == "toml":
            tomllib.loads(block.text)
        elif block.kind == "make":
            run_targets(block)
        elif block.kind == "dockerfile":
            build_image(block, folder / "image")
        elif block.kind == "file":
            (folder / block.argument).write_text(block.text, encoding="utf-8")


def run_targets(block: Block) -> None:
    """Has `make` say what it would do for each target; the tests, the benchmarks and the demo are run elsewhere."""
    for line in block.text.splitlines():
        words = line.partition("#")[0].split()
        assert words[:1] == ["make"], block
        done = subprocess.run(["make", "-n", *words[1:]], cwd=ROOT, capture_output=True, timeout=60, check=False)
        assert done.returncode == 0, (block.where, line, done)


def build_image(block: Block, folder: Path) -> None:
    """Takes the steps of a Dockerfile, but here: without an image to begin with, and without the network."""
    steps = [line.partition(" ") for line in block.text.splitlines()]
    assert [name for name, _, _ in steps] == ["FROM", "COPY", "RUN"], block
    image, copied, run = (argument for _, _, argument in steps)
    least = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["requires-python"]
    python = re.fullmatch(r"python:3\.(\d+)-slim", image)
    assert python is not None
    assert int(python[1]) >= int(least.removeprefix(">=3."))
    shutil.copytree(ROOT, folder / "src", ignore=shutil.ignore_patterns(".*", "tests", "build"))
    assert copied == ". /src"
    here = f"--no-deps --no-index --no-build-isolation --target {folder / 'site'}"
    command = run.replace("pip install", f"{sys.executable} -m pip install {here}").replace("/src", str(folder / "src"))
    subprocess.run(command, shell=True, check=True, capture_output=True, timeout=100)
    version = [sys.executable, "-m", "memx", "--version"]
    done = subprocess.run(version, cwd=folder / "site", check=True, capture_output=True, timeout=60)
    assert done.stdout.startswith(b"memx ")


@pytest.fixture
def desk(tmp_path: Path) -> Path:
    return lay(tmp_path)


@pytest.mark.slow
@pytest.mark.oracle(*TOOLS)
def test_the_readme(desk: Path) -> None:
    blocks = of_readme()
    assert {"shell", "python"} <= {block.kind for block in blocks}
    type_all(blocks, desk)


@pytest.mark.slow
@pytest.mark.oracle(*TOOLS)
def test_the_guide(desk: Path) -> None:
    pytest.importorskip("duckdb", reason="duckdb is missing: it is one of memx's [dev]")
    blocks = of_guide()
    assert len(blocks) > 30
    type_all(blocks, desk)


@pytest.mark.slow
@pytest.mark.oracle(*TOOLS)
@pytest.mark.parametrize("name", [command.name for command in docgen.commands()[1:]])
def test_the_help(desk: Path, name: str) -> None:
    blocks = [block for block in of_help() if block.where.startswith(f"memx {name} --help")]
    assert len(blocks) >= 4
    type_all(blocks, desk)


def test_the_web_route_of_the_guide_answers(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = [block for block in of_guide() if "def application" in block.text]
    names: dict[str, Any] = {}
    exec(compile(block.text, block.where, "exec"), names)
    said: list[Any] = []
    (body,) = names["application"]({}, lambda *answer: said.append(answer))
    names["memx"].cleanup_memory_agent()
    assert said[0][0] in ("200 OK", "503 Service Unavailable")
    assert json.loads(body)["available_mb"] > 0


def test_the_configuration_of_the_guide_is_read(desk: Path) -> None:
    (block,) = [block for block in of_guide() if block.argument == "memx.toml"]
    (desk / "memx.toml").write_text(block.text, encoding="utf-8")
    read = json.loads(typed("MEMX_CONFIG=memx.toml memx status --json", desk).out)["configuration"]
    assert read["options"] == {"max_memory": "2G", "timeout": "120", "strategy": "balanced"}
    assert set(read["collector"]) == {"dicom", "mylab:summary"}


def test_every_variable_is_in_the_guide() -> None:
    variables = {flag.variable for command in docgen.commands() for flag in command.flags if flag.variable}
    text = GUIDE.read_text(encoding="utf-8")
    assert [name for name in sorted(variables) if f"Ev {name}" not in text] == []


def test_every_command_of_memx_in_the_guide_has_known_options() -> None:
    known = {command.name: {name for flag in command.flags for name in flag.names} for command in docgen.commands()}
    text = unlinked(GUIDE.read_text(encoding="utf-8"))
    named = set(re.findall(r"(?m)^\.Fl -?(\S+)", text))
    every = {name.lstrip("-") for names in known.values() for name in names}
    assert named - every == set()


def unlinked(text: str) -> str:
    return re.sub(r"(?m)^\.Fl (\S+) [;,.].*$", r".Fl \1", text)


@pytest.mark.oracle("mandoc")
def test_the_pages_pass_mandocs_lint() -> None:
    pages = sorted((ROOT / "man").iterdir())
    assert len(pages) >= 7
    done = subprocess.run(
        ["mandoc", "-Tlint", *map(str, pages)], capture_output=True, text=True, timeout=30, check=False
    )
    # pages that are not installed are not found
    wrong = [line for line in done.stdout.splitlines() if "referenced manual not found" not in line]
    assert wrong == []


@pytest.mark.oracle("mandoc")
def test_the_guide_reads_well_at_80_columns() -> None:
    done = subprocess.run(
        ["mandoc", "-Tutf8", "-Owidth=78", str(GUIDE)], capture_output=True, text=True, timeout=30, check=True
    )
    lines = re.sub(r".\x08", "", done.stdout).splitlines()
    assert [line for line in lines if len(line) > 80] == []
    shown = "\n".join(line.strip() for line in lines)
    missing = [line for block in of_guide() for line in block.text.splitlines() if line.strip() not in shown]
    assert missing == []
