"""ISO base media files from handwritten boxes: what no library writes."""

import struct
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

IDENTITY = struct.pack(">9i", 1 << 16, 0, 0, 0, 1 << 16, 0, 0, 0, 1 << 30)
MOVIE_SCALE = 1000


def box(kind: bytes, *parts: bytes) -> bytes:
    """A box."""
    body = b"".join(parts)
    return struct.pack(">I", 8 + len(body)) + kind + body


def full(kind: bytes, *parts: bytes, version: int = 0, flags: int = 0) -> bytes:
    """A box with a version and flags."""
    return box(kind, struct.pack(">I", version << 24 | flags), *parts)


def words(*numbers: int) -> bytes:
    """Numbers of 32 bits."""
    return struct.pack(f">{len(numbers)}I", *(number % (1 << 32) for number in numbers))


def table(kind: bytes, rows: Sequence[Sequence[int]], version: int = 0) -> bytes:
    """A box with a count and so many rows."""
    return full(kind, words(len(rows), *(number for row in rows for number in row)), version=version)


@dataclass
class TrackPlan:
    """A track to be built: its samples, in chunks, with what the tables say of them."""

    sizes: Sequence[int]
    chunks: Sequence[int]
    """How many samples each chunk has."""
    durations: Sequence[tuple[int, int]]
    """Runs: how many samples, and how long each."""
    offsets: Sequence[tuple[int, int]] = ()
    keys: Sequence[int] | None = None
    """Numbers of key frames, from 1 on; None for no table."""
    edits: Sequence[tuple[int, int]] = ()
    """Durations in the movie's time, and media times."""
    kind: bytes = b"vide"
    entry: bytes = b"mp4v"
    scale: int = 600
    size_bits: int = 32
    wide: bool = False
    """Whether chunk offsets have 64 bits."""
    extra: bytes = b""
    """Boxes beside the sample tables."""
    positions: list[int] = field(default_factory=list)


def film(path: Path, tracks: Sequence[TrackPlan], *, extra: bytes = b"", front: bool = False) -> Path:
    """Writes a movie with the chunks of all tracks in turns; `front`: moov before the media data."""
    head = box(b"ftyp", b"isom", words(512), b"isomiso2")
    moov_length = len(_moov(tracks, extra)) if front else 0
    data, at = b"", len(head) + 8 + moov_length
    for track in tracks:
        track.positions.clear()
    for number in range(max(len(track.chunks) for track in tracks)):
        for track in tracks:
            if number < len(track.chunks):
                track.positions.append(at + len(data))
                begin = sum(track.chunks[:number])
                data += bytes(sum(track.sizes[begin : begin + track.chunks[number]]))
    moov, mdat = _moov(tracks, extra), box(b"mdat", data)
    path.write_bytes(head + (moov + mdat if front else mdat + moov))
    return path


def _moov(tracks: Sequence[TrackPlan], extra: bytes) -> bytes:
    mvhd = full(
        b"mvhd", words(0, 0, MOVIE_SCALE, 0, 0x10000, 0x1000000, 0, 0), IDENTITY, bytes(24), words(len(tracks) + 1)
    )
    return box(b"moov", mvhd, *(_trak(number, track) for number, track in enumerate(tracks, 1)), extra)


def _trak(number: int, track: TrackPlan) -> bytes:
    duration = sum(count * each for count, each in track.durations)
    tkhd = full(b"tkhd", words(0, 0, number, 0, 0), bytes(16), IDENTITY, words(64 << 16, 48 << 16), flags=3)
    edts = box(b"edts", table(b"elst", [(*edit, 0x10000) for edit in track.edits])) if track.edits else b""
    mdhd = full(b"mdhd", words(0, 0, track.scale, duration), b"\x55\xc4\0\0")
    hdlr = full(b"hdlr", words(0), track.kind, bytes(12), b"\0")
    dinf = box(b"dinf", full(b"dref", words(1), full(b"url ", flags=1)))
    minf = box(b"minf", dinf, _stbl(track))
    return box(b"trak", tkhd, edts, box(b"mdia", mdhd, hdlr, minf))


