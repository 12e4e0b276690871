"""The root mean square of each frame of a signal that comes in blocks of any length."""

from typing import TYPE_CHECKING, Any

from memx.errors import OverLimit
from memx.records import Record, number

if TYPE_CHECKING:
    from numpy import float64
    from numpy.typing import NDArray

MOST_OVERLAP = 1 << 16
"""A frame may reach over so many hops."""


class FrameMeter:
    """Makes the `frame` records of one stream of samples.

    Frame k is of the samples from k * hop on, `frame_length` of them, fewer at the end of the signal; there is
    one for every k that begins in the signal. The signal is squared once, whatever the overlap: each hop gives
    the energy of all its samples and that of its first `frame_length % hop` samples, and a frame is a sum of
    whole hops and one such part. What is held is one block, and the energies of the hops of one frame.

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
        # (whole or part, channel, hop): the closed hops that a frame still needs; the open hop; how long that is
        self._energies: NDArray[float64] = np.zeros((2, channels, 0))
        self._open: NDArray[float64] = np.zeros((2, channels, 1))
        self._filled = 0
        self._signal: NDArray[float64] = np.empty((channels, 0))

    def add(self, block: "NDArray[Any]") -> list[Record]:
        """The frames that `block`, of shape (channels, samples) and any number type, completes."""
        import numpy as np

        with np.errstate(over="ignore", invalid="ignore"):  # floats may hold infinities
            channels, length = block.shape
            if self._signal.shape[1] < length:
                self._signal = np.empty((channels, length))
            signal = self._signal[:, :length]
            np.copyto(signal, block)  # into the same memory each time: fresh pages cost more than the squares
            self.samples += length
            begin = min(length, -self._filled % self._hop)
            end = begin + (length - begin) // self._hop * self._hop
            closed = [self._energies]
            if begin:
                closed.extend(self._fill(signal[:, :begin]))
            if end > begin:
                closed.append(self._energy(signal[:, begin:end].reshape(channels, -1, self._hop), self._rest))
            if length > end:
                closed.extend(self._fill(signal[:, end:]))
            self._energies = np.concatenate(closed, axis=2)
            return self._frames()

    def finish(self) -> list[Record]:
        """The frames of the samples left, at the end of the signal."""
        import numpy as np

        with np.errstate(over="ignore", invalid="ignore"):
            left = [self._energies] + ([self._open] if self._filled else [])
            silence = np.zeros((2, self._open.shape[1], self._hops))
            self._energies, self._filled = np.concatenate([*left, silence], axis=2), 0
            return self._frames()

    def _fill(self, piece: "NDArray[float64]") -> "list[NDArray[float64]]":
        """Adds to the open hop; its energies where that closes it."""
        import numpy as np

        self._open = self._open + self._energy(piece[:, None, :], max(0, self._rest - self._filled))
        self._filled += piece.shape[1]
        if self._filled < self._hop:
            return []
        closed, self._open, self._filled = self._open, np.zeros_like(self._open), 0
        return [closed]

    def _energy(self, hops: "NDArray[float64]", rest: int) -> "NDArray[float64]":
        """The energies of `hops`, of shape (channels, hops, samples): of all samples, and of the first `rest`."""
        import numpy as np

        energy = np.zeros((2, *hops.shape[:2]))
        if self._hops:
            np.einsum("chs,chs->ch", hops, hops, out=energy[0])
        if rest:
            np.einsum("chs,chs->ch", hops[:, :, :rest], hops[:, :, :rest], out=energy[1])
        return energy

    def _frames(self) -> list[Record]:
        """The records of the frames whose hops are all closed."""
        import numpy as np

        whole, part = self._energies
        ready = whole.shape[1] - self._hops + (self._rest == 0)
        starts = (self._index + np.arange(max(0, ready))) * self._hop
        starts = starts[starts < self.samples]  # silence behind the end begins no frame
        if not len(starts):
            return []
        ready = len(starts)
        energy = np.zeros((whole.shape[0], ready))
        if self._hops:
            energy += np.lib.stride_tricks.sliding_window_view(whole, self._hops, axis=1)[:, :ready].sum(axis=2)
        if self._rest:
            energy += part[:, self._hops : self._hops + ready]
        self._energies = self._energies[:, :, ready:].copy()
        rms = np.sqrt(energy / np.minimum(self._length, self.samples - starts)) / self.full_scale
        return self._records((starts / self.sample_rate).tolist(), rms.T.tolist(), bool(np.isfinite(rms).all()))

    def _records(self, times: list[float], values: list[list[float]], finite: bool) -> list[Record]:
        """The hot loop."""
        first, fields = self._index, self._fields
        self._index += len(times)
        if not finite:
            values = [[number(value) for value in channels] for channels in values]  # type: ignore[misc]
        return [
            {"type": "frame", **fields, "index": index, "time_s": time, "rms": rms}
            for index, time, rms in zip(range(first, self._index), times, values, strict=True)
        ]
