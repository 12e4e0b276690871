"""The pages and completions are those of the commands, and shells can use them."""

import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from memx.cli import docgen


def test_what_is_committed_is_what_the_commands_say() -> None:
    assert [str(path) for path, text in docgen.files() if (docgen.ROOT / path).read_text() != text] == []


def test_check_finds_what_is_stale(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(docgen, "ROOT", tmp_path)
    assert docgen.main(["--check"]) == 1
    assert list(tmp_path.iterdir()) == []
    assert docgen.main([]) == 0
    assert docgen.main(["--check"]) == 0
    (tmp_path / "man" / "memx-stream.1").write_text("old")
    (tmp_path / "man" / "memx-gone.1").write_text("of a command that is no more")
    capsys.readouterr()
    assert docgen.main(["--check"]) == 1
    assert capsys.readouterr().out.splitlines() == [
        "man/memx-stream.1 is stale: run make docs",
        "man/memx-gone.1 is stale: run make docs",
    ]
    assert docgen.main([]) == 0
    assert sorted(path.name for path in (tmp_path / "man").iterdir()) == [
        "memx-extract.1",
        "memx-gc-tune.1",
        "memx-profile.1",
        "memx-status.1",
        "memx-stream.1",
        "memx.1",
    ]


def test_every_option_is_in_every_file() -> None:
    texts = {path.name: text for path, text in docgen.files()}
    stream = next(command for command in docgen.commands() if command.name == "stream")
    names = [name for flag in stream.flags for name in flag.names if name.startswith("--")]
    assert len(names) >= 17
    for name in names:
        assert name.replace("-", "\\-") in texts["memx-stream.1"]
        assert name in texts["memx.bash"]
        assert name in texts["_memx"]
        assert f"-l {name[2:]}" in texts["memx.fish"]


ROOM = 64
"""Cells of a line below an option, in a page of 80 columns."""


def test_every_option_has_an_example_that_can_be_pasted() -> None:
    for command in docgen.commands():
        assert command.examples
        assert [line for line in command.examples if len(line) > ROOM] == []
        without = [flag.names for flag in command.flags if not command.example(flag)]
        assert [names for names in without if not {"--help", "--version"} & {*names}] == []


def test_what_has_a_value_says_what_it_is_without_it() -> None:
    """But where nothing is left out without it."""
    evident = {"--files-from", "--select", "--include", "--exclude", "--extractor", "--summary", "--html", "--baseline"}
    evident |= {"--assert-peak", "--trace", "--count", "--alert", "--alert-command"}
    for command in docgen.commands():
        silent = {flag.names[-1] for flag in command.flags if flag.value and "(default: " not in flag.help}
        assert silent <= evident, command.name


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        (["memx", "st"], ["stream", "status"]),
        (["memx", "--v"], ["--version"]),
        (["memx", "stream", "--max"], ["--max-memory", "--max-value-bytes"]),
        (["memx", "stream", "-f", "n"], ["netcdf"]),
        (["memx", "stream", "--strategy", ""], ["aggressive", "balanced", "conservative"]),
        (["memx", "stream", "--select", "ch"], ["chapter", "chunk"]),
        (["memx", "stream", "--limit", ""], []),
    ],
)
def test_bash_completes(words: list[str], offered: list[str]) -> None:
    script = (
        f"source {docgen.ROOT}/completions/memx.bash; COMP_WORDS=({' '.join(repr(word) for word in words)}); "
        f'COMP_CWORD={len(words) - 1}; _memx; printf "%s\\n" "${{COMPREPLY[@]}}"'
    )
    done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=20)
    assert done.stdout.split() == offered


@pytest.mark.oracle("groff")
def test_the_pages_are_good_roff() -> None:
    for path, text in docgen.files():
        if path.suffix == ".1":
            done = subprocess.run(
                ["groff", "-man", "-Tutf8", "-ww", "-z"],
                input=text,
                capture_output=True,
                text=True,
                timeout=20,
                check=True,
            )
            assert done.stderr == ""


def test_each_page_is_built_into_its_section(tmp_path: Path) -> None:
    build = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(tmp_path)]
    subprocess.run(build, cwd=docgen.ROOT, check=True, capture_output=True, timeout=60)
    (wheel,) = tmp_path.glob("*.whl")
    names = [name.partition("data/share/")[2] for name in sorted(zipfile.ZipFile(wheel).namelist(), key=len)]
    placed = {name for name in names if name.startswith("man/")}
    pages = {f"man/man1/{path.name}" for path, _ in docgen.files() if path.suffix == ".1"}
    assert placed == pages | {"man/man7/memx-guide.7"}
    assert len([name for name in names if name and not name.startswith("man/")]) == 3  # the completions


def test_the_types_of_records_are_those_of_the_formats() -> None:
    wanted = (
        "element card hdu group dataset datatype link dimension variable type stream chapter packet frame chunk digest"
    )
    assert docgen.record_types() == tuple(wanted.split())


@pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")
def test_bash_completes_at_once() -> None:
    script = (
        f"source {docgen.ROOT}/completions/memx.bash; COMP_WORDS=(memx stream --select c); COMP_CWORD=3; "
        'before=${EPOCHREALTIME/[.,]/}; _memx; echo $((${EPOCHREALTIME/[.,]/} - before)) "${COMPREPLY[@]}"'
    )
    took = []
    for _ in range(3):  # the machine may be busy
        done = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True, timeout=20)
        microseconds, *offered = done.stdout.split()
        assert offered == ["card", "chapter", "chunk"]
        took.append(int(microseconds))
    assert min(took) < 150_000
