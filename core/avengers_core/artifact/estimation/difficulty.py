"""How hard the queries are that a model was asked, against those of the same cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.clusters import ratio, sums_of_cells

if TYPE_CHECKING:
    from avengers_core.records.record import Missing

Floats = npt.NDArray[np.floating]

# Penalty of the regression, in records' worth of unit vectors.
_RIDGE = 10.0


@dataclass(frozen=True, eq=False)
class Difficulty:
    """Sums of how easy queries are along one direction, which all models share.

    The direction is settled when an artifact is fitted, as centroids are; the sums add up.

    Attributes:
        direction: (D,) its product with a vector is the score by which a query is easier.
        asked: (K, M) sum of it over the records of each cluster that score each model.
        every: (K,) over all records of each cluster.
    """

    direction: Floats
    asked: Floats
    every: Floats

    @classmethod
    def of(cls, points: Floats, scores: Floats, k: int) -> Difficulty:
        """The direction, by ridge regression of all models' scores at once; without records.

        Each model has its own level, so that only queries that the same model was asked are
        compared with each other.

        Args:
            points: (n, D).
            scores: (n, M), NaN where missing.
            k: number of clusters.
        """
        known = ~np.isnan(scores)
        z = points.astype(np.float64)
        z -= z.mean(axis=0)
        values = np.where(known, scores, 0.0)
        n = np.maximum(known.sum(axis=0), 1.0)
        seen = z.T @ known
        gram = (z * known.sum(axis=1, keepdims=True)).T @ z - (seen / n) @ seen.T
        cross = z.T @ values.sum(axis=1) - seen @ (values.sum(axis=0) / n)
        direction = np.linalg.solve(gram + _RIDGE * np.eye(len(gram)), cross)
        return cls(direction, np.zeros((k, scores.shape[1])), np.zeros(k))

    def within_clusters(self, points: Floats, labels: npt.NDArray[np.int64]) -> Floats:
        """(n,) score by which queries are easier than the usual one of their cluster."""
        easier = np.asarray(points @ self.direction, dtype=np.float64)
        n = np.bincount(labels).astype(np.float64)
        total = np.bincount(labels, weights=easier).astype(np.float64)
        beyond: Floats = easier - ratio(total, n)[labels]
        return beyond

    def emptied(self, models: int) -> Difficulty:
        """The same direction without records, for as many models."""
        k = len(self.every)
        return replace(self, asked=np.zeros((k, models)), every=np.zeros(k))

    def collect(
        self, points: Floats, labels: npt.NDArray[np.int64], known: npt.NDArray[Any]
    ) -> Difficulty:
        """The same direction with sums of records.

        Args:
            points: (n, D).
            labels: (n,) their clusters.
            known: (n, M) weight of each model's score, 0 where there is none.
        """
        easier = np.asarray(points @ self.direction, dtype=np.float64)
        k = len(self.every)
        return replace(
            self,
            asked=sums_of_cells(known * easier[:, None], labels, k),
            every=sums_of_cells(easier[:, None], labels, k)[:, 0],
        )

    def scaled(self, worth: Floats) -> Difficulty:
        """The same means by model, of (K, M) times as many records."""
        return replace(self, asked=self.asked * worth)

    def __add__(self, other: Difficulty) -> Difficulty:
        return replace(self, asked=self.asked + other.asked, every=self.every + other.every)

    def faded(self, factor: float, cells: Floats) -> Difficulty:
        """The same direction with all sums times factors in [0, 1].

        Args:
            factor: of the clusters' sums.
            cells: (K, M) of the models' own.
        """
        return replace(self.scaled(cells), every=self.every * factor)

    def select_models(self, columns: Sequence[int | None], missing: Missing = "skip") -> Difficulty:
        """As :meth:`avengers_core.artifact.statistics.Statistics.select_models`."""
        index = np.array([-1 if c is None else c for c in columns], dtype=np.int64)
        absent = self.every[:, None] if missing == "zero" else 0.0
        return replace(self, asked=np.where(index >= 0, self.asked[:, index], absent))

    def without_records(self) -> Difficulty:
        """The models' own sums, leaving out those that count all records."""
        return replace(self, every=np.zeros_like(self.every))

    def head_start(self, n: Floats, size: Floats) -> Floats:
        """(K, M) score that models owe to easier queries than usual in a cluster, as sums.

        Args:
            n: (K, M) records with a score.
            size: (K,) records.
        """
        return self.asked - n * ratio(self.every, size)[:, None]

    def arrays(self) -> dict[str, Floats]:
        """All arrays by name."""
        return {"direction": self.direction, "asked": self.asked, "every": self.every}
