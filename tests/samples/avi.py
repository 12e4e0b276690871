"""AVI files from handwritten chunks: what no muxer at hand writes."""

import struct
from collections.abc import Sequence
from pathlib import Path

WIDTH, HEIGHT = 64, 48
KEY = 0x10
MP3_FRAME = bytes.fromhex("fffb5000") + bytes(204)
"""MPEG-1 layer III, 64 kbit/s, 44100 Hz: 208 bytes."""
MP3_SECOND = bytes.fromhex("fffb5200") + bytes(205)
"""The same with a padding byte."""


def chunk(name: bytes, *parts: bytes) -> bytes:
    """A chunk, its length made even."""
    body = b"".join(parts)
    return name + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)


def listed(kind: bytes, *parts: bytes, name: bytes = b"LIST") -> bytes:
    """A list, or a form."""
    return chunk(name, kind, *parts)


def main_header(streams: int, frames: int, flags: int = 0x10) -> bytes:
    """`avih`."""
    return chunk(b"avih", struct.pack("<14I", 40000, 0, 0, flags, frames, 0, streams, 0, WIDTH, HEIGHT, 0, 0, 0, 0))


def stream_header(
    kind: bytes, handler: bytes, scale: int, rate: int, length: int, sample_size: int = 0, start: int = 0
) -> bytes:
    """`strh`."""
    numbers = struct.pack(
        "<IHHI8I4H", 0, 0, 0, 0, scale, rate, start, length, 0, 0xFFFFFFFF, sample_size, 0, 0, 0, 0, 0
    )
    return chunk(b"strh", kind, handler, numbers[:44])


def picture_format(tag: bytes = b"MP42", depth: int = 24, extra: bytes = b"") -> bytes:
    """`strf` of pictures: BITMAPINFOHEADER."""
    return chunk(
        b"strf", struct.pack("<IiiHH4sIIIII", 40 + len(extra), WIDTH, HEIGHT, 1, depth, tag, 0, 0, 0, 0, 0), extra
    )


def sound_format(tag: int, channels: int, rate: int, mean: int, block: int, depth: int, extra: bytes = b"") -> bytes:
    """`strf` of sound: WAVEFORMATEX."""
    return chunk(b"strf", struct.pack("<HHIIHHH", tag, channels, rate, mean, block, depth, len(extra)), extra)


def video_stream(frames: int, *more: bytes, tag: bytes = b"MP42", extra: bytes = b"", depth: int = 24) -> bytes:
    """`strl` of pictures, 25 a second."""
    return listed(b"strl", stream_header(b"vids", tag, 1, 25, frames), picture_format(tag, depth, extra), *more)


def pcm_stream(samples: int, *more: bytes) -> bytes:
    """`strl` of uncompressed sound, 8000 samples of 16 bits a second."""
    head = stream_header(b"auds", bytes(4), 1, 8000, samples, 2)
    return listed(b"strl", head, sound_format(1, 1, 8000, 16000, 2, 16), *more)


def mp3_stream(*, constant: bool) -> bytes:
    """`strl` of MPEG audio, whose chunks are counted by their bytes where its rate is `constant`."""
    if constant:
        head, form = stream_header(b"auds", bytes(4), 1, 8000, 20000, 1), sound_format(0x55, 1, 44100, 8000, 1, 0)
    else:
        head, form = stream_header(b"auds", bytes(4), 1152, 44100, 100), sound_format(0x55, 1, 44100, 0, 1152, 0)
    return listed(b"strl", head, form)


def form(
    headers: Sequence[bytes],
    chunks: Sequence[bytes],
    behind: bytes = b"",
    *,
    flags: int = 0x10,
    info: bytes = b"",
    frames: int = 0,
) -> bytes:
    """A whole file of one RIFF."""
    hdrl = listed(b"hdrl", main_header(len(headers), frames, flags), *headers)
    return listed(b"AVI ", hdrl, info, listed(b"movi", *chunks), behind, name=b"RIFF")


