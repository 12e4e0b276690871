"""Feeds a reader what atheris makes up, guided by the lines that it reaches.

A finding is an exception that is no MemxError, more than five seconds of computing, or more memory than a reader
may take. The first one ends the run: its input is kept in `build/fuzz/FORMAT/found`, and fails again where it is
given with `--again`. The inputs that reached something new are kept too: the next run goes on from them.
"""

import argparse
import importlib
import io
import pkgutil
import signal
import sys
import tempfile
from pathlib import Path
from types import FrameType, ModuleType

from memx.engine.memory.process import PeakMeter
from memx.errors import MemxError
from memx.formats import FORMATS, Format, by_key
from tests.fuzz import seeds

SECONDS = 5
MEMORY = 96 << 20
"""What one input may make the process grow by, in bytes; as for the mutants of `test_mutations`."""
_BACKSTOP = 60
"""Seconds after which libFuzzer ends what even a signal does not."""
_KEPT = Path("build/fuzz")
_NOT_READERS = ("library", "libav", "sndfile")
"""Modules that need a library: native code is not what is fuzzed here."""


class Hang(BaseException):
    """An input took too long; no reader may catch this."""


class Growth(BaseException):
    """An input took too much memory."""


def main() -> int:
    """Parses the arguments; returns an exit status, unless libFuzzer ends the process."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__.splitlines()[0])
    parser.add_argument("format", choices=[row.key for row in FORMATS if row.library is None and row.key != "binary"])
    parser.add_argument("seconds", type=int, nargs="?", default=60)
    parser.add_argument("--seeds", type=Path, metavar="FOLDER", help="begin with the small files in it, too")
    parser.add_argument("--again", type=Path, metavar="FILE", help="read only this input")
    told = parser.parse_args()
    row = by_key(told.format)
    signal.signal(signal.SIGVTALRM, _hang)
    if told.again is not None:
        read(row, told.again.read_bytes())
        return 0
    return fuzz(row, told.seconds, told.seeds)


def fuzz(row: Format, seconds: int, more: Path | None) -> int:
    """Fuzzes for so long, then ends the process: with status 0 where nothing was found."""
    try:
        import atheris
    except ModuleNotFoundError:
        sys.exit("fuzzing needs atheris: pip install -e '.[fuzz]'")
    with atheris.instrument_imports(include=["memx.formats"]):
        modules = import_readers()
    place = _KEPT / row.key
    kept, sown, found = (place / name for name in ("kept", "seeds", "found"))
    for folder in (kept, sown, found):
        folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as making:
        print(f"{row.key}: {seeds.write_seeds(row, sown, Path(making), more)} seeds", flush=True)
    seeds.write_words(modules, place / "words")
    settings = [f"-max_total_time={seconds}", f"-max_len={seeds.LARGEST}", f"-timeout={_BACKSTOP}", "-len_control=0"]
    settings += [f"-dict={place}/words", f"-artifact_prefix={found}/", "-print_final_stats=1", "-rss_limit_mb=2048"]
    atheris.Setup([sys.argv[0], *settings, str(kept), str(sown)], lambda data: read(row, data))
    atheris.Fuzz()
    return 0


def import_readers() -> list[ModuleType]:
    """All of `memx.formats` but what needs a library."""
    import memx.formats

    names = [found.name for found in pkgutil.walk_packages(memx.formats.__path__, "memx.formats.")]
    return [importlib.import_module(name) for name in names if not set(name.split(".")) & set(_NOT_READERS)]


def read(row: Format, data: bytes) -> None:
    """Reads `data` to its end; raises what is wrong with that."""
    meter = PeakMeter()
    meter.start()
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS)
    try:
        drain(row, data)
    except MemxError:
        pass
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
    if meter.peak() - meter.began_at > MEMORY:
        raise Growth(f"{(meter.peak() - meter.began_at) >> 20} MiB for {len(data)} bytes")


def drain(row: Format, data: bytes) -> None:
    """Opens the reader and takes all records; what is for a library is not read."""
    from memx.formats.base import BelongsTo, ReadOptions, open_reader
    from memx.sources import open_source

    with open_source(io.BytesIO(data)) as source:
        try:
            reader, _ = open_reader(source, row, ReadOptions(chunks=True), libraries=False)
        except BelongsTo:
            return
        with reader:
            for _ in reader.blocks():
                pass


def _hang(_signal: int, _frame: FrameType | None) -> None:
    raise Hang(f"more than {SECONDS} seconds")


if __name__ == "__main__":
    sys.exit(main())
