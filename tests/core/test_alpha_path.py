"""The exact path over alpha, against brute force."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core import AvengersError, Router, evaluate, fit, load_records
from avengers_core.alpha_path import _envelope
from avengers_core.records import to_outcomes


def at(path, alpha):
    """The choice of each query at an alpha, from the path."""
    chosen = path.start.copy()
    interval = np.searchsorted(path.edges, alpha, side="right") - 1
    for when, query, to in zip(path.changed_at, path.changed_query, path.changed_to, strict=True):
        if when <= interval:
            chosen[query] = to
    return chosen


@given(st.integers(0, 10_000), st.integers(1, 6), st.integers(1, 5), st.booleans())
def test_the_envelope_is_what_a_fine_grid_finds(seed, n, m, rounded):
    rng = np.random.default_rng(seed)
    low, high = rng.uniform(size=(2, n, m))
    if rounded:  # ties, parallel lines, many lines through one point
        low, high = low.round(1), high.round(1)
    out = rng.random((n, m)) < 0.2
    out[:, 0] = False
    low[out] = high[out] = -np.inf
    path = _envelope(low, high)
    for alpha in np.concatenate([np.linspace(0.0005, 0.9995, 101), path.alphas]):
        with np.errstate(invalid="ignore"):
            utility = np.where(out, -np.inf, (1 - alpha) * low + alpha * high)
        if np.abs(path.edges - alpha).min() < 1e-9:
            continue
        chosen = at(path, alpha)
        np.testing.assert_allclose(utility[np.arange(n), chosen], utility.max(axis=1), atol=1e-12)
    assert (np.diff(path.edges) > 0).all()
    assert (path.edges[0], path.edges[-1]) == (0, 1)


@pytest.fixture(scope="module", params=["calibrated", "paper", "reference"])
def router(request, make_records, embedder):
    artifact = fit(make_records(150), embedder, n_clusters=4)
    return Router(artifact, embedder, scorer=request.param)


def test_totals_along_the_path_are_those_of_routing_again(router, make_records):
    outcomes = to_outcomes(load_records(make_records(60, seed=7)), router.models)
    vectors = router.embed(outcomes.queries)
    report = evaluate(router, make_records(60, seed=7), average="query")
    rows = np.arange(60)
    for alpha, score, cost in list(
        zip(report.curve.alphas, report.curve.score, report.curve.cost, strict=True)
    )[::5]:
        chosen = router.route_vectors(vectors, alpha=float(alpha))
        assert score == pytest.approx(outcomes.scores[rows, chosen].mean())
        assert cost == pytest.approx(outcomes.costs[rows, chosen].mean())
    shares = report.curve.path.shares(3)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert report.curve.path.exact == (router.scorer.name != "reference")


def test_targets_are_met_by_the_best_alpha_that_meets_them(router):
    queries = [f"alpha {i}" for i in range(20)] + [f"zeta {i}" for i in range(20)]
    path = router.alpha_path(queries)
    middle = float((path.cost.min() + path.cost.max()) / 2)
    target = path.target(cost=middle)
    assert target.cost <= middle * (1 + 1e-6)
    assert target.score == pytest.approx(path.score[path.cost <= middle * (1 + 1e-9)].max())
    assert router.alpha_for(cost=middle, queries=queries) == target.alpha
    decisions = router.route_batch(queries, alpha=target.alpha)
    assert np.mean([d.expected_cost for d in decisions]) == pytest.approx(target.cost, rel=1e-4)
    wanted = float(path.score.max())
    assert path.target(score=wanted).cost == pytest.approx(path.cost[path.score >= wanted].min())
    best = path.single_cost[path.single_score.argmax()]
    assert path.target(saving=0.1).cost <= 0.9 * best * (1 + 1e-6)


@pytest.mark.parametrize(
    ("target", "error", "message"),
    [
        ({}, ValueError, "exactly one of"),
        ({"cost": 1, "score": 0.5}, ValueError, "exactly one of"),
        ({"saving": 1.0}, ValueError, r"saving must lie in \[0, 1\)"),
        ({"cost": 1e-9}, AvengersError, r"no alpha has a mean cost of \$1e-09 or less; the lowest"),
        ({"score": 0.999}, AvengersError, "no alpha has a mean score of 0.999 or more"),
    ],
)
def test_targets_that_can_not_be_met(router, target, error, message):
    with pytest.raises(error, match=message):
        router.alpha_for(**target)


def test_limits_hold_along_the_path(router):
    path = router.alpha_path(["alpha", "zeta"], exclude=["good"])
    assert path.path.shares(3)[:, router.models.index("good")].max() == 0
