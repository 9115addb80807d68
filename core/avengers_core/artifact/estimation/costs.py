"""What models cost in a cluster, also where they have been seen little or never."""

from __future__ import annotations

import numpy as np

from avengers_core.artifact.clusters import ratio
from avengers_core.artifact.estimation.process import CellProcess, kernel_of
from avengers_core.artifact.statistics import Statistics
from avengers_core.common.arrays import Floats

# Variance of the logarithm by which a model's costs differ from a product from place to place, and
# the most that is read off one cell; flat between .03 and .1, and between 1 and 3.
_VARIANCE, _MOST = 0.05, 1.0


def expected_costs(statistics: Statistics, m0: float, where: Floats | None = None) -> Floats:
    """(K, M) expected costs in USD, from the sums of the cells seen.

    What an answer costs is nearly a product: of the model's price and the length of the cluster's
    answers. By how much it is not goes smoothly from cluster to cluster: who writes at length, or
    calls tools many times, does so in clusters that are alike. A cell's mean, brought from the
    length of the queries that the model was asked there to that of all queries there, is shrunk to
    that by ``m0`` records' worth.

    Args:
        statistics: of the clusters.
        m0: at least 0; where there is neither record nor shrinkage, what others let expect stands.
        where: (K, d) places of the clusters, see
            :func:`avengers_core.artifact.estimation.process.places`; without, the product alone is
            what others let expect.
    """
    s, n = statistics, statistics.n_cost
    usual = ratio(s.query_length, s.size)[:, None]
    own = ratio(s.length, n)
    known = (own >= 1) & (usual >= 1)  # a query has at least one byte
    longer = np.where(known, usual, 1.0) / np.where(known, own, 1.0)
    mean = ratio(s.cost, n) * longer ** _elasticity(s)
    product = _product(mean, n)
    if where is not None:
        product = _fitted(product * _beyond(mean, n, product, where), mean, n)
    weight = n + m0
    return np.where(
        weight > 0, (n * mean + m0 * product) / np.where(weight > 0, weight, 1.0), product
    )


def _elasticity(s: Statistics) -> float:
    """By what share cost grows where a query is longer by 1 %, inside the cells, in [0, 1]."""
    seen = (s.n_cost > 1) & (s.cost > 1e-12 * s.cost.max(initial=0.0)) & (s.length >= s.n_cost)
    if not seen.any():
        return 0.0
    n, cost, length = s.n_cost[seen], s.cost[seen], s.length[seen]
    together = n * (n * s.length_cost[seen] / (cost * length) - 1)
    spread = n * (n * s.length_squared[seen] / length**2 - 1)
    total = float(spread.sum())
    return float(np.clip(together.sum() / total, 0.0, 1.0)) if total > 1e-9 * n.sum() else 0.0


def _product(mean: Floats, n: Floats, steps: int = 30) -> Floats:
    """(K, M) a factor for each cluster times one for each model, that the sums fit.

    Each record counts alike whatever its model's price, as in a gamma regression with a log link.
    """
    column = ratio((n * mean).sum(axis=0), n.sum(axis=0))
    typical = float((n * mean).sum() / max(n.sum(), 1.0)) or 1.0
    priced = column > 0
    row = np.ones((len(n), 1))
    worth = np.where(priced, n, 0.0)
    for _ in range(steps):
        relative = mean / np.where(priced, column, typical)
        # Two records' worth of a cluster like any other.
        row = ((worth * relative).sum(axis=1, keepdims=True) + 2) / (
            worth.sum(axis=1, keepdims=True) + 2
        )
        column = ratio((n * mean / row).sum(axis=0), n.sum(axis=0))
    return _fitted(row * column, mean, n)


def _beyond(mean: Floats, n: Floats, product: Floats, where: Floats) -> Floats:
    """(K, M) factors by which costs differ from the product, each model's by itself.

    A Gaussian process on the logarithms: a record's cost differs from its mean by as much as the
    mean itself, as with a gamma regression's exponential errors.
    """
    seen = (n > 0) & (mean > 0) & (product > 0)
    away = np.log(np.where(seen, mean, 1.0) / np.where(seen, product, 1.0))
    alike = _VARIANCE * np.eye(n.shape[1])
    process = CellProcess(np.zeros(len(alike)), alike, kernel_of(where), np.where(seen, n, 0.0))
    factors: Floats = np.exp(process.mean(np.clip(away, -_MOST, _MOST), roughly=True))
    return factors


def _fitted(costs: Floats, mean: Floats, n: Floats) -> Floats:
    """The same costs, each model's times a factor for its sum to be that of its records."""
    fitted: Floats = costs * ratio((n * mean).sum(axis=0), (n * costs).sum(axis=0))
    return fitted
