"""A log read as records."""

from __future__ import annotations

import os

from avengers_core.records.loading import load_records
from avengers_core.records.record import Records


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
