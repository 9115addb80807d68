"""What records add up to under an artifact's clusters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np

from avengers_core.artifact.additive import Adding
from avengers_core.artifact.estimation.familiarity import Familiarity
from avengers_core.artifact.refinement import Refinement
from avengers_core.artifact.statistics import Statistics
from avengers_core.common.arrays import Floats
from avengers_core.embedders.surface import surface

if TYPE_CHECKING:
    from avengers_core.artifact.artifact import RouterArtifact
    from avengers_core.records.outcomes import Outcomes
    from avengers_core.records.record import Missing


@dataclass(frozen=True)
class Sums(Adding):
    """All sums of an artifact; those of two sets of records are added to give those of both.

    Attributes:
        statistics: of the artifact's clusters.
        refinement: its refinement with its sums, or None.
        familiarity: how near to the clusters the queries are, or None.
        unanswered: how many of the queries no model has a result on.
    """

    statistics: Statistics
    refinement: Refinement | None
    familiarity: Familiarity | None
    unanswered: float

    @classmethod
    def of(cls, artifact: RouterArtifact) -> Sums:
        """Those that an artifact holds."""
        a = artifact
        return cls(a.statistics, a.refinement, a.familiarity, a.info.unanswered)

    @classmethod
    def collect(
        cls, artifact: RouterArtifact, vectors: Floats, features: Floats | None, outcomes: Outcomes
    ) -> Sums:
        """Sum up records.

        Args:
            artifact: whose clusters, models and datasets are meant; its own sums play no part.
            vectors: (n, d) unit vectors of the queries.
            features: (n, 11) their surface features; default, those of the outcomes' queries.
            outcomes: n records, with the artifact's models and datasets as columns.
        """
        labels = artifact.assign(vectors)
        statistics = Statistics.collect(outcomes, labels, artifact.n_clusters)
        if features is None:
            features = surface(outcomes.queries)
        near = artifact.familiarity
        familiarity = near and near.collect(vectors, features, labels, artifact.centroids)
        r = artifact.refinement
        refinement = r and r.collect(vectors, features, outcomes)
        unanswered = float(np.isnan(outcomes.scores).all(axis=1).sum())
        return cls(statistics, refinement, familiarity, unanswered)

    def put_into(
        self,
        artifact: RouterArtifact,
        models: Sequence[str] | None = None,
        datasets: Sequence[str] | None = None,
        told: Mapping[str, Any] = MappingProxyType({}),
    ) -> RouterArtifact:
        """The artifact with these sums in place of its own.

        Args:
            artifact: the artifact.
            models: that the sums are of; default, the artifact's.
            datasets: likewise.
            told: what its info says otherwise.
        """
        return replace(
            artifact,
            models=artifact.models if models is None else tuple(models),
            datasets=artifact.datasets if datasets is None else tuple(datasets),
            statistics=self.statistics,
            refinement=self.refinement,
            familiarity=self.familiarity,
            info=artifact.info.model_copy(update={"unanswered": self.unanswered, **told}),
        )

    def emptied(self, models: int, datasets: int) -> Sums:
        """Those of no records, over the same clusters, for as many models and datasets."""
        return Sums(
            Statistics.zeros(len(self.statistics.n), models, datasets),
            self.refinement and self.refinement.emptied(models, datasets),
            self.familiarity and self.familiarity.emptied(),
            0.0,
        )

    def without_records(self) -> Sums:
        """The models' own sums, leaving out those that count records and queries."""
        return Sums(
            self.statistics.without_records(),
            self.refinement and self.refinement.without_records(),
            self.familiarity and self.familiarity.emptied(),
            0.0,
        )

    def faded(self, factor: float, newer: Sums | None = None) -> Sums:
        """As :meth:`avengers_core.artifact.statistics.Statistics.faded`."""
        return Sums(
            self.statistics.faded(factor, newer.statistics if newer else None),
            self.refinement and self.refinement.faded(factor, newer.refinement if newer else None),
            self.familiarity and self.familiarity.faded(factor),
            factor * self.unanswered,
        )

    def select_models(self, columns: Sequence[int | None], missing: Missing = "skip") -> Sums:
        """As :meth:`avengers_core.artifact.additive.SumsOfModels.select_models`."""
        return replace(
            self,
            statistics=self.statistics.select_models(columns, missing),
            refinement=self.refinement and self.refinement.select_models(columns, missing),
        )

    def select_datasets(self, columns: Sequence[int | None]) -> Sums:
        """The topic columns asked for; None gives a column of zeros."""
        return replace(
            self,
            statistics=self.statistics.select_datasets(columns),
            refinement=self.refinement and self.refinement.select_datasets(columns),
        )

    def lent(self, column: int, share: float) -> Sums:
        """As :meth:`avengers_core.artifact.additive.SumsOfModels.lent`."""
        return replace(
            self,
            statistics=self.statistics.lent(column, share),
            refinement=self.refinement and self.refinement.lent(column, share),
        )
