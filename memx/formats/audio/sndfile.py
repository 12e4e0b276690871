"""Sound through soundfile, which is libsndfile, for what that reads properly."""

import os
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from memx.errors import CorruptFile
from memx.formats.audio.framing import FrameMeter
from memx.formats.audio.libav import broken
from memx.formats.base import ReadOptions
from memx.records import Record

if TYPE_CHECKING:
    from numpy.typing import NDArray

BLOCK = 1 << 17
"""Samples read at once, of all channels together: what is worked on stays in the processor's cache."""
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

        try:
            self._file = _forward_file(os.fsencode(path))
        except (OSError, RuntimeError, ValueError, TypeError) as exc:
            raise broken("libsndfile cannot read this file", getattr(exc, "error_string", exc)) from exc
        file = self._file
        self.sample_rate, self.channels = int(file.samplerate), int(file.channels)
        self.announced: int | None = file.frames if 0 <= file.frames < _UNKNOWN else None
        """How many samples of each channel the file says it has."""
        kind, full_scale = _TYPES.get(file.subtype, ("float32", 1.0))
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

    def frames(self) -> Iterator[Record]:
        """The frames that whole blocks give. Raises CorruptFile where libsndfile cannot read on."""
        block = self._first
        while block.shape[1]:
            yield from self.meter.add(block)
            block = self._read()

    def _read(self) -> "NDArray[Any]":
        """The next block, of shape (channels, samples); it is overwritten by the one behind it."""
        try:
            block: NDArray[Any] = self._file.read(out=self._buffer)
        except (OSError, RuntimeError, ValueError, MemoryError) as exc:
            raise broken("libsndfile cannot read on in this file", getattr(exc, "error_string", exc)) from exc
        return block.T

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
