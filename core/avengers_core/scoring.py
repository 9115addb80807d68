"""Scorers: how the statistics of the clusters near a query rank the models.

All have one shape: the utility of every model for every query is ``features(X) @ table(alpha)``.
The features of a query say how much each cluster counts for it; the table says how good each
model is in each cluster at the alpha asked for. Expected score and cost are the same features
times two tables that do not depend on alpha.

======================  =======================================================================
``ReferenceScorer``     the published code (github.com/ZhangYiqun018/AvengersPro)
``PaperScorer``         what its paper writes (arXiv 2508.12631, section 3)
``CalibratedScorer``    this package's own, and the default
======================  =======================================================================
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from avengers_core.artifact import RouterArtifact

Floats = npt.NDArray[np.floating]


class Scorer(Protocol):
    """Ranks the M models of an artifact for queries given as vectors.

    Attributes:
        name: what it is called in arguments and decisions.
        options: its options with the values in force.
        linear: whether the table is a straight line in alpha.
        dtype: of the features; the published scorers compare ranks and want 64 bits.
        score_table: (F, M) whose product with features is the expected score.
        cost_table: (F, M) likewise the expected cost, USD; NaN columns where no cost is known.
        evidence_table: (F, M) likewise the support: how far the model has records where the query
            lands, in [0, 1].
        cost_scale: what one unit of utility is in USD at alpha 0, or None where utility is not
            linear in the expected cost.
    """

    name: str
    options: dict[str, Any]
    linear: bool
    dtype: type[np.floating]
    score_table: Floats
    cost_table: Floats
    evidence_table: Floats
    cost_scale: float | None

    def features(self, vectors: Floats) -> Floats:
        """(n, d) unit vectors to (n, F) features; the first K are the votes of the clusters."""
        ...

    def overall(self) -> Floats:
        """(1, F) features of a query of which nothing is known."""
        ...

    def table(self, alpha: float) -> Floats:
        """(F, M) table of utilities at alpha in [0, 1]."""
        ...


class _ClusterScorer:
    """What the scorers share: tables of cluster means, and their overall average."""

    name: str
    linear: bool
    dtype: type[np.floating] = np.float64
    cost_scale: float | None = None

    def __init__(self, artifact: RouterArtifact, **options: Any) -> None:
        self.options = options
        s = artifact.statistics
        self._centroids = artifact.centroids
        self._size = s.size
        self.evidence_table = _evidence(s.n, s.size)
        # A model without a known cost has no cost; where no model has one, cost plays no part.
        self.has_cost = s.n_cost.any(axis=0)

    def overall(self) -> Floats:
        total = self._size.sum()
        k = len(self._size)
        shares = self._size / total if total else np.full(k, 1 / k)
        return shares[None, :].astype(self.dtype)


class _PublishedScorer(_ClusterScorer):
    """The raw means of the clusters, and votes of the nearest few."""

    def __init__(self, artifact: RouterArtifact, *, top_k: int, **options: Any) -> None:
        super().__init__(artifact, top_k=top_k, **options)
        if top_k < 1:
            raise ValueError(f"top_k must be at least 1, got {top_k}")
        s = artifact.statistics
        self._top_k = min(top_k, artifact.n_clusters)
        self._seen = s.n > 0
        self.score_table: Floats = _ratio(s.score, s.n, 0.0)
        cost = _ratio(s.cost, s.n_cost, 0.0)
        self._cost = cost
        self.cost_table: Floats = np.where(self.has_cost, cost, np.nan)

    def _nearest(self, vectors: Floats) -> tuple[Floats, npt.NDArray[np.int64]]:
        """Distances 1 - x . mu to the ``top_k`` nearest centroids, (n, top_k), and which."""
        distance = 1 - vectors.astype(np.float64) @ self._centroids.astype(np.float64).T
        # Clusters without records have no ranking and can not vote.
        distance[:, self._size == 0] = np.inf
        nearest = np.argsort(distance, axis=1, kind="stable")[:, : self._top_k]
        return np.take_along_axis(distance, nearest, axis=1), nearest


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
        self._beta = beta
        self._gain = _min_max(self.score_table, self._seen, flat=1.0)
        peak = np.max(np.where(self._seen, self._cost, 0.0), axis=1, keepdims=True)
        self._saving = 1 - self._cost / np.where(peak > 0, peak, 1.0)

    def features(self, vectors: Floats) -> Floats:
        distance, nearest = self._nearest(vectors)
        votes = np.exp(-self._beta * (distance - distance.min(axis=1, keepdims=True)))
        votes /= votes.sum(axis=1, keepdims=True)
        return _scatter(votes, nearest, len(self._size))

    def table(self, alpha: float) -> Floats:
        balance = alpha * self._gain + (1 - alpha) * self._saving
        order = np.argsort(np.where(self._seen, -balance, np.inf), axis=1, kind="stable")
        rank = np.argsort(order, axis=1, kind="stable")
        return np.where(self._seen, 1 / (rank + 1.0), 0.0)


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
        self._gain = _min_max(self.score_table, self._seen, flat=1.0)
        self._loss = np.where(self._seen, _min_max(self._cost, self._seen, flat=0.0), 1.0)

    def features(self, vectors: Floats) -> Floats:
        distance, nearest = self._nearest(vectors)
        votes = np.isfinite(distance) / np.isfinite(distance).sum(axis=1, keepdims=True)
        return _scatter(votes, nearest, len(self._size))

    def table(self, alpha: float) -> Floats:
        return alpha * self._gain + (1 - alpha) * (1 - self._loss)


class CalibratedScorer(_ClusterScorer):
    """Expected score and cost from shrunk cluster means, weighed by how likely each cluster is.

    The weight of cluster c for the query x is proportional to ``N_c exp(beta cos(x, mu_c))``, over
    all clusters. The mean score of model m there is shrunk to its overall mean ``g_m``:
    ``(s + m0 g_m) / (n + m0)``, and its mean cost likewise. With p and c the expected score and
    cost, the utility is ``alpha p / r_p - (1 - alpha) c / r_c``, where ``r_p`` and ``r_c`` are
    constants of the artifact: the median over clusters, weighted by their records, of the range
    over models of p and of c. They decide only where on [0, 1] alpha does its work.

    Args:
        artifact: the artifact.
        beta: sharpness of the weights.
        m0: records' worth of shrinkage towards the overall mean.
    """

    name = "calibrated"
    linear = True
    dtype = np.float32

    def __init__(self, artifact: RouterArtifact, *, beta: float = 20.0, m0: float = 5.0) -> None:
        super().__init__(artifact, beta=beta, m0=m0)
        s = artifact.statistics
        self.score_table: Floats = _shrunk(s.score, s.n, m0)
        cost = _shrunk(s.cost, s.n_cost, m0)
        self.cost_table: Floats = np.where(self.has_cost, cost, np.nan)
        self._score_scale = _typical_range(self.score_table, self._size)
        self.cost_scale = _typical_range(cost[:, self.has_cost], self._size)
        self._gain = self.score_table / self._score_scale
        self._loss = cost / self.cost_scale

        norm = np.linalg.norm(self._centroids, axis=1, keepdims=True)
        direction = self._centroids / np.where(norm > 0, norm, 1.0)
        # Up to here beta (cos - 1) is far from what single precision rounds to zero.
        self._sharp = beta > 40
        self._directions = np.ascontiguousarray(beta * direction.T, dtype=np.float32)
        with np.errstate(divide="ignore"):
            self._log_prior = (np.log(self._size / self._size.max()) - beta).astype(np.float32)

    def features(self, vectors: Floats) -> Floats:
        votes = np.asarray(vectors, dtype=np.float32) @ self._directions
        votes += self._log_prior
        if self._sharp:
            votes -= votes.max(axis=1, keepdims=True)
        np.exp(votes, out=votes)
        votes /= np.add.reduce(votes, axis=1, keepdims=True)
        return votes

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


def _ratio(total: Floats, n: Floats, empty: float) -> Floats:
    return np.where(n > 0, total / np.where(n > 0, n, 1), empty)


def _evidence(n: Floats, size: Floats) -> Floats:
    """(K, M) how far a model has records in a cluster, in [0, 1].

    1 where it has the share of the cluster's records that it has of all records, or more; 0 where
    it has none. A handful of strays in a cluster that a model was otherwise left out of is thus no
    evidence, while a model with few records everywhere is not held back.
    """
    usual = size[:, None] * (n.sum(axis=0) / max(size.sum(), 1.0))
    return np.where(n > 0, np.minimum((n + 1) / (usual + 1), 1.0), 0.0)


def _shrunk(total: Floats, n: Floats, m0: float) -> Floats:
    """(K, M) means, shrunk to each model's overall mean by ``m0`` records' worth."""
    overall = _ratio(total.sum(axis=0), n.sum(axis=0), 0.0)
    weight = n + m0
    return np.where(weight > 0, (total + m0 * overall) / np.where(weight > 0, weight, 1.0), overall)


def _min_max(values: Floats, seen: npt.NDArray[np.bool_], flat: float) -> Floats:
    """Each row to [0, 1] over the models seen in it; ``flat`` where they are all equal."""
    low = np.where(seen, values, np.inf).min(axis=1, keepdims=True)
    high = np.where(seen, values, -np.inf).max(axis=1, keepdims=True)
    spread = high - low
    varied = np.isfinite(spread) & (spread > 0)
    scaled = (values - np.where(varied, low, 0.0)) / np.where(varied, spread, 1.0)
    return np.where(seen & varied, scaled, flat)


def _scatter(votes: Floats, nearest: npt.NDArray[np.int64], k: int) -> Floats:
    dense = np.zeros((len(votes), k))
    np.put_along_axis(dense, nearest, votes, axis=1)
    return dense


def _typical_range(table: Floats, size: Floats) -> float:
    """Median over clusters, weighted by their records, of the range over models; 1 if zero."""
    if table.shape[1] == 0:
        return 1.0
    spread = np.ptp(table, axis=1)
    order = np.argsort(spread)
    mass = np.cumsum(size[order])
    middle = spread[order[np.searchsorted(mass, mass[-1] / 2)]]
    return float(middle) if middle > 0 else float(spread.max()) or 1.0
