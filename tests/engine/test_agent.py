"""The agent, and the one agent of a process."""

import gc
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from memx.engine.agent import MemoryManagementAgent, cleanup_memory_agent, get_memory_agent


def test_status_is_json_and_names_its_limit() -> None:
    with MemoryManagementAgent() as agent:
        status = json.loads(json.dumps(agent.get_memory_status(), allow_nan=False))
    assert status["memory_level"] in ("healthy", "moderate", "high", "critical")
    assert status["available_mb"] > 0
    assert 0 <= status["used_percent"] <= 100
    assert status["limit_source"]
    assert status["current_snapshot"]["rss"] / (1 << 20) == status["rss_mb"]


def test_max_memory_is_the_limit_that_binds() -> None:
    with MemoryManagementAgent(max_memory=512 << 20) as agent:
        status = agent.get_memory_status()
        assert (status["limit_source"], status["limit_mb"]) == ("max-memory", 512)
        assert agent.chunk_sizer.get_optimal_chunk_size() < 2 << 20


def test_execution_returns_the_result_and_feeds_the_report(tmp_path: Path) -> None:
    file = tmp_path / "x"
    file.write_bytes(b"12345")

    def extract(path: Path, times: int) -> int:
        return len(path.read_bytes()) * times

    with MemoryManagementAgent() as agent:
        assert agent.execute_extraction(file, extract, 2) == 10
        with pytest.raises(ZeroDivisionError):
            agent.execute_extraction(file, lambda _path: 1 // 0)
        report = json.loads(json.dumps(agent.get_analysis_report(), allow_nan=False))
    assert (report["total_extractions"], report["failures"]) == (2, 1)
    assert report["memory_status"]["memory_level"]
    assert report["gc_config"]["thresholds"]
    assert report["buffer_pool_stats"]["allocations"] == 0


_OPTIMIZED = """
import json
from memx import MemoryManagementAgent
with MemoryManagementAgent() as agent:
    agent.optimize_all()  # imports what the steps need: that would count against what they free
    with agent.buffer_pool.buffer():
        pass
    done = agent.optimize_all()
    print(json.dumps([done, agent.buffer_pool.stats.idle]))
"""


def test_optimize_all_gives_idle_buffers_back() -> None:
    # in a process of its own: where the C library has free memory already, nothing has to be given back
    said = subprocess.run([sys.executable, "-c", _OPTIMIZED], capture_output=True, check=True).stdout
    done, idle = json.loads(said)
    assert done["freed_mb"] > 5
    assert [step["name"] for step in done["steps"]] == ["shrink-chunks", "drop-buffers", "collect", "heap-trim"]
    assert idle == 0


def test_closing_stops_all_and_puts_the_collector_back() -> None:
    before = gc.get_threshold()
    agent = MemoryManagementAgent()
    agent.monitor.start_monitoring()
    agent.gc_optimizer.optimize_for_extraction("aggressive")
    agent.gc_optimizer.disable_collection_during_critical()
    agent.close()
    agent.close()
    assert not agent.monitor.is_monitoring
    assert (gc.get_threshold(), gc.isenabled()) == (before, True)


def test_one_agent_a_process() -> None:
    agent = get_memory_agent()
    assert get_memory_agent() is agent
    cleanup_memory_agent()
    cleanup_memory_agent()
    other = get_memory_agent()
    assert other is not agent
    cleanup_memory_agent()


def test_threads_get_the_same_agent() -> None:
    found: list[MemoryManagementAgent] = []
    barrier = threading.Barrier(8)

    def work() -> None:
        barrier.wait()
        found.append(get_memory_agent())

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(map(id, found))) == 1
    cleanup_memory_agent()


def test_forked_child_gets_an_agent_of_its_own_even_while_the_lock_is_held() -> None:
    from memx.engine import agent as module

    agent = get_memory_agent()
    held, done = threading.Event(), threading.Event()

    def hold() -> None:
        with module._holder.lock:
            held.set()
            done.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait()
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        own = get_memory_agent()
        works = own is not agent and own.get_memory_status()["rss_mb"] > 0
        os.write(write, b"own" if works else b"shared")
        os._exit(0)
    os.close(write)
    said = os.read(read, 10)
    os.close(read)
    os.waitpid(child, 0)
    done.set()
    thread.join()
    cleanup_memory_agent()
    assert said == b"own"
