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

from avengers_core.artifact.clusters import ratio
from avengers_core.artifact.estimation.asked import Asked
from avengers_core.artifact.estimation.comparing import comparable
from avengers_core.artifact.estimation.inference import Inference, fingerprint, sigmoid
from avengers_core.artifact.estimation.process import places
from avengers_core.artifact.info import NEWEST, ArtifactInfo
from avengers_core.artifact.statistics import Statistics
from avengers_core.common.arrays import Floats
from avengers_core.common.parallel import one_thread

# Records that a model may lack in a cluster by chance, and not because it was kept from it.
_BY_CHANCE = 5.0
# Share of the variance in what topics that a model was not seen on have in common.
_ALIKE = 0.25


@dataclass(frozen=True, eq=False)
class Beliefs:
    """What is believed of K clusters' cells with M models, found once for all that is asked of it.

    Attributes:
        scores: (K, M) expected scores.
        groups: in which models were compared; None where nothing was seen, as is
        inference: what was found in them.
        lacking: (G, M) what :func:`lacking` says of them, and
        told: (M,) what :func:`told` says.
        error: by how much what is inferred of a model on a topic that it was kept from is off, root
            mean square; 0 where it is not known.
    """

    scores: Floats
    groups: Groups | None = None
    inference: Inference | None = None
    lacking: Floats | None = None
    told: Floats | None = None
    error: float = 0.0

    def plausible(self, count: int, seed: int = 0) -> Floats:
        """(count, K, M) by how much scores may differ that the records do not rule out.

        Draws from the posterior, less its middle: their spread says how well a score is known, and
        together they say what models have in common. Where a model was kept from, the posterior
        knows too little doubt: models fail on whole topics, and the few topics that a model was
        seen on say little of its level on all others. How far inference was off on topics that were
        held back takes its place there.

        Args:
            count: how many.
            seed: of the random numbers.
        """
        if self.groups is None or self.inference is None:
            return np.zeros((count, *self.scores.shape))
        g, logits = self.groups, self.inference.logits
        drawn = sigmoid(logits + self.inference.process(g.n, g.where).draws(count, seed))
        away: Floats = drawn - sigmoid(logits)
        if self.error > 0 and self.lacking is not None:
            elsewhere = unseen(g.topics, self.lacking, self.error, count, seed)
            away += self.lacking * (elsewhere - away)
        return g.shares @ away


class Groups(NamedTuple):
    """Records in G groups, each of a cluster, and of a topic where these are told apart.

    Attributes:
        shares: (K, G) of each group in the records of its cluster.
        where: (G, D) its place.
        topics: (G, T) shares of the topics in its records.
        total: (G, M) sums of scores.
        n: (G, M) records that score each model.
    """

    shares: Floats
    where: Floats
    topics: Floats
    total: Floats
    n: Floats


