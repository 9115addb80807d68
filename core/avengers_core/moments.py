"""A linear map from vectors to the models' scores, from sums that add up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]

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
class Moments:
    """Sums over records with vectors in D dimensions and the scores of M models.

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

    @classmethod
    def collect(cls, vectors: Floats, scores: Floats) -> Moments:
        """Sum up (n, D) vectors and (n, M) scores, NaN where missing."""
        z = vectors.astype(np.float64)
        known = ~np.isnan(scores)
        values = np.where(known, scores, 0.0)
        return cls(
            count=np.array([float(len(z))]),
            vector=z.sum(axis=0),
            gram=z.T @ z,
            n=known.sum(axis=0).astype(np.float64),
            score=values.sum(axis=0),
            seen=z.T @ known,
            cross=z.T @ values,
        )

    @classmethod
    def zeros(cls, d: int, m: int) -> Moments:
        """Moments of no records."""
        return cls.collect(np.zeros((0, d)), np.zeros((0, m)))

    def __add__(self, other: Moments) -> Moments:
        return Moments(**{k: v + getattr(other, k) for k, v in self.arrays().items()})

    def __sub__(self, other: Moments) -> Moments:
        return Moments(**{k: v - getattr(other, k) for k, v in self.arrays().items()})

    def arrays(self) -> dict[str, Floats]:
        """The sums by name."""
        return {f.name: getattr(self, f.name) for f in fields(self)}

    def packed(self) -> dict[str, Floats]:
        """The sums by name; of the symmetric Gram matrix, the upper triangle."""
        return {**self.arrays(), "gram": self.gram[np.triu_indices(len(self.gram))]}

    @classmethod
    def unpack(cls, arrays: Mapping[str, Floats]) -> Moments:
        """The inverse of :meth:`packed`."""
        d = len(arrays["vector"])
        gram = np.zeros((d, d))
        upper = np.triu_indices(d)
        gram[upper] = arrays["gram"]
        gram.T[upper] = arrays["gram"]
        return cls(**{**arrays, "gram": gram})

    def select_models(self, columns: Sequence[int | None]) -> Moments:
        """The models asked for, in that order; None gives one without records."""
        index = np.array([-1 if c is None else c for c in columns], dtype=np.int64)
        return replace(
            self,
            **{
                name: np.where(index >= 0, getattr(self, name)[..., index], 0.0)
                for name in ("n", "score", "seen", "cross")
            },
        )

    def without_records(self) -> Moments:
        """The models' own sums, leaving out what is shared by all of them."""
        return replace(
            self,
            count=np.zeros_like(self.count),
            vector=np.zeros_like(self.vector),
            gram=np.zeros_like(self.gram),
        )

    def solve(self, ridge: float) -> LinearMap:
        """Ridge regression of each model's scores on the centred vectors.

        A model that lacks some records is taken to have seen a fair sample of the vectors: its
        Gram matrix is the common one times its share of the records.

        Args:
            ridge: the penalty, in records' worth of unit vectors.
        """
        count = max(float(self.count[0]), 1.0)
        n = np.maximum(self.n, 1.0)
        center = self.vector / count
        values, basis = np.linalg.eigh(self.gram - count * np.outer(center, center))
        own_center, own_mean = self.seen / n, self.score / n
        target = self.cross - own_center * self.score
        share = np.minimum(self.n / count, 1.0)
        shrink = np.maximum(values, 0.0)[:, None] * share + ridge
        weights = basis @ ((basis.T @ target) / shrink)
        offset = own_mean + ((center[:, None] - own_center) * weights).sum(axis=0)
        m = weights.shape[1]
        if m <= MAX_RANK:
            return LinearMap(center, weights, np.eye(m), offset)
        # The directions in which the predictions vary most.
        spread = np.sqrt(np.maximum(values, 0.0))[:, None] * (basis.T @ weights)
        _, _, mixing = np.linalg.svd(spread, full_matrices=False)
        mixing = mixing[:MAX_RANK]
        return LinearMap(center, weights @ mixing.T, mixing, offset)
