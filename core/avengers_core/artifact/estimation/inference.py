"""How the skills of models go together, found from sums of cells by expectation maximisation."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import numpy.typing as npt

from avengers_core.artifact.clusters import ratio
from avengers_core.artifact.estimation.process import CellProcess, kernel_of
from avengers_core.artifact.parts.arrays import out_of_range
from avengers_core.common.arrays import Floats

# Clusters' worth of the assumption that all models are alike in how they go together.
_ALIKE = 50.0
# Steps of Newton's method, and of EM inside each: predictions change by less than .002 after, and
# by a few hundredths where whole blocks are missing.
_NEWTON_STEPS, _EM_STEPS = 6, 6
# And of Newton's method for the one number that all are shifted by.
# It is seldom more than .3.
_LEVEL_STEPS, _LEVEL_PENALTY = 5, 1 / 0.3**2
# Of so many records, what they say of a model's level is half chance: one has a precision of .2 on
# the logit scale, where levels differ by .25 to .7, which makes 10 to 80.
_FEW = 10.0
# Numbers in the matrices of clusters that are inverted at once; of many models, one cluster's.
_AT_ONCE = 65_536
# Chances beyond these are as good as none and certainty.
_LARGEST = 1e3


@dataclass(frozen=True, eq=False)
class Inference:
    """What is found of M models in G groups of records, in a tenth of a second or several.

    Attributes:
        mu: (M,) prior mean of each model, on the logit scale.
        sigma: (M, M) covariance between models.
        logits: (G, M) posterior mean of each model in each group.
        source: fingerprint of what it was found from, see :func:`fingerprint`.
    """

    mu: Floats
    sigma: Floats
    logits: Floats
    source: bytes = b""

    @classmethod
    def of(
        cls,
        total: Floats,
        n: Floats,
        where: Floats,
        source: bytes = b"",
        *,
        roughly: bool = False,
        level: bool = True,
        told: Floats | None = None,
    ) -> Inference:
        """From (G, M) sums of scores and counts of groups at (G, d) places.

        Args:
            total: the sums.
            n: the counts.
            where: the places.
            source: the fingerprint.
            roughly: to a hundredth, in less time.
            level: whether all logits are shifted so that expected sums are those of the records;
                not so in artifacts of versions that did not.
            told: (M,) of how many records' worth the level of each model is told; a level is
                believed as far as :func:`credible` says. None: wholly, as in artifacts of versions
                that did so.
        """
        sum_of_scores = total.sum()
        total = np.clip(total, 0.0, n)
        mean = ratio(total, n)
        kernel = kernel_of(where)
        p: Floats = np.clip(_main_effects(total, n), 0.05, 0.95)
        mu: Floats = np.log(p / (1 - p)).mean(axis=0)
        sigma: Floats = 0.7 + 0.3 * np.eye(len(mu))
        logits: Floats = np.tile(mu, (len(n), 1))
        for _ in range(_NEWTON_STEPS):
            p = sigmoid(logits)
            precision = _precision(p, n)
            slope = _slope(p)
            target = logits + np.clip((mean - p) / slope, -4, 4)
            mu, sigma = _fit_prior(target, precision, mu, sigma)
            prior = mu if told is None else _held(mu, credible(told))
            logits = CellProcess(prior, sigma, kernel, precision).mean(target, roughly=roughly)
        return cls(prior, sigma, logits + level * _shift(logits, n, sum_of_scores), source)

    def process(self, n: Floats, where: Floats) -> CellProcess:
        """The process whose posterior mean the logits are."""
        return CellProcess(
            self.mu, self.sigma, kernel_of(where), _precision(sigmoid(self.logits), n)
        )

    def arrays(self) -> dict[str, npt.NDArray[Any]]:
        """All arrays by name; the fingerprint as its bytes."""
        source = np.frombuffer(self.source, np.uint8).astype(np.float32)
        return {"mu": self.mu, "sigma": self.sigma, "logits": self.logits, "source": source}

    @classmethod
    def from_arrays(cls, arrays: Mapping[str, npt.NDArray[Any]]) -> Inference:
        """The inverse of :meth:`arrays`; raises TypeError or ValueError."""
        for name, array in arrays.items():
            if fault := out_of_range(array, _LARGEST):
                raise ValueError(f"{name} {fault}")
        source = np.abs(arrays["source"]).astype(np.uint8).tobytes()
        return cls(**{**arrays, "source": source})


def sigmoid(logit: Floats) -> Floats:
    """Chances from logits; of the smallest, none below 1e-35."""
    p: Floats = 1 / (1 + np.exp(np.minimum(-logit, 80.0)))
    return p


def credible(told: Floats) -> Floats:
    """What share to believe of that by which a model stands out, of which so many records tell.

    A model that comes with a handful of records, all of them right, is not the best of all.
    """
    share: Floats = told / (told + _FEW)
    return share


def fingerprint(*arrays: Floats) -> bytes:
    """16 bytes that are other ones where any number of some arrays is, or a shape."""
    hashed = blake2b(digest_size=16)
    for array in arrays:
        hashed.update(str(array.shape).encode())
        hashed.update(array.tobytes())
    return hashed.digest()


def _slope(p: Floats) -> Floats:
    """By how much chances rise with logits; where all is but certain, a step of it would leap."""
    slope: Floats = np.maximum(p * (1 - p), 0.03)
    return slope


def _precision(p: Floats, n: Floats) -> Floats:
    """Of n records of a chance, on the logit scale."""
    return n * _slope(p)


def _shift(logits: Floats, n: Floats, total: float) -> float:
    """What to add to all logits, for expected scores to sum up to what the records' do.

    Where there are few records in each cell, Laplace's approximation and sums that are cut to
    [0, 1] leave expectations off by 3 to 5 points. A handful of records makes nothing certain.
    """
    shift = 0.0
    for _ in range(_LEVEL_STEPS):
        p = sigmoid(logits + shift)
        rise = total - (n * p).sum() - _LEVEL_PENALTY * shift
        shift += float(rise / ((n * _slope(p)).sum() + _LEVEL_PENALTY))
    return shift


def _main_effects(total: Floats, n: Floats, steps: int = 30) -> Floats:
    """(K, M) a level for each cluster plus one for each model, by alternating ridge regression.

    A model with few records is like the usual model, not like the one that most records are of:
    that is the one that a policy liked best.
    """
    mean = total.sum() / n.sum()
    row, column = np.zeros((len(n), 1)), np.zeros((1, n.shape[1]))
    in_row, in_column = n.sum(axis=1, keepdims=True) + 1, n.sum(axis=0, keepdims=True) + 1
    for _ in range(steps):
        left = total - n * mean
        row = (left - n * column).sum(axis=1, keepdims=True) / in_row
        column = (left - n * row).sum(axis=0, keepdims=True) / in_column
        usual = column.mean()
        mean, column = mean + usual, column - usual
    effects: Floats = mean + row + column
    return effects


def _fit_prior(
    target: Floats, precision: Floats, mu: Floats, sigma: Floats
) -> tuple[Floats, Floats]:
    """Mean and covariance between models of clusters as independent draws, by EM.

    The posterior covariance of a cluster, ``(Sigma^-1 + diag(precision))^-1``, is found without
    inverting Sigma. Where few models were seen, it is ``Sigma - Sigma B Sigma`` with a B that is
    zero but between these; then the sum of all B is enough.
    """
    k, m = target.shape
    step = max(1, _AT_ONCE // m**2)
    blocks = [slice(start, start + step) for start in range(0, k, step)]
    seen = [np.flatnonzero(precision[block].any(axis=0)) for block in blocks]
    for _ in range(_EM_STEPS):
        pull, shift = precision * target - precision * mu, np.empty((k, m))
        covariance, told, few = np.zeros((m, m)), np.zeros((m, m)), 0
        for block, models in zip(blocks, seen, strict=True):
            wanted, p = pull[block], precision[block]
            if 2 * len(models) > m:
                within, shift[block] = _of_all(wanted, p, sigma)
                covariance += within
            else:
                among = np.ix_(models, models)
                b, own = _of_few(wanted[:, models], p[:, models], sigma[among])
                told[among] += b
                few += len(own)
                shift[block] = own @ sigma[models]
        if few:
            covariance += few * sigma - sigma @ told @ sigma
        mean = mu + shift
        mu = mean.mean(axis=0)
        away = mean - mu
        own = (away.T @ away + covariance) / k
        own = (own + own.T) / 2
        alike = _exchangeable(own)
        sigma = (k * own + _ALIKE * alike) / (k + _ALIKE) + 1e-6 * np.eye(m)
    return mu, sigma


def _of_all(pull: Floats, precision: Floats, sigma: Floats) -> tuple[Floats, Floats]:
    """(M, M) the sum of the posterior covariances of n clusters, and (n, M) theirs times a pull."""
    inner = np.eye(len(sigma)) + precision[:, :, None] * sigma
    each = np.linalg.solve(inner.transpose(0, 2, 1), np.broadcast_to(sigma, inner.shape))
    return each.sum(axis=0), np.einsum("kij,kj->ki", each, pull)


def _of_few(pull: Floats, precision: Floats, sigma: Floats) -> tuple[Floats, Floats]:
    """(m, m) the sum of B of n clusters, and (n, m) what Sigma is to be multiplied with for a pull.

    See :func:`_fit_prior`; all of the m models that were seen in any of the clusters.
    """
    p = precision[:, None, :]
    b = p * np.linalg.inv(np.eye(len(sigma)) + sigma * p).transpose(0, 2, 1)
    return b.sum(axis=0), pull - np.einsum("kij,kj->ki", b, pull @ sigma)


def _held(mu: Floats, share: Floats) -> Floats:
    """(M,) levels of models, of which a share is believed, and the rest is as usual."""
    usual = np.average(mu, weights=share if share.any() else None)
    held: Floats = usual + share * (mu - usual)
    return held


def _exchangeable(sigma: Floats) -> Floats:
    """The same mean variance and mean covariance, alike for all models."""
    m = len(sigma)
    variance = np.trace(sigma) / m
    covariance = (sigma.sum() - m * variance) / max(m * (m - 1), 1)
    alike: Floats = covariance + (variance - covariance) * np.eye(m)
    return alike
