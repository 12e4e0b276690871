"""Video: what ffprobe says, file by file; and what memx adds, what is cut off, and what is no video at all."""

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

from memx.engine.options import StreamOptions
from memx.engine.reading.streaming import Stream
from memx.errors import CorruptFile, MemxError, TruncatedFile, UnsupportedSource
from memx.formats import detect
from memx.formats.base import BelongsTo, ReadOptions
from memx.formats.video import VideoStreamReader
from memx.sources import open_source
from tests.contract import assert_contract
from tests.oracles.video import disagreements
from tests.samples import video as samples


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("video")
    return {name: samples.build_kind(folder, name) for name in samples.KINDS}


def read(path: Path, options: ReadOptions | None = None) -> tuple[list[dict[str, Any]], MemxError | None]:
    """The records, the `file` line's fields first, and the error behind them."""
    records: list[dict[str, Any]] = []
    with open_source(path) as source, VideoStreamReader(source, options) as reader:
        try:
            records.append({"type": "file", "format": "video", **reader.begin()})
            for record in reader:
                records.append(record)  # noqa: PERF402 - what came before an error stands
        except MemxError as exc:
            return records, exc
    return records, None


def of(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["type"] == kind]


@pytest.mark.slow
@pytest.mark.oracle("ffprobe")
@pytest.mark.parametrize("name", samples.KINDS)
def test_agrees_with_ffprobe(files: dict[str, Path], name: str) -> None:
    records, error = read(files[name])
    assert error is None
    assert len(of(records, "packet")) >= samples.FRAMES
    assert disagreements(files[name], records) == []


@pytest.mark.parametrize("name", samples.KINDS)
def test_is_told_by_its_first_bytes(files: dict[str, Path], name: str, tmp_path: Path) -> None:
    nameless = tmp_path / "nameless"
    shutil.copy(files[name], nameless)
    with open_source(nameless) as source:
        assert detect(source).name == "video"


def test_streams_chapters_and_tags(files: dict[str, Path]) -> None:
    records, _ = read(files["every.mp4"])
    assert records[0]["container"] == "mov,mp4,m4a,3gp,3g2,mj2"
    assert records[0]["tags"]["title"] == "Cafe\u0301 <b>[red]"
    pictures, sound = of(records, "stream")[:2]
    assert (pictures["kind"], pictures["codec"], pictures["width"], pictures["height"]) == ("video", "h264", 64, 48)
    assert (pictures["frame_rate"], pictures["time_base"], pictures["duration_s"]) == ("25/1", "1/12800", 0.8)
    assert (sound["kind"], sound["codec"], sound["sample_rate"], sound["channels"]) == ("audio", "aac", 44100, 2)
    assert sound["width"] is sound["frame_rate"] is None
    first, second = of(records, "chapter")
    assert (first["title"], first["start_s"], first["end_s"]) == ("One", 0.0, 0.4)
    assert second["tags"] == {"title": "Zwei \u2013 zw\u00f6lf"}


def test_a_cover_is_named_and_not_emitted(files: dict[str, Path]) -> None:
    records, _ = read(files["every.mp4"])
    (cover,) = [stream for stream in of(records, "stream") if stream["disposition"]["attached_pic"]]
    assert (cover["kind"], cover["codec"]) == ("video", "mjpeg")
    assert cover["index"] not in {packet["stream_index"] for packet in of(records, "packet")}


def test_an_attachment_is_named(files: dict[str, Path]) -> None:
    records, _ = read(files["attachment.mkv"])
    (font,) = [stream for stream in of(records, "stream") if stream["kind"] == "attachment"]
    assert (font["codec"], font["tags"]["filename"]) == ("ttf", "font.ttf")


def test_a_packet_is_exact(files: dict[str, Path]) -> None:
    records, _ = read(files["frames.ivf"])
    data = files["frames.ivf"].read_bytes()
    at = 32
    for number, packet in enumerate(of(records, "packet")):
        assert packet == {
            "type": "packet",
            "stream_index": 0,
            "pts": number,
            "dts": number,
            "duration": 1,
            "size": int.from_bytes(data[at : at + 4], "little"),
            "pos": at,
            "keyframe": number == 0,
        }
        at += 12 + packet["size"]
    assert at == len(data)


