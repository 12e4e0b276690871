"""Frames, whatever their length, their hop and the blocks in which the signal comes."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.errors import OverLimit
from memx.formats.audio.framing import FrameMeter

LENGTHS = st.integers(1, 40)


def measured(signal: Any, blocks: list[int], length: int, hop: int, **options: Any) -> list[dict[str, Any]]:
    """The records of `signal`, of shape (channels, samples), given in blocks of these lengths, again and again."""
    meter = FrameMeter(signal.shape[0], 8000, length, hop, **options)
    records, at, turn = [], 0, 0
    while at < signal.shape[1]:
        records += meter.add(signal[:, at : at + blocks[turn % len(blocks)]])
        at += blocks[turn % len(blocks)]
        turn += 1
    return records + meter.finish()


def naive(signal: Any, length: int, hop: int, full_scale: float = 1.0) -> list[list[float]]:
    starts = range(0, signal.shape[1], hop)
    parts = [signal[:, start : start + length].astype(float) for start in starts]
    return [(np.sqrt((part**2).mean(axis=1)) / full_scale).tolist() for part in parts]


@given(st.data(), LENGTHS, LENGTHS, st.lists(st.integers(1, 50), min_size=1), st.integers(0, 300), st.integers(1, 3))
def test_any_framing_is_that_of_the_whole_signal(
    data: st.DataObject, length: int, hop: int, blocks: list[int], samples: int, channels: int
) -> None:
    seed = data.draw(st.integers(0, 1000))
    signal = np.random.default_rng(seed).integers(-32768, 32768, (channels, samples)).astype(np.int16)
    records = measured(signal, blocks, length, hop, full_scale=32768.0)
    expected = naive(signal, length, hop, 32768.0)
    assert [record["index"] for record in records] == list(range(len(expected)))
    assert [record["time_s"] for record in records] == [index * hop / 8000 for index in range(len(expected))]
    assert np.allclose([record["rms"] for record in records], expected, rtol=1e-12) or not expected


def test_a_frame_longer_than_the_signal_is_of_all_of_it() -> None:
    records = measured(np.full((1, 10), 3.0), [4], 1 << 40, 1 << 40)
    assert [(record["index"], record["rms"]) for record in records] == [(0, [3.0])]


def test_records_have_the_fields_given() -> None:
    (record,) = measured(np.ones((2, 5), np.float32), [5], 8, 8, fields={"stream_index": 3})
    assert record == {"type": "frame", "stream_index": 3, "index": 0, "time_s": 0.0, "rms": [1.0, 1.0]}


def test_integers_are_measured_exactly() -> None:
    signal = np.array([[32767, -32768] * 1024], np.int16)
    (record,) = measured(signal, [2048], 2048, 2048, full_scale=32768.0)
    assert record["rms"] == [((32767**2 + 32768**2) / 2) ** 0.5 / 32768]


@pytest.mark.parametrize(
    ("value", "expected"), [(np.nan, "NaN"), (np.inf, "Infinity"), (-np.inf, "Infinity"), (1e200, "Infinity")]
)
def test_what_json_lacks_is_a_string(value: float, expected: str) -> None:
    signal = np.array([[0.5, 0.5, value, 0.5, 0.5, 0.5]])
    assert [record["rms"] for record in measured(signal, [3], 2, 2)] == [[0.5], [expected], [0.5]]


def test_frames_that_overlap_without_end_are_refused() -> None:
    with pytest.raises(OverLimit, match="overlap"):
        FrameMeter(1, 8000, 1 << 20, 1)


def test_what_is_held_does_not_grow_with_the_signal() -> None:
    meter = FrameMeter(1, 8000, 1000, 300)
    sizes = set()
    for _ in range(50):
        meter.add(np.ones((1, 700)))
        sizes.add(meter._energies.shape[2])
    assert max(sizes) <= 1000 // 300 + 1


@pytest.mark.parametrize(("length", "hop"), [(2048, 2048), (1000, 300), (9000, 9000), (20_000, 9001), (5000, 12_345)])
@pytest.mark.parametrize("channels", [1, 2, 100])
def test_what_is_said_does_not_depend_on_blocks(length: int, hop: int, channels: int) -> None:
    """To the last digit: how much is read at once depends on the memory that there is."""
    signal = np.random.default_rng(3).normal(0, 0.2, (channels, 60_001))
    expected = measured(signal, [signal.shape[1]], length, hop)
    for blocks in ([4096], [1000], [7, 5000], [12_345], [hop], [hop + 1]):
        assert measured(signal, blocks, length, hop) == expected


def test_samples_that_wait_are_few_whatever_the_channels() -> None:
    meter = FrameMeter(60_000, 8000, 1 << 20, 1 << 20)
    for _ in range(5):
        meter.add(np.ones((60_000, 3), np.float32))
    assert meter.hops._signal.size <= 1 << 20
