"""Scores that are given to calls of a log from outside the program that writes it."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

from avengers_core.calls.registry import flush_all
from avengers_core.calls.rows import Feedback
from avengers_core.calls.store import open_log, write
from avengers_core.errors import LogError


def feedback(
    path: str | os.PathLike[str], id: str, score: float, source: str | None = None
) -> Feedback:
    """Grade a call of a log.

    Args:
        path: of the log.
        id: of the call, as its answer has it.
        score: how good the answer was, in [0, 1].
        source: who says so.

    Raises:
        LogError: there is no log, no such call in it, or it cannot be written to.
        ValueError: a score outside [0, 1].
    """
    flush_all()  # the call may be on its way
    given = Feedback.of(id, score, source)
    if not Path(path).is_file():
        raise LogError(f"{os.fspath(path)}: there is no such log")
    try:
        with closing(open_log(path, wait=5.0)) as log:
            if log.execute("SELECT 1 FROM calls WHERE id = ?", (given.id,)).fetchone() is None:
                raise LogError(f"{os.fspath(path)} has no call {given.id!r:.60}")
            write(log, [given])
    except sqlite3.Error as error:
        raise LogError(f"{os.fspath(path)}: {error}") from None
    return given