def test_rotation(tmp_path: Path) -> None:
    path = tmp_path / "turned.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 16, "yuv420p"
        stream.set_display_rotation(90)
        out.mux(stream.encode(av.VideoFrame.from_ndarray(np.zeros((16, 32, 3), np.uint8))))
        out.mux(stream.encode(None))
    records, _ = read(path)
    assert of(records, "stream")[0]["rotation"] == 90.0


def test_a_long_tag_is_bulk(files: dict[str, Path]) -> None:
    records, _ = read(files["every.mp4"], ReadOptions(max_value_bytes=10))
    assert records[0]["tags"]["title"] == {"bulk": True, "length": len("Cafe\u0301 <b>[red]".encode())}
    assert records[0]["tags"]["major_brand"] == "isom"


def sound_only(folder: Path) -> Path:
    path = folder / "sound.mp4"
    with av.open(str(path), "w") as out:
        stream = out.add_stream("aac", rate=44100)
        for frame in samples._sound(stream):
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return path


def test_sound_alone_is_handed_on(tmp_path: Path) -> None:
    path = sound_only(tmp_path)
    with open_source(path) as source, VideoStreamReader(source) as reader:
        with pytest.raises(BelongsTo) as direction:
            reader.open()
        assert direction.value.key == "audio"
    records, error = read(path, ReadOptions(format="video"))
    assert error is None
    assert {stream["kind"] for stream in of(records, "stream")} == {"audio"}


def test_sound_by_name_is_handed_on_where_it_is_broken(files: dict[str, Path], tmp_path: Path) -> None:
    broken = tmp_path / "broken.m4a"
    broken.write_bytes(files["every.mp4"].read_bytes()[:2000])
    with open_source(broken) as source, VideoStreamReader(source) as reader, pytest.raises(BelongsTo, match="audio"):
        reader.open()


CUT = ("faststart.mp4", "fragmented.mp4", "attachment.mkv", "sound.webm", "riff.avi", "transport.ts", "frames.ivf")


@pytest.mark.parametrize("share", [0.55, 0.8, 0.97])
@pytest.mark.parametrize("name", CUT)
def test_cut_off(files: dict[str, Path], name: str, share: float, tmp_path: Path) -> None:
    whole, _ = read(files[name])
    data = files[name].read_bytes()
    length = int(len(data) * share) | 1  # inside a transport packet too
    cut = tmp_path / name
    cut.write_bytes(data[:length])
    records, error = read(cut)
    assert isinstance(error, TruncatedFile)
    assert error.offset == length
    assert str(length) in error.message
    assert of(records, "stream")
    kept, known = of(records, "packet"), {packet["pos"]: packet for packet in of(whole, "packet")}
    assert all(packet["pos"] + packet["size"] <= length for packet in kept)
    assert all(packet["pos"] in known for packet in kept if packet["pos"] is not None)


