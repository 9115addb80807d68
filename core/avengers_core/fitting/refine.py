"""Fitting what the calibrated scorer knows beyond the clusters."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.clusters import assign
from avengers_core.artifact.estimation.asked import Asked
from avengers_core.artifact.moments import Moments
from avengers_core.artifact.refinement import Refinement
from avengers_core.artifact.statistics import Statistics
from avengers_core.common.arrays import Floats
from avengers_core.embedders.surface import Augment
from avengers_core.fitting.cross_validation import choose_hyperparameters
from avengers_core.records.outcomes import Outcomes

SURFACE_WEIGHT = 0.2


def fit_refinement(
    vectors: Floats,
    features: Floats,
    outcomes: Outcomes,
    cluster: Callable[[Floats], npt.NDArray[np.float32]],
    seed: int,
) -> Refinement:
    """Cluster in the augmented space and choose the hyperparameters.

    Args:
        vectors: (n, d) unit vectors of the queries.
        features: (n, 11) their surface features.
        outcomes: n records.
        cluster: (n, D) points to (K, D) centroids.
        seed: of the folds.

    Returns:
        A refinement without records.
    """
    augment = Augment.of(features, SURFACE_WEIGHT)
    points = augment(vectors, features)
    centroids = cluster(points)
    labels = assign(points, centroids)
    asked = Asked.of(points, outcomes, len(centroids))
    hyperparameters = choose_hyperparameters(
        points,
        labels,
        outcomes.scores,
        centroids,
        seed,
        easier=asked.within_clusters(points, labels),
    )
    (k, d), m = centroids.shape, len(outcomes.models)
    empty = Statistics.zeros(k, m, len(outcomes.datasets)), Moments.zeros(d, m)
    return Refinement(augment, centroids, *empty, hyperparameters, asked)
