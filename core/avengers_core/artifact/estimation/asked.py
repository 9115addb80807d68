"""What models were asked in each cluster: about which topics, how hard, and how they did."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.additive import WeightedSums
from avengers_core.artifact.clusters import ratio, sums_of_cells
from avengers_core.artifact.parts.arrays import check_arrays, out_of_range
from avengers_core.artifact.statistics import Statistics
from avengers_core.common.arrays import Floats, Ints
from avengers_core.records.names import fault_of_name

if TYPE_CHECKING:
    from avengers_core.records.outcomes import Outcomes


# Penalty of the regression, in records' worth of unit vectors.
_RIDGE = 10.0
# Topics that are told apart; those with the most records.
_MOST_TOPICS = 64


@dataclass(frozen=True, eq=False)
class Asked(WeightedSums):
    """Sums over the records of each of K clusters and T topics, the datasets that they come from.

    Who was asked the easy topics of a cluster, or the easy questions of a topic, is no better for
    it: a cell (cluster, topic, model) tells how a model did on what others were asked there, too.
    How easy a query is, is a score along one direction of space that all models share. Direction
    and topics are settled when an artifact is fitted, as centroids are; the sums add up.

    Attributes:
        direction: (D,) its product with a vector is the score by which a query is easier.
        topics: T - 1 names of datasets; all others together are the last topic.
        size: (K, T) records.
        easy: (K, T) sum over them of the score by which they are easier.
        n: (K, T, M) records that score each model, each as many as its weight.
        squares: (K, T, M) sum of the squares of their weights.
        score: (K, T, M) sum of its scores.
        easier: (K, T, M) sum over them of the score by which they are easier.
    """

    direction: Floats
    topics: tuple[str, ...]
    size: Floats
    easy: Floats
    n: Floats
    squares: Floats
    score: Floats
    easier: Floats

    SHARED = ("size", "easy")

    @classmethod
    def of(cls, points: Floats, outcomes: Outcomes, k: int) -> Asked:
        """The direction, by ridge regression of all models' scores at once, and the topics.

        Each model has its own level, so that only queries that the same model was asked are
        compared with each other. There are no records yet.

        Args:
            points: (n, D).
            outcomes: n records.
            k: number of clusters.
        """
        scores = outcomes.scores
        known = ~np.isnan(scores)
        z = points.astype(np.float64)
        z -= z.mean(axis=0)
        values = np.where(known, scores, 0.0)
        n = np.maximum(known.sum(axis=0), 1.0)
        seen = z.T @ known
        gram = (z * known.sum(axis=1, keepdims=True)).T @ z - (seen / n) @ seen.T
        cross = z.T @ values.sum(axis=1) - seen @ (values.sum(axis=0) / n)
        direction = np.linalg.solve(gram + _RIDGE * np.eye(len(gram)), cross)
        count = np.bincount(outcomes.dataset, minlength=len(outcomes.datasets))
        most = np.sort(np.argsort(-count, kind="stable")[: _MOST_TOPICS - 1])
        topics = tuple(outcomes.datasets[d] for d in most.tolist())
        return cls(direction, topics, **_zeros(k, len(topics) + 1, scores.shape[1]))

    def within_clusters(self, points: Floats, labels: Ints) -> Floats:
        """(n,) score by which queries are easier than the usual one of their cluster."""
        easier = np.asarray(points @ self.direction, dtype=np.float64)
        n = np.bincount(labels).astype(np.float64)
        total = np.bincount(labels, weights=easier).astype(np.float64)
        beyond: Floats = easier - ratio(total, n)[labels]
        return beyond

    def emptied(self, models: int) -> Asked:
        """The same direction and topics without records, for as many models."""
        k, t = self.size.shape
        return Asked(self.direction, self.topics, **_zeros(k, t, models))

    def collect(self, points: Floats, labels: Ints, outcomes: Outcomes) -> Asked:
        """The same direction and topics with sums of records.

        Args:
            points: (n, D).
            labels: (n,) their clusters.
            outcomes: n records.
        """
        k, t = self.size.shape
        place = {name: i for i, name in enumerate(self.topics)}
        topic = np.array([place.get(name, t - 1) for name in outcomes.datasets], dtype=np.int64)
        group = labels * t + topic[outcomes.dataset]
        easier = np.asarray(points @ self.direction, dtype=np.float64)
        weight = outcomes.weights[:, None]
        known = ~np.isnan(outcomes.scores) * weight
        values = known * np.nan_to_num(outcomes.scores)

        def sums(of_records: Floats) -> Floats:
            return sums_of_cells(of_records, group, k * t).reshape(k, t, -1)

        return replace(
            self,
            size=sums(np.ones((len(group), 1)))[..., 0],
            easy=sums(easier[:, None])[..., 0],
            n=sums(known),
            squares=sums(known * weight),
            score=sums(values),
            easier=sums(known * easier[:, None]),
        )

    def scaled(self, worth: Floats, shared: float = 1.0) -> Asked:
        return super().scaled(np.atleast_2d(worth)[:, None, :], shared)

    def of_failing(self) -> Mapping[str, Floats]:
        every = self.size[..., None]
        return {"n": every, "squares": every, "easier": self.easy[..., None]}

    def there(self) -> npt.NDArray[np.bool_]:
        """(K, T) whether there are records of a topic in a cluster."""
        there: npt.NDArray[np.bool_] = (self.size > 0) | self.n.any(axis=-1)
        return there

    def stored(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by name: numbers alone, the names as their bytes in UTF-8.

        Of the sums, those of the groups that have any; which these are, by (K, T) ones and zeros.
        """
        names = "".join(f"{name}\0" for name in self.topics).encode()
        there = self.there()
        return {
            "direction": self.direction,
            "topics": np.frombuffer(names, np.uint8).astype(np.float32),
            "groups": there.astype(np.float32),
            **{name: sums[there] for name, sums in self.telling().items()},
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Asked:
        """The inverse of :meth:`stored`; raises KeyError, TypeError or ValueError."""
        for name in ("topics", "groups"):
            if fault := out_of_range(arrays[name], 255):
                raise ValueError(f"{name} {fault}")
        there = arrays["groups"] > 0
        names = np.abs(arrays["topics"]).astype(np.uint8).tobytes()
        *topics, rest = names.decode().split("\0")
        if rest or any(map(fault_of_name, topics)):
            raise ValueError("the topics are no names of datasets")
        arrays = {"squares": arrays["n"], **arrays}
        sums = {}
        for name in (*cls.SHARED, *cls.PER_MODEL):
            sums[name] = np.zeros((*there.shape, *arrays[name].shape[1:]))
            sums[name][there] = arrays[name]
        if extra := sorted(set(arrays) - {"direction", "topics", "groups", *sums}):
            raise ValueError(f"unknown arrays {extra}")
        return cls(arrays["direction"], tuple(topics), **sums)

    @classmethod
    def of_one_topic(
        cls, statistics: Statistics, direction: Floats, asked: Floats, every: Floats
    ) -> Asked:
        """What artifacts of versions that told no topics apart know: how hard, by cluster.

        Args:
            statistics: of the clusters.
            direction: (D,).
            asked: (K, M) sum over the records that score each model of the score by which they
                are easier.
            every: (K,) likewise over all records.
        """
        s = statistics
        return cls(
            direction,
            (),
            size=s.size[:, None],
            easy=every[:, None],
            n=s.n[:, None],
            squares=s.squares[:, None],
            score=s.score[:, None],
            easier=asked[:, None],
        )

    def check(self, k: int, d: int, m: int) -> str | None:
        """What is wrong with the arrays, or None."""
        t = len(self.topics) + 1
        shapes: dict[str, tuple[int, ...]] = {
            **dict.fromkeys(self.PER_MODEL, (k, t, m)),
            "size": (k, t),
            "easy": (k, t),
            "direction": (d,),
        }
        arrays = {name: getattr(self, name) for name in shapes}
        return check_arrays(arrays, shapes, signed=("direction", "easy", "easier"))

    def same_space(self, other: Asked) -> bool:
        """Whether the sums of both may be added."""
        return self.topics == other.topics and np.array_equal(self.direction, other.direction)


def _zeros(k: int, t: int, m: int) -> dict[str, Any]:
    shapes = {**dict.fromkeys(Asked.SHARED, (k, t)), **dict.fromkeys(Asked.PER_MODEL, (k, t, m))}
    return {name: np.zeros(shape) for name, shape in shapes.items()}
