"""What two artifacts with the same clusters think differently."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.routing.policy import RoutingCall
from avengers_core.routing.router import Router


class Moved(NamedTuple):
    """A model in the eyes of both, over all clusters.

    Attributes:
        model: its id.
        score_before: expected score; NaN where the model was not known.
        score: and now.
        cost_before: USD a call; NaN where unknown.
        cost: and now.
    """

    model: str
    score_before: float
    score: float
    cost_before: float
    cost: float


class Turned(NamedTuple):
    """A cluster in whose middle another model is chosen now.

    Attributes:
        cluster: its number.
        topics: the datasets that it is mostly made of.
        share: of all records that are in it, in [0, 1].
        before: the model chosen before.
        now: and now.
    """

    cluster: int
    topics: tuple[str, ...]
    share: float
    before: str
    now: str


def moved(before: RouterArtifact, after: RouterArtifact) -> tuple[Moved, ...]:
    """Each model's expected score and cost, those that moved most first."""
    # Both over the clusters' present sizes: what moved is the models, not the mix of questions.
    size = Router(after).scorer.statistics.size
    old, new = (_overall(Router(artifact), size) for artifact in (before, after))
    rows = [Moved(m, old[m][0], new[m][0], old[m][1], new[m][1]) for m in after.models if m in old]
    rows += [Moved(m, np.nan, *new[m][:1], np.nan, new[m][1]) for m in new if m not in old]
    return tuple(sorted(rows, key=lambda r: -np.nan_to_num(abs(r.score - r.score_before), nan=2)))


def turned(before: RouterArtifact, after: RouterArtifact, alpha: float) -> tuple[Turned, ...]:
    """The clusters that decide otherwise at an alpha, the largest first."""
    routers = Router(before), Router(after)
    chosen = [_choices(router, alpha) for router in routers]
    size = routers[1].scorer.statistics.size
    topics = routers[1].scorer.statistics
    found = [
        Turned(c, topics.most_frequent(c, after.datasets), float(size[c] / size.sum()), a, b)
        for c, (a, b) in enumerate(zip(*chosen, strict=True))
        if a != b and size[c] > 0
    ]
    return tuple(sorted(found, key=lambda turn: -turn.share))


def _overall(router: Router, size: np.ndarray) -> dict[str, tuple[float, float]]:
    engine = router.engine
    ranking = engine.rank(engine.scorer.center_features(), 0.5, RoutingCall().relaxed)
    weight = size / max(size.sum(), 1e-12)
    score, cost = weight @ ranking.score, weight @ ranking.cost
    return {m: (float(score[j]), float(cost[j])) for j, m in enumerate(router.models)}


def _choices(router: Router, alpha: float) -> list[str]:
    engine = router.engine
    best = engine.choose(engine.scorer.center_features(), alpha, RoutingCall().relaxed)
    return [router.models[int(j)] for j in best]
