"""Uncompressed sound read directly gives, to the last digit, what libsndfile and FFmpeg give of the same file."""

import io
import shutil
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memx.engine.reading.streaming import Stream
from memx.errors import MemxError, TruncatedFile
from memx.formats.audio import AudioStreamReader
from memx.formats.audio.headers import find_pcm
from memx.formats.audio.pcm import PcmStreamReader
from memx.formats.base import BelongsTo, ReadOptions, StreamReader
from memx.records import encode
from memx.sources import open_source
from tests.contract import assert_contract
from tests.oracles.audio import disagreements
from tests.samples import audio as samples

KINDS = {
    "wav": ("PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    "rf64": ("PCM_16", "PCM_24", "FLOAT"),
    "w64": ("PCM_16", "PCM_24", "DOUBLE"),
    "aiff": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    "au": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"),
    "caf": ("PCM_S8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"),
}
EACH = [(kind, subtype) for kind, subtypes in KINDS.items() for subtype in subtypes]


def read(
    path: Path, reader_class: type[StreamReader] = PcmStreamReader, **options: Any
) -> tuple[list[dict[str, Any]], MemxError | None]:
    """The records, and the error behind them."""
    records: list[dict[str, Any]] = []
    with open_source(path) as source, reader_class(source, ReadOptions(format="audio", **options)) as reader:
        reader.begin()
        try:
            for record in reader:
                records.append(record)  # noqa: PERF402 - what came before an error stands
        except MemxError as exc:
            return records, exc
    return records, None


def assert_same(path: Path, **options: Any) -> None:
    """Both readers give the same records; sums of many bits may differ in their last digit."""
    mine, error = read(path, **options)
    theirs, their_error = read(path, AudioStreamReader, **options)
    assert str(error) == str(their_error)
    assert mine[0] == theirs[0]
    assert list(mine[0]) == list(theirs[0])
    assert [frame | {"rms": 0} for frame in mine[1:]] == [frame | {"rms": 0} for frame in theirs[1:]]
    levels = [[float(value) for value in frame["rms"]] for frame in mine[1:]]
    assert np.allclose(levels, [[float(value) for value in frame["rms"]] for frame in theirs[1:]], rtol=1e-14, atol=0)


@pytest.mark.parametrize(("kind", "subtype"), EACH)
def test_every_kind_of_sample_is_as_the_libraries_read_it(kind: str, subtype: str, tmp_path: Path) -> None:
    path = samples.write(tmp_path / f"{subtype}.{kind}", samples.signal(0.3), subtype=subtype)
    if kind == "aiff":  # libsndfile writes tags, which FFmpeg reads
        path = samples.write(tmp_path / f"plain-{subtype}.au", samples.signal(0.3), subtype=subtype)
        path = _as_aiff(path, tmp_path / f"{subtype}.aiff")
    assert_same(path)
    assert disagreements(path, [{"type": "file", "reader": "direct"}, *read(path)[0]]) == []


def _as_aiff(path: Path, target: Path) -> Path:
    """The samples of an AU file in AIFF-C, by libsndfile, without tags."""
    import soundfile

    with (
        soundfile.SoundFile(path) as file,
        soundfile.SoundFile(target, "w", file.samplerate, file.channels, file.subtype, format="AIFF") as out,
    ):
        out.write(file.read())
    return target


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT"])
@pytest.mark.parametrize(("kind", "endian"), [("wav", "BIG"), ("caf", "LITTLE"), ("caf", "BIG"), ("aiff", "LITTLE")])
def test_either_byte_order(kind: str, endian: str, subtype: str, tmp_path: Path) -> None:
    import soundfile

    if kind == "aiff" and subtype != "PCM_16":
        pytest.skip("AIFF-C has but one name for it, sowt")
    path = tmp_path / f"sound.{kind}"
    with soundfile.SoundFile(path, "w", 8000, 2, subtype, endian, kind.upper()) as file:
        file.write(samples.signal(0.3, 8000))
    assert_same(path)


@pytest.mark.parametrize("channels", [1, 2, 3, 6])
@pytest.mark.parametrize("subtype", ["PCM_U8", "PCM_16", "PCM_24"])
def test_any_number_of_channels(channels: int, subtype: str, tmp_path: Path) -> None:
    assert_same(samples.write(tmp_path / "sound.wav", samples.signal(0.2, channels=channels), subtype=subtype))


@pytest.mark.parametrize(("length", "hop"), [(2048, 512), (1000, 4000), (441, 441), (7, 3), (1 << 40, 1 << 40)])
@pytest.mark.parametrize("chunk_size", [1, 5000, 1 << 20])
def test_any_framing_and_any_chunk(length: int, hop: int, chunk_size: int, tmp_path: Path) -> None:
    if (length, chunk_size) == (7, 1):
        pytest.skip("a thousand times the same")
    path = samples.write(tmp_path / "sound.wav", samples.signal(0.05))
    assert_same(path, frame_length=length, hop_length=hop, chunk_size=chunk_size)


def test_blocks_are_the_same_lines(tmp_path: Path) -> None:
    path = samples.build_pcm(tmp_path)
    with open_source(path) as source, PcmStreamReader(source) as reader:
        reader.begin()
        lines = b"".join(part if isinstance(part, bytes) else encode(part) for part in reader.blocks())
    assert lines == b"".join(map(encode, read(path)[0]))


def test_it_is_read_without_a_worker_or_a_library(tmp_path: Path) -> None:
    path = samples.build_pcm(tmp_path)
    script = (
        "import sys; from memx.engine.reading.streaming import stream\n"
        f"records = list(stream({str(path)!r}))\n"
        "assert not {'av', 'soundfile', 'cffi'} & set(sys.modules)\n"
        "print(records[0]['reader'], len(records))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "direct 36\n"


def test_the_whole_way(tmp_path: Path) -> None:
    path = samples.build_pcm(tmp_path)
    records = list(Stream(path).records())
    assert_contract(records, path)
    assert disagreements(path, records) == []


def test_a_pipe_is_read_too(tmp_path: Path) -> None:
    path = samples.build_pcm(tmp_path)
    records = list(Stream(io.BytesIO(path.read_bytes())).records())
    assert records[1:-1] == read(path)[0]


@pytest.mark.parametrize("kind", ["wav", "rf64", "w64", "au"])
@pytest.mark.parametrize("cut", [1, 2, 3, 99, 40_000])
def test_what_is_cut_off_is_as_the_libraries_say(kind: str, cut: int, tmp_path: Path) -> None:
    import soundfile

    path = tmp_path / f"cut.{kind}"
    soundfile.write(path, samples.signal(0.5), 44100, "PCM_16", format=kind.upper())
    path.write_bytes(path.read_bytes()[:-cut])
    assert_same(path)


@pytest.mark.parametrize("size", [0, 1, 7, 0x7FFFFFF0, 0x7FFFF000, 0xFFFFFFFF])
def test_a_size_that_lies_or_is_not_known(size: int, tmp_path: Path) -> None:
    assert_same(samples.wave(tmp_path / "lie.wav", bytes(range(250)) * 24, size=size))


def test_a_recording_that_was_not_closed(tmp_path: Path) -> None:
    path = samples.wave(tmp_path / "open.wav", bytes(range(250)) * 24, size=0)
    raw = path.read_bytes()
    path.write_bytes(raw[:4] + b"\x08\0\0\0" + raw[8:])
    assert_same(path)
    assert read(path)[0][0]["samples"] == 3000


@pytest.mark.parametrize("kind", ["flac", "mp3", "ogg", "m4a"])
def test_what_is_compressed_is_handed_on(kind: str, tmp_path: Path) -> None:
    with pytest.raises(BelongsTo, match="audio"):
        read(samples.build_kind(tmp_path, kind))


@pytest.mark.parametrize("subtype", ["IMA_ADPCM", "MS_ADPCM", "G721_32"])
def test_compressed_sound_in_a_wave_is_handed_on(subtype: str, tmp_path: Path) -> None:
    path = samples.write(tmp_path / "sound.wav", samples.signal(0.2, channels=1), subtype=subtype)
    with pytest.raises(BelongsTo, match="audio"):
        read(path)
    assert next(iter(Stream(path).records()))["reader"] == "soundfile"


def _fmt(**changes: int) -> bytes:
    fields = {"tag": 1, "channels": 1, "rate": 8000, "bytes": 16000, "align": 2, "bits": 16} | changes
    return struct.pack("<HHIIHH", *fields.values())


@pytest.mark.slow
@pytest.mark.parametrize(
    "chunks",
    [
        [(b"data", bytes(100)), (b"fmt ", _fmt())],
        [(b"fmt ", _fmt()), (b"fmt ", _fmt()), (b"data", bytes(100))],
        [(b"fmt ", _fmt()), (b"data", bytes(100)), (b"data", bytes(100))],
        [(b"fmt ", _fmt(align=4)), (b"data", bytes(100))],
        [(b"fmt ", _fmt(bits=12)), (b"data", bytes(100))],
        [(b"fmt ", _fmt(channels=0, align=0)), (b"data", bytes(100))],
        [(b"fmt ", _fmt(rate=0)), (b"data", bytes(100))],
        [(b"fmt ", _fmt(rate=0xFFFFFFFF)), (b"data", bytes(100))],
        [(b"fmt ", _fmt(tag=0xFFFE)), (b"data", bytes(100))],
        [(b"fmt ", _fmt()), (b"data", bytes(100)), (b"id3 ", bytes(20))],
        [(b"fmt ", _fmt()[:10])],
        [],
    ],
)
def test_what_is_not_clear_is_for_the_libraries(chunks: list[tuple[bytes, bytes]], tmp_path: Path) -> None:
    path = tmp_path / "odd.wav"
    body = b"".join(kind + struct.pack("<I", len(data)) + data for kind, data in chunks)
    path.write_bytes(b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body)
    with pytest.raises(BelongsTo, match="audio"):
        read(path)
    assert_contract(list(Stream(path).records()), path)


@given(
    st.sampled_from(
        [b"RIFF\0\1\0\0WAVE", b"RIFX\0\1\0\0WAVE", b"FORM\0\0\1\0AIFF", b"FORM\0\0\1\0AIFC", b"caff\0\1\0\0", b".snd"]
    ),
    st.lists(
        st.tuples(st.sampled_from([b"fmt ", b"data", b"COMM", b"SSND", b"desc", b"chan"]), st.binary(max_size=60))
    ),
)
def test_any_header_has_an_answer(head: bytes, chunks: list[tuple[bytes, bytes]]) -> None:
    body = b"".join(kind + struct.pack(">I", len(data)) + data for kind, data in chunks)
    with open_source(io.BytesIO(head + body)) as opened:
        pcm = find_pcm(_Seekable(opened.read(1 << 20)))
    if pcm is not None:
        assert pcm.length % pcm.width == 0
        assert pcm.offset + pcm.length <= len(head + body)


class _Seekable:
    """As much of a source as headers are read from."""

    def __init__(self, data: bytes) -> None:
        self._data, self.size = data, len(data)

    def read_at(self, offset: int, length: int) -> bytes:
        return self._data[offset : offset + length]


def test_a_file_that_becomes_shorter_meanwhile(tmp_path: Path) -> None:
    path = samples.build_small_pcm(tmp_path)
    with open_source(path) as source, PcmStreamReader(source, ReadOptions(chunk_size=1 << 16)) as reader:
        reader.begin()
        records = iter(reader)
        next(records), next(records)
        shutil.copyfile(path, tmp_path / "copy")
        with path.open("r+b") as file:
            file.truncate(300_000)
        with pytest.raises(TruncatedFile, match="samples announced"):
            list(records)


def test_an_abandoned_reading_leaves_no_thread(tmp_path: Path) -> None:
    import threading

    before = threading.active_count()
    with open_source(samples.build_small_pcm(tmp_path)) as source, PcmStreamReader(source) as reader:
        reader.begin()
        records = reader.records()
        next(records), next(records)
        assert threading.active_count() == before + 1
        records.close()  # type: ignore[attr-defined] # a generator, by its yield
    assert threading.active_count() == before
