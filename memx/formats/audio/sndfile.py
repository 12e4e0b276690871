"""Sound through soundfile, which is libsndfile, for what that reads properly."""

import os
from collections.abc import Generator, Iterator
from contextlib import ExitStack
from itertools import cycle, islice
from typing import TYPE_CHECKING, Any, Self

from memx.errors import CorruptFile
from memx.formats.audio.framing import FrameMeter, HopMeter
from memx.formats.audio.libav import broken
from memx.formats.base import ReadOptions
from memx.formats.lane import Lane, cores
from memx.records import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 1 << 17
"""Samples read at once, of all channels together: what is worked on stays in the processor's cache."""
PART = 1 << 19
"""Samples of a channel that are decoded in a row, where a file is decoded in parts: some seconds."""
_SEAM = 16
"""Samples behind a part that must be those with which the next one begins."""
_UNKNOWN = 1 << 62
"""libsndfile's number of samples is beyond this where a file does not say it."""
_CODECS = {
    "PCM_S8": "pcm_s8",
    "PCM_U8": "pcm_u8",
    "PCM_16": "pcm_s16",
    "PCM_24": "pcm_s24",
    "PCM_32": "pcm_s32",
    "FLOAT": "pcm_f32",
    "DOUBLE": "pcm_f64",
    "ULAW": "pcm_mulaw",
    "ALAW": "pcm_alaw",
    "VORBIS": "vorbis",
    "OPUS": "opus",
    "MPEG_LAYER_I": "mp1",
    "MPEG_LAYER_II": "mp2",
    "MPEG_LAYER_III": "mp3",
    "IMA_ADPCM": "adpcm_ima_wav",
    "MS_ADPCM": "adpcm_ms",
    "GSM610": "gsm_ms",
    "ALAC_16": "alac",
    "ALAC_20": "alac",
    "ALAC_24": "alac",
    "ALAC_32": "alac",
    "G721_32": "adpcm_g726le",
    "G723_24": "adpcm_g726le",
    "G723_40": "adpcm_g726le",
}
"""FFmpeg's names by libsndfile's; those of PCM lack the byte order."""
_TYPES = {
    "PCM_S8": ("int16", 2.0**15),
    "PCM_U8": ("int16", 2.0**15),
    "PCM_16": ("int16", 2.0**15),
    "ULAW": ("int16", 2.0**15),
    "ALAW": ("int16", 2.0**15),
    "PCM_24": ("int32", 2.0**31),
    "PCM_32": ("int32", 2.0**31),
    "ALAC_20": ("int32", 2.0**31),
    "ALAC_24": ("int32", 2.0**31),
    "ALAC_32": ("int32", 2.0**31),
    "DOUBLE": ("float64", 1.0),
}
"""How samples are read without a loss, and their full scale; what is not here gives floats of 32 bits."""
_BITS = {
    "PCM_S8": 8,
    "PCM_U8": 8,
    "PCM_16": 16,
    "PCM_24": 24,
    "PCM_32": 32,
    "FLOAT": 32,
    "DOUBLE": 64,
    "ULAW": 8,
    "ALAW": 8,
    "ALAC_16": 16,
    "ALAC_20": 20,
    "ALAC_24": 24,
    "ALAC_32": 32,
}
_ORDERED = frozenset(("PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"))
"""What has a byte order."""
_BIG = frozenset(("AIFF", "AU", "AVR", "CAF", "HTK", "PAF", "PVF", "SVX"))
"""Formats of libsndfile whose samples begin with the high byte, unless it says otherwise."""
_CONTAINERS = {"WAV": "wav", "WAVEX": "wav", "RF64": "wav", "PAF": "epaf", "SVX": "iff", "NIST": "nistsphere"}
"""FFmpeg's names, where they are others than libsndfile's in lower case."""


