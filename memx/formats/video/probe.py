"""Which packets FFmpeg looks at before it describes the streams, and what it makes of them.

`avformat_find_stream_info` of libavformat: it reads packets until it knows what it wants to know of every stream,
or has read enough. How far it goes shows in frame rates, in start times, and in the times of the first packets.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fractions import Fraction

from memx.formats.video.clock import NO_TIME, Clock, Packet, rescale
from memx.formats.video.packets import Coding, NotKnown
from memx.formats.video.rates import Intervals, average

MICROSECOND = Fraction(1, 1_000_000)
ENOUGH_BYTES = 5_000_000
ENOUGH_TIME, ENOUGH_TEXT_TIME = 5_000_000, 30_000_000
"""Microseconds; the latter of subtitles."""
_MOST_WITHOUT_TIMES = 50
_MOST_PACKETS = 1 << 14
"""A file whose streams are not known after so many packets is FFmpeg's."""
_FINE = Fraction(1, 2000)
_FRAMES = 20
NEVER_SURE = frozenset(("mpeg2video", "gif", "hevc", "h264"))
"""Codecs whose own frame rate is not believed."""
_DECODED_FIRST = 7
"""Pictures that FFmpeg decodes before it believes that H.264 does not reorder them."""


def frames_wanted(base: Fraction) -> int:
    """How many intervals between frames FFmpeg measures for their rate, where a unit of time is `base` seconds."""
    return _FRAMES * (2 if base > _FINE else 1)


@dataclass(slots=True)
class Observed:
    """A stream, and what was seen of it."""

    coding: Coding
    clock: Clock
    average_rate: Fraction | None = None
    """Of the container."""
    decoded: int = 0
    """How many packets FFmpeg has to decode to know the parameters; -1: it never knows them."""
    attached: bool = False
    duration: int = NO_TIME
    packets: int = 0
    intervals: Intervals = field(init=False)
    counted: int = 0
    """What the packets from the third on last."""
    _fields: int = 0
    _first: tuple[int, int] | None = None
    _last: tuple[int, int] | None = None
    _out_of_order: bool = False

    def __post_init__(self) -> None:
        self.intervals = Intervals(self.clock.base)
        if self.coding.name == "h264":  # how many pictures are held back shows once one is decoded
            self.clock.delay, self.clock.undecided = 0, 1 if self.coding.delay else _DECODED_FIRST

    @property
    def known(self) -> bool:
        """Whether FFmpeg needs no more packets of this stream."""
        clock = self.clock
        if self.decoded < 0 or self.packets < self.decoded:
            return False
        if clock.kind == "video" and not (clock.frame_rate and self.average_rate):
            wanted = 0 if self.attached or not self.unsure else frames_wanted(clock.base)
            if self.intervals.count < wanted:
                return False
        if self._out_of_order and self.intervals.count < 2 and not clock.delay:
            return False
        wait = 1 if self.attached else _MOST_WITHOUT_TIMES
        return clock.kind not in ("video", "audio") or clock.first_dts != NO_TIME or self.packets >= wait

    @property
    def unsure(self) -> bool:
        """Whether the stream's own frame rate is not to be believed (`tb_unreliable`)."""
        rate = self.clock.rate
        tick = 1 / (rate * (2 if self.clock.fields else 1)) if rate else self.clock.base
        return (
            tick.denominator >= 101 * tick.numerator
            or tick.denominator < 5 * tick.numerator
            or self.coding.name in NEVER_SURE
        )

    def see(self, packet: Packet, all_known: bool) -> bool:
        """Takes note of a packet; whether it is the last that is looked at, for the time that has passed."""
        if packet.dts != NO_TIME and self.packets > 1:
            self._note_order(packet.dts)
        if self.packets > 1:
            if self._elapsed() >= (
                ENOUGH_TEXT_TIME if self.clock.kind == "subtitle" and not all_known else ENOUGH_TIME
            ):
                return True
            if packet.duration > 0:
                self._count(packet)
        if self.clock.kind == "video":
            self.intervals.add(packet.dts)
            if packet.dts != packet.pts and NO_TIME not in (packet.dts, packet.pts):
                self._out_of_order = True
        self.packets += 1
        if self.packets == 1:  # its decoder has seen a packet now
            self.clock.samples = self.coding.frame_samples
            self.clock.delay = max(self.clock.delay, self.coding.delay)
        if self.clock.undecided:
            self.clock.undecided -= 1
        return False

    def _count(self, packet: Packet) -> None:
        start = self.clock.start
        if self.clock.kind == "subtitle" and NO_TIME not in (packet.pts, start) and packet.pts >= start:
            self.counted = min(packet.pts - start, self.counted + packet.duration)
        else:
            self.counted += packet.duration
        self._fields += 2

    def _note_order(self, dts: int) -> None:
        if self._last is not None and self._last[0] >= dts:
            self._first = self._last = None
        if self._first is not None and self._last is not None and self._last[1] > self._first[1]:
            mean = (self._last[0] - self._first[0]) // (self._last[1] - self._first[1])
            if (dts - self._last[0]) // 1000 > mean:
                self._first = None
        self._first = self._first or (dts, self.packets)
        self._last = (dts, self.packets)

    def _elapsed(self) -> int:
        """Microseconds."""
        base = self.clock.base / MICROSECOND
        elapsed = rescale(self.counted, base)
        if self.average_rate:
            elapsed = max(elapsed, rescale(self.packets, 1 / self.average_rate / MICROSECOND))
        if not elapsed and self.packets > 30 and self._first is not None and self._last is not None:
            elapsed = rescale(self._last[0] - self._first[0], base)
        return elapsed

    def settle(self) -> None:
        """Sets the frame rates, which were not known before."""
        clock = self.clock
        if clock.kind != "video":
            return
        if self.unsure and not clock.frame_rate:
            clock.frame_rate = self.intervals.rate(self.counted)
        if (
            not self.average_rate
            and clock.frame_rate
            and self.counted <= 0
            and self.intervals.confirms(clock.frame_rate)
        ):
            self.average_rate = clock.frame_rate
        if self._fields and not self.average_rate and self.counted:
            self.average_rate = average(self._fields, self.counted, clock.base)
        if not clock.frame_rate:
            own = clock.rate * (2 if clock.fields else 1) if clock.rate else None
            clock.frame_rate = own if own and clock.base <= 1 / own else 1 / clock.base


