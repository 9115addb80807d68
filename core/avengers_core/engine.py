"""From vectors to decisions: one artifact, one scorer, no text."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from avengers_core.artifact import RouterArtifact
from avengers_core.calls import Call
from avengers_core.decision import Basis, Candidate, ClusterVote, RoutingDecision
from avengers_core.eligibility import MIN_SUPPORT, Constraints, nobody
from avengers_core.scoring import Scorer

Floats = npt.NDArray[np.floating]

# Votes reported in a decision: the largest few, none below this share.
_MOST_VOTES, _LEAST_VOTE = 5, 0.02
# Queries per block: their features stay in the processor's cache.
_BLOCK = 4096
_CHARS_PER_TOKEN = 4.0


@dataclass(frozen=True, eq=False)
class Estimate:
    """What is expected of M models on n queries.

    Attributes:
        utility: (n, M) what the ranking is by.
        score: (n, M) expected score.
        cost: (n, M) expected cost, USD; NaN where unknown.
        support: (n, M) how far the model has records where the query lands.
    """

    utility: Floats
    score: Floats
    cost: Floats
    support: Floats


class Engine:
    """Routes vectors with one artifact and one scorer; immutable."""

    def __init__(self, artifact: RouterArtifact, scorer: Scorer) -> None:
        self.artifact = artifact
        self.scorer = scorer
        s = artifact.statistics
        self._topics = [artifact.topics(c) for c in range(artifact.n_clusters)]
        self._sizes = [int(n) for n in s.size]
        self._any_cost = bool(s.n_cost.any())
        self._all_supported = bool((scorer.evidence_table > 0).all())
        self._all_priced = not bool(np.isnan(scorer.cost_table).any())
        self._fixed = np.concatenate(
            [scorer.score_table, scorer.cost_table, scorer.evidence_table], axis=1
        )
        size = np.where(s.size > 0, s.size, 1.0)
        self._prompt_size = s.query_chars / size / _CHARS_PER_TOKEN
        self._tables = lru_cache(maxsize=32)(self._make_tables)

    def __reduce__(self) -> tuple[type[Engine], tuple[RouterArtifact, Scorer]]:
        return Engine, (self.artifact, self.scorer)

    def _make_tables(self, alpha: float) -> Floats:
        """(F, 4M) utility, score, cost and support side by side: one product gives all."""
        return np.concatenate([self.scorer.table(alpha), self._fixed], axis=1)

    def estimate(self, features: Floats, alpha: float, prompt_tokens: int | None) -> Estimate:
        """What is expected of every model, from the scorer's (n, F) features."""
        together = features @ self._tables(alpha).astype(features.dtype, copy=False)
        utility, score, cost, support = np.split(together, 4, axis=1)
        if prompt_tokens is not None:
            utility, cost = self._lengthen(features, utility, cost, alpha, prompt_tokens)
        return Estimate(utility, score, cost, support)

    def _lengthen(
        self, features: Floats, utility: Floats, cost: Floats, alpha: float, prompt_tokens: int
    ) -> tuple[Floats, Floats]:
        """Add what the prompt tokens beyond those of the records near the query cost.

        Models whose price per prompt token is unknown keep their cost. Only a scorer whose
        utility is linear in cost can rank by the change; the others report it, and limits on
        cost apply to it.
        """
        prices = np.nan_to_num(self.artifact.input_prices)
        usual = features[:, : self.artifact.n_clusters] @ self._prompt_size
        extra = (prompt_tokens - usual)[:, None] * prices
        # A prompt shorter than usual saves its tokens, but no answer is free.
        longer = np.maximum(cost + extra, 0.1 * cost)
        if self.scorer.cost_scale is not None:
            change = np.nan_to_num(longer - cost)
            utility = utility - (1 - alpha) * change / self.scorer.cost_scale
        return utility, longer

    def constraints(self, call: Call) -> Constraints:
        """The call's constraints; unknown costs matter where others are known and alpha < 1."""
        limits = call.constraints
        limits.check(self.artifact.models)
        needs_cost = self._any_cost and call.alpha < 1
        if limits.needs_cost == needs_cost:
            return limits
        return replace(limits, needs_cost=needs_cost)

    def decide(self, features: Floats, basis: list[Basis], call: Call) -> list[RoutingDecision]:
        """One decision for each row of (n, F) features."""
        limits = self.constraints(call)
        out = limits.ruled_out(self.artifact.models)
        estimate = self.estimate(features, call.alpha, call.prompt_tokens)
        rows = zip(
            estimate.utility.tolist(),
            np.clip(estimate.score, 0.0, 1.0).tolist(),
            estimate.cost.tolist(),
            estimate.support.tolist(),
            self._votes(features),
            basis,
            strict=True,
        )
        decisions = []
        for *numbers, votes, known in rows:
            by_model = list(zip(*numbers, strict=True))
            ranked, reasons, relaxed = self._rank(by_model, limits, out, call)
            decisions.append(
                RoutingDecision(
                    candidates=tuple(ranked),
                    ineligible=reasons,
                    clusters=votes,
                    alpha=call.alpha,
                    scorer=self.scorer.name,
                    n=call.n,
                    basis=known,
                    prompt_tokens=call.prompt_tokens,
                    relaxed=relaxed,
                )
            )
        return decisions

    def _rank(
        self,
        numbers: list[tuple[float, float, float, float]],
        limits: Constraints,
        out: dict[str, str],
        call: Call,
    ) -> tuple[list[Candidate], dict[str, str], bool]:
        """Eligible models best first, reasons of the others, and whether limits were relaxed."""
        eligible: list[Candidate] = []
        faulty: list[Candidate] = []
        reasons: dict[str, str] = {}
        named = zip(self.artifact.models, numbers, strict=True)
        for model, (utility, score, cost, support) in named:
            if model in out:
                reasons[model] = out[model]
                continue
            known_cost = None if math.isnan(cost) else cost
            c = Candidate(model, utility, score, known_cost, min(support, 1.0))
            if fault := limits.fault(c):
                reasons[model] = fault
                faulty.append(c)
            else:
                eligible.append(c)
        if eligible:
            eligible.sort(key=lambda c: -c.utility)
            return eligible, reasons, False
        if call.on_empty == "relax" and faulty:
            faulty.sort(key=lambda c: (limits.violation(c), -c.utility))
            nearest = faulty[: call.n]
            for c in nearest:
                del reasons[c.model]
            return nearest, reasons, True
        raise nobody(reasons, call.on_empty == "relax")

    def _votes(self, features: Floats) -> list[tuple[ClusterVote, ...]]:
        votes = features[:, : self.artifact.n_clusters]
        top = np.argsort(-votes, axis=1)[:, :_MOST_VOTES]
        weights = np.take_along_axis(votes, top, axis=1)
        return [
            tuple(
                ClusterVote(c, w, self._sizes[c], self._topics[c])
                for c, w in zip(clusters, shares, strict=True)
                if w >= _LEAST_VOTE
            )
            for clusters, shares in zip(top.tolist(), weights.tolist(), strict=True)
        ]

    def choose(self, vectors: Floats, call: Call) -> npt.NDArray[np.int64]:
        """(n,) the column of the best eligible model for each of (n, d) vectors.

        Raises:
            NoEligibleModelError: for the first query that nobody is eligible for.
        """
        limits = self.constraints(call)
        chosen = np.empty(len(vectors), dtype=np.int64)
        for start in range(0, len(vectors), _BLOCK):
            block = slice(start, start + _BLOCK)
            chosen[block] = self._choose(self.scorer.features(vectors[block]), limits, call)
        return chosen

    def _choose(self, features: Floats, limits: Constraints, call: Call) -> npt.NDArray[np.intp]:
        out = limits.ruled_out(self.artifact.models)
        bounded = limits.max_cost is not None or limits.min_score is not None
        unpriced = limits.needs_cost and not self._all_priced
        if self._all_supported and not (out or bounded or unpriced or call.prompt_tokens):
            utility = features @ self._tables(call.alpha)[:, : len(self.artifact.models)].astype(
                features.dtype, copy=False
            )
            best: npt.NDArray[np.intp] = np.argmax(utility, axis=1)
            return best
        utility = self.eligible_utility(features, call.alpha, call)
        chosen: npt.NDArray[np.intp] = np.argmax(utility, axis=1)
        if len(empty := np.flatnonzero(np.isneginf(utility).all(axis=1))):
            # The slow path says why, or relaxes.
            decisions = self.decide(features[empty], ["query"] * len(empty), call)
            chosen[empty] = [self.artifact.models.index(d.model) for d in decisions]
        return chosen

    def eligible_utility(self, features: Floats, alpha: float, call: Call) -> Floats:
        """(n, M) utility, -inf where a model is not eligible (:meth:`Constraints.fault`)."""
        limits = self.constraints(call)
        out = limits.ruled_out(self.artifact.models)
        e = self.estimate(features, alpha, call.prompt_tokens)
        keep = (e.support >= MIN_SUPPORT) & np.array([m not in out for m in self.artifact.models])
        if limits.needs_cost or limits.max_cost is not None:
            keep &= ~np.isnan(e.cost)
        if limits.max_cost is not None:
            keep &= e.cost <= limits.max_cost
        if limits.min_score is not None:
            keep &= e.score >= limits.min_score
        return np.where(keep, e.utility, -np.inf)
