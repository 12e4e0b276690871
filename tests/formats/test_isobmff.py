"""ISO base media files read directly: the same records as through FFmpeg, whatever the file is made of."""

import io
import random
import struct
from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import av
import numpy as np
import pytest

from memx.engine.options import StreamOptions
from memx.engine.reading.streaming import Stream
from memx.errors import CorruptFile, MemxError, TruncatedFile, UnsupportedSource
from memx.formats import detect
from memx.formats.base import BelongsTo, ReadOptions, StreamReader
from memx.formats.video import VideoStreamReader
from memx.formats.video.codecs import still
from memx.formats.video.isobmff import IsoStreamReader, pictures
from memx.formats.video.packets.av1 import begins_with_key
from memx.records import Record, decode, encode
from memx.sources import open_source
from tests.contract.sources import command
from tests.samples import video as samples
from tests.samples.isobmff import (
    FRAGMENTS,
    PLANS,
    FragmentPlan,
    RunPlan,
    TrackPlan,
    box,
    compressed,
    edits_wide,
    film,
    fragmented,
    full,
    plan,
    rewritten,
    timed_wide,
    without_sizes,
    words,
)

UNDECODED = frozenset(("profile", "pix_fmt", "level", "channel_layout", "channels", "width", "height"))
"""What FFmpeg says of pictures and sound that are nothing but noughts."""


def read(
    path: Path, reader_class: type[StreamReader] = IsoStreamReader, **options: Any
) -> tuple[list[Record], MemxError | None]:
    """The records, first the `file` line's fields, and the error behind them."""
    records: list[Record] = []
    with open_source(path) as source, reader_class(source, ReadOptions(format="video", **options)) as reader:
        try:
            records.append({"type": "file", **reader.begin()})
            for record in reader:
                records.append(record)  # noqa: PERF402 - what came before an error stands
        except MemxError as exc:
            return records, exc
    return records, None


def of(records: Sequence[Record], kind: str) -> list[Record]:
    return [record for record in records if record["type"] == kind]


def differences(path: Path, leave_out: frozenset[str] = frozenset()) -> list[str]:
    """Where the direct reader and FFmpeg's differ."""
    (mine, error), (theirs, said) = read(path), read(path, VideoStreamReader)
    found = [] if type(error) is type(said) else [f"error: {error}, FFmpeg {said}"]
    found += [f"{len(mine)} records, FFmpeg {len(theirs)}"] if len(mine) != len(theirs) else []
    for number, (one, other) in enumerate(zip(mine, theirs, strict=False)):
        for key in sorted((one.keys() | other.keys()) - leave_out):
            here, there = one.get(key), other.get(key)
            near = isinstance(here, float) and isinstance(there, float) and abs(here - there) < 2e-6
            if here != there and not near:
                found.append(f"{number} {one['type']} {key}: {here}, FFmpeg {there}")
    return found


MUXED = {
    # name: options of the muxer
    "moov behind.mp4": {},
    "moov in front.mp4": {"movflags": "+faststart"},
    "quicktime.mov": {},
    "fragments.mp4": {"movflags": "+frag_keyframe"},
    "fragments without samples in moov.mp4": {"movflags": "+frag_keyframe+empty_moov"},
    "default base is moof.mp4": {"movflags": "+frag_keyframe+empty_moov+default_base_moof"},
    "a moof for each track.mp4": {"movflags": "+frag_keyframe+empty_moov+separate_moof"},
    "no base offset.mp4": {"movflags": "+frag_keyframe+empty_moov+omit_tfhd_offset"},
    "a fragment for each frame.mp4": {"movflags": "+frag_every_frame+empty_moov"},
    "segment indexes.mp4": {"movflags": "+dash+frag_keyframe"},
    "one segment index.mp4": {"movflags": "+dash+global_sidx+frag_keyframe"},
    "negative offsets.mp4": {"movflags": "+negative_cts_offsets"},
    "negative offsets in fragments.mp4": {"movflags": "+negative_cts_offsets+frag_keyframe+empty_moov"},
    "one sample in moov.mp4": {"movflags": "+frag_every_frame"},
    "delayed moov.mp4": {"movflags": "+frag_keyframe+delay_moov"},
    "cmaf.mp4": {"movflags": "+cmaf"},
    "hints.mp4": {"movflags": "+rtphint"},
    "names for tags.mp4": {"movflags": "+use_metadata_tags"},
}


