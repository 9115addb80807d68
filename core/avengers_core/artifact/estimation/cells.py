"""What is believed of a model in a cluster, also where it has been seen little or never.

Records are seldom complete: a log holds one model a query, a benchmark knows some models only. So
a model's mean over what it happened to be asked says as much of the questions as of the model.
Here the two are told apart: a cluster is a draw from a distribution over the skills of *all*
models, found from the sums of the cells (cluster, model) that have been seen. What is known of
some models in a cluster then says what to expect of the others there, and neighbouring clusters
lend each other strength.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.clusters import ratio
from avengers_core.artifact.estimation.asked import Asked
from avengers_core.artifact.estimation.process import CellProcess, kernel_of, places
from avengers_core.artifact.statistics import Statistics

Floats = npt.NDArray[np.floating]

# Clusters' worth of the assumption that all models are alike in how they go together.
_ALIKE = 50.0
# Records that a model may lack in a cluster by chance, and not because it was kept from it.
_BY_CHANCE = 5.0
# Steps of Newton's method, and of EM inside each: predictions change by less than .002 after, and
# by a few hundredths where whole blocks are missing.
_NEWTON_STEPS, _EM_STEPS = 6, 6


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is believed of K clusters' cells with M models, found once for all that is asked of it.

    Attributes:
        scores: (K, M) expected scores.
        shares: (K, G) of each cluster's queries in G groups, each of a cluster and a topic,
        logits: (G, M) of the scores that their records say, and
        process: whose posterior mean they are; all None where nothing was seen.
    """

    scores: Floats
    shares: Floats | None = None
    logits: Floats | None = None
    process: CellProcess | None = None

    def plausible(self, count: int, seed: int = 0) -> Floats:
        """(count, K, M) by how much scores may differ that the records do not rule out.

        Draws from the posterior, less its middle: their spread says how well a score is known, and
        together they say what models have in common.

        Args:
            count: how many.
            seed: of the random numbers.
        """
        if self.shares is None or self.logits is None or self.process is None:
            return np.zeros((count, *self.scores.shape))
        drawn = _sigmoid(self.logits + self.process.draws(count, seed))
        away: Floats = self.shares @ (drawn - _sigmoid(self.logits))
        return away


def beliefs(
    statistics: Statistics,
    centroids: Floats,
    asked: Asked | None = None,
    *,
    by_topic: bool = True,
    trust: float = 1.0,
) -> Beliefs:
    """What the sums of the cells seen say of all.

    A Gaussian process over cells on the logit scale: prior mean mu_m, covariance
    ``k(c, c') Sigma(m, m')``, with k linear in the clusters' places (see :func:`places`) plus a
    part of each cluster's own, and Sigma between models found by EM, shrunk towards equal variances
    and equal covariances. Records are binomial; Laplace's approximation, by Newton's method.

    Source: Rasmussen and Williams, Gaussian Processes for Machine Learning, 2006, 3.4; Bonilla,
    Chai and Williams, Multi-task Gaussian Process Prediction, 2007.

    Args:
        statistics: of the clusters.
        centroids: (K, d).
        asked: of which topics, and how hard, what was asked was; each topic of a cluster is then a
            cell of its own, and their expected scores are averaged.
        by_topic: whether clusters of the same topics are the more alike; not so in artifacts of
            versions that did not know it.
        trust: how far to believe what is inferred of a model where it was kept from, see
            :func:`doubted`.
    """
    s = statistics
    if not s.n.any():
        return Beliefs(np.zeros_like(s.n))
    if asked is None:
        shares: Floats = np.eye(len(centroids))
        topics = ratio(s.topics, s.size[:, None]) if by_topic else np.zeros((len(shares), 0))
        n: Floats = s.n
        logits, process = _logits(s.score, n, places(centroids, topics))
    else:
        shares, topics, total, n = asked.comparable()
        where = places(centroids[shares.argmax(axis=0)], topics)
        logits, process = _logits(total, n, where)
    scores = doubted(_sigmoid(logits), n, s.size @ shares, trust)
    return Beliefs(shares @ scores, shares, logits, process)


def expected_scores_of(total: Floats, n: Floats, centroids: Floats) -> Floats:
    """(K, M) expected scores, from sums and counts, as :func:`beliefs` finds them.

    Args:
        total: (K, M) sums of scores.
        n: (K, M) records in each.
        centroids: (K, d).
    """
    if not n.any():
        return np.zeros_like(n)
    logits, _ = _logits(total, n, centroids)
    return _sigmoid(logits)


