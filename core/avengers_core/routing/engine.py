"""From queries to a ranking: one artifact, one scorer, no text."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from functools import lru_cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.common.arrays import Floats
from avengers_core.common.functions import cached_property
from avengers_core.common.parallel import in_parallel
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.decision.candidates import ClusterVote
from avengers_core.routing.eligibility import Eligibility
from avengers_core.routing.policy import BALANCE, NO_LIMITS, Policy
from avengers_core.routing.queries import Queries
from avengers_core.routing.ranking import Ranking
from avengers_core.routing.scoring import Scorer

logger = logging.getLogger(__name__)

# The column of the scorers' features that holds it.
FAMILIARITY = -2
# Votes reported in a decision: the largest few, none below this share.
_MOST_VOTES, _LEAST_VOTE = 5, 0.02
# A smaller one says next to nothing, nor do many together: at most this share of an equal one's.
_NO_VOTE, _OF_EQUAL = 0.001, 0.1
# Beyond any amount of money; what is more, of damaged sums, would overflow single precision.
_LARGEST = 1e18
# Queries per block: their features stay in the processor's cache.
_BLOCK = 4096


class Engine:
    """Ranks the models of one artifact by one scorer; immutable.

    Attributes:
        artifact: the artifact.
        scorer: the scorer.
        n_clusters: how many clusters vote.
    """

    def __init__(self, artifact: RouterArtifact, scorer: Scorer) -> None:
        self.artifact = artifact
        self.scorer = scorer
        s = scorer.statistics
        self.n_clusters = len(s.size)
        self._topics = [s.most_frequent(c, artifact.datasets) for c in range(self.n_clusters)]
        self._sizes = [int(n) for n in s.size]
        self._any_cost = bool(s.n_cost.any())
        self._least_support = float(scorer.evidence_table[: self.n_clusters].min())
        self._cache_savings = _cache_savings(artifact)
        self._all_priced = not bool(np.isnan(scorer.cost_table).any())
        self._fixed = np.concatenate(
            [scorer.score_table, scorer.cost_table, scorer.evidence_table], axis=1
        )
        self._tables = lru_cache(maxsize=32)(self._make_tables)
        self._noticed: tuple[str, ...] = ()  # limits that do nothing, which the log has been told
        self._unlimited = [self._make_eligibility(needs, (), *NO_LIMITS) for needs in (False, True)]
        # True is 1 to whoever remembers values without their types.
        self._limited = lru_cache(maxsize=64, typed=True)(self._make_eligibility)

    def __reduce__(self) -> tuple[type[Engine], tuple[RouterArtifact, Scorer], dict[str, Any]]:
        return Engine, (self.artifact, self.scorer), {"_noticed": self._noticed}

    def _make_tables(self, alpha: float) -> Floats:
        """(F, 4M) utility, score, cost and support side by side: one product gives all."""
        tables = np.concatenate([self.scorer.table(alpha), self._fixed], axis=1)
        narrow: Floats = np.clip(tables, -_LARGEST, _LARGEST).astype(self.scorer.dtype)
        return narrow

    def _make_eligibility(
        self, needs_cost: bool, unavailable: tuple[tuple[str, str], ...], *limits: Any
    ) -> Eligibility:
        policy = Policy._make((None,) * len(BALANCE) + limits)
        if not self.scorer.knows_familiarity:
            self._notice(policy)
        return Eligibility(
            RoutingCall(policy, unavailable=dict(unavailable)),
            self.artifact.models,
            needs_cost=needs_cost,
            all_priced=self._all_priced,
            least_support=self._least_support,
            min_support=self.scorer.min_support,
            knows_familiarity=self.scorer.knows_familiarity,
        )

    def eligibility(self, alpha: float, call: RoutingCall) -> Eligibility:
        """The limits of a call; unknown costs matter where others are known and alpha < 1.

        Raises:
            ValueError: a limit out of range, or a model that the artifact does not have.
        """
        needs_cost = self._any_cost and alpha < 1
        limits: tuple[Any, ...] = call.policy[len(BALANCE) :]
        if limits == NO_LIMITS and not call.unavailable:
            return self._unlimited[needs_cost]
        unavailable = tuple((call.unavailable or {}).items())
        try:
            return self._limited(needs_cost, unavailable, *limits)
        except TypeError:  # a list of models cannot be looked up
            return self._make_eligibility(needs_cost, unavailable, *limits)

    def _notice(self, policy: Policy) -> None:
        """Say in the log, once, which limits do nothing with this artifact."""
        given = [n for n in ("min_familiarity", "fallback") if getattr(policy, n) is not None]
        if new := tuple(name for name in given if name not in self._noticed):
            self._noticed += new
            logger.warning(
                "%s: of no effect, for the artifact does not know how like its records a query is; "
                "fit it again with this version",
                " and ".join(new),
            )

    def rank(self, features: Floats, alpha: float, call: RoutingCall) -> Ranking:
        """Rank all models for the scorer's (n, F) features.

        Raises:
            NoEligibleModelError: nobody is eligible for one of them.
            ValueError: a limit out of range.
        """
        limits, unfamiliar = self.eligibility(alpha, call), None
        if limits.least_familiarity:
            unfamiliar = features[:, FAMILIARITY] < limits.least_familiarity
            if limits.fallback is None:
                overall = self.scorer.overall(call.prompt_tokens)
                features = np.where(unfamiliar[:, None], overall, features)
        estimate = features.dot(self._tables(alpha))
        if call.cached_tokens:
            estimate += self._saved(alpha, call.cached_tokens)
        return Ranking(self.artifact.models, estimate, limits, unfamiliar)

    def expect(self, features: Floats, call: RoutingCall) -> Ranking:
        """:meth:`rank`, for what is expected of every model, whatever the limits leave."""
        return self.rank(features, call.policy.own_alpha, call.relaxed)

    def _saved(self, alpha: float, cached_tokens: Mapping[str, int]) -> Floats:
        """(4M,) what changes for the models that have read tokens before.

        The last feature is the tokens beyond the usual ones; a token that costs a tenth is as good
        as nine tenths of a token less.
        """
        tokens = [cached_tokens.get(model, 0) for model in self.artifact.models]
        saved: Floats = np.tile(-self._cache_savings * tokens, 4) * self._tables(alpha)[-1]
        return saved.astype(self.scorer.dtype)

    def choose(self, features: Floats, alpha: float, call: RoutingCall) -> npt.NDArray[np.intp]:
        """(n,) the columns of the models that :meth:`rank` finds best; raises as it does."""
        limits = self.eligibility(alpha, call)
        if limits.admits_all and not (limits.least_familiarity or call.cached_tokens):
            table = self._tables(alpha)[:, : len(self.artifact.models)]
            best: npt.NDArray[np.intp] = np.argmax(features @ table, axis=1)
            return best
        return self.rank(features, alpha, call).best

    def choose_many(
        self, queries: Queries, alpha: float, call: RoutingCall
    ) -> npt.NDArray[np.int64]:
        """:meth:`choose` for n queries of any number, block by block.

        Raises:
            NoEligibleModelError: for a query that nobody is eligible for.
            ValueError: a vector holds NaN or infinity.
        """
        chosen = np.empty(len(queries), dtype=np.int64)
        width = self.scorer.width
        self.eligibility(alpha, call)  # which checks the limits, also where there is no query

        def choose_blocks(starts: Iterator[int]) -> None:
            # New memory for each block would take longer to get than to fill.
            memory = np.empty((min(_BLOCK, len(chosen)), width), dtype=self.scorer.dtype)
            for at in starts:
                part = queries[at : at + _BLOCK]
                with np.errstate(invalid="ignore", over="ignore"):
                    features = self.scorer.features(part, memory[: len(part)])
                if not np.isfinite(features.sum()):
                    bad = at + int(np.flatnonzero(~np.isfinite(features).all(axis=1))[0])
                    raise ValueError(f"the vector in row {bad} holds NaN or infinite values")
                chosen[at : at + _BLOCK] = self.choose(features, alpha, call)

        in_parallel(choose_blocks, range(0, len(chosen), _BLOCK))
        return chosen

    def plausible_scores(self, features: Floats) -> Floats:
        """(n, S, M) scores that the records allow for, in S ways, for (n, F) features.

        Their mean is nearly the expected score, before it is cut to [0, 1]; their standard
        deviation is its standard error, and the S ways are the same for all models and queries,
        so that what is uncertain of all models alike cancels in a comparison. Clusters without a
        vote to speak of are left out, which moves a score by a thousandth: to read all tables would
        take longer than the rest of a decision.
        """
        tables = self.scorer.plausible_scores
        # In the tables' own precision, which would else be raised anew for each decision.
        votes = features[:, : self.n_clusters].astype(tables.dtype)
        heard = (votes > min(_NO_VOTE, _OF_EQUAL / self.n_clusters)).any(axis=0)
        said = tables[heard].reshape(-1, tables[0].size)
        away = (votes[:, heard] @ said).reshape(-1, *tables.shape[1:])
        expected = features @ self.scorer.score_table
        scores: Floats = expected[:, None] + away
        return scores

    def familiarity(self, features: Floats) -> Floats | None:
        """(n,) share of the records that are no more like the clusters; None: not known."""
        return features[:, FAMILIARITY] if self.scorer.knows_familiarity else None

    @cached_property
    def score_gain(self) -> float:
        """By how much utility at alpha 1 rises with score."""
        scores = self.scorer.score_table
        gains = self._tables(1.0)[:, : scores.shape[1]]
        square = float(np.vdot(scores, scores))
        return float(np.vdot(gains, scores)) / square if square else 0.0

    def votes(self, features: Floats) -> tuple[ClusterVote, ...]:
        """The clusters with the largest votes in one query's (F,) features; at least one."""
        # One list: arrays of a few numbers would take longer than to look at each.
        votes = features[: self.n_clusters].tolist()
        large = [(-vote, c) for c, vote in enumerate(votes) if vote >= _LEAST_VOTE]
        ranked = sorted(large)[:_MOST_VOTES] or [(-max(votes), votes.index(max(votes)))]
        sizes, topics = self._sizes, self._topics
        return tuple([_as_vote((c, -v, sizes[c], topics[c])) for v, c in ranked])


def _cache_savings(artifact: RouterArtifact) -> Floats:
    """(M,) share of a prompt token's price that is saved where the provider has read it before."""
    prices = [artifact.info.prices.get(model) for model in artifact.models]
    return np.array(
        [
            0.0
            if price is None or price.cached_input is None or price.input <= 0
            else max(1 - price.cached_input / price.input, 0.0)
            for price in prices
        ]
    )


# As fast as a tuple: it is made for each call that a plugin answers.
_as_vote = partial(tuple.__new__, ClusterVote)
