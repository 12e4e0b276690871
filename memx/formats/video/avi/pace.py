"""Packets that go the common way, a line each: once FFmpeg would have described the streams, little changes in them."""

from collections.abc import Callable

from memx.formats.video.assembly import LINE_END, line_begin
from memx.formats.video.avi.framing import Frames, WholeFrames
from memx.formats.video.avi.index import KeyFrames
from memx.formats.video.avi.streams import Stream
from memx.formats.video.clock import NO_TIME, Packet
from memx.formats.video.packets import BIDIRECTIONAL, KEY

_MOST_SIZES = 1 << 12
"""Sizes of which is remembered what follows from them."""
_ALWAYS, _BIDIRECTIONAL, _NEVER = (True, True, True), (False, False, True), (False, False, False)
"""Kinds of pictures whose time of decoding is when they are shown."""


class Steps(dict[int, tuple[str, int]]):
    """By the size of a packet: what stands in its line between `dts` and `pos`, and how far it leads."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream

    def __missing__(self, size: int) -> tuple[str, int]:
        step = f',"duration":{self._duration(size) or "null"},"size":{size},"pos":', self._stream.counter.length(size)
        if len(self) < _MOST_SIZES:
            self[size] = step
        return step

    def _duration(self, size: int) -> int:
        """How long a packet of `size` bytes lasts, in units of time."""
        stream, clock = self._stream, self._stream.seen.clock
        if stream.frames is not None:
            rate = stream.seen.coding.sample_rate
            return stream.frames.samples * clock.base.denominator // (rate * clock.base.numerator)
        frame = clock.frame_duration(Packet(stream.index, NO_TIME, NO_TIME, 0, size, None, key=True))
        if frame is None:
            return 0
        return frame.numerator * clock.base.denominator // (frame.denominator * clock.base.numerator)


class Pace:
    """How the packets of a stream go on that are all key frames, and need not be looked at."""

    __slots__ = ("_begin", "_most", "_steps", "_stream", "_unit")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._steps = Steps(stream)
        self._most = stream.most
        self._unit = stream.counter.sample_size or 1
        self._begin = line_begin(stream.index)

    def line(self, size: int, begin: int, first: bytes) -> str | None:
        """The line of a packet that lies at `begin`, and begins with `first`; an empty packet has none.

        None, and nothing has happened, where it does not go the common way.
        """
        if size > self._most:
            return None
        stream = self._stream
        offset = stream.offset
        middle, length = self._steps[size]
        stream.offset = offset + length
        time = offset // self._unit
        return f'{self._begin}{time},"dts":{time}{middle}{begin},"keyframe":true}}\n' if size else ""

    def leave(self) -> None:
        """Has to be called before packets of the stream go another way."""


class IndexedPace(Pace):
    """Of pictures whose key frames the index knows."""

    __slots__ = ("_keys",)

    def __init__(self, stream: Stream, keys: KeyFrames) -> None:
        super().__init__(stream)
        self._keys = keys

    def line(self, size: int, begin: int, first: bytes) -> str | None:
        """As in `Pace`."""
        if size > self._most:
            return None
        stream = self._stream
        offset = stream.offset
        middle, length = self._steps[size]
        stream.offset = offset + length
        if not size:
            return ""
        time = offset // self._unit
        return f'{self._begin}{time},"dts":{time}{middle}{begin}{LINE_END[self._keys.look(offset)]}'


class PicturesPace(Pace):
    """Of pictures that are looked at; `look_on` tells the kind of one whose first bytes do not: place, size."""

    __slots__ = ("_hidden", "_look", "_look_on", "_shown")

    def __init__(self, stream: Stream, look_on: Callable[[int, int], int]) -> None:
        super().__init__(stream)
        assert stream.look is not None  # what the caller has seen to
        clock = stream.seen.clock
        self._look, self._look_on = stream.look, look_on
        self._hidden = f'{self._begin}null,"dts":'
        # what FFmpeg does not take for in order has no time at which it is shown
        self._shown = _NEVER if not clock.in_order else _BIDIRECTIONAL if clock.delay else _ALWAYS

    def line(self, size: int, begin: int, first: bytes) -> str | None:
        """As in `Pace`."""
        if not 0 < size <= self._most:
            return None
        kind = self._look(first, 0, size)
        if kind < 0:
            kind = self._look_on(begin, size)
        shown = self._shown
        if kind == BIDIRECTIONAL and shown is _ALWAYS:
            return None  # pictures are reordered, whatever the headers say
        stream = self._stream
        time = stream.offset
        middle, length = self._steps[size]
        stream.offset = time + length
        if shown[kind]:
            return f'{self._begin}{time},"dts":{time}{middle}{begin}{LINE_END[kind == KEY]}'
        return f"{self._hidden}{time}{middle}{begin}{LINE_END[kind == KEY]}"


class FramesPace(Pace):
    """Of sound that a parser frames anew, as long as each chunk is a frame."""

    __slots__ = ("_frames", "_latest", "_taken", "_wholes")

    def __init__(self, stream: Stream, frames: Frames) -> None:
        super().__init__(stream)
        self._frames = frames
        self._wholes = WholeFrames(frames.samples)
        self._taken = 0
        self._latest = 0, 0, 0, b""

    def line(self, size: int, begin: int, first: bytes) -> str | None:
        """As in `Pace`."""
        if self._wholes[first[:4]] != size or size > self._most:
            return None
        stream = self._stream
        offset = stream.offset
        middle, length = self._steps[size]
        stream.offset = offset + length
        time = offset // self._unit
        self._taken += 1
        self._latest = size, time, begin, first
        return f'{self._begin}{time},"dts":{time}{middle}{begin},"keyframe":true}}\n'

    def leave(self) -> None:
        """As in `Pace`."""
        if self._taken:
            self._frames.take_wholes(self._taken, *self._latest)
            self._taken = 0
