"""`gc-tune`'s experiment: which setting of the collector suits these files, if any does better than what is in force.

Every run is measured beside one of the setting in force, in rounds in which all candidates run once, in random
order: what the machine does meanwhile strikes them alike, and pairs are compared (a randomised block design; see
Kalibera and Jones, "Rigorous Benchmarking in Reasonable Time", ISMM 2013). Short rounds say what is promising. The
two best of it are then run anew, and that alone decides: the best of many looks better than it is.
"""

import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from memx.engine.analysis.statistics import Interval, median, ratio
from memx.engine.collector.optimizer import collector_kind
from memx.engine.collector.setting import OWN_CHOICE, CollectorSetting
from memx.engine.memory.strategy import GC_THRESHOLDS, ExtractionStrategy
from memx.errors import MemxError

RUNS = 10
FEWEST_PAIRS = 6
"""Of fewer pairs there is no interval at 95 %: see `memx.engine.analysis.statistics`."""
FASTER, LEANER = 0.03, 0.05
"""Less time, or less peak, by this part is a gain worth a setting."""
DEARER = 0.10
"""More peak, or more time, by this part is no price for any gain."""
_FINALISTS = 2
_FACTORS = (0.25, 4.0, 16.0)
"""Of the best strategy's threshold0, which are tried."""


@dataclass(frozen=True, slots=True)
class Measurement:
    """What one run over all files took: seconds, and bytes of resident memory at the peak."""

    elapsed_s: float
    cpu_s: float
    peak: int
    collections: int
    pause_s: float
    exact: bool = True
    """Whether the kernel counted the peak."""


Run = Callable[[CollectorSetting, Sequence[str]], Measurement]
"""Reads the files under a setting, in a process of its own. Raises MemxError where that does not come to its end."""


class Verdict(StrEnum):
    """What became of a candidate."""

    RECOMMENDED = "recommended"
    GOOD = "good"
    """A real gain, but another candidate's is better."""
    REFUSED = "refused"
    """It costs too much memory or time."""
    FAILED = "failed"
    """The files could not be read under it."""
    NO_GAIN = "no-gain"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A candidate beside the setting in force: ratios of pairs, below 1 where the candidate takes less."""

    elapsed: Interval
    cpu: Interval
    peak: Interval

    @classmethod
    def of(cls, pairs: Sequence[tuple[Measurement, Measurement]], seed: int) -> "Comparison":
        """Of pairs of the setting in force and the candidate."""

        def of(figure: Callable[[Measurement], float]) -> Interval:
            # a process's clock may stand still for less than its tick
            return ratio([max(figure(a), 1e-6) for a, _ in pairs], [max(figure(b), 1e-6) for _, b in pairs], seed=seed)

        return cls(of(lambda run: run.elapsed_s), of(lambda run: run.cpu_s), of(lambda run: run.peak))

    @property
    def cost(self) -> float:
        """The ratio of time times memory, the space-time product of Denning ("Working Sets Past and Present", 1980).

        The time is the processor's: that of the clock is mostly of what else the machine does.
        """
        return self.cpu.estimate * self.peak.estimate

    @property
    def promises(self) -> bool:
        """Whether it may be a gain: half of one is seen, at no price that is refused."""
        gains = self.cpu.estimate < 1 - FASTER / 2 or self.peak.estimate < 1 - LEANER / 2
        return gains and self.cost < 1 and self.price is None

    @property
    def gains(self) -> bool:
        """Whether it surely is one: of the processor's time, which the clock does not deny, or of peak."""
        sure = self.cpu.estimate <= 1 - FASTER and self.cpu.high < 1
        faster = sure and self.elapsed.estimate < 1 - FASTER / 2
        leaner = self.peak.estimate <= 1 - LEANER and self.peak.high < 1
        return (faster or leaner) and self.cost < 1

    @property
    def price(self) -> str | None:
        """What it costs that is too dear for whatever it gains."""
        if self.peak.estimate > 1 + DEARER:
            return f"it raises the peak by {percent(self.peak.estimate - 1)}"
        if self.cpu.estimate > 1 + DEARER and self.peak.estimate <= 1 - LEANER:
            return f"it takes {percent(self.cpu.estimate - 1)} more time"
        return None

    def __str__(self) -> str:
        return f"{_change(self.cpu, 'processor time')}, {_change(self.peak, 'memory')}"


