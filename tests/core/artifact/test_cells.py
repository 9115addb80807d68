"""What is expected of models in clusters where they have been seen little or never."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avengers_core import Router, fit
from avengers_core.artifact.estimation.asked import Asked
from avengers_core.artifact.estimation.cells import (
    beliefs,
    doubted,
    expected_scores_of,
    lacking,
    told,
)
from avengers_core.artifact.estimation.comparing import comparable
from avengers_core.artifact.estimation.costs import expected_costs
from avengers_core.artifact.estimation.inference import Inference, sigmoid
from avengers_core.artifact.info import NEWEST
from avengers_core.artifact.statistics import Statistics
from avengers_core.records.loading import as_records
from avengers_core.records.outcomes import Outcomes, to_outcomes

# Six unlike clusters, the later the harder, and three models, the later the better.
CENTROIDS = np.eye(6, dtype=np.float32)
SCORES = np.linspace(0.8, 0.3, 6)[:, None] + np.array([-0.1, 0.0, 0.1])
PRICES = np.array([1.0, 3.0, 10.0]) * 1e-4
LENGTHS = np.array([1, 2, 4, 8, 16, 32.0])[:, None]
MANY = np.full((6, 3), 200.0)


def seen_by(known):
    """Statistics of records of the cells that are known; the queries' lengths all alike."""
    n = np.where(known, MANY, 0.0)
    return replace(
        Statistics.zeros(6, 3, 1),
        topics=np.full((6, 1), 200.0),
        query_length=np.full(6, 2000.0),
        n=n,
        squares=n,
        score=n * SCORES,
        n_cost=n,
        cost=n * LENGTHS * PRICES,
        length=n * 10,
        length_squared=n * 100,
        length_cost=n * 10 * LENGTHS * PRICES,
    )


def reading(**settings):
    """How an artifact says that it is read, but for some settings as the newest do."""
    return NEWEST.model_copy(update=settings)


def test_means_stand_where_there_are_many_records():
    s = seen_by(np.ones((6, 3), dtype=bool))
    np.testing.assert_allclose(beliefs(s, CENTROIDS).scores, SCORES, atol=0.035)
    np.testing.assert_allclose(expected_costs(s, 5), LENGTHS * PRICES, rtol=0.02)


def test_who_was_asked_only_easy_things_does_not_look_good_on_hard_ones():
    # The best model is known on the hard half only, the worst on the easy one.
    known = np.array([[1, 1, 0]] * 3 + [[0, 1, 1]] * 3, dtype=bool)
    found = beliefs(seen_by(known), CENTROIDS).scores
    assert (np.diff(found, axis=1) > 0).all()
    np.testing.assert_allclose(found, SCORES, atol=0.08)


def test_who_was_asked_only_short_things_does_not_look_cheap_on_long_ones():
    known = np.array([[1, 1, 0]] * 3 + [[0, 1, 1]] * 3, dtype=bool)
    found = expected_costs(seen_by(known), 5)
    np.testing.assert_allclose(found, LENGTHS * PRICES, rtol=0.1)


def test_a_cell_without_records_is_between_what_its_cluster_and_its_model_say():
    known = np.ones((6, 3), dtype=bool)
    known[5, 2] = False
    found = beliefs(seen_by(known), CENTROIDS).scores
    assert found[5, 1] < found[5, 2] < found[:5, 2].min()


def test_who_was_kept_from_a_place_stands_out_less_there():
    known = np.ones((6, 3), dtype=bool)
    known[3:, 2] = False
    s = seen_by(known)
    wholly, half = (beliefs(s, CENTROIDS, info=reading(trust=trust)).scores for trust in (1.0, 0.5))
    assert (half[3:, 2] < wholly[3:, 2] - 0.02).all()
    assert (np.diff(half[3:], axis=1) > 0).all()
    np.testing.assert_allclose(half[:3], wholly[:3])  # where all were asked, nothing is doubted
    np.testing.assert_allclose(half[3:, :2], wholly[3:, :2])


def test_who_has_few_records_everywhere_is_not_doubted_for_it():
    scores = np.array([[0.2, 0.5, 0.8], [0.3, 0.6, 0.9]])
    n = np.array([[90.0, 90, 9], [10, 10, 1]])
    lacks = lacking(n, np.array([90.0, 10.0]))
    np.testing.assert_allclose(doubted(scores, lacks, 0.5), scores)