def old_index(chunks: Sequence[bytes], keys: Sequence[int] = (0,), *, base: int = 4) -> bytes:
    """`idx1` of chunks; `keys` are the numbers of the key frames among those of stream 0."""
    entries, at, seen = [], base, 0
    for one in chunks:
        name, size = one[:4], int.from_bytes(one[4:8], "little")
        if name != b"LIST":
            key = name[:2] != b"00" or seen in keys
            seen += name[:2] == b"00"
            entries.append(struct.pack("<4sIII", name, KEY if key else 0, at, size))
        at += len(one)
    return chunk(b"idx1", *entries)


def frames(count: int, size: int = 30, stream: int = 0) -> list[bytes]:
    """Chunks of pictures."""
    return [chunk(b"%02ddc" % stream, bytes(size + number)) for number in range(count)]


def _woven(*streams: list[bytes]) -> list[bytes]:
    return [one for together in zip(*streams, strict=True) for one in together]


def _sound(count: int, size: int = 640) -> list[bytes]:
    return [chunk(b"01wb", bytes(size)) for _ in range(count)]


def _mp3(sizes: Sequence[int]) -> list[bytes]:
    """Chunks that part a stream of frames anywhere."""
    data, chunks = (MP3_FRAME + MP3_SECOND) * 40, []
    for size in sizes:
        chunks.append(chunk(b"01wb", data[:size]))
        data = data[size:]
    return chunks


def _open_dml(*, old: bool) -> bytes:
    """Two RIFFs, a super index with two standard indexes."""
    first, second = frames(6), frames(4, 50)

    def standard(chunks: list[bytes], base: int, at: int) -> bytes:
        entries = []
        for number, one in enumerate(chunks):
            size = int.from_bytes(one[4:8], "little") | (0 if number % 3 == 0 else 1 << 31)
            entries.append(struct.pack("<II", at + 8 - base, size))
            at += len(one)
        return chunk(b"ix00", struct.pack("<HBBI4sQI", 2, 0, 1, len(chunks), b"00dc", base, 0), *entries)

    def super_index(places: Sequence[tuple[int, int, int]]) -> bytes:
        entries = b"".join(struct.pack("<QII", *place) for place in places)
        return chunk(b"indx", struct.pack("<HBBI4sQI", 4, 0, 0, len(places), b"00dc", 0, 0), entries)

    def whole(places: Sequence[tuple[int, int, int]]) -> tuple[bytes, list[int]]:
        headers = listed(
            b"hdrl",
            main_header(1, 6),
            video_stream(10, super_index(places)),
            listed(b"odml", chunk(b"dmlh", struct.pack("<I", 10), bytes(244))),
        )
        one = 12 + len(headers) + 12
        inside = standard(first, one, one)
        data = listed(b"AVI ", headers, listed(b"movi", *first, inside), old_index(first) if old else b"", name=b"RIFF")
        two = len(data) + 12 + 12
        outside = standard(second, two, two)
        data += listed(b"AVIX", listed(b"movi", *second, outside), name=b"RIFF")
        return data, [one + sum(map(len, first)), two + sum(map(len, second)), len(inside), len(outside)]

    _, (at, behind, length, longer) = whole([(0, 0, 6), (0, 0, 4)])
    return whole([(at, length, 6), (behind, longer, 4)])[0]


def _info() -> bytes:
    tags = (b"INAM", b"Title\0"), (b"IART", b"Me\0"), (b"ISFT", b"hand\0"), (b"ICRD", b"2001\0"), (b"ABCD", b"odd\0")
    return listed(b"INFO", *(chunk(name, value) for name, value in tags))


