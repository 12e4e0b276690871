"""Packets that FFmpeg looks at before it describes the streams, where the tables do not tell the rate of all frames.

What it measures on them is the rate of the stream, and how long it says that later packets last
(`avformat_find_stream_info`; `memx.formats.video.probe` has it for containers that say less of their packets).
"""

from collections.abc import Iterable
from fractions import Fraction

from memx.formats.video.isobmff.model import Track
from memx.formats.video.isobmff.names import LENGTHLESS
from memx.formats.video.isobmff.times import COARSE, rescale
from memx.formats.video.probe import ENOUGH_BYTES, ENOUGH_TEXT_TIME, ENOUGH_TIME, NEVER_SURE, frames_wanted
from memx.formats.video.rates import Intervals
from memx.records import Record

_SECOND = 1_000_000
_MOST_PACKETS = 1 << 16


class Looked:
    """What is seen of one stream; `intervals` and `rate` are what the tables told of its frames."""

    def __init__(self, track: Track, scale: int, intervals: Intervals | None, rate: Fraction | None) -> None:
        self.rate = rate
        self.queued = 0
        """Packets that were read."""
        self._track = track
        self._scale = scale
        base = Fraction(1, scale)
        self._intervals = intervals or Intervals(base)
        self._intervals.begin_again()
        self._unsure = rate is None and (not 5 <= scale < 101 or track.codec in NEVER_SURE or track.tag == b"mp4v")
        self._wanted = frames_wanted(base) if self._unsure and track.kind == "video" else 0
        self._counted = 0
        """How long those from the third on last."""

    @property
    def known(self) -> bool:
        """Whether FFmpeg needs no more packets of this stream."""
        track = self._track
        if track.codec is None:
            return track.kind == "data"
        return track.kind not in ("video", "audio") or (self.queued > 0 and self._intervals.count >= self._wanted)

    def see(self, packet: Record) -> bool:
        """Takes note of a packet; whether it is the last one that is looked at, for the time that has passed."""
        track, number = self._track, self.queued
        self.queued += 1
        if number > 1:
            if self._elapsed(number) >= (ENOUGH_TEXT_TIME if track.kind == "subtitle" else ENOUGH_TIME):
                return True
            if track.codec not in LENGTHLESS:
                self._counted += packet["duration"] or 0
            elif self._scale < COARSE:
                self._counted += 1
        if track.kind == "video":
            self._intervals.add(packet["dts"])
        return False

    def _elapsed(self, packets: int) -> int:
        """Microseconds."""
        track = self._track
        elapsed = rescale(self._counted, _SECOND, self._scale)
        if track.kind == "video" and track.fps_frames and track.fps_duration:
            passed = rescale(packets * track.fps_duration, _SECOND, track.fps_frames * track.time_scale)
            elapsed = max(elapsed, passed)
        return elapsed

    def settle(self) -> None:
        """Sets the rate of frames that was measured."""
        if self._unsure:
            self.rate = self._intervals.rate(self._counted)


def look(streams: dict[int, Looked], packets: Iterable[Record]) -> bool:
    """Has `streams`, by index, see of `packets` those that FFmpeg looks at; whether these are enough for it."""
    enough, size = False, 0
    for number, packet in enumerate(packets):
        size += packet["size"]
        enough = streams[packet["stream_index"]].see(packet) or number >= _MOST_PACKETS or size >= ENOUGH_BYTES
        if enough or all(stream.known for stream in streams.values()):
            enough = True
            break
    for stream in streams.values():
        stream.settle()
    return enough
