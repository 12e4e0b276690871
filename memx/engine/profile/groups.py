"""What the files of one format, read by one extractor, cost: sums over all of them, and a sample of them."""

from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

from memx.engine.analysis.statistics import growth_exponent, median, percentile, slope
from memx.engine.profile.sampling import Sample, Top
from memx.records import Record

MOST = 1000
"""Files of a group that medians, slopes and comparisons are made of; of more, so many are drawn."""
_NAMED = 3
"""Files that failed and are named."""
_OVERHEAD = 3.0
"""What takes less than so many times the least time is mostly what every reading takes."""

Key = tuple[str | None, str | None]
"""A format, and an extractor."""


class Group:
    """Takes `profile` records of one `Key`."""

    def __init__(self, key: Key) -> None:
        self.format, self.extractor = key
        self.files = self.bytes = self.failed = self.collections = 0
        self.elapsed_s = self.pause_s = 0.0
        self.highest: dict[str, float] = {"elapsed_s": 0.0, "peak_rss": 0}
        self.codes: Counter[str] = Counter()
        self.failures: list[Record] = []
        self.greedy: Top[Record] = Top(1)
        """What took most memory beside the size of its file."""
        self.exact = True
        self.sample: Sample[Record] = Sample(MOST)
        self.repeats: list[Record] = []
        """What was read again and again: a sample of it, and what leaks."""

    @property
    def key(self) -> Key:
        """Its format and extractor."""
        return self.format, self.extractor

    @property
    def name(self) -> str:
        """For people."""
        return " ".join(filter(None, (self.format or "unreadable", self.extractor and f"by {self.extractor}")))

    def add(self, record: Record) -> None:
        """Takes one more file."""
        metrics = record["metrics"]
        self.files += 1
        self.bytes += record["size"] or 0
        self.elapsed_s += metrics["elapsed_s"]
        for name in self.highest:
            self.highest[name] = max(self.highest[name], metrics[name])
        self.collections += metrics["gc"]["collections"]
        self.pause_s += metrics["gc"]["pause_s"]
        self.exact &= metrics["peak_exact"]
        if record["status"] != "complete":
            self.failed += 1
            self.codes[record["code"] or "unknown"] += 1
            self.failures += [record] * (len(self.failures) < _NAMED)
        self.greedy.add(metrics["peak_rss_delta"], record)
        self.sample.add(record["path"], record)
        if "repeat" in record:
            self.repeated(record)

    def repeated(self, record: Record) -> None:
        """Takes what a file's repetitions left behind."""
        leaks = record["repeat"]["verdict"] == "leak"
        if len(self.repeats) < MOST or leaks:
            self.repeats = [*self.repeats[-MOST + 1 :], record]

    def complete(self) -> list[Record]:
        """The files of the sample that were read to their end, each in a worker of its own."""
        return [record for record in self.sample if record["status"] == "complete" and record["worker"]["own"]]

    def figures(self) -> dict[str, Any]:
        """All of it, as JSON has it."""
        records = list(self.sample)
        good = self.complete()
        return {
            "format": self.format,
            "extractor": self.extractor,
            "files": self.files,
            "bytes": self.bytes,
            "failed": self.failed,
            "codes": dict(self.codes),
            "sampled": None if self.sample.complete else len(self.sample),
            "elapsed_s": self._spread(records, "elapsed_s") | {"total": round(self.elapsed_s, 6)},
            "peak_rss": self._spread(records, "peak_rss"),
            "peak_exact": self.exact,
            "mean_rss": round(_mean(record["metrics"]["mean_rss"] for record in records)),
            "peak_to_size": _ratio(records, "peak_rss"),
            "growth_to_size": _ratio(records, "peak_rss_delta"),
            "slope": slope(*points(good, peak)).as_dict(),
            "time_exponent": growth_exponent(*points(good, own_time)).as_dict(),
            "bytes_per_second": round(self.bytes / self.elapsed_s) if self.elapsed_s else None,
            "gc": {"collections": self.collections, "pause_s": round(self.pause_s, 6)},
            "repeat": self._repeat(),
        }

    def _spread(self, records: list[Record], name: str) -> dict[str, Any]:
        values = [record["metrics"][name] for record in records]
        digits = 6 if name.endswith("_s") else None
        return {
            "median": round(median(values), digits) if values else None,
            "p95": round(percentile(values, 0.95), digits) if values else None,
            "max": self.highest[name],
        }

    def _repeat(self) -> dict[str, Any] | None:
        """What the file that leaves most behind leaves."""
        worst = max(self.repeats, key=_left_behind, default=None)
        if worst is None:
            return None
        verdicts = Counter(str(record["repeat"]["verdict"]) for record in self.repeats)
        return {"path": worst["path"], "files": len(self.repeats), "verdicts": dict(verdicts), **worst["repeat"]}


_GRAVITY = ("leak", "cycle-garbage", "allocator-retention", "one-off-peak", "steady")


def _left_behind(record: Record) -> tuple[int, float]:
    repeat = record["repeat"]
    gravity = _GRAVITY.index(repeat["verdict"]) if repeat["verdict"] in _GRAVITY else len(_GRAVITY)
    return -gravity, repeat.get("bytes_per_call", 0)


def peak(record: Record) -> float:
    """Bytes."""
    return float(record["metrics"]["peak_rss"])


def own_time(record: Record) -> float:
    """Seconds without those in the queue for a processor; at least a microsecond."""
    metrics = record["metrics"]
    return max(1e-6, float(metrics["elapsed_s"]) - float(metrics.get("queued_s", 0.0)))


def points(records: Iterable[Record], figure: Callable[[Record], float]) -> tuple[list[float], list[float]]:
    """The sizes, and that figure, of those of which the size is known."""
    found = [(float(record["size"]), figure(record)) for record in records if record["size"]]
    return [size for size, _ in found], [value for _, value in found]


def above_overhead(sizes: list[float], times: list[float]) -> tuple[list[float], list[float]]:
    """Those of the points of which the time is mostly the file's, and not what every reading takes."""
    least = min(times, default=0.0) * _OVERHEAD
    kept = [(size, time) for size, time in zip(sizes, times, strict=True) if time >= least]
    return [size for size, _ in kept], [time for _, time in kept]


def _mean(values: Iterable[float]) -> float:
    found = list(values)
    return sum(found) / len(found) if found else 0.0


def _ratio(records: list[Record], name: str) -> float | None:
    ratios = [record["metrics"][name] / record["size"] for record in records if record["size"]]
    return round(median(ratios), 4) if ratios else None