def test_cut_before_moov(files: dict[str, Path], tmp_path: Path) -> None:
    data = files["every.mp4"].read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(data[: len(data) // 3])
    records, error = read(cut)
    assert not records
    assert isinstance(error, TruncatedFile)
    cut.write_bytes(data[: data.rindex(b"moov") - 4])
    _, error = read(cut)
    assert isinstance(error, CorruptFile)
    assert "no moov box" in error.message


def test_samples_elsewhere(files: dict[str, Path], tmp_path: Path) -> None:
    data = files["faststart.mp4"].read_bytes()
    header = tmp_path / "header.mp4"
    header.write_bytes(data[: data.index(b"free", data.index(b"moov")) - 4])
    records, error = read(header)
    assert isinstance(error, TruncatedFile)
    assert "the samples of stream 0 reach to" in error.message
    assert not of(records, "packet")


def test_a_segment_alone(files: dict[str, Path], tmp_path: Path) -> None:
    data = files["fragmented.mp4"].read_bytes()
    segment = tmp_path / "segment.m4s"
    segment.write_bytes(data[data.index(b"moof") - 4 :])
    _, error = read(segment)
    assert isinstance(error, UnsupportedSource)
    assert "initialization segment" in error.message


@pytest.mark.parametrize("name", ["a%03d.mp4", "concat:a|b.mp4", "caf\u00e9 [1].mp4", "-i.mp4", "http:.mp4"])
def test_a_name_is_only_a_name(files: dict[str, Path], name: str, tmp_path: Path, monkeypatch: Any) -> None:
    shutil.copy(files["every.mp4"], tmp_path / name)
    monkeypatch.chdir(tmp_path)
    records, error = read(Path(name))
    assert error is None
    assert of(records, "packet")


@pytest.mark.parametrize(
    "text",
    [
        "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nevery.mp4\n#EXT-X-ENDLIST\n",
        "ffconcat version 1.0\nfile every.mp4\n",
    ],
)
def test_a_play_list_opens_nothing(files: dict[str, Path], text: str, tmp_path: Path) -> None:
    shutil.copy(files["every.mp4"], tmp_path / "every.mp4")
    (tmp_path / "list.m3u8").write_text(text)
    records, error = read(tmp_path / "list.m3u8", ReadOptions(format="video"))
    assert isinstance(error, UnsupportedSource)
    assert not records


def test_other_bytes_that_look_like_packets_are_binary(tmp_path: Path) -> None:
    path = tmp_path / "G"
    path.write_bytes(b"G" * 5000)  # 0x47 is the sync byte of transport packets
    assert [record["type"] for record in Stream(path).records()][1:-1] == ["chunk", "digest"]


def test_the_command_line_way(files: dict[str, Path]) -> None:
    records = list(Stream(files["every.mp4"]).records())
    assert_contract(records, files["every.mp4"])
    assert (records[0]["reader"], records[-1]["status"]) == ("direct", "complete")


def test_close_is_twice_harmless(files: dict[str, Path]) -> None:
    with open_source(files["every.mp4"]) as source:
        reader = VideoStreamReader(source)
        reader.begin()
        packets: Iterator[Any] = iter(reader)
        next(packets)
        reader.close()
        reader.close()


def peak(path: Path, **options: Any) -> int:
    last = list(Stream(path, StreamOptions(limit=3, **options)).records())[-1]
    return int(last["metrics"]["peak_rss"])


def whole_peak(path: Path) -> tuple[int, int]:
    count, end = 0, {}
    for record in Stream(path).records():
        count, end = count + 1, record
    assert end["status"] == "complete", end["reason"]
    return int(end["metrics"]["peak_rss"]), count


def test_a_giant_costs_no_more(tmp_path: Path) -> None:
    small, packets = whole_peak(samples.build_small(tmp_path))
    giant = samples.build_giant(tmp_path)
    assert giant.stat().st_size > 100 << 30
    large, same = whole_peak(giant)
    assert same == packets
    assert large - small < 2 << 20


@pytest.mark.slow
def test_many_packets_cost_no_more(tmp_path: Path) -> None:
    few, _ = whole_peak(samples.build_many(tmp_path, 10_000, "few.mkv"))
    many, count = whole_peak(samples.build_many(tmp_path, 200_000, "many.mkv"))
    assert count > 200_000
    assert many - few < 2 << 20


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_a_stream_that_begins_late_is_missed_aloud(tmp_path: Path) -> None:
    path = samples.build_late_sound(tmp_path)
    records, error = read(path)
    assert [stream["codec"] for stream in of(records, "stream")] == ["flv1"]
    assert len(of(records, "packet")) == 200
    assert isinstance(error, CorruptFile)
    assert "left out" in error.message


def test_a_container_without_a_stream_is_corrupt(tmp_path: Path) -> None:
    path = tmp_path / "junk.avi"
    path.write_bytes(b"RIFF\xff\xff\xff\xffAVI LIST" + b"\xff" * 20000)
    records, error = read(path)
    assert records == []
    assert isinstance(error, CorruptFile)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["every.mp4", "fragmented.mp4", "attachment.mkv", "riff.avi", "windows.wmv"])
def test_damage_ends_properly(files: dict[str, Path], name: str, tmp_path: Path) -> None:
    """Bytes of the structure overwritten, most of all those that are lengths."""
    data = files[name].read_bytes()
    places = np.random.default_rng(len(data))
    head = min(len(data), 6000)
    for number in range(25):
        broken = bytearray(data)
        for at in places.integers(0, head if number % 2 else len(data), 6):
            broken[at] = (0, 0xFF, 0x7F, int(places.integers(256)))[number % 4]
        path = tmp_path / f"{number}-{name}"
        path.write_bytes(broken)
        records = list(Stream(path, StreamOptions(timeout=20)).records())
        assert records[-1]["type"] == "end"
        assert not [r for r in records if r["type"] == "error" and r["code"] in ("internal", "timeout")], records[-1]
