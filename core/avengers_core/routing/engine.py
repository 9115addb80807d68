"""From vectors to decisions: one artifact, one scorer, no text."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache, partial
from math import isnan
from operator import attrgetter
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.parallel import in_parallel
from avengers_core.routing.calls import Call
from avengers_core.routing.decision import Basis, Candidate, ClusterVote, RoutingDecision
from avengers_core.routing.eligibility import SLACK, Constraints, nobody
from avengers_core.routing.scoring import Points, Scorer

Floats = npt.NDArray[np.floating]

# Votes reported in a decision: the largest few, none below this share.
_MOST_VOTES, _LEAST_VOTE = 5, 0.02
# Queries per block: their features stay in the processor's cache.
_BLOCK = 4096
_UTILITY = attrgetter("utility")
# Thirteen calls of Candidate itself would take longer than all else that a decision needs.
_as_candidate = partial(tuple.__new__, Candidate)


class Estimate:
    """What is expected of M models on n queries, side by side in one array.

    Attributes:
        together: (n, 4M) utility, expected score, expected cost (USD, NaN where unknown), and
            support: how far the model has records where the query lands.
    """

    def __init__(self, together: Floats) -> None:
        self.together = together
        self._m = together.shape[1] // 4

    @property
    def utility(self) -> Floats:
        """(n, M) what the ranking is by."""
        return self.together[:, : self._m]

    @property
    def score(self) -> Floats:
        """(n, M) expected score."""
        return self.together[:, self._m : 2 * self._m]

    @property
    def cost(self) -> Floats:
        """(n, M) expected cost, USD; NaN where unknown."""
        return self.together[:, 2 * self._m : 3 * self._m]

    @property
    def support(self) -> Floats:
        """(n, M) support, in [0, 1]."""
        return self.together[:, 3 * self._m :]


class Engine:
    """Routes vectors with one artifact and one scorer; immutable but for what it remembers.

    Attributes:
        artifact: the artifact.
        scorer: the scorer.
        n_clusters: how many clusters vote.
        alphas: target and limits -> the alpha that was found to meet them.
    """

    def __init__(self, artifact: RouterArtifact, scorer: Scorer) -> None:
        self.artifact = artifact
        self.scorer = scorer
        s = scorer.statistics
        self.n_clusters = len(s.size)
        self._topics = [s.most_frequent(c, artifact.datasets) for c in range(self.n_clusters)]
        self._sizes = [int(n) for n in s.size]
        self._any_cost = bool(s.n_cost.any())
        evidence = scorer.evidence_table[: self.n_clusters]
        self._all_supported = bool((evidence >= scorer.min_support).all())
        self._all_priced = not bool(np.isnan(scorer.cost_table).any())
        self._fixed = np.concatenate(
            [scorer.score_table, scorer.cost_table, scorer.evidence_table], axis=1
        )
        self.alphas: dict[str, float] = {}
        self._tables = lru_cache(maxsize=32)(self._make_tables)

    def __reduce__(self) -> tuple[type[Engine], tuple[RouterArtifact, Scorer]]:
        return Engine, (self.artifact, self.scorer)

    def _make_tables(self, alpha: float) -> Floats:
        """(F, 4M) utility, score, cost and support side by side: one product gives all."""
        tables = np.concatenate([self.scorer.table(alpha), self._fixed], axis=1)
        narrow: Floats = tables.astype(self.scorer.dtype)
        return narrow

    def estimate(self, features: Floats, alpha: float) -> Estimate:
        """What is expected of every model, from the scorer's (n, F) features."""
        estimate = Estimate(features @ self._tables(alpha))
        # A short query takes its tokens off the usual cost, but no answer is paid for.
        np.maximum(estimate.cost, 0.0, out=estimate.cost)
        return estimate

    def constraints(self, call: Call) -> Constraints:
        """The call's constraints; unknown costs matter where others are known and alpha < 1."""
        limits = call.constraints
        limits.check(self.artifact.models)
        needs_cost = self._any_cost and call.alpha < 1
        min_support = self.scorer.min_support
        if limits.needs_cost == needs_cost and limits.min_support == min_support:
            return limits
        return limits._replace(needs_cost=needs_cost, min_support=min_support)

    def _limits(self, call: Call) -> tuple[Constraints, dict[str, str]]:
        """The call's constraints, and the models that they rule out whatever the query."""
        limits = self.constraints(call)
        return limits, limits.ruled_out(self.artifact.models)

    def decide(self, features: Floats, basis: Basis, call: Call) -> list[RoutingDecision]:
        """One decision for each row of (n, F) features."""
        within = self._limits(call)
        numbers = (features @ self._tables(call.alpha)).tolist()
        return [
            self._decision(row, n, within, basis, call)
            for row, n in zip(features, numbers, strict=True)
        ]

    def decide_one(self, features: Floats, basis: Basis, call: Call) -> RoutingDecision:
        """The decision for one query's (F,) features."""
        numbers = features.dot(self._tables(call.alpha)).tolist()
        return self._decision(features, numbers, self._limits(call), basis, call)

    def _decision(
        self,
        features: Floats,
        numbers: list[float],
        within: tuple[Constraints, dict[str, str]],
        basis: Basis,
        call: Call,
    ) -> RoutingDecision:
        """The decision from a query's features and what they make with the tables.

        For one query, lists are faster than arrays.
        """
        limits, out = within
        models, m = self.artifact.models, len(self.artifact.models)
        everyone = partial(self._candidates, numbers)
        candidates: tuple[Candidate, ...] | Callable[[], tuple[Candidate, ...]]
        reasons: dict[str, str] = {}
        relaxed = False
        # Where every model is eligible, nothing need be ranked before somebody asks.
        if self._unlimited(limits, out) and (
            self._all_supported or min(numbers[3 * m :]) >= limits.min_support
        ):
            candidates = everyone
            model = models[numbers.index(max(numbers[:m]))]
        else:
            candidates, reasons, relaxed = self._eligible(everyone(), limits, out, call)
            model = candidates[0].model
        return RoutingDecision(
            candidates,
            reasons,
            partial(self._votes, features),
            call.alpha,
            self.scorer.name,
            n=call.n,
            basis=basis,
            prompt_tokens=call.prompt_tokens,
            relaxed=relaxed,
            model=model,
        )

    def _candidates(self, numbers: list[float]) -> tuple[Candidate, ...]:
        """All models, eligible or not, best first, from their utilities, scores, costs, support."""
        models, m = self.artifact.models, len(self.artifact.models)
        score = [0.0 if s < 0 else s if s < 1 else 1.0 for s in numbers[m : 2 * m]]
        cost: list[Any] = [0.0 if c < 0 else c for c in numbers[2 * m : 3 * m]]
        if not self._all_priced:
            cost = [None if isnan(c) else c for c in cost]
        support = [s if s < 1 else 1.0 for s in numbers[3 * m :]]
        everyone = list(
            map(_as_candidate, zip(models, numbers[:m], score, cost, support, strict=True))
        )
        everyone.sort(key=_UTILITY, reverse=True)
        return tuple(everyone)

    def _unlimited(self, limits: Constraints, out: dict[str, str]) -> bool:
        """Whether no limit of the call can rule a model out."""
        bounded = limits.max_cost is not None or limits.min_score is not None
        return not (out or bounded) and (self._all_priced or not limits.needs_cost)

    def _eligible(
        self,
        ranked: tuple[Candidate, ...],
        limits: Constraints,
        out: dict[str, str],
        call: Call,
    ) -> tuple[tuple[Candidate, ...], dict[str, str], bool]:
        """Those of the candidates who are, reasons of the others, and whether limits were relaxed.

        Raises:
            NoEligibleModelError: nobody is, and limits may not be relaxed.
        """
        reasons = {c.model: out.get(c.model) or limits.fault(c) for c in ranked}
        eligible = tuple(c for c in ranked if reasons[c.model] is None)
        relaxed = not eligible and call.on_empty == "relax"
        if relaxed:
            near = [c for c in ranked if c.model not in out]
            # Where a model has no records its score and cost are no more than a guess.
            near.sort(key=lambda c: (limits.is_guess(c), limits.violation(c), -c.utility))
            eligible = tuple(near)
        taken = {c.model for c in eligible}
        ineligible = {m: reasons[m] or "" for m in self.artifact.models if m not in taken}
        if not eligible:
            raise nobody(ineligible, out)
        return eligible, ineligible, relaxed

    def _votes(self, features: Floats) -> tuple[ClusterVote, ...]:
        """The clusters with the largest votes, largest first; at least one."""
        votes = features[: self.n_clusters]
        large = (votes >= _LEAST_VOTE).nonzero()[0].tolist() or [int(votes.argmax())]
        ranked = sorted([(-float(votes[c]), c) for c in large])[:_MOST_VOTES]
        return tuple(ClusterVote(c, -v, self._sizes[c], self._topics[c]) for v, c in ranked)

    def choose(self, points: Points, call: Call) -> npt.NDArray[np.int64]:
        """(n,) the column of the best eligible model for each of n queries.

        Raises:
            NoEligibleModelError: for a query that nobody is eligible for.
            ValueError: a vector holds NaN or infinity.
        """
        chosen = np.empty(len(points.vectors), dtype=np.int64)
        width = len(self.scorer.score_table)

        def choose_blocks(starts: Iterator[int]) -> None:
            # New memory for each block would take longer to get than to fill.
            memory = np.empty((min(_BLOCK, len(chosen)), width), dtype=self.scorer.dtype)
            for at in starts:
                block = slice(at, at + _BLOCK)
                surface = None if points.surface is None else points.surface[block]
                part = Points(points.vectors[block], surface, points.prompt_tokens)
                with np.errstate(invalid="ignore", over="ignore"):
                    features = self.scorer.features(part, memory[: len(part.vectors)])
                if not np.isfinite(features.sum()):
                    bad = at + int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
                    raise ValueError(f"the vector in row {bad} holds NaN or infinite values")
                chosen[block] = self.pick(features, call)

        in_parallel(choose_blocks, range(0, len(chosen), _BLOCK))
        return chosen

    def pick(self, features: Floats, call: Call) -> npt.NDArray[np.intp]:
        """(n,) the column of the best eligible model, from the scorer's (n, F) features.

        Raises:
            NoEligibleModelError: for the first query that nobody is eligible for.
        """
        limits, out = self._limits(call)
        if self._all_supported and self._unlimited(limits, out):
            table = self._tables(call.alpha)[:, : len(self.artifact.models)]
            best: npt.NDArray[np.intp] = np.argmax(features @ table, axis=1)
            return best
        utility = self.eligible_utility(features, call.alpha, call)
        chosen: npt.NDArray[np.intp] = np.argmax(utility, axis=1)
        if len(empty := np.flatnonzero(np.isneginf(utility).all(axis=1))):
            # The slow path says why, or relaxes.
            decisions = self.decide(features[empty], "query", call)
            chosen[empty] = [self.artifact.models.index(d.model) for d in decisions]
        return chosen

    def eligible_utility(self, features: Floats, alpha: float, call: Call) -> Floats:
        """(n, M) utility, -inf where a model is not eligible (:meth:`Constraints.fault`)."""
        limits, out = self._limits(call)
        e = self.estimate(features, alpha)
        keep = (e.support >= limits.min_support) & np.array(
            [m not in out for m in self.artifact.models]
        )
        if limits.needs_cost or limits.max_cost is not None:
            keep &= ~np.isnan(e.cost)
        if limits.max_cost is not None:
            keep &= e.cost <= limits.max_cost * (1 + SLACK)
        if limits.min_score is not None:
            # A regression can fall short of 0, where a candidate's score is cut.
            keep &= np.maximum(e.score, 0.0) >= limits.min_score - SLACK
        return np.where(keep, e.utility, -np.inf)
