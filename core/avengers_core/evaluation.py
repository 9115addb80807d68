"""Held-out evaluation: what a router would have scored and cost, against every baseline."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core.alpha_path import curve, find_path
from avengers_core.artifact import RouterArtifact
from avengers_core.calls import make_call
from avengers_core.errors import RecordError
from avengers_core.records import Outcomes, Records, Source, as_records, to_outcomes
from avengers_core.report import Average, Report, Row, query_weights, router_name, weighted_mean
from avengers_core.router import Router

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

DEFAULT_ALPHAS = (0.0, 0.25, 0.4, 0.53, 0.8, 1.0)


def evaluate(
    router: Router | RouterArtifact,
    records: Records | Source,
    alphas: Iterable[float] = DEFAULT_ALPHAS,
    *,
    average: Average = "dataset",
    **constraints: Any,
) -> Report:
    """Route held-out records and add up what the chosen models scored and cost.

    Args:
        router: the router, or an artifact for a router with its defaults.
        records: records it was not fitted on; what :func:`avengers_core.load_records` returns or
            takes.
        alphas: those to make rows for; the curve and the metrics cover all of [0, 1] anyway.
        average: what accuracy means in the metrics: ``"dataset"``, each dataset counts the same
            (the published tables), or ``"query"``.
        constraints: as for :meth:`Router.route`: ``models``, ``exclude``, ``max_cost``,
            ``min_score``.

    Raises:
        RecordError: no records, or none that scores the router's models.
        NoEligibleModelError: the constraints leave nobody.
    """
    if isinstance(router, RouterArtifact):
        router = Router(router)
    outcomes = to_outcomes(as_records(records), router.models)
    if not len(outcomes) or np.isnan(outcomes.scores).all():
        raise RecordError(
            f"there are no records that score any of the router's models {list(router.models)}"
        )
    vectors = router.embed(outcomes.queries)
    return evaluate_vectors(router, vectors, outcomes, alphas, average=average, **constraints)


def evaluate_vectors(
    router: Router,
    vectors: Floats,
    outcomes: Outcomes,
    alphas: Iterable[float] = DEFAULT_ALPHAS,
    *,
    average: Average = "dataset",
    **constraints: Any,
) -> Report:
    """:func:`evaluate` where the queries are embedded already.

    Args:
        router: the router.
        vectors: (n, d + 11) of the queries, from :meth:`Router.embed`.
        outcomes: the n held-out records, with the router's models as columns.
        alphas: as for :func:`evaluate`.
        average: as for :func:`evaluate`.
        constraints: as for :func:`evaluate`.
    """
    choices = {
        float(alpha): router.route_vectors(vectors, alpha=alpha, **constraints) for alpha in alphas
    }
    features = router.scorer.features(router.points(vectors))
    path = find_path(router.engine, features, make_call(**constraints))
    weights = query_weights(outcomes, average)
    rows = [*_singles(outcomes)]
    rows += [
        _row(router_name(alpha), "router", outcomes, choice, alpha)
        for alpha, choice in choices.items()
    ]
    rows += _baselines(outcomes, weights)
    return Report(
        rows=tuple(rows),
        curve=curve(path, router.models, outcomes.scores, outcomes.costs, weight=weights),
        average=average,
        scorer=router.scorer.name,
        outcomes=outcomes,
        choices=choices,
    )


def _singles(outcomes: Outcomes) -> Iterator[Row]:
    for j, model in enumerate(outcomes.models):
        yield _row(model, "model", outcomes, np.full(len(outcomes), j))


def _baselines(outcomes: Outcomes, weights: Floats) -> Iterator[Row]:
    """Best single, cheapest, per-dataset best, per-query oracle, random."""
    score = np.where(np.isnan(outcomes.scores), -np.inf, outcomes.scores)
    cost = np.where(np.isnan(outcomes.costs), np.inf, outcomes.costs)
    mean_score = np.array([weighted_mean(s, weights) for s in outcomes.scores.T])
    mean_cost = np.array([weighted_mean(c, np.ones(len(c))) for c in outcomes.costs.T])
    n = len(outcomes)
    yield _row("best single", "baseline", outcomes, np.full(n, np.nanargmax(mean_score)))
    if not np.isnan(mean_cost).all():
        yield _row("cheapest", "baseline", outcomes, np.full(n, np.nanargmin(mean_cost)))
    per_dataset = np.zeros(n, dtype=np.int64)
    for d in np.unique(outcomes.dataset):
        members = outcomes.dataset == d
        means = [weighted_mean(s, np.ones(members.sum())) for s in outcomes.scores[members].T]
        per_dataset[members] = int(np.argmax(np.nan_to_num(means, nan=-np.inf)))
    yield _row("best per dataset", "baseline", outcomes, per_dataset)
    # The best score, and of those who reach it the cheapest.
    is_best = score == score.max(axis=1, keepdims=True)
    yield _row("oracle", "baseline", outcomes, np.argmin(np.where(is_best, cost, np.inf), axis=1))
    yield _average_row("random", outcomes)


def _row(name: str, kind: str, outcomes: Outcomes, choice: Ints, alpha: float | None = None) -> Row:
    rows = np.arange(len(outcomes))
    shares = np.bincount(choice, minlength=len(outcomes.models)) / len(outcomes)
    return _make_row(
        name,
        kind,
        outcomes,
        score=outcomes.scores[rows, choice],
        cost=outcomes.costs[rows, choice],
        shares=shares,
        alpha=alpha,
    )


def _average_row(name: str, outcomes: Outcomes) -> Row:
    """The expectation of choosing uniformly at random."""

    def mean_of_known(values: Floats) -> Floats:
        known = ~np.isnan(values)
        count = known.sum(axis=1)
        total = np.where(known, values, 0.0).sum(axis=1)
        mean: Floats = np.divide(total, count, out=np.full(len(values), np.nan), where=count > 0)
        return mean

    m = len(outcomes.models)
    return _make_row(
        name,
        "baseline",
        outcomes,
        score=mean_of_known(outcomes.scores),
        cost=mean_of_known(outcomes.costs),
        shares=np.full(m, 1 / m),
    )


def _make_row(
    name: str,
    kind: str,
    outcomes: Outcomes,
    *,
    score: Floats,
    cost: Floats,
    shares: Floats,
    alpha: float | None = None,
) -> Row:
    ones = np.ones(len(score))
    accuracy = {}
    for d in np.unique(outcomes.dataset).tolist():
        members = outcomes.dataset == d
        accuracy[outcomes.datasets[d]] = weighted_mean(score[members], ones[members])
    by_dataset = np.array(list(accuracy.values()))
    return Row(
        name=name,
        kind=kind,
        accuracy=dict(sorted(accuracy.items())),
        dataset_mean=weighted_mean(by_dataset, np.ones(len(by_dataset))),
        query_mean=weighted_mean(score, ones),
        mean_cost=weighted_mean(cost, ones),
        total_cost=float(np.nansum(cost)) if not np.isnan(cost).all() else float("nan"),
        shares={m: float(s) for m, s in zip(outcomes.models, shares, strict=True)},
        alpha=alpha,
    )
