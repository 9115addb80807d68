"""A Gaussian process over the cells (cluster, model): what records of some say of all."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from avengers_core.artifact.clusters import unit
from avengers_core.common.arrays import Floats

# Share of the variance that varies smoothly from cluster to cluster; flat between .5 and .95.
_SMOOTH = 0.8
# How much further apart other topics are than unlike texts; flat between 1 and 2.
_TOPICS = 1.4
# Residual at which the linear system counts as solved, relative to its right side: of the mean,
# which everything is decided by, and of what is only a spread or an average.
_EXACTLY, _ROUGHLY, _MOST_STEPS = 1e-9, 1e-2, 500
# Cells whose system is solved as a whole in less time than by iteration.
_FEW_CELLS = 150


@dataclass(frozen=True, eq=False)
class CellProcess:
    """K clusters, M models; covariance of two cells: ``kernel(c, c') sigma(m, m')``.

    Attributes:
        mu: (M,) prior mean of each model.
        sigma: (M, M) covariance between models.
        kernel: (K, K) covariance between clusters.
        precision: (K, M) of what was seen of each cell; 0 where nothing was.
    """

    mu: Floats
    sigma: Floats
    kernel: Floats
    precision: Floats

    def mean(self, target: Floats, *, roughly: bool = False) -> Floats:
        """(K, M) posterior mean of all cells, from the (K, M) that was seen."""
        root = np.sqrt(self.precision)
        tolerance = _ROUGHLY if roughly else _EXACTLY
        mean: Floats = self.mu + self._explained(root * (target - self.mu), root, tolerance)
        return mean

    def draws(self, count: int, seed: int) -> Floats:
        """(count, K, M) draws from the posterior, less its mean.

        A draw from the prior, with what would have been seen of it, less what its own posterior
        mean would be.

        Source: Wilson, Borovitskiy, Terenin, Mostowsky and Deisenroth, Efficiently Sampling
        Functions from Gaussian Process Posteriors, 2020.

        Args:
            count: how many.
            seed: of the random numbers.
        """
        rng = np.random.default_rng(seed)
        shape, single = (count, *self.precision.shape), np.float32
        rows, columns = (_root(a).astype(single) for a in (self.kernel, self.sigma))
        root = np.sqrt(self.precision).astype(single)
        prior = rows @ rng.standard_normal(shape, single) @ columns.T
        seen = root * prior + rng.standard_normal(shape, single)
        drawn: Floats = prior - self._explained(seen, root, _ROUGHLY)
        return drawn

    def _explained(self, b: Floats, root: Floats, tolerance: float) -> Floats:
        """``C R (I + R C R)^-1 b``, of many cells by conjugate gradients: C is a Kronecker product.

        Args:
            b: (..., K, M) right sides.
            root: (K, M) R, the root of the precision; of the same type as b.
            tolerance: length of the residual, relative to that of b.
        """

        kernel, sigma = self.kernel.astype(b.dtype), self.sigma.astype(b.dtype)

        def covaried(values: Floats) -> Floats:
            image: Floats = kernel @ (root * values) @ sigma
            return image

        if root.size <= _FEW_CELLS:
            cells = self.kernel[:, None, :, None] * self.sigma[:, None]
            whole = cells.reshape(root.size, -1) * np.outer(root, root) + np.eye(root.size)
            x = np.linalg.solve(whole, b.reshape(-1, root.size).T).T.reshape(b.shape)
            return covaried(x.astype(b.dtype))

        def product(a: Floats, b: Floats) -> Floats:
            total: Floats = np.einsum("...km,...km->...", a, b)[..., None, None]
            return total

        # Cells differ in how many records they have, and so in how much they count.
        scale = 1 / (1 + root**2 * np.outer(np.diag(kernel), np.diag(sigma)))
        x = np.zeros_like(b)
        residual = b.copy()
        direction = scale * residual
        size = product(residual, direction)
        enough = tolerance**2 * product(residual, residual)
        for _ in range(_MOST_STEPS):
            if (product(residual, residual) <= enough).all():
                break
            image = direction + root * covaried(direction)
            curved = product(direction, image)
            step = size / np.where(curved > 0, curved, 1.0)
            x += step * direction
            residual -= step * image
            scaled = scale * residual
            before, size = size, product(residual, scaled)
            direction = scaled + size / np.where(before > 0, before, 1.0) * direction
        return covaried(x)


def places(centroids: Floats, topics: Floats) -> Floats:
    """(K, d + T) where clusters lie: two are alike that are near, or of the same topics.

    Args:
        centroids: (K, d).
        topics: (K, T) shares of each cluster's queries.
    """
    return np.concatenate([unit(centroids, np.float64), _TOPICS * topics], axis=1)


def kernel_of(where: Floats) -> Floats:
    """(K, K) covariance of clusters, with a mean variance of 1.

    Linear in the cosines of their places, and a part of each cluster's own.

    Args:
        where: (K, d) places or centroids.
    """
    directions = unit(where, np.float64)
    directions -= directions.mean(axis=0)
    smooth = directions @ directions.T
    size = np.trace(smooth) / len(smooth)
    share = _SMOOTH if size > 1e-12 else 0.0
    kernel: Floats = share * smooth / max(size, 1e-12) + (1 - share) * np.eye(len(smooth))
    return kernel


def _root(covariance: Floats) -> Floats:
    """A matrix whose product with its transpose is the covariance."""
    values, vectors = np.linalg.eigh(covariance)
    root: Floats = vectors * np.sqrt(np.maximum(values, 0.0))
    return root
