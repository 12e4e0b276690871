"""A profile compared with an earlier one of the same files: what got worse by more than chance.

What looks worse is read again, and the best of all readings is what counts: chance makes a reading slower or fatter,
never the opposite. Times are compared without those in the queue for a processor.
"""

import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from typing import Any

from memx.engine.analysis.statistics import noise_band
from memx.engine.profile.groups import Group, Key, own_time, peak
from memx.errors import UsageError
from memx.records import Record
from memx.units import format_size

REPORT = "profile-report"
CHECKED = 20
"""Files of a group that are read again for each figure: those that look worst."""
TIMES = 3
"""So often."""
_FEWEST_FOR_NOISE = 6
"""Of fewer files, one that changed would pass for noise."""
_LONGEST = 1 << 30
"""Bytes of a report."""


@dataclass(frozen=True, slots=True)
class Figure:
    """Something that is compared."""

    name: str
    of: Callable[[Record], float]
    band: float
    """By this part it may differ at least."""
    least: float
    """By less than this, it has not changed."""
    say: Callable[[float], str]


FIGURES = (
    Figure("peak", peak, 0.05, 4 << 20, format_size),
    Figure("time", own_time, 0.30, 0.05, lambda seconds: f"{seconds:.2f} s"),
)


@dataclass(frozen=True, slots=True)
class Regression:
    """What of one file got worse: `before` and `after` are bytes, seconds, or null where it fails now."""

    path: str
    format: str | None
    extractor: str | None
    figure: str
    before: float | None
    after: float | None
    reason: str


class Baseline:
    """An earlier report, of `memx profile --json`, in `file`. Raises UsageError where it is none."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.regressions: list[Regression] = []
        self.compared = 0
        """Files that are in both."""
        self._before = {(record["path"], record["extractor"]): record for record in _sample(file)}

    @property
    def holds(self) -> bool:
        """Whether nothing got worse, of what could be compared."""
        return bool(self.compared) and not self.regressions

    @property
    def reason(self) -> str:
        """In one sentence."""
        if not self.compared:
            return f"none of the files that were read is in {self.file}"
        if not self.regressions:
            return f"nothing got worse, of {self.compared:,} files that are in {self.file}"
        worst = self.regressions[0]
        more = f", and {len(self.regressions) - 1:,} more" if len(self.regressions) > 1 else ""
        return f"worse than {self.file}: {worst.path}: {worst.reason}{more}"

    def compare(self, group: Group, again: Callable[[list[Record]], Iterable[Record]]) -> None:
        """Compares the sample of `group`; `again` reads files once more."""
        after = {record["path"]: record for record in group.sample}
        pairs = [
            (before, record)
            for path, record in after.items()
            if (before := self._before.get((path, group.extractor))) is not None and before["size"] == record["size"]
        ]
        self.compared += len(pairs)
        for before, record in pairs:
            if before["status"] == "complete" and record["status"] != "complete":
                reason = f"it was complete and is {record['status']} now"
                self._add(group.key, record["path"], "status", None, None, reason)
        sound = [(b, a) for b, a in pairs if b["status"] == a["status"] == "complete"]
        doubtful = {figure.name: _outside(figure, sound) for figure in FIGURES}
        checked = {record["path"]: record for found in doubtful.values() for _, record, _ in found}
        if not checked:
            return
        more = [record for record in again(list(checked.values()) * TIMES) if record["status"] == "complete"]
        for figure in FIGURES:
            for before, record, high in doubtful[figure.name]:
                readings = [record, *(other for other in more if other["path"] == record["path"])]
                self._judge(group.key, figure, before, record["path"], min(map(figure.of, readings)), high)

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "file": self.file,
            "compared": self.compared,
            "holds": self.holds,
            "reason": self.reason,
            "regressions": list(map(asdict, self.regressions)),
        }

    def _judge(self, key: Key, figure: Figure, before: Record, path: str, now: float, high: float) -> None:
        was = figure.of(before)
        if now > was * high and now - was > figure.least:
            reason = f"{figure.name} {figure.say(was)} -> {figure.say(now)} ({100 * (now / was - 1):+.0f} %)"
            self._add(key, path, figure.name, was, now, reason)

    def _add(self, key: Key, path: str, figure: str, before: float | None, after: float | None, reason: str) -> None:
        self.regressions.append(Regression(path, *key, figure, before, after, reason))
        self.regressions.sort(key=lambda found: -((found.after or 1e99) / (found.before or 1.0)))


def _outside(figure: Figure, pairs: list[tuple[Record, Record]]) -> list[tuple[Record, Record, float]]:
    """The pairs of which the second is worse by more than the noise, and that bound as a ratio; the worst first."""
    known = [(before, after) for before, after in pairs if figure.of(before) > 0 < figure.of(after)]
    if not known:
        return []
    high = 1 + figure.band
    if len(known) >= _FEWEST_FOR_NOISE:
        _, high = noise_band([figure.of(b) for b, _ in known], [figure.of(a) for _, a in known], least=figure.band)
    found = [
        (before, after, high)
        for before, after in known
        if figure.of(after) > figure.of(before) * high and figure.of(after) - figure.of(before) > figure.least
    ]
    return sorted(found, key=lambda pair: figure.of(pair[0]) / figure.of(pair[1]))[:CHECKED]


def _sample(file: str) -> list[Record]:
    """The files of a report. Raises UsageError."""
    try:
        if os.path.getsize(file) > _LONGEST:
            raise UsageError(f"{file} is too long for a report of memx profile")
        with open(file, "rb") as opened:
            report = json.loads(opened.read())
    except OSError as exc:
        raise UsageError(f"cannot read the baseline {file}: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"the baseline {file} is no JSON of memx profile --json") from exc
    if not isinstance(report, dict) or report.get("type") != REPORT:
        raise UsageError(f"the baseline {file} is no report of memx profile --json")
    try:
        for record in report["sample"]:
            _ = record["path"], record["extractor"], record["size"], record["status"], peak(record), own_time(record)
    except (LookupError, TypeError, ValueError) as exc:
        raise UsageError(f"the baseline {file} is no whole report of memx profile --json") from exc
    sample: list[Record] = report["sample"]
    return sample
