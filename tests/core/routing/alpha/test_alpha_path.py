"""The exact path over alpha, against brute force."""

from __future__ import annotations

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core import (
    AvengersError,
    NoEligibleModelError,
    Router,
    evaluate,
    fit,
    load_records,
)
from avengers_core.records.outcomes import to_outcomes
from avengers_core.routing.alpha.curve import AlphaCurve, best_single
from avengers_core.routing.alpha.path import AlphaPath, _envelope


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


@pytest.mark.parametrize("kind", [np.float32, np.float64])
def test_lines_that_nearly_meet_in_one_point_are_taken_in_order(kind):
    rng = np.random.default_rng(0)
    slope = rng.normal(size=(5000, 6))
    meeting, height = rng.uniform(0.05, 0.95, (5000, 1)), rng.normal(size=(5000, 1))
    low = (height - slope * meeting).astype(kind)
    high = (height + slope * (1 - meeting)).astype(kind)
    path = _envelope(low, high)
    ends = at(path, 1.0)
    np.testing.assert_allclose(high[np.arange(5000), ends], high.max(axis=1), atol=1e-5)


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


def test_the_alphas_of_a_grid_are_those_that_were_tried():
    none = np.empty(0, dtype=np.int64)
    path = AlphaPath(np.array([0, 0.25, 0.75, 1]), none, none, none, none, exact=False)
    assert path.alphas.tolist() == [0, 0.5, 1]


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
        ({}, ValueError, "cost.*score.*saving"),
        ({"cost": 1, "score": 0.5}, ValueError, "cost.*score.*saving"),
        ({"saving": 1.0}, ValueError, r"saving.*\[0, 1\)"),
        ({"cost": 1e-9}, AvengersError, r"\$1e-09\b.*\$0\.\d+"),
        ({"score": 0.999}, AvengersError, r"\b0\.999\b.*\b0\.\d+"),
    ],
)
def test_targets_that_can_not_be_met(router, target, error, message):
    with pytest.raises(error, match=message):
        router.alpha_for(**target)


@pytest.mark.parametrize(
    "given", [{"alpha": 0.3}, {"performance_weight": 1.0}, {"target_cost": 1.0}, {"n": 2}]
)
def test_what_the_path_does_not_depend_on_is_refused(router, given):
    (name,) = given
    for call in (router.alpha_path, lambda **given: router.alpha_for(score=0.1, **given)):
        with pytest.raises(TypeError, match=name):
            call(**given)


def test_limits_hold_along_the_path(router):
    path = router.alpha_path(["alpha", "zeta"], exclude=["good"])
    assert path.path.shares(3)[:, router.models.index("good")].max() == 0


# -- curves and targets on small random problems -------------------------------------------------


def random_curve(seed):
    """A curve of ten intervals, whose cost and score mostly rise with alpha."""
    rng = np.random.default_rng(seed)
    edges = np.concatenate([[0.0], np.sort(rng.uniform(size=9)), [1.0]])
    none = np.empty(0, dtype=np.int64)
    path = AlphaPath(edges, none, none, none, none, exact=True)
    score = np.sort(rng.uniform(size=10)) + rng.normal(0, 0.02, 10)
    cost = np.sort(rng.uniform(1, 5, size=10)) + rng.normal(0, 0.05, 10)
    singles = rng.uniform(size=3), rng.uniform(1, 6, size=3)
    return AlphaCurve(path, ("a", "b", "c"), score, cost, *singles)


@given(st.integers(0, 2000), st.floats(0, 6), st.floats(0, 1), st.floats(0, 0.99))
def test_targets_are_the_best_by_trying_every_alpha(seed, cost, score, saving):
    curve = random_curve(seed)
    every = list(zip(curve.score.tolist(), curve.cost.tolist(), strict=True))
    most_expensive = curve.single_cost[curve.single_score.argmax()] * (1 - saving)
    for target, within in (
        ({"cost": cost}, [s for s, c in every if c <= cost]),
        ({"saving": saving}, [s for s, c in every if c <= most_expensive]),
        ({"score": score}, [-c for s, c in every if s >= score]),
    ):
        if not within:
            with pytest.raises(AvengersError, match=r"\d"):
                curve.target(**target)
            continue
        found = curve.target(**target)
        reached = -found.cost if "score" in target else found.score
        assert reached == pytest.approx(max(within))
        assert (found.score, found.cost) in every
        assert curve.alpha_for(**target) == found.alpha
        assert 0 < found.alpha < 1


def test_the_best_single_model_is_the_cheaper_of_equals_and_never_an_unknown():
    nan = np.nan
    assert best_single(np.array([0.5, 0.7, 0.7]), np.array([1.0, 3.0, 2.0])) == 2
    assert best_single(np.array([nan, 0.1]), np.array([0.1, 9.0])) == 1
    assert best_single(np.array([0.7, 0.7]), np.array([nan, 9.0])) == 1
    by_order_of_sums = np.array([0.1 + 0.2 + 0.3, 0.3 + 0.2 + 0.1])
    assert by_order_of_sums[0] > by_order_of_sums[1]
    assert best_single(by_order_of_sums, np.array([9.0, 1.0])) == 1


def test_what_cannot_be_saved_is_told_with_what_can(router):
    path = router.alpha_path()
    with pytest.raises(AvengersError, match=r"saving=0\.9999") as caught:
        path.target(saving=0.9999)
    most = float(re.search(r"saves (0\.\d+)", str(caught.value)).group(1))
    assert path.target(saving=most - 0.001).cost == pytest.approx(path.cost.min())


