"""How evidence ages: what is so many half-lives old counts 2 to the minus so many."""

from __future__ import annotations

import re
from datetime import datetime, timedelta, timezone
from functools import reduce
from operator import add

import numpy as np

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.sums import Sums
from avengers_core.learning.calls import Calls

HalfLife = str | timedelta
"""Such as ``"30d"``, ``"12h"``, ``"4w"``, or a timedelta."""

_UNITS = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}
_TEXT = re.compile(r"\s*(\d+(?:\.\d+)?)\s*([hdw])\s*")
# Calls of the same 64th of a half-life count alike: by at most half a percent too much or too
# little. The borders lie fixed in time, so that a log learnt in pieces is learnt as one.
_STEPS = 64


def seconds(half_life: HalfLife) -> float:
    """A half-life in seconds.

    Raises:
        ValueError: it is none, or not above 0.
    """
    found = _TEXT.fullmatch(half_life) if isinstance(half_life, str) else None
    if found:
        size = float(found[1]) * _UNITS[found[2]]
    elif isinstance(half_life, timedelta):
        size = half_life.total_seconds()
    else:
        size = 0.0
    if not size > 0:
        raise ValueError(
            f'a half-life is a number of hours, days or weeks such as "12h", "30d" or "4w", or a '
            f"timedelta, above 0; got {half_life!r}"
        )
    return size


def left(since: float, until: float, half_life: float | None) -> float:
    """What evidence of a moment counts at a later one; all of it where nothing ages."""
    return 1.0 if half_life is None else float(0.5 ** (max(0.0, until - since) / half_life))


def as_of(artifact: RouterArtifact) -> float:
    """When the artifact's sums are of, in seconds since 1970: learnt until, else when it was made.

    The records that it was fitted on bear no date: they count as new on the day of the fit.
    """
    return _seconds_at(artifact.info.learnt_until or artifact.info.created)


def made(artifact: RouterArtifact) -> float:
    """When the artifact was fitted, in seconds since 1970; learning does not change that."""
    return _seconds_at(artifact.info.created)


def _seconds_at(text: str) -> float:
    try:
        moment = datetime.fromisoformat(text.replace("Z", "+00:00"))
    except ValueError:
        return 0.0
    return (moment if moment.tzinfo else moment.replace(tzinfo=timezone.utc)).timestamp()


def with_calls(
    artifact: RouterArtifact, calls: Calls, until: float, half_life: float | None
) -> RouterArtifact:
    """The artifact's evidence and the calls', both as old as they are at a time.

    Args:
        artifact: its sums count as evidence of the time :func:`as_of`.
        calls: at least one, all of them with scores.
        until: the time, seconds since 1970.
        half_life: seconds; None: nothing ages.
    """
    empty = artifact.emptied(artifact.models, artifact.datasets)

    def sums(calls: Calls) -> Sums:
        surface = calls.queries.surface if artifact.refinement else None
        return Sums.collect(empty, calls.queries.vectors, surface, calls.outcomes(artifact))

    if half_life is None:
        return (artifact.sums + sums(calls)).put_into(artifact)
    step = half_life / _STEPS
    period = np.floor(calls.time / step)
    parts = (
        sums(calls.take(period == number)).faded(left((number + 0.5) * step, until, half_life))
        for number in np.unique(period)
    )
    new = reduce(add, parts)
    kept = artifact.sums.faded(left(as_of(artifact), until, half_life), new)
    return (kept + new).put_into(artifact)
