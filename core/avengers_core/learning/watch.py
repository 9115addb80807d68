"""How a log fares against what was promised, and whether it is time to learn or to fit anew."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from os import PathLike
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.common.arrays import Floats
from avengers_core.common.files import write_whole
from avengers_core.common.plain import plain
from avengers_core.common.ranges import check_number
from avengers_core.errors import RecordError
from avengers_core.learning.calls import UNLIKE, Calls
from avengers_core.learning.drift import Alarm, find_alarms
from avengers_core.learning.reading import CallSource, read_calls
from avengers_core.routing.resolve import resolve_router
from avengers_core.routing.router import Router

# Fit anew where surely more than twice as many queries are unlike as would be by chance,
_MOST_UNLIKE = 2 * UNLIKE
# or where a promise is surely further off than this.
_MOST_OFF = 0.05
# A few scores may happen to be alike: so many more are taken to scatter as the promises say.
_SCATTERED = 10
_MOST_PERIODS = 60
_DAY = 86400.0
_Z = 1.96


@dataclass(frozen=True)
class Promise:
    """What was promised of a model on the calls that it answered, and what came of it.

    Attributes:
        model: its id; "all" for all calls.
        calls: that it answered.
        graded: of these, with a score.
        promised_score: mean over the graded calls.
        score: mean of their scores.
        error: half the width of the 95 % interval of their mean difference; NaN without a score.
        promised_cost: USD, mean over the calls of known cost and promise; NaN if there are none.
        cost: and what they cost.
    """

    model: str
    calls: int
    graded: int
    promised_score: float
    score: float
    error: float
    promised_cost: float
    cost: float

    @property
    def off(self) -> bool:
        """Whether the score is surely not the promised one, by more than .05."""
        return abs(self.score - self.promised_score) - self.error > _MOST_OFF


@dataclass(frozen=True)
class Period:
    """A stretch of the log, for pictures: a day, unless the log is short or long.

    Attributes:
        start: seconds since 1970 UTC.
        calls: in it.
        promised: mean score promised on its graded calls, NaN without.
        score: their mean score.
        unlike: share of its calls that are unlike the records, NaN where not known.
        shares: model -> share of its calls.
    """

    start: float
    calls: int
    promised: float
    score: float
    unlike: float
    shares: Mapping[str, float]


@dataclass(frozen=True)
class Watch:
    """What a log says of the router whose calls it holds.

    Attributes:
        calls: answered calls.
        graded: of these, with a score.
        first: time of the first, seconds since 1970 UTC.
        last: of the last.
        promises: all calls together, then each model, the most called first.
        unlike: share of the calls that are unlike the records, NaN where not known.
        unlike_error: half the width of its 95 % interval.
        alarms: models whose scores have changed, the surest first.
        false_alarm: the chance that there ever is one without a change is at most this.
        fit_anew: reasons to fit anew, in words; empty if there is none.
        periods: the log in stretches of time.
        left_out: further calls, whose vectors are another embedder's and whose texts were not kept.
    """

    calls: int
    graded: int
    first: float
    last: float
    promises: tuple[Promise, ...]
    unlike: float
    unlike_error: float
    alarms: tuple[Alarm, ...]
    false_alarm: float
    fit_anew: tuple[str, ...]
    periods: tuple[Period, ...]
    left_out: int = 0

    def to_dict(self) -> dict[str, Any]:
        """All of it as plain JSON types, None where a number is not known."""
        told: dict[str, Any] = plain(asdict(self))
        return told

    def __str__(self) -> str:
        from avengers_core.learning.rendering import to_text

        return to_text(self)

    def to_html(self) -> str:
        """One self-contained page with pictures; needs the extra ``plot``."""
        from avengers_core.learning.page import to_html

        return to_html(self)

    def save_html(self, path: str | PathLike[str]) -> None:
        """Write :meth:`to_html` to a file.

        Raises:
            ValueError: its name does not end in ``.html``: it may be the log.
        """
        if Path(path).suffix != ".html":
            raise ValueError(f"expected a path that ends in .html, got {Path(path).name}")
        write_whole(Path(path), self.to_html())


def watch(
    log: CallSource,
    artifact: Router | RouterArtifact | str | PathLike[str] | None = None,
    *,
    false_alarm: float = 0.05,
) -> Watch:
    """Compare what was promised with what came, and look for changes; nothing is written.

    Args:
        log: what the plugins' ``log=`` wrote: a path, or its rows.
        artifact: the artifact that the calls were decided with, its path, or a router; default, as
            for :meth:`avengers_core.Router.default`.
        false_alarm: chance, in (0, 1), that an alarm is ever raised in a log in which nothing
            changes, however often it is looked at.

    Raises:
        RecordError: the log cannot be read, or holds no answered call.
        ValueError: ``false_alarm`` is out of range.
    """
    check_number("false_alarm", false_alarm, 0, 1, inside="both")
    router = resolve_router(artifact)
    calls = read_calls(log, router)
    return watch_calls(calls, router.artifact, false_alarm)


def watch_calls(calls: Calls, artifact: RouterArtifact, false_alarm: float) -> Watch:
    """:func:`watch` of calls that have been read."""
    if not len(calls):
        if calls.left_out:
            raise RecordError(
                f"the log's {calls.left_out:,} answered calls keep no texts, and vectors of "
                f"another embedder than the artifact's, {artifact.info.embedder!r}"
            )
        raise RecordError("the log holds no answered call of a model that the artifact knows")
    graded = calls.take(np.isfinite(calls.score))
    by_calls = np.bincount(calls.answered, minlength=len(calls.models))
    promises = [
        _promise(calls.models[j], calls.take(calls.answered == j))
        for j in np.argsort(-by_calls, kind="stable")
        if by_calls[j]
    ]
    whole, unlike = _promise("all", calls), _mean(calls.unlike())
    unlike_error = _Z * float(np.sqrt(unlike * (1 - unlike) / max(len(calls.unlike()), 1)))
    return Watch(
        calls=len(calls),
        graded=len(graded),
        first=float(calls.time[0]),
        last=float(calls.time[-1]),
        promises=(whole, *promises),
        unlike=unlike,
        unlike_error=unlike_error,
        alarms=find_alarms(graded, artifact, false_alarm),
        false_alarm=false_alarm,
        fit_anew=tuple(_reasons(whole, unlike, unlike_error)),
        periods=_periods(calls),
        left_out=calls.left_out,
    )


def _promise(name: str, calls: Calls) -> Promise:
    graded = calls.promised()
    priced = np.isfinite(calls.cost) & np.isfinite(calls.promised_cost)
    return Promise(
        model=name,
        calls=len(calls),
        graded=len(graded),
        promised_score=_mean(graded.promised_score),
        score=_mean(graded.score),
        error=_error(graded.score, graded.promised_score),
        promised_cost=_mean(calls.promised_cost[priced]),
        cost=_mean(calls.cost[priced]),
    )


def _error(score: Floats, promised: Floats) -> float:
    """Half the width of the 95 % interval of the mean difference of n scores and their promises.

    Their own variance is shrunk towards that of scores which are 1 with the promised chance, else
    0: the largest that scores in [0, 1] of that mean have.
    """
    n = len(score)
    if not n:
        return float("nan")
    most = float(np.clip(promised * (1 - promised), 0, None).mean())
    variance = (n * float((score - promised).var()) + _SCATTERED * most) / (n + _SCATTERED)
    return _Z * float(np.sqrt(variance / n))


def _reasons(whole: Promise, unlike: float, error: float) -> Iterator[str]:
    """To fit anew, by what came of all calls, and by the share that is unlike the records."""
    if unlike - error > _MOST_UNLIKE:
        yield f"{unlike:.0%} of the calls are unlike the records, where {UNLIKE:.0%} is usual"
    if whole.off:
        yield f"a score of {whole.promised_score:.3f} was promised, and {whole.score:.3f} came"


def _periods(calls: Calls) -> tuple[Period, ...]:
    span = max(calls.time[-1] - calls.time[0], 1.0)
    length = _DAY if _MOST_PERIODS * _DAY >= span >= 3 * _DAY else max(span / 30, 1.0)
    number = np.floor((calls.time - calls.time[0] * (length != _DAY)) / length)
    found = []
    for period in np.unique(number):
        part = calls.take(number == period)
        graded = part.promised()
        share = np.bincount(part.answered, minlength=len(part.models)) / len(part)
        found.append(
            Period(
                start=float(part.time[0]),
                calls=len(part),
                promised=_mean(graded.promised_score),
                score=_mean(graded.score),
                unlike=_mean(part.unlike()),
                shares={m: float(s) for m, s in zip(part.models, share, strict=True) if s},
            )
        )
    return tuple(found)


def _mean(values: npt.NDArray[Any]) -> float:
    return float(values.mean()) if len(values) else float("nan")
