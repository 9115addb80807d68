"""Routing: constraints, batches, threads, and what a decision says."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keyword_router import EASY, HARD, keyword_router

from avengers_core import (
    EmbedderError,
    EmbedderMismatchError,
    NoEligibleModelError,
    Router,
    fit,
)
from avengers_core.embedders import CallableEmbedder
from avengers_core.embedders.surface import SURFACE_FEATURES
from avengers_core.routing.alpha import targets
from avengers_core.routing.queries import Queries
from avengers_core.routing.resolve import resolve_router

QUERIES = ["alpha beta gamma", "zeta delta", "gamma", "epsilon epsilon", "nothing known"]


@pytest.fixture(scope="module")
def small(make_records, embedder):
    """good: .5 at 0.001; cheap: at 0.002; odd: 0.003, and only where the topic is greek."""
    rows = make_records(200)
    for row in rows:
        good = row["dataset"] == "other"
        row["records"] = {"good": int(good), "cheap": int(not good), "odd": 0.4}
        if row["dataset"] == "other":
            del row["records"]["odd"]
    artifact = fit(rows, embedder, n_clusters=2, note="made up")
    return Router(artifact, embedder)


@pytest.fixture(scope="module", params=["calibrated", "reference", "paper"])
def each(request, make_records, embedder):
    return Router(fit(make_records(120), embedder, n_clusters=4), embedder, scorer=request.param)


# -- batches and their kin -----------------------------------------------------------------------


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_every_way_to_route_gives_the_same_decisions(each, alpha):
    one = [each.route(q, alpha=alpha) for q in QUERIES]
    batch = each.route_batch(QUERIES, alpha=alpha)
    assert asyncio.run(each.aroute_batch(QUERIES, alpha=alpha)) == batch
    assert asyncio.run(each.aroute(QUERIES[0], alpha=alpha)) == one[0]
    for single, among in zip(one, batch, strict=True):
        assert [c.model for c in single.candidates] == [c.model for c in among.candidates]
        for a, b in zip(single.candidates, among.candidates, strict=True):
            assert a[1:] == pytest.approx(b[1:], rel=1e-5)
    chosen = each.route_vectors(each.embed(QUERIES), alpha=alpha)
    assert [each.models[i] for i in chosen] == [d.model for d in one]


def test_limits_bind_vectors_as_they_bind_queries(each):
    for limits in ({"max_cost": 0.0021}, {"exclude": ["good"]}, {"models": ["odd", "good"]}):
        decisions = each.route_batch(QUERIES, alpha=0.9, **limits)
        chosen = each.route_vectors(each.embed(QUERIES), alpha=0.9, **limits)
        assert [each.models[i] for i in chosen] == [d.model for d in decisions]


policies = st.fixed_dictionaries(
    {"alpha": st.sampled_from([0.0, 0.2, 0.5, 1.0])},
    optional={
        "max_cost": st.sampled_from([0.0, 0.001, 0.002, 0.003]) | st.floats(0, 0.004),
        "min_score": st.floats(0, 1),
        "min_support": st.floats(0, 1),
        "exclude": st.lists(st.sampled_from(["good", "odd"]), max_size=2),
        "models": st.just(["good", "cheap"]),
        "prompt_tokens": st.integers(0, 500),
        "unavailable": st.just({"cheap": "resting"}),
        "n": st.integers(1, 3),
        "on_empty": st.sampled_from(["raise", "relax"]),
    },
)


@pytest.fixture(scope="module")
def routers(small):
    return [Router(small.artifact, small.embedder, s) for s in ("calibrated", "reference", "paper")]


@settings(max_examples=40)
@given(st.integers(0, 2), st.text(max_size=60), policies)
def test_one_query_is_a_batch_of_one_in_every_field(routers, scorer, query, policy):
    router = routers[scorer]
    try:
        decision = router.route(query, **policy)
    except NoEligibleModelError:
        with pytest.raises(NoEligibleModelError):
            router.route_batch([query], **policy)
        return
    (same,) = router.route_batch([query], **policy)
    assert decision.to_dict() == same.to_dict()
    assert pickle.loads(pickle.dumps(decision)).to_dict() == same.to_dict()
    if query.strip():
        chosen = router.route_vectors(router.embed([query]), **{**policy, "n": 1})
        assert router.models[chosen[0]] == decision.model


@pytest.fixture(scope="module")
def of_few_and_many(make_records, embedder):
    return [fit(make_records(n), embedder, n_clusters=4, seed=0) for n in (60, 1200)]


@pytest.mark.parametrize("scorer", ["calibrated", "reference", "paper"])
def test_how_well_scores_are_known(of_few_and_many, embedder, scorer):
    few, many = (
        Router(artifact, embedder, scorer).route(QUERIES[0], exclude=["odd"])
        for artifact in of_few_and_many
    )
    assert set(few.standard_errors) == {"good", "cheap", "odd"}
    for model, error in many.standard_errors.items():
        assert 0 < error < few.standard_errors[model] < 0.2
    best = many.candidates[0]
    assert many.plausible_scores[best.model].mean() == pytest.approx(best.expected_score, abs=0.02)
    assert pickle.loads(pickle.dumps(many)).standard_errors == many.standard_errors


@pytest.mark.parametrize("on_empty", ["raise", "relax"])
def test_texts_and_vectors_agree_at_the_border_of_a_limit(each, on_empty):
    candidates = [c for d in each.route_batch(QUERIES, alpha=0.9) for c in d.candidates]
    borders = [{"max_cost": c.expected_cost} for c in candidates]
    borders += [{"min_score": c.expected_score} for c in candidates]
    borders += [{"min_support": c.support} for c in candidates]
    for limit in borders:
        policy = {"alpha": 0.9, "on_empty": on_empty, **limit}
        for query in QUERIES:
            try:
                decision = each.route(query, **policy)
            except NoEligibleModelError:
                with pytest.raises(NoEligibleModelError):
                    each.route_vectors(each.embed([query]), **policy)
                continue
            chosen = each.route_vectors(each.embed([query]), **policy)
            assert each.models[chosen[0]] == decision.model


def test_nothing_in_nothing_out(each):
    assert each.route_batch([]) == []
    assert each.route_vectors(np.zeros((0, 8))).shape == (0,)


def test_blank_text_is_decided_on_the_overall_means(each):
    for text in ("", "  \n"):
        decision = each.route(text)
        assert decision.basis == "overall"
        assert "no text" in str(decision)
    mixed = each.route_batch(["", "alpha", " "])
    assert [d.basis for d in mixed] == ["overall", "query", "overall"]


def test_any_text_is_routed(each):
    for text in ("x" * 200_000, "\0", "\ud800", "日本語 🎉"):
        assert each.route(text).model in each.models


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda r: r.route("q", alpha=2), ValueError, r"alpha.*\[0, 1\].*\b2\b"),
        (lambda r: r.route("q", alpha=float("nan")), ValueError, "alpha.*nan"),
        (lambda r: r.route("q", n=0), ValueError, r"\bn\b.*\b1\b.*\b0\b"),
        (
            lambda r: r.route("q", max_cost=-1),
            ValueError,
            "max_cost.*-1",
        ),
        (lambda r: r.route("q", min_score=2), ValueError, "min_score"),
        (lambda r: r.route("q", prompt_tokens=-1), ValueError, "prompt_tokens.*-1"),
        (lambda r: r.route("q", on_empty="shrug"), ValueError, "on_empty"),
        (lambda r: r.route("q", models=["x"]), ValueError, r"\['x'\].*good"),
        (lambda r: r.route("q", exclude="good"), ValueError, "exclude.*'good'"),
        (
            lambda r: r.route("q", alpha=0.1, performance_weight=1),
            ValueError,
            "alpha, performance_weight",
        ),
        (
            lambda r: r.route("q", performance_weight=0, cost_sensitivity=0),
            ValueError,
            "performance_weight.*cost_sensitivity",
        ),
        (lambda r: r.route_batch("q"), TypeError, "list.*text"),
        (lambda r: r.route_vectors(np.zeros(8)), ValueError, "8"),
        (lambda r: r.route_vectors(np.zeros((2, 8)), n=2), ValueError, "n=2"),
        (lambda r: r.route_vectors(np.zeros((2, 9))), ValueError, r"\(2, 9\)"),
    ],
)
def test_wrong_arguments(small, call, error, message):
    with pytest.raises(error, match=message):
        call(small)


def test_the_weights_are_another_way_to_give_alpha(small):
    decision = small.route("alpha", performance_weight=3, cost_sensitivity=1)
    assert decision.alpha == 0.75
    assert decision == small.route("alpha", alpha=0.75)
    assert small.route("alpha").alpha == 0.5


@pytest.mark.parametrize("query", [None, 3, b"alpha", ["alpha"]])
def test_only_text_is_routed(small, query):
    with pytest.raises((TypeError, AttributeError)):
        small.route(query)


# -- constraints ---------------------------------------------------------------------------------


def test_want_of_records_shuts_nobody_out_where_the_scorer_is_humble(small, embedder):
    support = {c.model: c.support for c in small.route("zeta delta epsilon").candidates}
    assert support == pytest.approx({"good": 1, "cheap": 1, "odd": 0}, abs=1e-6)
    assert small.route("zeta delta epsilon", models=["odd"]).model == "odd"
    published = Router(small.artifact, embedder, "reference", top_k=1)
    assert "odd" not in published.route("alpha beta").ineligible
    assert "odd" in published.route("zeta delta epsilon").ineligible


@pytest.mark.parametrize(
    ("limits", "out", "reason"),
    [
        ({"exclude": ["good"]}, {"good"}, "named in exclude="),
        ({"models": ["good"]}, {"cheap", "odd"}, "not among models="),
        ({"max_cost": 0.0015}, {"cheap", "odd"}, "is over max_cost=0.0015"),
        ({"min_score": 0.9}, {"good", "odd"}, "is under min_score=0.9"),
        ({"unavailable": {"cheap": "no tools"}}, {"cheap"}, "no tools"),
    ],
)
def test_each_constraint_removes_whom_it_should(small, limits, out, reason):
    decision = small.route("alpha beta gamma", alpha=1, **limits)
    assert set(decision.ineligible) == out
    assert all(reason in text for text in decision.ineligible.values())
    assert not decision.relaxed


def test_when_nobody_is_left_the_error_says_which_constraint_removed_whom(small):
    with pytest.raises(NoEligibleModelError) as caught:
        small.route("alpha beta", exclude=["good"], max_cost=0.0001)
    message = str(caught.value)
    assert "good: named in exclude=" in message
    assert "is over max_cost=0.0001" in message
    assert "cheap" in message
    assert 'on_empty="relax"' in message


def test_relaxing_takes_the_nearest_but_never_who_was_ruled_out(small):
    decision = small.route(
        "alpha beta", exclude=["good"], max_cost=0.0019, min_score=0.3, on_empty="relax"
    )
    assert (decision.model, decision.relaxed) == ("cheap", False)
    assert set(decision.ineligible) == {"good", "odd"}
    tight = small.route("alpha beta", exclude=["good"], max_cost=0.0001, on_empty="relax")
    assert tight.relaxed
    assert tight.model == "cheap"
    assert "good" in tight.ineligible
    with pytest.raises(NoEligibleModelError) as caught:
        small.route("alpha", exclude=small.models, on_empty="relax")
    assert "relax" not in str(caught.value)


@pytest.mark.parametrize("scorer", ["reference", "paper"])
def test_relaxing_prefers_who_has_records(make_records, embedder, scorer):
    rows = make_records(80)
    for i, row in enumerate(rows):
        if i % 2 == 0:  # no record of the topic; where there is none the published costs are 0
            del row["records"]["odd"]
        del row["usages"]["cheap"]
    router = Router(fit(rows, embedder, n_clusters=4), embedder, scorer)
    decision = router.route("alpha beta gamma", max_cost=0, on_empty="relax", n=3)
    assert decision.models[0] == "good"
    assert router.route("alpha beta gamma", min_score=1, on_empty="relax").model == "good"
    with_costs_aside = router.route("alpha beta gamma", alpha=1, min_score=1, on_empty="relax")
    assert with_costs_aside.model in ("good", "cheap")
    assert router.route("alpha", models=["odd"], max_cost=0, on_empty="relax").model == "odd"


def test_only_texts_are_routed(small):
    for wrong in (None, 3, ["alpha"]):
        with pytest.raises(TypeError, match=type(wrong).__name__):
            small.route(wrong)
        with pytest.raises(TypeError, match=r"NoneType|int|list"):
            small.route_batch(["alpha", wrong])


def test_constraints_together_name_each_its_own(small):
    with pytest.raises(NoEligibleModelError) as caught:
        small.route(
            "alpha beta gamma",
            alpha=1,
            exclude=["cheap"],
            unavailable={"odd": "has no tools"},
            min_score=0.9,
        )
    message = str(caught.value)
    assert "cheap: named in exclude=" in message
    assert "odd: has no tools" in message
    assert "is under min_score=0.9" in message
    decision = small.route("alpha beta gamma", models=["cheap", "odd"], max_cost=0.0025)
    assert decision.model == "cheap"
    assert decision.ineligible["good"] == "not among models="
    assert "over max_cost" in decision.ineligible["odd"]


def test_a_model_that_costs_just_what_it_may_is_eligible(make_records, embedder):
    rows = make_records(90)
    for row in rows:
        row["usages"] = {"good": {"cost": 0.01}, "cheap": {"cost": 0.003}, "odd": {"cost": 0.02}}
        row["records"] = {"good": 0.7, "cheap": 0.1, "odd": 0.9}
    router = Router(fit(rows, embedder, n_clusters=3), embedder)
    for limits in ({"max_cost": 0.01}, {"max_cost": 0.01, "min_score": 0.69}):
        assert router.route("alpha", alpha=1, **limits).model == "good"
        chosen = router.route_vectors(router.embed(["alpha", "zeta"]), alpha=1, **limits)
        assert [router.models[i] for i in chosen] == ["good", "good"]


def test_a_model_without_costs_is_only_eligible_where_costs_play_no_part(make_records, embedder):
    rows = make_records(90)
    for row in rows:
        del row["usages"]["odd"]
        row["records"] = {"good": 0.7, "cheap": 0.6, "odd": 0.9}
    router = Router(fit(rows, embedder, n_clusters=3), embedder)
    decision = router.route("alpha", alpha=0.99)
    assert decision.model == "good"
    assert "its cost is unknown: no record has one" in decision.ineligible["odd"]
    best = router.route("alpha", alpha=1)
    assert (best.model, best.expected_cost) == ("odd", None)
    with pytest.raises(NoEligibleModelError, match="max_cost=5"):
        router.route("alpha", alpha=1, models=["odd"], max_cost=5)
    # The limit on the score holds for it, too, on every way to route.
    low = {"alpha": 1, "min_score": 0.95, "models": ["odd"]}
    with pytest.raises(NoEligibleModelError, match="min_score="):
        router.route("alpha", **low)
    with pytest.raises(NoEligibleModelError, match="min_score="):
        router.route_vectors(router.embed(["alpha"]), **low)


def test_where_no_cost_is_known_costs_play_no_part(make_records, embedder):
    rows = [{**r, "usages": {}} for r in make_records(60)]
    router = Router(fit(rows, embedder, n_clusters=2), embedder)
    decision = router.route("alpha", alpha=0.2)
    assert decision.expected_cost is None
    assert "cost unknown" in str(decision)
    assert not decision.ineligible


def test_relaxed_limits_leave_others_to_fail_over_to(small):
    decision = small.route("alpha beta", max_cost=1e-9, on_empty="relax", n=2)
    assert decision.relaxed
    assert len(decision.candidates) == 3
    assert len(decision.models) == 2


def test_relaxing_ranks_by_how_far_a_model_is_from_the_limits(small):
    decision = small.route("alpha beta gamma", max_cost=0.0001, n=3, on_empty="relax")
    costs = [c.expected_cost for c in decision.candidates]
    assert costs == sorted(costs)
    assert len(decision.models) == 3
    assert (
        decision
        == small.route_batch(["alpha beta gamma"], max_cost=0.0001, n=3, on_empty="relax")[0]
    )


def test_n_models(small):
    decision = small.route("alpha beta", n=2)
    assert len(decision.models) == 2
    assert decision.models[0] == decision.model
    assert len(small.route("alpha beta", n=9).models) == 3


# -- what a decision says ------------------------------------------------------------------------


def test_a_decision_ranks_and_explains(small):
    decision = small.route("zeta delta", alpha=0.8, max_cost=1, exclude=["odd"])
    utilities = [c.utility for c in decision.candidates]
    assert utilities == sorted(utilities, reverse=True)
    assert {c.model for c in decision.candidates} | set(decision.ineligible) == set(small.models)
    assert decision.clusters[0].weight == max(c.weight for c in decision.clusters)
    assert decision.clusters[0].topics[0] == "other"
    assert str(decision).count("\n") == 0
    for part in ("good", "score", "cost $", "alpha 0.8", "near other"):
        assert part in str(decision)
    table = decision.explain()
    for part in ("utility", "support", "votes:", "not eligible: odd: named in exclude="):
        assert part in table
    assert json.loads(json.dumps(decision.to_dict()))["model"] == "good"
    assert pickle.loads(pickle.dumps(decision)) == decision
    assert copy.deepcopy(decision) == decision


# -- the router itself ---------------------------------------------------------------------------


def test_it_says_what_it_is(small):
    assert repr(small).startswith("<Router: calibrated, <RouterArtifact: 200 records, 3 models")


def test_copies_and_pickles_route_alike(small):
    other = pickle.loads(pickle.dumps(small))
    assert other.route("alpha") == small.route("alpha")
    assert copy.deepcopy(small).route("alpha") == small.route("alpha")


def test_an_embedder_of_another_space_is_refused(small):
    foreign = CallableEmbedder(lambda t: np.ones((len(t), 8)), id="test/foreign", dim=8)
    with pytest.raises(EmbedderMismatchError, match="test/foreign"):
        Router(small.artifact, foreign)


def test_an_embedder_that_can_not_be_made_from_its_name(small):
    with pytest.raises(EmbedderError, match=r"'test/words'.*embedder="):
        Router(small.artifact).route("alpha")


def test_threads_get_what_one_thread_gets(small):
    queries = [f"{q} {i}" for i in range(20) for q in QUERIES]
    expected = [small.route(q, alpha=0.7) for q in queries]
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda q: small.route(q, alpha=0.7), queries))
    assert found == expected


def test_many_at_once_on_one_event_loop(small):
    async def ask():
        return await asyncio.gather(*(small.aroute(q, alpha=0.7) for q in QUERIES))

    assert asyncio.run(ask()) == [small.route(q, alpha=0.7) for q in QUERIES]


def test_routing_changes_nothing(small):
    before = small.artifact.checksum, copy.deepcopy(small.scorer.options)
    arrays = {k: a.copy() for k, a in small.artifact.statistics.arrays().items()}
    vectors = small.embed(QUERIES)
    kept = vectors.vectors.copy()
    small.route_batch(QUERIES, alpha=0.1, exclude=["good"], prompt_tokens=500)
    small.route_vectors(vectors, max_cost=1, prompt_tokens=500)
    small.alpha_path(QUERIES)
    np.testing.assert_array_equal(vectors.vectors, kept)
    assert (small.artifact.checksum, small.scorer.options) == before
    for name, array in small.artifact.statistics.arrays().items():
        np.testing.assert_array_equal(array, arrays[name])


def test_an_alpha_that_meets_a_target_is_remembered(make_records, embedder, monkeypatch):
    router = Router(fit(make_records(60), embedder, n_clusters=3), embedder)
    traced = []
    curve = targets.expected_curve
    monkeypatch.setattr(targets, "expected_curve", lambda *a: traced.append(a) or curve(*a))
    first = [router.alpha_for(score=0.1, exclude=out) for out in ((), ("odd",), (), iter(["odd"]))]
    assert first[:2] == first[2:]
    assert len(traced) == 2
    router.alpha_for(score=0.1, queries=["alpha"])
    router.alpha_for(score=0.1, queries=["zeta"])
    assert len(traced) == 4


@pytest.mark.parametrize("refine", [True, False])
@pytest.mark.parametrize("scorer", ["calibrated", "reference", "paper"])
def test_embedded_queries_get_the_very_decisions_of_texts(make_records, embedder, refine, scorer):
    prices = {"good": 1e-4, "cheap": 1e-6, "odd": 1e-5}
    artifact = fit(make_records(120), embedder, 4, refine=refine, input_prices=prices)
    router = Router(artifact, embedder, scorer)
    queries = [*QUERIES, "alpha beta " * 400, "zeta" * 900]
    for alpha in (0.2, 0.5, 0.8):
        decisions = router.route_batch(queries, alpha=alpha)
        chosen = router.route_vectors(router.embed(queries), alpha=alpha)
        assert [router.models[i] for i in chosen] == [d.model for d in decisions]


def test_vectors_may_be_lists_or_of_other_precision(small):
    vectors = small.embed(QUERIES).vectors
    expected = small.route_vectors(vectors).tolist()
    assert small.route_vectors(vectors.tolist()).tolist() == expected
    assert small.route_vectors(vectors.astype(np.float64)).tolist() == expected
    assert small.route_vectors(np.asfortranarray(vectors)).tolist() == expected


def test_vectors_that_hold_nan_are_refused(each):
    vectors = each.embed(QUERIES)
    vectors.vectors[3, 0] = np.nan
    with pytest.raises(ValueError, match=r"row 3\b"):
        each.route_vectors(vectors)


@pytest.mark.parametrize("shape", [(4,), (4, 3), (3, len(SURFACE_FEATURES))])
def test_surface_features_of_others_are_refused(shape):
    with pytest.raises(ValueError, match=re.escape(f"{shape}")):
        Queries(np.zeros((4, 8)), np.zeros(shape))


def test_a_mix_of_queries_is_as_foreign_as_its_parts():
    parts = Queries(np.eye(2), beyond_ascii=np.array([0.0, 1.0]))
    assert parts.mixed([0.25, 0.75]).beyond_ascii == pytest.approx([0.75])


def test_a_cluster_scorer_can_be_set_by_name_and_options(small, embedder):
    router = Router(small.artifact, embedder, scorer="reference", top_k=1, beta=2.0)
    assert router.scorer.options == {"top_k": 1, "beta": 2.0}
    assert len(router.route("alpha").clusters) == 1
    with pytest.raises(ValueError, match="'best'"):
        Router(small.artifact, embedder, scorer="best")


def test_vectors_alone_are_enough(each, embedder):
    chosen = each.route_vectors(embedder.embed(QUERIES), alpha=0.5)
    assert chosen.shape == (5,)


def test_what_a_router_is_made_of(small):
    with pytest.raises(TypeError, match=r"'artifact/'.*Router\.load"):
        Router("artifact/")
    assert resolve_router(small) is small
    assert resolve_router(small.artifact).artifact is small.artifact
    with pytest.raises(TypeError, match="int"):
        resolve_router(3)
    with pytest.raises(ValueError, match="router="):
        resolve_router("")


def test_queries_may_come_from_anywhere(small):
    queries = ["alpha beta", "", "gamma"]
    assert small.route_batch(q for q in queries) == small.route_batch(queries)


def test_chances_add_up_and_follow_the_ranking() -> None:
    router = keyword_router()
    for query in ("prove it", "hello", "", "hello prove"):
        decision = router.route(query, alpha=0.6)
        chances = router.chances(decision)
        assert list(chances) == [c.model for c in decision.candidates]
        assert sum(chances.values()) == pytest.approx(1)
        assert min(chances.values()) > 0
    sure = router.chances(router.route("prove it", alpha=1.0))
    assert sure[HARD] > 0.9
    alone = router.route("prove it", models=[EASY])
    assert router.chances(alone) == {EASY: 1.0}
