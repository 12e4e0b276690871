"""What an extraction will peak at, from those that were seen.

The rule of Ponder ("Online Prediction of Task Memory Requirements for Scientific Workflows",
eScience 2024): a line where size and peak correlate, else the highest peak; with
room for error. Size alone explains half of real processes, so the line is used only where it holds.
"""

import math
from collections import defaultdict, deque
from collections.abc import Sequence

from memx.engine.memory.process import resident

MARGIN = 128 << 20
CORRELATED = 0.3
_ENOUGH = 3
_STANDS = 32
"""Runs for which a prediction stands."""
_REMEMBERED, _KINDS = 256, 64
"""Runs that are remembered of a kind of files, and kinds."""


def predict_peak(sizes: Sequence[int], peaks: Sequence[int], size: int | None) -> int | None:
    """The peak in bytes that a file of `size` bytes should stay below; None where nothing was seen.

    `sizes` and `peaks` are those of the runs seen, in the same order.
    """
    if not peaks:
        return None
    highest = max(peaks)
    if size is None or len(peaks) < _ENOUGH:
        return highest + MARGIN
    n = len(peaks)
    mean_size, mean_peak = sum(sizes) / n, sum(peaks) / n
    spread = sum((x - mean_size) ** 2 for x in sizes)
    scatter = sum((y - mean_peak) ** 2 for y in peaks)
    joint = sum((x - mean_size) * (y - mean_peak) for x, y in zip(sizes, peaks, strict=True))
    if spread == 0 or scatter == 0 or joint / math.sqrt(spread * scatter) <= CORRELATED:
        return highest + MARGIN
    slope = joint / spread
    line = mean_peak + slope * (size - mean_size)
    # runs of a size near this one say most about how far off the line may be
    weights = [1 / (1 + abs(x - size) / (mean_size or 1)) for x in sizes]
    off = sum(w * (y - mean_peak - slope * (x - mean_size)) ** 2 for w, x, y in zip(weights, sizes, peaks, strict=True))
    sigma = math.sqrt(off / sum(weights))
    return round(min(max(line, min(peaks)), highest) + max(MARGIN, 2 * sigma))


class PeakHistory:
    """What the files of each kind peaked at, of the last ones that were read, and so what the next one will."""

    def __init__(self) -> None:
        self._runs: dict[str, deque[tuple[int, int]]] = defaultdict(lambda: deque(maxlen=_REMEMBERED))
        self._said: dict[tuple[str, int | None], tuple[int, int | None]] = {}
        self._noted = 0

    def predict(self, kind: str, size: int | None) -> int:
        """Resident bytes that the next file of this `kind` should stay below: see `predict_peak`.

        For the first that is what memx has now, and the same room for error.
        """
        predicted = self._predicted(kind, size)
        return resident() + MARGIN if predicted is None else predicted

    def expect(self, kind: str, size: int | None) -> int:
        """Resident bytes that the next file of this `kind` may well take; 0 where nothing was seen.

        Without the room for error: a file that was refused memory for want of it is read again.
        """
        predicted = self._predicted(kind, size)
        return 0 if predicted is None else predicted - MARGIN

    def note(self, kind: str, size: int | None, peak: int) -> None:
        """A file of this `kind` was read."""
        if size is not None and peak:
            if kind not in self._runs and len(self._runs) >= _KINDS:
                self._runs.clear()
            self._runs[kind].append((size, peak))
            self._noted += 1

    def _predicted(self, kind: str, size: int | None) -> int | None:
        """The same for a while for files of the same size: what a few runs more would tell is not worth their time."""
        asked_at, said = self._said.get((kind, size), (-_STANDS, None))
        if said is not None and self._noted - asked_at < _STANDS:
            return said
        runs = self._runs.get(kind, ())
        said = predict_peak([size for size, _ in runs], [peak for _, peak in runs], size)
        if len(self._said) >= _REMEMBERED:
            self._said.clear()
        if len(runs) > _STANDS:
            self._said[kind, size] = (self._noted, said)
        return said
