"""Matroska files from handwritten elements: what no muxer at hand writes."""

import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

EBML, SEGMENT, INFO, TRACKS, CLUSTER = 0x1A45DFA3, 0x18538067, 0x1549A966, 0x1654AE6B, 0x1F43B675
TAGS, CHAPTERS, ATTACHMENTS, SEEK_HEAD, CUES = 0x1254C367, 0x1043A770, 0x1941A469, 0x114D9B74, 0x1C53BB6B
TIMESTAMP, SIMPLE, GROUP, BLOCK, DURATION, REFERENCE, VOID, CRC = 0xE7, 0xA3, 0xA0, 0xA1, 0x9B, 0xFB, 0xEC, 0xBF
XIPH, FIXED, LACED = 2, 4, 6
KEY_FRAME = bytes.fromhex("100200 9d012a 4000 3000") + bytes(20)
"""The beginning of a key frame of VP8, 64 by 48."""
OTHER_FRAME = b"\x11\x02\0" + bytes(20)


def vint(value: int, width: int = 0) -> bytes:
    """A variable-size integer, in `width` bytes or as few as hold it."""
    width = width or next(count for count in range(1, 9) if value < (1 << 7 * count) - 1)
    return (value | 1 << 7 * width).to_bytes(width, "big")


def element(name: int, *parts: bytes | str | int | float, width: int = 0, unknown: bool = False) -> bytes:
    """An element; its size in `width` bytes, or unknown."""
    body = b"".join(map(_value, parts))
    size = b"\x01" + b"\xff" * 7 if unknown else vint(len(body), width)
    return name.to_bytes((name.bit_length() + 7) // 8, "big") + size + body


def _value(part: bytes | str | int | float) -> bytes:
    if isinstance(part, bytes):
        return part
    if isinstance(part, str):
        return part.encode()
    if isinstance(part, float):
        return struct.pack(">d", part)
    return part.to_bytes(max(1, (part.bit_length() + 7) // 8), "big")


def header(doctype: str = "matroska") -> bytes:
    """The EBML header."""
    return element(EBML, element(0x4286, 1), element(0x4282, doctype), element(0x4287, 4), element(0x4285, 2))


def video_track(number: int = 1, *more: bytes, codec: str = "V_VP8", duration: int = 40_000_000) -> bytes:
    """A track of pictures, 64 by 48, 25 a second unless `duration` (nanoseconds, 0: not said) says otherwise."""
    picture = element(0xE0, element(0xB0, 64), element(0xBA, 48))
    said = element(0x23E383, duration) if duration else b""
    about = element(0xD7, number), element(0x73C5, 1000 + number), element(0x83, 1), element(0x86, codec)
    return element(0xAE, *about, said, picture, *more)


def sound_track(number: int = 2, *more: bytes, duration: int = 20_000_000) -> bytes:
    """A track of uncompressed sound, 16 bits, 8000 samples a second."""
    sound = element(0xE1, element(0xB5, 8000.0), element(0x9F, 1), element(0x6264, 16))
    said = element(0x23E383, duration) if duration else b""
    about = element(0xD7, number), element(0x73C5, 1000 + number), element(0x83, 2), element(0x86, "A_PCM/INT/LIT")
    return element(0xAE, *about, said, sound, *more)


def opus_track(number: int = 2) -> bytes:
    """A track of Opus made of 8000 samples a second, the first 6.5 ms of it not to be heard."""
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 312, 8000, 0, 0)
    sound = element(0xE1, element(0xB5, 8000.0), element(0x9F, 1))
    named = element(0xD7, number), element(0x73C5, 1000 + number), element(0x83, 2), element(0x86, "A_OPUS")
    return element(0xAE, *named, element(0x63A2, head), element(0x56AA, 6_500_000), element(0x56BB, 80_000_000), sound)


def text_track(number: int, *more: bytes, codec: str = "S_TEXT/UTF8") -> bytes:
    """A track of subtitles."""
    return element(
        0xAE,
        element(0xD7, number),
        element(0x73C5, 1000 + number),
        element(0x83, 17),
        element(0x86, codec),
        *more,
    )


def block(number: int, time: int, payload: bytes, flags: int = 0) -> bytes:
    """The body of a block."""
    return vint(number) + struct.pack(">hB", time, flags) + payload


def simple(number: int, time: int, payload: bytes, flags: int = 0x80, width: int = 0) -> bytes:
    """A simple block."""
    return element(SIMPLE, block(number, time, payload, flags), width=width)


def laced(kind: int, frames: Sequence[bytes]) -> bytes:
    """The payload of a block with several frames."""
    sizes = [len(frame) for frame in frames]
    head = bytes((len(frames) - 1,))
    if kind == XIPH:
        head += b"".join(b"\xff" * (size // 255) + bytes((size % 255,)) for size in sizes[:-1])
    elif kind == LACED and len(frames) > 1:
        head += vint(sizes[0])
        for before, size in pairwise(sizes[:-1]):
            width = next(count for count in range(1, 9) if abs(size - before) < (1 << 7 * count - 1) - 1)
            head += vint(size - before + (1 << 7 * width - 1) - 1, width)
    return head + b"".join(frames)


def cluster(time: int, *blocks: bytes, unknown: bool = False) -> bytes:
    """A cluster."""
    return element(CLUSTER, element(TIMESTAMP, time), *blocks, unknown=unknown)


def info(*more: bytes, duration: float | None = 1000.0) -> bytes:
    """What is said of the segment; `duration` in milliseconds."""
    said = element(0x4489, duration) if duration is not None else b""
    return element(INFO, element(0x2AD7B1, 1_000_000), element(0x4D80, "hand"), said, *more)


def segment(*parts: bytes, unknown: bool = False, doctype: str = "matroska") -> bytes:
    """A whole file."""
    return header(doctype) + element(SEGMENT, *parts, unknown=unknown, width=0 if unknown else 8)


def pictures(begin: int, count: int, *, number: int = 1) -> list[bytes]:
    """Simple blocks of pictures, one every 40 ms, the first a key frame; times relative to a cluster at `begin`."""
    return [simple(number, 40 * n, OTHER_FRAME if n else KEY_FRAME, 0 if n else 0x80) for n in range(count)]


def film(*clusters: bytes, tracks: bytes = b"", before: bytes = b"", behind: bytes = b"") -> bytes:
    """A segment of clusters."""
    return segment(before, info(), element(TRACKS, tracks or video_track()), *clusters, behind)


def simple_tag(name: str, value: str, *more: bytes) -> bytes:
    """A SimpleTag."""
    return element(0x67C8, element(0x45A3, name), element(0x4487, value), *more)


def tag(targets: bytes, *tags: bytes) -> bytes:
    """A Tag."""
    return element(0x7373, element(0x63C0, targets), *tags)


def _tagged() -> bytes:
    """Tags of every target, nested, in languages, and behind the clusters, where a seek head leads to them."""
    tags = element(
        TAGS,
        tag(b"", simple_tag("ARTIST", "Me", simple_tag("SORT_WITH", "M")), simple_tag("PART_NUMBER", "3")),
        tag(element(0x68CA, 30) + element(0x63CA, "TRACK"), simple_tag("TITLE", "Song", element(0x447A, "ger"))),
        tag(
            element(0x63C5, 1001),
            simple_tag("BPS", "1"),
            simple_tag("LANGUAGE", "x", element(0x447A, "fre"), element(0x4484, 1)),
        ),
        tag(element(0x63C4, 7), simple_tag("NOTE", "chapter")),
        tag(element(0x63C6, 9), simple_tag("NOTE", "file")),
        tag(b"", element(0x67C8, element(0x4487, "nameless"))),
    )
    first = element(
        0xB6, element(0x73C4, 7), element(0x91, 0), element(0x80, element(0x85, "One"), element(0x437C, "eng"))
    )
    inner = element(0xB6, element(0x73C4, 11), element(0x91, 100_000_000))
    second = element(0xB6, element(0x73C4, 8), element(0x91, 500_000_000), element(0x92, 700_000_000), inner)
    chapters = element(CHAPTERS, element(0x45B9, element(0x45BC, 1), first, second), element(0x45B9, first))
    files = element(
        ATTACHMENTS,
        element(
            0x61A7,
            element(0x466E, "font.ttf"),
            element(0x4660, "application/x-truetype-font"),
            element(0x465C, bytes(50)),
            element(0x46AE, 9),
            element(0x467E, "A font"),
        ),
        element(0x61A7, element(0x466E, "nothing"), element(0x4660, "text/plain"), element(0x465C, b"")),
    )
    clusters = cluster(0, *pictures(0, 5))
    known = (
        info(element(0x7BA9, "Title")),
        element(TRACKS, video_track(1, element(0x536E, "Pictures"), element(0x22B59C, "ger"))),
        chapters,
        files,
    )
    seek_length = len(_seek_head((TAGS, 0)))
    position = seek_length + sum(map(len, known)) + len(clusters)
    return segment(_seek_head((TAGS, position)), *known, clusters, tags)


def _seek_head(*entries: tuple[int, int]) -> bytes:
    seeks = (
        element(0x4DBB, element(0x53AB, name.to_bytes(4, "big")), element(0x53AC, position.to_bytes(8, "big")))
        for name, position in entries
    )
    return element(SEEK_HEAD, *seeks)


def _encoded(settings: bytes, frames: Sequence[bytes]) -> bytes:
    encodings = element(0x6D80, element(0x6240, settings))
    blocks = [simple(1, 40 * n, frame, 0 if n else 0x80) for n, frame in enumerate(frames)]
    return film(cluster(0, *blocks), tracks=video_track(1, encodings))


def _sound_in_laces() -> bytes:
    frames = [bytes(size) for size in (320, 320, 320, 320)]
    odd = [bytes(size) for size in (10, 400, 256, 0, 254)]
    blocks = (
        simple(2, 0, laced(FIXED, frames), 0x80 | FIXED),
        simple(2, 80, laced(XIPH, odd), 0x80 | XIPH),
        simple(2, 180, laced(LACED, odd), 0x80 | LACED),
        element(GROUP, element(BLOCK, block(2, 280, laced(LACED, frames), LACED)), element(DURATION, 81)),
        simple(2, 361, bytes(320)),
    )
    return film(cluster(0, *pictures(0, 10), *blocks), tracks=video_track() + sound_track())


def _delayed_sound(begin: int) -> bytes:
    """Opus of which the first 6.5 ms are not to be heard; `begin` in milliseconds."""
    blocks = [simple(2, begin + 20 * number, b"\xfc" + bytes(30)) for number in range(8)]
    return film(cluster(0, *pictures(0, 4), *blocks), tracks=video_track() + opus_track())


def _groups() -> bytes:
    group = [
        element(GROUP, element(BLOCK, block(1, 0, KEY_FRAME)), element(DURATION, 40)),
        element(GROUP, element(REFERENCE, b"\xd8"), element(BLOCK, block(1, 40, OTHER_FRAME)), element(0x75A2, 5)),
        element(GROUP, element(DURATION, 15), element(BLOCK, block(1, 80, OTHER_FRAME)), element(REFERENCE, b"\xd8")),
        element(GROUP, element(0x75A1, element(0xA6, element(0xEE, 1), element(0xA5, bytes(4))))),
        element(GROUP, element(BLOCK, block(3, 0, b"Hello")), element(DURATION, 700)),
    ]
    return film(cluster(1000, *group), tracks=video_track() + text_track(3, element(0x55AA, 1), element(0x88, 0)))


def _pictures_of_text(begin: int, *, deflated: bool = False) -> bytes:
    """Subtitles of discs (PGS): a picture of 8 by 2 dots, and one without any; `begin` in milliseconds."""
    composed = struct.pack(">HHBHBBBB", 64, 48, 16, 1, 0x80, 0, 0, 1) + struct.pack(">HBBHH", 0, 0, 0, 4, 4)
    bitmap = bytes.fromhex("000000c0 000018 0008 0002") + (b"\1" * 8 + b"\0\0") * 2
    shown = ((0x16, composed), (0x17, bytes(10)), (0x14, bytes((0, 0, 1, 235, 128, 128, 255))), (0x15, bitmap))
    gone = ((0x16, struct.pack(">HHBHBBBB", 64, 48, 16, 2, 0, 0, 0, 0)),)
    sets = [b"".join(struct.pack(">BH", kind, len(body)) + body for kind, body in one) for one in (shown, gone)]
    first, second = (zlib.compress(one + b"\x80\0\0") if deflated else one + b"\x80\0\0" for one in sets)
    encoding = element(0x6D80, element(0x6240, element(0x5034, element(0x4254, 0)))) if deflated else b""
    clusters = []
    for number in range(8):
        blocks = pictures(1000 * number, 25)
        if begin // 1000 == number:
            blocks += [simple(2, begin % 1000, first), simple(2, begin % 1000 + 200, second)]
        clusters.append(cluster(1000 * number, *blocks))
    return film(*clusters, tracks=video_track() + text_track(2, encoding, codec="S_HDMV/PGS"))


CONSTRUCTS = {
    "laces": _sound_in_laces(),
    "delayed": _delayed_sound(0),
    "delayed_late": _delayed_sound(3),
    "delayed_before_time": _delayed_sound(-3),
    "groups": _groups(),
    "unknown": segment(
        info(duration=None), element(TRACKS, video_track()),
        cluster(0, *pictures(0, 5), unknown=True), cluster(200, *pictures(200, 5), unknown=True), unknown=True,
    ),
    "unknown_then_cues": segment(
        info(), element(TRACKS, video_track()), cluster(0, *pictures(0, 5), unknown=True),
        element(CUES, element(0xBB, element(0xB3, 0), element(0xB7, element(0xF7, 1), element(0xF1, 0)))), unknown=True,
    ),
    "one_lace": film(
        cluster(0, *pictures(0, 5), *(simple(2, 20 * n, b"\0" + vint(n) + bytes(320), 0x86) for n in range(4))),
        tracks=video_track() + sound_track(),
    ),
    "all_bits_set": film(
        cluster(
            0, *pictures(0, 5), *(element(SIMPLE, b"\xff" + block(1, 20 * n, bytes(320), 128)[1:]) for n in range(9))
        ),
        tracks=video_track() + sound_track(127),
    ),
    "tags": _tagged(),
    "stripped_to_nothing": _encoded(
        element(0x5034, element(0x4254, 3), element(0x4255, OTHER_FRAME[:3])), [KEY_FRAME[3:], b"", b""]
    ),
    "stripped": _encoded(element(0x5034, element(0x4254, 3), element(0x4255, KEY_FRAME[:1])), [KEY_FRAME[1:]] * 3),
    "deflated": _encoded(element(0x5034, element(0x4254, 0)), [zlib.compress(f) for f in (KEY_FRAME, OTHER_FRAME)]),
    "pictures_of_text": _pictures_of_text(80),
    "pictures_of_text_deflated": _pictures_of_text(2000, deflated=True),
    "pictures_of_text_late": _pictures_of_text(7000),
    "void": film(
        element(VOID, bytes(300)),
        cluster(0, element(VOID, bytes(20)), *pictures(0, 3), element(0xAB, 99), element(0x5854, b"")),
        element(VOID, bytes(5)),
        cluster(120, element(CRC, bytes(4)), *pictures(120, 2)),
        before=element(VOID, bytes(40)),
    ),
    "wide_sizes": film(cluster(0, *(simple(1, 40 * n, KEY_FRAME, width=n + 1) for n in range(8)))),
    "far_track": film(cluster(0, simple(300, 0, KEY_FRAME), simple(300, 40, OTHER_FRAME, 0)), tracks=video_track(300)),
    "no_durations": film(
        cluster(
            0, *pictures(0, 60), simple(2, 0, bytes(320)), simple(2, 20, laced(FIXED, [bytes(160)] * 3), 0x80 | FIXED)
        ),
        tracks=video_track(duration=0) + sound_track(duration=0),
    ),
    "negative": film(cluster(1000, *(simple(1, time, KEY_FRAME) for time in (-1000, -960, 0)))),
    "before_time": film(cluster(10, *(simple(1, time, KEY_FRAME) for time in (-10, -20, 70)))),
    "scaled": film(cluster(0, *pictures(0, 6)), tracks=video_track(1, element(0x23314F, 2.0))),
    "buttons": film(
        cluster(0, simple(1, 0, KEY_FRAME), simple(5, 0, b"??"), simple(1, 40, OTHER_FRAME, 0)),
        tracks=video_track() + element(0xAE, element(0xD7, 5), element(0x83, 0x12), element(0x86, "B_VOBBTN")),
    ),
    "turned": film(cluster(0, *pictures(0, 3)), tracks=element(0xAE,
        element(0xD7, 1), element(0x83, 1), element(0x86, "V_VP8"), element(0x23E383, 40_000_000),
        element(0xE0, element(0xB0, 64), element(0xBA, 48), element(0x54B0, 128), element(0x53B8, 1),
                element(0x7670, element(0x7675, 90.0))),
    )),
    "empty_frames": film(cluster(0, simple(1, 0, KEY_FRAME), simple(1, 40, b""), simple(1, 80, OTHER_FRAME, 0))),
}  # fmt: skip
"""Files by what is special about them; FFmpeg reads them all."""

DAMAGED = {
    "hole": film(cluster(0, *pictures(0, 5)), bytes(3000), cluster(200, *pictures(200, 5))),
    "broken_block": film(cluster(0, *pictures(0, 2), b"\0\0\0\0", *pictures(0, 2)), cluster(200, *pictures(200, 5))),
    "no_such_track": film(cluster(0, *pictures(0, 2), simple(9, 0, b"x")), cluster(200, *pictures(200, 5))),
    "laces_too_long": film(
        cluster(0, *pictures(0, 2), simple(1, 0, b"\x05\xff\xff\xff\xff\x20", 0x82)), cluster(200, *pictures(200, 5))
    ),
    "laces_too_long_amid": film(
        cluster(0, *pictures(0, 2), simple(1, 0, b"\x05\xff\xff\xff\xff\x20", 0x82), *pictures(0, 9)),
        cluster(200, *pictures(200, 5)),
    ),
    "not_deflated_amid": film(
        cluster(
            0,
            simple(1, 0, zlib.compress(KEY_FRAME)),
            simple(1, 40, OTHER_FRAME),
            simple(1, 80, zlib.compress(OTHER_FRAME)),
        ),
        cluster(200, *(simple(1, 40 * n, zlib.compress(OTHER_FRAME), 0) for n in range(5))),
        tracks=video_track(1, element(0x6D80, element(0x6240, element(0x5034, element(0x4254, 0))))),
    ),
}
"""Files in which a cluster is broken, and the next one is not."""


def build(folder: Path, name: str) -> Path:
    """One of `CONSTRUCTS` or `DAMAGED`."""
    path = folder / f"{name}.mkv"
    path.write_bytes((CONSTRUCTS | DAMAGED)[name])
    return path


def write_with_holes(path: Path, frames: int, size: int) -> Path:
    """Key frames of `size` bytes, all of them holes but for their beginnings, each in a cluster of its own."""
    head = info(duration=40.0 * frames), element(TRACKS, video_track())
    clusters = []
    for number in range(frames):
        body = vint(1) + struct.pack(">hB", 0, 0x80)
        begin = b"\xa3" + vint(len(body) + size, 8) + body + KEY_FRAME
        time = element(TIMESTAMP, 40 * number)
        length = len(time) + 9 + len(body) + size
        clusters.append((CLUSTER.to_bytes(4, "big") + vint(length, 8) + time + begin, size - len(KEY_FRAME)))
    total = sum(map(len, head)) + sum(len(begin) + hole for begin, hole in clusters)
    with path.open("wb") as file:
        file.write(header() + SEGMENT.to_bytes(4, "big") + vint(total, 8) + b"".join(head))
        for begin, hole in clusters:
            file.write(begin)
            file.seek(hole, 1)
        file.truncate()
    return path