def test_scores_may_differ_by_as_much_as_inference_is_off_where_a_model_was_kept_from():
    known = np.ones((6, 3), dtype=bool)
    known[3:, 2] = False
    s = seen_by(known)
    blind, aware = (
        beliefs(s, CENTROIDS, info=reading(error=error)).plausible(400).std(axis=0)
        for error in (0.0, 0.3)
    )
    np.testing.assert_allclose(aware[:, :2], blind[:, :2])
    np.testing.assert_allclose(aware[:3], blind[:3])
    assert (aware[3:, 2] > 0.2).all()
    assert (aware[3:, 2] < 0.5).all()
    assert (blind[3:, 2] < 0.2).all()


def test_expectations_sum_up_to_the_records_where_each_cell_has_few():
    # One result in each of many cells, most of them right.
    rng = np.random.default_rng(0)
    n = (rng.random((60, 12)) < 0.4).astype(float)
    total = n * (rng.random(n.shape) < 0.85)
    centroids = rng.normal(size=(60, 8))
    before, after = (
        sigmoid(Inference.of(total, n, centroids, level=level).logits) for level in (False, True)
    )
    off = [abs((n * scores).sum() - total.sum()) / n.sum() for scores in (before, after)]
    assert off[0] > 0.04
    assert off[1] < 0.02


def test_a_handful_of_right_answers_makes_nothing_certain():
    n = np.zeros((6, 3))
    n[0] = 1
    before, after = (
        sigmoid(Inference.of(n, n, CENTROIDS, level=level).logits) for level in (False, True)
    )
    np.testing.assert_allclose(after, before, atol=0.02)


@pytest.mark.parametrize("right", [0, 4])
def test_who_comes_with_a_handful_of_results_is_expected_to_be_like_others(right):
    known = np.ones((6, 3), dtype=bool)
    known[:, 2] = False
    s = seen_by(known)
    few = np.zeros((6, 3))
    few[0, 2] = 4
    s = replace(s, n=s.n + few, squares=s.n + few, score=s.score + few * right / 4)
    wholly, held = (
        beliefs(s, CENTROIDS, info=reading(cells=way)).scores for way in ("smooth", "held")
    )
    others = SCORES[1:, :2].mean()
    off = [abs(scores[1:, 2].mean() - others) for scores in (wholly, held)]
    assert off[1] < 0.6 * off[0]
    np.testing.assert_allclose(held[:, :2], SCORES[:, :2], atol=0.04)


def test_who_has_a_result_or_two_is_like_the_others_and_not_like_the_favourite():
    # Nearly all records of a greedy policy are of the one that it likes best.
    rng = np.random.default_rng(0)
    n, total = np.zeros((2, 20, 28))
    n[:, 0], total[:, 0] = 50, 48
    for m in range(1, 28):
        cell = rng.integers(20), m
        n[cell], total[cell] = 1, m % 2
    scores = expected_scores_of(total, n, rng.standard_normal((20, 16)))
    assert scores[:, 0].mean() > 0.94
    assert scores[:, 1:].mean() < 0.75


def test_a_level_is_told_by_records_of_what_all_are_asked():
    # Ten groups of ten topics: the first model was asked all of them, the second one, the third
    # five, each as often as its others; the last nothing.
    n = np.zeros((10, 4))
    n[:, 0], n[0, 1], n[:5, 2] = 100, 1000, 200
    size = np.full(10, 1000.0)
    np.testing.assert_allclose(told(n, np.eye(10), size), [1000, 100, 500, 0])
    # Where there is one topic, all records tell.
    for unknown in (np.ones((10, 1)), np.zeros((10, 1))):
        np.testing.assert_allclose(told(n, unknown, size), n.sum(axis=0))


def test_longer_queries_do_not_make_a_model_dear():
    # In the same clusters one model was asked queries of twice the length, at twice the cost.
    rng = np.random.default_rng(0)
    texts = ["x" * int(n) for n in rng.integers(10, 200, 2000)]
    rows = [
        {
            "query": text,
            "records": {(name := "ab"[int(len(text) + rng.normal() * 30 > 100)]): 1},
            "usages": {name: {"cost": 1e-5 * len(text)}},
            "dataset": "d",
        }
        for text in texts
    ]
    s = Statistics.collect(to_outcomes(as_records(rows)), np.zeros(2000, dtype=np.int64), 1)
    a, b = expected_costs(s, 5)[0]
    assert s.cost.sum(axis=0).max() / s.n.sum() > 0
    assert max(a, b) / min(a, b) < 1.2


