"""Held-out evaluation: what a router would have scored and cost, against every baseline."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core import __version__
from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.errors import RecordError
from avengers_core.evaluation.report import Report
from avengers_core.evaluation.results import Average
from avengers_core.evaluation.tally import Tally
from avengers_core.records.outcomes import Outcomes, to_outcomes
from avengers_core.records.record import Records, Source, as_records
from avengers_core.routing.alpha_path import curve, find_path
from avengers_core.routing.engine import Engine
from avengers_core.routing.policy import NUMBERS, RoutingCall
from avengers_core.routing.queries import Queries
from avengers_core.routing.resolve import resolve_router
from avengers_core.routing.router import Router

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]

DEFAULT_ALPHAS = (0.0, 0.25, 0.4, 0.53, 0.8, 1.0)


def evaluate(
    router: Router | RouterArtifact | str | os.PathLike[str],
    records: Records | Source,
    alphas: Iterable[float] = DEFAULT_ALPHAS,
    *,
    average: Average = "dataset",
    n: int = 1,
    **constraints: Any,
) -> Report:
    """Route held-out records and add up what the chosen models scored and cost.

    Args:
        router: the router; or an artifact or its path, for a router with its defaults.
        records: records it was not fitted on; what :func:`avengers_core.load_records` returns or
            takes.
        alphas: those to make rows for; the curve and the metrics cover all of [0, 1] anyway.
        average: what accuracy means in the metrics: ``"dataset"``, each dataset counts the same
            (the published tables), or ``"query"``.
        n: how many models answer each query (the published ``max_router``). Above 1, each alpha
            has a further row, ``"best of n"``: the best score among the n best models, at the cost
            of all of them.
        constraints: as for :meth:`Router.route`: ``models``, ``exclude``, ``max_cost``,
            ``min_score``, ``on_empty``.

    Raises:
        RecordError: no records, or none that scores the router's models.
        NoEligibleModelError: the constraints leave nobody.
    """
    router = resolve_router(router)
    _, at = asked(router, alphas, n=n, **constraints)  # before the work, not after it
    records = as_records(records)
    outcomes = to_outcomes(records, router.models)
    if not len(outcomes) or np.isnan(outcomes.scores).all():
        raise nothing_to_compare(router)
    queries = router.embed(outcomes.queries)
    report = evaluate_queries(router, queries, outcomes, at, average=average, n=n, **constraints)
    return replace(report, setup={**report.setup, "missing": records.missing})


def evaluate_queries(
    router: Router,
    queries: Queries,
    outcomes: Outcomes,
    alphas: Iterable[float] = DEFAULT_ALPHAS,
    *,
    average: Average = "dataset",
    n: int = 1,
    **constraints: Any,
) -> Report:
    """:func:`evaluate` where the queries are embedded already.

    Args:
        router: the router.
        queries: n queries, from :meth:`Router.embed`.
        outcomes: the n held-out records, with the router's models as columns.
        alphas: as for :func:`evaluate`.
        average: as for :func:`evaluate`.
        n: as for :func:`evaluate`.
        constraints: as for :func:`evaluate`.
    """
    call, at = asked(router, alphas, n=n, **constraints)
    engine, features = router.engine, features_of(router, queries, call)
    choices = choose(engine, features, call, at)
    tally = tally_of(engine, features, call, outcomes, choices)
    path = find_path(engine, features, call)
    group = outcomes.dataset if average == "dataset" else None
    return Report(
        rows=tally.rows(average),
        curve=curve(path, router.models, outcomes.scores, outcomes.costs, group=group),
        average=average,
        scorer=router.scorer.name,
        n_queries=len(outcomes),
        outcomes=outcomes,
        choices=choices,
        relaxed=tally.relaxed,
        setup=setup_of(router, call),
    )


def setup_of(router: Router, call: RoutingCall) -> dict[str, Any]:
    """How an evaluation is made, as plain JSON types.

    Args:
        router: the router, whose artifact says how it was fitted.
        call: what is asked of it; its own alpha does not matter.
    """
    artifact, info, policy = router.artifact, router.artifact.info, call.policy
    limits = {
        "models": policy.models,
        "exclude": policy.exclude or None,
        "unavailable": call.unavailable or None,
        **{name: getattr(policy, name) for name in NUMBERS},
        "prompt_tokens": call.prompt_tokens,
    }
    made = {
        "version": __version__,
        "embedder": info.embedder,
        "clusters": artifact.n_clusters,
        "fit_records": artifact.n_records,
        "fit_source": info.source,
        "fit_options": info.fit,
        "fit_version": info.version,
        "scorer": router.scorer.name,
        "scorer_options": router.scorer.options,
        "limits": {k: v for k, v in limits.items() if v is not None},
        "on_empty": policy.on_empty,
        "models_a_query": call.n,
    }
    return {key: _plain(value) for key, value in made.items()}


def _plain(value: Any) -> Any:
    """JSON types for mappings, collections of names, in a lasting order, and numbers."""
    if isinstance(value, Mapping):
        return {key: _plain(one) for key, one in value.items()}
    if isinstance(value, Collection) and not isinstance(value, str):
        return sorted(value)
    return value.item() if isinstance(value, np.generic) else value


def nothing_to_compare(router: Router) -> RecordError:
    """What is raised where records say nothing of a router's models."""
    return RecordError(
        f"there are no records that score any of the router's models {list(router.models)}"
    )


