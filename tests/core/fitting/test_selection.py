"""Choosing a subset of models."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from avengers_core import Router
from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.artifact.info import ArtifactInfo
from avengers_core.artifact.statistics import Statistics
from avengers_core.fitting import selection
from avengers_core.fitting.selection import best_subset


def make_router(scores: np.ndarray, costs: np.ndarray | None = None) -> Router:
    """A router with one far-apart cluster a row and sure knowledge of its (K, M) means."""
    k, m = scores.shape
    s = Statistics.zeros(k, m, 1)
    s.topics[:] = s.n[:] = s.n_cost[:] = 10_000
    s.score[:] = 10_000 * scores
    s.cost[:] = 10_000 * (np.full((k, m), 0.001) if costs is None else costs)
    artifact = RouterArtifact(
        tuple(f"m{j}" for j in range(m)), ("d",), np.eye(k), s, ArtifactInfo(embedder="none")
    )
    return Router(artifact, beta=200.0)


def test_complementary_models_beat_the_two_best_on_average():
    # m0 and m1 are best on average, but m2 is the one that knows what m0 does not.
    scores = np.array([[0.9, 0.8, 0.1], [0.5, 0.55, 0.9]])
    assert best_subset(make_router(scores), 2).models == ("m0", "m2")


def test_the_subset_is_the_best_of_all():
    scores = np.random.default_rng(0).uniform(size=(6, 7))
    subset = best_subset(make_router(scores), 3)
    value = {pool: scores[:, pool].max(axis=1).mean() for pool in combinations(range(7), 3)}
    best = max(value, key=value.get)
    assert subset.models == tuple(f"m{j}" for j in best)
    assert subset.expected_score == pytest.approx(value[best], abs=1e-3)
    assert subset.exhaustive


def test_greedy_keeps_its_guarantee(monkeypatch):
    scores = np.random.default_rng(1).uniform(size=(12, 9))
    exact = best_subset(make_router(scores), 4)
    monkeypatch.setattr(selection, "MAX_EXHAUSTIVE", 1)
    greedy = best_subset(make_router(scores), 4)
    assert not greedy.exhaustive
    assert greedy.expected_score >= (1 - 1 / np.e) * exact.expected_score
    assert len(greedy.models) == 4


def test_a_model_is_not_chosen_for_clusters_in_which_it_has_no_records():
    scores = np.array([[1.0, 0.6, 0.5], [1.0, 0.6, 0.5]])
    router = make_router(scores)
    s = router.artifact.statistics
    for sums in (s.n, s.score, s.n_cost, s.cost):
        sums[1, 0] = 0.0
    sparse = Router(router.artifact, beta=200.0)
    assert best_subset(sparse, 1).models == ("m1",)
    pair = best_subset(sparse, 2)
    assert pair.models == ("m0", "m1")
    assert pair.expected_score == pytest.approx(0.8, abs=1e-3)


def test_alpha_and_keep_are_honoured():
    scores = np.array([[0.9, 0.88], [0.9, 0.88]])
    costs = np.array([[0.1, 0.001], [0.1, 0.001]])
    router = make_router(scores, costs)
    assert best_subset(router, 1, alpha=1.0).models == ("m0",)
    assert best_subset(router, 1, alpha=0.2).models == ("m1",)
    assert best_subset(router, 1, alpha=0.2, keep=["m0"]).models == ("m0",)
    assert best_subset(router, 2, keep=["m0", "m0"]).models == ("m0", "m1")
    assert best_subset(router, 1, alpha=0.2, keep=["m0", "m0"]).models == ("m0",)


def test_bad_arguments():
    router = make_router(np.array([[0.5, 0.6]]))
    with pytest.raises(ValueError, match=r"size.*\b2\b.*\b3\b"):
        best_subset(router, 3)
    with pytest.raises(ValueError, match=r"alpha.*\b2\b"):
        best_subset(router, 1, alpha=2)
    with pytest.raises(ValueError, match=r"keep.*'m0'"):
        best_subset(router, 1, keep="m0")
    with pytest.raises(ValueError, match="m9"):
        best_subset(router, 1, keep=["m9"])
    with pytest.raises(ValueError, match=r"keep.*\b2\b"):
        best_subset(router, 1, keep=["m0", "m1"])
