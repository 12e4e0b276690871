"""Matroska told by two processes in turns: the same bytes as by one, whatever the film is like."""

import io
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memx.errors import MemxError
from memx.formats.base import BelongsTo, ReadOptions
from memx.formats.video.matroska import MatroskaStreamReader, clusters, turns
from memx.records import Record, encode
from memx.sources import open_source
from tests.samples import matroska as samples
from tests.samples import video


class Beside:
    """A companion in this process: another reader of the same bytes."""

    def __init__(self, data: bytes, dies: int = -1) -> None:
        self.reader = MatroskaStreamReader(open_source(io.BytesIO(data)))
        self.reader.owns_source = True
        self.reader.begin()
        self.told, self.asked = 0, 0
        self._dies = dies
        """At this question; -1: never."""
        self._question: dict[str, Any] = {}

    def ask(self, question: dict[str, Any]) -> bool:
        self._question = question
        self.asked += 1
        return self.asked - 1 != self._dies

    def answer(self) -> tuple[dict[str, Any], list[bytes]] | None:
        said, blocks = self.reader.stretch(self._question)
        self.told += bool(said)
        return None if self.asked == self._dies else (said, blocks)


def lines(data: bytes, companion: Beside | None) -> bytes:
    """What the reader tells of a film whose stretches are of a few packets, errors behind it."""

    def parts() -> Iterator[Record | bytes]:
        try:
            yield from reader.blocks()
        except MemxError as exc:
            yield {"type": "error", "code": exc.code, "message": exc.message}

    with ExitStack() as stack:
        stack.enter_context(patch.multiple(turns, _LENGTH=600, _WORTH=0))
        source = stack.enter_context(open_source(io.BytesIO(data)))
        options = ReadOptions(accompany=None if companion is None else lambda: companion)
        reader = stack.enter_context(MatroskaStreamReader(source, options))
        reader.begin()
        return b"".join(part if isinstance(part, bytes) else encode(part) for part in parts())


def film(count: int, width: int = 4, odd: Mapping[int, bytes] | None = None, *of_text: bytes) -> bytes:
    """`count` clusters of `width` pictures and as many packets of sound; odd blocks in those of some numbers.

    `of_text` is what else is said of the track of subtitles.
    """
    told = []
    for number in range(count):
        begin = 40 * width * number
        sound = [samples.simple(2, 40 * n, bytes(40 + n)) for n in range(width)]
        more = (odd or {}).get(number, b"")
        told.append(samples.cluster(begin, *samples.pictures(begin, width), *sound, more))
    tracks = samples.video_track(1) + samples.sound_track(2) + samples.text_track(3, *of_text)
    return samples.film(*told, tracks=tracks)


@pytest.mark.parametrize("step", [clusters.HEAD, clusters._MOST_STEP])
def test_a_companion_tells_its_part(step: int) -> None:
    data = film(40)
    with patch.object(clusters, "_MOST_STEP", step):
        companion = Beside(data)
        assert lines(data, companion) == lines(data, None)
    assert companion.told == companion.asked > 5


def test_pictures_that_are_held_back_keep_their_order(tmp_path: Path) -> None:
    path = tmp_path / "coded.mkv"
    options = {"fflags": "+bitexact", "cluster_time_limit": "200"}
    with av.open(str(path), "w", container_options=options) as out:
        pictures = video._codec(out, "libx264", width=64, height=64, pix_fmt="yuv420p")
        pictures.options = {"threads": "1", "x264-params": "bframes=3:keyint=30:sliced-threads=0"}
        for number in range(400):
            out.mux(pictures.encode(video._picture(pictures, number)))
        out.mux(pictures.encode(None))
    data = path.read_bytes()
    companion, alone = Beside(data), lines(data, None)
    assert lines(data, companion) == alone
    assert companion.told == companion.asked > 5
    assert b'"pts":40,"dts":0,' in alone or b'"dts":-' in alone


def test_what_was_held_back_otherwise_is_told_again() -> None:
    data = film(40)
    companion = Beside(data)
    held_back = iter(range(1000))
    stretch = companion.reader.stretch

    def wrong(question: dict[str, Any]) -> tuple[dict[str, Any], list[bytes]]:
        said, _ = stretch(question)
        return said | {"before": [[next(held_back)]]}, [b"wrong\n"]

    with patch.object(companion.reader, "stretch", wrong):
        assert lines(data, companion) == lines(data, None)
    assert companion.asked == turns._PATIENCE


