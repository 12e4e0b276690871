"""Matroska read directly: FFmpeg's records, construct by construct; what is cut, what is damaged, and what is read."""

import io
import shutil
import struct
from pathlib import Path
from typing import Any
from unittest.mock import patch

import av
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from memx.engine.options import StreamOptions
from memx.engine.reading.streaming import Stream
from memx.errors import CorruptFile, MemxError, TruncatedFile
from memx.formats.base import BelongsTo
from memx.formats.video import VideoStreamReader
from memx.formats.video.assembly import packet_line
from memx.formats.video.matroska import MatroskaStreamReader, clusters, ebml, lacing
from memx.formats.video.packets import NotKnown, dts
from memx.formats.video.window import Window
from memx.sources import open_source
from tests.formats import reading
from tests.formats.reading import Told, packets
from tests.samples import matroska as samples
from tests.samples import video


def read(path: Path, **options: Any) -> Told:
    return reading.read(path, MatroskaStreamReader, **options)


def test_a_summary_has_streams_and_chapters(tmp_path: Path) -> None:
    path = samples.build(tmp_path, "tags")
    _, records, error = read(path, summary=True)
    assert error is None
    assert [record["type"] for record in records] == ["stream", "stream", "chapter", "chapter"]


@pytest.mark.parametrize("name", samples.DAMAGED)
def test_goes_on_behind_damage_and_names_it(name: str, tmp_path: Path) -> None:
    path = samples.build(tmp_path, name)
    _, records, error = read(path)
    assert error is None
    faults = [record for record in records if record["type"] == "error"]
    assert [fault["code"] for fault in faults] == ["corrupt"]
    assert isinstance(faults[0]["offset"], int)
    assert [packet["pts"] for packet in packets(records)][-5:] == [200, 240, 280, 320, 360]
    _, theirs, _ = reading.read(path, VideoStreamReader)
    assert packets(records) == packets(theirs)


def test_a_cut_file_gives_its_packets_up_to_there(tmp_path: Path) -> None:
    whole = samples.CONSTRUCTS["laces"]
    path = tmp_path / "cut.mkv"
    path.write_bytes(whole)
    every = packets(read(path)[1])
    counts = set()
    for length in range(len(whole) - 1, 300, -37):
        path.write_bytes(whole[:length])
        try:
            _, records, error = read(path)
        except MemxError as exc:
            error, records = exc.code, []
        except BelongsTo:
            continue
        assert error == TruncatedFile.code, length
        got = packets(records)
        assert got == every[: len(got)]
        counts.add(len(got))
    assert len(counts) > 5


def test_an_unknown_length_that_ends_inside_a_block_is_truncated(tmp_path: Path) -> None:
    path = tmp_path / "live.mkv"
    path.write_bytes(samples.CONSTRUCTS["unknown"][:-9])
    _, records, error = read(path)
    assert error == TruncatedFile.code
    assert len(packets(records)) == 9


