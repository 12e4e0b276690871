"""Closed captions in samples of boxes (QuickTime File Format, "Closed Captioning Media"), as FFmpeg repacks them."""

from collections.abc import Iterable, Iterator

from memx.formats.video.isobmff.boxes import Space
from memx.formats.video.isobmff.edits import Entry

_LARGEST = 1 << 16
"""Larger samples are no captions, and left as they are."""


def repacked(space: Space, entries: Iterable[Entry]) -> Iterator[Entry]:
    """The entries of a `c608` track with the sizes of FFmpeg's packets: three bytes for each pair of characters."""
    for entry in entries:
        pos, size = entry[0], entry[2]
        if 8 < size <= _LARGEST and pos + size <= space.end:
            yield (*entry[:2], 3 * _pairs(space.read(pos, size)), *entry[3:])
        else:
            yield entry


def _pairs(data: bytes) -> int:
    """The pairs of characters in the `cdat` and `cdt2` boxes of a sample."""
    at = pairs = 0
    while at + 10 <= len(data):
        length = int.from_bytes(data[at : at + 4], "big") - 8
        if length < 2 or length % 2 or at + 8 + length > len(data):
            break
        if data[at + 4 : at + 8] in (b"cdat", b"cdt2"):
            pairs += length // 2
        at += 8 + length
    return pairs
