"""The settings of the calibrated scorer, chosen by cross-validation on the records."""

from __future__ import annotations

from itertools import product

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.clusters import posterior, sums_of_cells
from avengers_core.artifact.estimation.cells import expected_scores_of
from avengers_core.artifact.moments import Moments
from avengers_core.artifact.refinement import Hyperparameters
from avengers_core.common.arrays import Floats

# A factor of two to three apart: between these the held-out error hardly moves.
_BETAS = (10.0, 20.0, 40.0)
_RIDGES = (10.0, 30.0, 100.0)
_FOLDS = 5


def choose_hyperparameters(
    points: Floats,
    labels: npt.NDArray[np.int64],
    scores: Floats,
    centroids: npt.NDArray[np.float32],
    seed: int,
    *,
    easier: Floats | None = None,
) -> Hyperparameters:
    """The settings that predict held-out differences between models best.

    Five folds; each is predicted by clusters and by the linear map from the other four. Routing
    depends on nothing but the differences between the models, so their squared error is what
    counts. For each of a few sharpnesses and penalties, the weight of the map against
    the clusters that leaves the smallest error is found in closed form.

    Where records are incomplete, the folds imitate how: of the cells (cluster, model) of the other
    four, as large a share is hidden as has no records at all, so that held-out results are
    predicted for models that have not been seen near them as often as they will be.

    Args:
        points: (n, D) unit vectors.
        labels: (n,) their clusters.
        scores: (n, M), NaN where missing.
        centroids: (K, D).
        seed: of the folds, and of what is hidden from them.
        easier: (n,) by what score queries are easier than others of their clusters; default 0.

    Returns:
        The defaults where hardly any query has results of two models that could be compared.
    """
    n, m = scores.shape
    known = ~np.isnan(scores)
    if (known.sum(axis=1) > 1).sum() < 2 * _FOLDS:
        return Hyperparameters()
    k = len(centroids)
    rng = np.random.default_rng(seed)
    draws = np.array(rng.integers(_FOLDS, size=n))
    fold = draws[_first_alike(points)]
    values = np.where(known, scores, 0.0)
    comparable = values if easier is None else values - easier[:, None]
    whole = Moments.collect(points, scores)
    hidden_share = _share_unseen(known, labels, k)
    grid = list(product(_BETAS, _RIDGES))
    errors = np.zeros((len(grid), 3))
    for f in range(_FOLDS):
        held, kept = fold == f, fold != f
        if not held.any() or not kept.any():
            continue
        seen = known[held]
        near = labels[kept]
        size = np.bincount(near, minlength=k).astype(np.float64)
        if hidden_share > 0:
            shown = known[kept] & (rng.random((k, m)) >= hidden_share)[near]
            moments = Moments.collect(points[kept], np.where(shown, scores[kept], np.nan))
        else:
            shown = known[kept]
            moments = whole - Moments.collect(points[held], scores[held])
        n_shown = sums_of_cells(shown, near, k)
        total = sums_of_cells(shown * comparable[kept], near, k)
        spectrum = moments.spectrum()
        truth = _between_models(values[held], seen)
        weights = {b: posterior(points[held], centroids, size, b) for b in _BETAS}
        table = expected_scores_of(total, n_shown, centroids)
        lines = {r: _between_models(spectrum.solve(r)(points[held]), seen) for r in _RIDGES}
        steps = {b: _between_models(weights[b] @ table, seen) for b in _BETAS}
        for i, (beta, ridge) in enumerate(grid):
            miss = truth - steps[beta]
            step = lines[ridge] - steps[beta]
            errors[i] += np.vdot(miss, miss), np.vdot(step, miss), np.vdot(step, step)
    miss, agreement, strength = errors.T
    # Minimises |miss - mix step|^2 = miss - 2 mix agreement + mix^2 strength.
    mix = np.clip(agreement / np.where(strength > 0, strength, 1.0), 0.0, 1.0)
    left = miss - 2 * mix * agreement + mix**2 * strength
    best = int(np.argmin(left))
    beta, ridge = grid[best]
    return Hyperparameters(beta=beta, ridge=ridge, mix=float(mix[best]))


def _share_unseen(known: npt.NDArray[np.bool_], labels: npt.NDArray[np.int64], k: int) -> float:
    """The share of records that lie in clusters in which a model has none, mean over models."""
    unseen = sums_of_cells(known, labels, k) == 0
    return float((np.bincount(labels, minlength=k) @ unseen).mean() / len(labels))


def _first_alike(points: Floats) -> npt.NDArray[np.int64]:
    """(n,) the first row that is the same as each: repeated queries must not tell on each other."""
    first: dict[bytes, int] = {}
    alike = [first.setdefault(point.tobytes(), row) for row, point in enumerate(points)]
    return np.array(alike, dtype=np.int64)


def _between_models(values: Floats, known: npt.NDArray[np.bool_]) -> Floats:
    """Differences to each query's mean over the models with a result; 0 for the others."""
    count = np.maximum(known.sum(axis=1, keepdims=True), 1)
    mean = np.where(known, values, 0.0).sum(axis=1, keepdims=True) / count
    return np.where(known, values - mean, 0.0)