@dataclass(slots=True)
class Presentation:
    """Start, duration and bit rate of a file: microseconds and bits a second; NO_TIME and None are not known."""

    start: int = NO_TIME
    duration: int = NO_TIME
    bit_rate: int | None = None


def probe(streams: list[Observed], packets: Iterator[Packet], queue: list[Packet]) -> None:
    """Takes from `packets`, which completes their times, those that FFmpeg looks at, into `queue`.

    Sets what can be known of the streams only by their packets. NotKnown where that takes too many.
    """
    read, ended = 0, False
    while read < ENOUGH_BYTES:
        all_known = all(stream.known for stream in streams)
        if all_known:
            break
        packet = next(packets, None)
        if packet is None:
            ended = True
            break
        if len(queue) >= _MOST_PACKETS:
            raise NotKnown("streams that many packets do not tell")
        queue.append(packet)
        read += packet.size
        if streams[packet.stream].see(packet, all_known):
            break
    silent = (stream for stream in streams if stream.clock.kind != "subtitle" and not stream.packets)
    if queue and any(stream.decoded > 0 for stream in silent):
        raise NotKnown("a stream whose packets come late")
    for number, stream in enumerate(streams):
        if stream.clock.undecided:
            stream.clock.undecided = 0
            if ended:
                stream.clock.reorder(packet for packet in queue if packet.stream == number)
        stream.settle()


def estimate(streams: Iterable[Observed], shown: Presentation, size: int, data_offset: int) -> None:
    """Completes the times of the file, and of its streams, by each other (`estimate_timings`)."""
    found = list(streams)
    if shown.duration != NO_TIME or any(stream.duration != NO_TIME for stream in found):
        _summarize(found, shown, size)
        for stream in found:
            base = MICROSECOND / stream.clock.base
            if stream.clock.start == NO_TIME:
                if shown.start != NO_TIME:
                    stream.clock.start = rescale(shown.start, base)
                if shown.duration != NO_TIME:
                    stream.duration = rescale(shown.duration, base)
    else:
        _from_bit_rate(found, shown, size - data_offset)
    _summarize(found, shown, size)


def _from_bit_rate(streams: list[Observed], shown: Presentation, size: int) -> None:
    total = 0
    for stream in streams:
        if stream.coding.bit_rate:
            total += stream.coding.bit_rate
        elif stream.clock.kind == "video" and stream.packets > 1:
            total = 0
            break
    shown.bit_rate = total or None
    if total and size > 0:
        for stream in streams:
            if stream.duration == NO_TIME:
                stream.duration = rescale(size, Fraction(8, total) / stream.clock.base)


def _summarize(streams: list[Observed], shown: Presentation, size: int) -> None:
    """`update_stream_timings`: from the first start to the last end; text counts where it is near."""
    starts: dict[bool, list[int]] = {False: [], True: []}
    ends: dict[bool, list[int]] = {False: [], True: []}
    lengths: dict[bool, list[int]] = {False: [], True: []}
    for stream in streams:
        text, base = stream.clock.kind in ("subtitle", "data"), stream.clock.base / MICROSECOND
        if stream.clock.start != NO_TIME:
            begin = rescale(stream.clock.start, base)
            starts[text].append(begin)
            if stream.duration != NO_TIME:
                ends[text].append(begin + rescale(stream.duration, base))
        if stream.duration != NO_TIME:
            lengths[text].append(rescale(stream.duration, base))
    start = _with_text(min(starts[False], default=None), min(starts[True], default=None), -1)
    end = _with_text(max(ends[False], default=None), max(ends[True], default=None), 1)
    length = _with_text(max(lengths[False], default=None), max(lengths[True], default=None), 1)
    if start is not None:
        shown.start = start
        if end is not None and end >= start:
            length = max(end - start, length if length is not None else end - start)
    if length is not None and length > 0 and shown.duration == NO_TIME:
        shown.duration = length
    if size > 0 and shown.duration > 0:
        shown.bit_rate = int(size * 8.0 * 1_000_000 / shown.duration)


def _with_text(time: int | None, of_text: int | None, side: int) -> int | None:
    """`time`, or that of text where it lies beyond by less than a second, `side` saying where beyond is."""
    if time is None or of_text is None:
        return of_text if time is None else time
    beyond = (of_text - time) * side
    return of_text if 0 < beyond < 1_000_000 else time