_PICTURES, _SOUNDS = frames(10), _sound(10)
_BOTH = _woven(_PICTURES, _SOUNDS)
_STREAMS = [video_stream(10), pcm_stream(3200)]
_LONG = _woven(frames(30), _mp3([208, 209] * 15))
CONSTRUCTS = {
    "indexed": form(_STREAMS, _BOTH, old_index(_BOTH, (0, 5))),
    "from_the_file": form(
        _STREAMS, _BOTH, old_index(_BOTH, base=12 + 8 + 4 + len(b"".join((main_header(2, 0), *_STREAMS))) + 12)
    ),
    "no_index": form(_STREAMS, _BOTH),
    "no_key": form(_STREAMS, _BOTH, old_index(_BOTH, ()).replace(struct.pack("<I", KEY), bytes(4))),
    "record_lists": form(_STREAMS, [listed(b"rec ", *_BOTH[n : n + 4]) for n in range(0, 20, 4)]),
    "junk": form(
        _STREAMS, [chunk(b"JUNK", bytes(99)), *_BOTH[:8], chunk(b"JUNK", bytes(20)), *_BOTH[8:]], info=_info()
    ),
    "tags_behind": form(_STREAMS, _BOTH, old_index(_BOTH) + _info()),
    "dropped_frames": form([video_stream(6)], [*frames(2), chunk(b"00dc"), *frames(2), chunk(b"00dc"), *frames(1)]),
    "palette": form(
        [video_stream(4, tag=b"MP42", depth=8)],
        [*frames(2), chunk(b"00pc", bytes((0, 2, 0, 0)), bytes(8)), *frames(2)],
    ),
    "garbage": form([video_stream(8)], [*frames(6), b"\xff\x00 what is this \x01", *frames(2)]),
    "open_dml": _open_dml(old=False),
    "open_dml_and_old": _open_dml(old=True),
    "mp3_frames": form([video_stream(30), mp3_stream(constant=False)], _LONG),
    "mp3_parted": form(
        [video_stream(12), mp3_stream(constant=True)],
        _woven(frames(12), _mp3([300, 5, 1000, 208, 209, 1, 2, 3, 777, 512, 640, 100])),
    ),
    "mp3_indexed": form([video_stream(30), mp3_stream(constant=True)], _LONG, old_index(_LONG)),
    "apart": form(_STREAMS, [*_PICTURES, *_SOUNDS], old_index([*_PICTURES, *_SOUNDS], (0, 4))),
    "apart_in_one": form(
        _STREAMS, [*_PICTURES, chunk(b"01wb", bytes(6400))], old_index([*_PICTURES, chunk(b"01wb", bytes(6400))])
    ),
    "apart_too_large": form(_STREAMS, [*_PICTURES, *_SOUNDS], old_index([*_PICTURES, *_SOUNDS], (0, 4))[:-1] + b"\xd6"),
    "must_use_index": form(_STREAMS, _BOTH, old_index(_BOTH, (0, 5)), flags=0x30),
    "named": form([video_stream(3, chunk(b"strn", b"Film\0")), pcm_stream(960, chunk(b"strn", b"Ton\0"))], _BOTH[:6]),
    "shape": form(
        [video_stream(3, chunk(b"vprp", struct.pack("<5I2H3I", 0, 0, 25, 64, 48, 3, 4, 64, 48, 1), bytes(4)))],
        frames(3),
    ),
    "raw": form([video_stream(3, tag=bytes(4))], frames(3, 64 * 48 * 3)),
    "late": form([listed(b"strl", stream_header(b"vids", b"MP42", 1, 25, 5, start=10), picture_format())], frames(5)),
    "no_rate": form([listed(b"strl", stream_header(b"vids", b"MP42", 0, 0, 5), picture_format())], frames(5)),
}
"""Files by what is special about them; FFmpeg reads them all."""


def build(folder: Path, name: str) -> Path:
    """One of `CONSTRUCTS`."""
    path = folder / f"{name}.avi"
    path.write_bytes(CONSTRUCTS[name])
    return path


def write_with_holes(path: Path, count: int, size: int) -> Path:
    """Frames of `size` bytes, all holes, each in a RIFF of its own behind the first."""
    headers = listed(b"hdrl", main_header(1, count), video_stream(count))
    with path.open("wb") as file:
        for number in range(count):
            before = headers if number == 0 else b""
            length = 4 + len(before) + 12 + 8 + size
            file.write(b"RIFF" + struct.pack("<I", length) + (b"AVIX" if number else b"AVI ") + before)
            file.write(b"LIST" + struct.pack("<I", 4 + 8 + size) + b"movi00dc" + struct.pack("<I", size))
            file.seek(size, 1)
        file.truncate()
    return path
