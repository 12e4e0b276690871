"""Packets that go the common way, a line each: once FFmpeg would have described the streams, their times are sums."""

from collections.abc import Callable

from memx.formats.video.assembly import line_pair
from memx.formats.video.clock import NO_TIME, Packet
from memx.formats.video.matroska.tracks import Track
from memx.formats.video.packets import BIDIRECTIONAL, DROPPED, KEY

Look = Callable[[bytes, int, int], int]
"""See `memx.formats.video.packets`."""
Read = Callable[[int, int], bytes]
"""So many bytes at an offset, as far as they are there."""


class Pace:
    """How the packets of a track go on of which the container tells all."""

    __slots__ = ("_duration", "_lead", "_lines", "default_duration", "even", "over", "shift", "window")

    may_be_laced = True
    """Whether nothing but the block tells of its packets, where there are several in one."""

    def __init__(self, track: Track, duration: int | None) -> None:
        index, all_keys = track.index, track.seen.clock.intra_only
        self._lead = len(track.encoding.lead)
        """Bytes that were taken off the beginning of each packet."""
        self._duration = duration or "null"
        self._lines = line_pair(index, "%s", "%s", all_keys=all_keys)
        """Of other packets and of key frames, to be filled with `pts`, `dts`, `duration`, `size` and `pos`."""
        told = line_pair(index, "%d", str(self._duration), all_keys=all_keys)
        self.even: tuple[str, str] | None = None if self._lead else told
        """The same to be filled with `pts`, `dts`, `size` and `pos`, where no more is needed for a line."""
        self.shift = track.shift
        """What is taken off its times."""
        self.default_duration = track.default_duration
        """How long a packet lasts if nothing else says it, in nanoseconds."""
        self.window: list[int] = []
        """The times at which pictures are shown that are held back for their order, the least first."""
        self.over = False
        """Whether its packets have to be completed one by one from now on."""

    def line(
        self, data: bytes, start: int, time: int, key: bool, size: int, pos: int, payload: int, duration: int = 0
    ) -> str | None:
        """The line of a packet of `size` bytes, whose block's body is at `pos`, and its payload at `payload`.

        `data` is what was read at `start`, up to the payload at least; `duration` is what the block says of it, if it
        does. Empty where FFmpeg drops the packet. None, and nothing has happened, where it does not go the common way.
        """
        return self.filled(time, key, size, pos, duration or self._duration)

    def filled(self, time: int, key: bool, size: int, pos: int, duration: int | str) -> str:
        """The line of a packet of which all is known, in the order in which it is shown."""
        size += self._lead
        time -= self.shift
        return self._lines[key] % (time, time, duration, size, pos) if size else ""

    def lasts(self, size: int, payload: int) -> int | None:
        """How long a packet lasts by its payload; 0 where FFmpeg drops it, None where that is not told so."""
        return None


class ReorderedPace(Pace):
    """Of pictures in another order than they are shown in."""

    __slots__ = ()

    may_be_laced = False

    def __init__(self, track: Track, duration: int | None) -> None:
        super().__init__(track, duration)
        self.even, self.window = None, track.seen.clock.window()

    def line(
        self, data: bytes, start: int, time: int, key: bool, size: int, pos: int, payload: int, duration: int = 0
    ) -> str | None:
        """As in `Pace`."""
        size += self._lead
        if not size:
            return ""
        window = self.window
        window[0] = time = time - self.shift
        window.sort()
        dts = window[0]
        return self._lines[key] % (time, dts if dts != NO_TIME else "null", duration or self._duration, size, pos)


