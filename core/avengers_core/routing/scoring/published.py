"""The two scorers of the published system: what its code does, and what its paper writes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.clusters import ratio, unit
from avengers_core.common.arrays import Floats
from avengers_core.routing.queries import Queries
from avengers_core.routing.scoring.base import ClusterScorer

# Of a mean over many records.
_ROUNDING = 1e-9


class _PublishedScorer(ClusterScorer):
    """The raw means of the clusters, and votes of the nearest few."""

    def __init__(self, artifact: RouterArtifact, *, top_k: int, **options: Any) -> None:
        super().__init__(
            artifact,
            artifact.statistics,
            artifact.centroids.astype(np.float64),
            top_k=top_k,
            **options,
        )
        s = self.statistics
        self._top_k = min(top_k, artifact.n_clusters)
        self._seen = s.n > 0
        self._means = ratio(s.score, s.n)
        self._costs = ratio(s.cost, s.n_cost)
        self._tables(self._means, self._costs)

    def features(self, queries: Queries, out: Floats | None = None) -> Floats:
        distance = 1 - queries.vectors.astype(np.float64) @ self._centroids.T
        # Clusters without records have no ranking and cannot vote.
        distance[:, self._size == 0] = np.inf
        nearest = np.argsort(distance, axis=1, kind="stable")[:, : self._top_k]
        votes = np.zeros(distance.shape)
        shares = self._shares(np.take_along_axis(distance, nearest, axis=1))
        np.put_along_axis(votes, nearest, shares, axis=1)
        features = np.concatenate([votes, np.zeros((len(votes), 2))], axis=1)
        self._look(queries, features)
        features[:, -1:] = self._extra_tokens(features[:, :-2], queries)
        return features

    def _shares(self, distance: Floats) -> Floats:
        """(n, top_k) votes of the nearest clusters from their distances."""
        raise NotImplementedError

    def center_features(self) -> Floats:
        return self.features(Queries(unit(self._centroids)))

    def _with_last_rows(self, utility: Floats) -> Floats:
        return np.concatenate([utility, np.zeros((2, utility.shape[1]))])


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
        return self._with_last_rows(np.where(self._seen, 1 / (rank + 1.0), 0.0))


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
        self._gain = _min_max(self._means, self._seen, flat=1.0, rounding=_ROUNDING)
        loss = _min_max(self._costs, self._seen, flat=0.0, rounding=_ROUNDING)
        self._loss = np.where(self._seen, loss, 1.0)

    def _shares(self, distance: Floats) -> Floats:
        votes = np.isfinite(distance)
        shares: Floats = votes / votes.sum(axis=1, keepdims=True)
        return shares

    def table(self, alpha: float) -> Floats:
        return self._with_last_rows(alpha * self._gain + (1 - alpha) * (1 - self._loss))


def _min_max(
    values: Floats, seen: npt.NDArray[np.bool_], flat: float, rounding: float = 0.0
) -> Floats:
    """Each row to [0, 1] over the models seen in it.

    ``flat`` where they differ by no more than ``rounding``, a share of the highest; the published
    code knows of none.
    """
    low = np.where(seen, values, np.inf).min(axis=1, keepdims=True)
    high = np.where(seen, values, -np.inf).max(axis=1, keepdims=True)
    spread = high - low
    varied = np.isfinite(spread)
    varied &= spread > rounding * np.where(varied, np.abs(high), 0.0)
    scaled = (values - np.where(varied, low, 0.0)) / np.where(varied, spread, 1.0)
    return np.where(seen & varied, scaled, flat)