def test_subtitles_that_say_how_long_they_last_are_as_most_are() -> None:
    block = samples.element(samples.BLOCK, samples.block(3, 9, b"Hello"))
    text = samples.element(samples.GROUP, block, samples.element(samples.DURATION, 700))
    data = film(40, odd=dict.fromkeys(range(10, 40), text))
    companion = Beside(data)
    told = lines(data, companion)
    assert told == lines(data, None)
    assert told.count(b'"duration":700') == 30
    assert companion.told == companion.asked - 1  # where the subtitles begin


@pytest.mark.slow
@pytest.mark.parametrize("deflated", [False, True])
@settings(max_examples=60, deadline=None)
@given(st.dictionaries(st.integers(1, 39), st.sampled_from([5, 90, -1, -500, -20_000]), min_size=2, max_size=20))
def test_subtitles_without_a_time_follow_those_before_them(deflated: bool, times: dict[int, int]) -> None:
    deflation = samples.element(0x6D80, samples.element(0x6240, samples.element(0x5034, samples.element(0x4254, 0))))
    payload = zlib.compress(b"Hello") if deflated else b"Hello"
    texts = {
        number: samples.element(
            samples.GROUP,
            samples.element(samples.BLOCK, samples.block(3, time, payload)),  # what is shown before nought has no time
            samples.element(samples.DURATION, 700),
        )
        for number, time in ({0: 0} | times).items()
    }
    data = film(40, 4, texts, *([deflation] if deflated else []))
    assert lines(data, Beside(data)) == lines(data, None)


ODD = {
    "laces": samples.simple(2, 99, samples.laced(samples.XIPH, [b"one", b"two"]), 0x82),
    "before": samples.simple(2, -3999, bytes(30)),
    "of no track": samples.simple(9, 0, bytes(30)),
    "junk": bytes(50),
    "void": samples.element(samples.VOID, bytes(50)),
}


@pytest.mark.parametrize("number", [14, 15, 16, 17, 39])
@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_is_odd_is_told_by_the_first_process(odd: bytes, number: int) -> None:
    data = film(40, odd={number: odd})
    assert lines(data, Beside(data)) == lines(data, None)


@pytest.mark.parametrize("odd", ODD.values(), ids=ODD)
def test_what_has_to_do_with_what_was_odd_before_is_told_by_the_first_process(odd: bytes) -> None:
    data = film(40, odd=dict.fromkeys(range(8, 40), odd))
    assert lines(data, Beside(data)) == lines(data, None)


@pytest.mark.parametrize("dies", [0, 1, 5])
@pytest.mark.parametrize("later", [0, 1])
def test_goes_on_alone_without_its_companion(dies: int, later: int) -> None:
    data = film(40)
    companion = Beside(data, dies + later if later else dies)
    assert lines(data, companion) == lines(data, None)


def test_a_stretch_of_too_many_lines_is_not_told() -> None:
    data = film(40)
    companion = Beside(data)
    with patch.object(turns, "_MOST", 100):
        assert lines(data, companion) == lines(data, None)
    assert companion.told == 0


def test_clusters_of_unknown_length_are_told_by_one() -> None:
    parts = [samples.cluster(160 * n, *samples.pictures(160 * n, 4), unknown=True) for n in range(20)]
    data = samples.film(*parts)
    companion = Beside(data)
    assert lines(data, companion) == lines(data, None)
    assert companion.asked == 0


@settings(max_examples=100, deadline=None)
@given(
    st.integers(1, 30),
    st.integers(1, 9),
    st.dictionaries(st.integers(0, 30), st.sampled_from(list(ODD.values())), max_size=4),
    st.lists(st.tuples(st.floats(0.2, 1), st.integers(0, 255)), max_size=2),
    st.none() | st.floats(0.2, 1),
)
def test_any_film_is_told_as_by_one(
    count: int, width: int, odd: dict[int, bytes], damage: list[tuple[float, int]], cut: float | None
) -> None:
    data = bytearray(film(count, width, odd))
    for place, byte in damage:
        data[int(place * (len(data) - 1))] = byte
    if cut is not None:
        del data[int(cut * len(data)) :]
    try:
        companion = Beside(bytes(data))
    except (MemxError, BelongsTo):
        return
    assert lines(bytes(data), companion) == lines(bytes(data), None)
