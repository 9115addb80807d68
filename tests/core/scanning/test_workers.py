"""Worker processes that die, and those whose parent does."""

from __future__ import annotations

import json
import pickle
import signal
import subprocess
import sys
import time

import psutil
import pytest
from children import needs_sigkill
from jobs import REFUSES
from printed import words

from avengers_core.errors import OptionalDependencyError

# What they share is several processes.
pytestmark = pytest.mark.early


def run_script(at, script, *arguments):
    """Run a script in a folder, where a module holds its jobs: workers have to find them."""
    (at / "script.py").write_text(script)
    return subprocess.run(
        [sys.executable, "script.py", *map(str, arguments)],
        check=False,
        cwd=at,
        capture_output=True,
        text=True,
        timeout=120,
    )


JOBS = """
import logging, os, signal, time
from pathlib import Path

class Dies:
    def __init__(self, mark):
        self.mark = mark

    def __call__(self, number, part):
        if number == 3 and not os.path.exists(self.mark):
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number * 10

def kill(number, part):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
    return number

class Times:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, number, part):
        return os.getpid(), self.factor * part

def fail(number, part):
    logging.getLogger("avengers_core").warning("part %d fails", part)
    raise ValueError(part)

def sleep(number, part):
    time.sleep(600 * number)

def send(number, part):
    return bytes(50_000_000)  # takes longer to send than to make
"""
# One script for all, and few teams, for each process imports what it needs of it; what stands under
# the `if` it does not.
SCRIPT = """
if __name__ == "__main__":
    import json
    from pathlib import Path
    import psutil
    from avengers_core import AvengersError
    from avengers_core.scanning import pool
    from avengers_core.scanning.workers import Workers
    from jobs_of_workers import Dies, Times, fail, kill, refuse, send, sleep

def killed():
    with Workers("processes", 2) as team:
        survived, done = list(team.run(Dies("mark"), range(6), "test")), []
    pool.MOST_CRASHES = 2  # each is the start of a process
    with Workers("processes", 1) as team:
        try:
            for number in team.run(kill, range(4), "test"):
                done.append(number)
        except AvengersError as error:
            return survived, done, str(error).split(" (")[0]

def kept():
    with Workers("processes", 1) as team:
        found = [list(team.run(Times(n), [1, 2, 3, 4], "test")) for n in (1, 10)]
        try:
            list(team.run(fail, [1], "test"))
        except ValueError:
            found.append(list(team.run(Times(5), [1], "test")))
        outer, inner = [], []
        for _, result in team.run(Times(2), [1, 2, 3], "test"):
            outer.append(result)
            try:
                list(team.run(Times(10), [1], "test"))
            except RuntimeError as error:
                inner.append(type(error).__name__)
        then = [result for _, result in team.run(Times(10), [1, 2, 3], "test")]
        try:
            list(team.run(refuse, [1], "test"))
        except Exception as error:
            refused = type(error).__name__, str(error)
    pids = {pid for results in found for pid, _ in results}
    left = [pid for pid in pids if psutil.pid_exists(pid)]
    return found, left, (outer, inner, then), refused

def read(results):  # which the error's traceback holds
    for _ in results:
        raise KeyboardInterrupt

def broken_off(job, parts):
    try:
        with Workers("processes", 1) as team:
            read(team.run(job, parts, "test"))
    except KeyboardInterrupt:
        return True

if __name__ == "__main__":
    found = {"killed": killed(), "kept": kept()}
    found["broken off"] = broken_off(sleep, range(3)), broken_off(send, range(12))
    Path("found.json").write_text(json.dumps(found))
"""


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    at = tmp_path_factory.mktemp("workers")
    (at / "jobs_of_workers.py").write_text(REFUSES + JOBS)
    done = run_script(at, SCRIPT)
    assert done.returncode == 0, done.stderr
    return json.loads((at / "found.json").read_text()) | {"stderr": done.stderr}


@needs_sigkill
def test_a_worker_that_is_killed_is_replaced(found):
    survived, _, _ = found["killed"]
    assert survived == [0, 10, 20, 30, 40, 50]