@pytest.mark.parametrize(
    "data",
    [
        samples.film(samples.cluster(0, *samples.pictures(0, 3)), tracks=samples.video_track(codec="V_SNOW")),
        samples.CONSTRUCTS["void"] + b"more",
        samples.film(tracks=samples.video_track(codec="V_VP9")),
        samples.film(samples.cluster(0, *samples.pictures(0, 3)), tracks=samples.video_track(1, samples.element(
            0x6D80, samples.element(0x6240, samples.element(0x5033, 1))))),
    ],
    ids=["codec", "bytes behind", "no packets", "encrypted"],
)  # fmt: skip
def test_what_it_does_not_know_is_for_the_library(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "odd.mkv"
    path.write_bytes(data)
    with pytest.raises(BelongsTo) as direction:
        read(path)
    assert direction.value.key == "video"
    assert direction.value.construct


@pytest.mark.parametrize("inside", [False, True], ids=["here", "in a worker"])
def test_what_the_library_is_asked_for_is_named(inside: bool, tmp_path: Path) -> None:
    path = tmp_path / "odd.mkv"
    path.write_bytes(samples.CONSTRUCTS["void"] + b"more")
    options = StreamOptions(timeout=60 if inside else None)  # with a limit all is read in a worker
    file, *_, end = Stream(path, options).records()
    assert file["reader"] == "pyav"
    assert list(end["metrics"]["asked_library"].values()) == [1]


@pytest.mark.parametrize(
    "data",
    [b"\x1a\x45\xdf\xa3", samples.header(), samples.header() + samples.element(samples.TAGS), samples.segment()],
    ids=["id", "header", "no segment", "no tracks"],
)
def test_what_has_no_tracks_is_corrupt(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "nothing.mkv"
    path.write_bytes(data)
    with pytest.raises((CorruptFile, TruncatedFile)):
        read(path)


@pytest.mark.parametrize(
    ("header", "size", "said"),
    [
        ("7ffe8001 fc3c75b2 76c00538 0009ef7b", 1884, (48000, 6, "5.1(side)", 1411200, 512)),
        ("7ffe8001 fc3c3ff0 35e00138 0001ef83", 1024, (48000, 1, "mono", 768000, 512)),
    ],
)
def test_the_core_of_dts_says_what_it_is(header: str, size: int, said: tuple[object, ...]) -> None:
    data = bytes.fromhex(header)
    found = dts.coding(data, size)
    assert (found.sample_rate, found.channels, found.layout, found.bit_rate, found.frame_samples) == said
    for odd in (data, 8 * size), (b"\x64\x58\x20\x25" + data[4:], size), (data[:10] + b"\xff" + data[11:], size):
        with pytest.raises(NotKnown):
            dts.coding(*odd)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize("name", [0xB5, 0x4489, 0x23314F, 0x7675])
def test_numbers_that_are_none_are_for_ffmpeg(name: int, value: float, tmp_path: Path) -> None:
    number = samples.element(name, value)
    sound = samples.element(0xE1, samples.element(0x9F, 1), number if name == 0xB5 else b"")
    track = samples.video_track(1, number if name == 0x23314F else b"", *_rolled(number if name == 0x7675 else b""))
    info = samples.info(number, duration=None) if name == 0x4489 else samples.info()
    blocks = samples.cluster(0, *samples.pictures(0, 3))
    path = tmp_path / "odd.mkv"
    tracks = samples.element(samples.TRACKS, track, samples.sound_track(2, sound))
    path.write_bytes(samples.segment(info, tracks, blocks))
    with pytest.raises(BelongsTo, match="video"):
        read(path)


def _rolled(number: bytes) -> list[bytes]:
    return [samples.element(0xE0, samples.element(0x7670, number))] if number else []


@pytest.mark.parametrize("rate", [0.5, 1.0])
def test_sound_of_hardly_any_samples(rate: float, tmp_path: Path) -> None:
    sound = samples.element(0xE1, samples.element(0xB5, rate), samples.element(0x9F, 1), samples.element(0x6264, 16))
    about = samples.element(0xD7, 2), samples.element(0x83, 2), samples.element(0x86, "A_PCM/INT/LIT")
    track = samples.element(0xAE, *about, samples.element(0x56AA, 6_500_000), sound)
    path = tmp_path / "slow.mkv"
    blocks = [samples.simple(2, 40 * number, bytes(320)) for number in range(4)]
    path.write_bytes(
        samples.film(samples.cluster(0, *samples.pictures(0, 4), *blocks), tracks=samples.video_track() + track)
    )
    _, records, error = read(path)
    assert error is None
    assert len(packets(records)) == 8


def test_long_tags_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "long.mkv"
    tags = samples.element(samples.TAGS, samples.tag(b"", samples.simple_tag("LYRICS", "x" * 70000)))
    path.write_bytes(samples.film(tags, samples.cluster(0, *samples.pictures(0, 3))))
    added, _, error = read(path)
    assert error is None
    assert added["tags"]["LYRICS"] == {"bulk": True, "length": 70000}


def test_many_faults_are_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "broken.mkv"
    bad = samples.cluster(0, b"\0" * 8)
    path.write_bytes(samples.film(*[bad] * 5000, samples.cluster(0, *samples.pictures(0, 2))))
    with open_source(path) as source, MatroskaStreamReader(source) as reader:
        reader.begin()
        records = list(reader.records())
        assert len(records) < 100
        assert source.bytes_read < 4 * path.stat().st_size + 100_000


@pytest.mark.parametrize("codec", ["libx264", "libx265"])
def test_pictures_in_groups_that_say_how_long_they_last_keep_their_order(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "groups.mkv"
    path.write_bytes(_film_with_groups(tmp_path / "coded.mp4", codec))
    _, records, _ = read(path)
    _, theirs, _ = reading.read(path, VideoStreamReader)
    assert packets(records) == packets(theirs)
    assert len(packets(records)) == 200
    assert any(packet["dts"] != packet["pts"] for packet in packets(records))


def _film_with_groups(path: Path, codec: str) -> bytes:
    """200 pictures, encoded by way of `path`; every seventh in a group that says how long it lasts."""
    parameters = "bframes=2:keyint=50:sliced-threads=0" if codec == "libx264" else "bframes=2:keyint=50:log-level=none"
    with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as out:
        pictures = video._codec(out, codec, width=64, height=64, pix_fmt="yuv420p")
        pictures.options = {"threads": "1", codec.replace("lib", "") + "-params": parameters}
        for number in range(200):
            out.mux(pictures.encode(video._picture(pictures, number)))
        out.mux(pictures.encode(None))
    clusters: dict[int, list[bytes]] = {}
    with av.open(str(path)) as old:
        stream = old.streams.video[0]
        extra, name = (
            stream.codec_context.extradata,
            {"libx264": "V_MPEG4/ISO/AVC", "libx265": "V_MPEGH/ISO/HEVC"}[codec],
        )
        for number, packet in enumerate(packet for packet in old.demux(stream) if packet.size):
            time, blocks = round(packet.pts * packet.time_base * 1000), clusters.setdefault(2000 * (number // 50), [])
            flags, body = 0x80 * packet.is_keyframe, bytes(packet)
            if number > 60 and number % 7 == 0:
                block = samples.element(samples.BLOCK, samples.block(1, time - 2000 * (number // 50), body))
                related = [] if flags else [samples.element(samples.REFERENCE, b"\xd8")]
                blocks.append(samples.element(samples.GROUP, block, samples.element(samples.DURATION, 40), *related))
            else:
                blocks.append(samples.simple(1, time - 2000 * (number // 50), body, flags))
    track = samples.video_track(1, samples.element(0x63A2, extra), codec=name)
    return samples.film(*(samples.cluster(time, *blocks) for time, blocks in clusters.items()), tracks=track)


# tokenizers


@given(st.integers(0, (1 << 56) - 2), st.integers(0, 8))
def test_numbers_round_trip(value: int, width: int) -> None:
    width = max(width, next(count for count in range(1, 9) if value < (1 << 7 * count) - 1))
    data = samples.vint(value, width)
    assert ebml.number(data) == (value, width)
    assert ebml.number(b"??" + data + b"?", 2) == (value, width)
    assert ebml.number(data[:-1]) == (None, 0)


@given(st.binary(max_size=12), st.integers(0, 12))
def test_no_bytes_make_a_number_longer_than_they_are(data: bytes, at: int) -> None:
    for read_one in (ebml.number, ebml.identifier):
        value, width = read_one(data, at)
        assert 0 <= width <= max(0, len(data) - at)
        assert value is None or value >= 0


@given(st.sampled_from([samples.XIPH, samples.LACED]), st.lists(st.binary(max_size=700), min_size=1, max_size=256))
def test_laces_round_trip(kind: int, frames: list[bytes]) -> None:
    assume(kind != samples.LACED or len(frames) > 1)  # FFmpeg wants a size where RFC 9559 has none
    data = samples.laced(kind, frames)
    begin, sizes = lacing.sizes(kind, data, len(data), 0)
    assert sizes == list(map(len, frames))
    assert begin + sum(sizes) == len(data)


@given(st.sampled_from([samples.XIPH, samples.LACED, samples.FIXED]), st.binary(max_size=60), st.integers(0, 100))
def test_laces_of_any_bytes_fit_or_are_corrupt(kind: int, data: bytes, more: int) -> None:
    size = len(data) + more
    try:
        begin, sizes = lacing.sizes(kind, data, size, 7)
    except CorruptFile:
        return
    assert begin + sum(sizes) <= size
    assert begin + sum(sizes) == size or (kind, len(sizes)) == (samples.LACED, 1)
    assert min(sizes) >= 0


@given(st.lists(st.sampled_from([
    samples.simple(1, 0, b"frame"), samples.simple(2, -1, b"other", 0), samples.cluster(5, samples.simple(1, 9, b"x")),
    samples.element(samples.VOID, bytes(9)), b"\0", b"\xa3", b"\xa3\xff",
    samples.element(samples.CLUSTER, unknown=True),
    samples.element(samples.GROUP, samples.element(samples.BLOCK, b"\x81\0\0\0")), b"\x1f\x43\xb6\x75\x81",
]), max_size=30), st.binary(max_size=40))  # fmt: skip
def test_any_clusters_come_to_an_end(parts: list[bytes], junk: bytes) -> None:
    data = samples.element(samples.CLUSTER, unknown=True) + b"".join(parts) + junk
    with open_source(io.BytesIO(data)) as source:
        walk = clusters.Clusters(source, 0, None, {1: "one", 2: None})
        for block in walk.blocks():
            track, time, _, _, _, size, pos, begin = block
            assert track == "one"
            assert -0x8000 <= time < 0x8000
            assert 0 <= pos < begin <= begin + size <= len(data)
            assert walk.payload(block, size) == data[begin : begin + size]


BLOCK_LENGTHS = st.sampled_from([0, 1, 20, 121, 122, 123, 124, 300, 16_377, 16_378, 16_379, 20_000])


@pytest.mark.slow
@settings(max_examples=200)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 1, 2, 2, 300, 4, 5]),  # pictures, sound, the same of a number of two bytes, text, Opus
            st.integers(-20, 400),  # not before nought: how far a track has come then is not known there
            BLOCK_LENGTHS,
            st.sampled_from(
                [0, 0x80, 0x80, 0x84, "group", "lasting", "laced", "laced", "laced group", "laced lasting"]
            ),
            st.integers(0, 4),
        ),
        min_size=20,
        max_size=40,
    ),
    st.integers(0, 1 << 20),
    st.just([]) | st.lists(st.tuples(st.floats(0, 1), st.integers(0, 255)), max_size=3),
    st.sampled_from([clusters.HEAD, clusters._MOST_STEP]),
)
def test_the_hot_loop_tells_what_is_told_one_by_one(
    blocks: list[tuple[int, int, int, int | str, int]], cut: int, damage: list[tuple[float, int]], step: int
) -> None:
    told = [
        _block(
            track, time, (samples.OTHER_FRAME, samples.KEY_FRAME)[time % 2][:length].ljust(length, b"s"), form, width
        )
        for track, time, length, form, width in blocks
        if not width or length + 5 < (1 << 7 * width) - 1
    ]
    whole = _film_of(told)
    data = bytearray(whole[: len(whole) - cut % len(whole)] if cut % 5 == 0 else whole)
    for place, byte in damage:
        data[len(data) // 2 + int(place * (len(data) - 1 - len(data) // 2))] = byte
    assert _told(bytes(data), step, one_by_one=False) == _told(bytes(data), step, one_by_one=True)


@pytest.mark.parametrize("step", [clusters.HEAD, clusters._MOST_STEP])
@pytest.mark.parametrize("odd", [
    b"\xa3\xff\x81\0\0\x80", b"\xa3\x7f\xff\x81\0\0\x80", b"\xa3\x3f\xff\xff\x81\0\0\x80",  # no size is known
    b"\xa3\x83\x81\0\0", b"\xa3\x40\x03\x81\0\0", b"\xa3\x20\0\x03\x81\0\0",  # less than a block
    b"\xa3\x7e\x80\x82\0\0\x80", b"\xa3\x3e\0\0\x82\0\0\x80",  # beyond the cluster
    samples.simple(9, 40, bytes(200)),  # of no track
])  # fmt: skip
@pytest.mark.parametrize("behind", [0, 30])
def test_the_hot_loop_leaves_what_is_odd_to_the_other(odd: bytes, behind: int, step: int) -> None:
    before = [samples.simple(2, time, bytes(320)) for time in range(0, 400, 20)]
    data = _film_of([*before, odd, *(samples.simple(2, 400 + time, bytes(320)) for time in range(behind))])
    told, faults, _ = _told(data, step, one_by_one=False)
    assert (told, faults, False) == _told(data, step, one_by_one=True)
    assert faults
    assert len(told) == 7 + len(before) + 3  # on with the next cluster


def _block(number: int, time: int, payload: bytes, form: int | str, width: int) -> bytes:
    """A simple block with the flags `form`; or laced, or in a group, with what stands behind a block there."""
    if number == 5:
        payload = b"\xfc" + payload
    if isinstance(form, int):
        return samples.simple(number, time, payload, form, width)
    flags = 0
    if "laced" in form:
        flags = (samples.XIPH, samples.FIXED, samples.LACED)[len(payload) % 3]
        frames = [payload] * (1 + time % 5)
        if flags != samples.FIXED:
            frames = [frame[: len(frame) - 7 * place] for place, frame in enumerate(frames)]
        payload = samples.laced(flags, frames)
    if form == "laced":
        return samples.simple(number, time, payload, 0x80 | flags)
    behind = samples.element(samples.REFERENCE, b"\xd8") if time % 2 else b""
    behind += samples.element(0x75A2, 1)
    if "lasting" in form:
        behind = samples.element(samples.DURATION, 17 * (1 + time % 3)) + behind
    body = samples.block(number, time, payload, flags)
    return samples.element(samples.GROUP, samples.element(samples.BLOCK, body), behind)


def _film_of(blocks: list[bytes]) -> bytes:
    """Pictures, sound of two tracks, the number of one of which takes two bytes, text, Opus; `blocks`; and pictures."""
    tracks = samples.video_track(1) + samples.sound_track(2) + samples.sound_track(300) + samples.text_track(4)
    tracks += samples.opus_track(5)
    sounds = [samples.simple(number, 0, b"\xfc" + bytes(319)) for number in (2, 300, 5)]
    first = [*samples.pictures(0, 3), *sounds, samples.simple(4, 0, b"text")]
    last = samples.cluster(900, *samples.pictures(900, 3))
    return samples.film(samples.cluster(0, *first), samples.cluster(20, *blocks), last, tracks=tracks)


def _told(data: bytes, step: int, *, one_by_one: bool) -> tuple[Any, ...]:
    """The packets of a film, their faults, and whether it is cut; `step` bytes are read at once at most."""
    at_once = patch.object(clusters, "_MOST_STEP", step)
    with at_once, open_source(io.BytesIO(data)) as source, MatroskaStreamReader(source) as reader:
        try:
            reader.begin()
        except (MemxError, BelongsTo) as exc:
            return (str(exc),)
        demuxer = reader._demuxer
        lines = list(map(packet_line, demuxer.queue))
        if one_by_one:
            lines.extend(map(packet_line, demuxer.packets()))
        else:
            while demuxer.add_lines(lines):
                pass
        return list(filter(None, lines)), demuxer.faults, demuxer.cut


@given(st.binary(max_size=200))
def test_masters_of_any_bytes_are_read_or_corrupt(data: bytes) -> None:
    from memx.formats.video.matroska import elements
    from memx.formats.video.packets import NotKnown

    with open_source(io.BytesIO(data)) as source:
        headers = ebml.Headers(Window(source), 100)
        for fields in (elements.TRACKS_FIELDS, elements.TAGS_FIELDS, elements.CHAPTERS_FIELDS, elements.INFO_FIELDS):
            try:
                headers.master(ebml.Element(1, 0, 0, len(data)), fields)
            except (CorruptFile, NotKnown):
                continue


def test_numbers_of_many_bytes_are_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "number.mkv"
    path.write_bytes(samples.element(samples.EBML, samples.element(0x42F3, bytes(2 << 20))) + samples.segment())
    with pytest.raises(CorruptFile, match="number"):
        read(path)


def test_tags_nested_without_end_are_left_to_the_library(tmp_path: Path) -> None:
    path = tmp_path / "deep.mkv"
    inner = samples.simple_tag("A", "b")
    for _ in range(50):
        inner = samples.simple_tag("A", "b", inner)
    tags = samples.element(samples.TAGS, samples.tag(b"", inner))
    path.write_bytes(samples.film(tags, samples.cluster(0, *samples.pictures(0, 3))))
    with pytest.raises(BelongsTo):
        read(path)


def test_a_seek_head_that_leads_to_itself_ends(tmp_path: Path) -> None:
    path = tmp_path / "round.mkv"
    seek = samples.element(
        0x4DBB, samples.element(0x53AB, struct.pack(">I", samples.SEEK_HEAD)), samples.element(0x53AC, 0)
    )
    path.write_bytes(
        samples.film(samples.cluster(0, *samples.pictures(0, 3)), before=samples.element(samples.SEEK_HEAD, seek))
    )
    assert read(path)[2] is None


def test_a_pipe_is_read_as_the_file_is(tmp_path: Path) -> None:
    from memx.engine.reading.streaming import Stream

    path = samples.build(tmp_path, "groups")
    nameless = tmp_path / "nameless"
    shutil.copy(path, nameless)
    first = list(Stream(nameless).records())
    assert first[0]["reader"] == "direct"
    with nameless.open("rb") as file:
        second = list(Stream(file).records())
    assert first[1:-1] == second[1:-1]
