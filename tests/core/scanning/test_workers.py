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
from jobs import REFUSES
from printed import words

from avengers_core.errors import OptionalDependencyError


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


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_worker_that_is_killed_is_replaced(folder, tmp_path):
    (tmp_path / "dying_jobs.py").write_text(DYING)
    done = run_script(tmp_path, SCRIPT, folder, tmp_path / "mark")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == ["[0, 10, 20, 30, 40, 50]"]


DYING = """
import os, signal
from pathlib import Path

class Dies:
    def __init__(self, mark):
        self.mark = mark

    def __call__(self, number, part):
        if number == 3 and not os.path.exists(self.mark):
            Path(self.mark).touch()
            os.kill(os.getpid(), signal.SIGKILL)
        return number * 10
"""
SCRIPT = """
import sys
from avengers_core.records.sources.parts import plan
from avengers_core.scanning.workers import Workers
from dying_jobs import Dies

if __name__ == "__main__":
    parts = plan(sys.argv[1] + "/1.jsonl", 4000)[:6]
    with Workers("processes", 2) as team:
        print(list(team.run(Dies(sys.argv[2]), parts, "test")))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
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
from avengers_core.records.sources.parts import plan
from avengers_core.scanning.workers import Workers
from sleeping_jobs import sleep

if __name__ == "__main__":
    with Workers("processes", 2) as team:
        list(team.run(sleep, plan(sys.argv[1] + "/1.jsonl", 4000)[:2], "test"))
"""


def test_the_same_processes_serve_all_that_is_run_until_they_are_closed(tmp_path):
    (tmp_path / "serving_jobs.py").write_text(SERVES)
    run = run_script(tmp_path, SERVED)
    assert run.returncode == 0, run.stderr
    first, second, third, left = json.loads(run.stdout)
    assert [result for _, result in first] == [1, 2, 3, 4]
    assert [result for _, result in second] == [10, 20, 30, 40]
    assert {pid for pid, _ in second} == {pid for pid, _ in first}
    assert [result for _, result in third] == [5], "after an error, by others"
    assert {pid for pid, _ in third}.isdisjoint({pid for pid, _ in first})
    assert left == []


SERVES = """
import os

class Times:
    def __init__(self, factor):
        self.factor = factor

    def __call__(self, number, part):
        return os.getpid(), self.factor * part

def fail(number, part):
    raise ValueError(part)
"""
SERVED = """
import json
import psutil
from avengers_core.scanning.workers import Workers
from serving_jobs import Times, fail

if __name__ == "__main__":
    with Workers("processes", 1) as team:
        found = [list(team.run(Times(n), [1, 2, 3, 4], "test")) for n in (1, 10)]
        try:
            list(team.run(fail, [1], "test"))
        except ValueError:
            found.append(list(team.run(Times(5), [1], "test")))
    pids = {pid for results in found for pid, _ in results}
    print(json.dumps([*found, [pid for pid in pids if psutil.pid_exists(pid)]]))
"""


def test_nobody_waits_for_what_others_are_at_when_who_reads_their_results_breaks_off(tmp_path):
    (tmp_path / "sleepy_jobs.py").write_text(SLEEPY)
    run = run_script(tmp_path, BREAKS_OFF)
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["broken", "off"]


SLEEPY = """
import time

def sleep(number, part):
    time.sleep(600 * number)
"""
BREAKS_OFF = """
from avengers_core.scanning.workers import Workers
from sleepy_jobs import sleep

def read(results):  # which the error's traceback holds
    for _ in results:
        raise KeyboardInterrupt

if __name__ == "__main__":
    try:
        with Workers("processes", 2) as team:
            read(team.run(sleep, [1, 2, 3], "test"))
    except KeyboardInterrupt:
        print("broken off")
"""


