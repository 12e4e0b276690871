"""Audio: the level of each frame of an hour, two channels of 16 bits, 44.1 kHz."""

from pathlib import Path

import numpy as np
import soundfile

from tests.bench.row import MIB, Peer, Row

RATE = 44_100
_LIBROSA = """
import sys, librosa
for rms in librosa.feature.rms(y=librosa.load(sys.argv[1], sr=None)[0], frame_length=2048, hop_length=2048)[0]:
    print(rms)
"""


def write(path: Path, seconds: int, channels: int = 2) -> Path:
    """A tone in noise, never the same second twice."""
    random = np.random.default_rng(7)
    tone = np.sin(np.arange(RATE) * (2 * np.pi * 440 / RATE))[:, None] * 8_000
    with soundfile.SoundFile(path, "w", RATE, channels, "PCM_16") as file:
        for _ in range(seconds):
            file.write((tone + random.normal(0, 500, (RATE, channels))).astype("i2"))
    return path


def wav(folder: Path) -> Path:
    """An hour, 635 MB."""
    return write(folder / "hour.wav", 3600)


def flac(folder: Path) -> Path:
    """An hour, compressed."""
    return write(folder / "hour.flac", 3600)


def _peers(goal: float) -> tuple[Peer, ...]:
    return (
        Peer("sox {} -n stat", goal, "sox"),
        Peer(f"python -c '{_LIBROSA}' {{}}", None, "librosa", "librosa, feature.rms", "librosa"),
    )


ROWS = (
    Row("audio-wav", "audio, one hour, wav, RMS", wav, "stream {}", _peers(0.4), peak=48 * MIB),
    Row("audio-flac", "audio, one hour, flac, RMS", flac, "stream {}", _peers(0.7), peak=48 * MIB),
)
