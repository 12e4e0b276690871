"""Sound: what the libraries say, file by file; and what memx adds, what is cut off, and what nobody can read."""

import json
import shutil
import struct
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from memx.engine.options import StreamOptions
from memx.engine.reading.streaming import Stream
from memx.errors import CorruptFile, MemxError, TruncatedFile
from memx.formats import StreamingExtractionFactory
from memx.formats.audio import AudioStreamReader, sndfile
from memx.formats.base import BelongsTo, ReadOptions
from memx.records import encode
from memx.sources import open_source
from tests.contract import assert_contract
from tests.oracles.audio import disagreements
from tests.samples import audio as samples
from tests.samples import video

THROUGH_FFMPEG = ("m4a", "mka", "wv", "tta", "ac3", "aac")
SUBTYPES = {
    "wav": (
        "PCM_U8",
        "PCM_16",
        "PCM_24",
        "PCM_32",
        "FLOAT",
        "DOUBLE",
        "ULAW",
        "ALAW",
        "IMA_ADPCM",
        "MS_ADPCM",
        "GSM610",
    ),
    "aiff": ("PCM_S8", "PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    "caf": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAC_16", "ALAC_24"),
    "flac": ("PCM_S8", "PCM_16", "PCM_24"),
    "au": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW", "G721_32"),
    "w64": ("PCM_24", "DOUBLE"),
}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("audio")
    return {kind: samples.build_kind(folder, kind) for kind in samples.KINDS}


def read(path: Path, options: ReadOptions | None = None) -> tuple[list[dict[str, Any]], MemxError | None]:
    """The records, the `file` line's fields first, and the error behind them."""
    records: list[dict[str, Any]] = []
    with open_source(path) as source, AudioStreamReader(source, options) as reader:
        try:
            records.append({"type": "file", "format": "audio", **reader.begin(), "reader": reader.reader})
            for record in reader:
                records.append(record)  # noqa: PERF402 - what came before an error stands
        except MemxError as exc:
            return records, exc
    return records, None


