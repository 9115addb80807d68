"""Ask first what teaches a router most.

A full table of all models on all questions is mostly wasted: where a model is far behind in a
cluster of questions, asking it there again changes no decision. So a few questions of each cluster
go to every model; then, round by round, questions go where it is open which model should be chosen,
to those that may turn out to be it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.clusters import assign
from avengers_core.collecting.strategies import Cell, Table
from avengers_core.embedders.wordllama import WordLlamaEmbedder
from avengers_core.fitting.clustering import cluster

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

# Answers of each model in each cluster before it is asked where decisions are open.
_FIRST = 3
# Records' worth by which a cell is shrunk to what cluster and model let expect.
_PSEUDO_COUNT = 6.0
_ALPHAS = np.linspace(0.1, 1.0, 10)
_DRAWS = 48
# Rounds in which a budget is spent: later ones know more.
_ROUNDS = 12
# Answers of each model, on average, before asking may stop for want of open decisions.
_AT_LEAST = 30
# The mean score that decisions may be expected to lose before asking goes on.
_TOLERANCE = 0.002


class Adaptive:
    """See the module.

    Args:
        queries: n questions.
        seed: of clusters, draws and picks.
    """

    def __init__(self, queries: Sequence[str], seed: int) -> None:
        self._queries = queries
        self._random = np.random.default_rng(seed)
        self._seed = seed
        self._labels: Ints | None = None

    def choose(self, table: Table, most: int | None) -> Sequence[Cell]:
        n, m = table.done.shape
        left = n * m - int(table.done.sum())
        room = left if most is None else min(most, left)
        if room <= 0:
            return []
        if self._labels is None:
            self._labels = self._clusters(n, m, room)
        labels = self._labels
        answered = int(np.isfinite(table.scores).sum())
        want = _first_answers(table, labels)
        if want.any():
            return self._pick(table, labels, want, room)
        size = max(m, (answered + room) // _ROUNDS if most is not None else answered // 4)
        want, regret = self._open(table, labels, min(size, room))
        enough = answered >= min(_AT_LEAST, n) * m
        if most is None and enough and regret < _TOLERANCE:
            return []
        return self._pick(table, labels, want, room)

    def _clusters(self, n: int, m: int, room: int) -> Ints:
        # A third of what may be asked goes into the first answers, in clusters of ten or more.
        k = int(np.clip(min(room // (3 * _FIRST * m), n // 10), 1, 60))
        vectors = WordLlamaEmbedder().embed(list(self._queries))
        distinct = np.unique(vectors, axis=0)
        return assign(vectors, cluster(distinct, k, self._seed, 1))

    def _open(self, table: Table, labels: Ints, size: int) -> tuple[Ints, float]:
        """(K, M) how many answers to ask for where, and the score that decisions lose as yet."""
        k, m = int(labels.max()) + 1, table.done.shape[1]
        weight = np.bincount(labels, minlength=k) / len(labels)
        mean, spread = _estimate(table.scores, labels)
        cost = _expected_cost(table.costs, labels)
        r_score = float(np.median(np.ptp(mean, axis=1))) or 1.0
        r_cost = float(np.median(np.ptp(cost, axis=1))) or 1.0
        draws = mean + spread * self._random.standard_normal((_DRAWS, k, m))
        wins = np.zeros((k, m))
        lost = np.zeros(k)
        for alpha in _ALPHAS:
            price = (1 - alpha) * cost / r_cost
            chosen = (alpha * mean / r_score - price).argmax(axis=1)
            utility = alpha * draws / r_score - price
            best = utility.argmax(axis=2)
            for j in range(m):
                wins[:, j] += (best == j).mean(axis=0)
            gap = utility.max(axis=2) - utility[:, np.arange(k), chosen]
            lost += gap.mean(axis=0) * r_score / alpha
        wins /= len(_ALPHAS)
        lost /= len(_ALPHAS)
        # Whom nobody contests needs no further answer, whoever cannot win neither.
        share = wins * (1 - wins) * spread
        share *= (weight * lost)[:, None] ** 0.5
        room = np.array([np.bincount(labels, ~table.done[:, j], k) for j in range(m)]).T
        share = np.where(room > 0, share, 0.0)
        # Half of them anywhere: what is learnt from many different questions serves all clusters.
        anywhere = np.where(room > 0, weight[:, None], 0.0)
        share = _normalised(share, anywhere) / 2 + _normalised(anywhere, anywhere) / 2
        want = np.minimum(np.floor(share * size + self._random.random((k, m))), room)
        return want.astype(np.int64), float(weight @ lost)

    def _pick(self, table: Table, labels: Ints, want: Ints, most: int) -> list[Cell]:
        """Cells for what is wanted: of each cluster, the questions with the fewest answers first.

        Models are asked the same ones: fewer answers tell apart who answered the same questions.
        """
        chosen: list[Cell] = []
        answers = table.done.sum(axis=1) + self._random.random(len(labels))
        for c in np.flatnonzero(want.sum(axis=1)):
            rows = np.flatnonzero(labels == c)
            rows = rows[np.argsort(answers[rows])]
            for j in np.flatnonzero(want[c]):
                open_rows = rows[~table.done[rows, j]][: want[c, j]]
                chosen += [(int(i), int(j)) for i in open_rows]
        self._random.shuffle(chosen)
        return chosen[:most]


def _first_answers(table: Table, labels: Ints) -> Ints:
    """(K, M) answers wanted so that each cluster has the first few of every model."""
    size = np.bincount(labels)
    have = _per_cluster(table.done, labels)
    return np.maximum(np.minimum(_FIRST, size)[:, None] - have, 0).astype(np.int64)


def _per_cluster(values: npt.NDArray[np.generic], labels: Ints) -> Floats:
    return np.stack([np.bincount(labels, weights=v) for v in values.T], axis=1)


def _additive(sums: Floats, n: Floats, rounds: int = 20) -> Floats:
    """(K, M) row plus column effects fitted to the means of cells, each weighed by its records."""
    total = max(n.sum(), 1.0)
    overall = sums.sum() / total
    row, column = np.zeros(len(n)), np.zeros(n.shape[1])
    for _ in range(rounds):
        row = (sums - n * (overall + column)).sum(axis=1) / (n.sum(axis=1) + 2.0)
        column = (sums - n * (overall + row[:, None])).sum(axis=0) / (n.sum(axis=0) + 2.0)
    fitted: Floats = overall + row[:, None] + column
    return fitted


def _estimate(scores: Floats, labels: Ints) -> tuple[Floats, Floats]:
    """(K, M) expected scores, shrunk to an additive table, and their standard deviations."""
    known = np.isfinite(scores)
    n = _per_cluster(known.astype(float), labels)
    sums = _per_cluster(np.where(known, scores, 0.0), labels)
    prior = np.clip(_additive(sums, n), 0.02, 0.98)
    mean = (sums + _PSEUDO_COUNT * prior) / (n + _PSEUDO_COUNT)
    return mean, np.sqrt(np.clip(mean * (1 - mean), 0.02, None) / (n + _PSEUDO_COUNT))


def _expected_cost(costs: Floats, labels: Ints) -> Floats:
    """(K, M) expected costs, a product of cluster and model; all 0 where none is known."""
    known = np.isfinite(costs) & (costs > 0)
    if not known.any():
        return np.zeros((int(labels.max()) + 1, costs.shape[1]))
    n = _per_cluster(known.astype(float), labels)
    sums = _per_cluster(np.where(known, np.log(np.where(known, costs, 1.0)), 0.0), labels)
    return np.exp(_additive(sums, n))


def _normalised(share: Floats, otherwise: Floats) -> Floats:
    """Shares that sum to 1; of ``otherwise`` where there are none."""
    total = share.sum()
    one: Floats = share / total if total > 0 else otherwise / max(otherwise.sum(), 1e-12)
    return one
