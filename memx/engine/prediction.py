"""What an extraction will peak at, from those that were seen.

The rule of Ponder ("Online Prediction of Task Memory Requirements for Scientific Workflows",
eScience 2024): a line where size and peak correlate, else the highest peak; with
room for error. Size alone explains half of real processes, so the line is used only where it holds.
"""

import math
from collections.abc import Sequence

MARGIN = 128 << 20
CORRELATED = 0.3
_ENOUGH = 3


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
