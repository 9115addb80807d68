"""Evidence that the mean of a stream has changed."""

from __future__ import annotations

import numpy as np
import pytest

from avengers_core.learning.evidence import find_change, looks

ALARM = float(np.log(20))


def stream(mean: np.ndarray, seed: int) -> np.ndarray:
    return (np.random.default_rng(seed).random(len(mean)) < mean).astype(float)


def test_longer_logs_are_looked_at_where_shorter_ones_were() -> None:
    short, long = looks(3000), looks(50_000)
    assert short[-1] == 3000
    assert long[: len(short) - 1].tolist() == short[:-1].tolist()
    assert len(looks(10**6)) < 500
    assert not len(looks(0))


@pytest.mark.parametrize("mean", [0.05, 0.5, 0.95])
def test_a_constant_mean_is_hardly_ever_taken_for_a_change(mean: float) -> None:
    n, seeds = 600, 60
    found = [
        find_change(np.arange(n), stream(np.full(n, mean), seed), n, ALARM) for seed in range(seeds)
    ]
    # At most one in twenty by the theory, looks at all times included.
    assert sum(change.seen_at is not None for change in found) <= seeds / 20


@pytest.mark.parametrize("spread", [0.0, 0.1])
def test_scores_between_0_and_1_do_not_alarm_either(spread: float) -> None:
    n = 600
    scores = np.clip(np.random.default_rng(1).normal(0.7, spread, n), 0, 1)
    assert find_change(np.arange(n), scores, n, ALARM).seen_at is None


@pytest.mark.parametrize(("before", "after"), [(0.9, 0.5), (0.5, 0.9)])
def test_a_change_is_found_where_it_was(before: float, after: float) -> None:
    n = 600
    mean = np.where(np.arange(n) < 300, before, after)
    change = find_change(np.arange(n), stream(mean, 0), n, ALARM)
    assert change.seen_at is not None
    assert 300 < change.seen_at < 420
    assert abs(change.since - 300) <= 50
    assert abs(change.before - before) < 0.1
    assert abs(change.after - after) < 0.1
    assert change.n_before + change.n_after == n


def test_a_stream_of_few_calls_keeps_its_place_in_the_log() -> None:
    positions = np.arange(0, 3000, 10)
    scores = (positions < 1500).astype(float)
    change = find_change(positions, scores, 3000, ALARM)
    assert change.seen_at is not None
    assert 1500 < change.seen_at < 1700
    assert abs(change.since - 1500) <= 60


@pytest.mark.parametrize("n", [0, 1, 30])
def test_next_to_nothing_is_no_evidence(n: int) -> None:
    change = find_change(np.arange(n), np.zeros(n), n, ALARM)
    assert change.seen_at is None