def of(records: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [record for record in records if record["type"] == kind]


@pytest.mark.slow
@pytest.mark.oracle("ffprobe")
@pytest.mark.parametrize("kind", samples.KINDS)
def test_agrees_with_the_libraries(files: dict[str, Path], kind: str) -> None:
    records, error = read(files[kind])
    assert error is None
    assert records[0]["reader"] == ("pyav" if kind in THROUGH_FFMPEG else "soundfile")
    assert len(of(records, "frame")) in (33, 34, 36, 37)
    assert disagreements(files[kind], records) == []


@pytest.mark.oracle("ffprobe")
@pytest.mark.parametrize(("kind", "subtype"), [(kind, one) for kind, every in SUBTYPES.items() for one in every])
def test_every_kind_of_sample(kind: str, subtype: str, tmp_path: Path) -> None:
    mono = subtype in ("GSM610", "G721_32")
    path = samples.write(
        tmp_path / f"{subtype}.{kind}", samples.signal(0.3, channels=1 if mono else 2), subtype=subtype
    )
    records, error = read(path)
    assert error is None
    assert disagreements(path, records) == []


@pytest.mark.slow
@pytest.mark.parametrize(("length", "hop"), [(2048, 512), (1000, 4000), (441, 441), (100_000, 30_000), (7, 3)])
@pytest.mark.parametrize("kind", ["flac", "mp3", "m4a"])
def test_any_framing_agrees(files: dict[str, Path], kind: str, length: int, hop: int) -> None:
    records, error = read(files[kind], ReadOptions(frame_length=length, hop_length=hop))
    assert error is None
    assert disagreements(files[kind], records, length, hop) == []


def test_levels_of_a_known_signal(tmp_path: Path) -> None:
    square = np.where(np.arange(4096 + 100) % 2, 0.5, -0.5)
    path = samples.write(tmp_path / "known.wav", np.stack([square, 0 * square], axis=1), rate=8000)
    records, _ = read(path)
    assert of(records, "frame") == [
        {"type": "frame", "index": index, "time_s": index * 2048 / 8000, "rms": [0.5, 0.0]} for index in range(3)
    ]


@pytest.mark.oracle("ffmpeg")
@pytest.mark.parametrize("kind", ["flac", "tta", "mka"])
def test_lossless_levels_are_those_of_ffmpeg(files: dict[str, Path], kind: str) -> None:
    command = ["ffmpeg", "-v", "error", "-i", files[kind], "-f", "f32le", "-"]
    raw = subprocess.run(command, capture_output=True, check=True).stdout
    signal = np.frombuffer(raw, "<f4").reshape(-1, 2).astype(float)
    expected = [np.sqrt((signal[at : at + 2048] ** 2).mean(axis=0)) for at in range(0, len(signal), 2048)]
    assert np.allclose([frame["rms"] for frame in of(read(files[kind])[0], "frame")], expected, rtol=1e-6)


def test_what_a_stream_says(files: dict[str, Path]) -> None:
    (stream,) = of(read(files["wav"])[0], "stream")
    assert stream == {
        "type": "stream",
        "index": 0,
        "codec": "pcm_s16le",
        "sample_rate": 44100,
        "channels": 2,
        "channel_layout": "stereo",
        "bits_per_sample": 16,
        "bit_rate": 1411200,
        "samples": 66150,
        "duration_s": 1.5,
        "container": "wav",
        "tags": {"title": "Ein Stück", "artist": "Jemand"},
    }
    (stream,) = of(read(files["m4a"])[0], "stream")
    assert (stream["codec"], stream["container"]) == ("aac", "mov,mp4,m4a,3gp,3g2,mj2")
    assert stream["tags"]["title"] == "Ein Stück"


@pytest.mark.parametrize("kind", ["flac", "mp3", "m4a"])
def test_blocks_are_the_same_lines(files: dict[str, Path], kind: str) -> None:
    with open_source(files[kind]) as source, AudioStreamReader(source) as reader:
        reader.begin()
        lines = b"".join(part if isinstance(part, bytes) else encode(part) for part in reader.blocks())
    assert lines == b"".join(map(encode, read(files[kind])[0][1:]))


def test_every_stream_is_measured(tmp_path: Path) -> None:
    loud, quiet = samples.signal(0.5), samples.signal(0.5, channels=1) / 4
    path = samples.encode(tmp_path / "two.mka", loud, quiet, codec="flac")
    records, error = read(path)
    assert error is None
    assert [(stream["index"], stream["channels"]) for stream in of(records, "stream")] == [(0, 2), (1, 1)]
    assert disagreements(path, records) == []
    assert {frame["stream_index"] for frame in of(records, "frame")} == {0, 1}


def test_a_summary_decodes_nothing(files: dict[str, Path]) -> None:
    for kind in ("wav", "m4a"):
        records, error = read(files[kind], ReadOptions(summary=True))
        assert ([record["type"] for record in records[1:]], error) == (["stream"], None)


def test_moving_pictures_are_handed_on(tmp_path: Path) -> None:
    path = video.build(tmp_path)
    with open_source(path) as source, AudioStreamReader(source) as reader, pytest.raises(BelongsTo, match="video"):
        reader.begin()
    records, error = read(path, ReadOptions(format="audio"))
    assert error is None
    assert {record["type"] for record in records[1:]} <= {"stream", "chapter", "frame"}
    assert of(records, "frame")


def test_bytes_that_only_a_name_calls_sound_are_handed_on(tmp_path: Path) -> None:
    path = tmp_path / "zeros.mp3"
    path.write_bytes(bytes(5000))
    with open_source(path) as source, AudioStreamReader(source) as reader, pytest.raises(BelongsTo, match="binary"):
        reader.begin()
    records, error = read(path, ReadOptions(format="audio"))
    assert (records, type(error)) == ([], CorruptFile)


def test_only_the_library_that_is_needed_is_loaded(files: dict[str, Path]) -> None:
    script = (
        "import sys; from memx.formats.audio import AudioStreamReader\n"
        "assert not {'av', 'soundfile', 'numpy'} & set(sys.modules)\n"
        "assert sum(1 for _ in AudioStreamReader().stream(sys.argv[1]))\n"
        "print(*sorted({'av', 'soundfile'} & set(sys.modules)))"
    )
    import sys

    for kind, library in (("wav", "soundfile"), ("flac", "soundfile"), ("tta", "av")):
        done = subprocess.run([sys.executable, "-c", script, files[kind]], capture_output=True, text=True, check=True)
        assert done.stdout.strip() == library


def test_the_whole_way_through_a_worker(files: dict[str, Path]) -> None:
    for kind in ("mp3", "m4a"):
        records = list(Stream(files[kind], StreamOptions(frame_length=1024)).records())
        assert_contract(records, files[kind])
        assert disagreements(files[kind], records, 1024) == []


# what is broken


@pytest.mark.parametrize(
    "kind", ["wav", "aiff", "w64", "rf64", "caf", "au", "ogg", "opus", "flac", "mp3", "m4a", "tta"]
)
@pytest.mark.parametrize("share", [0.3, 0.7])
def test_what_is_cut_off_says_so(files: dict[str, Path], kind: str, share: float, tmp_path: Path) -> None:
    whole = files[kind].read_bytes()
    path = tmp_path / files[kind].name
    path.write_bytes(whole[: int(len(whole) * share)])
    records, error = read(path)
    faults = [error.code] if error is not None else [record["code"] for record in of(records, "error")]
    assert set(faults) & {"truncated", "corrupt"}
    complete = [frame["rms"] for frame in of(read(files[kind])[0], "frame")]
    cut = [frame["rms"] for frame in of(records, "frame")]
    if kind in ("wav", "aiff", "w64", "rf64", "caf", "au", "flac"):
        assert abs(len(cut) - share * len(complete)) <= 3
        assert cut[:-1] == complete[: len(cut) - 1]


@pytest.mark.parametrize("cut", [1, 50, 200, 500, 5000, 15000])
@pytest.mark.parametrize("kind", ["mka", "tta"])
def test_cuts_that_a_length_at_the_head_tells(files: dict[str, Path], kind: str, cut: int, tmp_path: Path) -> None:
    path, whole = tmp_path / f"sound.{kind}", files[kind].read_bytes()
    path.write_bytes(whole[:-cut])
    error = read(path)[1]
    assert isinstance(error, TruncatedFile)
    assert error.offset == len(whole) - cut


def test_true_audio_that_ends_with_a_whole_frame(files: dict[str, Path], tmp_path: Path) -> None:
    path, whole = tmp_path / "sound.tta", files["tta"].read_bytes()
    rate, count = struct.unpack_from("<II", whole, 10)
    lengths = struct.unpack_from(f"<{-(-count // (256 * rate // 245))}I", whole, 22)
    end = 22 + 4 * len(lengths) + 4 + sum(lengths)
    for tags in (b"", b"ID3\x04\0\0\0\0\0\x20" + bytes(32)):
        path.write_bytes(tags + whole[:end])
        assert read(path)[1] is None
        path.write_bytes(tags + whole[: end - lengths[-1]])
        error = read(path)[1]
        assert isinstance(error, TruncatedFile)
        assert str(error).endswith(f"its sound at byte {len(tags) + end}")


@pytest.mark.parametrize("kind", ["mp3", "wv", "aac", "ac3"])
@pytest.mark.parametrize("cut", [0, 1, 2, 10, 31, 40, 100, 500])
def test_the_last_bytes_are_missed(files: dict[str, Path], kind: str, cut: int, tmp_path: Path) -> None:
    path, whole = tmp_path / f"sound.{kind}", files[kind].read_bytes()
    path.write_bytes(whole[: len(whole) - cut])
    records, error = read(path)
    assert of(records, "frame")
    assert (error is None) == (cut == 0)
    if error is not None:
        assert isinstance(error, TruncatedFile)
        assert error.offset == len(whole) - cut
        reaches = int(str(error).split()[-1])
        assert len(whole) - cut < reaches <= len(whole)


@pytest.mark.parametrize("length", range(8))
def test_a_few_bytes_of_a_first_frame_are_no_sound(files: dict[str, Path], length: int, tmp_path: Path) -> None:
    path = tmp_path / "begun.aac"
    path.write_bytes(files["aac"].read_bytes()[:length])
    with open_source(path) as source, AudioStreamReader(source) as reader, pytest.raises(BelongsTo, match="binary"):
        reader.begin()


def test_a_size_that_lies_is_told_behind_the_frames(tmp_path: Path) -> None:
    path = samples.wave(tmp_path / "lie.wav", bytes(6000), size=0xFFFFFFF0 // 2)
    records, error = read(path)
    assert isinstance(error, TruncatedFile)
    assert error.offset == 6044
    assert len(of(records, "frame")) == 2


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0x7FFFF000])
def test_a_length_that_was_not_known_is_no_lie(size: int, tmp_path: Path) -> None:
    records, error = read(samples.wave(tmp_path / "piped.wav", bytes(6000), size=size))
    assert error is None
    assert len(of(records, "frame")) == 2


