"""The log's file: a SQLite database of two tables."""

from __future__ import annotations

import math
import os
import sqlite3
from collections.abc import Sequence
from pathlib import Path

from avengers_core.calls.rows import Call, Feedback, Row
from avengers_core.errors import LogError
from avengers_core.records.loading import load_records
from avengers_core.records.record import Records
from avengers_core.records.sources.logs import APPLICATION_ID, LAST, is_log

_VERSION = 1
_HEADER = 100
_BEHIND = 1e-5  # seconds: more than the microsecond up to which learning knows what it has learnt
_SCHEMA = """
CREATE TABLE IF NOT EXISTS calls (
  id TEXT PRIMARY KEY, time REAL NOT NULL, conversation TEXT, question TEXT, embedder TEXT,
  artifact TEXT, vector BLOB, features BLOB, decision TEXT, chosen TEXT, propensity REAL,
  explored INTEGER, answered_by TEXT, prompt_tokens INTEGER, completion_tokens INTEGER,
  cached_tokens INTEGER, cost REAL, seconds REAL, failures TEXT
);
CREATE TABLE IF NOT EXISTS feedback (
  id TEXT NOT NULL, score REAL NOT NULL, time REAL NOT NULL, source TEXT
);
CREATE INDEX IF NOT EXISTS feedback_id ON feedback (id);
"""
_INSERT = {
    kind: f"INSERT OR IGNORE INTO {table} ({', '.join(kind._fields)}) "
    f"VALUES ({', '.join('?' * len(kind._fields))})"
    for kind, table in ((Call, "calls"), (Feedback, "feedback"))
}


def check_log(path: str | os.PathLike[str]) -> None:
    """Raise LogError for a path at which no log can be; opens no database and waits for no lock."""
    file = Path(path)
    if not file.parent.is_dir():
        raise LogError(f"{file}: there is no folder {file.parent}")
    if file.is_dir():
        raise LogError(f"{file} is a folder; expected the path of a file")
    if file.exists() and not file.is_file():
        raise LogError(f"{file} is no file, but a device or a pipe; expected the path of a file")
    if file.is_file() and os.access(file, os.R_OK):
        with file.open("rb") as stream:
            head = stream.read(_HEADER)
        if head and not is_log(head):
            raise LogError(f"{file} is something else than a log of calls; expected a new path")


def open_log(path: str | os.PathLike[str], wait: float = 1.0) -> sqlite3.Connection:
    """A log that can be written to, made where there is none.

    Args:
        path: of the file.
        wait: how long to wait for somebody else who is writing, seconds.

    Raises:
        LogError: the file is something else.
        sqlite3.Error: it cannot be opened.
    """
    check_log(path)
    log = sqlite3.connect(path, timeout=wait, isolation_level=None, check_same_thread=False)
    try:
        if not log.execute("PRAGMA application_id").fetchone()[0]:
            log.executescript(
                f"BEGIN IMMEDIATE; {_SCHEMA} PRAGMA application_id = {APPLICATION_ID}; "
                f"PRAGMA user_version = {_VERSION}; COMMIT;"
            )
    except BaseException:
        log.close()
        raise
    return log


def write(log: sqlite3.Connection, rows: Sequence[Row]) -> None:
    """Write all rows, or none of them; raises sqlite3.Error.

    A score that has waited in a queue may be older than those that other programs have written
    meanwhile, and that somebody has learnt: it is dated behind them.
    """
    log.execute("BEGIN IMMEDIATE")
    try:
        log.executemany(_INSERT[Call], [row for row in rows if isinstance(row, Call)])
        log.executemany(_INSERT[Feedback], _dated(log, rows))
        log.execute("COMMIT")
    except BaseException:
        if log.in_transaction:
            log.execute("ROLLBACK")
        raise


def _dated(log: sqlite3.Connection, rows: Sequence[Row]) -> list[Feedback]:
    """The scores among some rows, the oldest first, none older than those in the log."""
    scores = sorted((row for row in rows if isinstance(row, Feedback)), key=lambda row: row.time)
    known = "SELECT time FROM feedback WHERE time < ? ORDER BY rowid DESC LIMIT 1"
    newest = log.execute(known, (LAST,)).fetchone()
    earliest = -math.inf if newest is None else newest[0] + _BEHIND
    return [row._replace(time=max(row.time, earliest)) for row in scores]


def read_log(path: str | os.PathLike[str]) -> Records:
    """The graded calls of a log as records: the newest score of each, tokens, cost and chance.

    What :func:`avengers_core.load_records` gives for the log. :func:`avengers_core.fit` and
    :func:`avengers_core.evaluate` take the path itself, too. Calls without a score are left out;
    those whose texts were not kept are problems: :func:`avengers_core.learning.learn` can use them.

    Raises:
        RecordError: it is no log.
        OSError: it cannot be opened.
    """
    return load_records(path)
