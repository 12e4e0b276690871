"""Which setting of the collector suits each format of a data set, or the user's extractor: what `gc-tune` tells."""

import os
import random
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from memx.engine.collector.setting import OWN_CHOICE, CollectorSetting, Settings
from memx.engine.tuning.experiment import RUNS, Experiment, Tuning
from memx.engine.tuning.trial import Trials
from memx.errors import MemxError, UsageError

MOST_FILES = 500
"""Of more files, so many are drawn."""
BUDGET = 1.0
"""Seconds that one run is to take, roughly: as many of the files are read as that allows, but one at least."""
Progress = Callable[[str, int, int], None]
"""Told of which format or extractor so many runs are done, of so many at most."""


@dataclass(frozen=True, slots=True)
class Advice:
    """What was found out for one format, or for an extractor."""

    name: str
    """That of the format or of the extractor, as the configuration file has it below `collector`."""
    files: int
    """How many files each run read."""
    size: int
    """Their bytes."""
    rounds: int
    """How often each run went through them."""
    failed: int
    """Files that were left out, since they cannot be read."""
    tuning: Tuning | None
    """None where none could be."""
    reason: str

    @property
    def recommended(self) -> CollectorSetting | None:
        """The setting to use; None: leave it alone."""
        if self.tuning is None or self.tuning.recommended is None:
            return None
        return self.tuning.recommended.setting

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        members = {"name": self.name, "files": self.files, "bytes": self.size, "rounds": self.rounds}
        tuned = {"recommendation": None} if self.tuning is None else self.tuning.as_dict()
        return members | {"failed": self.failed} | tuned | {"reason": self.reason}


def advise(
    paths: Iterable[str],
    *,
    extractor: str | None = None,
    settings: Settings = {},  # noqa: B006 - a mapping that is only read
    runs: int = RUNS,
    seed: int = 0,
    progress: Progress = lambda _name, _done, _most: None,
    budget: float = BUDGET,
) -> Iterator[Advice]:
    """The advice for each format among the files of `paths`, or for `extractor` over all of them.

    `settings` are those in force. The last says of files that could not even be opened, if there are any; its name is
    empty. Raises UsageError where there is no such extractor.
    """
    files = drawn(paths, MOST_FILES, seed)
    if extractor is not None:
        groups, unread = {extractor: files}, 0
    else:
        groups, unread = _by_format(files)
    for name, members in sorted(groups.items()):
        yield _advice(name, members, extractor, settings.get(name, OWN_CHOICE), runs, seed, progress, budget)
    if unread or not files:
        files_said = "one file" if unread == 1 else f"{unread:,} files"
        reason = f"{files_said} cannot be opened" if unread else "there are no files"
        yield Advice("", 0, 0, 0, unread, None, reason)


def drawn(paths: Iterable[str], most: int, seed: int = 0) -> list[str]:
    """At most `most` of `paths`, each as likely as the other, in their order; nothing else is held.

    Algorithm R of Vitter, "Random Sampling with a Reservoir", ACM Transactions on Mathematical Software 11 (1985).
    """
    draw, kept = random.Random(seed), list[tuple[int, str]]()
    for number, path in enumerate(paths):
        if number < most:
            kept.append((number, path))
        elif (at := draw.randrange(number + 1)) < most:
            kept[at] = (number, path)
    return [path for _, path in sorted(kept)]


def _by_format(files: list[str]) -> tuple[dict[str, list[str]], int]:
    groups: dict[str, list[str]] = {}
    unread = 0
    for done in Trials().survey(files):
        if done.format is None:
            unread += 1
        else:
            groups.setdefault(done.format, []).append(done.path)
    return groups, unread


def _advice(
    name: str,
    files: list[str],
    extractor: str | None,
    current: CollectorSetting,
    runs: int,
    seed: int,
    progress: Progress,
    budget: float,
) -> Advice:
    random.Random(seed).shuffle(files)  # a run may read but the first of them
    trials = Trials(extractor)
    progress(name, 0, 1)
    try:
        good, failed = trials.sample(files, current, budget)
        if not good:
            return Advice(name, 0, 0, 0, failed, None, "none of these files can be read")
        tell = lambda done, most: progress(name, done, most)  # noqa: E731 - it is that short
        tuning = Experiment(trials.run, good, current=current, runs=runs, seed=seed, progress=tell).result()
    except UsageError:
        raise
    except MemxError as exc:
        return Advice(name, 0, 0, 0, len(files), None, f"the files cannot be read under {current}: {exc.message}")
    return Advice(name, len(good), sum(map(os.path.getsize, good)), trials.rounds, failed, tuning, tuning.reason)