def beliefs(
    statistics: Statistics,
    centroids: Floats,
    asked: Asked | None = None,
    *,
    info: ArtifactInfo = NEWEST,
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
        info: of an artifact, which says how its cells are read and how far to believe what is
            inferred of a model where it was kept from, see :func:`doubted`.
        known: what was found before; of no use where it is of other sums.
    """
    s = statistics
    by_topic, level = info.reads_cells("topics"), info.reads_cells("levelled")
    held = info.reads_cells("held")
    with one_thread():  # many small products: threads would wait for each other
        groups = _groups(s, centroids, asked, by_topic)
        if not groups.n.any():
            return Beliefs(np.zeros_like(s.n))
        sums = (s.n, s.score, s.topics) if asked is None else asked.telling().values()
        source = fingerprint(centroids, *sums, np.array([by_topic] + [True] * (level + held)))
        size = s.size @ groups.shares
        worth = told(groups.n, groups.topics, size)
        if known is None or known.source != source or known.logits.shape != groups.n.shape:
            known = Inference.of(
                *(groups.total, groups.n, groups.where, source),
                level=level,
                told=worth if held else None,
            )
        lack = lacking(groups.n, size)
        scores = doubted(sigmoid(known.logits), lack, info.trust)
        return Beliefs(groups.shares @ scores, groups, known, lack, worth, info.error)


def _groups(s: Statistics, centroids: Floats, asked: Asked | None, by_topic: bool) -> Groups:
    if asked is not None:
        return compared(asked, centroids)
    topics = ratio(s.topics, s.size[:, None])
    where = places(centroids, topics if by_topic else np.zeros((len(centroids), 0)))
    return Groups(np.eye(len(centroids)), where, topics, s.score, s.n)


def compared(asked: Asked, centroids: Floats) -> Groups:
    """The groups of a cluster and a topic in which models may be compared."""
    shares, topics, total, n = comparable(asked)
    where = places(centroids[shares.argmax(axis=0)], topics)
    return Groups(shares, where, topics, total, n)


def expected_scores_of(total: Floats, n: Floats, centroids: Floats) -> Floats:
    """(K, M) expected scores, from sums and counts, as :func:`beliefs` finds them.

    Args:
        total: (K, M) sums of scores.
        n: (K, M) records in each.
        centroids: (K, d).
    """
    if not n.any():
        return np.zeros_like(n)
    return sigmoid(Inference.of(total, n, centroids, told=n.sum(axis=0)).logits)


def doubted(scores: Floats, lacking: Floats, trust: float) -> Floats:
    """(G, M) scores, nearer to the mean of all models where one has fewer records than usual.

    Whoever is believed to be the best is chosen, and of many that nobody has seen there it is the
    one that is overrated the most. Nor is it by chance that a model was not asked. So what sets it
    apart from the others is believed the less, the fewer records it has beside its share of all.

    Source: Smith and Winkler, The Optimizer's Curse, 2006.

    Args:
        scores: (G, M) of G groups of records.
        lacking: (G, M) what :func:`lacking` says of them.
        trust: share that is believed where there should be many records, and there are none.
    """
    typical = scores.mean(axis=1, keepdims=True)
    believed: Floats = typical + (1 - (1 - trust) * lacking) * (scores - typical)
    return believed


def told(n: Floats, topics: Floats, size: Floats) -> Floats:
    """(M,) of how many records' worth the level of each model, over all topics, is told.

    Its records, as far as they are of what all records are of: thirty results of one benchmark of
    many say little more of it than two of each would.

    Args:
        n: (G, M) records that score each model.
        topics: (G, T) shares of the topics in G groups of records; zero: not known.
        size: (G,) records, whichever models they score.
    """
    own, usual = topics.T @ n, topics.T @ size
    overlap = np.minimum(ratio(own, own.sum(axis=0)), ratio(usual, usual.sum())[:, None])
    known = topics.any()
    worth: Floats = n.sum(axis=0) * (overlap.sum(axis=0) if known else 1.0)
    return worth


def lacking(n: Floats, size: Floats) -> Floats:
    """(G, M) share of the records that models would have in groups of (G,) records, but lack.

    Args:
        n: (G, M) records that score each model.
        size: (G,) records, of which each model would have scored its share of all.
    """
    return fewer(n, np.outer(size, n.sum(axis=0) / max(size.sum(), 1.0)))


def fewer(n: Floats, usual: Floats) -> Floats:
    """By what share records are fewer than usual; a few less say nothing."""
    lack: Floats = 1 - np.minimum((n + _BY_CHANCE) / (usual + _BY_CHANCE), 1.0)
    return lack


def unseen(topics: Floats, lacking: Floats, error: float, count: int, seed: int = 0) -> Floats:
    """(count, G, M) by how much scores may be off where a model was kept from all records.

    A model differs on each topic by itself, and on those that it was not seen on alike in part:
    nobody is kept from topics by chance. Its level is that of the topics it was seen on, and of one
    more that may be like any; so it is off the further, and everywhere, the fewer these are.

    Args:
        topics: (G, T) shares of the topics in G groups of records.
        lacking: (G, M) what :func:`lacking` says of them.
        error: root mean square on a topic.
        count: how many draws.
        seed: of the random numbers.
    """
    rng = np.random.default_rng([seed, 1])
    m = lacking.shape[1]
    own, alike = error * np.sqrt(1 - _ALIKE), error * np.sqrt(_ALIKE)
    of_topics = own * rng.standard_normal((count, topics.shape[1], m))
    more, common = rng.standard_normal((2, count, m))
    seen = ratio(topics, topics.sum(axis=0)).T @ (1 - lacking)
    level = (np.einsum("tm,stm->sm", seen, of_topics) + own * more) / (seen.sum(axis=0) + 1)
    away: Floats = topics @ of_topics + (alike * common - level)[:, None, :]
    return away
