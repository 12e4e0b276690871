"""The root mean square of each frame of a signal that comes in blocks of any length."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import orjson

from memx.errors import OverLimit
from memx.records import Record, number

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

MOST_OVERLAP = 1 << 16
"""A frame may reach over so many hops."""
PIECE = 1 << 17
"""Samples, of all channels together, that are squared at once: as floats they stay in the processor's cache."""
PART = 1 << 12
"""Samples of a hop and a channel that are summed at once, at most: fewer than NumPy's iterator would part by itself. A
float of 64 bits holds the sum of so many squares of 16 bits, and of a thousand such sums, exactly."""
_HELD = 1 << 17
"""Samples, of all channels together, that may wait for their part to be whole."""


class HopMeter:
    """The energies of the hops of a signal, which comes in blocks of any length.

    Energies have the shape (2, channels, hops): of all samples of a hop, and of its first `frame_length %
    hop_length`. The signal is squared once, whatever the overlap of frames. What is held is one piece.

    Sums of floats depend on their order, and blocks on the memory that there is. So a hop is summed in parts of
    `part` samples from its own beginning on, one after the other, and samples wait until their part is whole.
    """

    def __init__(self, channels: int, frame_length: int, hop_length: int) -> None:
        import numpy as np

        self._hop = hop_length
        self._hops, self._rest = divmod(frame_length, hop_length)
        self._open: NDArray[float64] = np.zeros((2, channels, 1))
        self._filled = 0
        """Samples of the open hop that were summed: whole parts."""
        self._piece = max(1, PIECE // channels)
        self._part = max(1, min(PART, _HELD // channels))
        self._signal: NDArray[float64] = np.empty((channels, 0))
        self._held = 0
        """Samples at the beginning of `_signal` that wait for the rest of their part."""

    def add(self, block: "NDArray[Any]") -> "NDArray[float64]":
        """The energies of the hops that `block`, of shape (channels, samples) and any number type, completes."""
        import numpy as np

        channels, length = block.shape
        exact = block.dtype.kind == "i" and block.dtype.itemsize <= 2
        step = self._piece // self._hop * self._hop or self._piece
        closed = [np.zeros((2, channels, 0))]
        with np.errstate(over="ignore", invalid="ignore"):  # floats may hold infinities
            for at in range(0, length, step):
                closed.extend(self._closed(block[:, at : at + step], exact=exact))
        return np.concatenate(closed, axis=2)

    def finish(self) -> "NDArray[float64]":
        """The energies of the hop in which the signal ended; none where it ended with a whole hop."""
        import numpy as np

        if self._held:
            with np.errstate(over="ignore", invalid="ignore"):
                self._fill(self._signal[:, : self._held], exact=False)
        filled, self._filled, self._held = self._filled, 0, 0
        return self._open if filled else self._open[:, :, :0]

    def _closed(self, piece: "NDArray[Any]", *, exact: bool) -> "Iterator[NDArray[float64]]":
        """The energies of the hops that `piece` completes."""
        signal = self._with_held(piece)
        length, at = signal.shape[1], 0
        if self._hop <= self._part:
            at = length // self._hop * self._hop
            if at:
                yield self._energies(signal[:, :at].reshape(len(signal), -1, self._hop), exact=exact)
        else:
            while take := self._ready(length - at):
                yield from self._fill(signal[:, at : at + take], exact=exact)
                at += take
        self._held = length - at
        signal[:, : self._held] = signal[:, at:].copy()

    def _ready(self, there: int) -> int:
        """How many of the samples that are there go into the open hop: what closes it, else whole parts."""
        left = self._hop - self._filled
        return left if left <= there else there // self._part * self._part

    def _with_held(self, piece: "NDArray[Any]") -> "NDArray[float64]":
        """`piece` as floats behind the samples that waited, in the same memory each time: fresh pages cost more
        than the squares."""
        import numpy as np

        length = self._held + piece.shape[1]
        if self._signal.shape[1] < length:
            larger = np.empty((len(piece), length + min(self._hop, self._part)))
            larger[:, : self._held] = self._signal[:, : self._held]
            self._signal = larger
        signal = self._signal[:, :length]
        np.copyto(signal[:, self._held :], piece)
        return signal

    def _energies(self, hops: "NDArray[float64]", *, exact: bool) -> "NDArray[float64]":
        """The energies of whole `hops`, of shape (channels, hops, samples), each of one part."""
        import numpy as np

        energies = np.zeros((2, *hops.shape[:2]))
        if self._hops:
            _square(hops, energies[0], exact=exact)
        if self._rest:
            _square(hops[:, :, : self._rest], energies[1], exact=exact)
        return energies

    def _fill(self, run: "NDArray[float64]", *, exact: bool) -> "list[NDArray[float64]]":
        """Adds a run of parts to the open hop; its energies where that closes it."""
        import numpy as np

        before = max(0, self._rest - self._filled)
        sums = [
            _summed(self._open[0], run, self._part, exact=exact),
            _summed(self._open[1], run[:, :before], self._part, exact=exact),
        ]
        self._open = np.stack(sums)
        self._filled += run.shape[1]
        if self._filled < self._hop:
            return []
        closed, self._open, self._filled = self._open, np.zeros_like(self._open), 0
        return [closed]


def _summed(energy: "NDArray[float64]", run: "NDArray[float64]", part: int, *, exact: bool) -> "NDArray[float64]":
    """`energy`, of shape (channels, 1), and then that of each part of `run` in its turn."""
    import numpy as np

    channels, length = run.shape
    whole = length // part
    energies = np.zeros((channels, 1 + whole + 1))
    energies[:, :1] = energy
    _square(run[:, : whole * part].reshape(channels, whole, part), energies[:, 1:-1], exact=exact)
    _square(run[:, None, whole * part :], energies[:, -1:], exact=exact)
    return np.add.accumulate(energies, axis=1)[:, -1:]


def _square(parts: "NDArray[float64]", energies: "NDArray[float64]", *, exact: bool) -> None:
    """The sum of the squares of each of `parts`, of shape (channels, parts, samples), into `energies`.

    `exact` says that sums do not depend on their order. Then BLAS adds, which is thrice as fast; else NumPy by
    itself, which adds in the same order on every machine.
    """
    import numpy as np

    if exact and hasattr(np, "vecdot"):  # since NumPy 2.0
        np.vecdot(parts, parts, out=energies)
    else:
        np.einsum("chs,chs->ch", parts, parts, out=energies)


class FrameMeter:
    """Makes the `frame` records of one stream of samples.

    Frame k is of the samples from k * hop on, `frame_length` of them, fewer at the end of the signal; there is
    one for every k that begins in the signal. Each hop gives its energies (see `HopMeter`), and a frame is a sum
    of whole hops and of one part. What is held is one block, and the energies of the hops of one frame.

    `full_scale` is the amplitude that counts 1.0; `fields` go into every record. Raises OverLimit where frames
    overlap more than `MOST_OVERLAP` times.
    """

    def __init__(
        self,
        channels: int,
        sample_rate: int,
        frame_length: int,
        hop_length: int,
        *,
        full_scale: float = 1.0,
        fields: dict[str, Any] | None = None,
    ) -> None:
        import numpy as np

        self.channels = channels
        self.sample_rate = sample_rate
        self.samples = 0
        """How many there were of each channel, so far."""
        self._length, self._hop = frame_length, hop_length
        self.full_scale = full_scale
        self._fields = fields or {}
        self._hops, self._rest = divmod(frame_length, hop_length)
        if self._hops > MOST_OVERLAP:
            raise OverLimit(f"frames of {frame_length} samples, one every {hop_length}, overlap too often")
        self._index = 0
        self.hops = HopMeter(channels, frame_length, hop_length)
        self._energies: NDArray[float64] = np.zeros((2, channels, 0))
        """Of the closed hops that a frame still needs."""

    def add(self, block: "NDArray[Any]") -> list[Record]:
        """The frames that `block`, of shape (channels, samples) and any number type, completes."""
        return self.join(self.hops.add(block), block.shape[1])

    def finish(self) -> list[Record]:
        """The frames of the samples left, at the end of the signal."""
        import numpy as np

        silence = np.zeros((2, self.channels, self._hops))
        return self.join(np.concatenate([self.hops.finish(), silence], axis=2), 0)

    def join(self, energies: "NDArray[float64]", samples: int) -> list[Record]:
        """The frames that further hops complete, which were measured elsewhere."""
        return self._records(*self._levels(energies, samples))

    def _levels(self, energies: "NDArray[float64]", samples: int) -> tuple[int, list[float], "NDArray[float64]"]:
        """The index of the first frame that is complete now, the times in seconds and the levels of all that are."""
        import numpy as np

        self.samples += samples
        self._energies = np.concatenate([self._energies, energies], axis=2)
        whole, part = self._energies
        ready = whole.shape[1] - self._hops + (self._rest == 0)
        starts = (self._index + np.arange(max(0, ready))) * self._hop
        starts = starts[starts < self.samples]  # silence behind the end begins no frame
        first, ready = self._index, len(starts)
        self._index += ready
        if not ready:
            return first, [], np.empty((0, self.channels))
        with np.errstate(over="ignore", invalid="ignore"):
            energy = np.zeros((whole.shape[0], ready))
            if self._hops == 1:
                energy += whole[:, :ready]
            elif self._hops:
                energy += np.lib.stride_tricks.sliding_window_view(whole, self._hops, axis=1)[:, :ready].sum(axis=2)
            if self._rest:
                energy += part[:, self._hops : self._hops + ready]
            self._energies = self._energies[:, :, ready:].copy()
            rms = np.sqrt(energy / np.minimum(self._length, self.samples - starts)) / self.full_scale
        return first, (starts / self.sample_rate).tolist(), rms.T

    def _records(self, first: int, times: list[float], levels: "NDArray[float64]") -> list[Record]:
        """The hot loop."""
        import numpy as np

        fields, values = self._fields, levels.tolist()
        if not np.isfinite(levels).all():
            values = [[number(value) for value in channels] for channels in values]
        return [
            {"type": "frame", **fields, "index": index, "time_s": time, "rms": rms}
            for index, (time, rms) in enumerate(zip(times, values, strict=True), first)
        ]


def lines_of(records: list[Record]) -> bytes:
    """`records`, which hold no objects, as lines: encoded in one call, which takes a third of the time."""
    return orjson.dumps(records)[1:-1].replace(b"},{", b"}\n{") + b"\n" if records else b""
