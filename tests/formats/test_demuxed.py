"""AVI and Matroska read directly: what both owe. FFmpeg's records, as dictionaries and as lines; and what is read."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from memx.errors import MemxError, SourceFailed
from memx.formats import detect
from memx.formats.base import BelongsTo
from memx.formats.video import VideoStreamReader
from memx.formats.video.avi import AviStreamReader
from memx.formats.video.demuxed import DemuxedReader
from memx.formats.video.gathering import in_blocks
from memx.formats.video.matroska import MatroskaStreamReader
from memx.records import decode_all
from memx.sources import open_source
from tests.formats.reading import packets, read
from tests.oracles.video import disagreements
from tests.samples import avi, matroska, video


class Container(NamedTuple):
    """A reader, and what is built for it."""

    reader: type[DemuxedReader]
    build: Callable[[Path, str], Path]
    write_with_holes: Callable[[Path, int, int], Path]
    small_packets: bytes
    sound_alone: bytes


def _small_packets_in_avi() -> bytes:
    chunks = [one for _ in range(10000) for one in (*avi.frames(1, 500), avi.chunk(b"01wb", bytes(640)))]
    return avi.form([avi.video_stream(10000), avi.pcm_stream(3200000)], chunks, avi.old_index(chunks))


def _small_packets_in_matroska() -> bytes:
    frame = matroska.OTHER_FRAME + bytes(180)
    blocks = [matroska.simple(1, 40 * n, frame, 0 if n else 0x80) for n in range(100)]
    return matroska.film(*(matroska.cluster(4000 * n, *blocks) for n in range(200)))


CONTAINERS = {
    "avi": Container(
        AviStreamReader,
        avi.build,
        avi.write_with_holes,
        _small_packets_in_avi(),
        avi.form([avi.pcm_stream(640)], [avi.chunk(b"00wb", bytes(1280))]),
    ),
    "matroska": Container(
        MatroskaStreamReader,
        matroska.build,
        matroska.write_with_holes,
        _small_packets_in_matroska(),
        matroska.film(
            matroska.cluster(0, matroska.simple(1, 0, bytes(320))),
            tracks=matroska.sound_track(1),
        ),
    ),
}
CONSTRUCTS = [("avi", name) for name in avi.CONSTRUCTS] + [("matroska", name) for name in matroska.CONSTRUCTS]
MUXED = [
    ("made.avi", "mpeg4", "libmp3lame", {}),
    ("made.avi", "mpeg4", "mp2", {}),
    ("made.avi", "msmpeg4v2", "adpcm_ms", {}),
    ("made.avi", "msmpeg4", "pcm_s16le", {}),
    ("made.avi", "wmv1", "pcm_u8", {}),
    ("made.mkv", "libx264", "aac", {}),
    ("made.mkv", "libx264", "aac", {"cluster_time_limit": "100"}),
    ("made.mkv", "libx264", "aac", {"live": "1"}),
    ("made.mkv", "libx264", "aac", {"write_crc32": "1"}),
    ("made.mkv", "libx264", "aac", {"cues_to_front": "1", "reserve_index_space": "5000"}),
    ("made.mkv", "libx264", "flac", {}),
    ("made.mkv", "libx264", "ac3", {}),
    ("made.mkv", "libx264", "libmp3lame", {}),
    ("made.mkv", "libx265", "alac", {}),
    ("made.mkv", "libvpx", "libopus", {}),
    ("made.mkv", "libvpx-vp9", "libopus", {}),
    ("made.mkv", "libsvtav1", "libopus", {}),
    ("made.mkv", "mpeg4", "eac3", {}),
    ("made.mkv", "mpeg2video", "mp2", {}),
    ("made.mkv", "mpeg4", "pcm_s16le", {}),
]


@pytest.fixture(params=list(CONTAINERS))
def container(request: pytest.FixtureRequest) -> Container:
    return CONTAINERS[request.param]


def _reader(path: Path) -> type[DemuxedReader]:
    return AviStreamReader if path.suffix == ".avi" else MatroskaStreamReader


@pytest.mark.parametrize(("kind", "name"), CONSTRUCTS)
def test_says_what_ffmpeg_says(kind: str, name: str, tmp_path: Path) -> None:
    path = CONTAINERS[kind].build(tmp_path, name)
    told = read(path, CONTAINERS[kind].reader)
    assert told[2] is None
    assert packets(told[1])
    assert told == read(path, VideoStreamReader)


@pytest.mark.oracle("ffprobe")
@pytest.mark.parametrize("name", ["riff.avi", "attachment.mkv", "sound.webm"])
def test_agrees_with_ffprobe(name: str, tmp_path: Path) -> None:
    path = video.build_kind(tmp_path, name)
    added, records, error = read(path, _reader(path))
    assert error is None
    assert len(packets(records)) >= video.FRAMES
    assert disagreements(path, [{"type": "file", "format": "video", **added}, *records]) == []


@pytest.mark.parametrize(("name", "picture", "sound", "options"), MUXED)
def test_says_what_ffmpeg_says_of_its_own_files(
    name: str, picture: str, sound: str, options: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(video.KINDS, name, (picture, sound, options))
    path = video.build_kind(tmp_path, name)
    assert read(path, _reader(path)) == read(path, VideoStreamReader)


@pytest.mark.parametrize(("kind", "name"), CONSTRUCTS)
def test_lines_are_the_records(kind: str, name: str, tmp_path: Path) -> None:
    path, reader = CONTAINERS[kind].build(tmp_path, name), CONTAINERS[kind].reader
    with open_source(path) as source, reader(source) as opened:
        opened.begin()
        blocks = list(opened.blocks())
    told = [record for block in blocks for record in (decode_all(block) if isinstance(block, bytes) else [block])]
    assert told == read(path, reader)[1]


def test_lines_before_an_error_are_given() -> None:
    def lines() -> Iterator[str]:
        yield from (f"{number}\n" for number in range(300))
        raise SourceFailed("the disk is gone")

    blocks = in_blocks(lines())
    assert (next(blocks) + next(blocks)).split() == [b"%d" % number for number in range(300)]
    with pytest.raises(SourceFailed):
        next(blocks)


def test_a_summary_has_no_packets(container: Container, tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(container.small_packets)
    _, records, error = read(path, container.reader, summary=True)
    assert error is None
    assert {record["type"] for record in records} == {"stream"}


def test_sound_alone_is_for_the_audio_reader(container: Container, tmp_path: Path) -> None:
    path = tmp_path / "sound"
    path.write_bytes(container.sound_alone)
    with pytest.raises(BelongsTo) as direction:
        read(path, container.reader)
    assert direction.value.key == "audio"
    with open_source(path) as source:
        assert detect(source).load() is container.reader


def test_a_file_that_becomes_shorter_ends(container: Container, tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(container.small_packets)
    with open_source(path) as source, container.reader(source) as reader:
        reader.begin()
        records = reader.records()
        given = packets([next(records) for _ in range(100)])
        os.truncate(path, path.stat().st_size // 2 + 3)
        try:
            given += packets(list(records))
        except MemxError:
            pass
    assert 90 < len(given) < 20000


def test_payload_is_stepped_over(container: Container, tmp_path: Path) -> None:
    path = container.write_with_holes(tmp_path / "large", 200, 1 << 20)
    with open_source(path) as source, container.reader(source) as reader:
        reader.begin()
        assert len(packets(list(reader.records()))) == 200
        assert source.bytes_read < path.stat().st_size // 30


def test_a_tenth_is_read_of_small_packets_at_most(container: Container, tmp_path: Path) -> None:
    path = tmp_path / "small"
    path.write_bytes(container.small_packets)
    with open_source(path) as source, container.reader(source) as reader:
        reader.begin()
        assert len(packets(list(reader.records()))) == 20000
        assert source.bytes_read < path.stat().st_size / 10