class SndFile:
    """An open file of one stream, its first block decoded.

    Raises CorruptFile where libsndfile cannot open the file, or not read a first block.
    """

    reader = "soundfile"

    def __init__(self, path: str, options: ReadOptions) -> None:
        import numpy as np

        self._path, self._options = path, options
        file = self._file = _opened(path)
        self.sample_rate, self.channels = int(file.samplerate), int(file.channels)
        self.announced: int | None = file.frames if 0 <= file.frames < _UNKNOWN else None
        """How many samples of each channel the file says it has."""
        kind, full_scale = _TYPES.get(file.subtype, ("float32", 1.0))
        self._broken: CorruptFile | None = None
        self._position = 0
        self._first: NDArray[Any] | None = None
        self._buffer = np.empty((max(1, BLOCK // self.channels), self.channels), kind)
        self.meter = FrameMeter(
            self.channels, self.sample_rate, options.frame_length, options.hop_length, full_scale=full_scale
        )
        try:
            self._first = self._read()
        except CorruptFile:
            self.close()
            raise

    def close(self) -> None:
        """Closing twice is no error."""
        self._file.close()

    def stream(self) -> Record:
        """The `stream` record, without tags."""
        subtype, samples = self._file.subtype, self.announced
        bits = _BITS.get(subtype)
        pcm = bits is not None and _CODECS.get(subtype, "").startswith("pcm")
        container = _CONTAINERS.get(self._file.format, self._file.format.lower())
        return {
            "type": "stream",
            "index": 0,
            "codec": self._codec(),
            "sample_rate": self.sample_rate,
            "channels": self.channels,
            "channel_layout": {1: "mono", 2: "stereo"}.get(self.channels),
            "bits_per_sample": bits,
            "bit_rate": self.sample_rate * self.channels * bits if bits and pcm and container != "flac" else None,
            "samples": samples,
            "duration_s": None if samples is None else samples / self.sample_rate,
            "container": container,
        }

    def frames(self) -> Iterator[list[Record]]:
        """The frames that whole blocks complete, block by block. Raises CorruptFile where libsndfile cannot read on."""
        if self._file.format == "FLAC" and cores() > 1 and (yield from self._frames_of_parts()):
            return
        known = self.meter.samples
        with Lane(self._measure) as lane:
            lane.put(known)
            while True:
                lane.put(known)
                samples, energies = lane.take()
                if not samples:
                    return
                yield self.meter.join(energies, samples)

    def _measure(self, known: int) -> "tuple[int, NDArray[Any]]":
        """How many samples the next block behind the `known` ones has, and the energies of the hops it completes.

        Raises CorruptFile, and once it did, always.
        """
        if self._broken is not None:
            raise self._broken
        try:
            block = self._next()
            while block.shape[1] and self._position <= known:
                block = self._next()
        except CorruptFile as exc:
            self._broken = exc
            raise
        new = block[:, max(0, known - self._position + block.shape[1]) :]
        return new.shape[1], self.meter.hops.add(new)

    def _next(self) -> "NDArray[Any]":
        block, self._first = self._read() if self._first is None else self._first, None
        self._position += block.shape[1]
        return block

    def _frames_of_parts(self) -> Generator[list[Record], None, bool]:
        """The frames of parts that two decoders read in turns; whether those were all.

        They stop where a decoder fails, or where a part does not begin with the samples behind the one before:
        what a file says of where its samples lie need not be true.
        """
        total, length = self.announced or 0, PART // self._options.hop_length * self._options.hop_length
        parts = [] if not length else range(0, total, length)
        if len(parts) < 2:
            return False
        with ExitStack() as stack:
            decoders = [stack.enter_context(_PartDecoder(self._path, self._buffer, self._options)) for _ in range(2)]
            lanes = [stack.enter_context(Lane(decoder.measure)) for decoder in decoders]
            tasks = ((begin, min(length, total - begin), total) for begin in parts)
            for lane, task in zip([*lanes, *lanes], tasks, strict=False):
                lane.put(task)
            seam: bytes | None = None
            for lane, begin in zip(cycle(lanes), parts, strict=False):
                try:
                    energies, first, behind = lane.take()
                except CorruptFile:
                    return False
                if seam is not None and not first.startswith(seam):
                    return False
                seam = behind
                yield self.meter.join(energies, min(length, total - begin))
                for task in islice(tasks, 1):
                    lane.put(task)
        return True

    def _read(self) -> "NDArray[Any]":
        return _read_into(self._file, self._buffer).T

    def _codec(self) -> str:
        """FFmpeg's name of the codec."""
        file = self._file
        if file.format == "FLAC":
            return "flac"
        name: str = _CODECS.get(file.subtype, file.subtype.lower())
        if file.subtype not in _ORDERED:
            return name
        big = file.endian == "BIG" or (file.endian == "FILE" and file.format in _BIG)
        return name + ("be" if big else "le")


class _PartDecoder:
    """Reads parts of a file, with a decoder of its own."""

    def __init__(self, path: str, like: "NDArray[Any]", options: ReadOptions) -> None:
        import numpy as np

        self._file = _opened(path)
        self._hops = HopMeter(like.shape[1], options.frame_length, options.hop_length)
        self._buffer = np.empty((max(_SEAM, len(like) // 2), like.shape[1]), like.dtype)

    def measure(self, part: tuple[int, int, int]) -> "tuple[NDArray[Any], bytes, bytes]":
        """The energies of the hops of a part, the samples that it begins with and those that are behind it.

        `part` is where it begins, its samples and those of the whole file. Raises CorruptFile.
        """
        import numpy as np

        begin, left, total = part
        behind = min(_SEAM, total - begin - left)
        try:
            if begin:
                self._file.seek(begin)
        except (OSError, RuntimeError, ValueError) as exc:
            raise CorruptFile("libsndfile finds no way to the middle of this file") from exc
        energies, first = [], b""
        while left:
            block = self._block(left)
            first = first or block[:_SEAM].tobytes()
            energies.append(self._hops.add(block.T))
            left -= len(block)
        energies.append(self._hops.finish())
        return np.concatenate(energies, axis=2), first, self._block(behind).tobytes() if behind else b""

    def _block(self, most: int) -> "NDArray[Any]":
        block = _read_into(self._file, self._buffer[:most])
        if len(block) < min(most, len(self._buffer)):
            raise CorruptFile("libsndfile finds fewer samples in this file than are announced")
        return block

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def _read_into(file: Any, buffer: "NDArray[Any]") -> "NDArray[Any]":
    """The next samples, of shape (samples, channels), in `buffer`. Raises CorruptFile."""
    try:
        block: NDArray[Any] = file.read(out=buffer)
    except (OSError, RuntimeError, ValueError, MemoryError) as exc:
        raise broken("libsndfile cannot read on in this file", getattr(exc, "error_string", exc)) from exc
    return block


def _opened(path: str) -> Any:
    """Raises CorruptFile."""
    try:
        return _forward_file(os.fsencode(path))
    except (OSError, RuntimeError, ValueError, TypeError) as exc:
        raise broken("libsndfile cannot read this file", getattr(exc, "error_string", exc)) from exc


def _forward_file(path: bytes) -> Any:
    """A soundfile.SoundFile that is read forward only.

    soundfile seeks to where it stands after every read of a file that can seek. That resets the decoder: MP3
    then lose what frames borrow from those before them, and FLAC files without a length fail at their end.
    """
    import soundfile

    class ForwardFile(soundfile.SoundFile):  # type: ignore[misc]  # soundfile has no type hints
        def seekable(self) -> bool:
            return False

    return ForwardFile(path)
