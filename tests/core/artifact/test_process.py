"""The posterior of cells against what dense algebra gives."""

from __future__ import annotations

import numpy as np
import pytest

from avengers_core.artifact.estimation import process as module
from avengers_core.artifact.estimation.process import CellProcess, kernel_of


def process():
    rng = np.random.default_rng(0)
    half = rng.normal(size=(3, 3))
    precision = rng.random((5, 3)) * 9
    precision[rng.random((5, 3)) < 0.4] = 0
    kernel = kernel_of(rng.normal(size=(5, 4)))
    mu, target = rng.normal(size=3), rng.normal(size=(5, 3))
    return CellProcess(mu, half @ half.T, kernel, precision), target


@pytest.mark.parametrize("few", [0, module._FEW_CELLS])
def test_mean_and_spread_are_those_of_dense_algebra(monkeypatch, few):
    monkeypatch.setattr(module, "_FEW_CELLS", few)
    p, target = process()
    covariance, root = np.kron(p.kernel, p.sigma), np.sqrt(p.precision).ravel()
    gain = covariance * root @ np.linalg.inv(np.eye(15) + root[:, None] * covariance * root)
    mean = p.mu + (gain @ (root * (target - p.mu).ravel())).reshape(5, 3)
    np.testing.assert_allclose(p.mean(target), mean, atol=1e-7)
    left = covariance - gain @ (root[:, None] * covariance)
    draws = p.draws(20_000, seed=0).reshape(20_000, 15)
    np.testing.assert_allclose(draws.mean(axis=0), 0, atol=0.05)
    np.testing.assert_allclose(np.cov(draws.T), left, atol=0.05 * np.abs(left).max())
