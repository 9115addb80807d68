"""What a router chooses for held-out queries, and what that and the baselines come to."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from avengers_core.common.arrays import Floats, Ints, Mask
from avengers_core.evaluation.estimating import Guesses
from avengers_core.evaluation.tallying.tally import Tally
from avengers_core.records.outcomes import Outcomes, to_outcomes
from avengers_core.records.record import Records
from avengers_core.records.sources.parts import Items, Part
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.queries import Queries
from avengers_core.routing.router import Router
from avengers_core.scanning.batches import RecordFilter, Summed


class HeldOut:
    """Held-out records as a router sees them, whatever alpha.

    Args:
        router: the router.
        call: limits on models, cost and score, how long the prompts are, and how many models
            answer: above ``n`` = 1, there is a team for each alpha.
        queries: of the records, from :meth:`Router.embed`.
        outcomes: the n records, with the router's models as columns.

    Attributes:
        features: (n, F) what the router's scorer makes of the queries.
        guesses: what is expected of every model, whoever is eligible.

    Raises:
        ValueError: a vector holds NaN or infinity.
    """

    def __init__(
        self, router: Router, call: RoutingCall, queries: Queries, outcomes: Outcomes
    ) -> None:
        finite = np.isfinite(queries.vectors).all(axis=1)
        if not finite.all():
            raise ValueError(f"the vector in row {finite.argmin()} holds NaN or infinite values")
        self.outcomes, self._engine, self._call = outcomes, router.engine, call
        self.features: Floats = router.scorer.features(router.queries(queries, call))
        ranking = router.engine.expect(self.features, call)
        self._relaxed = int(ranking.relaxed.sum())
        self.guesses = Guesses(ranking.score.astype(np.float64), ranking.cost.astype(np.float64))

    def choices(self, alphas: Iterable[float]) -> dict[float, Ints]:
        """alpha -> (n,) column of the model that is chosen for each query.

        Raises:
            NoEligibleModelError: the limits leave nobody for a query.
        """
        return {a: self._engine.choose(self.features, a, self._call) for a in alphas}

    def tally(self, choices: Mapping[float, Ints]) -> Tally:
        """What choices, teams of the best few, and the baselines come to."""
        n = self._call.n
        teams = {a: self._best_few(choice, a) for a, choice in choices.items() if n > 1}
        return Tally.collect(
            self.outcomes, choices, teams, n, relaxed=self._relaxed, guesses=self.guesses
        )

    def _best_few(self, choice: Ints, alpha: float) -> Mask:
        """(n, M) the best eligible models for each query, as many as the call wants."""
        utility = self._engine.rank(self.features, alpha, self._call).eligible_utility
        few = np.zeros(utility.shape, dtype=np.bool_)
        order = np.argsort(-utility, axis=1, kind="stable")[:, : self._call.n]
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

    def __call__(self, _number: int, part: Part | Items) -> Summed:
        return self.chosen.sum_up(part, self.router.embed, self._collect)

    def _collect(self, records: Records, queries: Queries) -> Tally:
        outcomes = to_outcomes(records, self.router.models, self.datasets)
        outcomes = outcomes.priced(self.router.artifact.info.prices)
        held_out = HeldOut(self.router, self.call, queries, outcomes)
        return held_out.tally(held_out.choices(self.alphas))
