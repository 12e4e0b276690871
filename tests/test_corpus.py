"""Every real file of the folders named in MEMX_CORPUS: the contract, and agreement with the format's own library.

MEMX_CORPUS holds folders, separated as PATH is. Where a folder has an INDEX.tsv, its columns `path` and `format`
say what each file is.
"""

import csv
import faulthandler
import importlib
import json
import os
import re
import traceback
import warnings
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import pytest

from memx.engine.reading.streaming import Stream
from memx.records import Record
from tests.contract import comparable, contract_faults
from tests.corpus_deviations import DEVIATIONS
from tests.oracles import NotReadable

INDEX = "INDEX.tsv"


class Case(NamedTuple):
    """A file of a corpus; `format` is what the index says that it is, None where it says nothing."""

    folder: Path
    name: str
    format: str | None

    @property
    def path(self) -> Path:
        return self.folder / self.name


def cases() -> list[Case]:
    folders = [Path(name) for name in os.environ.get("MEMX_CORPUS", "").split(os.pathsep) if name]
    found: list[Case] = []
    for folder in folders:
        formats = _index(folder)
        names = sorted(
            os.path.relpath(os.path.join(parent, name), folder)
            for parent, _, names in os.walk(folder)
            for name in names
        )
        found += [Case(folder, name, formats.get(name)) for name in names if name != INDEX]
    return found


def _index(folder: Path) -> dict[str, str]:
    path = folder / INDEX
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE))
    # what is of none of memx's formats is there to be told from them
    return {row["path"]: {"generic": "binary"}.get(row["format"], row["format"]) for row in rows}


CASES = cases()


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_file(case: Case) -> None:
    records = read(case.path)
    faults = contract_faults(records, case.path)
    if records[0]["reader"] == "direct":
        # a library's reader takes a process of its own; the same bytes twice is shown for those by their samples
        faults += ["not the same bytes twice"] * (comparable(read(case.path)) != comparable(records))
    if case.format is not None and not same_format(case, records[0]["format"]):
        faults.append(f"the format is {records[0]['format']}, not {case.format}")
    faults += disagreements(case.path, records) or []
    deviation = DEVIATIONS.get(case.name)
    if deviation is None:
        assert not faults, summary(records, faults)
        return
    meant = [fault for fault in faults if re.search(deviation.pattern, fault)]
    assert meant, f"memx agrees by now: take {case.name} out of tests/corpus_deviations.py"
    assert len(meant) == len(faults), summary(records, [fault for fault in faults if fault not in meant])


def same_format(case: Case, found: str) -> bool:
    """Whether memx found what the index says; what holds no moving picture is audio, an empty file is binary."""
    if not case.path.stat().st_size:
        return found == "binary"
    if {found, case.format} == {"audio", "video"}:
        return shows_pictures(case.path) in (found == "video", None)
    return found == case.format


def shows_pictures(path: Path) -> bool | None:
    """Whether FFmpeg finds a moving picture in it, and no cover alone; None where it cannot open it."""
    import av

    try:
        with av.open(str(path)) as container:
            streams = container.streams.video
            return any(not stream.disposition & av.stream.Disposition.attached_pic for stream in streams)
    except av.FFmpegError:
        return None


def read(path: Path) -> list[Record]:
    return list(Stream(path).records())


def disagreements(path: Path, records: list[Record]) -> list[str] | None:
    """What the oracle of the format that memx found says against `records`; None where it cannot read the file.

    It is asked in a process of its own: there are files that crash the libraries.
    """
    oracle = importlib.import_module(f"tests.oracles.{records[0]['format']}")
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that a process with threads forks; and what a library remarks on a file
        child = os.fork()
        if child == 0:
            _ask(oracle, path, records, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as answer:
        said = answer.read()
    _, status = os.waitpid(child, 0)
    if os.WIFSIGNALED(status):
        return None  # the library did not survive the file
    assert os.waitstatus_to_exitcode(status) == 0, said.decode()
    told: list[str] | None = json.loads(said)
    return told


def _ask(oracle: ModuleType, path: Path, records: list[Record], answer: int) -> None:
    faulthandler.disable()  # the parent says what came of it
    status = 0
    try:
        said = json.dumps(oracle.disagreements(str(path), records)).encode()
    except NotReadable:
        said = b"null"
    except BaseException:
        said, status = traceback.format_exc().encode(), 1
    with os.fdopen(answer, "wb") as pipe:
        pipe.write(said)
    os._exit(status)


def summary(records: list[Record], faults: list[str]) -> str:
    end = records[-1]
    return "\n".join([f"{end['status']}: {end['reason']}", *(fault[:500] for fault in faults[:10])])
