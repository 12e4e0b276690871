"""Video: every packet of an hour; and a film that no memory holds."""

import subprocess
from collections.abc import Callable
from pathlib import Path

from tests.bench.row import MIB, Peer, Row, words_of
from tests.samples import video

HOUR = 3600
_PERIOD = 60


def write(path: Path, seconds: int, codec: str = "libx264 -preset ultrafast", sound: str = "aac -b:a 64k") -> Path:
    """A film of 25 pictures a second with sound: a minute, encoded once, repeated. Raises Missing without ffmpeg."""
    period, quiet = path.with_name(f"period-{path.name}"), "ffmpeg -v error -y -nostdin"
    picture = f"-f lavfi -i testsrc2=size=192x108:rate=25:duration={_PERIOD}"
    tone = f"-f lavfi -i anoisesrc=duration={_PERIOD}:sample_rate=44100:amplitude=0.1"
    encoded = f"{quiet} {picture} {tone} -shortest -c:v {codec} -g 50 -b:v 130k -bf 2 -c:a {sound} {{}}"
    repeated = f"{quiet} -stream_loop -1 -i {{}} -t {seconds} -c copy"
    subprocess.run(words_of(encoded, period), check=True)
    subprocess.run([*words_of(repeated, period), str(path)], check=True)
    period.unlink()
    return path


def mp4(folder: Path) -> Path:
    """An hour, some 245,000 packets."""
    return write(folder / "hour.mp4", HOUR)


def mkv(folder: Path) -> Path:
    """An hour, as Matroska."""
    return write(folder / "hour.mkv", HOUR)


def avi(folder: Path) -> Path:
    """An hour, as AVI."""
    return write(folder / "hour.avi", HOUR, "mpeg4", "libmp3lame -b:a 64k")


def giant(folder: Path) -> Path:
    """A film of 100 GiB, all holes, beside a small one of the same structure."""
    video.build_small_isobmff(folder).rename(folder / "small")
    video.build_giant_isobmff(folder).rename(folder / "giant")
    return folder


def _packets(form: str, goal: float) -> Peer:
    return Peer(f"ffprobe -v error -show_packets -of {form} {{}}", goal, "ffmpeg", f"ffprobe -show_packets, {form}")


def _hour(name: str, build: Callable[[Path], Path], reads: float) -> Row:
    peers = (_packets("json", 0.25), _packets("compact", 0.4))
    return Row(f"video-{name}", f"video, one hour, {name}, packets", build, "stream {}", peers, 36 * MIB, reads)


ROWS = (
    _hour("mp4", mp4, 0.05),
    _hour("mkv", mkv, 0.10),
    _hour("avi", avi, 0.10),
    Row(
        "video-streams",
        "video, one hour, mp4, streams alone",
        mp4,
        "extract {}",
        (Peer("mediainfo --Output=JSON {}", None, "mediainfo"),),
    ),
    Row(
        "video-giant",
        "mp4, 100 GiB, sparse",
        giant,
        "stream {}/giant",
        (Peer("memx stream {}/small", 1.2, title="memx, a small one", more=2 * MIB),),
    ),
)
