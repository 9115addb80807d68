"""What a scorer is, and what the scorers share."""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.estimation.cells import plausible_scores
from avengers_core.artifact.statistics import Statistics
from avengers_core.embedders.tokens import BYTES_PER_TOKEN
from avengers_core.parallel import one_thread
from avengers_core.routing.queries import Queries

if TYPE_CHECKING:
    from avengers_core.artifact.estimation.difficulty import Difficulty

Floats = npt.NDArray[np.floating]

# Ways in which scores may differ from what is expected; standard errors are known to 7 %.
_DRAWS = 100


class Scorer(Protocol):
    """Ranks the M models of an artifact for queries.

    Attributes:
        name: what it is called in arguments and decisions.
        options: its options with the values in force.
        linear: whether the table is a straight line in alpha.
        dtype: of the features; the published scorers compare ranks and want 64 bits.
        needs_surface: whether it makes use of the texts' surface features.
        statistics: of the K clusters that vote.
        score_table: (F, M) whose product with features is the expected score.
        cost_table: (F, M) likewise the expected cost, USD; NaN columns where no cost is known.
        evidence_table: (F, M) likewise the support: how far the model has records where the query
            lands, in [0, 1].
        min_support: what a model needs of it to be eligible; 0 where the scorer knows what to
            expect of models that have not been seen near a query.
    """

    name: str
    options: dict[str, Any]
    linear: bool
    dtype: type[np.floating]
    needs_surface: bool
    statistics: Statistics
    score_table: Floats
    cost_table: Floats
    evidence_table: Floats
    min_support: float

    @property
    def plausible_scores(self) -> Floats:
        """(K, S, M) by how much a score may differ from the expected one, in S ways.

        Made when first asked for, in 0.1 to 0.5 seconds.
        """
        ...

    def features(self, queries: Queries, out: Floats | None = None) -> Floats:
        """(n, F) features of n queries; the first K are the votes of the clusters.

        Args:
            queries: the queries.
            out: memory of that shape and the scorer's dtype, which may be written to.
        """
        ...

    def center_features(self) -> Floats:
        """(K, F) features of a query in the middle of each cluster."""
        ...

    def overall(self, prompt_tokens: int | None = None) -> Floats:
        """(1, F) features of a query of which nothing is known."""
        ...

    def table(self, alpha: float) -> Floats:
        """(F, M) table of utilities at alpha in [0, 1]."""
        ...


class ClusterScorer:
    """What the scorers share: votes of clusters, and the cost of a prompt longer than usual.

    The last feature is the tokens of the prompt beyond those usual among the clusters that vote,
    and its row in the cost table is the price of a prompt token.
    """

    name: str
    linear: bool
    dtype: type[np.floating] = np.float64
    needs_surface = False
    # With less, what is expected of a model is mostly its overall mean: no evidence.
    min_support = 0.5

    def __init__(
        self,
        artifact: RouterArtifact,
        statistics: Statistics,
        centroids: Floats,
        difficulty: Difficulty | None = None,
        **options: Any,
    ) -> None:
        self.options = options
        self.statistics = s = artifact.priced(statistics.effective())
        self._centroids = centroids
        self._difficulty = difficulty
        self._size = s.size
        usual = s.query_length / np.maximum(s.size, 1.0) / BYTES_PER_TOKEN
        self._usual_tokens = usual.astype(self.dtype)
        # A model without a known cost has no cost; where no model has one, cost plays no part.
        self._priced = s.n_cost.any(axis=0)
        self._token_prices = np.nan_to_num(artifact.token_prices(s))
        self.evidence_table = _evidence(s.n, s.size)

    def _tables(self, score: Floats, cost: Floats, linear: Floats | None = None) -> None:
        """Set the tables from (K, M) scores and costs, and (r, M) scores along directions."""
        m = score.shape[1]
        between = np.zeros((0, m)) if linear is None else linear
        none = np.zeros((len(between) + 1, m))
        self.score_table: Floats = np.concatenate([score, between, none[:1]])
        self._cost: Floats = np.concatenate([cost, none[1:], self._token_prices[None, :]])
        self.cost_table: Floats = np.where(self._priced, self._cost, np.nan)
        self.evidence_table = np.concatenate([self.evidence_table, none])

    @cached_property
    def plausible_scores(self) -> Floats:
        with one_thread():
            draws = plausible_scores(
                self.statistics, self._centroids, self._difficulty, count=_DRAWS
            )
        return np.ascontiguousarray(draws.swapaxes(0, 1), dtype=np.float32)

    def features(self, queries: Queries, out: Floats | None = None) -> Floats:
        raise NotImplementedError

    def _extra_tokens(self, votes: Floats, queries: Queries) -> Floats:
        """(n, 1) tokens of each prompt beyond the usual; 0 where its length is not known."""
        if queries.prompt_tokens is None:
            return np.zeros((len(votes), 1), dtype=votes.dtype)
        extra = queries.prompt_tokens - votes @ self._usual_tokens
        return extra[:, None].astype(votes.dtype)

    def overall(self, prompt_tokens: int | None = None) -> Floats:
        total = self._size.sum()
        k = len(self._size)
        votes = (self._size / total if total else np.full(k, 1 / k))[None, :]
        votes = votes.astype(self.dtype)
        extra = self._extra_tokens(votes, Queries(votes, None, prompt_tokens))
        between = np.zeros((1, len(self.score_table) - k - 1), dtype=self.dtype)
        return np.concatenate([votes, between, extra], axis=1)


def checked_beta(beta: float) -> float:
    if not 0 <= beta < np.inf:
        raise ValueError(f"beta must be a finite number, at least 0, got {beta}")
    return beta


def _evidence(n: Floats, size: Floats) -> Floats:
    """(K, M) how far a model has records in a cluster, in [0, 1].

    1 where it has the share of the cluster's records that it has of all records, or more; 0 where
    it has none. A handful of strays in a cluster that a model was otherwise left out of is thus no
    evidence, while a model with few records everywhere is not held back.
    """
    usual = size[:, None] * (n.sum(axis=0) / max(size.sum(), 1.0))
    return np.where(n > 0, np.minimum((n + 1) / (usual + 1), 1.0), 0.0)