def test_what_breaks_off_while_a_result_is_on_its_way_waits_for_no_rest_of_it(tmp_path):
    (tmp_path / "sleepy_jobs.py").write_text(SENDS)
    run = run_script(tmp_path, BREAKS_OFF.replace("[1, 2, 3]", "range(12)"))
    assert run.returncode == 0, run.stderr
    assert run.stdout.split() == ["broken", "off"]


SENDS = """
def sleep(number, part):
    return bytes(50_000_000)  # takes longer to send than to make
"""


def test_one_job_at_a_time_is_given_to_the_processes(tmp_path):
    (tmp_path / "serving_jobs.py").write_text(SERVES)
    run = run_script(tmp_path, NESTED)
    assert run.returncode == 0, run.stderr
    assert json.loads(run.stdout) == [[2, 4, 6], ["RuntimeError"] * 3, [10, 20, 30]]


NESTED = """
import json
from avengers_core.scanning.workers import Workers
from serving_jobs import Times

if __name__ == "__main__":
    with Workers("processes", 1) as team:
        outer, inner = [], []
        for _, result in team.run(Times(2), [1, 2, 3], "test"):
            outer.append(result)
            try:
                list(team.run(Times(10), [1], "test"))
            except RuntimeError as error:
                inner.append(type(error).__name__)
        then = [result for _, result in team.run(Times(10), [1, 2, 3], "test")]
    print(json.dumps([outer, inner, then]))
"""


def test_errors_come_home_from_other_processes():
    error = pickle.loads(pickle.dumps(OptionalDependencyError("pyarrow", "parquet")))
    assert isinstance(error, OptionalDependencyError)
    assert str(error) == str(OptionalDependencyError("pyarrow", "parquet"))


def test_an_error_that_no_other_process_can_read_is_told(tmp_path):
    (tmp_path / "refusing_jobs.py").write_text(REFUSES)
    run = run_script(tmp_path, REFUSED)
    assert run.returncode == 0, run.stderr
    name, message = run.stdout.split("|")
    assert name == "AvengersError"
    assert {"slow", "down"} <= words(message)


REFUSED = """
from avengers_core.scanning.workers import Workers
from refusing_jobs import refuse

if __name__ == "__main__":
    try:
        with Workers("processes", 1) as team:
            list(team.run(refuse, [1], "test"))
    except Exception as error:
        print(type(error).__name__, error, sep="|")
"""


def test_a_script_that_starts_itself_again_is_told_so(folder, tmp_path):
    lines = SLEEPER.replace('if __name__ == "__main__":', "if True:").replace("sleeping", "no")
    lines = lines.replace('"processes", 2', '"processes", 1')
    (tmp_path / "no_jobs.py").write_text("sleep = print")
    run = run_script(tmp_path, lines, folder)
    assert run.returncode == 1
    assert "__name__ == '__main__'" in run.stderr
    assert run.stderr.count("Traceback") <= 2, "of the parent alone"


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_the_part_that_kills_its_worker_is_named(folder, tmp_path):
    (tmp_path / "killing_jobs.py").write_text(KILLS)
    run = run_script(tmp_path, KILLER, folder)
    assert run.returncode == 0, run.stderr
    done, error = run.stdout.split("|")
    assert done == "[0]"
    assert {"2", "1"} <= words(error)


KILLS = """
import os, signal, time

def kill(number, part):
    if number == 1:
        os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(0.1)
    return number
"""
KILLER = """
import sys
from avengers_core import AvengersError
from avengers_core.records.sources.parts import plan
from avengers_core.scanning import pool
from avengers_core.scanning.workers import Workers
from killing_jobs import kill

pool.MOST_CRASHES = 2  # each is the start of a process

if __name__ == "__main__":
    done = []
    try:
        parts = plan(sys.argv[1] + "/1.jsonl", 4000)[:4]
        with Workers("processes", 2) as team:
            for number in team.run(kill, parts, "test"):
                done.append(number)
    except AvengersError as error:
        print(done, str(error).split(" (")[0], sep="|")
"""