@needs_sigkill
def test_the_part_that_kills_its_worker_is_named(found):
    _, done, error = found["killed"]
    assert done == [0]
    assert {"2", "1"} <= words(error)


@needs_sigkill
def test_the_same_processes_serve_all_that_is_run_until_they_are_closed(found):
    (first, second, third), left, _, _ = found["kept"]
    assert [result for _, result in first] == [1, 2, 3, 4]
    assert [result for _, result in second] == [10, 20, 30, 40]
    assert {pid for pid, _ in second} == {pid for pid, _ in first}
    assert [result for _, result in third] == [5], "after an error, by others"
    assert {pid for pid, _ in third}.isdisjoint({pid for pid, _ in first})
    assert left == []


@needs_sigkill
def test_what_processes_log_looks_like_what_the_command_line_does(found):
    assert "WARNING: part 1 fails" in found["stderr"].splitlines()


@needs_sigkill
def test_one_job_at_a_time_is_given_to_the_processes(found):
    _, _, nested, _ = found["kept"]
    assert nested == [[2, 4, 6], ["RuntimeError"] * 3, [10, 20, 30]]


@needs_sigkill
def test_an_error_that_no_other_process_can_read_is_told(found):
    *_, (name, message) = found["kept"]
    assert name == "AvengersError"
    assert {"slow", "down"} <= words(message)


@needs_sigkill
def test_nobody_waits_for_what_others_are_at_when_who_reads_their_results_breaks_off(found):
    while_they_sleep, while_one_sends = found["broken off"]
    assert while_they_sleep
    assert while_one_sends


@needs_sigkill
@pytest.mark.parametrize("sent", [signal.SIGKILL, signal.SIGINT])
def test_worker_processes_end_with_their_parent(folder, tmp_path, sent):
    (tmp_path / "sleeping_jobs.py").write_text(SLEEPS)
    (tmp_path / "script.py").write_text(SLEEPER)
    parent = subprocess.Popen(
        [sys.executable, "script.py", str(folder)], cwd=tmp_path, stderr=subprocess.PIPE
    )
    marks = [tmp_path / f"{number}.pid" for number in range(2)]
    eventually(lambda: all(mark.exists() and mark.read_text() for mark in marks))
    parent.send_signal(sent)
    _, said = parent.communicate(timeout=120)
    pids = [int(mark.read_text()) for mark in marks]
    eventually(lambda: not any(map(psutil.pid_exists, pids)))
    assert said.count(b"Traceback") == (sent == signal.SIGINT)  # the parent's own


def eventually(condition, seconds=60):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


SLEEPS = """
import os, time
from pathlib import Path

def sleep(number, part):
    Path(f"{number}.pid").write_text(str(os.getpid()))
    time.sleep(600)
"""
# Where tests are started in the background of a shell, Ctrl-C is ignored from the start.
SLEEPER = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)

if __name__ == "__main__":
    from avengers_core.records.sources.parts import plan
    from avengers_core.scanning.workers import Workers
    from sleeping_jobs import sleep

    with Workers("processes", 2) as team:
        list(team.run(sleep, plan(sys.argv[1] + "/1.jsonl", 4000)[:2], "test"))
"""


def test_errors_come_home_from_other_processes():
    error = pickle.loads(pickle.dumps(OptionalDependencyError("pyarrow", "parquet")))
    assert isinstance(error, OptionalDependencyError)
    assert str(error) == str(OptionalDependencyError("pyarrow", "parquet"))


def test_a_script_that_starts_itself_again_is_told_so(folder, tmp_path):
    lines = SLEEPER.replace('if __name__ == "__main__":', "if True:").replace("sleeping", "no")
    lines = lines.replace('"processes", 2', '"processes", 1')
    lines = "from avengers_core.scanning import pool\npool.MOST_CRASHES = 1\n" + lines
    (tmp_path / "no_jobs.py").write_text("sleep = print")
    run = run_script(tmp_path, lines, folder)
    assert run.returncode == 1
    assert "__name__ == '__main__'" in run.stderr
    assert run.stderr.count("Traceback") <= 2, "of the parent alone"
