"""What soundfile, PyAV and ffprobe say of a sound file.

Levels are those of the whole signal, read at once by the library that the `file` record names, in NumPy; by
soundfile, else by PyAV, where that is memx itself. Streams are held against ffprobe where that is installed.
"""

import json
import shutil
import subprocess
from pathlib import Path
from typing import Any

import numpy as np

from tests.oracles import NotReadable

Records = list[dict[str, Any]]
PADDING = 8190
"""Samples by which durations may differ: the padding of an encoder, which FFmpeg's releases count differently."""
GUESSED_RATES = (8000, 12000, 16000, 24000)
"""libsndfile decodes Opus at the rate of the encoder's input where it is one of these; ffprobe always says 48000."""


def disagreements(
    path: str | Path, records: Records, frame_length: int = 2048, hop_length: int | None = None
) -> list[str]:
    """Differences between `records`, all that memx gave for the file at `path`, and the libraries; none if empty.

    Raises NotReadable where neither soundfile nor FFmpeg opens the file, or where they find no sound in it.
    """
    file, streams = records[0], [record for record in records if record["type"] == "stream"]
    frames = [record for record in records if record["type"] == "frame"]
    signals = samples(path, file["reader"])
    differences = _streams(path, streams)
    for index, (signal, rate) in signals.items():
        own = [frame for frame in frames if frame.get("stream_index", index) == index]
        differences += _frames(own, signal, rate, frame_length, hop_length or frame_length)
    if frames and any("stream_index" in frame for frame in frames) != (len(streams) > 1):
        differences.append("stream_index stands where there is one stream, or lacks where there are several")
    return differences


def samples(path: str | Path, reader: str) -> dict[int, tuple[Any, int]]:
    """The whole signal of each stream, of shape (samples, channels), and its rate, by the index of the stream."""
    if reader == "pyav":
        return _decoded(path)
    try:
        return {0: _read_whole(path)}
    except NotReadable:
        if reader != "direct":
            raise
        return _decoded(path)


def _read_whole(path: str | Path) -> tuple[Any, int]:
    import soundfile

    try:
        file = soundfile.SoundFile(path)
    except RuntimeError as exc:
        raise NotReadable(f"soundfile: {exc}") from exc
    with file:
        if file.format == "FLAC" and _breaks(path):  # memx goes on with FFmpeg behind the break
            return next(iter(_decoded(path).values()))
        # in one piece: soundfile seeks after each, which resets decoders
        known = file.frames < 1 << 62
        data = file.read(file.frames if known else 1 << 24, dtype="float64", always_2d=True)
        return data, file.samplerate


def _breaks(path: str | Path) -> bool:
    import soundfile

    try:
        soundfile.read(path)
    except (RuntimeError, MemoryError, ValueError):
        return True
    return False


def _decoded(path: str | Path) -> dict[int, tuple[Any, int]]:
    import av

    try:
        container = av.open(f"file:{path}", metadata_errors="replace")
    except (av.FFmpegError, OSError) as exc:
        raise NotReadable(f"PyAV: {exc}") from exc
    with container:
        signals: dict[int, list[Any]] = {stream.index: [] for stream in container.streams.audio}
        rates = {stream.index: stream.sample_rate for stream in container.streams.audio if stream.codec_context}
        if not signals:
            raise NotReadable("PyAV finds no sound")
        try:
            for packet in container.demux(*container.streams.audio):
                try:
                    frames = packet.decode()
                except (av.FFmpegError, OSError):
                    continue
                if packet.stream_index in signals:
                    signals[packet.stream_index] += [_samples(frame) for frame in frames]
        except (av.FFmpegError, OSError):
            pass
    joined = {index: _joined(blocks) for index, blocks in signals.items()}
    return {index: (joined[index], rates[index]) for index in rates}


def _joined(blocks: list[Any]) -> Any:
    return np.concatenate([block for block in blocks if block.shape[1] == blocks[0].shape[1]] or [np.zeros((0, 1))])


