"""What choices come to where few results are known."""

from __future__ import annotations

import numpy as np
import pytest

from avengers_core.evaluation.estimating import Estimate, completed
from avengers_core.records.loading import as_records
from avengers_core.records.outcomes import to_outcomes

N, MODELS = 6000, ("a", "b")


def log(chances=False):
    """A log of one model a query, b more often for hard ones; outcomes, truth and guesses."""
    rng = np.random.default_rng(0)
    hard = rng.random(N)
    chance = np.stack([0.9 - 0.4 * hard, 0.95 - 0.7 * hard], axis=1)
    truth = (rng.random((N, 2)) < chance).astype(float)
    of_b = 0.1 + 0.8 * hard
    asked = (rng.random(N) < of_b).astype(int)
    rows = []
    for i, j in enumerate(asked.tolist()):
        row = {"query": str(i), "records": {MODELS[j]: truth[i, j]}, "dataset": "log"}
        if chances:
            row["propensity"] = float(of_b[i] if j else 1 - of_b[i])
        rows.append(row)
    outcomes = to_outcomes(as_records(rows), MODELS)
    choice = (hard < 0.4).astype(int)
    return outcomes, truth, chance, choice


def mean(outcomes, choice, guesses):
    return Estimate.of(outcomes, choice, outcomes.scores, guesses).totals()[0] / N


def test_right_expectations_or_right_chances_are_enough():
    for chances, right in ((False, True), (True, False), (True, True)):
        outcomes, truth, chance, choice = log(chances)
        guesses = chance if right else np.full((N, 2), 0.9)
        for way in (choice, np.zeros(N, dtype=int), np.ones(N, dtype=int)):
            expected = truth[np.arange(N), way].mean()
            assert mean(outcomes, way, guesses) == pytest.approx(expected, abs=0.025)
    # Neither: the mean of what is known is far off.
    outcomes, truth, _, _ = log()
    ones = np.ones(N, dtype=int)
    assert abs(mean(outcomes, ones, np.full((N, 2), 0.9)) - truth[:, 1].mean()) > 0.05


def test_where_all_is_known_expectations_play_no_part():
    outcomes, truth, _, choice = log()
    rng = np.random.default_rng(1)
    outcomes.scores[:] = truth
    guesses = rng.random((N, 2))
    assert mean(outcomes, choice, guesses) == pytest.approx(truth[np.arange(N), choice].mean())
    values = completed(outcomes, choice, outcomes.scores, guesses)
    np.testing.assert_array_equal(values, truth[np.arange(N), choice])


def test_estimates_add_up_and_resampled_values_have_their_mean():
    outcomes, _, chance, choice = log()
    halves = [slice(0, 1000), slice(1000, N)]
    parts = [
        Estimate.of(outcomes.take(range(N)[s]), choice[s], outcomes.scores[s], chance[s])
        for s in halves
    ]
    whole = mean(outcomes, choice, chance)
    assert (parts[0] + parts[1]).totals()[0] / N == pytest.approx(whole)
    values = completed(outcomes, choice, outcomes.scores, chance)
    assert values.mean() == pytest.approx(whole)
    assert 0.3 < values.std() < 2
