"""What records add up to under an artifact's clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.estimation.familiarity import Familiarity
from avengers_core.artifact.refinement import Refinement
from avengers_core.artifact.statistics import Statistics
from avengers_core.common.arrays import Floats
from avengers_core.embedders.surface import surface
from avengers_core.records.outcomes import Outcomes


@dataclass(frozen=True)
class Sums:
    """All sums of an artifact; those of two sets of records are added to give those of both.

    Attributes:
        statistics: of the artifact's clusters.
        refined: its refinement with its sums, or None.
        familiarity: how near to the clusters the queries are, or None.
        unanswered: how many of the queries no model has a result on.
    """

    statistics: Statistics
    refined: Refinement | None
    familiarity: Familiarity | None
    unanswered: float

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
        refined = r and r.collect(vectors, features, outcomes)
        unanswered = float(np.isnan(outcomes.scores).all(axis=1).sum())
        return cls(statistics, refined, familiarity, unanswered)

    def __add__(self, other: Sums) -> Sums:
        statistics = self.statistics + other.statistics
        return Sums(
            statistics,
            self.refined and other.refined and self.refined + other.refined,
            self.familiarity and other.familiarity and self.familiarity + other.familiarity,
            self.unanswered + other.unanswered,
        )

    def put_into(self, artifact: RouterArtifact) -> RouterArtifact:
        """The artifact with these sums in place of its own."""
        return replace(
            artifact,
            statistics=self.statistics,
            refinement=self.refined,
            familiarity=self.familiarity,
            info=artifact.info.model_copy(update={"unanswered": self.unanswered}),
        )
