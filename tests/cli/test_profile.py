"""`memx profile`, the command: what it says, writes and answers."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from memx.cli import main
from tests.cli.command import MEMX, memx, on_terminal, records_of
from tests.contract import schema_faults
from tests.samples import fits

MIB = 1 << 20
BIG = "tests.samples.workloads:big"
TIME = shutil.which("time", path="/usr/bin:/bin")
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """Files that `big` takes 20 and 80 MiB for."""
    folder = tmp_path / "files"
    folder.mkdir()
    for size in (20, 80):
        (folder / f"{size}.txt").write_text(str(size))
    return folder


@pytest.mark.slow
def test_a_line_a_file_in_a_pipe(files: Path) -> None:
    done = memx("profile", "--extractor", BIG, files)
    records = records_of(done.stdout)
    assert (done.returncode, done.stderr) == (0, b"")
    assert [Path(record["path"]).name for record in records] == ["20.txt", "80.txt"]
    assert {record["type"] for record in records} == {"profile"}
    assert schema_faults(records) == []
    for record, size in zip(records, (20, 80), strict=True):
        assert record["metrics"]["peak_rss_delta"] == pytest.approx(size * MIB, rel=0.1)


@pytest.mark.slow
def test_the_report_as_one_object(files: Path, tmp_path: Path) -> None:
    done = memx("profile", "--json", "--extractor", BIG, "-o", tmp_path / "report.json", files)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    report = json.loads((tmp_path / "report.json").read_bytes())
    assert schema_faults([report]) == []
    assert report["files"] == 2
    assert report["worst"][0]["path"].endswith("80.txt")
    assert [problem["kind"] for problem in report["problems"]] == ["memory-hungry"]


@pytest.mark.slow
def test_several_extractors_are_compared(files: Path) -> None:
    done = memx("profile", "--json", "--extractor", BIG, "--extractor", "tests.samples.workloads:quick", files)
    groups = json.loads(done.stdout)["groups"]
    assert [group["extractor"] for group in groups] == [BIG, "tests.samples.workloads:quick"]


@pytest.mark.slow
def test_a_peak_above_the_asserted_one_fails_the_run(files: Path) -> None:
    done = memx("profile", "--extractor", BIG, "--assert-peak", "64M", files, files / "gone")
    assert done.returncode == 3  # before 1: a file that is not there
    assert re.fullmatch(rb"memx: 1 file peaks above 64 MiB: .*80\.txt at 1?\d\d(\.\d)? MiB\n", done.stderr)
    assert memx("profile", "--extractor", BIG, "--assert-peak", "1G", files).returncode == 0


@pytest.mark.slow
def test_a_regression_fails_the_run(files: Path, tmp_path: Path) -> None:
    before = tmp_path / "before.json"
    before.write_bytes(memx("profile", "--json", "--extractor", BIG, files).stdout)
    same = memx("profile", "--extractor", BIG, "--baseline", before, files)
    assert (same.returncode, same.stderr) == (0, b"")
    (files / "20.txt").write_text("60")
    worse = memx("profile", "--json", "--extractor", BIG, "--baseline", before, files)
    assert worse.returncode == 3
    assert b"20.txt: peak" in worse.stderr
    baseline = json.loads(worse.stdout)["baseline"]
    assert {(Path(one["path"]).name, one["figure"]) for one in baseline["regressions"]} >= {("20.txt", "peak")}
    other = memx("profile", "--baseline", before, fits.build(tmp_path))
    assert other.returncode == 3
    assert b"none of the files" in other.stderr


def test_broken_files_give_status_1(tmp_path: Path) -> None:
    path = fits.build(tmp_path)
    path.write_bytes(path.read_bytes()[:2000])
    done = memx("profile", path, tmp_path / "gone")
    assert done.returncode == 1
    assert [record["code"] for record in records_of(done.stdout)] == ["truncated", "not-found"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["-"], "standard input cannot be read again and again: give files or folders"),
        (["--extractor", "tests.samples.workloads:gone", "x"], "gone"),
        (["--baseline", "gone.json", "x"], "cannot read the baseline gone.json"),
        (["--assert-peak", "much", "x"], "much"),
    ],
)
def test_wrong_usage(arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", *arguments]) == 2
    assert said in capsys.readouterr().err


def test_a_page_takes_bokeh(
    files: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda _name: None)
    assert main(["profile", "--html", str(tmp_path / "page.html"), str(files)]) == 2
    assert capsys.readouterr().err == "memx: --html needs Bokeh: pip install 'memx-cli[report]'\n"


@pytest.mark.slow
def test_a_source_is_not_written_to(files: Path) -> None:
    path = files / "20.txt"
    for option in ("--html", "--trace", "-o"):
        assert memx("profile", option, path, path).returncode == 2
        assert path.read_text() == "20"


def test_traces_name_what_raised_the_peak(tmp_path: Path) -> None:
    path = fits.build(tmp_path)
    done = memx("profile", "--trace", tmp_path / "trace.jsonl", path)
    assert done.returncode == 0
    (trace,) = records_of((tmp_path / "trace.jsonl").read_bytes())
    assert schema_faults([trace]) == []
    assert (trace["type"], trace["path"]) == ("trace", str(path))
    if trace["rose_at"] is not None:
        assert trace["rose_at"] in trace["rises"]
        assert trace["rose_at"]["to"] <= trace["peak_rss"]


@pytest.mark.slow
def test_tables_on_a_terminal(files: Path) -> None:
    status, shown = on_terminal("profile", "--extractor", BIG, files, columns=100)
    assert status == 0
    assert "memory hungry: binary tests.samples.workloads:big" in shown
    assert "highest peak" in shown


@pytest.mark.slow
def test_an_interrupt_leaves_what_is_known_by_then(files: Path) -> None:
    for number in range(30):
        (files / f"more-{number}.txt").write_text("30")
    status, shown = on_terminal("profile", "--extractor", BIG, files, columns=100, when=lambda text: "of 32" in text)
    assert status == 130
    assert "interrupted" in shown
    assert "memory hungry" in shown


@pytest.mark.slow
def test_the_users_setting_of_the_collector_is_used_and_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "config.toml").write_text('[collector.fits]\nthreshold0 = 123\n[collector."x:y"]\ndisabled = true\n')
    monkeypatch.setenv("MEMX_CONFIG", str(tmp_path / "config.toml"))
    path = fits.build(tmp_path)
    (profiled,) = records_of(memx("profile", path).stdout)
    assert profiled["collector"] == "threshold0 123"
    for options in ([], ["-j", "1"]):
        (extracted,) = records_of(memx("extract", *options, path).stdout)
        assert extracted["strategy"]["collector"] == "threshold0 123"
        assert schema_faults([extracted]) == []
    monkeypatch.setenv("MEMX_CONFIG", "")
    (extracted,) = records_of(memx("extract", path).stdout)
    assert "collector" not in extracted["strategy"]


@pytest.mark.slow
@pytest.mark.skipif(TIME is None, reason="there is no time(1)")
@pytest.mark.parametrize("size", [60, 150, 300])
def test_peaks_agree_with_time(size: int, tmp_path: Path) -> None:
    """time(1) tells the highest peak of memx and all its workers: the worker's."""
    (tmp_path / "x").write_text(str(size))
    command = [str(TIME), "-v", *MEMX, "profile", "--extractor", BIG, str(tmp_path / "x")]
    done = subprocess.run(command, capture_output=True, check=True, timeout=60)
    match = re.search(rb"Maximum resident set size \(kbytes\): (\d+)", done.stderr)
    assert match is not None
    (record,) = records_of(done.stdout)
    assert record["metrics"]["peak_rss"] == pytest.approx(int(match[1]) * 1024, rel=0.02)
    assert record["metrics"]["peak_exact"]


