"""Which files are found: the same ones in the same order, and never without end."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from memx.engine.dataset import discovery
from memx.engine.dataset.discovery import discover, identity, listed
from memx.errors import UsageError


def touch(folder: Path, *names: str) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def found(*paths: object, **options: object) -> list[str]:
    return list(discover(map(str, paths), **options))  # type: ignore[arg-type]


def below(folder: Path, **options: object) -> list[str]:
    return [os.path.relpath(path, folder) for path in found(folder, **options)]


def test_folders_are_walked_by_name(tmp_path: Path) -> None:
    touch(tmp_path, "b/2", "b/1", "a", "c", "B", "b/10/x", "é")
    assert below(tmp_path) == ["B", "a", "b/1", "b/10/x", "b/2", "c", "é"]


def test_what_is_given_is_kept_as_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, ".hidden/file", "x/y")
    monkeypatch.chdir(tmp_path)
    assert found("-", "missing", ".hidden/file", ".hidden", "x", "./x/", ".") == [
        *("-", "missing", ".hidden/file", ".hidden/file"),
        *("x/y", "./x/y", "./x/y"),
    ]


def test_hidden_files_and_folders_are_left_out(tmp_path: Path) -> None:
    touch(tmp_path, ".git/config", ".hidden", "seen/.also", "seen/one")
    assert below(tmp_path) == ["seen/one"]


def test_an_empty_folder_has_nothing(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert below(tmp_path) == []


def test_links_to_folders_are_not_followed_and_loops_end(tmp_path: Path) -> None:
    touch(tmp_path, "real/file")
    (tmp_path / "real" / "loop").symlink_to(tmp_path)
    (tmp_path / "itself").symlink_to("itself")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "alias").symlink_to("real/file")
    (tmp_path / "nowhere").symlink_to("missing")
    assert below(tmp_path) == ["alias", "itself", "nowhere", "real/file"]
    assert below(tmp_path / "folder") == ["file"]


def test_what_is_no_file_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "file")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to_pipe").symlink_to("pipe")
    (tmp_path / "null").symlink_to("/dev/null")
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket")
        assert below(tmp_path) == ["file"]
    assert found(tmp_path / "pipe") == [str(tmp_path / "pipe")]


def test_the_output_is_left_out_below_folders(tmp_path: Path) -> None:
    touch(tmp_path, "a", "out.jsonl")
    (tmp_path / "hard").hardlink_to(tmp_path / "out.jsonl")
    assert below(tmp_path, without=identity(str(tmp_path / "out.jsonl"))) == ["a"]
    with open(tmp_path / "out.jsonl") as file:
        assert identity(file.fileno()) == identity(str(tmp_path / "out.jsonl"))
    assert identity(str(tmp_path)) is None
    assert identity(str(tmp_path / "missing")) is None


def test_a_folder_of_many_is_read_in_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(discovery, "AT_ONCE", 7)
    names = [f"{number:03}" for number in range(50)]
    touch(tmp_path, *names, "020x/inside")
    assert below(tmp_path) == sorted([*names, "020x/inside"])


def test_names_that_are_no_text_survive(tmp_path: Path) -> None:
    name = os.fsdecode(b"latin-\xe9")
    touch(tmp_path, name, "latin-a", "latin-z")
    assert below(tmp_path) == ["latin-a", "latin-z", name]


def test_a_folder_that_cannot_be_listed_is_given_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    touch(tmp_path, "a", "closed/x", "z")
    real = os.scandir

    def scandir(path: str) -> Iterator[object]:
        if str(path).endswith("closed"):
            raise PermissionError(13, "Permission denied")
        return real(path)  # type: ignore[return-value]

    monkeypatch.setattr(os, "scandir", scandir)
    assert below(tmp_path) == ["a", "closed", "z"]


def test_depth_has_no_bound_but_the_systems(tmp_path: Path) -> None:
    deep = tmp_path
    for _ in range(300):
        deep /= "d"
    deep.mkdir(parents=True)
    touch(deep, "file")
    assert below(tmp_path) == ["d/" * 300 + "file"]


def test_nothing_is_walked_before_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "scandir", None)
    paths = discover(["first", str(tmp_path)])
    assert next(paths) == "first"


@pytest.mark.parametrize(
    ("data", "null", "expected"),
    [
        (b"a\nb c\n\nd", False, ["a", "b c", "d"]),
        (b"a\r\n", False, ["a\r"]),
        (b"a\nb\0c\0", True, ["a\nb", "c"]),
        (b"-\n./-\n", False, ["./-", "./-"]),
        (b"\xe9\n", False, [os.fsdecode(b"\xe9")]),
        (b"", False, []),
        (b"x" * 5000 + b"\n" + b"y" * 70_000 + b"\n", False, ["x" * 5000, "y" * 70_000]),
    ],
    ids=lambda value: str(value)[:20],
)
def test_lists(data: bytes, null: bool, expected: list[str], tmp_path: Path) -> None:
    file = tmp_path / "list"
    file.write_bytes(data)
    assert list(listed(str(file), null=null)) == expected


def test_a_list_that_is_none(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot be read: no such file"):
        listed(str(tmp_path / "missing"))
    with pytest.raises(UsageError, match="is a directory"):
        list(listed(str(tmp_path)))
    file = tmp_path / "binary"
    file.write_bytes(bytes(1 << 20))
    with pytest.raises(UsageError, match="is it a list"):
        list(listed(str(file)))


@pytest.mark.slow
def test_a_folder_of_two_hundred_thousand_is_walked_in_bounded_memory(tmp_path: Path) -> None:
    import tracemalloc

    for number in range(200_000):
        os.close(os.open(tmp_path / f"{number:06}", os.O_CREAT))
    tracemalloc.start()
    try:
        count = sum(1 for _ in discover([str(tmp_path)]))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert count == 200_000
    assert peak < 24 << 20
