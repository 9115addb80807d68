"""Which models to keep: the best subset of a pool, for a given size (arXiv 2505.19797)."""

from __future__ import annotations

import math
import os
from collections.abc import Collection
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.common.arrays import Floats
from avengers_core.common.ranges import check_number, check_whole
from avengers_core.records.names import check_list, meant
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.resolve import resolve_router
from avengers_core.routing.router import Router

# Up to so many subsets all are tried; beyond, models are added one by one.
MAX_EXHAUSTIVE = 20_000


@dataclass(frozen=True)
class Subset:
    """A pool of models chosen from a larger one.

    Attributes:
        models: the ids, in the artifact's order.
        utility: mean utility when every cluster is answered by the best of them that is eligible
            there; far below zero where no pool of this size can answer every cluster.
        expected_score: mean expected score of those choices, in [0, 1].
        expected_cost: and their mean expected cost, USD a call; NaN where that of a choice is not
            known.
        all_score: what the whole pool would be expected to score at the same alpha.
        exhaustive: whether every subset was tried, or models were added greedily.
    """

    models: tuple[str, ...]
    utility: float
    expected_score: float
    expected_cost: float
    all_score: float
    exhaustive: bool


def best_subset(
    router: Router | RouterArtifact | str | os.PathLike[str],
    size: int,
    *,
    alpha: float = 1.0,
    keep: Collection[str] = (),
) -> Subset:
    """The pool of ``size`` models that routes best: few keys to hold, few servers to run.

    The mean utility of a pool, where each cluster is answered by the best model of the pool, is a
    submodular function of the pool, so adding one model at a time comes within 1 - 1/e of the best
    pool (Nemhauser, Wolsey & Fisher 1978); small problems are solved by trying all.

    Args:
        router: its artifact's clusters, weighed by their records, stand for future queries; or the
            artifact, or its path.
        size: how many models to keep, at least 1.
        alpha: weight of expected score against expected cost that the pool is for.
        keep: models that must be in it.

    Raises:
        ValueError: size or alpha out of range, or ``keep`` a text, or with an unknown model.
    """
    router = resolve_router(router)
    models = router.models
    check_whole("size", size, 1, len(models), "the artifact has no more models")
    check_number("alpha", alpha, 0, 1)
    check_list("keep", keep)
    keep = set(keep)
    if unknown := sorted(keep - set(models)):
        raise ValueError(
            f"the artifact has no model {unknown}{meant(unknown, models)}; it has {list(models)}"
        )
    if len(keep) > size:
        raise ValueError(f"keep names {len(keep)} models, size is {size}")
    utility, score, cost, weight = _tables(router, alpha)
    fixed = sorted(models.index(m) for m in keep)
    free = [j for j in range(len(models)) if j not in fixed]
    exhaustive = math.comb(len(free), size - len(fixed)) <= MAX_EXHAUSTIVE
    if exhaustive:
        chosen = max(
            ([*fixed, *extra] for extra in combinations(free, size - len(fixed))),
            key=lambda pool: _value(utility, weight, pool),
        )
    else:
        chosen = _greedy(utility, weight, fixed, free, size)
    chosen = sorted(chosen)
    rows = np.arange(len(utility))
    best = np.array(chosen)[np.argmax(utility[:, chosen], axis=1)]
    best_of_all = np.argmax(utility, axis=1)
    return Subset(
        models=tuple(models[j] for j in chosen),
        utility=_value(utility, weight, chosen),
        expected_score=float(weight @ score[rows, best]),
        expected_cost=float(weight @ cost[rows, best]),
        all_score=float(weight @ score[rows, best_of_all]),
        exhaustive=exhaustive,
    )


def _tables(router: Router, alpha: float) -> tuple[Floats, Floats, Floats, Floats]:
    """Utility, score and cost of each model at each cluster's center, and the clusters' shares."""
    engine, size = router.engine, router.scorer.statistics.size
    features = engine.scorer.center_features()[size > 0]
    ranking = engine.rank(features, alpha, RoutingCall().relaxed)
    utility = ranking.eligible_utility
    # A cluster that nobody in the pool can answer costs more than any choice of models gains.
    known = utility[np.isfinite(utility)]
    unanswered = known.min() - len(size) * (np.ptp(known) + 1) if len(known) else 0.0
    return (
        np.where(np.isfinite(utility), utility, unanswered),
        ranking.score,
        ranking.cost,
        size[size > 0] / size.sum(),
    )


def _greedy(
    utility: Floats, weight: Floats, fixed: list[int], free: list[int], size: int
) -> list[int]:
    pool, left = list(fixed), list(free)
    while len(pool) < size:
        added = max(left, key=lambda j: _value(utility, weight, [*pool, j]))
        pool.append(added)
        left.remove(added)
    return pool


def _value(utility: Floats, weight: Floats, pool: list[int]) -> float:
    return float(weight @ utility[:, pool].max(axis=1))