def test_sound_of_no_length_is_complete(tmp_path: Path) -> None:
    records, error = read(samples.wave(tmp_path / "empty.wav", b""))
    assert error is None
    assert [record["type"] for record in records] == ["file", "stream"]
    assert (records[1]["duration_s"], records[1]["samples"]) == (0.0, 0)


def test_flac_that_does_not_say_its_length(files: dict[str, Path], tmp_path: Path) -> None:
    raw = bytearray(files["flac"].read_bytes())
    raw[21] &= 0xF0
    raw[22:26] = bytes(4)  # RFC 9639, 8.2: no total number of samples
    path = tmp_path / "piped.flac"
    path.write_bytes(raw)
    records, error = read(path)
    assert error is None
    assert (records[0]["reader"], records[1]["duration_s"]) == ("soundfile", None)
    assert [frame["rms"] for frame in of(records, "frame")] == [
        frame["rms"] for frame in of(read(files["flac"])[0], "frame")
    ]


def test_ffmpeg_goes_on_where_libsndfile_loses_its_way(tmp_path: Path) -> None:
    path = samples.write(tmp_path / "broken.flac", samples.signal(8))
    raw = bytearray(path.read_bytes())
    half = len(raw) // 2
    raw[half : half + 20_000] = bytes(20_000)
    path.write_bytes(raw)
    records, error = read(path)
    assert isinstance(error, TruncatedFile | CorruptFile)
    assert records[0]["reader"] == "soundfile"
    assert disagreements(path, records) == []
    frames = of(records, "frame")
    assert len(frames) > 120 > 0.6 * 8 * 44100 / 2048


