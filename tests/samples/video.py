"""Video files, encoded and muxed by PyAV: small, the same bytes each time."""

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np

from tests.samples import avi, matroska

WIDTH, HEIGHT, RATE, FRAMES = 64, 48, 25, 20
CHAPTERS = [
    {"id": 1, "start": 0, "end": 400, "time_base": Fraction(1, 1000), "metadata": {"title": "One"}},
    {
        "id": 2,
        "start": 400,
        "end": 800,
        "time_base": Fraction(1, 1000),
        "metadata": {"title": "Zwei \u2013 zw\u00f6lf"},
    },
]
KINDS: dict[str, tuple[str, str | None, dict[str, str]]] = {
    # name of the file: codec of the pictures, of the sound, options of the container
    "every.mp4": ("libx264", "aac", {}),
    "faststart.mp4": ("libx264", "aac", {"movflags": "+faststart"}),
    "fragmented.mp4": ("libx264", "aac", {"movflags": "+frag_keyframe+empty_moov+default_base_moof"}),
    "quicktime.mov": ("mpeg4", "pcm_s16le", {}),
    "attachment.mkv": ("libx264", "aac", {}),
    "sound.webm": ("libvpx", "libopus", {}),
    "riff.avi": ("mpeg4", "libmp3lame", {}),
    "transport.ts": ("mpeg2video", "mp2", {}),
    "blu-ray.m2ts": ("mpeg2video", "mp2", {"mpegts_m2ts_mode": "1"}),
    "program.mpg": ("mpeg1video", "mp2", {}),
    "flash.flv": ("flv", "libmp3lame", {}),
    "windows.wmv": ("wmv2", None, {}),
    "frames.ivf": ("libvpx", None, {}),
    "exchange.mxf": ("mpeg2video", None, {}),
    "nut.nut": ("mpeg4", "mp2", {}),
    "motion.gxf": ("mpeg2video", None, {}),
}


def build(folder: Path) -> Path:
    """An mp4 with two streams, an edit list, chapters, tags and a cover picture."""
    return mux(folder / "every.mp4")


def build_kind(folder: Path, name: str) -> Path:
    """One of `KINDS`."""
    return mux(folder / name)


def mux(path: Path) -> Path:
    """Pictures and sound of `KINDS[path.name]`, with what else the container can carry."""
    picture, sound, options = KINDS[path.name]
    with av.open(str(path), "w", container_options={"fflags": "+bitexact"} | options) as out:
        out.metadata["title"] = "Cafe\u0301 <b>[red]"
        if path.suffix in (".mp4", ".mov", ".mkv"):
            out.set_chapters(CHAPTERS)
        size = (720, 576) if path.suffix == ".gxf" else (WIDTH, HEIGHT)
        video = _codec(out, picture, width=size[0], height=size[1], pix_fmt=_PIXELS.get(path.suffix, "yuv420p"))
        if picture == "libx264":
            video.options = {"threads": "1", "x264-params": "bframes=2:keyint=8:sliced-threads=0"}
        audio = _codec(out, sound, rate=44100 if sound != "libopus" else 48000, layout="stereo") if sound else None
        cover = _add_extras(out, path)
        if cover is not None:
            out.mux(_still(cover))
        _interleave(out, video, audio)
    return path


_PIXELS = {".gxf": "yuv422p"}


def _codec(out: Any, name: str, **settings: Any) -> Any:
    rate = settings.pop("rate", RATE)
    stream = out.add_stream(name, rate=rate, options={"flags": "+bitexact", "threads": "1"})
    for key, value in settings.items():
        setattr(stream.codec_context, key, value)
    if stream.type == "audio" and name in ("aac", "libopus", "libmp3lame", "mp2"):
        stream.codec_context.bit_rate = 64000
    return stream


def _add_extras(out: Any, path: Path) -> Any:
    """An attached file in Matroska; the stream of a cover picture in mp4."""
    if path.suffix == ".mkv":
        out.add_attachment("font.ttf", "application/x-truetype-font", b"\0\1\0\0" + bytes(60))
    if path.name != "every.mp4":
        return None
    cover = _codec(out, "mjpeg", width=16, height=16, pix_fmt="yuvj420p")
    cover.disposition = 0x400  # attached_pic
    return cover


def _still(stream: Any) -> list[Any]:
    picture = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 128, np.uint8)).reformat(format="yuvj420p")
    return [*stream.encode(picture), *stream.encode(None)]


def _interleave(out: Any, video: Any, audio: Any) -> None:
    sound = _sound(audio) if audio is not None else iter(())
    for number in range(FRAMES):
        out.mux(video.encode(_picture(video, number)))
        for _ in range(2):
            for frame in (frame for frame in [next(sound, None)] if frame is not None):
                out.mux(audio.encode(frame))
    out.mux(video.encode(None))
    if audio is not None:
        for frame in sound:
            out.mux(audio.encode(frame))
        out.mux(audio.encode(None))


