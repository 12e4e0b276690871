"""AVI read directly: FFmpeg's records, construct by construct; what is cut, what is parted, and what is read."""

import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.errors import CorruptFile, TruncatedFile
from memx.formats.base import BelongsTo
from memx.formats.video import VideoStreamReader
from memx.formats.video.avi import AviStreamReader
from memx.formats.video.avi import index as index_module
from memx.formats.video.avi import survey as survey_module
from memx.formats.video.avi.chunks import Chunks
from memx.formats.video.avi.framing import HeldFrames, MpegFrames
from memx.formats.video.avi.index import Counter, OldIndex
from memx.formats.video.packets import NotKnown, h264, mpegaudio
from memx.formats.video.packets import ac3 as ac3_packets
from memx.records import decode, encode
from memx.sources import open_source
from tests.formats import reading
from tests.formats.reading import Told, packets
from tests.samples import avi as samples
from tests.samples import video


def read(path: Path) -> Told:
    return reading.read(path, AviStreamReader)


@pytest.mark.parametrize("name", ["no_index", "mp3_parted"])
def test_a_cut_file_gives_its_packets_up_to_there(name: str, tmp_path: Path) -> None:
    whole = samples.CONSTRUCTS[name]
    path = tmp_path / "cut.avi"
    begin = whole.index(b"movi") + 200
    for length in range(len(whole) - 1, begin, -(len(whole) // 20)):
        path.write_bytes(whole[:length])
        added, records, error = read(path)
        assert error == TruncatedFile.code, length
        theirs = reading.read(path, VideoStreamReader)
        assert packets(records) == packets(theirs[1]), length
        assert added == theirs[0]


def test_the_last_packet_of_a_cut_file_is_said_to_be_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "cut.avi"
    path.write_bytes(samples.CONSTRUCTS["dropped_frames"][:-11])
    _, records, error = read(path)
    assert error == TruncatedFile.code
    assert [packet.get("corrupt") for packet in packets(records)] == [None, None, None, None, True]


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """H.264 in AVI: as an encoder gives it, behind start codes; and copied out of an mp4, with lengths before it."""
    folder = tmp_path_factory.mktemp("h264")
    coded, copied = folder / "coded.avi", folder / "copied.avi"
    with av.open(str(coded), "w", container_options={"fflags": "+bitexact"}) as out:
        pictures = video._codec(out, "libx264", width=64, height=48, pix_fmt="yuv420p")
        pictures.options = {"threads": "1", "x264-params": "bframes=2:keyint=8:open-gop=1:aud=1:sliced-threads=0"}
        video._interleave(out, pictures, None)
    copied.write_bytes(_copied(video.build(folder)))
    return {"coded": coded, "copied": copied}


def _copied(path: Path) -> bytes:
    with av.open(str(path)) as old:
        pictures, sound = old.streams.video[0], old.streams.audio[0]
        about = samples.stream_header(b"auds", bytes(4), 1024, 44100, 36)
        shaped = samples.sound_format(0xFF, 2, 44100, 8000, 1024, 16, sound.codec_context.extradata)
        headers = [
            samples.video_stream(video.FRAMES, tag=b"avc1", extra=pictures.codec_context.extradata),
            samples.listed(b"strl", about, shaped),
        ]
        names = {pictures.index: b"00dc", sound.index: b"01wb"}
        found = [packet for packet in old.demux([pictures, sound]) if packet.size]
        chunks = [samples.chunk(names[packet.stream_index], bytes(packet)) for packet in found]
    chunks[3:3] = [samples.chunk(b"00dc")]  # a picture that is left out
    return samples.form(headers, chunks, samples.old_index(chunks))


@pytest.mark.parametrize("part", [1.0, 0.7, 0.4])
@pytest.mark.parametrize("name", ["coded", "copied"])
def test_h264_is_read_directly(films: dict[str, Path], name: str, part: float, tmp_path: Path) -> None:
    data = films[name].read_bytes()
    path = tmp_path / "film.avi"
    begin = data.index(b"movi") + 4
    path.write_bytes(data[: begin + int((len(data) - begin) * part)])
    told = read(path)
    assert told == reading.read(path, VideoStreamReader)
    assert {packet["pts"] for packet in packets(told[1]) if packet["stream_index"] == 0} == {None}
    assert len({packet["keyframe"] for packet in packets(told[1])}) == 2
    with open_source(path) as source, AviStreamReader(source) as reader:
        reader.begin()
        lines = b"".join(part if isinstance(part, bytes) else encode(part) for part in _until_cut(reader))
    assert [decode(line) for line in lines.splitlines()] == told[1]


@pytest.fixture(scope="module")
def ac3(tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    """Frames of AC-3, of two sizes."""
    path = tmp_path_factory.mktemp("ac3") / "sound.ac3"
    with av.open(str(path), "w") as out:
        sound = out.add_stream("ac3", rate=44100, layout="mono")
        sound.bit_rate = 64000
        for number in range(60):
            wave = np.sin(np.arange(1536) * (number + 1) / 50).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(wave[None, :], format="fltp", layout="mono")
            frame.sample_rate, frame.pts = 44100, 1536 * number
            out.mux(sound.encode(frame))
        out.mux(sound.encode(None))
    with av.open(str(path)) as old:
        return [bytes(packet) for packet in old.demux(audio=0) if packet.size]


def _with_ac3(parts: list[bytes], *, counted: bool) -> bytes:
    head = samples.stream_header(b"auds", bytes(4), 1, 8000, 20000, 1) if counted else None
    head = head or samples.stream_header(b"auds", bytes(4), 1536, 44100, len(parts))
    form = samples.sound_format(0x2000, 1, 44100, 8000, 1, 0)
    chunks = [samples.chunk(b"01wb", part) for part in parts]
    pictures = samples.frames(len(parts))
    woven = [one for both in zip(pictures, chunks, strict=True) for one in both]
    headers = [samples.video_stream(len(parts)), samples.listed(b"strl", head, form)]
    return samples.form(headers, woven, samples.old_index(woven))


def _enhanced(kind: int, stream: int, size: int, *, rate: int = 0, version: int = 16) -> bytes:
    """The header of a frame of Enhanced AC-3, and 293 bytes."""
    fields = 0x0B77 << 40 | kind << 38 | stream << 35 | size // 2 - 1 << 24 | rate << 22 | 1 << 20 | 2 << 17
    return (fields | version << 11).to_bytes(7, "big") + bytes(293)


def _swapped(frame: bytes) -> bytes:
    return bytes(frame[at ^ 1] for at in range(len(frame)))


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("kind", ["whole", "parted", "several", "damaged", "in between", "enhanced", "cut"])
def test_ac3_is_framed_anew(ac3: list[bytes], kind: str, counted: bool, tmp_path: Path) -> None:
    data, parts = b"".join(ac3), list(ac3)
    if kind == "parted":
        parts = ac3[:20] + [data[at : at + 200] for at in range(sum(map(len, ac3[:20])), len(data), 200)]
    elif kind == "several":
        parts = ac3[:30] + [b"".join(ac3[at : at + 3]) for at in range(30, 57, 3)] + ac3[57:]
    elif kind == "damaged":
        parts[25] = bytes(9) + parts[25][9:]
        parts[40] = parts[40][:100]
    elif kind == "in between":
        parts[30:30] = [b"what is this?", b"\x0b\x77\0\0\xff" * 4]
    elif kind == "enhanced":
        odd = [_enhanced(kind, stream, size) for kind in range(4) for stream in (0, 1) for size in (300, 900, 4)]
        odd += [_enhanced(0, 0, 300, rate=3), _enhanced(0, 0, 300, version=17), _swapped(ac3[3])]
        parts = [part for both in zip(odd, ac3[3:], strict=False) for part in both]
        parts = [*ac3[:30], *parts, *ac3[30:]]
    path = tmp_path / "sound.avi"
    whole = _with_ac3(parts, counted=counted)
    path.write_bytes(whole[: whole.rindex(b"01wb") - 2000] if kind == "cut" else whole)
    told = read(path)
    assert told == reading.read(path, VideoStreamReader)
    assert len(packets(told[1])) > 2 * 50 if kind != "cut" else told[2] == TruncatedFile.code
    with open_source(path) as source, AviStreamReader(source) as reader:
        reader.begin()
        lines = b"".join(part if isinstance(part, bytes) else encode(part) for part in _until_cut(reader))
    assert [decode(line) for line in lines.splitlines()] == told[1]


def _until_cut(reader: AviStreamReader) -> Iterator[Any]:
    try:
        yield from reader.blocks()
    except TruncatedFile:
        return


def test_of_reordered_pictures_only_some_are_shown_when_they_are_decoded(tmp_path: Path) -> None:
    path = tmp_path / "reordered.avi"
    with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as out:
        pictures = video._codec(out, "mpeg4", width=64, height=48, pix_fmt="yuv420p", max_b_frames=2)
        for number in range(100):
            out.mux(pictures.encode(video._picture(pictures, number)))
        out.mux(pictures.encode(None))
    told = read(path)
    assert told == reading.read(path, VideoStreamReader)
    assert {packet["pts"] == packet["dts"] for packet in packets(told[1])[50:]} == {True, False}


IDR, INTER = b"\0\0\0\1\x65\x88", b"\0\0\1\x41\x9a\x20"
SEI = b"\0\0\1\x06\x06\x01\xc4\x80"  # a recovery point


@pytest.mark.parametrize(
    ("packet", "kind"),
    [
        (IDR + bytes(40), 1),
        (INTER + bytes(40), 0),
        (b"\0\0\0\1\x09\xf0" + INTER + bytes(40), 0),
        (SEI + INTER + bytes(40), 1),
        (b"\0\0\1\x41\x9e\x20" + bytes(40), 2),
        (b"\0\0\1\x41\x88\x84" + bytes(40), 0),
        (b"\0\0\1\x06\x05\xff" + b"x" * 5000 + IDR, 0),
        (b"", 0),
        (b"\0\0\1", 0),
        (bytes(6000), 0),
    ],
)
def test_a_picture_is_told_by_no_more_than_it_needs(packet: bytes, kind: int) -> None:
    pictures = h264.PicturesBehindCodes(bytes.fromhex("01640000ffe000"), 2)
    for begin in range(1, 40):
        have = begin
        said = pictures.look(packet[:have], 0, len(packet))
        while said < 0:
            assert have < -said <= len(packet)
            have = -said
            said = pictures.look(packet[:have], 0, len(packet))
        assert said == kind


def test_an_index_of_a_chunk_far_beyond_the_file_comes_to_an_end(tmp_path: Path) -> None:
    path = tmp_path / "beyond.avi"
    path.write_bytes(samples.CONSTRUCTS["apart_in_one"][:-4] + (0x3FFFFFF0).to_bytes(4, "little"))
    _, records, error = read(path)
    assert error == TruncatedFile.code
    found = packets(records)
    assert len(found) == 17
    assert found[-1]["corrupt"]
    assert found[-1]["pos"] + found[-1]["size"] == path.stat().st_size


@pytest.mark.parametrize(
    "headers",
    [
        [samples.video_stream(3, tag=b"ABCD")],
        [samples.listed(b"strl", samples.stream_header(b"txts", bytes(4), 1, 25, 3), samples.chunk(b"strf", bytes(4)))],
        [samples.listed(b"strl", samples.stream_header(b"vids", b"MP42", 1, 25, 3))],
    ],
    ids=["codec", "texts", "no format"],
)
def test_what_it_does_not_know_is_for_the_library(headers: list[bytes], tmp_path: Path) -> None:
    path = tmp_path / "odd.avi"
    path.write_bytes(samples.form(headers, samples.frames(3)))
    with pytest.raises(BelongsTo) as direction:
        read(path)
    assert direction.value.key == "video"


def test_headers_without_media_data_are_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "short.avi"
    path.write_bytes(samples.listed(b"AVI ", samples.listed(b"hdrl", samples.main_header(1, 0)), name=b"RIFF"))
    with pytest.raises(CorruptFile):
        read(path)


def test_a_stream_that_begins_late_is_described_by_its_index(tmp_path: Path) -> None:
    path = tmp_path / "late.avi"
    pictures = samples.frames(4500, 1)
    sounds = [samples.chunk(b"01wb", samples.MP3_FRAME) for _ in range(2000)]
    headers = [samples.video_stream(4500), samples.mp3_stream(constant=False)]
    path.write_bytes(samples.form(headers, [*pictures, *sounds], samples.old_index([*pictures, *sounds])))
    told = read(path)
    assert told == reading.read(path, VideoStreamReader)
    assert len(packets(told[1])) == 6500


def test_streams_that_lie_apart_are_read_with_few_bytes(tmp_path: Path) -> None:
    path = tmp_path / "apart.avi"
    pictures, sounds = samples.frames(6000, 400), [samples.chunk(b"01wb", bytes(640)) for _ in range(6000)]
    woven = [one for at in range(0, 6000, 1500) for one in (*pictures[at : at + 1500], *sounds[at : at + 1500])]
    headers = [samples.video_stream(6000), samples.pcm_stream(1920000)]
    path.write_bytes(samples.form(headers, woven, samples.old_index(woven)))
    with open_source(path) as source, AviStreamReader(source) as reader:
        reader.begin()
        count = sum(block.count(b"\n") for block in reader.blocks() if isinstance(block, bytes))
        assert count == 12000
        assert source.bytes_read < 1.3 * 16 * len(woven)  # the index, once
    assert read(path) == reading.read(path, VideoStreamReader)


# indexes

_ENTRIES = st.lists(
    st.tuples(
        st.sampled_from([b"00dc", b"00db", b"01wb", b"02wb", b"00pc", b"13dc"]),
        st.sampled_from([0, 16]),
        st.one_of(st.just(-1), st.integers(0, 50)),
        st.one_of(st.integers(0, 900), st.just(1 << 30)),
    ),
    min_size=1,
    max_size=200,
)


def _index(entries: list[tuple[bytes, int, int, int]]) -> bytes:
    at, parts = 100, []
    for name, flags, gap, size in entries:
        at += gap if gap < 0 and at else max(gap, 0)
        parts.append(struct.pack("<4sIII", name, flags, at, size))
        at += 8 + size + (size & 1) if size < 1 << 20 else 8
    return b"".join(parts)


@given(_ENTRIES, st.integers(1, 40))
def test_an_index_is_summed_up_the_same_by_windows_and_by_entries(
    entries: list[tuple[bytes, int, int, int]], window: int
) -> None:
    data = _index([(b"00dc", 16, 0, 9), (b"00dc", 0, 0, 9), (b"01wb", 16, 0, 9), (b"01wb", 16, 0, 9), *entries])
    counters = [Counter(0, 0, 0), Counter(4, 4, 8), Counter(0, 300, 0)]
    found = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(index_module, "_WINDOW", 16 * window)
        for whole in (True, False):
            if not whole:
                patch.setattr(survey_module._Surveyor, "take_window", lambda *_: False)
            with open_source(io.BytesIO(data)) as source:
                index = OldIndex(source, counters, 0, len(data) // 16)
                try:
                    found.append(survey_module.survey(index, [0.04, 0.01, 0.02], [0, 64000, 64000], [0] * (window % 2)))
                except NotKnown:
                    found.append(None)
    assert found[0] == found[1]


@given(_ENTRIES)
def test_a_packed_window_is_what_it_was(entries: list[tuple[bytes, int, int, int]]) -> None:
    data = _index(entries)
    assert index_module._unpacked(index_module._packed(data)) == data


# tokenizers


_AC3_PARTS = b"\x0b", b"\x77\x0b", _enhanced(0, 0, 40), _enhanced(1, 0, 100), b"\x0b\x77\0\0\0\x40\x40" + bytes(121)


@given(st.lists(st.one_of(st.binary(min_size=1, max_size=60), st.sampled_from(_AC3_PARTS)), max_size=12))
def test_held_frames_of_any_bytes_lose_none(parts: list[bytes]) -> None:
    assert _size_of_pieces(HeldFrames(), parts) == sum(map(len, parts))


@given(st.binary(min_size=7, max_size=7).map(lambda rest: b"\x0b\x77" + rest[2:]))
def test_headers_of_ac3_have_a_size_or_are_none(header: bytes) -> None:
    found = ac3_packets.frame(header)
    assert found is None or 7 <= found.size <= 4096


@given(st.lists(st.one_of(
    st.integers(0, 40).map(lambda size: samples.chunk(b"00dc", bytes(size))),
    st.integers(0, 9).map(lambda size: samples.chunk(b"01wb", b"1" * size)),
    st.sampled_from([samples.chunk(b"JUNK", bytes(7)), b"LIST\x04\0\0\0rec ", samples.chunk(b"ix00", bytes(24)),
                     samples.chunk(b"00pc", bytes(8)), b"idx1\x00\0\0\0", b"RIFF\xff\xff\xff\xffAVIX"]),
    st.binary(max_size=9),
), max_size=20))  # fmt: skip
def test_any_chunks_come_to_an_end(parts: list[bytes]) -> None:
    data = b"".join(parts)
    with open_source(io.BytesIO(data)) as source:
        chunks = Chunks(source, 0, len(data), 2)
        before = 0
        for chunk in chunks:
            stream, size, begin, _, _ = chunk
            assert stream in (0, 1)
            assert before <= begin <= begin + size <= len(data)
            assert chunks.payload(chunk, size) == data[begin : begin + size]
            before = begin + size


@given(st.lists(st.sampled_from([samples.MP3_FRAME, samples.MP3_SECOND]), min_size=1, max_size=20), st.data())
def test_frames_are_put_together_however_they_are_parted(frames: list[bytes], draw: st.DataObject) -> None:
    data = b"".join(frames)
    maker, at, sizes = MpegFrames(), 0, []
    while at < len(data):
        size = draw.draw(st.integers(1, min(500, len(data) - at)))
        part = data[at : at + size]
        pieces = maker.feed(size, at, 1000 + at, lambda offset, length, part=part: part[offset : offset + length])
        sizes += [piece.size for piece in pieces]
        at += size
    assert sizes == list(map(len, frames))
    assert not list(maker.flush())


@given(st.lists(st.binary(min_size=1, max_size=80), max_size=8))
def test_frames_of_any_bytes_lose_none(parts: list[bytes]) -> None:
    assert _size_of_pieces(MpegFrames(), parts) == sum(map(len, parts))


def _size_of_pieces(maker: HeldFrames | MpegFrames, parts: list[bytes]) -> int:
    """The bytes of all that is made of `parts`."""
    size = 0
    for number, part in enumerate(parts):
        pieces = maker.feed(len(part), number, 100 * number, lambda at, length, part=part: part[at : at + length])
        size += sum(piece.size for piece in pieces)
    return size + sum(piece.size for piece in maker.flush())


@given(st.integers(0, (1 << 32) - 1))
def test_headers_of_frames_have_a_size_or_are_none(header: int) -> None:
    found = mpegaudio.frame(header)
    if found is not None:
        assert header >> 21 == 0x7FF
        assert 24 <= found.size <= 2881
        assert found.samples in (384, 576, 1152)
