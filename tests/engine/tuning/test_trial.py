"""Measured runs in real processes, and what they find out of workloads that are known."""

import os
from pathlib import Path

import pytest

from memx.engine.collector.setting import OWN_CHOICE, CollectorSetting
from memx.engine.memory.strategy import ExtractionStrategy
from memx.engine.tuning.advice import Advice, advise, drawn
from memx.engine.tuning.trial import FileDone, Trials
from memx.errors import OverMemory, TimedOut, UsageError
from tests.samples import fits, netcdf

MIB = 1 << 20
WORKLOADS = "tests.samples.workloads"


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f"{name}.dat" for name in "abc"]
    for path in paths:
        path.write_text(path.stem)
    return [str(path) for path in paths]


def advice_of(workload: str, files: list[str]) -> Advice:
    (advice,) = advise(files, extractor=f"{WORKLOADS}:{workload}", runs=6, budget=0.4)
    assert advice.tuning is not None
    return advice


def test_a_run_reads_all_files_under_its_setting(files: list[str]) -> None:
    trials = Trials(f"{WORKLOADS}:cyclic")
    often, seldom = (trials.run(CollectorSetting(threshold0=number), files[:1]) for number in (20, 1_000_000))
    assert often.peak < seldom.peak - 30 * MIB
    assert often.collections > 15 > seldom.collections
    assert often.exact
    assert 0 < often.pause_s < often.elapsed_s
    assert often.cpu_s > 0


def test_rounds_read_them_again(files: list[str]) -> None:
    trials = Trials(f"{WORKLOADS}:quick")
    assert trials.sample(files, OWN_CHOICE, 1.0) == (files, 0)
    assert trials.rounds > 1


@pytest.mark.slow
def test_files_at_which_the_process_dies_are_left_out(files: list[str]) -> None:
    trials = Trials(f"{WORKLOADS}:hostile", longest=3)
    Path(files[0]).write_text("crash")
    Path(files[1]).write_text("hang")
    more = [f"{files[2]}.{name}" for name in ("raise", "exit", "fine")]
    for path in more:
        Path(path).write_text(path.rsplit(".", 1)[1])
    assert trials.sample([*files, *more], OWN_CHOICE, 60) == ([files[2], more[2]], 4)


def test_memory_that_is_not_there_is_refused(files: list[str]) -> None:
    trials = Trials(f"{WORKLOADS}:cyclic", allowance=45 * MIB)
    with pytest.raises(OverMemory):
        trials.run(CollectorSetting(threshold0=1_000_000), files)
    assert trials.run(CollectorSetting(threshold0=20), files[:1]).peak < 45 * MIB


@pytest.mark.slow
def test_a_run_has_its_time(files: list[str]) -> None:
    Path(files[0]).write_text("hang")
    with pytest.raises(TimedOut):
        Trials(f"{WORKLOADS}:hostile", longest=0.5).run(OWN_CHOICE, files)


def test_an_extractor_that_is_not_there_is_the_users_slip(files: list[str]) -> None:
    with pytest.raises(UsageError, match="has no nothing"):
        Trials(f"{WORKLOADS}:nothing").run(OWN_CHOICE, files)
    with pytest.raises(UsageError):
        list(advise(files, extractor="no.such.module:function"))


def test_formats_are_what_the_readers_say(tmp_path: Path) -> None:
    cube, four, missing = fits.build(tmp_path), netcdf.build(tmp_path), tmp_path / "missing"
    folder = tmp_path / "folder"
    folder.mkdir()
    paths = [str(path) for path in (cube, four, missing, folder)]
    assert list(Trials().survey(paths)) == [
        FileDone(paths[0], "fits", False),
        FileDone(paths[1], "netcdf", False),
        FileDone(paths[2], None, True),
        FileDone(paths[3], None, True),
    ]
    assert Trials().run(CollectorSetting(freeze=True), paths[:2]).collections >= 0


def test_a_child_leaves_with_its_parent(files: list[str]) -> None:
    Path(files[0]).write_text("hang")
    answers = Trials(f"{WORKLOADS}:hostile")._told(files, OWN_CHOICE)
    del answers  # never begun
    survey = Trials().survey(files)
    assert next(survey).format == "binary"
    survey.close()
    with pytest.raises(ChildProcessError):
        os.waitpid(-1, os.WNOHANG)


def test_a_sample_is_drawn_evenly_and_keeps_its_order() -> None:
    paths = [str(number) for number in range(50)]
    assert drawn(iter(paths), 60) == paths
    counts = dict.fromkeys(paths, 0)
    for seed in range(400):
        sample = drawn(iter(paths), 10, seed)
        assert len(sample) == 10
        assert sorted(sample, key=int) == sample
        for path in sample:
            counts[path] += 1
    assert all(40 <= count <= 125 for count in counts.values())


@pytest.mark.slow
def test_the_best_is_found_where_the_collector_only_costs(files: list[str]) -> None:
    best = advice_of("acyclic", files).recommended
    assert best is not None
    assert best.disabled or best.thresholds(ExtractionStrategy.AGGRESSIVE)[0] >= 20_000


@pytest.mark.slow
def test_the_best_is_found_where_garbage_is_heavy(files: list[str]) -> None:
    advice = advice_of("cyclic", files)
    assert advice.recommended is not None
    assert advice.recommended.thresholds(ExtractionStrategy.AGGRESSIVE)[0] <= 100
    assert "less memory" in advice.reason


@pytest.mark.slow
def test_all_is_left_alone_where_nothing_helps(files: list[str]) -> None:
    advice = advice_of("indifferent", files)
    assert advice.recommended is None
    assert advice.reason.startswith("leave it alone")
