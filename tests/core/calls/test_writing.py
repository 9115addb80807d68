"""The log's queue and thread: everything is written or counted, whatever the file does."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from children import forks
from limits import file_size_limit

from avengers_core.calls import Call, Feedback, feedback, read_log
from avengers_core.calls import writing as writing_module
from avengers_core.calls.registry import call_log
from avengers_core.calls.store import open_log, write
from avengers_core.calls.writing import CallLog
from avengers_core.errors import LogError, RecordError


def a_call(id: str = "a", **other: Any) -> Call:
    fields = dict.fromkeys(Call._fields)
    given = {"id": id, "time": 1.0, "question": "why?", "answered_by": "m", "propensity": 0.5}
    return Call(**{**fields, **given, **other})  # type: ignore[arg-type]


def rows(path: Path, what: str = "id", table: str = "calls") -> list[Any]:
    with closing(sqlite3.connect(path)) as log:
        return [row[0] for row in log.execute(f"SELECT {what} FROM {table} ORDER BY 1")]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls.sqlite"


@pytest.fixture
def log(path: Path) -> Iterator[CallLog]:
    made = call_log(str(path))
    made.limit = 100
    yield made
    made.close(timeout=0.5)


def test_rows_of_many_threads_are_all_there(log: CallLog, path: Path) -> None:
    log.limit = 10_000

    def some(first: int) -> None:
        for i in range(first, first + 100):
            log.put(lambda i=i: a_call(f"{i:04}"))  # type: ignore[misc]

    threads = [threading.Thread(target=some, args=(100 * i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert log.flush()
    assert rows(path) == [f"{i:04}" for i in range(800)]
    assert (log.written, log.dropped) == (800, 0)


def told(caplog: pytest.LogCaptureFixture) -> list[int]:
    """How many rows each warning says that were lost."""
    found = [re.search(r"not written: (\d+)", text) for text in caplog.messages]
    return [int(match[1]) for match in found if match]


def eventually(holds: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_what_does_not_fit_is_dropped_and_said_when_it_happens_and_at_the_end(
    path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    log = CallLog(str(path), limit=10)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        open_log(path).close()
        other.execute("BEGIN EXCLUSIVE")  # locked for as long as it likes
        for i in range(50):
            log.put(lambda i=i: a_call(str(i)))  # type: ignore[misc]
        assert not log.flush(timeout=0)
        eventually(lambda: bool(told(caplog)))
        (first,) = told(caplog)
        assert first >= 40, "while the program goes on"
        for i in range(50):
            log.put(lambda i=i: a_call(str(i)))  # type: ignore[misc]
        log.close(timeout=0.1)
        other.execute("ROLLBACK")
    assert log.dropped == sum(told(caplog)) == 100
    assert len(told(caplog)) == 2
    log.put(a_call)  # a row that comes later opens it again
    log.close()
    assert rows(path) == ["a"]
    assert len(told(caplog)) == 2


def test_each_stretch_of_losses_is_said_once(caplog: pytest.LogCaptureFixture) -> None:
    broken = True

    def take(row: dict[str, Any]) -> None:
        if broken:
            raise OSError("gone")

    log = CallLog(take)
    for expected in (1, 2):
        broken = True
        for _ in range(3):
            log.put(a_call)
            assert log.flush()
        assert told(caplog) == [1, 3][:expected]
        broken = False
        log.put(a_call)
        assert log.flush()
    log.close()
    assert told(caplog) == [1, 3, 2]
    assert (log.dropped, log.written) == (6, 2)


def test_a_file_that_is_locked_for_a_while_loses_nothing(log: CallLog, path: Path) -> None:
    log.put(lambda: a_call("first"))
    assert log.flush()
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        log.put(lambda: a_call("second"))
        assert not log.flush(timeout=0.1)
        other.execute("ROLLBACK")
    assert log.flush()
    assert rows(path) == ["first", "second"]


@pytest.mark.skipif(sys.platform != "linux", reason="limits of Linux")
def test_a_full_disk_breaks_nothing(path: Path) -> None:
    with file_size_limit(40_000):
        log = CallLog(str(path), limit=1000)
        for i in range(500):
            log.put(lambda i=i: a_call(f"{i}", question="x" * 1000))  # type: ignore[misc]
        log.close(timeout=0.3)
    assert log.written + log.dropped == 500
    assert log.dropped > 0


def test_what_waits_is_written_when_the_program_ends(path: Path) -> None:
    code = f"""
from avengers_core.calls import Call
from avengers_core.calls.registry import call_log
row = Call(**{{**dict.fromkeys(Call._fields), "id": "last", "time": 1.0}})
call_log({str(path)!r}).put(lambda: row)
raise SystemExit(1)
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 1
    assert rows(path) == ["last"]