def test_a_curve_is_shown_in_a_line(router):
    path = router.alpha_path()
    assert f"{len(path.alphas)} " in repr(path)
    assert f"{path.score[-1]:.3f}" in repr(path)
    assert len(repr(path)) < 150


def test_a_saving_needs_a_cost_to_save_against():
    curve = random_curve(0)
    curve.single_cost[curve.single_score.argmax()] = np.nan
    with pytest.raises(AvengersError, match=r"cost=.*score="):
        curve.target(saving=0.2)


def test_where_no_cost_is_known_only_a_score_can_be_asked_for(make_records, embedder):
    rows = [{**r, "usages": {}} for r in make_records(60)]
    router = Router(fit(rows, embedder, n_clusters=3), embedder)
    with pytest.raises(AvengersError):
        router.alpha_for(cost=1)
    assert 0 <= router.alpha_for(score=0.1) <= 1


def test_who_has_no_cost_is_on_the_curve_at_1_alone(make_records, embedder):
    rows = make_records(120)
    for row in rows:
        row["records"]["good"] = 1
        del row["usages"]["good"]
    router = Router(fit(rows, embedder, n_clusters=3), embedder)
    curve = router.alpha_path()
    np.testing.assert_array_equal(curve.path.edges[-2:], 1.0)
    assert curve.alphas[-1] == 1.0
    assert (np.diff(curve.path.edges)[:-1] > 0).all()
    assert curve.score[-2] < 0.9
    assert curve.score[-1] > 0.99
    assert router.alpha_for(score=0.99) == 1.0
    assert router.alpha_for(cost=1.0) < 1
    report = evaluate(router, rows, alphas=[0.5, 1.0])
    assert report.perf_gain == pytest.approx(0.0)


@given(st.integers(0, 500), st.integers(1, 8), st.integers(1, 4))
def test_totals_and_shares_are_sums_over_the_choices(seed, n, m):
    rng = np.random.default_rng(seed)
    path = _envelope(*rng.uniform(size=(2, n, m)))
    values = rng.normal(size=(n, m))
    for i, alpha in enumerate(path.alphas):
        chosen = at(path, alpha)
        assert path.totals(values)[i] == pytest.approx(values[np.arange(n), chosen].sum())
        np.testing.assert_allclose(path.shares(m)[i], np.bincount(chosen, minlength=m) / n)


@given(st.integers(0, 500), st.integers(2, 6))
def test_breakpoints_are_exact(seed, m):
    """Just below each edge the old choice is best, just above it the new one."""
    rng = np.random.default_rng(seed)
    low, high = rng.uniform(size=(2, 1, m))
    path = _envelope(low, high)
    assert len(path.edges) == len(path.changed_to) + 2
    before = int(path.start[0])
    for edge, to in zip(path.edges[1:-1], path.changed_to, strict=True):
        line = (1 - edge) * low[0] + edge * high[0]
        assert line[before] == pytest.approx(line.max(), abs=1e-12)
        assert line[to] == pytest.approx(line[before], abs=1e-12)
        before = int(to)


# -- constraints and samples ---------------------------------------------------------------------


def test_a_limit_that_leaves_nobody_is_an_error_that_says_so(router):
    with pytest.raises(NoEligibleModelError, match="max_cost=1e-09"):
        router.alpha_path(max_cost=1e-9)
    with pytest.raises(NoEligibleModelError, match="exclude="):
        router.alpha_for(score=0.1, exclude=router.models)


def test_relaxed_limits_take_the_nearest_along_the_whole_path(router):
    path = router.alpha_path(["alpha beta", "zeta"], max_cost=1e-9, on_empty="relax")
    nearest = [
        router.route(q, max_cost=1e-9, on_empty="relax").model for q in ("alpha beta", "zeta")
    ]
    for shares in path.path.shares(3):
        assert {m for m, s in zip(path.models, shares, strict=True) if s > 0} == set(nearest)


def test_who_is_ruled_out_is_not_what_savings_are_measured_against(router):
    path = router.alpha_path()
    best = path.models[best_single(path.single_score, path.single_cost)]
    other = router.alpha_path(unavailable={best: "no key"})
    column = path.models.index(best)
    assert np.isnan(other.single_score[column])
    second = best_single(other.single_score, other.single_cost)
    assert path.models[second] != best
    assert other.target(saving=0.1).cost <= 0.9 * other.single_cost[second] * (1 + 1e-6)


def test_a_sample_must_hold_something(router):
    with pytest.raises(ValueError, match="query"):
        router.alpha_path([])
    with pytest.raises(TypeError):
        router.alpha_path("alpha")


def test_long_prompts_shift_the_curve(make_records, embedder):
    prices = dict.fromkeys(("good", "cheap", "odd"), 1e-5)
    artifact = fit(make_records(80), embedder, n_clusters=3, input_prices=prices)
    router = Router(artifact, embedder)
    short, long = (router.alpha_path(["alpha"], prompt_tokens=t).cost for t in (10, 10_010))
    np.testing.assert_allclose(long[0] - short[0], 0.1, rtol=1e-3)


def test_the_artifacts_own_clusters_weigh_by_their_records(router):
    path = router.alpha_path()
    s = router.artifact.statistics
    if router.scorer.name != "calibrated":
        scorer = router.scorer
        features = scorer.center_features()
        expected = s.size @ (features @ scorer.score_table) / s.size.sum()
        np.testing.assert_allclose(path.single_score, expected)
    assert path.single_score.min() > 0