NAMES = ("<img src=x onerror=console.error(1)>", "'\"&amp;</script><script>console.error(2)".replace("/", "\u2215"))


def page_of(folder: Path) -> Path:
    for name in NAMES:
        (folder / "files" / name).write_text("5")
    inner = folder / "files" / "<"
    inner.mkdir()
    (inner / "script><script>console.error(3)").write_text("6")  # after a slash, so that it closes one
    page = folder / "page.html"
    done = memx("profile", "--extractor", BIG, "--assert-peak", "1G", "--html", page, folder / "files")
    assert (done.returncode, done.stderr) == (0, b"")
    return page


@pytest.mark.slow
@pytest.mark.usefixtures("files")
def test_a_page_escapes_names_and_asks_for_nothing(tmp_path: Path) -> None:
    text = page_of(tmp_path).read_text("utf-8")
    for name in NAMES:
        assert name not in text
    assert "</script><script>console.error" not in text
    assert "default-src 'none'" in text
    assert not re.search(r"<(script|link|img)[^>]*(src|href)=[\"']?https?:", text)


@pytest.mark.slow
@pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium")
@pytest.mark.usefixtures("files")
@pytest.mark.parametrize("scheme", ["0", "1"], ids=["dark", "light"])
def test_a_browser_shows_the_page(scheme: str, tmp_path: Path) -> None:
    page, picture = page_of(tmp_path), tmp_path / "page.png"
    done = subprocess.run(
        [
            str(CHROMIUM),
            "--headless=new",
            "--no-sandbox",
            "--disable-gpu",
            f"--user-data-dir={tmp_path / 'profile'}",
            f"--blink-settings=preferredColorScheme={scheme}",
            "--window-size=1200,1800",
            "--virtual-time-budget=8000",
            "--enable-logging=stderr",
            f"--screenshot={picture}",
            page.as_uri(),
        ],
        capture_output=True,
        check=False,
        timeout=90,
    )
    assert not re.search(rb"(ERROR|WARNING):CONSOLE", done.stderr), done.stderr.decode()
    assert b":CONSOLE" in done.stderr  # where Bokeh says that it has begun
    assert picture.stat().st_size > 30_000  # an empty one is smaller


def test_bokeh_is_not_imported_without_a_page(tmp_path: Path) -> None:
    code = (
        "import sys; from memx.cli import main; status = main(sys.argv[1:]);"
        "sys.exit(status or 'bokeh' in sys.modules or 'rich' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, "profile", str(fits.build(tmp_path))], capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