def asked(
    router: Router, alphas: Iterable[float], **arguments: Any
) -> tuple[RoutingCall, tuple[float, ...]]:
    """What is asked of a router at some alphas, checked.

    Args:
        router: the router.
        alphas: each in [0, 1].
        arguments: as for :meth:`Router.route`, but for alpha.

    Returns:
        The call, whose own alpha does not matter, and the alphas, each once.

    Raises:
        ValueError: an argument out of range.
        TypeError: an argument that is not known.
    """
    if "alpha" in arguments:
        raise TypeError("evaluate() takes alphas=[...], several at once, not alpha=")
    call = RoutingCall.of(**arguments)
    at = dict.fromkeys(call.policy._replace(alpha=float(alpha)).own_alpha for alpha in alphas)
    router.check(**arguments)
    return call, tuple(at)


def features_of(router: Router, queries: Queries, call: RoutingCall) -> Floats:
    """(n, F) what the router's scorer makes of queries, the same at every alpha.

    Args:
        router: the router.
        queries: from :meth:`Router.embed`.
        call: which knows how long the prompts are.

    Raises:
        ValueError: a vector holds NaN or infinity.
    """
    finite = np.isfinite(queries.vectors).all(axis=1)
    if not finite.all():
        raise ValueError(f"the vector in row {finite.argmin()} holds NaN or infinite values")
    return router.scorer.features(router.queries(queries, call))


def choose(
    engine: Engine, features: Floats, call: RoutingCall, alphas: Iterable[float]
) -> dict[float, Ints]:
    """alpha -> (n,) column of the model that is chosen for each of n queries.

    Args:
        engine: the router's.
        features: (n, F) from :func:`features_of`.
        call: limits on models, cost and score.
        alphas: those to choose at.

    Raises:
        NoEligibleModelError: the limits leave nobody for a query.
    """
    return {alpha: engine.choose(features, alpha, call) for alpha in alphas}


def tally_of(
    engine: Engine,
    features: Floats,
    call: RoutingCall,
    outcomes: Outcomes,
    choices: Mapping[float, Ints],
) -> Tally:
    """What the choices, teams of the best few, and the baselines come to on n records.

    Args:
        engine: as for :func:`choose`.
        features: as for :func:`choose`.
        call: as for :func:`choose`; above ``n`` = 1, there is a team for each alpha.
        outcomes: the records, with the engine's models as columns.
        choices: what :func:`choose` returns.
    """
    teams = {
        alpha: _best_few(engine, features, choice, alpha, call)
        for alpha, choice in choices.items()
        if call.n > 1
    }
    relaxed = engine.rank(features, call.policy.own_alpha, call.relaxed).relaxed
    return Tally.collect(outcomes, choices, teams, call.n, int(relaxed.sum()))


def _best_few(
    engine: Engine, features: Floats, choice: Ints, alpha: float, call: RoutingCall
) -> npt.NDArray[np.bool_]:
    """(n, M) the best eligible models for each query, as many as the call wants."""
    utility = engine.rank(features, alpha, call).eligible_utility
    few = np.zeros(utility.shape, dtype=np.bool_)
    order = np.argsort(-utility, axis=1, kind="stable")[:, : call.n]
    np.put_along_axis(few, order, True, axis=1)
    few &= ~np.isneginf(utility)
    few[np.arange(len(few)), choice] = True  # also where limits were relaxed
    return few
