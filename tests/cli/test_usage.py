"""What the command says of itself, and of calls that are wrong: one line, and status 2."""

import json
from pathlib import Path

import pytest

from memx import __version__
from memx.cli import main
from memx.cli.output import OutputOptions
from memx.engine.memory.strategy import ExtractionStrategy
from memx.engine.options import StreamOptions
from memx.engine.reading.streaming import Stream
from tests.cli.command import memx, records_of


def test_version() -> None:
    for arguments in (("--version",), ("--version", "stream")):
        done = memx(*arguments)
        assert (done.returncode, done.stdout, done.stderr) == (0, f"memx {__version__}\n".encode(), b"")


def test_help_names_the_commands() -> None:
    done = memx("--help")
    assert done.returncode == 0
    assert done.stderr == b""
    for command in (b"stream", b"extract", b"status", b"gc-tune", b"profile"):
        assert command in done.stdout


OPTIONS = (
    "-o, --output FILE",
    "-f, --format NAME",
    "--table / --json",
    "--limit N",
    "--select PATTERN",
    "--max-memory SIZE",
    "--strategy",
    "--chunk-size SIZE",
    "--max-value-bytes SIZE",
    "--frame-length N",
    "--hop-length N",
    "--timeout SECONDS",
    "--with-path",
    "--schema",
    "--no-color",
)


def test_help_names_every_option() -> None:
    done = memx("stream", "--help")
    assert done.returncode == 0
    assert [option for option in OPTIONS if option not in done.stdout.decode()] == []


def test_nothing_asked_for_is_answered_with_the_help() -> None:
    done = memx()
    assert done.returncode == 2
    assert done.stdout == b""
    assert b"Usage: memx" in done.stderr


