"""Results: metrics of the toy by hand, bootstrap intervals, plain content."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from avengers_core import AvengersError, Router, evaluate, fit, load_records
from avengers_core.records.outcomes import to_outcomes


@pytest.fixture(scope="module")
def report(make_records, embedder):
    rows = make_records(200)
    return evaluate(Router(fit(rows[:120], embedder, n_clusters=4), embedder), rows[120:])


def test_metrics_by_hand(toy_report):
    assert toy_report.best_single.name == "a"
    assert toy_report.perf_gain == pytest.approx(1 / (2 / 3) - 1)
    assert toy_report.cost_save == pytest.approx(0)
    assert toy_report.cost_save_at(0.95) == pytest.approx(0)
    assert toy_report.gain_over_random == pytest.approx(1 - (0.5 + 2 / 3) / 2)
    assert toy_report.gap_to_oracle == pytest.approx(0, abs=1e-12)
    assert toy_report.pareto_dist == 0
    # Costs from 1 to 10; the router's second point costs (4 + 30) / 7.
    reached = (34 / 7 - 1) * 2 / 3 + (10 - 34 / 7) * 1
    assert toy_report.aiq == pytest.approx(reached / 9)


def test_all_metrics_by_name(report):
    assert set(report.metrics) == {
        "perf_gain",
        "cost_save",
        "cost_save_95",
        "aiq",
        "gain_over_random",
        "gap_to_oracle",
        "pareto_dist",
    }
    assert report.metrics["cost_save_95"] == report.cost_save_at(0.95)
    assert report.cost_save_at(0.8) >= report.cost_save_at(0.95)
    assert report.metrics["gap_to_oracle"] >= 0


def test_intervals_hold_the_mean_and_are_repeatable(report):
    for alpha in (0.0, 0.53, 1.0):
        interval = report.confidence(alpha, resamples=300)
        row = report.at(alpha)
        lead = row.dataset_mean - report.best_single.dataset_mean
        for name, value in (
            ("accuracy", row.dataset_mean),
            ("mean_cost", row.mean_cost),
            ("lead", lead),
        ):
            low, high = interval[name]
            assert low <= value <= high
            assert low < high or name == "lead"
        assert interval == report.confidence(alpha, resamples=300)
        assert interval != report.confidence(alpha, resamples=300, seed=1)


def test_a_higher_level_is_wider(report):
    narrow, wide = (report.confidence(0.53, level=level)["accuracy"] for level in (0.5, 0.99))
    assert wide[0] < narrow[0] < narrow[1] < wide[1]


def test_the_interval_is_that_of_a_plain_bootstrap(report, make_records):
    rows = make_records(200)[120:]
    outcomes = to_outcomes(load_records(rows), report.curve.models)
    choice = report.choices[0.53]
    score = outcomes.scores[np.arange(len(rows)), choice]
    rng = np.random.default_rng(5)
    means = []
    for _ in range(2000):
        by_dataset = []
        for d in (0, 1):
            mine = score[outcomes.dataset == d]
            by_dataset.append(rng.choice(mine, len(mine)).mean())
        means.append(np.mean(by_dataset))
    expected = np.quantile(means, [0.025, 0.975])
    np.testing.assert_allclose(report.confidence(0.53)["accuracy"], expected, atol=0.02)


def test_an_alpha_that_takes_a_model_without_known_cost_has_no_cost(toy_router, toy_rows):
    # Knowing a's four calls alone, the router would be as cheap as "a" and better.
    half = [{**r, "usages": {"a": r["usages"]["a"]}} for r in toy_rows]
    report = evaluate(toy_router, half, [0.0, 1.0])
    assert report.unpriced == ("b",)
    np.testing.assert_array_equal(np.isnan(report.curve.cost), report.curve.score > 0.9)
    assert report.cost_save_at(0.95) == 0
    assert report.aiq == pytest.approx(2 / 3)
    content = report.to_dict()
    assert content["unpriced"] == ["b"]
    assert content["curve"]["mean_cost"][-1] is None


def test_an_alpha_that_takes_a_model_without_known_score_has_no_score(toy_router, toy_rows):
    # Known are a's four calls, and all of them right, where the router at alpha 1 takes b for y.
    rows = [{**r, "records": {"a": r["records"]["a"]}} for r in toy_rows]
    report = evaluate(toy_router, rows, [0.0, 1.0])
    assert report.unscored == ("b",)
    taken = report.curve.path.shares(2)[:, 1] > 0
    assert 0 < taken.sum() < len(taken)
    np.testing.assert_array_equal(np.isnan(report.curve.score), taken)
    assert report.perf_gain == 0
    assert report.gap_to_oracle == pytest.approx(0)
    assert report.curve.target(cost=99).score == pytest.approx(2 / 3)
    with pytest.raises(AvengersError, match=r"0\.667"):
        report.curve.target(score=0.9)
    unknown = report.confidence(1.0)
    assert np.isnan(unknown["accuracy"]).all()
    assert np.isnan(unknown["lead"]).all()
    assert not np.isnan(report.confidence(0.0)["accuracy"]).any()
    assert "No result is known of b" in report.to_markdown()


def test_nothing_is_known_of_whom_the_router_takes(toy_router, toy_rows, tmp_path):
    rows = [{**r, "records": {"b": 1}} for r in toy_rows if r["dataset"] == "x"]
    report = evaluate(toy_router, rows, [1.0])
    assert all(map(math.isnan, report.metrics.values()))
    with pytest.raises(AvengersError, match="no score is known"):
        report.curve.target(cost=99)
    report.save(tmp_path / "r.html")


def test_nothing_to_resample(toy_report):
    with pytest.raises(ValueError, match=r"0\.3.*\[0\.0, 1\.0\]"):
        toy_report.confidence(0.3)


def test_one_query_of_a_dataset_does_not_tell_how_it_spreads(toy_router, toy_rows):
    rows = [*toy_rows, {**toy_rows[0], "dataset": "z"}]
    report = evaluate(toy_router, rows, [1.0])
    assert report.lone == ("z",)
    assert not np.isnan(report.confidence(1.0)["lead"]).any()
    assert "One query each in z" in report.to_markdown()
    # Several of them tell how such datasets differ from each other.
    each = [{**r, "dataset": f"d{i}"} for i, r in enumerate(toy_rows)]
    report = evaluate(toy_router, each, [0.0])
    assert len(report.lone) == len(each)
    for average in ("dataset", "query"):
        report = evaluate(toy_router, each, [0.0], average=average)
        low, high = report.confidence(0.0)["accuracy"]
        assert 0 < low < report.at(0.0).query_mean < high
    # Where there is no other dataset nothing is known of how results spread.
    report = evaluate(toy_router, rows[-1:], [1.0])
    assert all(np.isnan(end).all() for end in report.confidence(1.0).values())
    (written,) = report.to_dict()["intervals"]
    assert written["accuracy"] == [None, None]
    text = report.to_markdown()
    assert "| router (alpha 1) | n/a | n/a | n/a |" in text


def test_intervals_leave_missing_results_out(toy_router, toy_rows):
    rows = [{**toy_rows[0], "records": {"b": 0}}, *toy_rows[1:]]
    report = evaluate(toy_router, rows, [1.0])
    low, high = report.confidence(1.0, resamples=200)["accuracy"]
    assert low <= report.at(1.0).dataset_mean <= high
    assert report.at(1.0).dataset_mean == pytest.approx(1, abs=1e-4)


def test_the_table_is_the_published_layout(toy_report):
    first, *_ = toy_report.table
    assert list(first) == [
        *("name", "kind", "alpha", "accuracy.x", "accuracy.y"),
        *("dataset_mean", "query_mean", "mean_cost", "total_cost", "priced"),
    ]
    assert {line["kind"] for line in toy_report.table} == {"model", "router", "baseline"}
    assert [line["alpha"] for line in toy_report.table if line["kind"] == "router"] == [0, 1]


def test_a_dataset_may_have_the_name_of_a_column(toy_router, toy_rows):
    rows = [{**r, "dataset": "mean_cost"} for r in toy_rows]
    report = evaluate(toy_router, rows, [1.0])
    first, *_ = report.table
    assert first["accuracy.mean_cost"] == report.rows[0].accuracy["mean_cost"]
    assert first["mean_cost"] == report.rows[0].mean_cost
    row = report.to_dict()["rows"][0]
    assert row["accuracy"] == report.rows[0].accuracy
    assert row["mean_cost"] == report.rows[0].mean_cost


@pytest.mark.usefixtures("undrawn")
def test_intervals_are_in_every_form_of_the_report(report, tmp_path):
    both = report.intervals()
    assert both[0.53] == report.confidence(0.53)
    (written,) = [i for i in report.to_dict()["intervals"] if i["alpha"] == 0.53]
    assert written["lead"] == list(both[0.53]["lead"])
    low, high = both[0.53]["lead"]
    shown = f"{100 * low:+.1f} to {100 * high:+.1f}"
    assert shown in report.to_markdown()
    report.save(tmp_path / "report.html")
    assert shown in (tmp_path / "report.html").read_text(encoding="utf-8")


def test_plain_content_has_no_nan(toy_router, toy_rows):
    report = evaluate(toy_router, [{**r, "usages": {}} for r in toy_rows])
    content = json.loads(json.dumps(report.to_dict(), allow_nan=False))
    assert content["metrics"]["aiq"] is None
    assert content["best_single"] == "a"
    assert content["average"] == "dataset"
    assert content["curve"]["mean_cost"] == [None] * len(content["curve"]["alpha"])
