"""What a scorer is, and what the scorers share."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.clusters import nearest_cosine, unit
from avengers_core.artifact.estimation.cells import Beliefs, beliefs
from avengers_core.artifact.statistics import Statistics
from avengers_core.common.arrays import Floats
from avengers_core.common.functions import cached_property
from avengers_core.common.parallel import one_thread
from avengers_core.common.ranges import check_number, check_whole
from avengers_core.embedders.tokens import BYTES_PER_TOKEN
from avengers_core.routing.queries import Queries
from avengers_core.routing.scoring.alpha_scale import AlphaScale

# What is less like the clusters than this share of the records is not believed to be like them:
# the less, the less. Held-out queries of the records' own kind lose nothing by it.
UNLIKE = 0.02
# Ways in which scores may differ from what is expected; standard errors are known to 7 %.
_DRAWS = 100


class Scorer(Protocol):
    """Ranks the M models of an artifact for queries.

    Attributes:
        name: what it is called in arguments and decisions.
        options: its options with the values in force.
        linear: whether the table is a straight line in the weight of score,
        scale: which follows from alpha.
        dtype: of the features; the published scorers compare ranks and want 64 bits.
        needs_surface: whether it makes use of the texts' surface features.
        statistics: of the K clusters that vote.
        score_table: (F, M) whose product with features is the expected score.
        cost_table: (F, M) likewise the expected cost, USD; NaN columns where no cost is known.
        evidence_table: (F, M) likewise the support: how far the model has records where the query
            lands, in [0, 1].
        knows_familiarity: whether it is known how like the records queries are.
        min_support: what a model needs of it to be eligible; 0 where the scorer knows what to
            expect of models that have not been seen near a query.
        width: columns of the memory that features are made in, at least F.
    """

    name: str
    options: dict[str, Any]
    linear: bool
    scale: AlphaScale
    dtype: type[np.floating]
    needs_surface: bool
    statistics: Statistics
    score_table: Floats
    cost_table: Floats
    evidence_table: Floats
    knows_familiarity: bool
    min_support: float
    width: int

    @property
    def plausible_scores(self) -> Floats:
        """(K, S, M) by how much a score may differ from the expected one, in S ways.

        Made when first asked for, in 0.1 to 3 seconds.
        """
        ...

    def features(self, queries: Queries, out: Floats | None = None) -> Floats:
        """(n, F) features of n queries; the first K are the votes of the clusters.

        The last but one is the familiarity: the share of the records, in [0, 1], that are no more
        like the clusters than the query is; 1 where it is not known. Of the least familiar ones
        the votes go towards the shares of the clusters among all records.

        Args:
            queries: the queries.
            out: (n, width) memory of the scorer's dtype, which may be written to.
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

    The last feature but one is the familiarity, of which no table makes use. The last is the tokens
    of the prompt beyond those usual among the clusters that vote, and its row in the cost table is
    the price of a prompt token.
    """

    name: str
    linear: bool
    dtype: type[np.floating] = np.float64
    needs_surface = False
    # With less, what is expected of a model is mostly its overall mean: no evidence.
    min_support = 0.5
    # Whether what is like no record is believed to be nearer to the mean.
    _humble = False

    def __init__(
        self,
        artifact: RouterArtifact,
        statistics: Statistics,
        centroids: Floats,
        **options: Any,
    ) -> None:
        for name, value in options.items():
            check_option(name, value)
        self.options = options
        self.scale = AlphaScale()
        self.statistics = s = artifact.priced(statistics.effective())
        self._centroids = centroids
        self._artifact = artifact
        self._size = s.size
        self._votes = np.s_[:, : len(s.size)]
        usual = s.query_length / np.maximum(s.size, 1.0) / BYTES_PER_TOKEN
        self._usual_tokens = usual.astype(self.dtype)
        # A model without a known cost has no cost; where no model has one, cost plays no part.
        self._priced = s.n_cost.any(axis=0)
        # Who needs support to be eligible takes what another has lent for some.
        own = s.n if self.min_support > 0 else np.maximum(s.n - s.inferred, 0.0)
        self.evidence_table = _evidence(own, s.size)
        self._familiarity = artifact.familiarity
        self.knows_familiarity = self._familiarity is not None

    def _tables(self, score: Floats, cost: Floats, linear: Floats | None = None) -> None:
        """Set the tables from (K, M) scores and costs, and (r, M) scores along directions."""
        m = score.shape[1]
        prices = self._artifact.token_prices(self.statistics, self._highest_prices(cost))
        between = np.zeros((0, m)) if linear is None else linear
        none = np.zeros((len(between) + 2, m))
        self.score_table: Floats = np.concatenate([score, between, none[:2]])
        self._cost: Floats = np.concatenate([cost, none[1:], np.nan_to_num(prices)[None, :]])
        self.cost_table: Floats = np.where(self._priced, self._cost, np.nan)
        self.evidence_table = np.concatenate([self.evidence_table, none])
        self.width = len(self.score_table)

    def _highest_prices(self, cost: Floats) -> Floats | None:
        """(M,) what a prompt token is estimated to cost at most, where (K, M) costs bound it."""
        return None

    @cached_property
    def _near(self) -> Floats:
        """(d, K) the artifact's centroids as unit columns."""
        return unit(self._artifact.centroids).T.astype(self.dtype, order="C")

    @cached_property
    def _beliefs(self) -> Beliefs:
        return beliefs(self.statistics, self._centroids, info=self._artifact.info)

    @cached_property
    def plausible_scores(self) -> Floats:
        with one_thread():
            draws = self._beliefs.plausible(_DRAWS)
        return np.ascontiguousarray(draws.swapaxes(0, 1), dtype=np.float32)

    def features(self, queries: Queries, out: Floats | None = None) -> Floats:
        raise NotImplementedError

    def _look(
        self, queries: Queries, features: Floats, cosine: Floats | float | None = None
    ) -> None:
        """Note how familiar n queries are in their features, and make unlike ones humble.

        What little the nearest clusters say of a query that is like none of them is not believed:
        the less familiar among the least familiar share of the records it would be, the more the
        votes are the clusters' shares of all records, and the less a regression says.

        Args:
            queries: the queries.
            features: (n, F), of which all but the last are changed in place.
            cosine: (n,) of each query and the artifact's centroid nearest to it, a number for one
                query; default, found.
        """
        if self._familiarity is None:
            features[:, -2] = 1.0
            return
        if cosine is None:
            cosine = nearest_cosine(queries.vectors, self._near)
        features[:, -2] = familiarity = self._familiarity(cosine, queries.beyond_ascii)
        if not self._humble:
            return
        if isinstance(familiarity, float):
            if familiarity < UNLIKE:
                self._make_humble(features, familiarity / UNLIKE)
        elif len(rows := (familiarity < UNLIKE).nonzero()[0]):
            some, alike = features[rows], familiarity[rows] / UNLIKE
            self._make_humble(some, alike[:, None].astype(self.dtype))
            features[rows] = some

    def _make_humble(self, features: Floats, alike: Floats | float) -> None:
        """Move (n, F) features to what is said of any query, but for an (n, 1) share, or one."""
        said, of_any = features[:, :-2], self._said_of_any
        said -= of_any
        said *= alike
        said += of_any

    @cached_property
    def _said_of_any(self) -> Floats:
        """(1, F - 2) the clusters' shares of the records; of a regression nothing."""
        total, k = self._size.sum(), len(self._size)
        said = np.zeros((1, len(self.score_table) - 2), dtype=self.dtype)
        said[0, :k] = self._size / total if total else 1 / k
        return said

    def _extra_tokens(self, votes: Floats, queries: Queries) -> Floats:
        """(n, 1) tokens of each prompt beyond the usual; 0 where its length is not known."""
        if queries.prompt_tokens is None:
            return np.zeros((len(votes), 1), dtype=votes.dtype)
        extra = queries.prompt_tokens - votes @ self._usual_tokens
        return extra[:, None].astype(votes.dtype)

    def overall(self, prompt_tokens: int | None = None) -> Floats:
        said = self._said_of_any
        votes = said[self._votes]
        extra = self._extra_tokens(votes, Queries(votes, None, prompt_tokens))
        return np.concatenate([said, np.zeros((1, 1), dtype=self.dtype), extra], axis=1)


def check_option(name: str, value: Any) -> None:
    """Refuse a value that an option of a scorer cannot have."""
    if name == "top_k":
        check_whole(name, value, 1)
    else:
        check_number(name, value, 0, 1 if name == "mix" else np.inf)


def _evidence(n: Floats, size: Floats) -> Floats:
    """(K, M) how far a model has records in a cluster, in [0, 1].

    1 where it has the share of the cluster's records that it has of all records, or more; 0 where
    it has none. A handful of strays in a cluster that a model was otherwise left out of is thus no
    evidence, while a model with few records everywhere is not held back.
    """
    usual = size[:, None] * (n.sum(axis=0) / max(size.sum(), 1.0))
    return np.where(n > 0, np.minimum((n + 1) / (usual + 1), 1.0), 0.0)
