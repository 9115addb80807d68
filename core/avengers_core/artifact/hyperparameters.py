"""What the calibrated scorer depends on beyond sums and centroids."""

from __future__ import annotations

from typing import NamedTuple


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
