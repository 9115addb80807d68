"""Learning from a log: its graded calls join the evidence, and what is old fades."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timezone
from os import PathLike

import numpy as np

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.common.ranges import check_number
from avengers_core.learning.changes import Moved, Turned, moved, turned
from avengers_core.learning.fading import HalfLife, as_of, left, seconds, with_calls
from avengers_core.learning.reading import CallSource, read_calls
from avengers_core.learning.watch import Watch, watch_calls
from avengers_core.routing.resolve import resolve_router
from avengers_core.routing.router import Router

# Times are noted to the microsecond.
_TICK = 1e-6


@dataclass(frozen=True)
class Lesson:
    """What a log has taught.

    Attributes:
        artifact: with the graded calls among its evidence.
        learnt: calls that joined it now.
        faded: what the evidence of before counts now, in [0, 1].
        moved: each model's expected score and cost, before and now, those that moved most first.
        turned: clusters that decide otherwise now, the largest first.
        redirected: share of the log's calls that would go to another model now.
        alpha: the weight at which ``turned`` and ``redirected`` decide: the log's median.
        watch: how the log fares against what was promised.
    """

    artifact: RouterArtifact
    learnt: int
    faded: float
    moved: tuple[Moved, ...]
    turned: tuple[Turned, ...]
    redirected: float
    alpha: float
    watch: Watch

    def __str__(self) -> str:
        from avengers_core.learning.rendering import lesson_text

        return lesson_text(self)


def learn(
    log: CallSource,
    artifact: Router | RouterArtifact | str | PathLike[str] | None = None,
    *,
    half_life: HalfLife | None = None,
    false_alarm: float = 0.05,
) -> Lesson:
    """Add the graded calls of a log to an artifact, under the same clusters.

    The sums grow as by :meth:`avengers_core.artifact.artifact.RouterArtifact.update`, chances
    included. With a half-life, each call counts ``2 ** -(age / half_life)``, its age that at the
    last grade of the log; and the artifact's own sums, which bear no dates, count as evidence of
    the day on which it was made, then of the last grade that it has learnt; see
    :meth:`avengers_core.artifact.artifact.RouterArtifact.faded` for what is kept. A call is learnt
    once: those that were first graded before the artifact's ``info.learnt_until`` are left out,
    also if they have been graded again.

    Args:
        log: what the plugins' ``log=`` wrote: a path, or its calls.
        artifact: what to learn on, its path, or a router; default, as for
            :meth:`avengers_core.Router.default`.
        half_life: such as ``"30d"``, ``"12h"``, ``"4w"``, or a timedelta; None: nothing fades.
        false_alarm: as for :func:`avengers_core.learning.watch`.

    Raises:
        RecordError: the log cannot be read, or holds no answered call.
        ValueError: the half-life is none, or ``false_alarm`` is out of range.
    """
    check_number("false_alarm", false_alarm, 0, 1, inside="both")
    period = None if half_life is None else seconds(half_life)
    router = resolve_router(artifact)
    before = router.artifact
    calls = read_calls(log, router)
    seen = watch_calls(calls, before, false_alarm)
    known_until = as_of(before) if before.info.learnt_until else -np.inf
    new = calls.take(np.isfinite(calls.score) & (calls.graded - known_until > _TICK))
    alpha = float(np.nanmedian(calls.alpha))
    if not len(new):
        own = Router(before)
        return Lesson(before, 0, 1.0, moved(own, own), (), 0.0, alpha, seen)
    until = max(float(new.graded.max()), as_of(before))
    after = with_calls(before, new, until, period)
    info = after.info.model_copy(update={"learnt_until": _text(until)})
    after = replace(after, info=info)
    routers = Router(before), Router(after)
    chosen = [r.route_vectors(calls.queries, alpha=alpha) for r in routers]
    return Lesson(
        artifact=after,
        learnt=len(new),
        faded=left(as_of(before), until, period),
        moved=moved(*routers),
        turned=turned(*routers, alpha),
        redirected=float((chosen[0] != chosen[1]).mean()),
        alpha=alpha,
        watch=seen,
    )


def _text(moment: float) -> str:
    return datetime.fromtimestamp(moment, timezone.utc).isoformat("T", "microseconds")