def test_who_is_dearer_than_its_price_in_like_clusters_is_so_in_one_that_it_was_not_seen_in():
    # Three clusters of one kind and three of another, in which the last model calls tools.
    kinds = np.repeat(np.eye(2), 3, axis=0)
    dearer = np.where(kinds[:, 1:] * [[0, 0, 1]], 2.0, 1.0)
    known = np.ones((6, 3), dtype=bool)
    known[5, 2] = False
    s = seen_by(known)
    s = replace(s, cost=s.cost * dearer, length_cost=s.length_cost * dearer)
    true = (LENGTHS * PRICES * dearer)[5, 2]
    by_product, by_kind = (expected_costs(s, 5, where)[5, 2] for where in (None, kinds))
    assert abs(by_kind - true) < 0.5 * abs(by_product - true)


def test_costs_that_are_a_product_of_price_and_length_stay_so_from_place_to_place():
    known = np.array([[1, 1, 0]] * 3 + [[0, 1, 1]] * 3, dtype=bool)
    found = expected_costs(seen_by(known), 5, CENTROIDS)
    np.testing.assert_allclose(found, expected_costs(seen_by(known), 5), rtol=0.02)


def test_nothing_is_known_of_nothing():
    none = Statistics.zeros(6, 3, 1)
    assert not beliefs(none, CENTROIDS).scores.any()
    assert not expected_costs(none, 5).any()
    assert not expected_costs(none, 5, CENTROIDS).any()


def test_what_has_been_seen_is_known_better():
    known = np.ones((6, 3), dtype=bool)
    known[5, 2] = False
    spread = beliefs(seen_by(known), CENTROIDS).plausible(400).std(axis=0)
    assert spread[5, 2] > 1.1 * np.delete(spread, 5, axis=0).max()
    # Binomial, with 200 records.
    assert 0.01 < spread[0, 0] < 0.04


def test_without_records_there_is_no_spread_to_speak_of():
    assert not beliefs(Statistics.zeros(6, 3, 1), CENTROIDS).plausible(2).any()


@settings(max_examples=30)
@given(st.integers(0, 10_000), st.integers(1, 5), st.integers(1, 4))
def test_any_sums_give_scores_between_0_and_1_and_costs_in_reason(seed, k, m):
    rng = np.random.default_rng(seed)
    n = rng.integers(0, 40, (k, m)) * (rng.random((k, m)) < 0.6)
    total = n * rng.choice([0.0, 1.0, rng.random()], (k, m))
    found = expected_scores_of(total, n.astype(float), rng.normal(size=(k, 3)))
    assert found.shape == (k, m)
    assert ((found >= 0) & (found <= 1)).all()


def outcomes(scores, dataset=None):
    """Records as columns, whose queries do not matter."""
    n, m = scores.shape
    dataset = np.zeros(n, dtype=np.int64) if dataset is None else dataset
    none = np.full((n, m), np.nan)
    return Outcomes(
        queries=[""] * n,
        models=tuple("abcdefgh"[:m]),
        datasets=tuple(f"dataset {d}" for d in range(dataset.max() + 1)),
        dataset=dataset,
        scores=scores,
        costs=none,
        prompt_tokens=none,
        completion_tokens=none,
        propensity=np.full(n, np.nan),
    )


@settings(max_examples=20)
@given(st.integers(0, 10_000), st.integers(0, 60), st.integers(1, 4))
def test_what_was_asked_adds_up(seed, cut, topics):
    rng = np.random.default_rng(seed)
    points, labels = rng.normal(size=(60, 4)), rng.integers(5, size=60)
    scores = rng.random((60, 3))
    scores[rng.random(scores.shape) < 0.4] = np.nan
    dataset = rng.integers(topics, size=60)
    all_of_them = outcomes(scores, dataset)
    empty = Asked.of(points, all_of_them, 5)
    whole = empty.collect(points, labels, all_of_them)
    parts = [range(cut), range(cut, 60)]
    a, b = (empty.collect(points[s], labels[s], all_of_them.take(s)) for s in parts)
    sums = "size", "easy", "n", "score", "easier"
    for name in sums:
        np.testing.assert_allclose(getattr(a + b, name), getattr(whole, name), atol=1e-9)
    back = Asked.from_arrays(whole.stored())
    assert back.same_space(whole)
    assert all(np.array_equal(getattr(back, name), getattr(whole, name)) for name in sums)
    zero = whole.select_models([2, None], "zero")
    np.testing.assert_array_equal(zero.easier[..., 1], whole.easy)
    np.testing.assert_array_equal(whole.select_models([None, 0]).n[..., 1], whole.n[..., 0])
    shares, _, _, n = comparable(whole)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    np.testing.assert_allclose(n.sum(axis=0), (~np.isnan(scores)).sum(axis=0))


