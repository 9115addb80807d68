"""Evaluation: baselines by hand, metrics by their definitions, reports and pictures."""

from __future__ import annotations

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core import RecordError, Router, evaluate, fit, metrics
from avengers_core.embedders import CallableEmbedder
from avengers_core.tally import Tally

# Two datasets; "a" solves x, "b" solves y and costs ten times as much.
ROWS = [
    *({"query": f"x{i}", "records": {"a": 1, "b": 0}, "dataset": "x"} for i in range(4)),
    *({"query": f"y{i}", "records": {"a": 0, "b": 1}, "dataset": "y"} for i in range(2)),
    {"query": "y2", "records": {"a": 1, "b": 1}, "dataset": "y"},
]
ROWS = [{**r, "usages": {"a": {"cost": 1.0}, "b": {"cost": 10.0}}} for r in ROWS]


@pytest.fixture(scope="module")
def router():
    embedder = CallableEmbedder(
        lambda texts: np.array([[t[0] == "x", t[0] == "y"] for t in texts], dtype=float),
        id="test/letters",
        dim=2,
    )
    # Clusters are the datasets, so at alpha 1 the router makes no mistake.
    return Router(fit(ROWS, embedder, n_clusters=2, refine=False), embedder, scorer="reference")


@pytest.fixture(scope="module")
def report(router):
    return evaluate(router, ROWS, [0.0, 1.0])


def test_single_models_and_baselines(report):
    row = {r.name: r for r in report.rows}
    assert row["a"].accuracy == {"x": 1.0, "y": pytest.approx(1 / 3)}
    assert row["a"].dataset_mean == pytest.approx(2 / 3)
    assert row["a"].query_mean == pytest.approx(5 / 7)
    assert row["a"].total_cost == 7
    assert row["b"].mean_cost == 10
    assert row["best single"].dataset_mean == row["a"].dataset_mean
    assert row["cheapest"].mean_cost == 1
    assert row["best per dataset"].dataset_mean == 1
    assert row["best per dataset"].total_cost == 4 + 30
    assert row["oracle"].query_mean == 1
    assert row["oracle"].total_cost == 4 + 20 + 1
    assert row["random"].dataset_mean == pytest.approx((0.5 + 2 / 3) / 2)
    assert row["random"].mean_cost == 5.5
    assert row["random"].shares == {"a": 0.5, "b": 0.5}


def test_the_router_at_both_ends(report):
    assert report.at(1.0).dataset_mean == 1
    assert report.at(1.0).shares == {"a": pytest.approx(4 / 7), "b": pytest.approx(3 / 7)}
    assert report.at(0.0).shares == {"a": 1, "b": 0}
    with pytest.raises(KeyError, match="no row"):
        report.at(0.5)


def test_metrics(report):
    assert report.best_single.name == "a"
    assert report.perf_gain == pytest.approx(1 / (2 / 3) - 1)
    assert report.cost_save == pytest.approx(0)
    assert report.gain_over_random == pytest.approx(1 - (0.5 + 2 / 3) / 2)
    assert report.gap_to_oracle == pytest.approx(0, abs=1e-12)
    assert report.pareto_dist == 0
    assert report.to_dict()["average"] == "dataset"


def test_missing_results_are_left_out(router):
    rows = [{**r, "records": {**r["records"], "b": None}} for r in ROWS[:2]] + ROWS[2:]
    found = {r.name: r for r in evaluate(router, rows).rows}
    assert found["b"].accuracy["x"] == 0
    assert found["b"].query_mean == pytest.approx(3 / 5)
    assert found["oracle"].query_mean == 1
    with pytest.raises(RecordError, match=r"score any of the router's models \['a', 'b'\]"):
        evaluate(router, [{"query": "q", "records": {"other": 1}}])


def test_confidence_holds_the_truth_and_is_repeatable(report):
    interval = report.confidence(0.0)
    assert interval == report.confidence(0.0)
    low, high = interval["accuracy"]
    assert low <= report.at(0.0).dataset_mean <= high
    assert interval["lead"] == (0, 0)
    with pytest.raises(ValueError, match=r"nothing to resample at alpha 0\.3"):
        report.confidence(0.3)


