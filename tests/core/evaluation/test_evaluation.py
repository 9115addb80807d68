"""Evaluation: the router and every baseline, counted by hand."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from avengers_core import (
    NoEligibleModelError,
    RecordError,
    Router,
    __version__,
    evaluate,
    fit,
    load_records,
)
from avengers_core.common.arrays import to_twelve_digits
from avengers_core.errors import AvengersError, EmbedderError
from avengers_core.evaluation.evaluate import evaluate_queries
from avengers_core.evaluation.tallying.tally import Tally
from avengers_core.records.outcomes import to_outcomes
from avengers_core.routing.alpha.curve import best_single


def rows_by_name(report):
    return {row.name: row for row in report.rows}


def test_single_models_and_baselines(toy_report):
    row = rows_by_name(toy_report)
    assert row["a"].accuracy == {"x": 1.0, "y": pytest.approx(1 / 3)}
    assert row["a"].dataset_mean == pytest.approx(2 / 3)
    assert row["a"].query_mean == pytest.approx(5 / 7)
    assert row["a"].total_cost == 7
    assert row["a"].shares == {"a": 1, "b": 0}
    assert row["b"].mean_cost == 10
    assert row["best single"].dataset_mean == row["a"].dataset_mean
    assert row["cheapest"].mean_cost == 1
    assert row["best per dataset"].dataset_mean == 1
    assert row["best per dataset"].total_cost == 4 + 30
    assert row["oracle"].query_mean == 1
    # The last query is solved by both: the oracle takes the cheaper.
    assert row["oracle"].total_cost == 4 + 20 + 1
    assert row["random"].dataset_mean == pytest.approx((0.5 + 2 / 3) / 2)
    assert row["random"].mean_cost == 5.5
    assert row["random"].shares == {"a": 0.5, "b": 0.5}


def test_the_router_at_both_ends(toy_report):
    assert toy_report.at(1.0).dataset_mean == 1
    assert toy_report.at(1.0).total_cost == 4 + 30
    assert toy_report.at(1.0).shares == {"a": pytest.approx(4 / 7), "b": pytest.approx(3 / 7)}
    assert toy_report.at(0.0).shares == {"a": 1, "b": 0}
    assert toy_report.at(0.0).alpha == 0
    with pytest.raises(KeyError, match=r"0\.5"):
        toy_report.at(0.5)


def test_the_router_at_alphas_that_lie_close_together(toy_router, toy_rows):
    near = (0.3, 0.123456781, 0.123456782)
    report = evaluate(toy_router, toy_rows, near)
    assert [report.at(alpha).alpha for alpha in near] == list(near)
    assert report.at(0.1 + 0.2).alpha == 0.3


def test_the_average_decides_who_is_best(toy_router, toy_rows):
    rows = [*toy_rows, *({**toy_rows[4], "query": f"y{i}"} for i in range(5, 15))]
    # b solves all 13 of y and nothing else, a solves x and one of y.
    by_query = evaluate(toy_router, rows, average="query")
    assert by_query.best_single.name == "b"
    assert by_query.row("best single").query_mean == pytest.approx(13 / 17)
    assert evaluate(toy_router, rows, average="dataset").best_single.name == "a"


def test_missing_results_are_estimated(toy_router, toy_rows):
    rows = [{**r, "records": {**r["records"], "b": None}} for r in toy_rows[:2]] + toy_rows[2:]
    found = rows_by_name(evaluate(toy_router, rows))
    assert found["b"].accuracy["x"] == pytest.approx(0, abs=1e-3)
    assert found["b"].query_mean == pytest.approx(3 / 7, abs=1e-3)
    assert (found["b"].known, found["a"].known) == (5, 7)
    assert found["random"].known == 6
    assert found["best per dataset"].known == 7  # b is chosen on y only
    assert found["oracle"].query_mean == 1


def test_a_baseline_rests_on_what_is_known_of_its_models(toy_router, toy_rows):
    rows = [{**r, "records": {**r["records"], "a": None}} for r in toy_rows[:1]] + toy_rows[1:]
    report = evaluate(toy_router, rows)
    assert report.best_single.name == "a"
    found = rows_by_name(report)
    assert found["best single"].known == found["a"].known == 6
    assert found["best per dataset"].known == 6
    assert found["random"].known == 6.5


def test_missing_as_zero_is_zero(toy_router, toy_rows):
    rows = [{**r, "records": {**r["records"], "b": None}} for r in toy_rows]
    report = evaluate(toy_router, load_records(rows, missing="zero"))
    assert report.row("b").query_mean == 0


def test_records_that_say_nothing_of_the_models_are_refused(toy_router):
    for missing in ("skip", "zero"):
        with pytest.raises(RecordError, match=r"\['a', 'b'\].*'other'"):
            evaluate(toy_router, [{"query": "q", "records": {"other": 1}}], missing=missing)
    with pytest.raises(RecordError):
        evaluate(toy_router, [])


def test_a_model_without_results_is_never_the_best(toy_router, toy_rows):
    rows = [{**r, "records": {"b": r["records"]["b"]}} for r in toy_rows]
    report = evaluate(toy_router, rows)
    assert math.isnan(report.row("a").query_mean)
    assert report.best_single.name == "b"
    assert report.row("best single").query_mean == pytest.approx(3 / 7)


def test_of_equals_the_cheaper_is_the_best_and_the_better_the_cheapest(toy_router, toy_rows):
    same = [{**r, "records": {"a": 1, "b": 1}} for r in toy_rows]
    dear_first = [{**r, "usages": {"a": {"cost": 9.0}, "b": {"cost": 1.0}}} for r in same]
    report = evaluate(toy_router, dear_first)
    assert report.best_single.name == "b"
    assert report.row("best single").shares == {"a": 0, "b": 1}
    priced = [{**r, "usages": {"a": {"cost": 1.0}, "b": {"cost": 1.0}}} for r in toy_rows]
    worse_first = [{**r, "records": {"a": 0, "b": 1}} for r in priced]
    assert evaluate(toy_router, worse_first).row("cheapest").shares == {"a": 0, "b": 1}
    costs = [(0.3, 0.1), (0.2, 0.2), (0.1, 0.3)]  # of which b's sum is the larger in its last bit
    summed = [
        {**r, "usages": {"a": {"cost": a}, "b": {"cost": b}}}
        for r, (a, b) in zip(worse_first, costs, strict=False)
    ]
    assert evaluate(toy_router, summed).row("cheapest").shares == {"a": 0, "b": 1}


def test_equal_but_for_rounding():
    tiny = 1e-13 * np.array([[1.0, 2.0], [0.1 + 0.2, 0.3]])
    assert len(set(to_twelve_digits(tiny)[0])) == 2
    assert len(set(to_twelve_digits(tiny)[1])) == 1
    assert np.isnan(to_twelve_digits(np.array([np.nan])))[0]
    score, cost = np.array([0.1 + 0.2, 0.3]), np.array([0.3, 0.1 + 0.2])
    assert best_single(score, np.array([2.0, 1.0])) == 1
    assert best_single(cost, score) == 0, "of equals the first"


def test_without_costs_there_is_accuracy_and_no_cheapest(toy_router, toy_rows):
    report = evaluate(toy_router, [{**r, "usages": {}} for r in toy_rows])
    assert math.isnan(report.at(1.0).mean_cost)
    assert math.isnan(report.at(1.0).total_cost)
    assert math.isnan(report.aiq)
    assert math.isnan(report.cost_save)
    assert report.perf_gain == pytest.approx(0.5)
    assert "cheapest" not in rows_by_name(report)


def half_priced(rows):
    return [{**r, "usages": {"a": r["usages"]["a"]}} for r in rows]


def test_a_total_is_of_the_calls_with_a_known_cost_which_are_counted(toy_router, toy_rows):
    report = evaluate(toy_router, half_priced(toy_rows), [0.0, 1.0])
    row = rows_by_name(report)
    assert row["a"].priced == 7
    assert row["b"].priced == 0
    # The oracle takes "a" for five of the queries, the router at alpha 1 for four.
    assert (row["oracle"].total_cost, row["oracle"].priced) == (5, 5)
    assert (report.at(1.0).total_cost, report.at(1.0).priced) == (4, 4)
    assert (row["random"].total_cost, row["random"].priced) == (3.5, 3.5)
    for found in report.rows:
        if found.priced:
            assert found.mean_cost == found.total_cost / found.priced


@pytest.mark.parametrize("engine", ["memory", "serial"])
def test_costs_of_some_calls_do_not_speak_for_those_that_are_not_known(toy_router, engine):
    costs = {"x": 1.0, "y": 9.0}
    rows = [
        {
            "query": f"{d}{i}",
            "records": {"a": 1, "b": i % 2},
            "usages": {"a": {"cost": cost}, "b": {"cost": 0.5}},
            "dataset": d,
        }
        for d, cost in costs.items()
        for i in range(8)
    ]
    embedder = toy_router.embedder
    router = Router(fit(rows, embedder, n_clusters=2, refine=False), embedder, scorer="reference")
    whole = evaluate(router, rows, [1.0], engine=engine)
    half = [{**r, "usages": {"b": {"cost": 0.5}}} if r["dataset"] == "y" else r for r in rows]
    report = evaluate(router, half, [1.0], engine=engine)
    assert report.complete
    assert report.costs_estimated
    assert not whole.costs_estimated
    # Best is always the dear model, whose known calls are the cheap ones.
    assert report.cost_save == pytest.approx(0)
    for row in ("a", "router (alpha 1)", "random"):
        assert report.row(row).mean_cost == pytest.approx(whole.row(row).mean_cost, rel=0.01)
    assert (report.row("a").priced, report.row("a").known_costs) == (16, 8)


def test_a_report_takes_the_place_of_no_input(toy_router, toy_rows, tmp_path):
    file, link = tmp_path / "records.json", tmp_path / "link.json"
    file.write_text(json.dumps(toy_rows))
    link.symlink_to(file)
    for source in (file, [str(file)], tmp_path, str(tmp_path / "rec*.json")):
        report = evaluate(toy_router, source)
        for path in (file, link):
            with pytest.raises(AvengersError, match=path.name):
                report.save(path)
    assert json.loads(file.read_text()) == toy_rows
    report.save(tmp_path / "report.md")


def test_a_report_says_how_it_was_made(toy_router, toy_rows):
    asked = {"models": {"b", "a"}, "max_cost": np.float32(20), "on_empty": "relax"}
    report = evaluate(toy_router, load_records(toy_rows, missing="zero"), [0.5], n=2, **asked)
    assert report.setup == {
        "version": __version__,
        "embedder": "test/letters",
        "clusters": 2,
        "fit_records": 7,
        "fit_source": "",
        "fit_options": {"n_clusters": 2, "seed": 42, "n_init": 10},
        "fit_version": __version__,
        "scorer": "reference",
        "scorer_options": {"top_k": 3, "beta": 9.0},
        "limits": {"models": ["a", "b"], "max_cost": 20.0},
        "on_empty": "relax",
        "models_a_query": 2,
        "missing": "zero",
    }
    assert json.loads(json.dumps(report.to_dict()))["setup"] == report.setup


def test_limits_hold_for_rows_and_curve(toy_router, toy_rows):
    report = evaluate(toy_router, toy_rows, [1.0], exclude=["b"])
    assert report.at(1.0).shares == {"a": 1, "b": 0}
    assert report.curve.path.shares(2)[:, 1].max() == 0
    with pytest.raises(NoEligibleModelError, match="exclude="):
        evaluate(toy_router, toy_rows, exclude=["a", "b"])
    relaxed = evaluate(toy_router, toy_rows, [1.0], max_cost=0.5, on_empty="relax")
    assert relaxed.at(1.0).shares == {"a": 1, "b": 0}
    assert relaxed.curve.score[-1] == pytest.approx(relaxed.at(1.0).dataset_mean)


@pytest.mark.parametrize("scorer", ["calibrated", "reference"])
def test_what_a_query_looks_like_is_found_once_for_all_alphas(
    make_records, embedder, monkeypatch, scorer
):
    router = Router(fit(make_records(40), embedder, n_clusters=3), embedder, scorer=scorer)
    made, features = [], router.scorer.features
    monkeypatch.setattr(router.scorer, "features", lambda *a: made.append(1) or features(*a))
    evaluate(router, make_records(20, seed=3), [0.0, 0.2, 0.5, 1.0])
    assert len(made) == 1


def test_what_can_not_be_evaluated(toy_router, toy_rows):
    with pytest.raises(ValueError, match=r"alpha.*1\.5"):
        evaluate(toy_router, toy_rows, [0.5, 1.5])
    with pytest.raises(TypeError, match="alpha"):
        evaluate(toy_router, toy_rows, alpha=0.5)
    outcomes = to_outcomes(load_records(toy_rows), toy_router.models)
    vectors = toy_router.embed(outcomes.queries)
    vectors.vectors[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"row 3\b"):
        evaluate_queries(toy_router, vectors, outcomes)


def test_an_artifact_is_enough(make_records):
    artifact = fit(make_records(40), "tfidf", n_clusters=3)
    assert evaluate(artifact, make_records(20, seed=3)).scorer == "calibrated"


@pytest.fixture(scope="module", params=["calibrated", "paper", "reference"])
def each(request, make_records, embedder):
    return Router(fit(make_records(150), embedder, n_clusters=4), embedder, scorer=request.param)


@pytest.mark.parametrize("average", ["dataset", "query"])
def test_the_curve_is_what_the_rows_say_also_where_results_are_missing(each, average, make_records):
    rng = np.random.default_rng(3)
    rows = make_records(60, seed=9)
    for row in rows:
        kept = {m: s if rng.random() < 0.6 else None for m, s in row["records"].items()}
        row["records"] = kept
    probe = evaluate(each, rows, [], average=average).curve
    picked = probe.alphas[:: max(len(probe.alphas) // 6, 1)].tolist()
    report = evaluate(each, rows, picked, average=average)
    for alpha in picked:
        at = int(np.searchsorted(report.curve.path.edges, alpha, side="right")) - 1
        row = report.at(alpha)
        mean = row.dataset_mean if average == "dataset" else row.query_mean
        assert report.curve.score[at] == pytest.approx(mean)
        assert report.curve.cost[at] == pytest.approx(row.mean_cost)
    for j, model in enumerate(each.models):
        row = report.row(model)
        mean = row.dataset_mean if average == "dataset" else row.query_mean
        assert report.curve.single_score[j] == pytest.approx(mean)


@settings(max_examples=30)
@given(st.integers(0, 1000), st.integers(1, 19))
def test_tallies_add_up(seed, cut):
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
        return Tally.collect(outcomes, {0.5: choice[part]}, {})

    whole = tally(slice(None)).rows("dataset")
    parts = (tally(slice(cut)) + tally(slice(cut, None))).rows("dataset")
    for one, other in zip(whole, parts, strict=True):
        assert one.name == other.name
        for name in ("dataset_mean", "query_mean", "mean_cost", "total_cost", "priced"):
            assert getattr(one, name) == pytest.approx(getattr(other, name), nan_ok=True)
        assert one.shares == pytest.approx(other.shares)


def test_the_oracle_takes_a_model_of_unknown_cost_where_it_alone_is_right(toy_router):
    rows = [
        {"query": "x", "records": {"a": 0, "b": 1}, "usages": {"a": {"cost": 1.0}}},
        {"query": "y", "records": {"a": 0, "b": 1}},
    ]
    oracle = evaluate(toy_router, rows).row("oracle")
    assert oracle.query_mean == 1
    assert oracle.shares == {"a": 0, "b": 1}
    assert math.isnan(oracle.mean_cost)


def test_of_equals_in_a_dataset_the_cheaper_is_best(toy_router, toy_rows):
    rows = [{**r, "records": {"a": 1, "b": 1}} for r in toy_rows]
    rows = [{**r, "usages": {"a": {"cost": 9.0}, "b": {"cost": 2.0}}} for r in rows]
    assert evaluate(toy_router, rows).row("best per dataset").mean_cost == 2


def test_several_models_are_as_good_as_the_best_and_cost_what_all_cost(each, make_records):
    router = each
    rows = load_records(make_records(50, seed=8))
    report = evaluate(router, rows, [0.2, 0.7], n=2)
    for alpha in (0.2, 0.7):
        decisions = router.route_batch([r.query for r in rows], alpha=alpha, n=2)
        best = [max(r.scores[m] for m in d.models) for r, d in zip(rows, decisions, strict=True)]
        cost = [
            sum(r.usages[m].cost for m in d.models) for r, d in zip(rows, decisions, strict=True)
        ]
        row = report.row(f"best of 2 (alpha {alpha:g})")
        assert row.query_mean == pytest.approx(np.mean(best))
        assert row.total_cost == pytest.approx(sum(cost))
        assert sum(row.shares.values()) == pytest.approx(2)
    # The metrics are still those of one model a query.
    alone = evaluate(router, rows, [0.2, 0.7])
    assert report.metrics == pytest.approx(alone.metrics, nan_ok=True)
    everyone = evaluate(router, rows, [0.5], n=99).row("best of 99 (alpha 0.5)")
    assert everyone.query_mean == report.row("oracle").query_mean


def test_queries_that_nobody_meets_the_limits_for_are_counted(each, make_records):
    router = each
    rows = make_records(20, seed=8)
    assert evaluate(router, rows).relaxed == 0
    relaxed = evaluate(router, rows, max_cost=0.0, on_empty="relax")
    assert relaxed.relaxed == relaxed.to_dict()["relaxed"] == 20
    assert "For 20 of them no model meets the limits" in relaxed.to_markdown()
    assert evaluate(router, rows, max_cost=0.0, on_empty="relax", n=2).row("best of 2 (alpha 0)")


def test_what_is_evaluated_may_be_a_path(toy_router, toy_rows, tmp_path):
    toy_router.artifact.save(tmp_path / "a")
    with pytest.raises(EmbedderError, match=toy_router.embedder.id):  # a callable
        evaluate(tmp_path / "a", toy_rows)
    with pytest.raises(TypeError, match="alphas="):
        evaluate(toy_router, toy_rows, alpha=0.2)
    for one in (0.2, "0.2"):
        with pytest.raises(ValueError, match=r"several.*0\.2"):
            evaluate(toy_router, toy_rows, one)
    with pytest.raises(TypeError, match="int"):
        evaluate(3, toy_rows)
