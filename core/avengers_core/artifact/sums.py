"""What records add up to under an artifact's clusters."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.moments import Moments
from avengers_core.artifact.statistics import Statistics
from avengers_core.records.outcomes import Outcomes

Floats = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Sums:
    """All sums of an artifact; those of two sets of records are added to give those of both.

    Attributes:
        statistics: of the artifact's clusters.
        refined: statistics and moments of its refinement, or None.
    """

    statistics: Statistics
    refined: tuple[Statistics, Moments] | None

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
        return cls(statistics, r.sums(vectors, features, outcomes))

    def __add__(self, other: Sums) -> Sums:
        statistics = self.statistics + other.statistics
        if self.refined is None or other.refined is None:
            return Sums(statistics, None)
        (a, b), (c, d) = self.refined, other.refined
        return Sums(statistics, (a + c, b + d))

    def put_into(self, artifact: RouterArtifact) -> RouterArtifact:
        """The artifact with these sums in place of its own."""
        r = artifact.refinement
        return replace(
            artifact,
            statistics=self.statistics,
            refinement=r and self.refined and r.with_records(*self.refined),
        )
