"""A decision as a view of one row of a ranking."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from avengers_core.common.arrays import Floats
from avengers_core.common.functions import cached_property
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.decision import Basis, RoutingDecision
from avengers_core.routing.decision.candidates import Candidate, ClusterVote
from avengers_core.routing.engine import FAMILIARITY, Engine
from avengers_core.routing.ranking import Ranking


class RankedDecision(RoutingDecision):
    """The decision for one row of a ranking, written out where it is looked at.

    Most callers only want :attr:`model`. A copy, and what comes of a pickle, is written out.

    Args:
        engine: that made the ranking.
        features: (n, F) that it was made of.
        ranking: of n queries.
        row: which of them.
        alpha: that it was made at.
        call: that it was made for.
    """

    def __init__(
        self,
        engine: Engine,
        features: Floats,
        ranking: Ranking,
        row: int,
        alpha: float,
        *,
        call: RoutingCall,
    ) -> None:
        self._engine, self._features, self._call = engine, features, call
        self._rows, self._row, self.alpha = ranking, row, alpha

    @cached_property
    def scorer(self) -> str:
        return self._engine.scorer.name

    @cached_property
    def n(self) -> int:
        return self._call.n

    @cached_property
    def prompt_tokens(self) -> int | None:
        return self._call.prompt_tokens

    @cached_property
    def model(self) -> str:
        return self._rows.models[self._rows.best.item(self._row)]

    @cached_property
    def ranking(self) -> tuple[str, ...]:
        models = self._rows.models
        return tuple([models[j] for j in self._rows.order(self._row)])

    def _candidate(self, model: str) -> Candidate:
        return self._rows.candidate(self._row, self._rows.models.index(model))

    @cached_property
    def candidates(self) -> tuple[Candidate, ...]:
        return self._rows.candidates(self._row)

    def _expected(self) -> tuple[tuple[str, ...], Floats]:
        return self._rows.models, self._rows.expected(self._row).copy()

    @cached_property
    def ineligible(self) -> Mapping[str, str]:
        return self._rows.ineligible(self._row)

    @cached_property
    def clusters(self) -> tuple[ClusterVote, ...]:
        return self._engine.votes(self._features[self._row])

    @cached_property
    def basis(self) -> Basis:
        return "unfamiliar" if self._rows.is_unfamiliar(self._row) else "query"

    @cached_property
    def relaxed(self) -> bool:
        return self._rows.is_relaxed(self._row)

    @cached_property
    def familiarity(self) -> float | None:
        if not self._engine.scorer.knows_familiarity:
            return None
        return self._features.item(self._row, FAMILIARITY)

    def plausible(self) -> Mapping[str, npt.NDArray[np.floating]]:
        draws = self._engine.plausible_scores(self._features[self._row : self._row + 1])[0]
        return dict(zip(self._rows.models, draws.T, strict=True))


def decided(
    engine: Engine, features: Floats, alpha: float, call: RoutingCall
) -> list[RoutingDecision]:
    """The decisions for n queries, and whether what a provider has read before made them.

    Args:
        engine: that ranks the models.
        features: (n, F) of its scorer.
        alpha: the weight of expected score against expected cost.
        call: what is asked.

    Raises:
        NoEligibleModelError: nobody is eligible for one of them.
        ValueError: a limit out of range.
    """
    ranking = engine.rank(features, alpha, call)
    decisions: list[RoutingDecision] = [
        RankedDecision(engine, features, ranking, row, alpha, call=call)
        for row in range(len(features))
    ]
    if call.cached_tokens:
        unread = engine.choose(features, alpha, call.uncached.relaxed).tolist()
        for decision, other in zip(decisions, unread, strict=True):
            decision.stayed = decision.model != engine.artifact.models[other]
    return decisions
