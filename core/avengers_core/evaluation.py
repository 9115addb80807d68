"""Held-out evaluation: what a router would have scored and cost, against every baseline."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core.alpha_path import curve, find_path
from avengers_core.artifact import RouterArtifact
from avengers_core.calls import make_call
from avengers_core.errors import RecordError
from avengers_core.outcomes import Outcomes, to_outcomes
from avengers_core.records import Records, Source, as_records
from avengers_core.report import Average, Report
from avengers_core.router import Router
from avengers_core.tally import Tally

Floats = npt.NDArray[np.floating]

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
    call = make_call(**constraints)
    features = router.scorer.features(router.points(vectors, call.prompt_tokens))
    path = find_path(router.engine, features, call)
    group = outcomes.dataset if average == "dataset" else None
    return Report(
        rows=Tally.collect(outcomes, choices).rows(average),
        curve=curve(path, router.models, outcomes.scores, outcomes.costs, group=group),
        average=average,
        scorer=router.scorer.name,
        n_queries=len(outcomes),
        outcomes=outcomes,
        choices=choices,
    )
