"""Packets that go the common way, a line each: once FFmpeg would have described the streams, their times are sums."""

from memx.formats.video.assembly import line_pair
from memx.formats.video.clock import NO_TIME, Packet
from memx.formats.video.matroska.tracks import Track
from memx.formats.video.packets import BIDIRECTIONAL, DROPPED, KEY, Look, Read, look_on


class Pace:
    """How the packets of a track go on of which the container tells all; `reordered` where pictures are."""

    __slots__ = (
        "_duration", "_lead", "_lines", "default_duration", "even", "filled", "may_be_laced", "over", "shift", "window",
    )  # fmt: skip

    def __init__(self, track: Track, duration: int | None, *, reordered: bool = False) -> None:
        index, clock = track.index, track.seen.clock
        self._lead = len(track.encoding.lead)
        """Bytes that were taken off the beginning of each packet."""
        self._duration = duration or "null"
        self._lines = line_pair(index, "%s", "%s", all_keys=clock.intra_only)
        """Of other packets and of key frames, to be filled with `pts`, `dts`, `duration`, `size` and `pos`."""
        told = line_pair(index, "%d", str(self._duration), all_keys=clock.intra_only)
        self.even: tuple[str, str] | None = None if self._lead or reordered else told
        """The same to be filled with `pts`, `dts`, `size` and `pos`, where no more is needed for a line."""
        self.shift = track.shift
        """What is taken off its times."""
        self.default_duration = track.default_duration
        """How long a packet lasts if nothing else says it, in nanoseconds."""
        self.window = clock.window() if reordered else []
        """The times at which pictures are shown that are held back for their order, the least first."""
        self.filled = self._reordered if reordered else self._in_order
        """The line of a packet of which all is known but when it is decoded: time, key frame, size, place, duration."""
        self.may_be_laced = not reordered
        """Whether nothing but the block tells of its packets, where there are several in one."""
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

    def _in_order(self, time: int, key: bool, size: int, pos: int, duration: int | str) -> str:
        size += self._lead
        time -= self.shift
        return self._lines[key] % (time, time, duration, size, pos) if size else ""

    def _reordered(self, time: int, key: bool, size: int, pos: int, duration: int | str) -> str:
        size += self._lead
        if not size:
            return ""
        window = self.window
        window[0] = time = time - self.shift
        window.sort()
        dts = window[0]
        return self._lines[key] % (time, dts if dts != NO_TIME else "null", duration, size, pos)

    def lasts(self, size: int, payload: int) -> int | None:
        """How long a packet lasts by its payload; 0 where FFmpeg drops it, None where that is not told so."""
        return None


class PicturesPace(Pace):
    """Of pictures that have to be looked at."""

    __slots__ = ("_look", "_read")

    def __init__(self, track: Track, duration: int | None, look: Look, read: Read, *, reordered: bool) -> None:
        super().__init__(track, duration, reordered=reordered)
        self.even, self.may_be_laced = None, False
        self._look, self._read = look, read

    def line(
        self, data: bytes, start: int, time: int, key: bool, size: int, pos: int, payload: int, duration: int = 0
    ) -> str | None:
        """As in `Pace`."""
        said = self._look(data, payload - start, size) if size else DROPPED
        if said < 0 and (said := look_on(self._look, self._read, payload, size, said)) < 0:
            return ""
        if said == BIDIRECTIONAL and not self.window:  # pictures are reordered, whatever the headers say
            self.over = True
            return None
        return self.filled(time, said == KEY, size, pos, duration or self._duration)


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
        return said if said >= 0 else look_on(self._look, self._read, payload, size, said)


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
    return Pace(track, duration, reordered=reordered)