def test_topics_that_are_not_told_apart_are_one():
    dataset = np.array([0] * 3 + [1] * 2 + [2])
    every = Asked.of(np.eye(6), outcomes(np.ones((6, 1)), dataset), 1)
    known = replace(every, topics=("dataset 1",)).emptied(1)
    known = replace(known, **{n: getattr(known, n)[:, :2] for n in ("size", "easy", "n", "score")})
    known = replace(known, easier=known.easier[:, :2])
    found = known.collect(
        np.eye(6), np.zeros(6, dtype=np.int64), outcomes(np.ones((6, 1)), dataset)
    )
    np.testing.assert_array_equal(found.size, [[2, 4]])


def test_where_no_topic_has_records_nothing_is_expected():
    none, no_model = np.zeros((6, 2)), np.zeros((6, 2, 3))
    asked = Asked(np.zeros(6), ("easy",), none, none, *[no_model] * 4)
    assert not beliefs(seen_by(np.ones((6, 3), dtype=bool)), CENTROIDS, asked).scores.any()


def test_who_was_asked_the_easy_topic_of_a_cluster_is_no_better_for_it():
    # Two topics in each cluster, one easy, one hard; the models are alike, and both know both, but
    # the second was asked of the easy one mostly.
    rng = np.random.default_rng(0)
    n = 6000
    dataset, labels = rng.integers(2, size=n), rng.integers(6, size=n)
    scores = (rng.random((n, 2)) < np.where(dataset == 0, 0.9, 0.3)[:, None]).astype(float)
    scores[rng.random(n) < np.where(dataset == 0, 0.1, 0.9), 1] = np.nan
    records = outcomes(scores, dataset)
    points = CENTROIDS[labels]
    asked = Asked.of(points, records, 6).collect(points, labels, records)
    s = Statistics.collect(records, labels, 6)
    apart = beliefs(s, CENTROIDS, asked).scores
    assert np.abs(apart - 0.6).max() < 0.06
    assert beliefs(s, CENTROIDS).scores[:, 1].min() > 0.75


def test_the_direction_is_found_although_harder_queries_go_to_the_better_model():
    rng = np.random.default_rng(0)
    points = rng.normal(size=(4000, 3))
    better = points[:, 0] + 0.5 * rng.normal(size=4000) > 0
    scores = np.full((4000, 2), np.nan)
    truth = 0.5 - 0.1 * points[:, 0]
    scores[~better, 0], scores[better, 1] = truth[~better], truth[better] + 0.3
    found = Asked.of(points, outcomes(scores), 1)
    np.testing.assert_allclose(found.direction, [-0.1, 0, 0], atol=0.01)
    kept = found.collect(points, np.zeros(4000, dtype=np.int64), outcomes(scores))
    _, _, total, n = comparable(kept)
    np.testing.assert_allclose(total / n, [[0.5, 0.8]], atol=0.01)


def test_a_log_that_sends_hard_queries_to_the_better_model_is_read_right(embedder):
    rng = np.random.default_rng(1)
    rows = []
    for i in range(1200):
        hard = i % 2 == 0
        words = rng.choice(["delta", "epsilon", "zeta"] if hard else ["alpha", "beta"], 4)
        model = "strong" if rng.random() < (0.9 if hard else 0.1) else "weak"
        chance = (0.3 if hard else 0.7) + (0.2 if model == "strong" else 0.0)
        rows.append(
            {
                "query": " ".join([*words, str(i)]),
                "records": {model: int(rng.random() < chance)},
                "usages": {model: {"cost": (2.0 if model == "strong" else 1.0) * (1 + hard)}},
                "dataset": "log",
            }
        )
    router = Router(fit(rows, embedder, n_clusters=6), embedder)
    for text in ("alpha beta alpha", "zeta delta epsilon"):
        found = {c.model: c for c in router.route(text, alpha=1).candidates}
        assert found["strong"].expected_score > found["weak"].expected_score
        assert found["strong"].expected_cost == pytest.approx(
            2 * found["weak"].expected_cost, rel=0.1
        )


def test_models_that_were_not_seen_in_a_cluster_need_not_be_looked_at_there(monkeypatch):
    rng = np.random.default_rng(0)
    n = np.zeros((7, 9))
    for cluster in range(6):  # and nothing is known of the last
        n[cluster, rng.choice(9, 4, replace=False)] = rng.integers(1, 30, 4)
    total, where = n * rng.random((7, 9)), rng.normal(size=(7, 5))
    together = Inference.of(total, n, where, told=n.sum(axis=0))
    monkeypatch.setattr("avengers_core.artifact.estimation.inference._AT_ONCE", 1)
    alone = Inference.of(total, n, where, told=n.sum(axis=0))
    np.testing.assert_allclose(alone.logits, together.logits, rtol=1e-7)
    np.testing.assert_allclose(alone.sigma, together.sigma, rtol=1e-7)