@forks
def test_a_forked_child_writes_its_own_rows_and_not_the_parents(log: CallLog, path: Path) -> None:
    log.put(lambda: a_call("before"))
    child = os.fork()
    if child == 0:
        log.put(lambda: a_call("child"))
        log.close()
        os._exit(0 if log.dropped == 0 and log.written == 1 else 1)
    log.put(lambda: a_call("parent"))
    assert os.waitpid(child, 0)[1] == 0
    assert log.flush()
    assert rows(path) == ["before", "child", "parent"]


def test_a_row_that_cannot_be_made_or_written_spoils_no_other(log: CallLog, path: Path) -> None:
    log.put(lambda: a_call("a"))
    log.put(lambda: a_call("b", question=object()))
    log.put(lambda: a_call("c", prompt_tokens=2**80))
    log.put(lambda: 1 / 0)  # type: ignore[arg-type,return-value]
    log.put(lambda: a_call("d"))
    assert log.flush()
    assert rows(path) == ["a", "d"]
    assert log.dropped == 3


def test_a_function_that_fails_loses_its_row_only() -> None:
    taken: list[dict[str, Any]] = []

    def take(row: dict[str, Any]) -> None:
        if row["id"] == "bad":
            raise OSError("gone")
        taken.append(row)

    log = call_log(take)
    assert call_log(take) is log
    for name in ("a", "bad", "b"):
        log.put(lambda name=name: a_call(name))  # type: ignore[misc]
    assert log.flush()
    assert [row["id"] for row in taken] == ["a", "b"]
    assert log.dropped == 1


def test_the_thread_ends_when_nothing_comes_and_begins_again(
    log: CallLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writing_module, "_IDLE", 0.01)
    log.put(lambda: a_call("a"))
    assert log.flush()
    thread = log._thread
    if thread is not None:
        thread.join(5)
    assert log._thread is None
    log.put(lambda: a_call("b"))
    assert log.flush()
    assert rows(path) == ["a", "b"]


def test_graded_calls_are_records(log: CallLog, path: Path) -> None:
    log.put(lambda: a_call("a", cost=0.25, prompt_tokens=3, completion_tokens=4))
    log.put(lambda: a_call("b"))
    log.put(lambda: a_call("c", question=None))
    log.put(lambda: a_call("d", answered_by=None))
    for name, score in (("a", 0.0), ("a", 1), ("c", 1), ("d", 0)):
        log.put(lambda name=name, score=score: Feedback.of(name, score))  # type: ignore[misc]
    assert log.flush()
    records = read_log(path)
    assert [record.query for record in records] == ["why?"]
    assert records[0].scores == {"m": 1.0}
    assert records[0].propensity == 0.5
    usage = records[0].usages["m"]
    assert usage is not None
    assert (usage.cost, usage.prompt_tokens, usage.completion_tokens) == (0.25, 3, 4)
    assert len(records.problems) == 1  # the one without its text


def test_feedback_from_outside(log: CallLog, path: Path, tmp_path: Path) -> None:
    log.put(lambda: a_call("a"))
    assert feedback(path, "a", 0.5, "judge").score == 0.5
    assert rows(path, "source", "feedback") == ["judge"]
    for bad in (-0.1, 1.1, float("nan")):
        with pytest.raises(ValueError, match="score"):
            feedback(path, "a", bad)
    with pytest.raises(TypeError):
        feedback(path, "a", "good")  # type: ignore[arg-type]
    with pytest.raises(LogError):
        feedback(path, "nobody", 1)
    with pytest.raises(LogError):
        feedback(tmp_path / "other", "a", 1)
    assert not (tmp_path / "other").exists()


def test_other_files_are_no_logs(tmp_path: Path) -> None:
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE x (y)")
    with pytest.raises(LogError):
        feedback(other, "a", 1)
    with pytest.raises(RecordError):
        read_log(other)


KILLED_IN_A_TRANSACTION = """
import os, sqlite3, sys
log = sqlite3.connect(sys.argv[1], isolation_level=None)
log.execute("PRAGMA cache_size = 1")  # so that it writes to the file before it commits
log.execute("BEGIN IMMEDIATE")
rows = ((f"{i}", 0.0, 1.0, "x" * 500) for i in range(1000))
log.executemany("INSERT INTO feedback VALUES (?, ?, ?, ?)", rows)
os.kill(os.getpid(), 9)
"""


def test_a_log_whose_writer_was_killed_half_way_is_read_as_it_was_before(path: Path) -> None:
    with closing(open_log(path)) as log:
        write(log, [a_call("a"), Feedback("a", 0.5, 1.0)])
    subprocess.run([sys.executable, "-c", KILLED_IN_A_TRANSACTION, str(path)], check=False)
    assert path.with_name(f"{path.name}-journal").exists(), "nothing was left half written"
    assert [r.scores for r in read_log(path)] == [{"m": 0.5}]


def test_a_log_that_may_not_be_written_to_is_read(path: Path) -> None:
    with closing(open_log(path)) as log:
        write(log, [a_call("a"), Feedback("a", 0.5, 1.0)])
    path.chmod(0o400)
    path.parent.chmod(0o500)
    try:
        assert len(read_log(path)) == 1
    finally:
        path.parent.chmod(0o700)