def _samples(frame: Any) -> Any:
    data = frame.to_ndarray().astype(np.float64)
    if not frame.format.is_planar:
        data = data.reshape(-1, frame.layout.nb_channels).T
    name = frame.format.packed.name
    if name == "u8":
        data = (data - 128) / 128
    elif name in ("s16", "s32"):
        data /= 2.0 ** (frame.format.bits - 1)
    return data.T


def _frames(frames: Records, signal: Any, rate: int, length: int, hop: int) -> list[str]:
    starts = range(0, len(signal), hop)
    if len(starts) != len(frames):
        return [f"{len(frames)} frames for {len(signal)} samples: {len(starts)} expected"]
    differences = []
    with np.errstate(all="ignore"):
        for number, (start, frame) in enumerate(zip(starts, frames, strict=True)):
            rms = np.sqrt(np.mean(signal[start : start + length] ** 2, axis=0))
            if frame["index"] != number or abs(frame["time_s"] - start / rate) > 1e-9:
                differences.append(f"frame {number} at {start / rate}: {frame}")
            given = np.array([float(value) for value in frame["rms"]])
            if given.shape != rms.shape or not np.allclose(given, rms, rtol=1e-6, atol=1e-9, equal_nan=True):
                differences.append(f"frame {number}: rms {frame['rms']} instead of {rms.tolist()}")
    return differences


def _streams(path: str | Path, streams: Records) -> list[str]:
    """Differences from ffprobe, as far as it is installed and reads the file."""
    if shutil.which("ffprobe") is None:
        return []
    command = ["ffprobe", "-v", "quiet", "-show_streams", "-show_format", "-of", "json", f"file:{path}"]
    answer = subprocess.run(command, capture_output=True, check=False)
    if answer.returncode:
        return []
    probed = json.loads(answer.stdout.decode("utf-8", "backslashreplace"))
    sounds = [stream for stream in probed.get("streams", []) if stream["codec_type"] == "audio"]
    if not sounds:
        return []
    if len(sounds) != len(streams):
        return [f"{len(streams)} streams, ffprobe has {len(sounds)}"]
    differences = []
    for mine, theirs in zip(streams, sounds, strict=True):
        tags = {**probed["format"].get("tags", {}), **theirs.get("tags", {})}
        duration = theirs.get("duration") or probed["format"].get("duration")
        differences += _stream(mine, theirs, None if duration is None else float(duration), tags)
    return differences


def _stream(mine: dict[str, Any], theirs: dict[str, Any], duration: float | None, tags: dict[str, str]) -> list[str]:
    differences = []
    opus_rate = mine["codec"] == "opus" and mine["sample_rate"] in GUESSED_RATES
    for name, value in (
        ("codec", theirs.get("codec_name")),
        ("sample_rate", int(theirs["sample_rate"]) if not opus_rate else mine["sample_rate"]),
        ("channels", theirs["channels"]),
    ):
        if mine[name] != (value or None):
            differences.append(f"{name} {mine[name]}, ffprobe has {value}")
    if duration is not None and _apart(mine, duration):
        differences.append(f"duration_s {mine['duration_s']}, ffprobe has {duration}")
    given = {key.lower(): value for key, value in mine["tags"].items()}
    for key, value in tags.items():
        # FFmpeg's releases differ in these; and ffprobe replaces what is no UTF-8
        if given.get(key.lower()) != value and key not in ("vendor_id", "encoder") and "\ufffd" not in value:
            differences.append(f"tag {key} {given.get(key.lower())!r}, ffprobe has {value!r}")
    return differences


def _apart(mine: dict[str, Any], duration: float) -> bool:
    if mine["duration_s"] is None:
        return True
    padded = PADDING / mine["sample_rate"] if mine["codec"] in ("mp1", "mp2", "mp3") else 0.0
    return bool(abs(mine["duration_s"] - duration) > max(0.1, padded))
