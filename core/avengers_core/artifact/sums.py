"""What records add up to under an artifact's clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.refinement import Refinement
from avengers_core.artifact.statistics import Statistics
from avengers_core.records.outcomes import Outcomes

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Sums:
    """All sums of an artifact; those of two sets of records are added to give those of both.

    Attributes:
        statistics: of the artifact's clusters.
        refined: its refinement with its sums, or None.
    """

    statistics: Statistics
    refined: Refinement | None

    @classmethod
    def collect(
        cls, artifact: RouterArtifact, vectors: Floats, features: Floats | None, outcomes: Outcomes
    ) -> Sums:
        """Sum up records.

        Args:
            artifact: whose clusters, models and datasets are meant; its own sums play no part.
            vectors: (n, d) unit vectors of the queries.
            features: (n, 11) their surface features; not needed without a refinement.
            outcomes: n records, with the artifact's models and datasets as columns.
        """
        labels = artifact.assign(vectors)
        statistics = Statistics.collect(outcomes, labels, artifact.n_clusters)
        r = artifact.refinement
        if r is None:
            return cls(statistics, None)
        if features is None:
            raise ValueError("an artifact with a refinement needs the texts' surface features")
        return cls(statistics, r.collect(vectors, features, outcomes))

    def __add__(self, other: Sums) -> Sums:
        statistics = self.statistics + other.statistics
        if self.refined is None or other.refined is None:
            return Sums(statistics, None)
        return Sums(statistics, self.refined + other.refined)

    def put_into(self, artifact: RouterArtifact) -> RouterArtifact:
        """The artifact with these sums in place of its own."""
        return replace(artifact, statistics=self.statistics, refinement=self.refined)