def _stbl(track: TrackPlan) -> bytes:
    count = len(track.sizes)
    bits = track.size_bits
    if bits == 32:
        sizes = full(b"stsz", words(0, count, *track.sizes))
    elif bits == 4:
        pairs = list(track.sizes) + [0] * (count % 2)
        packed = bytes(high << 4 | low for high, low in zip(pairs[::2], pairs[1::2], strict=True))
        sizes = full(b"stz2", words(bits, count), packed)
    else:
        sizes = full(b"stz2", words(bits, count), struct.pack(f">{count}{'BH'[bits == 16]}", *track.sizes))
    if track.wide:
        stco = full(b"co64", words(len(track.chunks)), struct.pack(f">{len(track.chunks)}Q", *_positions(track)))
    else:
        stco = full(b"stco", words(len(track.chunks), *_positions(track)))
    parts = [full(b"stsd", words(1), _entry(track)), table(b"stts", track.durations)]
    if track.offsets:
        parts.append(table(b"ctts", track.offsets, version=1))
    if track.keys is not None:
        parts.append(full(b"stss", words(len(track.keys), *track.keys)))
    runs = [
        (number, each, 1)
        for number, each in enumerate(track.chunks, 1)
        if number == 1 or each != track.chunks[number - 2]
    ]
    return box(b"stbl", *parts, table(b"stsc", runs), sizes, stco, track.extra)


def _positions(track: TrackPlan) -> list[int]:
    return track.positions or [0] * len(track.chunks)


def _entry(track: TrackPlan) -> bytes:
    head = bytes(6) + b"\0\1"
    if track.kind == b"vide":
        return box(
            track.entry,
            head,
            bytes(16),
            struct.pack(">HH", 64, 48),
            words(0x480000, 0x480000, 0),
            b"\0\1" + bytes(32) + b"\0\x18\xff\xff",
        )
    if track.kind == b"soun":
        return box(track.entry, head, bytes(8), struct.pack(">HHHH", 2, 16, 0, 0), words(44100 << 16))
    return box(track.entry, head)


@dataclass
class RunPlan:
    """A run of samples in a fragment; None for what its samples do not say themselves."""

    sizes: Sequence[int]
    durations: Sequence[int] | None = None
    flags: Sequence[int] | None = None
    offsets: Sequence[int] | None = None
    first_flags: int | None = None


@dataclass
class FragmentPlan:
    """A `traf`: the track's number, its runs, when it is decoded, and what `tfhd` sets."""

    track: int
    runs: Sequence[RunPlan]
    time: int | None = None
    duration: int | None = None
    size: int | None = None
    flags: int | None = None
    base: str = "moof"
    """Where data offsets count from: `moof`, `absolute`, or `implicit`."""


def fragmented(
    path: Path,
    tracks: Sequence[TrackPlan],
    fragments: Sequence[Sequence[FragmentPlan]],
    defaults: tuple[int, int, int] = (0, 0, 0),
    *,
    index: bool = False,
) -> Path:
    """Writes a movie without samples, and fragments; `defaults` of duration, size and flags stand in `trex`.

    With `index` a segment index of the first track leads to them all.
    """
    head = box(b"ftyp", b"iso5", words(512), b"iso5iso6mp41")
    mvex = box(b"mvex", *(full(b"trex", words(n, 1, *defaults)) for n in range(1, len(tracks) + 1)))
    head += _moov(tracks, mvex)
    at = len(head) + (32 + 12 * len(fragments) if index else 0)
    bodies = []
    for number, trafs in enumerate(fragments, 1):
        body = _fragment(number, trafs, at)
        bodies.append(body)
        at += len(body)
    if index:
        rows = b"".join(words(len(body), 1000, 0x90000000) for body in bodies)
        head += full(b"sidx", words(1, tracks[0].scale, 0, 0), struct.pack(">HH", 0, len(bodies)), rows)
    path.write_bytes(head + b"".join(bodies))
    return path


def _fragment(number: int, trafs: Sequence[FragmentPlan], at: int) -> bytes:
    """A moof and its mdat, which lies in the order of the runs."""
    length = len(_moof(number, trafs, at, 0))
    data = b"".join(bytes(sum(run.sizes)) for traf in trafs for run in traf.runs)
    return _moof(number, trafs, at, length + 8) + box(b"mdat", data)


def _moof(number: int, trafs: Sequence[FragmentPlan], at: int, data: int) -> bytes:
    parts: list[bytes] = []
    for traf in trafs:
        flags = {"moof": 0x20000, "absolute": 1, "implicit": 0}[traf.base]
        base = struct.pack(">Q", at) if traf.base == "absolute" else b""
        values = [(0x08, traf.duration), (0x10, traf.size), (0x20, traf.flags)]
        flags |= sum(flag for flag, value in values if value is not None)
        said = words(*(value for _, value in values if value is not None))
        boxes = [full(b"tfhd", words(traf.track), base, said, flags=flags)]
        if traf.time is not None:
            boxes.append(full(b"tfdt", struct.pack(">Q", traf.time), version=1))
        for run in traf.runs:
            boxes.append(_trun(run, data if traf.base != "implicit" or not parts else None))
            data += sum(run.sizes)
        parts.append(box(b"traf", *boxes))
    return box(b"moof", full(b"mfhd", words(number)), *parts)


