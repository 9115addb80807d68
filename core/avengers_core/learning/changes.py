"""What routers of two artifacts with the same clusters think differently."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from avengers_core.routing.call import RoutingCall
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


def moved(before: Router, after: Router) -> tuple[Moved, ...]:
    """Each model's expected score and cost, those that moved most first."""
    # Both over the clusters' present sizes: what moved is the models, not the mix of questions.
    size = after.scorer.statistics.size
    weight = size / max(size.sum(), 1e-12)
    unknown = np.nan, np.nan
    old, new = (_overall(router, weight) for router in (before, after))
    rows = [
        Moved(model, old.get(model, unknown)[0], score, old.get(model, unknown)[1], cost)
        for model, (score, cost) in new.items()
    ]
    return tuple(sorted(rows, key=lambda r: -np.nan_to_num(abs(r.score - r.score_before), nan=2)))


def turned(before: Router, after: Router, alpha: float) -> tuple[Turned, ...]:
    """The clusters that decide otherwise at an alpha, the largest first."""
    statistics, datasets = after.scorer.statistics, after.artifact.datasets
    size = statistics.size
    found = [
        Turned(c, statistics.most_frequent(c, datasets), float(size[c] / size.sum()), a, b)
        for c, (a, b) in enumerate(zip(*(_choices(r, alpha) for r in (before, after)), strict=True))
        if a != b and size[c] > 0
    ]
    return tuple(sorted(found, key=lambda turn: -turn.share))


def _overall(router: Router, weight: np.ndarray) -> dict[str, tuple[float, float]]:
    engine = router.engine
    ranking = engine.rank(engine.scorer.center_features(), 0.5, RoutingCall().relaxed)
    both = zip(weight @ ranking.score, weight @ ranking.cost, strict=True)
    return dict(zip(router.models, ((float(s), float(c)) for s, c in both), strict=True))


def _choices(router: Router, alpha: float) -> list[str]:
    engine = router.engine
    best = engine.choose(engine.scorer.center_features(), alpha, RoutingCall().relaxed)
    return [router.models[int(j)] for j in best]
