"""One measured run over some files, in a fresh process: how `gc-tune` tries a setting of the collector.

The process gets its task as one JSON line on standard input, which stays open as its life line, and answers in JSON
lines on a pipe of its own: one a file where it is asked to tell, and at the end what the run took. Memory that it may
not have is refused to it, so that a setting under which garbage piles up fails, and not the machine.
"""

import gc
import json
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from typing import Any

from memx.engine.collector.pauses import PauseRecorder
from memx.engine.collector.setting import OWN_CHOICE, CollectorSetting
from memx.engine.dataset.discovery import size_of
from memx.engine.memory.budget import available_memory
from memx.engine.memory.process import PeakMeter
from memx.engine.memory.strategy import ExtractionStrategy, plan_for
from memx.engine.tuning.experiment import Measurement
from memx.engine.workers.interpreter import start, tell
from memx.engine.workers.jobs import NO_MEMORY, json_line
from memx.errors import MemxError, OverMemory, ReaderCrashed, TimedOut, UsageError

SHARE = 0.8
"""Of the memory available, what a run may take."""
LONGEST = 600.0
"""Seconds that a run may take."""
_MOST_ROUNDS = 100
_BLOCK = 1 << 16


@dataclass(frozen=True, slots=True)
class Task:
    """What a process is to do."""

    files: list[str]
    setting: dict[str, Any]
    extractor: str | None = None
    """Called with each path; None: memx's readers."""
    rounds: int = 1
    """How often it goes through the files."""
    budget: float | None = None
    """Seconds after which no further file is begun."""
    tell: bool = False
    """Whether each file is told when it is done."""
    only_open: bool = False
    """Whether the files are only opened, and their formats told."""
    allowance: int | None = None
    """Bytes that it may have resident."""
    answers: int = -1
    """The descriptor of the pipe that it answers on."""


@dataclass(frozen=True, slots=True)
class FileDone:
    """A file that a process is done with."""

    path: str
    format: str | None
    """None where it could not be opened, or is for an extractor."""
    failed: bool


class Trials:
    """Runs files through memx's readers or through `extractor`, each run in a process of its own.

    A file at which the process dies, or hangs, is left out of what `survey` and `sample` give: the experiment is
    about those that can be read.
    """

    def __init__(self, extractor: str | None = None, *, allowance: int | None = None, longest: float = LONGEST) -> None:
        self._extractor = extractor
        self._allowance = int(available_memory() * SHARE) if allowance is None else allowance
        self._longest = longest
        self.rounds = 1

    def run(self, setting: CollectorSetting, files: Sequence[str]) -> Measurement:
        """Reads all `files`, `rounds` times.

        Raises OverMemory, TimedOut or ReaderCrashed where that does not come to its end, and UsageError where there
        is no such extractor.
        """
        *_, last = self._answers(self._task(files, setting, rounds=self.rounds))
        return Measurement(**last)

    def survey(self, files: Sequence[str]) -> Iterator[FileDone]:
        """Each of `files` with its format, as far as it can be opened. They are not read."""
        return self._told(files, OWN_CHOICE, only_open=True)

    def sample(self, files: Sequence[str], setting: CollectorSetting, budget: float) -> tuple[list[str], int]:
        """The first of `files`, as many as are read in about `budget` seconds without failing; how many failed.

        Sets `rounds` so that a run over them takes about a quarter of that, or more.
        """
        told = list(self._told(files, setting, budget=budget))
        good = [done.path for done in told if not done.failed]
        if good:
            self.rounds = 1
            took = self.run(setting, good).elapsed_s
            self.rounds = max(1, min(_MOST_ROUNDS, round(budget / 4 / max(took, 1e-3))))
        return good, len(told) - len(good)

    def _told(self, files: Sequence[str], setting: CollectorSetting, **how: Any) -> Iterator[FileDone]:
        """What becomes of each file, whatever it does to the process that reads it."""
        left = list(files)
        while left:
            task = self._task(left, setting, tell=True, **how)
            done = 0
            try:
                for answer in self._answers(task):
                    if "path" in answer:
                        done += 1
                        yield FileDone(**answer)
                return
            except UsageError:
                raise
            except MemxError:
                yield from (FileDone(path, None, True) for path in left[done : done + 1])
                left = left[done + 1 :]

    def _task(self, files: Sequence[str], setting: CollectorSetting, **how: Any) -> Task:
        return Task(list(files), setting.as_table(), self._extractor, allowance=self._allowance, **how)

    def _answers(self, task: Task) -> Iterator[dict[str, Any]]:
        """The answers of a process of its own, as they come. Raises as `run`; the process is gone at the end."""
        with _Process(task, self._longest) as process:
            yield from process.answers()


