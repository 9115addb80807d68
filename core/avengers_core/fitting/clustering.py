"""Clusters of vectors by k-means, the same on every run."""

from __future__ import annotations

import warnings

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.clusters import assign
from avengers_core.common.parallel import one_thread

_FEW = 1000


def cluster(
    vectors: npt.NDArray[np.float32], n_clusters: int, seed: int, n_init: int
) -> npt.NDArray[np.float32]:
    """(K, d) centers of at most ``n_clusters`` clusters of (n, d) vectors, no two alike."""
    k = min(n_clusters, len(vectors))
    if k == len(vectors) > _FEW:  # nothing is to be put together, and looking takes hours
        _, first = np.unique(vectors, axis=0, return_index=True)
        return np.ascontiguousarray(vectors[np.sort(first)], dtype=np.float32)
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    with warnings.catch_warnings(), one_thread():
        # It warns of clusters with one center, which are one cluster here.
        warnings.simplefilter("ignore", ConvergenceWarning)
        centers = KMeans(k, n_init=n_init, random_state=seed).fit(vectors).cluster_centers_
    _, first = np.unique(centers, axis=0, return_index=True)
    centers = np.ascontiguousarray(centers[np.sort(first)], dtype=np.float32)
    return _centered(vectors, centers)


def _centered(
    vectors: npt.NDArray[np.float32], centers: npt.NDArray[np.float32]
) -> npt.NDArray[np.float32]:
    """One more step of k-means, in double precision and always in the same order.

    scikit-learn's threads add up in the order in which they finish, so that its last bits differ
    from run to run.
    """
    labels = assign(vectors, centers)
    count = np.bincount(labels, minlength=len(centers))
    order = np.argsort(labels, kind="stable")
    sums = np.add.reduceat(
        vectors[order].astype(np.float64), np.searchsorted(labels[order], np.flatnonzero(count))
    )
    moved = centers.copy()
    moved[count > 0] = sums / count[count > 0, None]
    return moved