def test_an_mp3_that_hides_its_length_is_read_to_its_end(files: dict[str, Path], tmp_path: Path) -> None:
    raw = files["mp3"].read_bytes()
    at = raw.find(b"Xing") if b"Xing" in raw else raw.find(b"Info")
    path = tmp_path / "hidden.mp3"
    path.write_bytes(raw[:at] + b"\0\0\0\0" + raw[at + 4 :])
    records, error = read(path)
    assert error is None
    assert records[0]["reader"] == "pyav"
    assert len(of(records, "frame")) * 2048 >= 66150


def test_damaged_packets_are_told_once_and_in_sum(files: dict[str, Path], tmp_path: Path) -> None:
    raw = bytearray(files["ac3"].read_bytes())
    for at in range(20_000, 24_000):
        raw[at] ^= 0xA5
    path = tmp_path / "damaged.ac3"
    path.write_bytes(raw)
    records, error = read(path)
    assert error is None
    assert 1 <= len(of(records, "error")) <= 2
    assert len(of(records, "frame")) > 20


@pytest.mark.parametrize(
    ("name", "content", "kind", "words"),
    [
        ("tag.mp3", b"ID3\3\0\0\0\0\0\x14" + bytes(30), CorruptFile, "no sound behind it"),
        ("tag.mp3", b"ID3\3\0\0\0\0\x10\x14" + bytes(30), TruncatedFile, "inside its ID3 tag"),
        ("head.wav", b"RIFF\x24\0\0\0WAVEfmt ", TruncatedFile, "ends at byte 16 of 44"),
        ("head.flac", b"fLaC\0\0\0\x22" + bytes(34), CorruptFile, "libsndfile"),
        ("head.ape", b"MAC \x96\x0f" + bytes(100), CorruptFile, "FFmpeg finds no sound"),
    ],
)
def test_what_nobody_can_read(name: str, content: bytes, kind: type, words: str, tmp_path: Path) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    records, error = read(path)
    assert (records, type(error)) == ([], kind)
    assert words in str(error)
    assert str(tmp_path) not in str(error)


def test_a_play_list_is_not_followed(files: dict[str, Path], tmp_path: Path) -> None:
    shutil.copy(files["wav"], tmp_path / "other.wav")
    path = tmp_path / "list.mp3"
    path.write_text(f"ffconcat version 1.0\nfile {tmp_path}/other.wav\n")
    records, error = read(path, ReadOptions(format="audio"))
    assert (records, type(error)) == ([], CorruptFile)


def test_a_name_of_any_bytes(files: dict[str, Path], tmp_path: Path) -> None:
    for kind in ("wav", "mp3", "tta"):
        path = tmp_path / f"-:a\udcff%b.{kind}"
        shutil.copy(files[kind], path)
        records, error = read(path)
        assert error is None
        assert of(records, "frame")


