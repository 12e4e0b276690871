"""Boxes, sample tables and whole films of any kind: against their plain meaning, and against FFmpeg."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate, chain
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from memx.errors import MemxError
from memx.formats.base import BelongsTo
from memx.formats.video.isobmff.boxes import Box, Inflated, Space, boxes
from memx.formats.video.isobmff.film import Film
from memx.formats.video.isobmff.tables import Sample, SampleTable
from memx.formats.video.isobmff.times import rescale
from tests.formats.test_isobmff import UNDECODED, differences
from tests.samples.isobmff import FragmentPlan, RunPlan, TrackPlan, film, fragmented

SAME_FOLDER = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
AGAINST_FFMPEG = settings(SAME_FOLDER, max_examples=60)
UNTOLD = UNDECODED | {"r_frame_rate", "bit_rate", "sample_aspect_ratio"}
"""What FFmpeg finds by decoding, or guesses of very few frames."""
LIMIT = 1000


# boxes


@given(st.binary(max_size=200), st.integers(0, 220), st.integers(0, 220))
@example(b"\0\0\0\1free\0\0\0\0\0\0\0\x10", 0, 16)
@example(b"\0\0\0\1free\xff\xff\xff\xff\xff\xff\xff\xff", 0, 16)
@example(b"\0\0\0\0free", 0, 8)
@example(b"\0\0\0\7free", 0, 8)
def test_boxes_stay_where_they_stand(data: bytes, at: int, end: int) -> None:
    for found in boxes(Space(Inflated(data)), at, end):
        assert at <= found.at < found.body <= found.end <= min(end, len(data))
        at = found.end


@given(st.lists(st.tuples(st.binary(min_size=4, max_size=4), st.integers(0, 40), st.booleans()), max_size=8))
def test_boxes_follow_each_other(plans: list[tuple[bytes, int, bool]]) -> None:
    data, wanted = b"", []
    for kind, length, long in plans:
        at, head = len(data), 16 if long else 8
        size = (head + length).to_bytes(8, "big")
        data += (b"\0\0\0\1" + kind + size if long else size[4:] + kind) + bytes(length)
        wanted.append(Box(kind, at, at + head, len(data)))
    assert list(boxes(Space(Inflated(data)), 0, len(data))) == wanted


@given(st.binary(max_size=5000), st.lists(st.tuples(st.integers(-5, 6000), st.integers(-5, 6000)), max_size=20))
def test_reading_is_bounded(data: bytes, places: list[tuple[int, int]]) -> None:
    space = Space(Inflated(data))
    for at, length in places:
        if at >= 0 and length >= 0 and at + length <= len(data):
            assert space.read(at, length) == data[at : at + length]
        else:
            with pytest.raises(MemxError):
                space.read(at, length)


@given(st.sampled_from((1, 2, 4, 8)), st.integers(0, 40_000), st.integers(0, 9), st.integers(0, 200_000))
@settings(deadline=None, max_examples=40)
def test_windows_make_the_table(width: int, count: int, at: int, length: int) -> None:
    data = bytes(number * 7 % 251 for number in range(length))
    found: list[int] = []
    try:
        for window in Space(Inflated(data)).words(at, count, width):
            found.extend(window)
    except MemxError:
        assert at + count * width > length
    else:
        assert len(found) == count
    assert found == [int.from_bytes(data[n : n + width], "big") for n in range(at, at + len(found) * width, width)]


@given(st.binary(max_size=300), st.sampled_from((b"moov", b"moof", b"sidx", b"udta", b"meta", b"trak")))
def test_any_bytes_end_properly(data: bytes, kind: bytes) -> None:
    whole = (len(data) + 8).to_bytes(4, "big") + kind + data
    try:
        Film(Space(Inflated(whole)), LIMIT)
    except (MemxError, BelongsTo):
        return


# sample tables


def runs_of(count: int, values: Sequence[int]) -> st.SearchStrategy[list[tuple[int, int]]]:
    """Runs for `count` samples."""

    def cut(lengths: list[tuple[int, int]]) -> list[tuple[int, int]]:
        found, left = [], count
        for length, value in lengths:
            if left:
                found.append((min(length, left), value))
                left -= found[-1][0]
        return [*found, (left, values[0])] if left else found

    return st.lists(st.tuples(st.integers(1, count), st.sampled_from(values)), max_size=12).map(cut)


@st.composite
def track_plans(draw: st.DrawFn, kinds: Sequence[bytes] = (b"vide", b"soun")) -> TrackPlan:
    """A track whose tables agree with each other."""
    kind = draw(st.sampled_from(kinds))
    bits = draw(st.sampled_from((32, 32, 4, 8, 16)))
    sizes = draw(st.lists(st.integers(1, min(3000, (1 << bits) - 1)), min_size=1, max_size=60))
    count = len(sizes)
    chunks: list[int] = []
    while sum(chunks) < count:
        chunks.append(min(count - sum(chunks), draw(st.sampled_from((1, 1, 2, 3, 10)))))
    durations = draw(runs_of(count, draw(st.sampled_from(([25], [24, 26], [1000], [20, 40, 100])))))
    shown_later: list[tuple[int, int]] = []
    keys = None
    if kind == b"vide":
        later = draw(st.sampled_from(([], [0, 25, 50], [25], [25, 0, 50, 75])))
        shown_later = draw(runs_of(count, later)) if later else []
        keys = draw(st.none() | st.sets(st.integers(1, count), max_size=6).map(lambda found: sorted({1, *found})))
    return TrackPlan(
        sizes,
        chunks,
        durations,
        shown_later,
        keys,
        kind=kind,
        entry={b"vide": b"mp4v", b"soun": b"mp4a"}[kind],
        scale=draw(st.sampled_from((600, 90000, 44100))),
        size_bits=bits,
        wide=draw(st.booleans()),
    )


def expanded(runs: Sequence[tuple[int, int]], count: int) -> list[int]:
    return list(chain.from_iterable([value] * number for number, value in runs))[:count]


def meant(plan: TrackPlan) -> list[Sample]:
    """The samples of a track, one by one."""
    count = len(plan.sizes)
    positions: list[int] = []
    for number, each in enumerate(plan.chunks):
        begin = sum(plan.chunks[:number])
        before = accumulate(plan.sizes[begin : begin + each - 1], initial=0)
        positions.extend(plan.positions[number] + inside for inside in before)
    lengths = expanded(plan.durations, count)
    times = accumulate(lengths[:-1], initial=0)
    later = expanded(plan.offsets, count) if plan.offsets else [0] * count
    keys = [plan.keys is None or number in plan.keys for number in range(1, count + 1)]
    return list(zip(positions, times, plan.sizes, lengths, later, keys, strict=True))


def table_of(path: Path, plan: TrackPlan) -> SampleTable:
    film(path, [plan])
    return Film(Space(Inflated(path.read_bytes())), LIMIT).tables[0]


@SAME_FOLDER
@given(plan=track_plans(), start=st.integers(0, 70))
def test_tables_say_what_they_mean(tmp_path: Path, plan: TrackPlan, start: int) -> None:
    table = table_of(tmp_path / "made.mp4", plan)
    wanted = meant(plan)
    assert table.count == len(wanted)
    assert list(table) == wanted
    assert list(table.samples(start)) == wanted[start:]
    assert list(table.durations()) == [sample[3] for sample in wanted]


@SAME_FOLDER
@given(plan=track_plans(), time=st.integers(-10, 3000))
def test_samples_are_counted_to_a_time(tmp_path: Path, plan: TrackPlan, time: int) -> None:
    table = table_of(tmp_path / "made.mp4", plan)
    assert table.decoded_before(time) == sum(1 for sample in meant(plan) if sample[1] < time)


@given(st.integers(-(1 << 62), 1 << 62), st.integers(1, 1 << 31), st.integers(1, 1 << 31))
def test_times_are_rounded_alike_on_both_sides(value: int, to: int, of: int) -> None:
    found = rescale(value, to, of)
    assert abs(found * of - value * to) * 2 <= of
    assert rescale(-value, to, of) == -found


# whole films


@AGAINST_FFMPEG
@given(plans=st.lists(track_plans(), min_size=1, max_size=3), front=st.booleans())
def test_films_agree_with_ffmpeg(tmp_path: Path, plans: list[TrackPlan], front: bool) -> None:
    path = film(tmp_path / "made.mp4", plans, front=front)
    assert differences(path, UNTOLD) == []


@AGAINST_FFMPEG
@given(plan=track_plans(), data=st.data())
def test_edits_agree_with_ffmpeg(tmp_path: Path, plan: TrackPlan, data: st.DataObject) -> None:
    total = sum(count * each for count, each in plan.durations)
    edits = []
    if data.draw(st.booleans()):
        edits.append((data.draw(st.integers(1, 3000)), -1))
    length = data.draw(st.sampled_from((total, total // 2, total // 3 + 7))) * 1000 // plan.scale
    edits.append((length, data.draw(st.sampled_from((0, 25, 50)) | st.integers(0, total))))
    path = film(tmp_path / "made.mp4", [replace(plan, edits=edits)])
    assert differences(path, UNTOLD) == []


@st.composite
def run_plans(draw: st.DrawFn, kind: bytes) -> RunPlan:
    sizes = draw(st.lists(st.integers(1, 900), min_size=1, max_size=12))

    def column(values: Sequence[int]) -> list[int] | None:
        return draw(st.none() | st.lists(st.sampled_from(values), min_size=len(sizes), max_size=len(sizes)))

    return RunPlan(
        sizes,
        durations=column((20, 25)),
        flags=column((0x2000000, 0x1010000)),
        offsets=column((0, 25, 50)) if kind == b"vide" else None,
        first_flags=draw(st.sampled_from((None, 0x2000000))),
    )


@st.composite
def fragments(draw: st.DrawFn, kinds: Sequence[bytes]) -> list[list[FragmentPlan]]:
    """Fragments of all tracks, each beginning where the one before ended, or later."""
    base = draw(st.sampled_from(("moof", "absolute", "implicit")))
    timed = draw(st.booleans())
    times, found = [0] * len(kinds), []
    for _ in range(draw(st.integers(1, 4))):
        trafs = []
        for number, kind in enumerate(kinds):
            each = draw(st.none() | st.just(30))
            runs = draw(st.lists(run_plans(kind), min_size=1, max_size=2))
            trafs.append(FragmentPlan(number + 1, runs, times[number] if timed else None, each, base=base))
            times[number] += sum(sum(run.durations) if run.durations else (each or 25) * len(run.sizes) for run in runs)
            times[number] += draw(st.sampled_from((0, 0, 300)))
        found.append(trafs)
    return found


@pytest.mark.slow
@AGAINST_FFMPEG
@given(kinds=st.lists(st.sampled_from((b"vide", b"soun")), min_size=1, max_size=3), data=st.data())
def test_fragments_agree_with_ffmpeg(tmp_path: Path, kinds: list[bytes], data: st.DataObject) -> None:
    edits: Any = data.draw(st.sampled_from(((), [(0, 50)], [(700, -1), (0, 0)])))
    tracks = [
        TrackPlan([], [], [], kind=kind, entry={b"vide": b"mp4v", b"soun": b"mp4a"}[kind], edits=edits)
        for kind in kinds
    ]
    path = fragmented(tmp_path / "made.mp4", tracks, data.draw(fragments(kinds)), (25, 0, 0))
    assert differences(path, UNTOLD) == []
