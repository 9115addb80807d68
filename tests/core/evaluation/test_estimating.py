"""What choices come to where few results are known."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from avengers_core import evaluate
from avengers_core.evaluation.estimating import Doubt, Estimate, Guesses, completed, doubted_means
from avengers_core.evaluation.tallying.tally import Sum
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


def test_a_handful_of_known_results_does_not_speak_for_all():
    # Ten known of a thousand, all of them wrong, where most were expected to be right.
    rows = [
        {"query": str(i), "records": {"a" if i < 10 else "b": 0.0}, "dataset": "d"}
        for i in range(1000)
    ]
    outcomes = to_outcomes(as_records(rows), MODELS)
    choice, guesses = np.zeros(1000, dtype=int), np.full((1000, 2), 0.8)
    found = Estimate.of(outcomes, choice, outcomes.scores, guesses).totals()[0] / 1000
    assert 0.2 < found < 0.8


def test_an_estimate_is_a_score_and_so_are_the_ends_of_its_interval(toy_router):
    # Right where little was expected of it, and expected to be right where nothing is known.
    rows = [{"query": f"y{i}", "records": {"a" if i < 20 else "b": 1.0}} for i in range(40)]
    outcomes = to_outcomes(as_records(rows), MODELS)
    choice = np.zeros(40, dtype=int)
    guesses = np.where(np.arange(40) < 20, 0.2, 0.95)[:, None] * np.ones(2)
    sums = Sum.of_choice(outcomes, choice, Guesses(guesses, np.full((40, 2), np.nan)))
    assert sums.of_score.totals()[0] > 40
    assert sums.completed(*np.ones((2, 2), dtype=bool)).means == [1.0]
    found = completed(outcomes, choice, outcomes.scores, guesses, most=1.0)
    assert found.mean() == pytest.approx(1.0), "what is drawn anew is about the row"
    report = evaluate(toy_router, as_records(rows), [0.5])
    report = replace(report, choices={0.5: choice}, guesses=Guesses(guesses, report.guesses.cost))
    ends = report.intervals()[0.5]
    assert ends["accuracy"][1] == 1.0
    assert np.abs(ends["lead"]).max() <= 1.0


def test_what_is_not_known_may_differ_as_its_clusters_may():
    scores = np.array([[1.0, np.nan], [np.nan, 0.0], [np.nan, 1.0]])
    rows = [{"query": "q", "records": {"a": 1.0}, "dataset": name} for name in ("x", "x", "y")]
    outcomes = to_outcomes(as_records(rows), MODELS)
    outcomes.scores[:] = scores
    votes = np.array([[1.0, 0.0], [0.5, 0.5], [0.0, 1.0]])
    plausible = np.zeros((2, 1, 2))
    plausible[:, 0, 0] = 0.2, 0.4
    doubt = Doubt(outcomes, votes, plausible)
    found = doubt.of(np.zeros(3, dtype=int))
    np.testing.assert_allclose(found, [[0.3, 0.4]])
    assert doubted_means(found, outcomes.dataset, "query") == pytest.approx([0.7 / 3])
    assert doubted_means(found, outcomes.dataset, "dataset") == pytest.approx([(0.15 + 0.4) / 2])
    assert not doubt.of(np.array([0, 1, 1])).any()


def half(known_of_b):
    """Ten datasets of a hundred queries; a is known on all, b on some, where each is right half."""
    names = [f"topic {d}" for d in range(10)]
    rows = [
        {
            "query": str(i),
            "dataset": name,
            "records": {"a": i % 2} | ({"b": i % 2} if d < known_of_b else {}),
        }
        for d, name in enumerate(names)
        for i in range(100)
    ]
    return to_outcomes(as_records(rows), MODELS)


def test_a_model_may_differ_where_it_was_kept_from_as_much_as_inference_was_wrong():
    choice, votes = np.ones(1000, dtype=int), np.ones((1000, 1))
    plausible = np.zeros((1, 4000, 2))

    def spread(known_of_b, error):
        outcomes = half(known_of_b)
        away = Doubt(outcomes, votes, plausible, error).of(choice)
        assert not away[:, :known_of_b].any()
        return away[:, known_of_b:].std() / 100, doubted_means(
            away, outcomes.dataset, "query"
        ).std()

    one, mean = spread(5, 0.2)
    assert 0.18 < one < 0.24  # and a little for the model's level
    # What five of ten datasets are off by cancels out less than if each were so by itself.
    assert 1.3 * one / 2 / 5**0.5 < mean < one / 2
    assert spread(8, 0.2)[1] < mean < spread(2, 0.2)[1]
    assert spread(5, 0.1)[1] == pytest.approx(mean / 2)
    assert spread(5, 0.0)[1] == 0


def test_known_results_of_others_put_nothing_right_of_who_was_kept_away():
    # Both are expected to be right always; a is known to be right half the time, on all datasets.
    outcomes, guesses = half(5), np.ones((1000, 2))
    a, b = (
        Estimate.of(outcomes, np.full(1000, j), outcomes.scores, guesses).totals() / 100
        for j in (0, 1)
    )
    np.testing.assert_allclose(a, 0.5)
    np.testing.assert_allclose(b[:5], 0.5)
    assert (b[5:] > 0.9).all()