class _Process:
    """A running process, and the pipe on which it answers."""

    def __init__(self, task: Task, longest: float) -> None:
        self._pipe, answers = os.pipe()
        self._longest = longest
        self._deadline = time.monotonic() + longest
        try:
            # what a user's extractor prints is no answer
            self._process = start("memx.engine.tuning.trial", listens=False, pass_fds=(answers,))
        except BaseException:
            os.close(self._pipe)
            raise
        finally:
            os.close(answers)
        self._task = json_line(asdict(task) | {"answers": answers})

    def answers(self) -> Iterator[dict[str, Any]]:
        tell(self._process, self._task)
        rest = b""
        while data := self._read():
            *lines, rest = (rest + data).split(b"\n")
            for answer in map(json.loads, lines):
                if "refused" in answer:
                    raise UsageError(answer["refused"])
                yield answer
        status = self._process.wait()
        if status == NO_MEMORY:
            raise OverMemory("it takes more memory than there is")
        if status != 0:
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            raise ReaderCrashed(f"the process that read the files {how}")

    def _read(self) -> bytes:
        left = self._deadline - time.monotonic()
        if left <= 0 or not select.select([self._pipe], [], [], left)[0]:
            raise TimedOut(f"it takes more than {self._longest:g} seconds")
        return os.read(self._pipe, _BLOCK)

    def __enter__(self) -> "_Process":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.close(self._pipe)
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


def main() -> None:
    """The life of the process."""
    task = Task(**json.loads(sys.stdin.buffer.readline()))
    threading.Thread(target=_end_with_parent, daemon=True).start()
    try:
        _Bench(task).work()
    except UsageError as exc:
        _answer(task, {"refused": exc.message})
    except MemoryError:
        os._exit(NO_MEMORY)
    os._exit(0)  # a library that crashes when it is unloaded shall not spoil what was measured


def _end_with_parent() -> None:
    while os.read(0, 1):
        pass
    os._exit(1)


class _Bench:
    """Does what a task says, and answers."""

    def __init__(self, task: Task) -> None:
        self._task = task
        self._setting = CollectorSetting.from_table(task.setting)
        self._read: Callable[[str], str | None]
        if task.extractor is not None:
            self._read = self._calling(task.extractor)
        else:
            self._import_readers()
            self._read = _opened if task.only_open else _read

    def work(self) -> None:
        """All of it."""
        from memx.engine.memory.limits import DataLimit

        self._setting.prepare()
        gc.collect()
        DataLimit().hold(self._task.allowance)
        meter, began, cpu = PeakMeter(), time.perf_counter(), time.process_time()
        meter.start()
        with PauseRecorder() as pauses:
            self._go_through(began)
        found = Measurement(
            elapsed_s=time.perf_counter() - began,
            cpu_s=time.process_time() - cpu,
            peak=meter.peak(),
            collections=pauses.stats.collections,
            pause_s=pauses.stats.pause_s,
            exact=meter.exact,
        )
        _answer(self._task, asdict(found))

    def _go_through(self, began: float) -> None:
        available = available_memory()
        for _ in range(self._task.rounds):
            for path in self._task.files:
                strategy = plan_for(size_of(path), available).strategy
                form, failed = self._one(path, strategy)
                if self._task.tell:
                    _answer(self._task, asdict(FileDone(path, form, failed)))
                if self._task.budget is not None and time.perf_counter() - began > self._task.budget:
                    return

    def _one(self, path: str, strategy: ExtractionStrategy) -> tuple[str | None, bool]:
        """The format of a file, once it was read, and whether that failed."""
        with self._setting.applied(strategy):
            try:
                return self._read(path), False
            except MemoryError:
                raise
            except (Exception, SystemExit):  # an extractor's, or of a file that is broken
                return None, True

    def _calling(self, name: str) -> Callable[[str], None]:
        from memx.engine.reading.extractors import carried, load
        from memx.records import encode_value

        extractor = load(name)

        def call(path: str) -> None:
            encode_value(carried(extractor(path), name))

        return call

    def _import_readers(self) -> None:
        """What the files will want is imported before anything is measured, as in a worker that read others before."""
        for path in self._task.files[:1] if not self._task.only_open else []:
            try:
                _opened(path)
            except Exception:
                pass


def _answer(task: Task, members: dict[str, Any]) -> None:
    os.write(task.answers, json_line(members))


def _opened(path: str) -> str:
    """The format of the file at `path`."""
    return _read(path, only_open=True)


def _read(path: str, *, only_open: bool = False) -> str:
    """Reads the file at `path` into its document, as `extract` does; its format. Raises MemxError."""
    from memx.formats import detect
    from memx.formats.base import ReadOptions, open_reader
    from memx.formats.documents import DOCUMENTS, PlainDocument
    from memx.records import encode_value
    from memx.sources import open_source

    with open_source(path) as source:
        reader, added = open_reader(source, detect(source), ReadOptions(summary=True))
        with closing(reader), reader.source:
            if only_open:
                return reader.format
            document = DOCUMENTS.get(reader.format, PlainDocument)({"format": reader.format, **added})
            for record in reader:
                if record["type"] != "error":
                    document.add(record)
            document.finish()
            encode_value(document.metadata)
            return reader.format
