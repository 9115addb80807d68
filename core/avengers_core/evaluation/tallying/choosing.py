"""What a router chooses for held-out queries, and what that and the baselines come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import numpy.typing as npt

from avengers_core.evaluation.estimating import Guesses
from avengers_core.evaluation.tallying.tally import Tally
from avengers_core.records.outcomes import Outcomes, to_outcomes
from avengers_core.records.record import Records
from avengers_core.records.sources.parts import Items, Part
from avengers_core.routing.engine import Engine
from avengers_core.routing.policy import RoutingCall
from avengers_core.routing.queries import Queries
from avengers_core.routing.ranking import Ranking
from avengers_core.routing.router import Router
from avengers_core.scanning.batches import RecordFilter, Summed

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]


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
    *,
    ranking: Ranking,
) -> Tally:
    """What the choices, teams of the best few, and the baselines come to on n records.

    Args:
        engine: as for :func:`choose`.
        features: as for :func:`choose`.
        call: as for :func:`choose`; above ``n`` = 1, there is a team for each alpha.
        outcomes: the records, with the engine's models as columns.
        choices: what :func:`choose` returns.
        ranking: what :meth:`avengers_core.routing.engine.Engine.expect` returns.
    """
    teams = {
        alpha: _best_few(engine, features, choice, alpha, call)
        for alpha, choice in choices.items()
        if call.n > 1
    }
    return Tally.collect(
        outcomes,
        choices,
        teams,
        call.n,
        relaxed=int(ranking.relaxed.sum()),
        guesses=guesses_of(ranking),
    )


def guesses_of(ranking: Ranking) -> Guesses:
    """What a ranking expects of every model on n queries, whoever is eligible."""
    return Guesses(ranking.score.astype(np.float64), ranking.cost.astype(np.float64))


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


@dataclass(frozen=True)
class TallyJob:
    """Routes a part's records and sums up what the chosen models, and the baselines, did.

    Attributes:
        router: the router.
        datasets: all names that the records have.
        call: limits on models, cost and score, and how many models answer.
        alphas: to route at.
        chosen: which records count.
    """

    router: Router
    datasets: tuple[str, ...]
    call: RoutingCall
    alphas: Sequence[float]
    chosen: RecordFilter
    embeds: ClassVar[bool] = True

    def __call__(self, _number: int, part: Part | Items) -> Summed:
        return self.chosen.sum_up(part, self.router.embed, self._collect)

    def _collect(self, records: Records, queries: Queries) -> Tally:
        router, engine, call = self.router, self.router.engine, self.call
        outcomes = to_outcomes(records, router.models, self.datasets)
        outcomes = outcomes.priced(router.artifact.info.prices)
        features = features_of(router, queries, call)
        choices = choose(engine, features, call, self.alphas)
        ranking = engine.expect(features, call)
        return tally_of(engine, features, call, outcomes, choices, ranking=ranking)
