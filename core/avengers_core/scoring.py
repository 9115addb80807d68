"""Scorers: how the statistics of the clusters near a query rank the models.

All have one shape: the utility of every model for every query is ``features(points) @
table(alpha)``. The features of a query say how much each cluster counts for it, and more where a
scorer knows more; the table says how good each model is there at the alpha asked for. Expected
score and cost are the same features times two tables that do not depend on alpha.

======================  =======================================================================
``ReferenceScorer``     the published code (github.com/ZhangYiqun018/AvengersPro)
``PaperScorer``         what its paper writes (arXiv 2508.12631, section 3)
``CalibratedScorer``    this package's own, and the default
======================  =======================================================================
"""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from avengers_core.artifact import RouterArtifact
from avengers_core.clusters import Posterior, ratio, shrunk_means
from avengers_core.statistics import Statistics
from avengers_core.surface import tokens
from avengers_core.validation import Settings

Floats = npt.NDArray[np.floating]

_CHARS_PER_TOKEN = 4.0


class Points(NamedTuple):
    """Queries as a scorer sees them.

    Attributes:
        vectors: (n, d) unit vectors.
        surface: (n, 11) surface features of the texts, or None where only vectors are known.
        prompt_tokens: length of each query's whole prompt, or None for the query alone.
    """

    vectors: Floats
    surface: Floats | None = None
    prompt_tokens: int | None = None


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

    def features(self, points: Points, out: Floats | None = None) -> Floats:
        """(n, F) features of n queries; the first K are the votes of the clusters.

        Args:
            points: the queries.
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


class _ClusterScorer:
    """What the scorers share: votes of clusters, and the cost of a prompt longer than usual.

    The last feature is the tokens of the prompt beyond those usual among the clusters that vote,
    and its row in the cost table is the price of a prompt token.
    """

    name: str
    linear: bool
    dtype: type[np.floating] = np.float64
    needs_surface = False

    def __init__(self, artifact: RouterArtifact, statistics: Statistics, **options: Any) -> None:
        self.options = options
        self.statistics = statistics
        s = statistics
        self._size = s.size
        self._usual_tokens = s.query_chars / np.maximum(s.size, 1.0) / _CHARS_PER_TOKEN
        # A model without a known cost has no cost; where no model has one, cost plays no part.
        self._priced = s.n_cost.any(axis=0)
        self._token_prices = np.nan_to_num(artifact.token_prices(statistics))
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

    def _extra_tokens(self, votes: Floats, points: Points) -> Floats:
        """(n, 1) tokens of each prompt beyond the usual; 0 where its length is not known."""
        if points.prompt_tokens is None:
            return np.zeros((len(votes), 1), dtype=votes.dtype)
        extra = points.prompt_tokens - votes @ self._usual_tokens
        return extra[:, None].astype(votes.dtype)

    def overall(self, prompt_tokens: int | None = None) -> Floats:
        total = self._size.sum()
        k = len(self._size)
        votes = (self._size / total if total else np.full(k, 1 / k))[None, :]
        votes = votes.astype(self.dtype)
        extra = self._extra_tokens(votes, Points(votes, None, prompt_tokens))
        between = np.zeros((1, len(self.score_table) - k - 1), dtype=self.dtype)
        return np.concatenate([votes, between, extra], axis=1)


class _PublishedScorer(_ClusterScorer):
    """The raw means of the clusters, and votes of the nearest few."""

    def __init__(self, artifact: RouterArtifact, *, top_k: int, **options: Any) -> None:
        super().__init__(artifact, artifact.statistics, top_k=top_k, **options)
        if not isinstance(top_k, int) or top_k < 1:
            raise ValueError(f"top_k must be a whole number, at least 1, got {top_k}")
        s = artifact.statistics
        self._centroids = artifact.centroids.astype(np.float64)
        self._top_k = min(top_k, artifact.n_clusters)
        self._seen = s.n > 0
        self._means = ratio(s.score, s.n)
        self._costs = ratio(s.cost, s.n_cost)
        self._tables(self._means, self._costs)

    def features(self, points: Points, out: Floats | None = None) -> Floats:
        distance = 1 - points.vectors.astype(np.float64) @ self._centroids.T
        # Clusters without records have no ranking and can not vote.
        distance[:, self._size == 0] = np.inf
        nearest = np.argsort(distance, axis=1, kind="stable")[:, : self._top_k]
        votes = np.zeros(distance.shape)
        shares = self._shares(np.take_along_axis(distance, nearest, axis=1))
        np.put_along_axis(votes, nearest, shares, axis=1)
        return np.concatenate([votes, self._extra_tokens(votes, points)], axis=1)

    def _shares(self, distance: Floats) -> Floats:
        """(n, top_k) votes of the nearest clusters from their distances."""
        raise NotImplementedError

    def center_features(self) -> Floats:
        norm = np.linalg.norm(self._centroids, axis=1, keepdims=True)
        return self.features(Points(self._centroids / np.where(norm > 0, norm, 1.0)))

    def _with_token_row(self, utility: Floats) -> Floats:
        return np.concatenate([utility, np.zeros((1, utility.shape[1]))])


class ReferenceScorer(_PublishedScorer):
    """What the published code does: softmax votes of the nearest clusters for model ranks.

    In each cluster, with a and q the mean score and cost there, ``a~`` is a min-max normalised
    (1 where all are equal) and ``q~ = q / max q``; the balance is
    ``alpha a~ + (1 - alpha)(1 - q~)``, and models are ranked 0, 1, ... by it, ties in model
    order. A query's votes are ``softmax(-beta d)`` over the ``top_k`` nearest centroids,
    ``d = 1 - x . mu``, and a model scores the sum of votes / (rank + 1).

    Args:
        artifact: the artifact.
        top_k: clusters that vote, at least 1.
        beta: sharpness of the votes.

    Source: ``BalanceClusterRouter`` of github.com/ZhangYiqun018/AvengersPro.
    """

    name = "reference"
    linear = False

    def __init__(self, artifact: RouterArtifact, *, top_k: int = 3, beta: float = 9.0) -> None:
        super().__init__(artifact, top_k=top_k, beta=beta)
        self._beta = _sharpness(beta)
        self._gain = _min_max(self._means, self._seen, flat=1.0)
        peak = np.max(np.where(self._seen, self._costs, 0.0), axis=1, keepdims=True)
        self._saving = 1 - self._costs / np.where(peak > 0, peak, 1.0)

    def _shares(self, distance: Floats) -> Floats:
        votes = np.exp(-self._beta * (distance - distance.min(axis=1, keepdims=True)))
        shares: Floats = votes / votes.sum(axis=1, keepdims=True)
        return shares

    def table(self, alpha: float) -> Floats:
        balance = alpha * self._gain + (1 - alpha) * self._saving
        order = np.argsort(np.where(self._seen, -balance, np.inf), axis=1, kind="stable")
        rank = np.argsort(order, axis=1, kind="stable")
        return self._with_token_row(np.where(self._seen, 1 / (rank + 1.0), 0.0))


class PaperScorer(_PublishedScorer):
    """What the paper writes: min-max normalised score and cost, summed over the nearest clusters.

    ``x = alpha a~ + (1 - alpha)(1 - q~)``, both min-max normalised inside the cluster; a model
    scores the mean of x over the ``top_k`` nearest clusters.

    Args:
        artifact: the artifact.
        top_k: clusters that vote, at least 1 (the paper's p).

    Source: arXiv 2508.12631, section 3 (k = 60 clusters, p = 4).
    """

    name = "paper"
    linear = True

    def __init__(self, artifact: RouterArtifact, *, top_k: int = 4) -> None:
        super().__init__(artifact, top_k=top_k)
        self._gain = _min_max(self._means, self._seen, flat=1.0)
        self._loss = np.where(self._seen, _min_max(self._costs, self._seen, flat=0.0), 1.0)

    def _shares(self, distance: Floats) -> Floats:
        votes = np.isfinite(distance)
        shares: Floats = votes / votes.sum(axis=1, keepdims=True)
        return shares

    def table(self, alpha: float) -> Floats:
        return self._with_token_row(alpha * self._gain + (1 - alpha) * (1 - self._loss))


class CalibratedScorer(_ClusterScorer):
    """Expected score and cost, weighed over all clusters and shrunk to where there is evidence.

    The weight of cluster c for the query x is proportional to ``N_c exp(beta cos(x, mu_c))``. The
    mean score of model m there is shrunk to its overall mean ``g_m``: ``(s + m0 g_m) / (n + m0)``,
    and its mean cost likewise. Where the artifact holds a :class:`Refinement`, the clusters are
    those of embedding and surface features together, and the expected score is averaged with that
    of a ridge regression in this space; the cost follows the length of the prompt. With p and c
    the expected score and cost, the utility is ``alpha p / r_p - (1 - alpha) c / r_c``, where
    ``r_p`` and ``r_c`` are constants of the artifact: the median over clusters, weighted by their
    records, of the range over models of p and of c. They decide only where on [0, 1] alpha does
    its work.

    Args:
        artifact: the artifact.
        beta: sharpness of the weights, at least 0.
        m0: records' worth of shrinkage towards the overall mean, at least 0.
        mix: weight of the regression against the clusters, in [0, 1].

    What is not given was chosen by cross-validation when the artifact was fitted; without a
    refinement beta is 20 and m0 is 5.

    Source: docs/research.md of this project.
    """

    name = "calibrated"
    linear = True
    dtype = np.float32

    def __init__(
        self,
        artifact: RouterArtifact,
        *,
        beta: float | None = None,
        m0: float | None = None,
        mix: float | None = None,
    ) -> None:
        r = artifact.refinement
        statistics = artifact.statistics if r is None else r.statistics
        chosen = Settings() if r is None else r.settings
        beta = chosen.beta if beta is None else beta
        m0 = chosen.m0 if m0 is None else m0
        mix = chosen.mix if mix is None else mix
        if not (0 <= mix <= 1 and 0 <= m0 < np.inf):
            raise ValueError(f"mix must lie in [0, 1] and m0 not be negative, got {mix}, {m0}")
        super().__init__(artifact, statistics, beta=beta, m0=m0, mix=mix)
        s = statistics
        self.needs_surface = r is not None
        self._augment = None if r is None else r.augment
        self._centroids = artifact.centroids if r is None else r.centroids
        score = shrunk_means(s.score, s.n, m0)
        cost = shrunk_means(s.cost, s.n_cost, m0)
        directions = offset = None
        if r is None or mix == 0:
            self._tables(score, cost)
        else:
            # Votes sum to 1, so the regression's offset can ride on them.
            score = (1 - mix) * score + mix * r.linear.offset
            directions = r.linear.directions
            offset = -(r.linear.center @ directions)
            self._tables(score, cost, mix * r.linear.coefficients)
        self._project = Posterior(
            self._centroids, s.size, _sharpness(beta), directions=directions, offset=offset, spare=1
        )
        self._gain = self.score_table / _typical_range(score, s.size)
        self._loss = self._cost / _typical_range(cost[:, self._priced], s.size)

    def features(self, points: Points, out: Floats | None = None) -> Floats:
        space = points.vectors
        if self._augment is not None:
            space = self._augment(points.vectors, points.surface)
        return self._in_space(space, points, out)

    def _in_space(self, space: Floats, points: Points, out: Floats | None = None) -> Floats:
        features = self._project(space, out)
        if points.prompt_tokens is not None or (self.needs_surface and points.surface is not None):
            self._add_extra_tokens(features, points)
        return features

    def _add_extra_tokens(self, features: Floats, points: Points) -> None:
        if points.prompt_tokens is not None:
            length: Floats | int = points.prompt_tokens
        elif points.surface is not None:
            length = tokens(points.surface)
        features[:, -1] = length - features[:, : len(self._usual_tokens)] @ self._usual_tokens

    def center_features(self) -> Floats:
        norm = np.linalg.norm(self._centroids, axis=1, keepdims=True)
        unit = (self._centroids / np.where(norm > 0, norm, 1.0)).astype(np.float32)
        return self._in_space(unit, Points(unit))

    def table(self, alpha: float) -> Floats:
        return alpha * self._gain - (1 - alpha) * self._loss


SCORERS: dict[str, type[ReferenceScorer] | type[PaperScorer] | type[CalibratedScorer]] = {
    cls.name: cls for cls in (ReferenceScorer, PaperScorer, CalibratedScorer)
}


def make_scorer(artifact: RouterArtifact, name: str | None = None, **options: Any) -> Scorer:
    """The scorer of that name for an artifact.

    Args:
        artifact: the artifact.
        name: ``reference``, ``paper`` or ``calibrated``; default, the artifact's own.
        options: of the scorer; what is not given is taken from the artifact if the scorer is
            its own, else from the scorer's defaults.

    Raises:
        ValueError: no such scorer or option.
    """
    name = name or artifact.info.scorer
    if name not in SCORERS:
        raise ValueError(f"no scorer {name!r}; there are {sorted(SCORERS)}")
    if name == artifact.info.scorer:
        options = {**artifact.info.scorer_options, **options}
    try:
        return SCORERS[name](artifact, **options)
    except TypeError as error:
        raise ValueError(f"scorer {name!r}: {error}") from None


def _sharpness(beta: float) -> float:
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


def _min_max(values: Floats, seen: npt.NDArray[np.bool_], flat: float) -> Floats:
    """Each row to [0, 1] over the models seen in it; ``flat`` where they are all equal."""
    low = np.where(seen, values, np.inf).min(axis=1, keepdims=True)
    high = np.where(seen, values, -np.inf).max(axis=1, keepdims=True)
    spread = high - low
    varied = np.isfinite(spread) & (spread > 0)
    scaled = (values - np.where(varied, low, 0.0)) / np.where(varied, spread, 1.0)
    return np.where(seen & varied, scaled, flat)


def _typical_range(table: Floats, size: Floats) -> float:
    """Median over clusters, weighted by their records, of the range over models; 1 if zero."""
    if table.shape[1] == 0:
        return 1.0
    spread = np.ptp(table, axis=1)
    order = np.argsort(spread)
    mass = np.cumsum(size[order])
    middle = spread[order[np.searchsorted(mass, mass[-1] / 2)]]
    return float(middle) if middle > 0 else float(spread.max()) or 1.0