def test_schema_is_the_packages_own() -> None:
    done = memx("stream", "--schema")
    assert (done.returncode, done.stderr) == (0, b"")
    assert json.loads(done.stdout)["$schema"].startswith("https://json-schema.org/")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("strem",), "there is no command strem: did you mean stream?; see memx --help"),
        (("gctune", "x"), "did you mean gc-tune?"),
        (("xyzzy",), "there is no command xyzzy; see memx --help"),
        (("--verison",), "there is no option --verison: did you mean --version?"),
        (("extract", "--time-out", "3", "x"), "did you mean --timeout?; see memx extract --help"),
        (("stream", "--xyzzy", "x"), "there is no option --xyzzy; see memx stream --help"),
        (("stream", "--strategy", "conservativ", "x"), "did you mean conservative?"),
        (("status", "--alert", "hihg"), "did you mean high?"),
        (("stream",), "nothing to read: give SOURCE...; see memx stream --help"),
        (("stream", "-f"), "-f needs a value"),
        (("stream", "--json=3", "x"), "--json takes no value"),
        (("status", "extra"), "memx status takes no 'extra'; see memx status --help"),
        (("extract", "-j", "257", "x"), "--jobs: 257 is too much: at most 256; see memx extract --help"),
        (("stream", "--limt", "3", "x"), "there is no option --limt: did you mean --limit?"),
        (("stream", "--limit", "-1", "x"), "--limit: -1 is too small: at least 0; see memx stream --help"),
        (("stream", "--limit", "many", "x"), "--limit: 'many' is no whole number; see memx stream --help"),
        (("stream", "-f", "fit", "x"), "did you mean fits?"),
        (("stream", "--format", "quux", "x"), "choose from dicom, "),
        (("stream", "--chunk-size", "3Q", "x"), "64K"),
        (("stream", "--chunk-size", "0", "x"), "at least 1"),
        (("stream", "--max-memory", "much", "x"), "2GiB"),
        (("stream", "--max-value-bytes", "-1", "x"), "64K"),
        (("stream", "--timeout", "0", "x"), "seconds"),
        (("stream", "--timeout", "nan", "x"), "seconds"),
        (("stream", "--frame-length", "0", "x"), "--frame-length"),
        (("stream", "--hop-length", "0", "x"), "--hop-length"),
        (("stream", "--strategy", "bold", "x"), "'bold' is none of aggressive, balanced, conservative; see"),
        (("stream", "--color", "x"), "--no-color"),
    ],
)
def test_wrong_usage_is_one_line(
    arguments: tuple[str, ...], said: str, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert main(list(arguments)) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1
    assert err.startswith("memx: ")
    assert said in err


def test_wrong_usage_leaves_the_output_alone(tmp_path: Path) -> None:
    kept = tmp_path / "kept.jsonl"
    kept.write_text("kept\n")
    assert main(["stream", "-f", "quux", "-o", str(kept), str(kept)]) == 2
    assert kept.read_text() == "kept\n"


def test_a_source_is_never_the_output(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "scan.bin"
    source.write_bytes(b"dear")
    (tmp_path / "again").symlink_to(source)
    assert main(["stream", "-o", str(tmp_path / "again"), str(source)]) == 2
    assert source.read_bytes() == b"dear"
    assert "destroy" in capsys.readouterr().err


def test_a_message_shows_no_control_characters(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stream", "-f", "\x1b[31m", "x"]) == 2
    assert "\x1b" not in capsys.readouterr().err


def test_the_command_makes_one_call(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[tuple[list[str], list[StreamOptions], OutputOptions]] = []

    def emit(streams: list[Stream], options: OutputOptions) -> bool:
        given = list(streams)  # each is made when it is its turn
        calls.append(([stream.path for stream in given], [stream.options for stream in given], options))
        return True

    monkeypatch.setattr("memx.cli.output.emit", emit)
    line = (
        "stream one -o out --format HDF5 --table --limit 7 --select a* --select b --max-memory 1G "
        "--strategy conservative --chunk-size 64K --max-value-bytes 0 --frame-length 512 --hop-length 256 "
        "--timeout 2.5 --with-path --no-color two"
    )
    assert main(line.split()) == 0
    wanted = StreamOptions(
        format="hdf5",
        select=("a*", "b"),
        limit=7,
        chunk_size=65536,
        max_value_bytes=0,
        frame_length=512,
        hop_length=256,
        strategy=ExtractionStrategy.CONSERVATIVE,
        with_path=True,
        max_memory=1 << 30,
        two_processes=True,
        timeout=2.5,
    )
    assert main(["stream", "-"]) == 0
    assert calls == [
        (["one", "two"], [wanted, wanted], OutputOptions(file="out", table=True, color=False, sources=["one", "two"])),
        (["-"], [StreamOptions(two_processes=True)], OutputOptions(sources=["-"])),
    ]


def test_options_reach_the_stream(tmp_path: Path) -> None:
    source = tmp_path / "data.bin"
    source.write_bytes(bytes(range(256)) * 16)
    done = memx("stream", "--chunk-size", "1K", "--limit", 2, "--with-path", "--select", "chunk", source)
    file, first, second, end = records_of(done.stdout)
    assert done.returncode == 0
    assert [first["length"], second["offset"], end["records"], end["status"]] == [1024, 1024, 2, "complete"]
    assert "--limit" in end["reason"]
    assert {record["source"] for record in (file, first, second, end)} == {str(source)}


def test_strategy_is_told(tmp_path: Path) -> None:
    source = tmp_path / "data.bin"
    source.write_bytes(b"abc")
    done = memx("stream", "--strategy", "conservative", "-f", "binary", source)
    assert records_of(done.stdout)[0]["strategy"] == "conservative"


def test_limit_nothing(tmp_path: Path) -> None:
    source = tmp_path / "data.bin"
    source.write_bytes(b"abc")
    file, end = records_of(memx("stream", "--limit", 0, source).stdout)
    assert (file["type"], end["type"], end["records"]) == ("file", "end", 0)


@pytest.mark.slow
def test_max_memory_and_timeout_run_in_a_worker(tmp_path: Path) -> None:
    source = tmp_path / "data.bin"
    source.write_bytes(b"abc" * 1000)
    done = memx("stream", "--max-memory", "512M", "--timeout", "30", source)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [record["type"] for record in records_of(done.stdout)] == ["file", "chunk", "digest", "end"]
