"""How far memx and the libraries agree on a corpus: `MEMX_CORPUS=FOLDER python -m tests.agreement [PART ...]`.

A file stands in one column: the format's authority cannot read it; memx says the same, by itself or by asking the
library for all or a part of it; memx differs and is held to be right (see `tests.corpus_deviations`); memx is wrong.
"""

import re
import sys
import traceback
from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

from memx.formats import detect
from memx.formats.base import BelongsTo, ReadOptions
from memx.formats.signatures import video_container
from memx.records import Record
from memx.sources import open_source
from tests.corpus_deviations import DEVIATIONS
from tests.test_corpus import CASES, Case, disagreements, read, same_format

GROUPS = ("hdf5", "netcdf", "mp4, mov", "matroska", "avi", "other video", "dicom", "fits", "audio", "binary")
CONTAINERS = {"mov": "mp4, mov", "matroska": "matroska", "avi": "avi"}
COLUMNS = ("equal", "by library", "held right", "wrong", "unreadable")
DIRECT = frozenset(GROUPS) - {"other video", "audio", "fits"}
"""What memx reads by its structure; the others have a library for what they are made of."""


class Verdict(NamedTuple):
    """Where a file stands: its group, its column, whether all of it is there, and what is to be said."""

    group: str
    column: str
    whole: bool
    remarks: list[str]
    constructs: list[str]


def judged(case: Case) -> Verdict:
    """The verdict on one file."""
    records = read(case.path)
    group = group_of(case, records[0])
    told = disagreements(case.path, records)
    faults = list(told or ())
    if case.format is not None and not same_format(case, records[0]["format"]):
        faults.append(f"the format is {records[0]['format']}, not {case.format}")
    constructs = asked(case, records) if group in DIRECT else []
    deviation = DEVIATIONS.get(case.name)
    meant = [fault for fault in faults if deviation is not None and re.search(deviation.pattern, fault)]
    whole = records[-1]["status"] == "complete"
    if len(meant) < len(faults):
        return Verdict(group, "wrong", whole, [fault for fault in faults if fault not in meant], constructs)
    if deviation is not None and meant:
        return Verdict(group, "held right", whole, [deviation.reason], constructs)
    column = "unreadable" if told is None else "by library" if constructs else "equal"
    return Verdict(group, column, whole, [], constructs)


def group_of(case: Case, file: Record) -> str:
    """The group of a file: its format, or of video its container."""
    if file["format"] != "video":
        return str(file["format"])
    with case.path.open("rb") as raw:
        return CONTAINERS.get(video_container(raw.read(4096)) or "", "other video")


def asked(case: Case, records: list[Record]) -> list[str]:
    """What the library was asked for: constructs of single objects, or why it reads the whole file."""
    if records[0]["reader"] == "direct":
        return list(records[-1]["metrics"].get("asked_library", ()))
    with open_source(case.path) as source:
        row = detect(source)
        try:
            with row.load()(source, ReadOptions(format=row.name)) as reader:
                reader.begin()
        except BelongsTo as exc:
            place = traceback.extract_tb(exc.__traceback__)[-1]
            return [str(exc.__cause__ or f"{place.name}: {place.line}")]
        except Exception as exc:  # only a report
            return [str(exc)]
    return ["a whole file"]


def table(verdicts: list[Verdict]) -> Iterator[str]:
    """The lines of the table, with a line of sums."""
    yield f"{'format':<14}{'files':>7}" + "".join(f"{column:>12}" for column in COLUMNS)
    for group in (*GROUPS, "all"):
        counts = Counter(verdict.column for verdict in verdicts if group in (verdict.group, "all"))
        if counts:
            yield f"{group:<14}{counts.total():>7}" + "".join(f"{counts[column]:>12}" for column in COLUMNS)


def main(folders: list[str]) -> None:
    """Prints the table of the files in some folders of the corpus, and below it each that is not simply equal."""
    cases = [case for case in CASES if not folders or case.name.split("/")[0] in folders]
    verdicts = [judged(case) for case in cases]
    print(*table(verdicts), sep="\n")
    formed = [verdict for verdict in verdicts if verdict.whole and verdict.group in DIRECT - {"binary"}]
    needing = [verdict for verdict in formed if verdict.constructs]
    print(f"\n{len(needing)} of {len(formed)} well-formed files of formats read directly need a library")
    for case, verdict in zip(cases, verdicts, strict=True):
        for remark in verdict.remarks[:3]:
            print(f"{verdict.column}: {case.name}: {remark[:200]}")
        for construct in verdict.constructs:
            print(f"asked: {case.name} ({verdict.column}): {construct[:200]}")


if __name__ == "__main__":
    main(sys.argv[1:])