def _trun(run: RunPlan, data: int | None) -> bytes:
    flags, head = 0x200, words(len(run.sizes))
    if data is not None:
        flags, head = flags | 1, head + words(data)
    if run.first_flags is not None:
        flags, head = flags | 4, head + words(run.first_flags)
    columns: list[Sequence[int]] = []
    for flag, values in ((0x100, run.durations), (0x200, run.sizes), (0x400, run.flags), (0x800, run.offsets)):
        if values is not None:
            flags |= flag
            columns.append(values)
    rows = words(*(value for row in zip(*columns, strict=True) for value in row))
    return full(b"trun", head, rows, version=1, flags=flags)


def plan(**changes: Any) -> TrackPlan:
    """Ten samples in four chunks."""
    told: dict[str, Any] = {"sizes": [10, 20, 30, 40, 50, 60, 70, 80, 90, 100], "chunks": [3, 3, 3, 1]}
    return TrackPlan(**told | {"durations": [(10, 25)]} | changes)


PLANS = {
    "sizes of 4 bits": plan(sizes=[1, 2, 3, 4, 5, 6, 7, 8, 9, 15], size_bits=4),
    "sizes of 8 bits": plan(size_bits=8),
    "sizes of 16 bits": plan(size_bits=16),
    "offsets of 64 bits": plan(wide=True),
    "varying durations": plan(durations=[(3, 20), (1, 40), (6, 25)]),
    "durations of nought": plan(durations=[(4, 0), (6, 25)]),
    "a duration that is meant negative": plan(durations=[(4, 25), (1, (1 << 32) - 50), (5, 25)]),
    "composition offsets": plan(offsets=[(1, 25), (4, 50), (5, 0)]),
    "negative composition offsets": plan(offsets=[(1, 0), (4, -50), (5, 25)]),
    "a short table of offsets": plan(offsets=[(3, 25)]),
    "key frames": plan(keys=[1, 4, 9]),
    "key frames that count from nought": plan(keys=[0, 3]),
    "no key frames": plan(keys=[], entry=b"SVQ1"),
    "partial sync samples": plan(keys=[1], extra=full(b"stps", words(2, 4, 7))),
    "samples that others depend on": plan(
        keys=[1, 5], extra=full(b"sdtp", bytes((0x20, 0x14, 0x18, 0) * 2 + (0x10,) * 2))
    ),
    "random access points": plan(keys=[1], extra=full(b"sbgp", b"rap ", words(2, 5, 0, 1, 1))),
    "sound in chunks": plan(kind=b"soun", entry=b"twos", sizes=[4] * 10, durations=[(10, 1)]),
    "a data track": plan(kind=b"meta", entry=b"gpmd"),
    "texts": plan(kind=b"text", entry=b"text"),
    "an edit": plan(edits=[(300, 50)], keys=[1, 5]),
    "an empty edit first": plan(edits=[(500, -1), (416, 0)]),
    "only an empty edit": plan(edits=[(500, -1)]),
    "an edit that ends early": plan(edits=[(100, 0)], keys=[1, 5, 8], offsets=[(1, 25), (4, 50), (5, 0)]),
    "an edit between key frames": plan(edits=[(100, 160)], keys=[1, 5, 8], offsets=[(1, 25), (4, 50), (5, 0)]),
    "edits to and fro": plan(edits=[(100, 125), (200, 0), (50, 200)], keys=[1, 5, 8]),
    "an edit beyond the end": plan(edits=[(100, 9000)]),
    "sound that begins late": plan(kind=b"soun", entry=b"mp4a", edits=[(400, 60)]),
    "sound in two edits": plan(kind=b"soun", entry=b"mp4a", edits=[(100, 60), (200, 30)]),
}

