"""A linear map from vectors to the models' scores, from sums that add up."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from avengers_core.artifact.additive import SumsOfModels
from avengers_core.artifact.parts.arrays import check_arrays
from avengers_core.common.arrays import Floats

# Directions kept where there are more models than this: they share few kinds of difficulty.
MAX_RANK = 16


class LinearMap(NamedTuple):
    """Predicts M scores from a vector z: ``offset + ((z - center) @ directions) @ coefficients``.

    Attributes:
        center: (D,) mean of the vectors.
        directions: (D, r).
        coefficients: (r, M).
        offset: (M,) prediction at the center.
    """

    center: Floats
    directions: Floats
    coefficients: Floats
    offset: Floats

    def __call__(self, vectors: Floats) -> Floats:
        """(n, D) vectors to (n, M) predicted scores."""
        predicted: Floats = (
            self.offset + ((vectors - self.center) @ self.directions) @ self.coefficients
        )
        return predicted


@dataclass(frozen=True, eq=False)
class Moments(SumsOfModels):
    """Sums over records with vectors in D dimensions and the scores of M models.

    What is summed by model may be weighted.

    Attributes:
        count: (1,) records.
        vector: (D,) sum of vectors.
        gram: (D, D) sum of outer products of vectors.
        n: (M,) records with a score of the model.
        score: (M,) sum of its scores.
        seen: (D, M) sum of vectors over the records that it has a score on.
        cross: (D, M) sum of vectors times its scores.
    """

    count: Floats
    vector: Floats
    gram: Floats
    n: Floats
    score: Floats
    seen: Floats
    cross: Floats

    SHARED = ("count", "vector", "gram")

    @classmethod
    def collect(cls, vectors: Floats, scores: Floats, weights: Floats | None = None) -> Moments:
        """Sum up (n, D) vectors and (n, M) scores, NaN where missing; (n,) weights, default 1."""
        z = vectors.astype(np.float64)
        known = (~np.isnan(scores)).astype(np.float64)
        if weights is not None:
            known *= weights[:, None]
        values = known * np.nan_to_num(scores)
        return cls(
            count=np.array([float(len(z))]),
            vector=z.sum(axis=0),
            gram=z.T @ z,
            n=known.sum(axis=0),
            score=values.sum(axis=0),
            seen=z.T @ known,
            cross=z.T @ values,
        )

    @classmethod
    def zeros(cls, d: int, m: int) -> Moments:
        """Moments of no records."""
        return cls.collect(np.zeros((0, d)), np.zeros((0, m)))

    def of_failing(self) -> Mapping[str, Floats]:
        return {"n": self.count, "seen": self.vector[:, None]}

    def __sub__(self, other: Moments) -> Moments:
        return Moments(**{k: v - getattr(other, k) for k, v in self.arrays().items()})

    def stored(self) -> dict[str, Floats]:
        """The sums by name; of the symmetric Gram matrix, the upper triangle."""
        return {**self.arrays(), "gram": self.gram[np.triu_indices(len(self.gram))]}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, Floats]) -> Moments:
        """The inverse of :meth:`stored`."""
        d = len(arrays["vector"])
        if arrays["gram"].shape != (d * (d + 1) // 2,):
            raise ValueError(f"gram has shape {arrays['gram'].shape}, vector has length {d}")
        gram = np.zeros((d, d))
        upper = np.triu_indices(d)
        gram[upper] = arrays["gram"]
        gram.T[upper] = arrays["gram"]
        return cls(**{**arrays, "gram": gram})

    def check(self, d: int, m: int) -> str | None:
        """What is wrong with the arrays, or None."""
        shapes: dict[str, tuple[int, ...]] = {
            **{"count": (1,), "vector": (d,), "gram": (d, d)},
            **dict.fromkeys(("n", "score"), (m,)),
            **dict.fromkeys(("seen", "cross"), (d, m)),
        }
        return check_arrays(self.arrays(), shapes, signed=("vector", "gram", "seen", "cross"))

    def spectrum(self) -> Spectrum:
        """What is the same for every penalty of the regression."""
        count = max(float(self.count[0]), 1.0)
        n = np.maximum(self.n, 1.0)
        center = self.vector / count
        values, basis = np.linalg.eigh(self.gram - count * np.outer(center, center))
        own_center = self.seen / n
        return Spectrum(
            center,
            np.maximum(values, 0.0),
            basis,
            basis.T @ (self.cross - own_center * self.score),
            np.minimum(self.n / count, 1.0),
            center[:, None] - own_center,
            self.score / n,
        )


class Spectrum(NamedTuple):
    """Centred moments in the basis of their Gram matrix.

    Attributes:
        center: (D,) mean of the vectors.
        values: (D,) eigenvalues.
        basis: (D, D) eigenvectors, one a column.
        target: (D, M) sums of centred vectors times scores, in the basis.
        share: (M,) of the records that have a score of the model.
        shift: (D, M) from the mean of the vectors that a model has a score on to ``center``.
        mean: (M,) scores.
    """

    center: Floats
    values: Floats
    basis: Floats
    target: Floats
    share: Floats
    shift: Floats
    mean: Floats

    def solve(self, ridge: float) -> LinearMap:
        """Ridge regression of each model's scores on the centred vectors.

        A model that lacks some records is taken to have seen a fair sample of the vectors: its
        Gram matrix is the common one times its share of the records.

        Args:
            ridge: the penalty, in records' worth of unit vectors.
        """
        turned = self.target / (self.values[:, None] * self.share + ridge)
        weights = self.basis @ turned
        offset = self.mean + (self.shift * weights).sum(axis=0)
        m = weights.shape[1]
        if m <= MAX_RANK:
            return LinearMap(self.center, weights, np.eye(m), offset)
        # The directions in which the predictions vary most.
        _, _, mixing = np.linalg.svd(np.sqrt(self.values)[:, None] * turned, full_matrices=False)
        mixing = mixing[:MAX_RANK]
        return LinearMap(self.center, weights @ mixing.T, mixing, offset)