@given(st.integers(0, 1000), st.integers(1, 19))
def test_tallies_add_up(seed, cut):
    from avengers_core import load_records
    from avengers_core.records import to_outcomes

    rng = np.random.default_rng(seed)
    rows = [
        {
            "query": str(i),
            "records": {m: None if rng.random() < 0.1 else float(rng.random()) for m in "ab"},
            "usages": {"a": {"cost": float(rng.random())}},
            "dataset": "xyz"[rng.integers(3)],
        }
        for i in range(20)
    ]
    choice = rng.integers(2, size=20)

    def tally(part):
        records = load_records(rows[part])
        outcomes = to_outcomes(records, ("a", "b"), ("x", "y", "z"))
        return Tally.collect(outcomes, {0.5: choice[part]})

    whole = tally(slice(None)).rows("dataset")
    parts = (tally(slice(cut)) + tally(slice(cut, None))).rows("dataset")
    for one, other in zip(whole, parts, strict=True):
        assert one.name == other.name
        for name in ("dataset_mean", "query_mean", "mean_cost", "total_cost"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), nan_ok=True)
        assert one.shares == pytest.approx(other.shares)


# -- metrics by their definitions ----------------------------------------------------------------


def test_perf_gain_and_cost_save():
    accuracy, cost = np.array([0.5, 0.6, 0.66]), np.array([1.0, 2.0, 8.0])
    assert metrics.perf_gain(accuracy, 0.6) == pytest.approx(0.1)
    assert metrics.cost_save(accuracy, cost, 0.6, 10.0) == pytest.approx(0.8)
    assert metrics.cost_save(accuracy, cost, 0.6, 10.0, keep=0.8) == pytest.approx(0.9)
    assert math.isnan(metrics.cost_save(accuracy, cost, 0.7, 10.0))


@pytest.mark.parametrize("seed", range(10))
def test_aiq_is_the_mean_over_costs(seed):
    rng = np.random.default_rng(seed)
    accuracy, cost = rng.uniform(size=6), rng.uniform(1, 9, size=6)
    grid = np.linspace(2, 8, 4_001)
    best = [
        accuracy[cost <= c].max() if (cost <= c).any() else accuracy[cost.argmin()] for c in grid
    ]
    assert metrics.aiq(accuracy, cost, 2, 8) == pytest.approx(np.mean(best), abs=2e-3)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=8))
def test_the_pareto_front_is_undominated(points):
    accuracy, cost = np.array(points, dtype=float).T
    front = metrics.pareto_front(accuracy, cost)
    for i in range(len(points)):
        dominated = (
            ((accuracy >= accuracy[i]) & (cost < cost[i]))
            | ((accuracy > accuracy[i]) & (cost <= cost[i]))
        ).any()
        if front[i]:
            assert not dominated
    kept = set(zip(accuracy[front], cost[front], strict=True))
    undominated = {
        (a, c)
        for a, c in points
        if not any((b >= a and d < c) or (b > a and d <= c) for b, d in points)
    }
    assert kept == undominated


# -- reports -------------------------------------------------------------------------------------


def test_json_has_no_nan_and_markdown_has_the_published_layout(router, tmp_path):
    rows = [{**r, "usages": {}} for r in ROWS]
    report = evaluate(router, rows)
    report.save(tmp_path / "r.json")
    json.loads((tmp_path / "r.json").read_text(), parse_constant=pytest.fail)
    report = evaluate(router, ROWS)
    report.save(tmp_path / "r.md")
    text = (tmp_path / "r.md").read_text()
    heading = next(
        line for line in text.splitlines() if line.startswith("| ") and "mean over datasets" in line
    )
    assert [c.strip() for c in heading.strip("|").split("|")][1:3] == ["x", "y"]
    assert "best single" in text
    with pytest.raises(ValueError, match=r"\.md"):
        report.save(tmp_path / "r.docx")


def test_html_is_one_page_without_anything_from_elsewhere(make_records, embedder, tmp_path):
    rows = make_records(models=("<b>bold</b>", "plain"))
    report = evaluate(Router(fit(rows, embedder, n_clusters=2), embedder), rows)
    report.save(tmp_path / "r.html")
    page = (tmp_path / "r.html").read_text()
    assert "<b>bold</b>" not in page
    assert "&lt;b&gt;bold" in page
    loaded = re.findall(r"(?:src|href)=[\"']?([^\"' >]+)", page)
    assert all(link.startswith(("data:", "#")) for link in loaded)
    assert "<script" not in page


def test_pictures_are_written_as_png_and_svg(report, tmp_path):
    from avengers_core.plots import save_all

    written = save_all(report, tmp_path)
    assert sorted(p.suffix for p in written) == [".png"] * 3 + [".svg"] * 3
    for path in written:
        head = path.read_bytes()[:200]
        assert head.startswith(b"\x89PNG") if path.suffix == ".png" else b"<?xml" in head
