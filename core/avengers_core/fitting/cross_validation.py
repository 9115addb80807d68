"""The settings of the calibrated scorer, chosen by cross-validation on the records."""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.clusters import posterior, shrunk_means
from avengers_core.artifact.hyperparameters import Hyperparameters
from avengers_core.artifact.moments import Moments

Floats = npt.NDArray[np.floating]


# A factor of two to three apart: between these the held-out error hardly moves.
_BETAS = (10.0, 20.0, 40.0)
_M0S = (2.0, 5.0, 15.0)
_RIDGES = (10.0, 30.0, 100.0)
_FOLDS = 5


def choose_hyperparameters(
    points: Floats,
    labels: npt.NDArray[np.int64],
    scores: Floats,
    centroids: npt.NDArray[np.float32],
    seed: int,
) -> Hyperparameters:
    """The settings that predict held-out differences between models best.

    Five folds; each is predicted by clusters and by the linear map from the other four. Routing
    depends on nothing but the differences between the models, so their squared error is what
    counts. For each of a few sharpnesses, shrinkages and penalties, the weight of the map against
    the clusters that leaves the smallest error is found in closed form.

    Args:
        points: (n, D) unit vectors.
        labels: (n,) their clusters.
        scores: (n, M), NaN where missing.
        centroids: (K, D).
        seed: of the folds.

    Returns:
        The defaults where there is one model, or too little to validate on.
    """
    n, m = scores.shape
    if m < 2 or n < 2 * _FOLDS:
        return Hyperparameters()
    k = len(centroids)
    draws = np.array(np.random.default_rng(seed).integers(_FOLDS, size=n))
    fold = draws[_first_alike(points)]
    known = ~np.isnan(scores)
    values = np.where(known, scores, 0.0)
    whole = Moments.collect(points, scores)
    grid = list(product(_BETAS, _M0S, _RIDGES))
    errors = np.zeros((len(grid), 3))
    for f in range(_FOLDS):
        held, kept = fold == f, fold != f
        if not held.any() or not kept.any():
            continue
        seen = known[held]
        n_kept = _per_cluster(known[kept], labels[kept], k)
        total = _per_cluster(values[kept], labels[kept], k)
        size = np.bincount(labels[kept], minlength=k).astype(np.float64)
        spectrum = (whole - Moments.collect(points[held], scores[held])).spectrum()
        truth = _between_models(values[held], seen)
        weights = {b: posterior(points[held], centroids, size, b) for b in _BETAS}
        means = {m0: shrunk_means(total, n_kept, m0) for m0 in _M0S}
        lines = {r: _between_models(spectrum.solve(r)(points[held]), seen) for r in _RIDGES}
        steps = {
            (b, m0): _between_models(weights[b] @ means[m0], seen)
            for b, m0 in product(_BETAS, _M0S)
        }
        for i, (beta, m0, ridge) in enumerate(grid):
            miss = truth - steps[beta, m0]
            step = lines[ridge] - steps[beta, m0]
            errors[i] += np.vdot(miss, miss), np.vdot(step, miss), np.vdot(step, step)
    miss, agreement, strength = errors.T
    # Minimises |miss - mix step|^2 = miss - 2 mix agreement + mix^2 strength.
    mix = np.clip(agreement / np.where(strength > 0, strength, 1.0), 0.0, 1.0)
    left = miss - 2 * mix * agreement + mix**2 * strength
    best = int(np.argmin(left))
    return Hyperparameters(*grid[best], float(mix[best]))


def _first_alike(points: Floats) -> npt.NDArray[np.int64]:
    """(n,) the first row that is the same as each: repeated queries must not tell on each other."""
    first: dict[bytes, int] = {}
    alike = [first.setdefault(point.tobytes(), row) for row, point in enumerate(points)]
    return np.array(alike, dtype=np.int64)


def _per_cluster(values: npt.NDArray[Any], labels: npt.NDArray[np.int64], k: int) -> Floats:
    columns = [np.bincount(labels, weights=column, minlength=k) for column in values.T]
    return np.stack(columns, axis=1)


def _between_models(values: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Differences to each query's mean over the models with a result; 0 for the others."""
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = np.where(known, values, 0.0).sum(axis=1, keepdims=True) / count
    return np.where(known, values - mean, 0.0)
