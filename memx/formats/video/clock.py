"""The times of packets, as FFmpeg completes them from what a container says (`compute_pkt_fields` of libavformat).

A container may give a packet only the time at which it is shown (Matroska), or only the place in the order of
decoding (AVI). FFmpeg fills in the rest, and ffprobe shows that. Times count the stream's time base; NO_TIME is
none. Before anything absolute is known, times count from RELATIVE, and are shifted when it is.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from fractions import Fraction

NO_TIME = -(1 << 63)
RELATIVE = (1 << 63) - 1 - (1 << 48)
_MOST_REORDER = 16
_MOST_DURATION = (1 << 31) - 1


def is_relative(time: int) -> bool:
    """Whether `time` counts from RELATIVE."""
    return time > RELATIVE - (1 << 48)


def absolute(time: int) -> int:
    """`time` as it is shown: what is relative to nothing known begins at nought."""
    return time - RELATIVE if time > RELATIVE - (1 << 48) else time


def rescale(value: int, factor: Fraction) -> int:
    """`value * factor`, rounded to the nearest, halves away from nought (`av_rescale_q`)."""
    top, bottom = value * factor.numerator, factor.denominator
    return (2 * top + bottom) // (2 * bottom) if top >= 0 else -((2 * -top + bottom) // (2 * bottom))


@dataclass(slots=True)
class Packet:
    """A packet on its way; `kind` is what its parser says of the picture, None where it was not parsed."""

    stream: int
    pts: int
    dts: int
    duration: int
    size: int
    pos: int | None
    key: bool
    kind: int | None = None
    offset: int = 0
    """Where it begins in what the container had as one packet, for sound that is parsed anew."""
    corrupt: bool = False
    """Whether it is cut off."""


_BIDIRECTIONAL = 2


@dataclass(slots=True)
class Clock:
    """The times of one stream; `complete` is called for each of its packets in their order."""

    kind: str
    base: Fraction
    """Seconds of a unit of time."""
    delay: int = 0
    """How many pictures are held back for their order."""
    in_order: bool = True
    """Whether a picture comes out for every one that goes in: for codecs other than H.264 and its successors."""
    parsed: bool = False
    """Whether FFmpeg has a parser look at each packet."""
    by_offset: bool = False
    """Whether a parser cuts packets of sound anew, so that their times follow from their places."""
    intra_only: bool = False
    rate: Fraction | None = None
    """Frames a second, as the bit stream says."""
    fields: bool = False
    frame_rate: Fraction | None = None
    """The frame rate that the container says, or that was measured (`r_frame_rate`)."""
    samples: int = 0
    """Samples of a packet of sound, where the container does not say how long it is."""
    measure: Callable[[int], int] | None = None
    """How many samples a packet of so many bytes has, where that is told by its size."""
    sample_rate: int = 0
    skipped: int = 0
    """Units of time at the beginning of a first packet that are not to be heard: `start` is behind them."""
    undecided: int = 0
    """How many more pictures pass before FFmpeg believes in `delay`, and gives times of decoding."""

    start: int = NO_TIME
    first_dts: int = NO_TIME
    cur_dts: int = RELATIVE
    _last_shown: int = NO_TIME
    _last_duration: int = 0
    _window: list[int] = field(default_factory=lambda: [NO_TIME] * (_MOST_REORDER + 1))
    _ordered: int = 0
    _misordered: int = 0
    _last_checked: int = NO_TIME
    _durations_done: bool = False

    def complete(self, packet: Packet, queue: list[Packet]) -> None:
        """Fills in what `packet` lacks; `queue` holds the packets before it that were not given away yet."""
        if self.kind == "video" and packet.dts != NO_TIME:
            self._check_order(packet)
        if packet.kind == _BIDIRECTIONAL and not self.delay:
            self.delay = 1
        delay = self.delay
        delayed = bool(delay) and packet.kind is not None and packet.kind != _BIDIRECTIONAL
        if delay == 1 and packet.dts == packet.pts != NO_TIME and delayed:
            packet.dts = NO_TIME
        step = packet.duration * self.base
        if packet.duration <= 0:
            frame = self.frame_duration(packet)
            if frame:
                step = frame
                packet.duration = frame.numerator * self.base.denominator // (frame.denominator * self.base.numerator)
        if packet.duration > 0 and queue:
            self._fill_durations(packet.duration, packet.stream, queue)
        if self.by_offset and packet.size:
            self._shift(packet, rescale(packet.offset, Fraction(packet.duration, packet.size)))
        if NO_TIME not in (packet.dts, packet.pts) and packet.pts > packet.dts:
            delayed = True
        if self.in_order and (delay == 0 or (delay == 1 and self.parsed)):
            self._interpolate(packet, step, delayed, queue)
        if packet.pts != NO_TIME and delay <= _MOST_REORDER:
            window = self._window
            _insert(window, packet.pts, delay)
            if packet.dts == NO_TIME and not self.undecided:
                packet.dts = window[0]
        if not self.in_order:
            self._begin(packet.dts, packet.pts, packet.stream, queue)
        if packet.dts > self.cur_dts:
            self.cur_dts = packet.dts
        if self.intra_only:
            packet.key = True

    def window(self) -> list[int]:
        """The times that are held back, sorted; the first was given as a time of decoding.

        Whoever completes packets by itself goes on with them in this very list, as `complete` does then.
        """
        del self._window[self.delay + 1 :]
        return self._window

    def frame_duration(self, packet: Packet) -> Fraction | None:
        """Seconds of a packet whose length the container does not say (`compute_frame_duration`); None unknown."""
        if self.kind == "audio":
            samples = self.measure(packet.size) if self.measure is not None else self.samples
            return Fraction(samples, self.sample_rate) if samples > 0 and self.sample_rate > 0 else None
        if self.kind != "video":
            return None
        if self.frame_rate and not (self.parsed and self.rate):
            return 1 / self.frame_rate
        if self.base * 1000 > 1:
            return self.base
        if self.rate and self.rate < 1000:
            # a frame of a codec with fields is two of them, as its parser says
            return None if self.fields and not self.parsed else 1 / self.rate
        return None

    def _check_order(self, packet: Packet) -> None:
        """Whether a container's decoding times may be believed."""
        if packet.dts == packet.pts and self._last_checked != NO_TIME:
            if self._last_checked <= packet.dts:
                self._ordered += 1
            else:
                self._misordered += 1
            if self._ordered + self._misordered > 250:
                self._ordered >>= 1
                self._misordered >>= 1
        self._last_checked = packet.dts
        if self._ordered < 8 * self._misordered and packet.dts == packet.pts:
            packet.dts = NO_TIME

    def _shift(self, packet: Packet, offset: int) -> None:
        if packet.pts != NO_TIME:
            packet.pts += offset
        if packet.dts != NO_TIME:
            packet.dts += offset

    def _interpolate(self, packet: Packet, step: Fraction, delayed: bool, queue: list[Packet]) -> None:
        if delayed:
            if packet.dts == NO_TIME:
                packet.dts = self._last_shown
            self._begin(packet.dts, packet.pts, packet.stream, queue)
            if packet.dts == NO_TIME:
                packet.dts = self.cur_dts
            if not self._last_duration and 0 <= packet.duration <= _MOST_DURATION:
                self._last_duration = packet.duration
            if packet.dts != NO_TIME:
                self.cur_dts = packet.dts + self._last_duration
            if 0 <= packet.duration <= _MOST_DURATION:
                self._last_duration = packet.duration
            self._last_shown = packet.pts
        elif packet.pts != NO_TIME or packet.dts != NO_TIME or packet.duration > 0:
            if packet.pts == NO_TIME:
                packet.pts = packet.dts
            self._begin(packet.pts, packet.pts, packet.stream, queue)
            if packet.pts == NO_TIME:
                packet.pts = self.cur_dts
            packet.dts = packet.pts
            if packet.pts != NO_TIME:
                self.cur_dts = _add(self.base, packet.pts, step)

    def _begin(self, dts: int, pts: int, stream: int, queue: list[Packet]) -> None:
        """The first absolute time: what was relative before it is shifted (`update_initial_timestamps`)."""
        if self.first_dts != NO_TIME or dts == NO_TIME or self.cur_dts == NO_TIME or is_relative(dts):
            return
        if self.cur_dts < RELATIVE - (1 << 31):
            return
        self.first_dts = dts - (self.cur_dts - RELATIVE)
        self.cur_dts = dts
        shift = self.first_dts - RELATIVE
        if is_relative(pts):
            pts += shift
        mine = [packet for packet in queue if packet.stream == stream]
        for packet in mine:
            if is_relative(packet.pts):
                packet.pts += shift
            if is_relative(packet.dts):
                packet.dts += shift
            if self.start == NO_TIME and packet.pts != NO_TIME:
                self.start = packet.pts
        if not self.undecided:
            self.reorder(mine)
        if self.start == NO_TIME:
            self.start = pts + self.skipped if pts != NO_TIME and not mine else pts

    def reorder(self, packets: Iterable[Packet]) -> None:
        """Gives packets without a time of decoding the times at which they are shown, in order."""
        window = [NO_TIME] * (_MOST_REORDER + 1)
        for packet in packets:
            if packet.pts != NO_TIME and self.delay <= _MOST_REORDER:
                _insert(window, packet.pts, self.delay)
                if packet.dts == NO_TIME:
                    packet.dts = window[0]

    def _fill_durations(self, duration: int, stream: int, queue: list[Packet]) -> None:
        """Gives the packets before the first one with a duration the same (`update_initial_durations`)."""
        mine = [packet for packet in queue if packet.stream == stream]
        dts = RELATIVE
        if self.first_dts != NO_TIME:
            if self._durations_done:
                return
            self._durations_done = True
            dts = self.first_dts
            timed = None
            for packet in mine:
                if packet.pts != packet.dts or packet.dts != NO_TIME or packet.duration:
                    timed = packet
                    break
                dts -= duration
            if timed is None or timed.dts != self.first_dts:
                return
            self.first_dts = dts
        elif self.cur_dts != RELATIVE:
            return
        for packet in mine:
            if packet.pts not in (packet.dts, NO_TIME) or packet.duration:
                break
            if packet.dts not in (NO_TIME, self.first_dts, RELATIVE):
                break
            packet.dts = dts
            if not self.delay:
                packet.pts = dts
            packet.duration = duration
            dts = packet.dts + packet.duration
        else:
            self.cur_dts = dts


def _insert(window: list[int], time: int, delay: int) -> None:
    """Puts `time` among the `delay` latest times before it, which are sorted; the least comes first."""
    window[0] = time
    at = 0
    while at < delay and window[at] > window[at + 1]:
        window[at], window[at + 1] = window[at + 1], window[at]
        at += 1


def _add(base: Fraction, time: int, step: Fraction) -> int:
    """`time` and `step` seconds later, without rounding errors that add up (`av_add_stable`)."""
    units = step / base
    if units.denominator == 1:
        return time + units.numerator
    if units < 1:
        return time
    before = rescale(time, 1 / units)
    return rescale(before + 1, units) + time - rescale(before, units)