def _picture(video: Any, number: int) -> Any:
    context = video.codec_context
    rows, columns = np.mgrid[0 : context.height, 0 : context.width]
    grey = ((rows * 3 + columns + number * 7) % 256).astype(np.uint8)
    frame = av.VideoFrame.from_ndarray(np.dstack([grey] * 3)).reformat(format=context.pix_fmt)
    frame.pts, frame.time_base = number, Fraction(1, RATE)
    return frame


def _sound(audio: Any) -> Iterator[Any]:
    context = audio.codec_context
    length = context.frame_size or 1024
    for start in range(0, int(context.sample_rate * FRAMES / RATE), length):
        wave = np.sin(np.arange(start, start + length) * 0.05) * 8000
        frame = av.AudioFrame.from_ndarray(np.repeat(wave.astype(np.int16), 2)[None, :], "s16", "stereo")
        frame.sample_rate, frame.pts, frame.time_base = context.sample_rate, start, Fraction(1, context.sample_rate)
        yield frame


def build_late_sound(folder: Path) -> Path:
    """A Flash video whose sound begins so late that no head tells of it."""
    path = folder / "late.flv"
    with av.open(str(path), "w") as out:
        video = _codec(out, "flv", width=WIDTH, height=HEIGHT, pix_fmt="yuv420p")
        for number in range(200):
            frame = av.VideoFrame(WIDTH, HEIGHT, "yuv420p")
            frame.pts = number
            out.mux(video.encode(frame))
        out.mux(video.encode(None))
    sound = b"\x2f\xff\xfb\x90\x64" + bytes(200)
    tag = b"\x08" + len(sound).to_bytes(3, "big") + (9000).to_bytes(3, "big") + bytes(4) + sound
    path.write_bytes(path.read_bytes() + tag + len(tag).to_bytes(4, "big"))
    return path


def build_small(folder: Path) -> Path:
    """The structure of the giant, without its hole."""
    return _with_hole(folder, "small.mp4", 0)


def build_giant(folder: Path) -> Path:
    """100 GiB of media data, nearly all of it a hole between the samples and the moov box behind them."""
    return _with_hole(folder, "giant.mp4", 100 << 30)


def _with_hole(folder: Path, name: str, hole: int) -> Path:
    """Widens the mdat box to 64 bits (the muxer leaves a free box of 8 bytes for that) and moves moov behind it."""
    data = mux(folder / "every.mp4").read_bytes()
    (folder / "every.mp4").unlink()
    free, moov = data.index(b"\0\0\0\x08free"), data.rindex(b"moov") - 4
    length = moov - free + hole
    path = folder / name
    with path.open("wb") as file:
        file.write(data[:free] + b"\0\0\0\1mdat" + length.to_bytes(8, "big") + data[free + 16 : moov])
        file.seek(free + length)
        file.write(data[moov:])
    return path


def build_many(folder: Path, packets: int, name: str = "many.mkv") -> Path:
    """So many packets of 100 bytes, muxed without encoding: a key frame every 50."""
    path = folder / name
    with av.open(str(path), "w", container_options={"fflags": "+bitexact"}) as out:
        stream = out.add_stream("mpeg4", rate=RATE)
        stream.codec_context.width, stream.codec_context.height = WIDTH, HEIGHT
        stream.codec_context.pix_fmt = "yuv420p"
        first = stream.encode(_picture(stream, 0)) or stream.encode(None)
        for number in range(packets):
            packet = av.Packet(bytes(first[0])[:100].ljust(100, b"\0"))
            packet.stream, packet.time_base = stream, Fraction(1, RATE)
            packet.pts = packet.dts = number
            packet.duration, packet.is_keyframe = 1, number % 50 == 0
            out.mux(packet)
    return path


def build_isobmff(folder: Path) -> Path:
    """What `memx.formats.video.isobmff` reads by itself."""
    return build(folder)


def build_small_isobmff(folder: Path) -> Path:
    """As `build_small`."""
    return build_small(folder)


def build_giant_isobmff(folder: Path) -> Path:
    """As `build_giant`."""
    return build_giant(folder)


def build_matroska(folder: Path) -> Path:
    """What `memx.formats.video.matroska` reads by itself."""
    return mux(folder / "attachment.mkv")


def build_small_matroska(folder: Path) -> Path:
    """A hundred frames of 1 KiB."""
    return matroska.write_with_holes(folder / "small.mkv", 100, 1 << 10)


def build_giant_matroska(folder: Path) -> Path:
    """A hundred frames of 1 GiB, which are holes."""
    return matroska.write_with_holes(folder / "giant.mkv", 100, 1 << 30)


def build_avi(folder: Path) -> Path:
    """What `memx.formats.video.avi` reads by itself."""
    return mux(folder / "riff.avi")


def build_small_avi(folder: Path) -> Path:
    """Thirty frames of 1 KiB."""
    return avi.write_with_holes(folder / "small.avi", 30, 1 << 10)


def build_giant_avi(folder: Path) -> Path:
    """Thirty frames of more than 3 GiB, which are holes."""
    return avi.write_with_holes(folder / "giant.avi", 30, 0xE0000000)