class PicturesPace(Pace):
    """Of pictures that have to be looked at; `reordered` where they are, too."""

    __slots__ = ("_key", "_look", "_other", "_read")

    may_be_laced = False

    def __init__(self, track: Track, duration: int | None, look: Look, read: Read, *, reordered: bool) -> None:
        super().__init__(track, duration)
        clock = track.seen.clock
        self.even = None
        if reordered:
            self.window = clock.window()
        self._look, self._read = look, read
        self._other, self._key = line_pair(track.index, "%s", str(self._duration), all_keys=clock.intra_only)

    def line(
        self, data: bytes, start: int, time: int, key: bool, size: int, pos: int, payload: int, duration: int = 0
    ) -> str | None:
        """As in `Pace`."""
        said = self._look(data, payload - start, size) if size else DROPPED
        if said < 0 and (said := look_further(self._look, self._read, payload, size, said)) < 0:
            return ""
        dts: int | str
        dts = time = time - self.shift
        if window := self.window:
            window[0] = time
            window.sort()
            dts = window[0]
            if dts == NO_TIME:
                dts = "null"
        elif said == BIDIRECTIONAL:  # pictures are reordered, whatever the headers say
            self.over = True
            return None
        if duration:
            return self._lines[said == KEY] % (time, dts, duration, size, pos)
        return (self._key if said == KEY else self._other) % (time, dts, size, pos)


class SoundPace(Pace):
    """Of sound that has to be looked at for how long a packet lasts: `units` of time a second, over the sample rate."""

    __slots__ = ("_cut_anew", "_look", "_rate", "_read", "_units")

    def __init__(self, track: Track, duration: int | None, look: Look, read: Read) -> None:
        super().__init__(track, duration)
        clock = track.seen.clock
        self.even = None
        self._look, self._read, self._cut_anew = look, read, track.cut_anew
        self._units, self._rate = clock.base.denominator, clock.sample_rate * clock.base.numerator

    def line(
        self, data: bytes, start: int, time: int, key: bool, size: int, pos: int, payload: int, duration: int = 0
    ) -> str | None:
        """As in `Pace`."""
        said = self._samples(data, start, size, payload)
        if said < 0:
            return ""
        if not said:
            return None
        lasting: int | str = said * self._units // self._rate or "null"
        if not self._cut_anew:
            lasting = duration or (self._duration if self._duration != "null" else lasting)
        return self.filled(time, key, size, pos, lasting)

    def lasts(self, size: int, payload: int) -> int | None:
        """As in `Pace`."""
        said = self._samples(b"", payload, size, payload)
        return 0 if said < 0 else said * self._units // self._rate or None

    def _samples(self, data: bytes, start: int, size: int, payload: int) -> int:
        """What the packet says of itself; less than nought where FFmpeg drops it."""
        said = self._look(data, payload - start, size) if size else DROPPED
        return said if said >= 0 else look_further(self._look, self._read, payload, size, said)


def pace_of(track: Track, scale: int, read: Read) -> Pace | None:
    """The pace of a track whose segment counts times by `scale` nanoseconds; None where packets go one by one."""
    clock, encoding, look = track.seen.clock, track.encoding, track.look
    reordered = clock.delay > 0
    if track.scale != 1.0 or track.decoding_times or encoding.unpacker is not None or clock.undecided:
        return None
    if (reordered and clock.in_order) or clock.first_dts == NO_TIME or (encoding.lead and look is not None):
        return None
    duration = 0 if track.cut_anew else track.default_duration // scale
    if track.sounds:
        if not clock.sample_rate:
            return None
        return Pace(track, duration) if look is None else SoundPace(track, duration, look, read)
    if not duration:
        if clock.measure is not None:
            return None
        frame = clock.frame_duration(Packet(track.index, NO_TIME, NO_TIME, 0, 1, None, key=False))
        if frame:
            duration = frame.numerator * clock.base.denominator // (frame.denominator * clock.base.numerator)
    if look is not None:
        return PicturesPace(track, duration, look, read, reordered=reordered)
    return ReorderedPace(track, duration) if reordered else Pace(track, duration)


def look_further(look: Look, read: Read, payload: int, size: int, said: int) -> int:
    """What `look` says once it has seen as much of a packet as it wants; DROPPED, or not less than nought."""
    have = 0
    while said < 0 and said != DROPPED and -said > have:
        head = read(payload, min(-said, size))
        if len(head) <= have:
            return 0
        have = len(head)
        said = look(head, 0, size)
    return said if said >= 0 or said == DROPPED else 0