FRAGMENTS = {
    "durations in trex": [[FragmentPlan(1, [RunPlan([10, 20, 30])], 0)]],
    "durations in tfhd": [[FragmentPlan(1, [RunPlan([10, 20, 30])], 0, duration=40)]],
    "two runs": [[FragmentPlan(1, [RunPlan([10, 20]), RunPlan([30, 40], durations=[10, 20])], 0)]],
    "without times": [[FragmentPlan(1, [RunPlan([10])])], [FragmentPlan(1, [RunPlan([10, 20])])]],
    "a gap": [[FragmentPlan(1, [RunPlan([10])], 0)], [FragmentPlan(1, [RunPlan([10, 20])], 7000)]],
    "an overlap": [[FragmentPlan(1, [RunPlan([10, 20, 30])], 0)], [FragmentPlan(1, [RunPlan([10, 20])], 30)]],
    "flags of samples": [[FragmentPlan(1, [RunPlan([10, 20], flags=[0x2000000, 0x1010000])], 0)]],
    "flags of the first": [[FragmentPlan(1, [RunPlan([9] * 9, first_flags=0x2000000)], 0, flags=0x1010000)]],
    "offsets": [[FragmentPlan(1, [RunPlan([9, 9, 9], offsets=[50, 0, 25])], 0)]],
    "negative offsets": [[FragmentPlan(1, [RunPlan([9, 9, 9], offsets=[25, -50, 0])], 0)]],
    "from byte to byte": [[FragmentPlan(1, [RunPlan([9, 9])], 0, base="absolute")]],
    "one behind the other": [
        [FragmentPlan(1, [RunPlan([9, 9])], 0, base="implicit"), FragmentPlan(2, [RunPlan([5])], 0, base="implicit")]
    ],
    "of an unknown track": [[FragmentPlan(1, [RunPlan([9, 9])], 0), FragmentPlan(2, [RunPlan([8])], 0)]],
}


def compressed(path: Path, *, front: bool = False) -> Path:
    """Deflates the movie of `path`, which stands at its end (QuickTime File Format, "Compressed Movie Resources").

    `front`: it stands before the media data, and a free box takes the room that is won.
    """
    data = path.read_bytes()
    at = (data.index if front else data.rindex)(b"moov") - 4
    end = at + int.from_bytes(data[at : at + 4], "big")
    squeezed = box(b"cmvd", words(end - at - 8), zlib.compress(data[at + 8 : end]))
    moov = box(b"moov", box(b"cmov", box(b"dcom", b"zlib"), squeezed))
    room = box(b"free", bytes(end - at - len(moov) - 8)) if front else b""
    path.write_bytes(data[:at] + moov + room + data[end:])
    return path


_HOLDING = frozenset(b"moov trak mdia minf stbl edts mvex moof traf".split())


def rewritten(path: Path, **bodies: Callable[[bytes], bytes]) -> Path:
    """`path` with other bodies of its boxes of some kinds; those around them grow, what they point to must not move."""

    def walk(data: bytes) -> bytes:
        parts, at = [], 0
        while at + 8 <= len(data):
            length, kind = int.from_bytes(data[at : at + 4], "big"), data[at + 4 : at + 8]
            body = data[at + 8 : at + length]
            change = walk if kind in _HOLDING else bodies.get(kind.decode("latin-1"))
            parts.append(data[at : at + length] if change is None else box(kind, change(body)))
            at += length
        return b"".join(parts)

    path.write_bytes(walk(path.read_bytes()))
    return path


def timed_wide(body: bytes) -> bytes:
    """A `mvhd`, `mdhd` or `tkhd` of version 1, whose times have 64 bits, of one of version 0."""
    is_track = len(body) == 84  # in which the times are the first two words and the fifth, else the fourth
    created, changed, *between, duration = struct.unpack_from(f">{5 if is_track else 4}I", body, 4)
    wide = struct.pack(">QQ", created, changed) + words(*between) + struct.pack(">Q", duration)
    return b"\1" + body[1:4] + wide + body[24 if is_track else 20 :]


def edits_wide(body: bytes) -> bytes:
    """An `elst` of version 1 of one of version 0."""
    rows = struct.iter_unpack(">Iii", body[8:])
    return b"\1" + body[1:8] + b"".join(struct.pack(">Qqi", *row) for row in rows)


def without_sizes(body: bytes) -> bytes:
    """A `trun` whose samples say nothing of their own, and no data offset: they stand behind the `mdat` box's head."""
    return words(body[0] << 24 | 1) + body[4:8] + words(int.from_bytes(body[8:12], "big") - (len(body) - 12))


def constructs(folder: Path) -> Iterator[Path]:
    """A small file of each construct above."""
    path = folder / "construct.mp4"
    for one in PLANS.values():
        yield film(path, [plan(scale=1000), one], front=True)
    for indexed, fragments in enumerate(FRAGMENTS.values()):
        tracks = [TrackPlan([], [], []), TrackPlan([], [], [], kind=b"soun", entry=b"mp4a", scale=1000)]
        yield fragmented(path, tracks, fragments, (25, 0, 0), index=indexed % 2 == 0)
    yield compressed(film(path, [plan(edits=[(300, 50)])]))
