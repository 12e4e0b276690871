"""Packets that go the common way, a line each: once FFmpeg would have described the streams, little changes in them."""

from collections.abc import Callable

from memx.formats.video.assembly import LINE_END, line_begin
from memx.formats.video.avi.chunks import HEAD
from memx.formats.video.avi.framing import HeldFrames, MpegFrames, WholeFrames
from memx.formats.video.avi.streams import Stream
from memx.formats.video.avi.survey import KeyFrames
from memx.formats.video.clock import NO_TIME, Clock, Packet
from memx.formats.video.packets import BIDIRECTIONAL, KEY, ac3, mpegaudio

_MOST_SIZES = 1 << 12
"""Sizes of which is remembered what follows from them."""
_FRAME = HEAD + mpegaudio.HEADER
_SYNC, _CHECKED, _HELD_FRAME = HEAD + len(ac3.SYNC), HEAD + 4, HEAD + ac3.HEADER
_ALWAYS, _BIDIRECTIONAL, _NEVER = (True, True, True), (False, False, True), (False, False, False)
"""Kinds of pictures whose time of decoding is when they are shown."""


class Steps(dict[int, tuple[str, int]]):
    """By the size of a packet: what stands in its line between `dts` and `pos`, and how far it leads."""

    def __init__(self, stream: Stream) -> None:
        super().__init__()
        self._stream = stream
        self._always = None if stream.seen.clock.measure is not None else self._duration(1)

    def __missing__(self, size: int) -> tuple[str, int]:
        duration = self._always if self._always is not None else self._duration(size)
        step = f',"duration":{duration or "null"},"size":{size},"pos":', self._stream.counter.length(size)
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

    __slots__ = ("_begin", "_stream", "_unit", "steps")

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._unit = stream.counter.sample_size or 1
        self._begin = line_begin(stream.index)
        self.steps = Steps(stream)

    def line(self, begin: int, data: bytes, size: int, middle: str, length: int) -> str | None:
        """The line of a packet that lies at `begin`; how it begins stands behind `HEAD` bytes of `data`.

        `size` is not nought, `middle` and `length` are its step. None, and nothing has happened, where it does not go
        the common way.
        """
        stream = self._stream
        offset = stream.offset
        stream.offset = offset + length
        time = str(offset // self._unit)  # once: that is half of what a line costs
        return f'{self._begin}{time},"dts":{time}{middle}{begin},"keyframe":true}}\n'

    def leave(self) -> None:
        """Has to be called before packets of the stream go another way."""

    def resume(self) -> bool:
        """Whether packets go this way again after some went another."""
        return True


class IndexedPace(Pace):
    """Of pictures whose key frames the index knows."""

    __slots__ = ("_keys",)

    def __init__(self, stream: Stream, keys: KeyFrames) -> None:
        super().__init__(stream)
        self._keys = keys

    def line(self, begin: int, data: bytes, size: int, middle: str, length: int) -> str | None:
        """As in `Pace`."""
        stream = self._stream
        offset = stream.offset
        stream.offset = offset + length
        time = str(offset // self._unit)
        return f'{self._begin}{time},"dts":{time}{middle}{begin}{LINE_END[self._keys.look(offset)]}'


class PicturesPace(Pace):
    """Of pictures that are looked at; `look_on` tells the kind of one whose first bytes do not: place, size."""

    __slots__ = ("_hidden", "_look", "_look_on", "_shown")

    def __init__(self, stream: Stream, look_on: Callable[[int, int], int]) -> None:
        super().__init__(stream)
        assert stream.look is not None  # what the caller has seen to
        self._look, self._look_on = stream.look, look_on
        self._hidden = f'{self._begin}null,"dts":'
        self._shown = _shown(stream.seen.clock)

    def line(self, begin: int, data: bytes, size: int, middle: str, length: int) -> str | None:
        """As in `Pace`."""
        kind = self._look(data, HEAD, size)
        if kind < 0:
            kind = self._look_on(begin, size)
        shown = self._shown
        if kind == BIDIRECTIONAL and shown is _ALWAYS:
            return None  # pictures are reordered, whatever the headers say
        stream = self._stream
        offset = stream.offset
        stream.offset = offset + length
        if not shown[kind]:
            return f"{self._hidden}{offset}{middle}{begin}{LINE_END[kind == KEY]}"
        time = str(offset)
        return f'{self._begin}{time},"dts":{time}{middle}{begin}{LINE_END[kind == KEY]}'

    def resume(self) -> bool:
        """As in `Pace`."""
        return self._shown is _shown(self._stream.seen.clock)


class FramesPace(Pace):
    """Of sound that a parser frames anew, as long as each chunk is a frame."""

    __slots__ = ("_frames", "_latest", "_taken", "_wholes")

    def __init__(self, stream: Stream, frames: MpegFrames) -> None:
        super().__init__(stream)
        self._frames = frames
        self._wholes = WholeFrames(frames.samples)
        self._taken = 0
        self._latest = 0, 0, b""

    def line(self, begin: int, data: bytes, size: int, middle: str, length: int) -> str | None:
        """As in `Pace`."""
        if self._wholes[data[HEAD:_FRAME]] != size:
            return None
        stream = self._stream
        offset = stream.offset
        stream.offset = offset + length
        self._taken += 1
        self._latest = offset, begin, data
        time = str(offset // self._unit)
        return f'{self._begin}{time},"dts":{time}{middle}{begin},"keyframe":true}}\n'

    def leave(self) -> None:
        """As in `Pace`."""
        if self._taken:
            offset, begin, data = self._latest
            self._frames.take_wholes(self._taken, offset // self._unit, begin, data[HEAD:_FRAME])
            self._taken = 0

    def resume(self) -> bool:
        """As in `Pace`."""
        return self._frames.between and self._frames.samples == self._wholes.samples


class HeldPace(Pace):
    """Of sound that a parser frames anew and holds back by a frame, as long as each chunk is one."""

    __slots__ = ("_frames", "_held", "_sizes", "_taken")

    def __init__(self, stream: Stream, frames: HeldFrames) -> None:
        super().__init__(stream)
        self._frames = frames
        self._sizes: dict[bytes, int] = {}
        """By what stands in headers behind their checksums."""
        self._taken = 0
        self._held: tuple[int, int, int, str] | None = None
        self.resume()

    def line(self, begin: int, data: bytes, size: int, middle: str, length: int) -> str | None:
        """As in `Pace`, of the packet before."""
        said = data[_CHECKED:_HELD_FRAME]
        if data[HEAD:_SYNC] != ac3.SYNC or (self._sizes.get(said) or self._size(data, said)) != size or not self._held:
            return None
        stream = self._stream
        offset = stream.offset
        stream.offset = offset + length
        self._taken += 1
        before, pos, _, told = self._held
        self._held = offset // self._unit, begin, size, middle
        time = str(before)
        return f'{self._begin}{time},"dts":{time}{told}{pos},"keyframe":true}}\n'

    def _size(self, data: bytes, said: bytes) -> int:
        found = ac3.frame(data[HEAD:_HELD_FRAME]) if len(data) >= _HELD_FRAME else None
        size = found.size if found is not None and data[_CHECKED + 1] >> 3 <= ac3.LAST_PLAIN else -1
        if len(self._sizes) < _MOST_SIZES:
            self._sizes[said] = size
        return size

    def leave(self) -> None:
        """As in `Pace`."""
        if self._taken and self._held:
            time, begin, size, _ = self._held
            self._frames.take_wholes(self._taken, size, time, begin)
        self._taken = 0

    def resume(self) -> bool:
        """As in `Pace`."""
        held = self._frames.held
        self._held = None if held is None else (held[1], held[2], held[0], self.steps[held[0]][0])
        return held is not None


def _shown(clock: Clock) -> tuple[bool, bool, bool]:
    """What FFmpeg does not take for in order has no time at which it is shown."""
    return _NEVER if not clock.in_order else _BIDIRECTIONAL if clock.delay else _ALWAYS
