"""Sound files: signals that are known to the sample, in what libsndfile and FFmpeg write."""

import struct
from pathlib import Path
from typing import Any

import numpy as np

RATE = 44100
SECONDS = 1.5
TAGS = {"title": "Ein Stück", "artist": "Jemand"}
KINDS = (
    "wav",
    "flac",
    "mp3",
    "ogg",
    "opus",
    "aiff",
    "w64",
    "rf64",
    "caf",
    "au",
    "m4a",
    "mka",
    "wv",
    "tta",
    "ac3",
    "aac",
)
"""What `build_kind` makes, by suffix."""
SMALL, GIANT, GIANT_PCM = 1 << 20, 64 << 20, 1 << 30
"""Bytes of the sound of `build_small` and `build_giant`: all of it is decoded, so a giant is not that large."""

_SNDFILE = {"wav": "WAV", "flac": "FLAC", "mp3": "MP3", "ogg": "OGG", "opus": "OGG", "aiff": "AIFF"}
_SNDFILE |= {"w64": "W64", "rf64": "RF64", "caf": "CAF", "au": "AU"}
_FRAME = 1024
_FFMPEG = {"m4a": "aac", "mka": "flac", "wv": "wavpack", "tta": "tta", "ac3": "ac3", "aac": "aac"}


def signal(seconds: float = SECONDS, rate: int = RATE, channels: int = 2) -> Any:
    """A tone and a hiss that swell, as float64 of shape (samples, channels), loudest in the first channel."""
    time = np.arange(round(seconds * rate)) / rate
    hiss = np.random.default_rng(7).standard_normal(len(time))
    tones = [np.sin(2 * np.pi * 440 * (n + 1) * time) / (n + 1.5) + 0.02 * hiss for n in range(channels)]
    return np.stack(tones, axis=1) * (0.2 + 0.6 * time / seconds)[:, None]


def build(folder: Path) -> Path:
    """Stereo in FLAC, 16 bits, with tags: for the libraries."""
    return build_kind(folder, "flac")


def build_pcm(folder: Path) -> Path:
    """Stereo in WAVE, 16 bits, with tags."""
    return build_kind(folder, "wav")


def build_kind(folder: Path, kind: str) -> Path:
    """`signal` in the kind of file that has the suffix `kind`."""
    path = folder / f"sound.{kind}"
    rate = 48000 if kind in ("opus", "ac3") else RATE
    if kind in _FFMPEG:
        return encode(path, signal(rate=rate), codec=_FFMPEG[kind], rate=rate)
    return write(path, signal(rate=rate), rate=rate, subtype="OPUS" if kind == "opus" else None)


def write(path: Path, data: Any, *, rate: int = RATE, subtype: str | None = None, endian: str | None = None) -> Path:
    """A file by libsndfile, with `TAGS` where it can hold them."""
    import soundfile

    kind = _SNDFILE[path.suffix[1:]]
    with soundfile.SoundFile(path, "w", rate, data.shape[1], subtype, endian, kind) as file:
        if kind in ("WAV", "FLAC", "OGG", "RF64", "AIFF"):
            for name, value in TAGS.items():
                setattr(file, name, value)
        file.write(data)
    return path


def encode(path: Path, *signals: Any, codec: str, rate: int = RATE) -> Path:
    """A file by FFmpeg with a stream for each of `signals` and `TAGS`."""
    import av

    with av.open(str(path), "w") as out:
        out.metadata.update(TAGS)
        streams = [_stream(out, codec, rate, data.shape[1]) for data in signals]
        for stream, data in zip(streams, signals, strict=True):
            for frame in _frames(stream.codec_context, data, rate):
                out.mux(stream.encode(frame))
            out.mux(stream.encode(None))
    return path


def _stream(out: Any, codec: str, rate: int, channels: int) -> Any:
    stream = out.add_stream(codec, rate=rate)
    stream.codec_context.layout = "stereo" if channels == 2 else "mono"
    stream.codec_context.format = stream.codec_context.codec.audio_formats[0]
    return stream


def _frames(context: Any, data: Any, rate: int) -> Any:
    import av

    resampler = av.AudioResampler(format=context.format, layout=context.layout, rate=rate, frame_size=_FRAME)
    for begin in range(0, len(data), _FRAME):
        part = np.ascontiguousarray(data[begin : begin + _FRAME].T, dtype=np.float32)
        frame = av.AudioFrame.from_ndarray(part, format="fltp", layout=context.layout.name)
        frame.sample_rate, frame.pts = rate, begin
        yield from resampler.resample(frame)
    yield from resampler.resample(None)


def wave(path: Path, body: bytes, *, form: bytes = b"RIFF", channels: int = 1, size: int | None = None) -> Path:
    """A WAVE file of 8,000 samples a second and 16 bits, by hand; `size` is what its data chunk says."""
    order = ">" if form == b"RIFX" else "<"
    fmt = struct.pack(f"{order}HHIIHH", 1, channels, 8000, 16000 * channels, 2 * channels, 16)
    chunk = struct.pack(f"{order}4sI", b"data", len(body) if size is None else size) + body
    rest = b"WAVE" + struct.pack(f"{order}4sI", b"fmt ", 16) + fmt + chunk
    path.write_bytes(form + struct.pack(f"{order}I", len(rest)) + rest)
    return path


def build_small_pcm(folder: Path) -> Path:
    """The structure of the giant, 1 MiB."""
    return _sparse(folder / "small.wav", SMALL)


def build_giant_pcm(folder: Path) -> Path:
    """1 GiB of silence, sparse."""
    return _sparse(folder / "giant.wav", GIANT_PCM)


def _sparse(path: Path, length: int) -> Path:
    wave(path, b"", channels=2, size=length)
    with path.open("r+b") as file:
        file.seek(4)
        file.write(struct.pack("<I", 36 + length))
        file.truncate(44 + length)
    return path


def build_small(folder: Path) -> Path:
    """The structure of the giant, 1 MiB."""
    return _sparse_adpcm(folder / "small_adpcm.wav", SMALL)


def build_giant(folder: Path) -> Path:
    """64 MiB of silence that libsndfile decodes, sparse."""
    return _sparse_adpcm(folder / "giant_adpcm.wav", GIANT)


def _sparse_adpcm(path: Path, length: int) -> Path:
    """IMA ADPCM (RFC 2361, A.6): blocks of 256 bytes, 505 samples each."""
    fmt = struct.pack("<HHIIHHHH", 0x11, 1, 8000, 4055, 256, 4, 2, 505)
    fact = struct.pack("<4sII", b"fact", 4, length // 256 * 505)
    rest = b"WAVE" + struct.pack("<4sI", b"fmt ", len(fmt)) + fmt + fact + struct.pack("<4sI", b"data", length)
    path.write_bytes(b"RIFF" + struct.pack("<I", len(rest) + length) + rest)
    with path.open("r+b") as file:
        file.truncate(8 + len(rest) + length)
    return path
