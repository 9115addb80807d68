"""Ask first what teaches a router most.

Two things were measured to matter, on complete tables that answer like an endpoint. A question that
all models answer tells more than as many answers to different questions, for it compares them. And
most models are never chosen among questions of one kind: the calls that they do not get there are
worth questions for the others. So questions from all over go to every model at first; then, round
by round, each further question goes to those models only that may yet turn out to be the ones to
choose in its cluster.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.clusters import assign, sums_of_cells
from avengers_core.artifact.estimation.cells import beliefs
from avengers_core.artifact.estimation.costs import expected_costs
from avengers_core.artifact.statistics import Statistics
from avengers_core.collecting.strategies import Cell, Table
from avengers_core.common.arrays import Floats, Ints
from avengers_core.common.functions import cached_property
from avengers_core.common.parallel import one_thread
from avengers_core.embedders.surface import Augment, surface
from avengers_core.embedders.wordllama import WordLlamaEmbedder
from avengers_core.fitting.clustering import cluster
from avengers_core.fitting.refine import SURFACE_WEIGHT

# Of a budget, what goes to all models alike, and how much is asked for in a round after that.
_FIRST_SHARE, _ROUND_SHARE = 0.25, 0.15
# Questions that all models answer before any is left out.
_FIRST = 20
# A model is asked on in a cluster where it is the one to choose in so many draws, over all alphas.
_LEAST_CHOSEN = 0.03
# At 0 no score counts.
_ALPHAS = np.linspace(0.1, 1.0, 10)
_DRAWS = 48
# Answers of each model, on average, before asking may stop for want of open decisions.
_AT_LEAST = 30
# The mean score that decisions may be expected to lose before asking goes on.
_TOLERANCE = 0.002
_MOST_CLUSTERS, _QUESTIONS_A_CLUSTER = 60, 10


class _Belief(NamedTuple):
    """What the answers let expect.

    Attributes:
        wins: (K, M) share of alphas and draws in which each model is a cluster's one to choose.
        regret: mean score that is lost, as far as is known, by choosing on what is expected.
    """

    wins: Floats
    regret: float


class Adaptive:
    """See the module.

    Args:
        queries: n questions.
        seed: of clusters, draws and picks.
    """

    def __init__(self, queries: Sequence[str], seed: int) -> None:
        self._queries = queries
        self._seed = seed
        self._random = np.random.default_rng(seed)

    def __call__(self, table: Table, most: int | None) -> Sequence[Cell]:
        n, m = table.done.shape
        left = n * m - int(table.done.sum())
        room = left if most is None else min(most, left)
        if room <= 0:
            return []
        answered = int(np.isfinite(table.scores).sum())
        budget = n * m if most is None else answered + room
        first = min(n, max(_FIRST, int(_FIRST_SHARE * budget / m) if most is not None else _FIRST))
        everybody = np.ones((n, m), dtype=bool)
        if wanted := _missing(table, self._order[:first], everybody, room):
            return wanted
        belief = self._belief(table)
        if most is None and answered >= min(_AT_LEAST, n) * m and belief.regret < _TOLERANCE:
            return []
        size = max(m, int(_ROUND_SHARE * budget) if most is not None else answered // 4)
        useful = (belief.wins >= _LEAST_CHOSEN)[self._clusters[0]]
        # Whoever is left out comes last: a budget that is still there is to be used.
        return _missing(table, self._order, useful, min(size, room)) or _missing(
            table, self._order, everybody, min(size, room)
        )

    @cached_property
    def _clusters(self) -> tuple[Ints, npt.NDArray[np.float32]]:
        """Each question's cluster, and the centroids, in the space that `fit` refines in.

        Questions are known before they are asked, so that the clusters need not wait for answers.
        """
        queries = list(self._queries)
        features = surface(queries)
        vectors = WordLlamaEmbedder().embed(queries)
        points = Augment.of(features, SURFACE_WEIGHT)(vectors, features)
        k = int(np.clip(len(queries) // _QUESTIONS_A_CLUSTER, 1, _MOST_CLUSTERS))
        with one_thread():
            centroids = cluster(np.unique(points, axis=0), k, self._seed, 1)
        return assign(points, centroids), centroids

    @cached_property
    def _order(self) -> Ints:
        """(n,) the questions in an order whose every beginning is from all over."""
        label, centroids = self._clusters
        order = self._random.permutation(len(label))
        place = np.empty(len(label))
        for c in range(len(centroids)):
            there = order[label[order] == c]
            place[there] = (np.arange(len(there)) + self._random.random()) / max(len(there), 1)
        return np.argsort(place, kind="stable")

    def _belief(self, table: Table) -> _Belief:
        label, centroids = self._clusters
        sums = _sums(table, label, len(centroids))
        weight = np.bincount(label, minlength=len(centroids)) / len(label)
        belief = beliefs(sums, centroids)
        mean = belief.scores
        draws = mean + belief.plausible(_DRAWS, self._seed)
        cost = expected_costs(sums, 5.0)
        r_score = float(np.median(np.ptp(mean, axis=1))) or 1.0
        r_cost = float(np.median(np.ptp(cost, axis=1))) or 1.0
        wins: Floats = np.zeros_like(mean)
        regret = 0.0
        for alpha in _ALPHAS:
            price = (1 - alpha) * cost / r_cost
            chosen = (alpha * mean / r_score - price).argmax(axis=1)
            utility = alpha * draws / r_score - price
            best = utility.argmax(axis=2)
            for j in range(mean.shape[1]):
                wins[:, j] += (best == j).mean(axis=0)
            gap = utility.max(axis=2) - utility[:, np.arange(len(chosen)), chosen]
            regret += float(weight @ gap.mean(axis=0)) * r_score / alpha
        return _Belief(wins / len(_ALPHAS), regret / len(_ALPHAS))


def _missing(table: Table, rows: Ints, wanted: npt.NDArray[np.bool_], most: int) -> list[Cell]:
    """The first of (n, M) wanted cells that have no answer, question by question."""
    cells: list[Cell] = []
    open_cells = wanted & ~table.done
    for i in rows:
        if len(cells) >= most:
            break
        cells += [(int(i), int(j)) for j in np.flatnonzero(open_cells[i])]
    return cells[:most]


def _sums(table: Table, label: Ints, k: int) -> Statistics:
    """Scores and costs summed by cluster and model."""
    known, priced = np.isfinite(table.scores), np.isfinite(table.costs)
    n = sums_of_cells(known, label, k)
    return replace(
        Statistics.zeros(k, table.done.shape[1], 1),
        n=n,
        squares=n,
        score=sums_of_cells(np.where(known, table.scores, 0.0), label, k),
        n_cost=sums_of_cells(priced, label, k),
        cost=sums_of_cells(np.where(priced, table.costs, 0.0), label, k),
    )
