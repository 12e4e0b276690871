"""Whether a stream of frames without a container ends with a whole frame: nothing at its head says how long it is."""

from collections.abc import Callable

from memx.errors import TruncatedFile
from memx.formats.framesync import Frame, ac3_frame, adts_frame, frames_in_a_row, mpeg_frame
from memx.sources import Source

_TAIL = 1 << 16
"""Bytes at the end of a file in which frames are looked for: many of them, the longest have 8,191."""
_SURE = 4
"""Frames in a row that are no chance."""
_LONGEST_BLOCK = 1 << 20
"""Of WavPack (its file format description, 2.0: blocks have less than a megabyte)."""
_FRAMES: dict[str, tuple[Callable[[bytes, int], Frame], bytes, int]] = {
    "mp3": (mpeg_frame, b"\xff", 4),
    "aac": (adts_frame, b"\xff", 7),
    "ac3": (ac3_frame, b"\x0b\x77", 6),
    "eac3": (ac3_frame, b"\x0b\x77", 6),
}
"""By FFmpeg's name of the container: how a frame is told, how it begins, and the bytes of its header."""


def cut_frame(source: Source, container: str) -> TruncatedFile | None:
    """The error of a stream that ends inside a frame; None where that cannot be told."""
    size = source.size or 0
    if container not in ("wv", "tta") and container not in _FRAMES:
        return None
    begin = max(0, size - (_LONGEST_BLOCK if container == "wv" else _TAIL))
    tail = source.read_at(begin, size - begin)
    if container in _FRAMES:
        end = _end_of_frames(tail, *_FRAMES[container])
    else:
        end = _end_of_block(tail) if container == "wv" else 0  # where frames end, True Audio says at its head
    for what, reaches in (("frame", begin + end), ("tag", begin + _end_of_tag(tail))):
        if reaches > size:
            return TruncatedFile(
                f"the file ends at byte {size}, inside a {what} that reaches to {reaches}", offset=size
            )
    return None


def _end_of_frames(tail: bytes, frame_at: Callable[[bytes, int], Frame], sync: bytes, header: int) -> int:
    """Where the last of the frames in a row ends; what follows them, tags mostly, is none of them."""
    at = tail.find(sync)
    while at >= 0 and frames_in_a_row(tail, at, frame_at, _SURE) < _SURE:
        at = tail.find(sync, at + 1)
    if at < 0:
        return 0
    length, common = frame_at(tail, at)
    same = common
    while length and same == common:
        at += length
        length, same = frame_at(tail, at)
    rest = tail[at : at + header]
    cut = 0 < len(rest) < header and rest.startswith(sync[: len(rest)])
    return at + header if cut else at


def _end_of_block(tail: bytes) -> int:
    """Where the last block of WavPack ends (file format description, 2.0: its size counts all but eight bytes)."""
    at = tail.rfind(b"wvpk")
    while at >= 0:
        version = int.from_bytes(tail[at + 8 : at + 10], "little")
        if 0x402 <= version <= 0x410:
            return at + 8 + int.from_bytes(tail[at + 4 : at + 8], "little")
        at = tail.rfind(b"wvpk", 0, at)
    return 0


def _end_of_tag(tail: bytes) -> int:
    """Where an APE tag behind the sound ends that has a header (APEv2: its size counts the footer alone)."""
    at = tail.rfind(b"APETAGEX")
    if at >= 0 and len(tail) < at + 32:
        return at + 32
    if at < 0 or not tail[at + 23] & 32:  # the footer, or none
        return 0
    return at + 32 + int.from_bytes(tail[at + 12 : at + 16], "little")