def doubted(scores: Floats, n: Floats, size: Floats, trust: float) -> Floats:
    """(G, M) scores, nearer to the mean of all models where one has fewer records than usual.

    Whoever is believed to be the best is chosen, and of many that nobody has seen there it is the
    one that is overrated the most. Nor is it by chance that a model was not asked. So what sets it
    apart from the others is believed the less, the fewer records it has beside its share of all.

    Source: Smith and Winkler, The Optimizer's Curse, 2006.

    Args:
        scores: (G, M) of G groups of records.
        n: (G, M) records that score each model there.
        size: (G,) records.
        trust: share that is believed where there should be many records, and there are none.
    """
    usual = np.outer(size, n.sum(axis=0) / max(size.sum(), 1.0))
    known = np.minimum((n + _BY_CHANCE) / (usual + _BY_CHANCE), 1.0)
    typical = scores.mean(axis=1, keepdims=True)
    believed: Floats = typical + (trust + (1 - trust) * known) * (scores - typical)
    return believed


def _logits(total: Floats, n: Floats, where: Floats) -> tuple[Floats, CellProcess]:
    """(K, M) logits of the expected scores, and the process that they are the mean of."""
    total = np.clip(total, 0.0, n)
    mean = ratio(total, n)
    kernel = kernel_of(where)
    p: Floats = np.clip(_main_effects(total, n), 0.05, 0.95)
    mu: Floats = np.log(p / (1 - p)).mean(axis=0)
    sigma: Floats = 0.7 + 0.3 * np.eye(len(mu))
    logit: Floats = np.tile(mu, (len(n), 1))
    for _ in range(_NEWTON_STEPS):
        p = _sigmoid(logit)
        # Where a score is all but certain, a step along the tangent would leap.
        slope = np.maximum(p * (1 - p), 0.03)
        target = logit + np.clip((mean - p) / slope, -4, 4)
        precision = n * slope
        mu, sigma = _fit_prior(target, precision, mu, sigma)
        process = CellProcess(mu, sigma, kernel, target, precision)
        logit = process.mean()
    return logit, process


def _sigmoid(logit: Floats) -> Floats:
    p: Floats = 1 / (1 + np.exp(-logit))
    return p


def expected_costs(statistics: Statistics, m0: float) -> Floats:
    """(K, M) expected costs in USD, from the sums of the cells seen.

    What an answer costs is nearly a product: of the model's price and the length of the cluster's
    answers. A cell's mean, brought from the length of the queries that the model was asked there
    to that of all queries there, is shrunk to that product by ``m0`` records' worth.

    Args:
        statistics: of the clusters.
        m0: at least 0; where there is neither record nor shrinkage, the product stands.
    """
    s, n = statistics, statistics.n_cost
    usual = ratio(s.query_length, s.size)[:, None]
    own = ratio(s.length, n)
    known = (own >= 1) & (usual >= 1)  # a query has at least one byte
    longer = np.where(known, usual, 1.0) / np.where(known, own, 1.0)
    mean = ratio(s.cost, n) * longer ** _elasticity(s)
    product = _product(mean, n)
    weight = n + m0
    return np.where(
        weight > 0, (n * mean + m0 * product) / np.where(weight > 0, weight, 1.0), product
    )


def _main_effects(total: Floats, n: Floats, steps: int = 30) -> Floats:
    """(K, M) a level for each cluster plus one for each model, by alternating ridge regression."""
    mean = total.sum() / n.sum()
    row, column = np.zeros((len(n), 1)), np.zeros((1, n.shape[1]))
    for _ in range(steps):
        left = total - n * (mean + column)
        row = left.sum(axis=1, keepdims=True) / (n.sum(axis=1, keepdims=True) + 1)
        left = total - n * (mean + row)
        column = left.sum(axis=0, keepdims=True) / (n.sum(axis=0, keepdims=True) + 1)
    effects: Floats = mean + row + column
    return effects


def _fit_prior(
    target: Floats, precision: Floats, mu: Floats, sigma: Floats
) -> tuple[Floats, Floats]:
    """Mean and covariance between models of clusters as independent draws, by EM."""
    k, m = target.shape
    weighted = precision * target
    identity = np.eye(m)
    for _ in range(_EM_STEPS):
        # Posterior of each cluster: (Sigma^-1 + diag(precision))^-1, without inverting Sigma.
        inner = identity + precision[:, :, None] * sigma
        covariance = np.linalg.solve(inner.transpose(0, 2, 1), np.broadcast_to(sigma, inner.shape))
        shift = np.einsum("kij,kj->ki", covariance, weighted - precision * mu)
        mean = mu + shift
        mu = mean.mean(axis=0)
        away = mean - mu
        own = (away.T @ away + covariance.sum(axis=0)) / k
        own = (own + own.T) / 2
        alike = _exchangeable(own)
        sigma = (k * own + _ALIKE * alike) / (k + _ALIKE) + 1e-6 * identity
    return mu, sigma


def _exchangeable(sigma: Floats) -> Floats:
    """The same mean variance and mean covariance, alike for all models."""
    m = len(sigma)
    variance = np.trace(sigma) / m
    covariance = (sigma.sum() - m * variance) / max(m * (m - 1), 1)
    alike: Floats = covariance + (variance - covariance) * np.eye(m)
    return alike


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
    product = row * column
    return product * ratio((n * mean).sum(axis=0), (n * product).sum(axis=0))
