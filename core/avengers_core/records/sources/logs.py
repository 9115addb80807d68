"""Logs of calls, as the plugins' ``log=`` writes them: their graded calls as rows of records."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

from avengers_core.errors import RecordError
from avengers_core.records.record import RecordProblem, problem

APPLICATION_ID = 0x41764C67
"""By which a log is told from other SQLite files ("AvLg")."""

MAGIC = b"SQLite format 3\0"
LAST = 253_402_300_799.0
"""Seconds since 1970 UTC: the last of the year 9999, behind which no call is."""
_AT = slice(68, 72)  # of the header, where the application's id is

_NO_TEXT = "the log keeps no text of it; expected one that log_text=True writes"

# Of several grades of a call the newest counts; a call is graded from the first on, so that it is
# learnt once. Columns are named, so that one that is missing is an error of the database.
_ANSWERED = """
SELECT calls.id, calls.time, question, embedder, vector, features, decision, propensity,
  answered_by, prompt_tokens, completion_tokens, cost,
  newest.score AS score,
  (SELECT min(feedback.time) FROM feedback WHERE feedback.id = calls.id) AS graded
FROM calls
LEFT JOIN (SELECT id, score, max(rowid) FROM feedback GROUP BY id) AS newest USING (id)
WHERE answered_by IS NOT NULL ORDER BY calls.time, calls.id
"""


def is_log(head: bytes) -> bool:
    """Whether a file that begins so is a log."""
    return head.startswith(MAGIC) and int.from_bytes(head[_AT], "big") == APPLICATION_ID


def answered_calls(file: str) -> Iterator[sqlite3.Row]:
    """The answered calls of a log, the earliest first: columns of the table ``calls``, the newest
    ``score`` and when the first came (``graded``), None where there is none.

    Args:
        file: its path.

    Raises:
        RecordError: it has no such tables, is damaged, or locked.
    """
    # Not mode=ro: what a killed program left half written has to be taken back before it can be
    # read. A file that may not be written to is opened for reading all the same.
    address = f"{Path(file).absolute().as_uri()}?mode=rw"
    try:
        with closing(sqlite3.connect(address, uri=True)) as log:
            log.row_factory = sqlite3.Row
            yield from log.execute(_ANSWERED)
    except sqlite3.Error as error:
        raise RecordError(
            f"{file}: cannot be read as a log of calls, the SQLite file that log= writes ({error})"
        ) from None


def log_rows(file: str) -> Iterator[tuple[int, Mapping[str, Any] | RecordProblem]]:
    """The graded ones of :func:`answered_calls` as rows of records, with their numbers from 1.

    Raises:
        RecordError: it is another kind of SQLite file, damaged, or locked.
    """
    with Path(file).open("rb") as stream:
        if not is_log(stream.read(100)):
            raise RecordError(f"{file}: a SQLite file, but no log of calls")
    graded = (call for call in answered_calls(file) if call["score"] is not None)
    for number, call in enumerate(graded, 1):
        if call["question"]:
            yield number, _record(call)
        else:
            yield number, problem(number, _NO_TEXT, call["id"])


def _record(call: sqlite3.Row) -> dict[str, Any]:
    model = call["answered_by"]
    usage = {name: call[name] for name in ("cost", "prompt_tokens", "completion_tokens")}
    return {
        "query": call["question"],
        "records": {model: call["score"]},
        "usages": {model: usage},
        "dataset": "calls",
        "index": call["id"],
        "propensity": call["propensity"],
    }