def test_infinite_samples_stay_strict_json(tmp_path: Path) -> None:
    data = np.full((4096, 1), 0.5)
    data[2048], data[4000] = np.inf, np.nan
    path = samples.write(tmp_path / "odd.wav", data, subtype="FLOAT")
    records, _ = read(path)
    assert [frame["rms"] for frame in of(records, "frame")] == [[0.5], ["NaN"]]
    json.dumps(records, allow_nan=False)


def test_samples_of_both_byte_orders(tmp_path: Path) -> None:
    body = struct.pack(">4h", 16384, -16384, 16384, -16384)
    records, error = read(samples.wave(tmp_path / "big.wav", body, form=b"RIFX"))
    assert error is None
    assert (records[1]["codec"], records[2]["rms"]) == ("pcm_s16be", [0.5])


def test_the_factory_gives_the_reader(files: dict[str, Path]) -> None:
    with StreamingExtractionFactory.get_reader(files["m4a"]) as reader:
        assert isinstance(reader, AudioStreamReader)
        assert next(iter(reader))["codec"] == "aac"


def test_soundfile_still_seeks_after_each_read() -> None:
    """The reason for ForwardFile; once soundfile does without, it can go."""
    assert "self.seek(curr + frames" in Path(soundfile.__file__).read_text()


# FLAC in parts


@pytest.fixture(scope="module")
def long_flac(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Some parts of 65,536 samples, with the sound before them as it is in the file."""
    return samples.write(tmp_path_factory.mktemp("parts") / "long.flac", samples.signal(9))


@pytest.fixture
def in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sndfile, "PART", 1 << 16)
    monkeypatch.setattr(sndfile, "cores", lambda: 2)


def in_a_row(path: Path, monkeypatch: pytest.MonkeyPatch, **options: int) -> Any:
    """What one decoder gives."""
    with monkeypatch.context() as patch:
        patch.setattr(sndfile, "cores", lambda: 1)
        return read(path, ReadOptions(**options))


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize(("length", "hop"), [(2048, 2048), (2048, 500), (5000, 60_000), (100, 70_000)])
def test_parts_are_as_the_whole(long_flac: Path, length: int, hop: int, monkeypatch: pytest.MonkeyPatch) -> None:
    options = {"frame_length": length, "hop_length": hop}
    records, error = read(long_flac, ReadOptions(**options))
    assert error is None
    assert (records, error) == in_a_row(long_flac, monkeypatch, **options)


@pytest.mark.usefixtures("in_parts")
def test_every_sample_of_flac_is_decoded_once_in_parts(long_flac: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fails(self: sndfile.SndFile, known: int) -> Any:
        raise AssertionError("a decoder went through the whole file")

    monkeypatch.setattr(sndfile.SndFile, "_measure", fails)
    assert len(of(read(long_flac)[0], "frame")) == -(-9 * 44100 // 2048)


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("share", [0.1, 0.5, 0.95, 0.999])
def test_flac_that_is_cut_off_is_as_one_decoder_reads_it(
    long_flac: Path, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, raw = tmp_path / "cut.flac", long_flac.read_bytes()
    path.write_bytes(raw[: int(len(raw) * share)])
    records, error = read(path)
    expected, other = in_a_row(path, monkeypatch)
    assert (records, str(error)) == (expected, str(other))
    assert isinstance(error, TruncatedFile) or of(records, "error")


@pytest.mark.usefixtures("in_parts")
@pytest.mark.parametrize("share", [0.2, 0.6, 0.9])
def test_flac_that_is_damaged_is_as_one_decoder_reads_it(
    long_flac: Path, share: float, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, raw = tmp_path / "broken.flac", bytearray(long_flac.read_bytes())
    at = int(len(raw) * share)
    raw[at : at + 20_000] = bytes(20_000)
    path.write_bytes(raw)
    records, error = read(path)
    expected, other = in_a_row(path, monkeypatch)
    assert (records, str(error)) == (expected, str(other))


@pytest.mark.usefixtures("in_parts")
def test_parts_that_do_not_fit_together_are_not_believed(long_flac: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    measure = sndfile._PartDecoder.measure

    def misled(self: Any, part: tuple[int, int, int]) -> Any:
        begin, left, total = part
        return measure(self, (begin + 5 if begin == 3 * (1 << 16) // 2048 * 2048 else begin, left, total))

    expected = read(long_flac)
    monkeypatch.setattr(sndfile._PartDecoder, "measure", misled)
    assert read(long_flac) == expected