@pytest.fixture(scope="module")
def muxed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The same pictures and sound, copied into each kind of file."""
    folder = tmp_path_factory.mktemp("isobmff")
    source = samples.build(folder)
    return {name: remux(source, folder / name, options) for name, options in MUXED.items()}


def remux(source: Path, path: Path, options: dict[str, str]) -> Path:
    """Copies the packets of the first two streams."""
    with (
        av.open(str(source)) as old,
        av.open(str(path), "w", container_options={"fflags": "+bitexact"} | options) as new,
    ):
        new.metadata["title"] = "Caf\u00e9"
        copied = [old.streams.video[0], old.streams.audio[0]]
        copies = {stream.index: new.add_stream_from_template(stream) for stream in copied}
        for packet in old.demux(copied):
            if packet.dts is not None:
                packet.stream = copies[packet.stream_index]
                new.mux(packet)
    return path


@pytest.mark.parametrize("name", MUXED)
def test_agrees_with_ffmpeg(muxed: dict[str, Path], name: str) -> None:
    assert differences(muxed[name]) == []
    assert len(of(read(muxed[name])[0], "packet")) > 40


@pytest.mark.parametrize("name", [name for name in samples.KINDS if name.endswith((".mp4", ".mov"))])
def test_agrees_on_encoded_samples(name: str, tmp_path: Path) -> None:
    assert differences(samples.build_kind(tmp_path, name)) == []


CODECS = {
    # codec of the pictures, their format, codec of the sound, kind of file
    "libx265": ("yuv420p", "ac3", "mp4"),
    "libvpx-vp9": ("yuv420p", "libopus", "mp4"),
    "mpeg4": ("yuv420p", "libmp3lame", "mp4"),
    "mjpeg": ("yuvj422p", "pcm_s24le", "mov"),
    "prores_ks": ("yuv422p10le", "pcm_f32le", "mov"),
    "mpeg2video": ("yuv420p", "eac3", "mov"),
    "png": ("rgb24", "alac", "mov"),
    "rawvideo": ("uyvy422", "pcm_u8", "mov"),
    "qtrle": ("rgb24", "pcm_alaw", "mov"),
    "rpza": ("rgb555le", "pcm_s8", "mov"),
    "r10k": ("gbrp10le", "pcm_u8", "mov"),
}


@pytest.mark.parametrize("picture", CODECS)
def test_agrees_whatever_the_codec(picture: str, tmp_path: Path) -> None:
    pixels, sound, suffix = CODECS[picture]
    path = tmp_path / f"{picture}.{suffix}"
    with av.open(str(path), "w") as out:
        video = samples._codec(out, picture, width=64, height=48, pix_fmt=pixels)
        audio = samples._codec(out, sound, rate=48000 if sound == "libopus" else 44100, layout="stereo")
        samples._interleave(out, video, audio)
    assert differences(path) == []


FORMATS = {
    # name: codec, format, size, options of the codec
    "VC-3": ("dnxhd", "yuv422p", (1920, 1080), {"b": "120M"}),
    "VC-3 in fields": ("dnxhd", "yuv422p", (1920, 1080), {"b": "120M", "flags": "+ildct"}),
    "VC-3 of any size": ("dnxhd", "yuv422p", (256, 128), {"profile": "dnxhr_hq"}),
    "VC-3 of 10 bits": ("dnxhd", "yuv422p10le", (256, 128), {"profile": "dnxhr_hqx"}),
    "DV of 50 Hz": ("dvvideo", "yuv420p", (720, 576), {}),
    "DV of 60 Hz": ("dvvideo", "yuv411p", (720, 480), {}),
    "DV of 50 Mbit/s": ("dvvideo", "yuv422p", (720, 576), {}),
    "ProRes 422 with all chroma": ("prores_ks", "yuv444p10le", (64, 48), {"profile": "hq"}),
    "ProRes 4444 of half the chroma": ("prores_ks", "yuv422p10le", (64, 48), {"profile": "4444"}),
    "ProRes with transparency": ("prores_ks", "yuva444p10le", (64, 48), {"profile": "4444"}),
    "grey Animation": ("qtrle", "gray", (64, 48), {}),
    "Animation of 15 bits": ("qtrle", "rgb555be", (64, 48), {}),
    "VP9": ("libvpx-vp9", "yuv444p", (64, 48), {}),
}


@pytest.mark.parametrize("name", FORMATS)
def test_first_pictures_tell_their_format(name: str, tmp_path: Path) -> None:
    codec, pixels, (width, height), options = FORMATS[name]
    rate = Fraction(30000, 1001) if height == 480 else 25
    path = tmp_path / ("made.mp4" if codec == "libvpx-vp9" else "made.mov")
    still_film(path, codec, options, rate=rate, width=width, height=height, pix_fmt=pixels)
    if codec == "libvpx-vp9":  # the configuration does not tell it
        path.write_bytes(path.read_bytes().replace(b"vpcC", b"free"))
    assert differences(path) == []
    assert of(read(path)[0], "stream")[0]["pix_fmt"]


@pytest.mark.parametrize(("codec", "pixels"), [("jpeg2000", "rgb24"), ("cfhd", "gbrp12le")])
def test_formats_that_only_a_decoder_tells_are_for_ffmpeg(codec: str, pixels: str, tmp_path: Path) -> None:
    path = still_film(tmp_path / "made.mov", codec, {}, width=64, height=48, pix_fmt=pixels)
    assert_for_ffmpeg(path)


@pytest.mark.parametrize("entry", [b"FFV1", b"theo", b"what"])
def test_codecs_that_only_ffmpeg_knows(entry: bytes, tmp_path: Path) -> None:
    assert_for_ffmpeg(film(tmp_path / "made.mov", [plan(entry=entry)]))


def assert_for_ffmpeg(path: Path) -> None:
    with open_source(path) as source, pytest.raises(BelongsTo) as raised:
        IsoStreamReader(source).open()
    assert (raised.value.key, bool(raised.value.construct)) == ("video", True)


def still_film(path: Path, codec: str, options: dict[str, str], **settings: Any) -> Path:
    """Two pictures."""
    with av.open(str(path), "w", container_options={"strict": "-2"}) as out:
        video = samples._codec(out, codec, **settings)
        video.options |= options | {"strict": "-2"}
        for number in range(2):
            out.mux(video.encode(samples._picture(video, number)))
        out.mux(video.encode(None))
    return path


def test_av1_without_a_configuration(tmp_path: Path) -> None:
    track = plan(entry=b"av01", sizes=[64] * 10)
    path = film(tmp_path / "made.mp4", [track])
    at, whole, head = track.positions[0], path.read_bytes(), bytes.fromhex("0a0d20000002aff79b5f2404340080")
    path.write_bytes(whole[:at] + head + whole[at + len(head) :])
    found = of(read(path)[0], "stream")[0]
    assert (found["profile"], found["pix_fmt"], found["level"]) == ("High", "gbrp", 0)


MEASURED = {
    # name: frames, frames a second, codec of the sound, options of the muxer
    "fragments": (60, 25, "aac", {"movflags": "+frag_keyframe+empty_moov"}),
    "many fragments": (60, 25, "libopus", {"movflags": "+empty_moov", "frag_size": "2000"}),
    "segment indexes": (60, 25, "aac", {"movflags": "+dash+frag_keyframe"}),
    "cmaf": (60, 25, "aac", {"movflags": "+cmaf"}),
    "without sound": (60, 30, "", {"movflags": "+frag_keyframe+empty_moov"}),
    "sound that comes late": (60, 25, "ac3", {"movflags": "+frag_keyframe+delay_moov"}),
    "milliseconds": (60, 25, "aac", {"movflags": "+frag_keyframe+empty_moov", "video_track_timescale": "1000"}),
    "coarse times": (60, 25, "aac", {"movflags": "+frag_keyframe+empty_moov", "video_track_timescale": "500"}),
    "coarse times of few frames": (
        16,
        2,
        "aac",
        {"movflags": "+frag_keyframe+empty_moov", "video_track_timescale": "600"},
    ),
    "times of frames": (60, 25, "aac", {"movflags": "+frag_keyframe+empty_moov", "video_track_timescale": "25"}),
    "a frame a second": (20, 1, "aac", {"movflags": "+frag_keyframe+empty_moov"}),
    "two frames": (2, 25, "", {"movflags": "+frag_keyframe+empty_moov"}),
    "a frame": (1, 25, "", {"movflags": "+frag_keyframe+empty_moov"}),
}


def _silence(start: int) -> av.AudioFrame:
    frame = av.AudioFrame.from_ndarray(np.zeros((1, 2 * 960), np.int16), "s16", "stereo")
    frame.sample_rate, frame.pts, frame.time_base = 48000, start, Fraction(1, 48000)
    return frame


@pytest.mark.parametrize("name", MEASURED)
def test_durations_that_ffmpeg_measures(name: str, tmp_path: Path) -> None:
    frames, rate, sound, options = MEASURED[name]
    path = tmp_path / "made.mp4"
    with av.open(str(path), "w", container_options=options) as out:
        video = samples._codec(out, "libvpx-vp9", rate=rate, width=64, height=48, pix_fmt="yuv420p")
        video.options |= {"deadline": "realtime", "cpu-used": "8", "lag-in-frames": "0"}
        audio = samples._codec(out, sound, rate=48000, layout="stereo") if sound else None
        for number in range(frames):
            frame = samples._picture(video, number)
            frame.time_base = Fraction(1, rate)
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
        for start in range(0, frames * 48000 // rate if sound else 0, 960):
            out.mux(audio.encode(_silence(start)))
        out.mux(audio.encode(None) if sound else [])
    assert differences(path) == []
    durations = [record["duration"] for record in of(read(path)[0], "packet") if record["stream_index"] == 0]
    assert len(durations) == frames


def test_a_segment_index_behind_samples(tmp_path: Path) -> None:
    path = tmp_path / "made.mp4"
    with av.open(str(path), "w", container_options={"movflags": "+frag_keyframe+global_sidx"}) as out:
        video = samples._codec(out, "mpeg4", width=64, height=48, pix_fmt="yuv420p")
        samples._interleave(out, video, samples._codec(out, "aac", rate=48000, layout="stereo"))
    whole = path.read_bytes()
    assert whole.index(b"mdat") < whole.index(b"sidx") < whole.index(b"moof")
    assert differences(path) == []
    assert sum(record["stream_index"] == 0 for record in of(read(path)[0], "packet")) == samples.FRAMES


def test_a_segment_index_that_shifts_samples(muxed: dict[str, Path], tmp_path: Path) -> None:
    options = {"movflags": "+frag_keyframe+global_sidx"}
    assert_for_ffmpeg(remux(muxed["moov behind.mp4"], tmp_path / "made.mp4", options))


@pytest.mark.parametrize("table", ["all", "none"])
@pytest.mark.parametrize("codec", ["libx264", "libvpx-vp9", "mpeg4"])
def test_key_frames_by_the_container_alone(codec: str, table: str, tmp_path: Path) -> None:
    path = tmp_path / "made.mp4"
    with av.open(str(path), "w") as out:
        video = samples._codec(out, codec, width=64, height=48, pix_fmt="yuv420p")
        samples._interleave(out, video, None)
    whole = path.read_bytes()
    changed = b"free" if table == "all" else b"stss" + bytes(8)
    path.write_bytes(whole.replace(whole[whole.index(b"stss") :][: len(changed)], changed))
    if (codec, table) == ("mpeg4", "all"):  # of which FFmpeg believes the container
        assert differences(path) == []
    else:
        assert_for_ffmpeg(path)


@pytest.mark.parametrize(("frame", "is_key"), [("10", True), ("30", False), ("90", False), ("", None)])
def test_key_frames_of_av1(frame: str, is_key: bool | None) -> None:
    units = bytes.fromhex("1200" + ("3205" + frame + "00000000" if frame else "2a0100"))
    assert begins_with_key(units) is is_key


SOUNDS = {
    # codec, layout: kind of file
    ("aac", "quad"): "mp4",
    ("aac", "2.1"): "mp4",
    ("aac", "7.1"): "mp4",
    ("aac", "hexagonal"): "mp4",
    ("alac", "5.1"): "mov",
    ("libopus", "quad"): "mp4",
    ("libopus", "6.1"): "mp4",
    ("mp2", "stereo"): "mov",
    ("ac3", "5.1(side)"): "mov",
    ("ac3", "mono"): "mov",
}


@pytest.mark.parametrize(("codec", "layout"), SOUNDS)
def test_agrees_whatever_the_sound(codec: str, layout: str, tmp_path: Path) -> None:
    path = tmp_path / f"{codec}.{SOUNDS[codec, layout]}"
    with av.open(str(path), "w") as out:
        video = samples._codec(out, "mpeg4", width=64, height=48, pix_fmt="yuv420p")
        audio = samples._codec(out, codec, rate=48000, layout=layout)
        samples._interleave(out, video, audio)
    assert differences(path) == []


@pytest.mark.parametrize("entry", [b"ms\0\x20", b"ms\0\2", b"ms\x02\x8f", b"H261", b"MJPG"])
def test_codes_of_riff(entry: bytes, tmp_path: Path) -> None:
    kind = b"soun" if entry[:2] == b"ms" else b"vide"
    path = film(tmp_path / "made.mov", [plan(), plan(kind=kind, entry=entry)])
    assert differences(path, UNDECODED | {"sample_fmt", "bit_rate", "codec_tag_string"}) == []
    assert of(read(path)[0], "stream")[1]["codec"]


def test_the_first_packet_of_dts_says_what_it_is(tmp_path: Path) -> None:
    head = bytes.fromhex("7ffe8001 fc3c75b2 76c00538 0009ef7b")
    sound = plan(kind=b"soun", entry=b"dtsc", sizes=[1884], chunks=[1])
    path = film(tmp_path / "made.mov", [plan(), sound])
    assert_for_ffmpeg(path)  # it begins no frame yet
    at, whole = sound.positions[0], path.read_bytes()
    path.write_bytes(whole[:at] + head + whole[at + len(head) :])
    stream = of(read(path)[0], "stream")[1]
    assert (stream["profile"], stream["bit_rate"], stream["channel_layout"]) == ("DTS", 1411200, "5.1(side)")
    assert stream["channels"] == 6


@pytest.mark.parametrize("entry", [b"mlpa", b"spex", b"Qclp"])
def test_sound_that_only_a_decoder_tells_is_for_ffmpeg(entry: bytes, tmp_path: Path) -> None:
    assert_for_ffmpeg(film(tmp_path / "made.mov", [plan(), plan(kind=b"soun", entry=entry)]))


ENCRYPTED = {
    "fflags": "+bitexact",  # always the same noise: whether FFmpeg can decode it is chance
    "encryption_scheme": "cenc-aes-ctr",
    "encryption_key": "76a6c65c5ea762046bd749a2e632ccbb",
    "encryption_kid": "a7e61c373e219033c21091fa607bf3b8",
}


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "libvpx-vp9"])
def test_encrypted_pictures(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "made.mp4"
    with av.open(str(path), "w", container_options=ENCRYPTED) as out:
        video = samples._codec(out, codec, width=64, height=48, pix_fmt="yuv420p")
        samples._interleave(out, video, None)
    if codec == "libx264":  # of which all is clear that FFmpeg looks at
        assert differences(path) == []
    else:
        assert_for_ffmpeg(path)


def test_a_jpeg_with_the_range_of_television() -> None:
    frame = bytes.fromhex("ffc0 0011 08 0030 0040 03 012200 021101 031101")
    comment = b"\xff\xfe\0\x0cCS=ITU601\0"
    for head, name in ((b"", "yuvj420p"), (comment, "yuv420p")):
        found = still.jpeg(b"\xff\xd8" + head + frame)
        assert found is not None
        assert found.pix_fmt == name


def test_lines_are_records(muxed: dict[str, Path]) -> None:
    for path in muxed.values():
        with open_source(path) as source, IsoStreamReader(source) as reader:
            reader.begin()
            lines = b"".join(part if isinstance(part, bytes) else encode(part) for part in reader.blocks())
        assert lines == b"".join(map(encode, read(path)[0][1:]))


def test_a_summary_has_no_packets(muxed: dict[str, Path]) -> None:
    records, error = read(muxed["quicktime.mov"], summary=True)
    assert {record["type"] for record in records} == {"file", "stream"}
    assert error is None


def test_only_structure_is_read(muxed: dict[str, Path], tmp_path: Path) -> None:
    data = muxed["moov behind.mp4"].read_bytes()
    moov = data.rindex(b"moov") - 4
    blank = tmp_path / "blank.mp4"
    media = data.index(b"mdat") + 4
    blank.write_bytes(data[:media] + bytes(moov - media) + data[moov:])
    assert of(read(blank)[0], "packet") == of(read(muxed["moov behind.mp4"])[0], "packet")


# handwritten boxes


@pytest.mark.parametrize("front", [False, True], ids=["behind", "front"])
@pytest.mark.parametrize("name", PLANS)
def test_tables_agree_with_ffmpeg(name: str, front: bool, tmp_path: Path) -> None:
    path = film(tmp_path / "made.mp4", [plan(scale=1000), PLANS[name]], front=front)
    assert differences(path, UNDECODED | {"r_frame_rate"}) == []
    assert of(read(path)[0], "packet")


@pytest.mark.parametrize("edits", [(), [(0, 50)], [(700, -1), (0, 0)]], ids=["plain", "moved", "late"])
@pytest.mark.parametrize("name", FRAGMENTS)
def test_fragments_agree_with_ffmpeg(name: str, edits: list[tuple[int, int]], tmp_path: Path) -> None:
    tracks = [TrackPlan([], [], [], edits=edits), TrackPlan([], [], [], kind=b"soun", entry=b"mp4a", scale=1000)]
    path = fragmented(tmp_path / "made.mp4", tracks, FRAGMENTS[name], (25, 0, 0))
    assert differences(path, UNDECODED | {"r_frame_rate"}) == []
    assert of(read(path)[0], "packet")


def test_a_segment_index_gives_times(tmp_path: Path) -> None:
    fragments = [[FragmentPlan(1, [RunPlan([10, 20], durations=[500, 500])])] for _ in range(3)]
    path = fragmented(tmp_path / "made.mp4", [TrackPlan([], [], [], scale=1000)], fragments, index=True)
    assert [packet["dts"] for packet in of(read(path)[0], "packet")] == [0, 500, 1000, 1500, 2000, 2500]
    assert differences(path, UNDECODED | {"r_frame_rate"}) == []


@pytest.mark.parametrize("front", [False, True], ids=["behind", "front"])
def test_a_compressed_movie(front: bool, tmp_path: Path) -> None:
    path = compressed(film(tmp_path / "plain.mov", [plan(), plan()], front=front), front=front)
    assert b"mvhd" not in path.read_bytes()
    assert differences(path, UNDECODED | {"r_frame_rate"}) == []
    assert len(of(read(path)[0], "packet")) == 20


REWRITTEN: dict[str, tuple[dict[str, Any], dict[str, Any]]] = {
    # name: what the track is like, and what boxes become
    "version 1 headers": ({"edits": [(300, 50)]}, {"mvhd": timed_wide, "mdhd": timed_wide, "tkhd": timed_wide}),
    "version 1 edits": ({"edits": [(500, -1), (416, 0)]}, {"elst": edits_wide}),
    "version 0 offsets": ({"offsets": [(1, 25), (4, 50), (5, 0)]}, {"ctts": lambda body: b"\0" + body[1:]}),
    "version 0 negative": ({"offsets": [(1, 0), (4, -50), (5, 25)]}, {"ctts": lambda body: b"\0" + body[1:]}),
    "one size": ({"sizes": [33] * 10}, {"stsz": lambda _body: words(0, 33, 10)}),
    "twice as fast": ({"edits": [(300, 0)]}, {"elst": lambda body: body[:-4] + words(0x20000)}),
    "a still": ({"edits": [(300, 0), (100, 50)]}, {"elst": lambda body: body[:-4] + words(0)}),
    "two descriptions": ({}, {"stsd": lambda body: body[:4] + words(2) + body[8:] * 2}),
    "two descriptions in turns": (
        {},
        {
            "stsd": lambda body: body[:4] + words(2) + body[8:] * 2,
            "stsc": lambda body: body[:-4] + words(2),
        },
    ),
}


@pytest.mark.parametrize("name", REWRITTEN)
def test_other_forms_of_boxes_agree_with_ffmpeg(name: str, tmp_path: Path) -> None:
    track, boxes = REWRITTEN[name]
    path = rewritten(film(tmp_path / "made.mp4", [plan(**track)]), **boxes)
    assert differences(path, UNDECODED | {"r_frame_rate"}) == []
    assert len(of(read(path)[0], "packet")) > 7


@pytest.mark.parametrize("of_all", ["trex", "tfhd"])
def test_samples_of_one_size_in_fragments(of_all: str, tmp_path: Path) -> None:
    size = 40 if of_all == "tfhd" else None
    fragments = [[FragmentPlan(1, [RunPlan([40, 40, 40])], 0, size=size)]]
    path = fragmented(tmp_path / "made.mp4", [TrackPlan([], [], [])], fragments, (25, 40 if size is None else 1, 0))
    rewritten(path, trun=without_sizes)
    assert differences(path, UNDECODED | {"r_frame_rate"}) == []
    assert [packet["size"] for packet in of(read(path)[0], "packet")] == [40, 40, 40]


@pytest.mark.parametrize("kind", ["tfdt", "trun", "sidx"])
def test_other_versions_of_boxes_in_fragments(kind: str, tmp_path: Path) -> None:
    runs = [[FragmentPlan(1, [RunPlan([10, 20, 30], offsets=[50, 0, 25])], 75 * number)] for number in range(2)]
    path = fragmented(tmp_path / "made.mp4", [TrackPlan([], [], [])], runs, (25, 0, 0), index=kind == "sidx")
    changes = {
        # times of 32 bits, and a box beside them that takes the bytes that are left
        "tfdt": lambda body: bytes(4) + body[8:] + bytes(4),
        "trun": lambda body: b"\0" + body[1:],
        "sidx": lambda body: b"\1" + body[1:12] + bytes(8) + bytes(8) + body[20:],
    }
    rewritten(path, **{kind: changes[kind]})
    assert differences(path, UNDECODED | {"r_frame_rate"}) == []
    assert read(path)[1] is None
    assert len(of(read(path)[0], "packet")) == 6


def test_media_data_of_64_bits_and_without_a_size(tmp_path: Path) -> None:
    path = film(tmp_path / "made.mp4", [plan()], front=True)
    whole = path.read_bytes()
    at = whole.rindex(b"mdat") - 4
    path.write_bytes(whole[:at] + bytes(4) + whole[at + 4 :])  # up to the end of the file
    assert differences(path, UNDECODED) == []
    path.write_bytes(whole)
    rewritten(path, stco=lambda body: body[:8] + words(*(n + 8 for (n,) in struct.iter_unpack(">I", body[8:]))))
    wide = words(1) + b"mdat" + (len(whole) - at + 8).to_bytes(8, "big")
    path.write_bytes(path.read_bytes()[:at] + wide + whole[at + 8 :])
    assert differences(path, UNDECODED) == []
    assert (read(path)[1], len(of(read(path)[0], "packet"))) == (None, 10)


def test_a_packet_that_reaches_behind_the_end(tmp_path: Path) -> None:
    path = film(tmp_path / "made.mp4", [plan()])
    rewritten(path, stsz=lambda body: body[:-4] + words(5000))  # its boxes are all there
    records, error = read(path)
    assert isinstance(error, TruncatedFile)
    assert of(records, "packet")[-1]["corrupt"]
    assert differences(path, UNDECODED) == []


def test_boxes_of_64_bits_and_without_a_size(tmp_path: Path) -> None:
    path = film(tmp_path / "plain.mp4", [plan()])
    data = path.read_bytes()
    moov = data.rindex(b"moov") - 4
    path.write_bytes(data[:moov] + b"\0\0\0\0" + data[moov + 4 :])  # up to the end of the file
    assert differences(path, UNDECODED) == []
    long = b"\0\0\0\1moov" + (len(data) - moov + 8).to_bytes(8, "big") + data[moov + 8 :]
    path.write_bytes(data[:moov] + long)
    assert differences(path, UNDECODED) == []


def test_a_size_that_is_too_large_is_cut(tmp_path: Path) -> None:
    path = film(tmp_path / "plain.mp4", [plan()], extra=box(b"free", bytes(8)))
    data = bytearray(path.read_bytes())
    free = data.rindex(b"free") - 4
    data[free : free + 4] = b"\x7f\0\0\0"
    path.write_bytes(data)
    assert len(of(read(path)[0], "packet")) == 10


# metadata


def udta(*items: bytes) -> bytes:
    return box(b"udta", *items)


def ilst(*items: bytes, handler: bytes = b"mdir", keys: bytes = b"") -> bytes:
    hdlr = full(b"hdlr", bytes(4), handler, bytes(13))
    return box(b"udta", full(b"meta", hdlr, keys, box(b"ilst", *items)))


def data(kind: int, value: bytes) -> bytes:
    return box(b"data", words(kind, 0), value)


METADATA = {
    "user data": udta(
        box(b"\xa9nam", b"\0\5\0\0Caf\x8e!"),
        box(b"\xa9ART", b"\0\4\x15\xc7" + "é!?".encode()),
        box(b"@PRM", b"raw text"),
        box(b"\xa9day", b"\xff\xff2020"),
        box(b"name", b"\0\2\x15\xc7Me"),
        box(b"unkn", b"\0\2\x15\xc7Me"),
    ),
    "items": ilst(
        box(b"\xa9nam", data(1, "Né".encode())),
        box(b"\xa9too", data(0, b"Mac \x8e")),
        box(b"trkn", data(0, bytes((0, 0, 0, 3, 0, 9, 0, 0)))),
        box(b"disk", data(0, bytes((0, 0, 0, 2, 0, 0)))),
        box(b"gnre", data(0, b"\0\x12")),
        box(b"cpil", data(21, b"\1")),
        box(b"tvsn", data(21, b"\0\0\0\7")),
        box(b"rate", data(1, b"unknown")),
        box(b"desc", data(2, b"\0U\0T\0F")),
    ),
    "numbers": ilst(
        box(b"keyw", data(21, b"\xff")),
        box(b"catg", data(22, b"\1\0\0")),
        box(b"purd", data(23, b"\x3f\x80\0\0")),
        box(b"soal", data(21, b"")),
    ),
    "custom items": ilst(
        box(b"----", full(b"mean", b"com.apple.iTunes"), full(b"name", b"LABEL"), data(1, b"Mine")),
        box(b"----", full(b"mean", b"com.apple.iTunes"), full(b"name", b"cdec"), data(1, b"Mine")),
        box(b"----", full(b"name", b"HALF")),
    ),
    "named items": ilst(
        box(words(1), data(1, b"one")),
        box(words(2), data(23, b"\x40\x20\0\0")),
        box(words(9), data(1, b"none")),
        handler=b"mdta",
        keys=full(b"keys", words(2), box(b"mdta", b"com.example.name"), box(b"mdta", b"com.example.number")),
    ),
    "a place": udta(full(b"loci", b"\x15\xc7", b"Home\0", b"\0", words(0x00024000, 0xFFFE0000, 0x00050000), b"\0\0")),
    "chapters": udta(
        full(b"chpl", bytes(4), b"\2", bytes(8), b"\3One", (5_000_000).to_bytes(8, "big"), b"\3Two", version=1)
    ),
    "moments": udta(box(b"HMMT", words(2, 100, 300), bytes(4))),
}


@pytest.mark.parametrize("name", METADATA)
def test_metadata_agrees_with_ffmpeg(name: str, tmp_path: Path) -> None:
    path = film(tmp_path / "made.mp4", [plan()], extra=METADATA[name])
    assert differences(path, UNDECODED) == []
    records = read(path)[0]
    assert len(records[0]["tags"]) > 3 or of(records, "chapter")


ROLES = {"caption": 3, "commentary": 2, "descriptions": 3, "dub": 2, "forced-subtitle": 2, "main": 1}


@pytest.mark.parametrize(("role", "count"), ROLES.items())
def test_roles_are_dispositions(role: str, count: int, tmp_path: Path) -> None:
    kind = full(b"kind", b"urn:mpeg:dash:role:2011\0", role.encode(), b"\0")
    path = film(tmp_path / "made.mp4", [plan()], extra=udta(kind))
    assert differences(path, UNDECODED) == []
    assert sum(of(read(path)[0], "stream")[0]["disposition"].values()) == count


def test_covers_are_named_and_not_read(tmp_path: Path) -> None:
    pictures = [io.BytesIO() for _ in range(2)]
    for file, (name, pixels) in zip(pictures, (("mjpeg", "yuvj444p"), ("png", "rgb24")), strict=True):
        with av.open(file, "w", format="image2pipe") as out:
            stream = samples._codec(out, name, width=20, height=10, pix_fmt=pixels)
            out.mux(stream.encode(samples._picture(stream, 1)))
            out.mux(stream.encode(None))
    covers = [data(kind, file.getvalue()) for kind, file in zip((13, 14), pictures, strict=True)]
    path = film(tmp_path / "made.mp4", [plan()], extra=ilst(box(b"covr", *covers)))
    assert differences(path, UNDECODED - {"pix_fmt", "width", "height"} | {"level"}) == []
    first, second = of(read(path)[0], "stream")[1:]
    assert (first["codec"], first["pix_fmt"], second["codec"], second["pix_fmt"]) == (
        "mjpeg",
        "yuvj444p",
        "png",
        "rgb24",
    )


def test_a_long_text_is_not_read(tmp_path: Path) -> None:
    path = film(tmp_path / "made.mp4", [plan()], extra=ilst(box(b"\xa9lyr", data(1, b"la " * 1000))))
    at = path.read_bytes().index(b"la la")
    records, _ = read(path, max_value_bytes=100)
    assert records[0]["tags"]["lyrics"] == {"offset": at, "length": 3000, "bulk": True}


# ends, breaks and attacks


@pytest.mark.parametrize("cut", [1, 60, 150, 540])
def test_cut_media(cut: int, tmp_path: Path) -> None:
    path = film(tmp_path / "made.mp4", [plan(keys=[1]), plan(kind=b"soun", entry=b"mp4a")], front=True)
    path.write_bytes(path.read_bytes()[:-cut])
    assert differences(path, UNDECODED) == []
    assert isinstance(read(path)[1], TruncatedFile)


def test_cut_fragments(tmp_path: Path) -> None:
    fragments = [[FragmentPlan(1, [RunPlan([100, 200])], 50 * number)] for number in range(4)]
    path = fragmented(tmp_path / "made.mp4", [TrackPlan([], [], [])], fragments, (25, 0, 0))
    whole = path.read_bytes()
    for cut in (1, 150, 250):
        path.write_bytes(whole[:-cut])
        records, error = read(path)
        assert isinstance(error, TruncatedFile)
        assert len(of(records, "packet")) >= 6


@pytest.mark.parametrize("kept", [700, 2100, 2980, 3300])
def test_cut_before_the_sound_of_a_fragment(kept: int, tmp_path: Path) -> None:
    trafs = [FragmentPlan(1, [RunPlan([50] * 60)], 0), FragmentPlan(2, [RunPlan([20] * 60)], 0)]
    tracks = [plan(sizes=[], chunks=[], durations=[]) for _ in range(2)]
    tracks[1].kind, tracks[1].entry = b"soun", b"mp4a"
    path = fragmented(tmp_path / "made.mp4", tracks, [trafs], (25, 0, 0))
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"mdat") + 4 + kept])
    assert differences(path, UNDECODED | {"r_frame_rate"}) == []
    records, error = read(path)
    assert isinstance(error, TruncatedFile)
    assert len(of(records, "packet")) > 13


def test_a_table_that_is_cut_is_truncated(tmp_path: Path) -> None:
    path = film(tmp_path / "made.mp4", [plan()], front=True)
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"stco") + 16])
    for reader in (IsoStreamReader, VideoStreamReader):
        assert isinstance(read(path, reader)[1], TruncatedFile)


@pytest.mark.parametrize("kept", [2, 11, 30])
def test_a_segment_index_that_is_cut(kept: int, tmp_path: Path) -> None:
    runs = [[FragmentPlan(1, [RunPlan([10, 20, 30])], 75 * number)] for number in range(2)]
    path = fragmented(tmp_path / "made.mp4", [TrackPlan([], [], [])], runs, (25, 0, 0), index=True)
    whole = path.read_bytes()
    at = whole.index(b"sidx") - 4
    path.write_bytes(whole[:at] + whole[at + int.from_bytes(whole[at : at + 4], "big") :] + whole[at : at + 8 + kept])
    records, error = read(path)
    assert isinstance(error, TruncatedFile)
    assert len(of(records, "packet")) == 6


def test_a_first_picture_that_is_cut_is_for_ffmpeg(tmp_path: Path) -> None:
    path = film(tmp_path / "made.mp4", [plan()], front=True)
    path.write_bytes(path.read_bytes()[: path.read_bytes().index(b"mdat") + 9])
    assert_for_ffmpeg(path)


@pytest.mark.parametrize("codec", ["libx265", "libx264", "mpeg4", "libvpx-vp9"])
def test_a_movie_without_pictures(codec: str, tmp_path: Path) -> None:
    path = tmp_path / "made.mp4"
    with av.open(str(path), "w", container_options={"movflags": "+frag_keyframe+empty_moov"}) as out:
        video = samples._codec(out, codec, width=64, height=48, pix_fmt="yuv420p")
        samples._interleave(out, video, None)
    whole = path.read_bytes()
    path.write_bytes(whole[: whole.index(b"moof") - 4])
    assert differences(path) == []
    assert of(read(path)[0], "stream")[0]["pix_fmt"] == ("yuv420p" if codec == "libx265" else None)


def test_without_moov(tmp_path: Path) -> None:
    path = tmp_path / "made.mp4"
    path.write_bytes(box(b"ftyp", b"isom", words(0)) + box(b"mdat", bytes(50)))
    with pytest.raises(CorruptFile, match="no moov box"), open_source(path) as source:
        IsoStreamReader(source).open()
    path.write_bytes(box(b"styp", b"msdh", words(0)) + box(b"moof", bytes(50)))
    with pytest.raises(UnsupportedSource, match="initialization segment"), open_source(path) as source:
        IsoStreamReader(source).open()


def broken(path: Path, kind: bytes, at: int, value: int) -> None:
    """Overwrites a number in the body of the first box of `kind`."""
    data = bytearray(path.read_bytes())
    at += data.index(kind) + 4
    data[at : at + 4] = words(value)
    path.write_bytes(data)


@pytest.mark.parametrize(
    ("kind", "at", "value"),
    [
        (b"stts", 4, 0xFFFFFFFF),
        (b"stts", 8, 0xFFFFFFFF),
        (b"ctts", 4, 0xFFFFFFFF),
        (b"ctts", 8, 0x7FFFFFFF),
        (b"stsc", 4, 0xFFFFFFFF),
        (b"stsc", 8, 0xFFFFFFFF),
        (b"stsc", 12, 0xFFFFFFFF),
        (b"stsc", 12, 0),
        (b"stsz", 4, 1),
        (b"stsz", 8, 0xFFFFFFFF),
        (b"stsz", 12, 0xFFFFFFFF),
        (b"stco", 4, 0xFFFFFFFF),
        (b"stco", 8, 0xFFFFFFF0),
        (b"stss", 4, 0xFFFFFFFF),
        (b"stss", 8, 0xFFFFFFFF),
        (b"elst", 4, 0xFFFFFFFF),
        (b"elst", 8, 0xFFFFFFFF),
        (b"elst", 12, 0x7FFFFFFF),
        (b"elst", 12, 0x80000000),
        (b"mdhd", 12, 0),
        (b"mdhd", 12, 0xFFFFFFFF),
        (b"mvhd", 12, 0),
        (b"stsd", 4, 0xFFFFFFFF),
        (b"stsd", 8, 0),
        (b"hdlr", 8, 0),
        (b"tkhd", -8, 4),
        (b"trak", -8, 0),
    ],
)
def test_broken_numbers_end_properly(kind: bytes, at: int, value: int, tmp_path: Path) -> None:
    tracks = [plan(keys=[1, 5], offsets=[(1, 25), (4, 50), (5, 0)], edits=[(300, 50)])]
    path = film(tmp_path / "made.mp4", tracks)
    broken(path, kind, at, value)
    with open_source(path) as source, IsoStreamReader(source, ReadOptions(format="video")) as reader:
        try:
            reader.begin()
            assert sum(1 for _ in reader) < 1 << 20
        except (MemxError, BelongsTo):
            return


BROKEN = {
    # the box whose length is too small for a box, and the box that it stands in
    b"mvhd": b"moov",
    b"trak": b"moov",
    b"mdia": b"trak",
    b"minf": b"mdia",
    b"stbl": b"minf",
    b"stts": b"stbl",
}


@pytest.mark.parametrize("kind", BROKEN, ids=bytes.decode)
def test_what_no_box_begins_is_said_to_be_corrupt(kind: bytes, tmp_path: Path) -> None:
    path = film(tmp_path / "made.mp4", [plan()])
    broken(path, kind, -8, 5)
    _, error = read(path)
    assert isinstance(error, CorruptFile)
    assert error.offset == path.read_bytes().rindex(kind) - 4
    assert f"inside the {BROKEN[kind].decode()} box" in str(error)


@pytest.mark.parametrize("inside", [b"", bytes(600), b"\xff" * 4, box(b"free", bytes(40))])
def test_a_movie_without_tracks_is_corrupt(inside: bytes, tmp_path: Path) -> None:
    path = film(tmp_path / "made.mp4", [plan()])
    data = path.read_bytes()
    path.write_bytes(data[: data.rindex(b"moov") - 4] + box(b"moov", inside))
    records, error = read(path)
    assert isinstance(error, CorruptFile)
    assert {record["type"] for record in records} == {"file"}
    told = list(Stream(path).records())
    assert (told[1]["code"], told[-1]["status"]) == ("corrupt", "failed")


def test_samples_of_one_byte_do_not_go_on_for_ever(tmp_path: Path) -> None:
    path = film(tmp_path / "made.mp4", [plan(sizes=[1] * 10)])
    broken(path, b"stsz", 4, 1)
    broken(path, b"stsz", 8, 0xFFFFFFFF)
    broken(path, b"stsc", 12, 0x7FFFFFFF)
    records, error = read(path)
    assert len(records) < 200_000
    assert isinstance(error, TruncatedFile)


def test_runs_without_bytes_are_corrupt(tmp_path: Path) -> None:
    path = fragmented(tmp_path / "made.mp4", [TrackPlan([], [], [])], [[FragmentPlan(1, [RunPlan([9, 9])], 0)]])
    data = path.read_bytes()
    at = data.index(b"trun") + 4
    path.write_bytes(data[:at] + words(0x01000001, 0x7FFFFFFF) + data[at + 8 :])  # no sizes any more
    assert isinstance(read(path)[1], CorruptFile)


def test_boxes_that_nest_without_end(tmp_path: Path) -> None:
    inner = b""
    for _ in range(1000):
        inner = box(b"udta", inner)
    path = film(tmp_path / "made.mp4", [plan()], extra=inner)
    assert isinstance(read(path)[1], CorruptFile)


@pytest.mark.slow
def test_damage_ends_properly(muxed: dict[str, Path], tmp_path: Path) -> None:
    """Bytes and numbers of the structure overwritten, at random but the same each time."""
    chance = random.Random(14496)
    broken = tmp_path / "broken.mp4"
    for number in range(400):
        whole = muxed[chance.choice(list(muxed))].read_bytes()
        damaged = bytearray(whole)
        first = max(whole.find(b"moof"), whole.find(b"moov"), 0)
        for _ in range(chance.choice((1, 2, 8))):
            at = chance.randrange(first, min(len(whole), first + 5000) - 4)
            value = chance.choice((0, 1, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, chance.randrange(1 << 32)))
            damaged[at : at + 4] = words(value) if number % 2 else bytes((value & 255,)) + whole[at + 1 : at + 4]
        broken.write_bytes(damaged)
        try:
            read(broken)
        except BelongsTo:
            continue


# who reads what


def test_is_chosen_by_content(muxed: dict[str, Path]) -> None:
    with open_source(muxed["quicktime.mov"]) as source:
        assert detect(source).key == "isobmff"
        assert detect(source, "video").key == "isobmff"
    records = list(Stream(muxed["quicktime.mov"]).records())
    assert (records[0]["reader"], records[-1]["status"]) == ("direct", "complete")


def test_what_it_does_not_know_is_for_ffmpeg(tmp_path: Path) -> None:
    path = tmp_path / "mpeg1.mp4"
    with av.open(str(path), "w") as out:
        video = samples._codec(out, "mpeg1video", width=64, height=48, pix_fmt="yuv420p")
        samples._interleave(out, video, None)
    with open_source(path) as source, pytest.raises(BelongsTo, match="video"):
        IsoStreamReader(source).open()
    for options in (StreamOptions(), StreamOptions(format="video")):
        records = list(Stream(path, options).records())
        assert (records[0]["format"], records[0]["reader"], records[-1]["status"]) == ("video", "pyav", "complete")
        assert len(of(records, "packet")) == samples.FRAMES


def test_sound_alone_is_for_the_sound_reader(tmp_path: Path) -> None:
    path = film(tmp_path / "made.mp4", [plan(kind=b"soun", entry=b"twos", sizes=[4] * 10)])
    with open_source(path) as source, pytest.raises(BelongsTo, match="audio"):
        IsoStreamReader(source).open()
    assert of(read(path)[0], "packet"), "whoever says that it is video gets it"


def test_a_name_that_promises_sound(tmp_path: Path) -> None:
    path = tmp_path / "broken.m4a"
    path.write_bytes(box(b"ftyp", b"M4A ", words(0)) + box(b"moov", box(b"mvhd", bytes(2))))
    with open_source(path) as source, pytest.raises(BelongsTo, match="audio"):
        IsoStreamReader(source).open()


def test_other_bytes_under_its_name(tmp_path: Path) -> None:
    path = tmp_path / "other.mp4"
    path.write_bytes(b"#!/bin/sh\n" * 10)
    with open_source(path) as source, pytest.raises(BelongsTo, match="video"):
        IsoStreamReader(source, ReadOptions(format="video")).open()


def test_media_in_other_files_is_for_ffmpeg(tmp_path: Path) -> None:
    path = film(tmp_path / "made.mov", [plan()])
    data = path.read_bytes()
    alias = box(b"alis", words(0), bytes(200))
    grown = data.replace(full(b"url ", flags=1), alias)
    for kind in (b"dref", b"dinf", b"minf", b"mdia", b"trak", b"moov"):
        at = grown.index(kind) - 4
        length = int.from_bytes(grown[at : at + 4], "big") + len(alias) - 12
        grown = grown[:at] + words(length) + grown[at + 4 :]
    path.write_bytes(grown)
    with open_source(path) as source, pytest.raises(BelongsTo, match="video"):
        IsoStreamReader(source).open()


@pytest.mark.slow
def test_memory_does_not_grow_with_the_samples(tmp_path: Path) -> None:
    def peak(count: int) -> int:
        path = tmp_path / f"{count}.mp4"
        film(path, [TrackPlan([5] * count, [count], [(count, 1)], keys=list(range(1, count, 50)))])
        end = decode(command("stream", path).stdout.splitlines()[-1])
        assert end["records"] == count + 1
        return int(end["metrics"]["peak_rss"])

    few, many = peak(30_000), peak(400_000)
    assert many - few < 6 << 20


@pytest.mark.parametrize(
    ("sequence", "pixels"),
    [("0a0d20000002aff79b5f2404340080", "gbrp"), ("", "yuv444p")],
    ids=["sequence header", "none"],
)
def test_av1_of_red_green_and_blue(sequence: str, pixels: str) -> None:
    track = SimpleNamespace(config=bytes.fromhex("81200000" + sequence))
    found = pictures._av1(track)
    assert (found.profile, found.pix_fmt) == ("High", pixels)
