"""The configuration file and the variables: who goes before whom, and what is said of what is wrong."""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.cli import main
from memx.cli.configuration import line_of, location, write_collector
from memx.cli.output import OutputOptions
from memx.engine.collector.setting import OWN_CHOICE, CollectorSetting
from memx.engine.memory.strategy import ExtractionStrategy
from memx.engine.options import StreamOptions
from memx.engine.reading.streaming import Stream
from memx.errors import UsageError
from memx.records import decode
from tests.cli.command import memx


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The configuration file; it is not there yet."""
    path = tmp_path / "config.toml"
    monkeypatch.setenv("MEMX_CONFIG", str(path))
    return path


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[tuple[StreamOptions, OutputOptions]]:
    """The options with which `memx stream` reads and writes, instead of doing so."""
    calls: list[tuple[StreamOptions, OutputOptions]] = []

    def emit(streams: Iterable[Stream], options: OutputOptions) -> bool:
        calls.append((next(iter(streams)).options, options))
        return True

    monkeypatch.setattr("memx.cli.output.emit", emit)
    return calls


def test_options_beat_variables_beat_the_file(
    file: Path, seen: list[tuple[StreamOptions, OutputOptions]], monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text('max_memory = "2G"\ntimeout = 30\nstrategy = "conservative"\nchunk_size = 4096\nno_color = true\n')
    assert main(["stream", "x"]) == 0
    monkeypatch.setenv("MEMX_TIMEOUT", "20")
    monkeypatch.setenv("MEMX_STRATEGY", "balanced")
    monkeypatch.setenv("MEMX_CHUNK_SIZE", "")  # as if it were not set
    assert main(["stream", "--timeout", "10", "x"]) == 0
    options, output = seen[0]
    assert (options.max_memory, options.timeout, options.chunk_size) == (2 << 30, 30.0, 4096)
    assert options.strategy is ExtractionStrategy.CONSERVATIVE
    assert output.color is False
    options, _ = seen[1]
    assert (options.timeout, options.strategy, options.chunk_size) == (10.0, ExtractionStrategy.BALANCED, 4096)


WRONG = [
    ('# mine\n\nmax_memry = "2G"\n', 3, "there is no key 'max_memry': did you mean max_memory?"),
    ("colector = 3\n", 1, "there is no key 'colector': did you mean collector?"),
    ("timeout = 3\nmax_memory = [1]\n", 2, "max_memory is one value: SIZE"),
    ("timeout = true\n", 1, "timeout is one value: SECONDS"),
    ('timeout = """\nsoon"""\n', 1, "timeout: 'soon' is no time: write seconds, like 30 or 0.5"),
    ("x = [\n1,\n2]\n", 1, "there is no key 'x'"),
    ('max_memory = "much"\n', 1, "'much' is no size"),
    ("max_value_bytes = -1\n", 1, "'-1' is no size"),
    ('strategy = "bold"\n', 1, "'bold' is not one of 'aggressive', 'balanced', 'conservative'"),
    ('no_color = "yes"\n', 1, "no_color is true or false"),
    ("collector = 3\n", 1, "collector is a table of tables: write [collector.FORMAT]"),
    ("[collector]\ndicom = 3\n", 2, "collector.dicom is a table: write [collector.dicom]"),
    ("\n[collector.dicon]\n", 2, "'dicon' is no format and no extractor: did you mean dicom?"),
    ("[collector.dicom]\n# so\nthreshold = 3\n", 3, "there is no key 'threshold': did you mean threshold0?"),
    ("[collector.fits]\nfreeze = 1\n", 2, "freeze is true or false"),
    ("collector.fits.threshold0 = 0\n", 1, "threshold0 is a whole number from 1 to 2147483647"),
    ("[collector.fits]\nthreshold0 = true\n", 2, "threshold0 is a whole number"),
    ('[collector.fits]\n\nstrategy = "agressive"\n', 3, "did you mean aggressive?"),
    ("timeout = 3\n[collector.fits]\ndisabled = true\nthreshold0 = 9\n", 2, "has no thresholds"),
    ("timeout = 3\nmax_memory =\n", 2, "this is no TOML"),
    ("[collector\n", 1, "this is no TOML"),
    ("timeout = 3\ntimeout = 4\n", 2, "this is no TOML"),
]


@pytest.mark.parametrize(("text", "line", "said"), WRONG)
def test_what_is_wrong_is_named_with_its_line(
    text: str, line: int, said: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for end in ("\n", "\r\n"):
        file.write_text(text, newline=end)
        assert main(["stream", "x"]) == 2
        out, err = capsys.readouterr()
        assert (out, err.count("\n")) == ("", 1)
        assert err.startswith(f"memx: {file}, line {line}")
        assert said in err


def test_a_file_that_is_no_text(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_bytes(b"timeout = 3\n# \xff\n")
    assert main(["stream", "x"]) == 2
    assert f"{file}, line 2: this is no UTF-8" in capsys.readouterr().err
    file.write_bytes(b"#" * 100_000)
    assert main(["stream", "x"]) == 2
    assert "is it a configuration file?" in capsys.readouterr().err
    file.write_text("x = " + "[" * 30_000)
    assert main(["stream", "x"]) == 2
    assert "nests deeper" in capsys.readouterr().err


def test_a_file_that_is_named_must_be_there(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", "x"]) == 2
    assert f"{file} cannot be read: No such file" in capsys.readouterr().err
    file.mkdir()
    assert main(["stream", "x"]) == 2
    assert f"{file} cannot be read: Is a directory" in capsys.readouterr().err


def test_the_users_own_file_need_not_be_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    environment = {name: text for name, text in os.environ.items() if name != "MEMX_CONFIG"}
    source = tmp_path / "x.bin"
    source.write_bytes(b"abc")
    for home in (tmp_path, source):  # a home that is no folder is as good as none
        done = memx("stream", source, env=environment | {"XDG_CONFIG_HOME": str(home)})
        assert (done.returncode, done.stderr) == (0, b"")
    (tmp_path / "memx").mkdir()
    (tmp_path / "memx" / "config.toml").write_text('strategy = "conservative"')
    done = memx("stream", source, env=environment | {"XDG_CONFIG_HOME": str(tmp_path)})
    assert decode(done.stdout.splitlines()[0])["strategy"] == "conservative"
    done = memx("stream", source, env=environment | {"XDG_CONFIG_HOME": str(tmp_path), "MEMX_CONFIG": ""})
    assert decode(done.stdout.splitlines()[0])["strategy"] == "aggressive"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read all")
def test_a_file_that_may_not_be_read_is_named(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("timeout = 3\n")
    file.chmod(0)
    assert main(["stream", "x"]) == 2
    assert "Permission denied" in capsys.readouterr().err


def test_help_and_version_need_no_configuration(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text("broken")
    for arguments in (["--help"], ["stream", "--help"], ["gc-tune", "-h"], ["stream", "--schema"], ["--version", "x"]):
        assert main(arguments) == 0
        assert capsys.readouterr().err == ""
    assert main(["status"]) == 2


def test_a_variable_that_is_a_slip_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MEMX_STRATGY", "bold")
    assert main(["stream", "x"]) == 2
    assert capsys.readouterr().err == "memx: there is no variable MEMX_STRATGY: did you mean MEMX_STRATEGY?\n"


def test_a_bad_variable_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("MEMX_TIMEOUT", "soon")
    assert main(["stream", "x"]) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "MEMX_TIMEOUT" in err
    assert "'soon' is no time" in err


@pytest.mark.parametrize("name", ["CORPUS", "REQUIRE_ORACLES", "DEBUG", "LEVEL", "BEFORE", "HOME", "BIN", "TEST_DIR"])
def test_variables_of_others_are_left_alone(
    name: str, seen: list[tuple[StreamOptions, OutputOptions]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(f"MEMX_{name}", "1")
    assert main(["stream", "x"]) == 0
    assert seen == [(StreamOptions(two_processes=True), OutputOptions(sources=["x"]))]


def test_status_says_what_was_read(
    file: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file.write_text("timeout = 3\n[collector.dicom]\nthreshold0 = 20000\n")
    monkeypatch.setenv("MEMX_MAX_MEMORY", "1G")
    assert main(["status", "--json"]) == 0
    assert decode(capfd.readouterr().out.encode())["configuration"] == {
        "file": str(file),
        "options": {"timeout": "3"},
        "variables": {"MEMX_MAX_MEMORY": "1G"},
        "collector": {"dicom": {"threshold0": 20000}},
    }
    assert main(["status", "--table"]) == 0
    assert "config.toml" in capfd.readouterr().out.replace("\n", "").replace(" ", "")
    monkeypatch.setenv("MEMX_CONFIG", "")
    assert main(["status", "--json"]) == 0
    assert decode(capfd.readouterr().out.encode())["configuration"]["file"] is None


def test_where_the_file_is(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("MEMX_CONFIG", "")
    assert location() is None
    monkeypatch.setenv("MEMX_CONFIG", "a.toml")
    assert location() == Path("a.toml")
    monkeypatch.delenv("MEMX_CONFIG")
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert location() == tmp_path / "memx" / "config.toml"


def test_no_file_costs_no_toml(tmp_path: Path) -> None:
    source = tmp_path / "x.bin"
    source.write_bytes(b"abc")
    code = f"import sys, memx.cli; memx.cli.main(['stream', '--json', {str(source)!r}]); print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    modules = set(done.stdout.splitlines()[-1].split())
    assert not modules & {"tomllib", "tomlkit", "platformdirs", "importlib.metadata", "memx.engine.tuning.advice"}


KEYS = st.from_regex(r"[a-c]{1,2}", fullmatch=True)
VALUES = st.sampled_from(["1", '"x"', "[\n1,\n# so\n2]", '"""\na = 1\nb"""', "'''\n[a]\n'''", "{ x = 1 }"])
STATEMENTS = st.tuples(st.lists(st.sampled_from(["", "# a = 1", "  "]), max_size=2), KEYS, VALUES)


@given(st.lists(STATEMENTS, min_size=1, max_size=6, unique_by=lambda statement: statement[1]))
def test_a_key_is_found_on_its_line(statements: list[tuple[list[str], str, str]]) -> None:
    lines: list[str] = []
    wanted: dict[str, int] = {}
    for before, key, value in statements:
        lines += before
        wanted[key] = len(lines) + 1
        lines += f"{key} = {value}".split("\n")
    text = "\n".join(lines)
    assert set(tomllib.loads(text)) == set(wanted)
    assert {key: line_of(text, (key,)) for key in wanted} == wanted


FAST = CollectorSetting(ExtractionStrategy.AGGRESSIVE, threshold0=20000)
MINE = (
    '# mine\nmax_memory = "2G"   # enough\n\n[collector.dicom]  # fast\nthreshold0 = 7 # old\nfreeze = true\n\n# end\n'
)


def test_a_setting_is_written_and_the_rest_stays(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text(MINE)
    path.chmod(0o640)
    write_collector(path, "dicom", FAST)
    text = path.read_text()
    assert tomllib.loads(text) == {"max_memory": "2G", "collector": {"dicom": FAST.as_table()}}
    assert [comment in text for comment in ("# mine\n", "   # enough\n", "  # fast\n", "# old\n", "# end\n")] == [
        True
    ] * 5
    assert path.stat().st_mode & 0o777 == 0o640
    write_collector(path, "a.b:c", CollectorSetting(disabled=True))
    assert tomllib.loads(path.read_text())["collector"] == {"dicom": FAST.as_table(), "a.b:c": {"disabled": True}}
    write_collector(path, "dicom", OWN_CHOICE)
    write_collector(path, "a.b:c", OWN_CHOICE)
    assert tomllib.loads(path.read_text()) == {"max_memory": "2G"}
    assert [entry.name for entry in tmp_path.iterdir()] == ["config.toml"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "# a comment",
        "timeout = 3",
        "timeout = 3\r\n[collector.fits]\r\nfreeze = true\r\n",
        "[collector]\nfits = { freeze = true }\n",
        "collector = { fits = { freeze = true } }\n",
        "collector.fits.freeze = true\ntimeout = 3\n",
        "[collector.fits]\nfreeze = true\n[collector.hdf5]\nfreeze = true\n",
        "[collector]\n",
    ],
)
def test_however_the_file_is_written(text: str, tmp_path: Path) -> None:
    path = tmp_path / "new" / "config.toml"
    if text:
        path.parent.mkdir()
        path.write_text(text, newline="")
    before: dict[str, Any] = tomllib.loads(text)
    for name in ("fits", "dicom"):
        write_collector(path, name, FAST)
        assert ("timeout" in path.read_text()) is ("timeout" in text)
        before.setdefault("collector", {})[name] = FAST.as_table()
        assert tomllib.loads(path.read_bytes().decode()) == before
    write_collector(path, "fits", OWN_CHOICE)
    del before["collector"]["fits"]
    write_collector(path, "hdf5", OWN_CHOICE)
    before["collector"].pop("hdf5", None)
    assert tomllib.loads(path.read_bytes().decode()) == before


def test_a_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "dotfiles").mkdir()
    real, link = tmp_path / "dotfiles" / "memx.toml", tmp_path / "config.toml"
    real.write_text(MINE)
    link.symlink_to(real)
    write_collector(link, "fits", FAST)
    assert link.is_symlink()
    assert "fits" in real.read_text()


def test_a_file_that_is_wrong_is_not_written(tmp_path: Path) -> None:
    path = tmp_path / "config.toml"
    path.write_text("broken")
    with pytest.raises(UsageError, match="line 1"):
        write_collector(path, "fits", FAST)
    assert path.read_text() == "broken"
    path.write_text("collector = 3\n")
    with pytest.raises(UsageError, match="collector"):
        write_collector(path, "fits", FAST)
    with pytest.raises(UsageError, match="cannot be"):
        write_collector(path / "below.toml", "fits", FAST)


def test_stream_keeps_the_settings_of_the_collector(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text("[collector.dicom]\nthreshold0 = 20000\n")
    monkeypatch.setenv("MEMX_CONFIG", str(tmp_path / "config.toml"))
    found: list[object] = []

    def emit(streams: Iterable[Stream], options: object) -> bool:
        found.extend(stream.options.collectors for stream in streams)
        return True

    monkeypatch.setattr("memx.cli.output.emit", emit)
    assert main(["stream", "one", "two"]) == 0
    assert found == [{"dicom": {"threshold0": 20000}}] * 2
