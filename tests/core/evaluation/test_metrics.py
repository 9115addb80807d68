"""Metrics against their literal definitions."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avengers_core.evaluation import metrics

NAN = float("nan")
points = st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8)


def dominated(point, others):
    """Whether one of others is at least as good in both and better in one."""
    return any(
        a >= point[0] and c <= point[1] and (a, c) != tuple(point)
        for a, c in map(tuple, others)
        if (a, c) != tuple(point)
    )


def test_perf_gain_is_relative_to_the_best_single_model():
    assert metrics.perf_gain(np.array([0.5, 0.6, 0.66]), 0.6) == pytest.approx(0.1)
    assert metrics.perf_gain(np.array([0.5, NAN]), 1.0) == pytest.approx(-0.5)
    assert metrics.perf_gain(np.array([0.0]), 0.0) == 0


def test_cost_save_is_the_cheapest_alpha_that_keeps_enough():
    accuracy, cost = np.array([0.5, 0.6, 0.66]), np.array([1.0, 2.0, 8.0])
    assert metrics.cost_save(accuracy, cost, 0.6, 10.0) == pytest.approx(0.8)
    assert metrics.cost_save(accuracy, cost, 0.6, 10.0, keep=0.8) == pytest.approx(0.9)
    assert metrics.cost_save(accuracy, cost, 0.65, 4.0) == pytest.approx(-1)


@pytest.mark.parametrize(
    ("accuracy", "cost", "best", "its_cost"),
    [
        ([0.5, 0.6], [1.0, 2.0], 0.7, 10.0),  # never reached
        ([0.5, 0.6], [1.0, NAN], 0.6, 10.0),  # reached at an unknown cost only
        ([0.5, 0.6], [1.0, 2.0], 0.6, NAN),
        ([0.5, 0.6], [0.0, 0.0], 0.6, 0.0),
    ],
)
def test_cost_save_is_unknown_where_there_is_nothing_to_compare(accuracy, cost, best, its_cost):
    assert math.isnan(metrics.cost_save(np.array(accuracy), np.array(cost), best, its_cost))


@settings(max_examples=30)
@given(st.integers(0, 1000))
def test_aiq_is_the_mean_over_costs(seed):
    rng = np.random.default_rng(seed)
    accuracy, cost = rng.uniform(size=6), rng.uniform(1, 9, size=6)
    grid = np.linspace(2, 8, 2001)
    best = [
        accuracy[cost <= c].max() if (cost <= c).any() else accuracy[cost.argmin()] for c in grid
    ]
    assert metrics.aiq(accuracy, cost, 2, 8) == pytest.approx(np.mean(best), abs=4e-3)


def test_aiq_of_one_cost_and_of_none():
    accuracy, cost = np.array([0.4, 0.9]), np.array([1.0, 3.0])
    assert metrics.aiq(accuracy, cost, 2, 2) == 0.4
    assert metrics.aiq(accuracy, cost, 5, 5) == 0.9
    assert metrics.aiq(accuracy, cost, 0.5, 0.5) == 0.4
    assert math.isnan(metrics.aiq(accuracy, np.array([NAN, NAN]), 1, 2))
    # Points of unknown cost play no part.
    assert metrics.aiq(np.array([0.4, 1.0]), np.array([1.0, NAN]), 1, 2) == pytest.approx(0.4)


@given(points)
def test_the_pareto_front_is_undominated(pairs):
    accuracy, cost = np.array(pairs, dtype=float).T
    front = metrics.pareto_front(accuracy, cost)
    for on_front, pair in zip(front, pairs, strict=True):
        assert not (on_front and dominated(pair, pairs))
    kept = set(zip(accuracy[front], cost[front], strict=True))
    assert kept == {pair for pair in pairs if not dominated(pair, pairs)}


@given(points, points)
def test_pareto_dist_is_the_mean_distance_to_the_front_in_shares_of_the_picture(own, rivals):
    everything = np.array([*own, *rivals], dtype=float)
    low, spread = everything.min(axis=0), np.ptp(everything, axis=0)
    spread[spread == 0] = 1

    def scaled(pair):
        return (np.array(pair) - low) / spread

    front = [scaled(p) for p in everything.tolist() if not dominated(p, everything.tolist())]
    expected = np.mean([min(np.linalg.norm(scaled(p) - f) for f in front) for p in own])
    (a, c), (b, d) = np.array(own, dtype=float).T, np.array(rivals, dtype=float).T
    assert metrics.pareto_dist(a, c, b, d) == pytest.approx(expected, abs=1e-12)


def test_a_spread_that_is_rounding_is_none():
    accuracy, cost = np.array([0.9]), np.array([0.3])
    assert metrics.pareto_dist(accuracy, cost + 1e-16, accuracy, cost) == pytest.approx(0, abs=1e-9)


def test_pareto_dist_in_blocks_is_the_same(monkeypatch):
    rng = np.random.default_rng(0)
    arrays = rng.uniform(size=50), rng.uniform(size=50), rng.uniform(size=4), rng.uniform(size=4)
    whole = metrics.pareto_dist(*arrays)
    monkeypatch.setattr(metrics, "_BLOCK", 7)
    assert metrics.pareto_dist(*arrays) == pytest.approx(whole)
    unknown = np.full(50, NAN)
    assert math.isnan(metrics.pareto_dist(arrays[0], unknown, *arrays[2:]))
