"""Whether an MPEG audio file says how long it is."""

from memx.formats.framesync import mpeg_frame
from memx.sources import Source

_MOST_TAGS = 100
_SEARCHED = 1 << 14
"""Bytes behind the tags in which a first frame is looked for."""


def says_its_length(source: Source) -> bool:
    """Whether the first frame carries a count of frames, as LAME and others write it ("Xing" or "Info").

    What comes before may be ID3v2 tags and other bytes. Where there is no count,
    libsndfile guesses the length from the first frames, and stops when that is reached.
    """
    data = source.read_at(behind_tags(source), _SEARCHED)
    at = data.find(b"\xff")
    while at >= 0:
        length, _ = mpeg_frame(data, at)
        if length and (at + length + 4 > len(data) or mpeg_frame(data, at + length)[0]):
            return _counts_frames(data, at)
        at = data.find(b"\xff", at + 1)
    return False


def _counts_frames(data: bytes, at: int) -> bool:
    """Whether the frame at `at` has the tag behind its side information, and a count of frames in that."""
    first, mono = data[at + 1] & 8, data[at + 3] >> 6 == 3
    tag = at + 4 + ((17 if mono else 32) if first else (9 if mono else 17))
    return data[tag : tag + 4] in (b"Xing", b"Info") and bool(data[tag + 7 : tag + 8]) and bool(data[tag + 7] & 1)


def behind_tags(source: Source) -> int:
    """Where the ID3v2 tags at the head of a file say that they end (ID3v2 4.0, 3.1 and 3.4); 0 without tags."""
    at = 0
    for _ in range(_MOST_TAGS):
        header = source.read_at(at, 10)
        if header[:3] != b"ID3" or len(header) < 10:
            break
        size = 0
        for byte in header[6:]:
            size = size << 7 | byte & 127
        at += 10 + size + (10 if header[5] & 16 else 0)
    return at
