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
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.clusters import ratio
from avengers_core.artifact.estimation.asked import Asked
from avengers_core.artifact.estimation.inference import Inference, fingerprint, sigmoid
from avengers_core.artifact.estimation.process import places
from avengers_core.artifact.statistics import Statistics

Floats = npt.NDArray[np.floating]

# Records that a model may lack in a cluster by chance, and not because it was kept from it.
_BY_CHANCE = 5.0


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is believed of K clusters' cells with M models, found once for all that is asked of it.

    Attributes:
        scores: (K, M) expected scores.
        groups: in which models were compared; None where nothing was seen, as is
        inference: what was found in them.
    """

    scores: Floats
    groups: Groups | None = None
    inference: Inference | None = None

    def plausible(self, count: int, seed: int = 0) -> Floats:
        """(count, K, M) by how much scores may differ that the records do not rule out.

        Draws from the posterior, less its middle: their spread says how well a score is known, and
        together they say what models have in common.

        Args:
            count: how many.
            seed: of the random numbers.
        """
        if self.groups is None or self.inference is None:
            return np.zeros((count, *self.scores.shape))
        g, logits = self.groups, self.inference.logits
        drawn = sigmoid(logits + self.inference.process(g.n, g.where).draws(count, seed))
        away: Floats = g.shares @ (drawn - sigmoid(logits))
        return away


class Groups(NamedTuple):
    """Records in G groups, each of a cluster, and of a topic where these are told apart.

    Attributes:
        shares: (K, G) of each group in the records of its cluster.
        where: (G, D) its place.
        total: (G, M) sums of scores.
        n: (G, M) records that score each model.
    """

    shares: Floats
    where: Floats
    total: Floats
    n: Floats


def beliefs(
    statistics: Statistics,
    centroids: Floats,
    asked: Asked | None = None,
    *,
    by_topic: bool = True,
    trust: float = 1.0,
    known: Inference | None = None,
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
        known: what was found before; of no use where it is of other sums.
    """
    s = statistics
    groups = _groups(s, centroids, asked, by_topic)
    if not groups.n.any():
        return Beliefs(np.zeros_like(s.n))
    sums = (s.n, s.score, s.topics) if asked is None else asked.sums()
    source = fingerprint(centroids, *sums, np.array([by_topic]))
    if known is None or known.source != source or known.logits.shape != groups.n.shape:
        known = Inference.of(groups.total, groups.n, groups.where, source)
    scores = doubted(sigmoid(known.logits), groups.n, s.size @ groups.shares, trust)
    return Beliefs(groups.shares @ scores, groups, known)


def _groups(s: Statistics, centroids: Floats, asked: Asked | None, by_topic: bool) -> Groups:
    if asked is not None:
        return compared(asked, centroids)
    topics = ratio(s.topics, s.size[:, None]) if by_topic else np.zeros((len(centroids), 0))
    return Groups(np.eye(len(centroids)), places(centroids, topics), s.score, s.n)


def compared(asked: Asked, centroids: Floats) -> Groups:
    """The groups of a cluster and a topic in which models may be compared."""
    shares, topics, total, n = asked.comparable()
    return Groups(shares, places(centroids[shares.argmax(axis=0)], topics), total, n)


def expected_scores_of(total: Floats, n: Floats, centroids: Floats) -> Floats:
    """(K, M) expected scores, from sums and counts, as :func:`beliefs` finds them.

    Args:
        total: (K, M) sums of scores.
        n: (K, M) records in each.
        centroids: (K, d).
    """
    return sigmoid(Inference.of(total, n, centroids).logits) if n.any() else np.zeros_like(n)


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
    typical = scores.mean(axis=1, keepdims=True)
    believed: Floats = typical + (1 - (1 - trust) * lacking(n, size)) * (scores - typical)
    return believed


def lacking(n: Floats, size: Floats) -> Floats:
    """(G, M) share of the records that models would have in groups of (G,) records, but lack.

    Args:
        n: (G, M) records that score each model.
        size: (G,) records, of which each model would have scored its share of all.
    """
    usual = np.outer(size, n.sum(axis=0) / max(size.sum(), 1.0))
    return 1 - np.minimum((n + _BY_CHANCE) / (usual + _BY_CHANCE), 1.0)


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
