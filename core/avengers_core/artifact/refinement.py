"""What the calibrated scorer knows beyond the clusters of the embedding.

A second clustering, in the space of embedding and surface features together, and a linear map from
that space to the models' scores. Both are sums, and merge like the rest of the artifact; how they
are weighed is chosen by cross-validation on the records.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.clusters import assign, ratio
from avengers_core.artifact.estimation.asked import Asked
from avengers_core.artifact.moments import LinearMap, Moments
from avengers_core.artifact.parts.arrays import of_prefix, out_of_range, prefixed
from avengers_core.artifact.statistics import Statistics
from avengers_core.common.arrays import Floats
from avengers_core.common.functions import cached_property
from avengers_core.embedders.surface import SURFACE_FEATURES, Augment
from avengers_core.records.outcomes import Outcomes

if TYPE_CHECKING:
    from avengers_core.artifact.artifact import RouterArtifact
    from avengers_core.records.record import Missing

# Of what is no sum: means, spreads, coefficients. Beyond these, single precision overflows.
_LARGEST = 1e9
_LEAST_SPREAD = 1e-6


class Hyperparameters(NamedTuple):
    """What the calibrated scorer depends on beyond sums and centroids.

    Attributes:
        beta: sharpness of the clusters' weights.
        m0: records' worth of shrinkage of a cluster's means, towards a model's overall mean or,
            of costs in newer artifacts, towards the product of cluster and model.
        ridge: penalty of the linear map, in records' worth of unit vectors.
        mix: weight of the linear map against the clusters, in [0, 1].
    """

    beta: float = 20.0
    m0: float = 5.0
    ridge: float = 30.0
    mix: float = 0.0


@dataclass(frozen=True, eq=False)
class Refinement:
    """Clusters and linear map in D = d + 11 dimensions.

    Attributes:
        augment: how embedding and surface features become one unit vector.
        centroids: (K, D) float32.
        statistics: the sums per (cluster, model) of this clustering.
        moments: the sums that the linear map is made of.
        hyperparameters: chosen by cross-validation.
        asked: what each model was asked, by topic, and how hard that was; None in artifacts of
            versions that did not know it.
        solved: the linear map, where it is known already.
    """

    augment: Augment
    centroids: npt.NDArray[np.float32]
    statistics: Statistics
    moments: Moments
    hyperparameters: Hyperparameters
    asked: Asked | None = None
    solved: LinearMap | None = None

    @cached_property
    def linear(self) -> LinearMap:
        """The map from points to the models' scores, solved from the moments."""
        if self.solved:
            return self.solved
        return self.moments.scaled(self._worth).spectrum().solve(self.hyperparameters.ridge)

    @property
    def _worth(self) -> Floats:
        """(M,) records that a weighted one of each model is worth, over all clusters."""
        s = self.statistics
        return ratio(s.n.sum(axis=0), s.squares.sum(axis=0), empty=1.0)

    def effective(self) -> Refinement:
        """The same means, of as many records as their weights are worth."""
        s = self.statistics.effective()
        if s is self.statistics:
            return self
        asked = self.asked and self.asked.effective()
        return replace(self, statistics=s, asked=asked, solved=self.linear)

    def with_records(
        self, statistics: Statistics, moments: Moments, asked: Asked | None
    ) -> Refinement:
        """The same space and clusters with other sums."""
        return replace(self, statistics=statistics, moments=moments, asked=asked, solved=None)

    def emptied(self, models: int, datasets: int) -> Refinement:
        """The same space and clusters without records, for as many models and datasets."""
        k, d = self.centroids.shape
        return self.with_records(
            Statistics.zeros(k, models, datasets),
            Moments.zeros(d, models),
            self.asked and self.asked.emptied(models),
        )

    def collect(self, vectors: Floats, features: Floats, outcomes: Outcomes) -> Refinement:
        """The same space and clusters with the sums of records.

        Args:
            vectors: (n, d) unit vectors of the queries.
            features: (n, 11) their surface features.
            outcomes: n records.
        """
        points = self.augment(vectors, features)
        labels = assign(points, self.centroids)
        return self.with_records(
            Statistics.collect(outcomes, labels, len(self.centroids)),
            Moments.collect(points, outcomes.scores, outcomes.weights),
            self.asked and self.asked.collect(points, labels, outcomes),
        )

    def select_models(self, columns: Sequence[int | None], missing: Missing = "skip") -> Refinement:
        """As :meth:`avengers_core.artifact.statistics.Statistics.select_models`."""
        return self.with_records(
            self.statistics.select_models(columns, missing),
            self.moments.select_models(columns, missing),
            self.asked and self.asked.select_models(columns, missing),
        )

    def select_datasets(self, columns: Sequence[int | None]) -> Refinement:
        """The topic columns asked for; None gives a column of zeros."""
        return replace(self, statistics=self.statistics.select_datasets(columns))

    def without_records(self) -> Refinement:
        """The models' own sums, leaving out those that count records and queries."""
        return self.with_records(
            self.statistics.without_records(),
            self.moments.without_records(),
            self.asked and self.asked.without_records(),
        )

    def __add__(self, other: Refinement) -> Refinement:
        return self.with_records(
            self.statistics + other.statistics,
            self.moments + other.moments,
            self.asked and other.asked and self.asked + other.asked,
        )

    def faded(self, factor: float, newer: Refinement | None = None) -> Refinement:
        """As :meth:`avengers_core.artifact.statistics.Statistics.faded`."""
        s = self.statistics.faded(factor, newer.statistics if newer else None)
        cells = ratio(s.n, self.statistics.n, factor)
        models = ratio(s.n.sum(axis=0), self.statistics.n.sum(axis=0), factor)
        return self.with_records(
            s,
            self.moments.scaled(models, factor),
            self.asked and self.asked.scaled(cells, factor),
        )

    def lent(self, column: int, share: float) -> Refinement:
        """As :meth:`avengers_core.artifact.statistics.Statistics.lent`."""
        return self.with_records(
            self.statistics.lent(column, share),
            self.moments.lent(column, share * float(self._worth[column])),
            self.asked and self.asked.lent(column, share),
        )

    @property
    def nbytes(self) -> int:
        """Bytes of all arrays."""
        return sum(a.nbytes for a in self.arrays().values())

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by name, those of a part behind the part's name and a dot."""
        return {
            **self._own_arrays(),
            **prefixed("statistics", self.statistics.stored()),
            **prefixed("moments", self.moments.stored()),
            **prefixed("asked", self.asked.stored() if self.asked else {}),
            **prefixed("linear", self.linear._asdict()),
        }

    def _own_arrays(self) -> dict[str, npt.NDArray[Any]]:
        return {
            "centroids": self.centroids,
            "mean": self.augment.mean,
            "spread": self.augment.spread,
            "settings": np.array([self.augment.weight, *self.hyperparameters]),
        }

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Refinement:
        """The inverse of :meth:`arrays`; raises KeyError or TypeError for missing ones."""
        weight, beta, m0, ridge, mix = arrays["settings"].tolist()
        statistics = Statistics.from_arrays(of_prefix("statistics", arrays))
        asked = None
        if new := of_prefix("asked", arrays):
            asked = Asked.from_arrays(new)
            if "squares" not in new:  # artifacts of versions that knew them by cluster alone
                asked = replace(asked, squares=ratio(asked.n, statistics.worth[:, None]))
        elif old := of_prefix("difficulty", arrays):
            asked = Asked.of_one_topic(statistics, **old)
        return cls(
            Augment(arrays["mean"], arrays["spread"], weight),
            arrays["centroids"],
            statistics,
            Moments.from_arrays(of_prefix("moments", arrays)),
            Hyperparameters(beta, m0, ridge, mix),
            asked,
            LinearMap(**of_prefix("linear", arrays)),
        )

    def check(self, artifact: RouterArtifact) -> str | None:
        """What does not fit the artifact, in words, or None."""
        d, m = artifact.dim + len(SURFACE_FEATURES), len(artifact.models)
        if self.centroids.shape[1:] != (d,) or not self.centroids.size:
            return f"centroids have shape {self.centroids.shape}, expected (clusters, {d})"
        k = len(self.centroids)
        if fault := self.statistics.check(k, m, len(artifact.datasets)):
            return f"statistics: {fault}"
        if fault := self.moments.check(d, m):
            return f"moments: {fault}"
        if self.asked and (fault := self.asked.check(k, d, m)):
            return f"asked: {fault}"
        arrays = self._own_arrays()
        shapes: dict[str, tuple[int, ...]] = dict.fromkeys(
            ("mean", "spread"), (len(SURFACE_FEATURES),)
        )
        if self.solved:
            arrays |= prefixed("linear", self.solved._asdict())
            rank = self.solved.directions.shape[-1:]
            shapes |= {"linear.center": (d,), "linear.directions": (d, *rank)}
            shapes |= {"linear.offset": (m,), "linear.coefficients": (*rank, m)}
        for name, array in arrays.items():
            if array.shape != shapes.get(name, array.shape):
                return f"{name} has shape {array.shape}, expected {shapes[name]}"
            if fault := out_of_range(array, _LARGEST):
                return f"{name} {fault}"
        if self.augment.spread.min() < _LEAST_SPREAD:
            return f"spread must be above {_LEAST_SPREAD:g}"
        weight, beta, m0, ridge, mix = arrays["settings"].tolist()
        if min(weight, beta, m0, ridge, mix) < 0 or mix > 1:
            return f"{self.hyperparameters} with a surface weight of {weight} is out of range"
        return None

    def same_space(self, other: Refinement) -> bool:
        """Whether the sums of both may be added."""
        return (
            np.array_equal(self.centroids, other.centroids)
            and np.array_equal(self.augment.mean, other.augment.mean)
            and np.array_equal(self.augment.spread, other.augment.spread)
            and self.augment.weight == other.augment.weight
            and _same_asked(self.asked, other.asked)
        )


def _same_asked(a: Asked | None, b: Asked | None) -> bool:
    return a is b if a is None or b is None else a.same_space(b)
