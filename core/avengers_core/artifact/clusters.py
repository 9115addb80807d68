"""Arithmetic of clusters: nearest ones, posterior weights, shrunk means."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core.common.arrays import Floats

# Vectors compared with all centroids at once: bounds memory.
_BLOCK = 65_536
# What comes of so many stays in the processor's cache, and takes no new pages of memory.
_FEW = 256
# Numbers of single precision in a line of the processor's cache.
_LINE = 16


def assign(vectors: Floats, centroids: npt.NDArray[np.float32]) -> npt.NDArray[np.int64]:
    """The nearest of (K, d) centroids for each of (n, d) vectors, by Euclidean distance: (n,)."""
    half_square = 0.5 * np.einsum("kd,kd->k", centroids, centroids)
    blocks = [
        np.argmax(vectors[i : i + _BLOCK] @ centroids.T - half_square, axis=1)
        for i in range(0, len(vectors), _BLOCK)
    ]
    return np.concatenate(blocks) if blocks else np.empty(0, dtype=np.int64)


def unit(centroids: Floats, dtype: type[np.floating] = np.float32) -> Floats:
    """(K, d) centroids as unit vectors, zeros as they are."""
    norm = np.linalg.norm(centroids, axis=1, keepdims=True)
    return (centroids / np.where(norm > 0, norm, 1.0)).astype(dtype)


def nearest_cosine(vectors: Floats, near: Floats) -> Floats | float:
    """(n,) cosine of each of (n, d) unit vectors and the nearest of (d, K) unit columns.

    Of one vector it is a number.
    """
    if len(vectors) == 1:
        return float(vectors.dot(near).max())
    cosine: Floats = np.empty(len(vectors), dtype=near.dtype)
    for i in range(0, len(vectors), _FEW):
        (vectors[i : i + _FEW] @ near).max(axis=1, out=cosine[i : i + _FEW])
    return cosine


def posterior(vectors: Floats, centroids: Floats, size: Floats, beta: float) -> Floats:
    """(n, K) weights proportional to ``N_c exp(beta cos(x, mu_c))``, each row summing to 1.

    Args:
        vectors: (n, d) unit vectors.
        centroids: (K, d).
        size: (K,) records in each cluster; those without get no weight.
        beta: sharpness.
    """
    return Posterior(centroids, size, beta)(vectors)


class Posterior:
    """:func:`posterior`, prepared for many calls, with further columns on the way.

    Args:
        centroids: (K, d).
        size: (K,) records in each cluster.
        beta: sharpness.
        directions: (d, r) of a linear map that is to be applied in the same product.
        offset: (r,) to be added to it.
        spare: columns of zeros behind these, for the caller to fill.
        near: (d', L) unit columns that the first d' numbers of vectors are likened to in the same
            product; default, the centroids, of which a beta of 0 tells nothing.

    Attributes:
        width: columns of the product.
    """

    def __init__(
        self,
        centroids: Floats,
        size: Floats,
        beta: float,
        *,
        directions: Floats | None = None,
        offset: Floats | None = None,
        spare: int = 0,
        near: Floats | None = None,
    ) -> None:
        k, d = centroids.shape
        r = 0 if directions is None else directions.shape[1]
        told = k + r + spare
        used = told + (0 if near is None else near.shape[1])
        # Rows that begin where the processor's cache lines do are read in four fifths of the time.
        self.width = -(-used // _LINE) * _LINE
        self._ones = np.ones(k, dtype=np.float32)
        self._matrix = np.zeros((d, self.width), dtype=np.float32)
        self._matrix[:, :k] = beta * unit(centroids).T
        # As many dimensions as the product has, and where there is one row the very shape: numpy
        # takes less than half as long.
        self._bias = np.zeros((1, self.width), dtype=np.float32)
        prior = size / size.max() if size.any() else np.ones(k)
        with np.errstate(divide="ignore"):
            self._bias[:, :k] = np.log(prior) - beta
        if directions is not None and offset is not None:
            self._matrix[:, k : k + r] = directions
            self._bias[:, k : k + r] = offset
        # Columns of the product: votes, all that is told, and what is likened.
        self._votes, self._told = np.s_[:, :k], np.s_[:, :told]
        self._near, self._near_scale = self._votes, 1 / beta if beta else 0.0
        if near is not None:
            self._matrix[: len(near), told:used] = near
            self._near, self._near_scale = np.s_[:, told:used], 1.0
        # Up to here beta (cos - 1) is far from what single precision rounds to zero.
        self._sharp = beta > 40

    def __call__(self, vectors: Floats) -> Floats:
        """(n, d) unit vectors to (n, K + r + spare): weights, linear map, zeros."""
        return self.likened(vectors)[0]

    def likened(self, vectors: Floats, out: Floats | None = None) -> tuple[Floats, Floats | float]:
        """The same, and the (n,) cosine of each vector and what is nearest; of one a number.

        Args:
            vectors: (n, d).
            out: (n, width) float32 memory to write to; default, new memory.
        """
        # The method is the same product as the operator, with less ado about one row.
        product: Floats = np.asarray(vectors, dtype=np.float32).dot(self._matrix, out)
        near = product[self._near]
        cosine: Floats | float
        if len(near) == 1:  # found in a third of the time that arrays of one would take
            cosine = near.item(near.argmax()) * self._near_scale
        else:
            cosine = np.maximum.reduce(near, axis=1) * self._near_scale
        product += self._bias
        weights = product[self._votes]
        if self._sharp:
            weights -= np.maximum.reduce(weights, axis=1, keepdims=True)
        np.exp(weights, out=weights)
        # A product sums rows several times as fast as np.sum does.
        total = weights.dot(self._ones)
        weights /= total.reshape(() if len(total) == 1 else (-1, 1))
        return product[self._told], cosine


def shrunk_means(total: Floats, n: Floats, m0: float) -> Floats:
    """(K, M) means, shrunk to each model's overall mean by ``m0`` records' worth.

    Args:
        total: (K, M) sums.
        n: (K, M) records in each sum.
        m0: at least 0; where there is neither record nor shrinkage, the overall mean stands.
    """
    overall = ratio(total.sum(axis=0), n.sum(axis=0))
    weight = n + m0
    return np.where(weight > 0, (total + m0 * overall) / np.where(weight > 0, weight, 1.0), overall)


def sums_of_cells(
    values: npt.NDArray[Any], labels: npt.NDArray[np.integer], k: int
) -> npt.NDArray[np.float64]:
    """(k, M) sums of (n, M) values over the rows of each cluster."""
    columns = [np.bincount(labels, weights=column, minlength=k) for column in values.T]
    return np.stack(columns, axis=1)


def select(
    values: Floats, columns: Sequence[int | None], absent: npt.ArrayLike = 0.0
) -> npt.NDArray[Any]:
    """(..., n) columns of (..., M) values, in that order; None gives what is absent."""
    index = np.array([-1 if c is None else c for c in columns], dtype=np.int64)
    return np.where(index >= 0, values[..., index], absent)


def ratio(total: Floats, n: Floats, empty: float = 0.0) -> Floats:
    """``total / n``, and ``empty`` where n is 0."""
    return np.where(n > 0, total / np.where(n > 0, n, 1), empty)