@dataclass(slots=True)
class Candidate:
    """A setting, its runs, and what became of it."""

    setting: CollectorSetting
    runs: list[Measurement] = field(default_factory=list)
    comparison: Comparison | None = None
    """Of its confirming runs where it had some, else of those that were to find out what is promising."""
    confirmed: bool = False
    """Whether that is of confirming runs."""
    verdict: Verdict = Verdict.NO_GAIN
    reason: str = ""

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it: medians of all runs; ratios with their intervals at 95 %."""
        compared = self.comparison
        return {
            "name": str(self.setting),
            "setting": self.setting.as_table(),
            "runs": len(self.runs),
            **medians(self.runs),
            "confirmed": self.confirmed,
            "ratios": compared and {name: getattr(compared, name).as_dict() for name in ("elapsed", "cpu", "peak")},
            "verdict": str(self.verdict),
            "reason": self.reason,
        }


@dataclass(frozen=True, slots=True)
class Tuning:
    """What came out: `recommended` is None where the setting in force is best left alone."""

    baseline: Candidate
    candidates: list[Candidate]
    recommended: Candidate | None
    reason: str

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "collector": collector_kind(),
            "baseline": {
                "name": str(self.baseline.setting),
                "setting": self.baseline.setting.as_table(),
                "runs": len(self.baseline.runs),
                **medians(self.baseline.runs),
            },
            "candidates": [candidate.as_dict() for candidate in self.candidates],
            "recommendation": self.recommended and self.recommended.setting.as_table(),
            "reason": self.reason,
        }


def medians(runs: Sequence[Measurement]) -> dict[str, Any]:
    """The medians of the figures of `runs`; each None where there is none."""
    if not runs:
        return dict.fromkeys(("elapsed_s", "cpu_s", "peak", "collections", "pause_s"))
    found = {name: median(getattr(run, name) for run in runs) for name in asdict(runs[0]) if name != "exact"}
    return {name: round(value) if name in ("peak", "collections") else round(value, 6) for name, value in found.items()}


class Experiment:
    """Tries settings over `files` with `run`, beside `current`, which is in force.

    `runs` is how often the most promising are run, and at least `FEWEST_PAIRS`; `progress` is told after each run
    how many are done, of how many at most.
    """

    def __init__(
        self,
        run: Run,
        files: Sequence[str],
        *,
        current: CollectorSetting = OWN_CHOICE,
        runs: int = RUNS,
        seed: int = 0,
        progress: Callable[[int, int], None] = lambda _done, _most: None,
    ) -> None:
        self._run = run
        self._files = files
        self._baseline = Candidate(current)
        self._candidates: dict[CollectorSetting, Candidate] = {}
        self._exploring, self._confirming = max(2, round(runs * 0.3)), max(runs, FEWEST_PAIRS)
        self._seed = seed
        self._order = random.Random(seed)
        self._progress = progress
        self._done = 0
        tried = len(ExtractionStrategy) + len(_FACTORS) + 3  # memx's own choice, frozen imports, disabled
        self._most = (tried + 2) * self._exploring + (_FINALISTS + 1) * self._confirming

    def result(self) -> Tuning:
        """Runs all of it. Raises MemxError where the files cannot be read under the setting in force."""
        strategies = self._explore([OWN_CHOICE, *map(CollectorSetting, ExtractionStrategy)])
        best = min(strategies, key=_cost, default=self._baseline).setting.strategy or ExtractionStrategy.BALANCED
        self._explore(around(best))
        promising = [one for one in self._candidates.values() if one.comparison and one.comparison.promises]
        finalists = sorted(promising, key=_cost)[:_FINALISTS]
        if finalists:
            self._confirm(finalists)
        return self._judged(finalists)

    def _explore(self, settings: Iterable[CollectorSetting]) -> list[Candidate]:
        """Tries those of `settings` that are new; they, without those that failed."""
        new = [
            Candidate(setting)
            for setting in settings
            if setting != self._baseline.setting and setting not in self._candidates
        ]
        self._candidates |= {candidate.setting: candidate for candidate in new}
        self._compare(new, self._exploring)
        return [candidate for candidate in new if candidate.comparison]

    def _confirm(self, finalists: Sequence[Candidate]) -> None:
        for candidate in finalists:
            candidate.comparison = None
        self._compare(finalists, self._confirming)
        for candidate in finalists:
            candidate.confirmed = candidate.comparison is not None

    def _compare(self, candidates: Sequence[Candidate], rounds: int) -> None:
        """Runs each of `candidates` so many times, beside the setting in force."""
        pairs: dict[CollectorSetting, list[tuple[Measurement, Measurement]]] = defaultdict(list)
        for _ in range(rounds):
            block = [self._baseline, *(one for one in candidates if one.verdict is not Verdict.FAILED)]
            self._order.shuffle(block)
            measured = {id(one): self._measured(one) for one in block}
            beside = measured[id(self._baseline)]
            for one in block:
                found = measured[id(one)]
                if one is not self._baseline and beside is not None and found is not None:
                    pairs[one.setting].append((beside, found))
        for one in candidates:
            if one.verdict is not Verdict.FAILED:
                one.comparison = Comparison.of(pairs[one.setting], self._seed)

    def _measured(self, candidate: Candidate) -> Measurement | None:
        """One run; None where the candidate failed. Raises MemxError where the setting in force does."""
        try:
            found = self._run(candidate.setting, self._files)
        except MemxError as exc:
            if candidate is self._baseline:
                raise
            candidate.verdict, candidate.reason = Verdict.FAILED, exc.message
            return None
        finally:
            self._done += 1
            self._progress(self._done, self._most)
        candidate.runs.append(found)
        return found

    def _judged(self, finalists: Sequence[Candidate]) -> Tuning:
        good = []
        for candidate in self._candidates.values():
            compared = candidate.comparison
            if compared is None:
                continue
            if compared.price is not None:
                candidate.verdict, candidate.reason = Verdict.REFUSED, compared.price
            elif candidate in finalists and compared.gains:
                candidate.verdict = Verdict.GOOD
                candidate.reason = str(compared)
                good.append(candidate)
            else:
                candidate.reason = "the gain is not sure" if candidate in finalists else "no gain worth a setting"
        best = min(good, key=_cost, default=None)
        if best is None:
            gains = f"{percent(FASTER)} less time or {percent(LEANER)} less memory"
            reason = f"leave it alone: nothing that was tried surely takes {gains}"
        else:
            best.verdict = Verdict.RECOMMENDED
            reason = f"{best.setting}: {best.reason}"
        return Tuning(self._baseline, list(self._candidates.values()), best, reason)


def around(strategy: ExtractionStrategy) -> list[CollectorSetting]:
    """What is tried beside the strategies, where `strategy` was the best of them."""
    first = GC_THRESHOLDS[strategy][0]
    swept = [CollectorSetting(threshold0=max(1, round(first * factor))) for factor in _FACTORS]
    return [*swept, CollectorSetting(freeze=True), CollectorSetting(disabled=True)]


def _cost(candidate: Candidate) -> float:
    return candidate.comparison.cost if candidate.comparison else float("inf")


def _change(found: Interval, what: str) -> str:
    """`12 % less time (10 to 14 %)`."""
    if round(100 * abs(found.estimate - 1)) == 0:
        return f"as much {what}"
    change = f"{percent(abs(found.estimate - 1))} {'less' if found.estimate < 1 else 'more'} {what}"
    if not found.excludes(1.0):
        return f"{change} (not sure)"
    low, high = sorted((abs(found.low - 1), abs(found.high - 1)))
    return f"{change} ({percent(low)} to {percent(high)})"


def percent(part: float) -> str:
    """`12 %` of 0.12."""
    return f"{100 * part:.0f} %"
