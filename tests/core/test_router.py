"""Routing: constraints, batches, threads, and what a decision says."""

from __future__ import annotations

import asyncio
import copy
import json
import pickle
import threading

import numpy as np
import pytest

from avengers_core import (
    EmbedderError,
    EmbedderMismatchError,
    NoEligibleModelError,
    Router,
    fit,
)
from avengers_core.calls import alpha_from_weights
from avengers_core.embedders import CallableEmbedder

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
        (lambda r: r.route("q", alpha=2), ValueError, r"alpha must lie in \[0, 1\], got 2"),
        (lambda r: r.route("q", alpha=float("nan")), ValueError, "alpha must lie"),
        (lambda r: r.route("q", n=0), ValueError, "n must be at least 1"),
        (lambda r: r.route("q", max_cost=-1), ValueError, "max_cost must be USD"),
        (lambda r: r.route("q", min_score=2), ValueError, r"min_score must lie in \[0, 1\]"),
        (lambda r: r.route("q", prompt_tokens=-1), ValueError, "prompt_tokens must not be"),
        (lambda r: r.route("q", on_empty="shrug"), ValueError, "on_empty"),
        (lambda r: r.route("q", models=["x"]), ValueError, r"has no model \['x'\]; it has"),
        (lambda r: r.route("q", exclude="good"), ValueError, "exclude must be a list"),
        (lambda r: r.route("q", alpha=0.1, performance_weight=1), ValueError, "not both"),
        (lambda r: r.route("q", performance_weight=0, cost_sensitivity=0), ValueError, "both zero"),
        (lambda r: r.route_batch("q"), TypeError, "expected a list of queries, got one text"),
        (lambda r: r.route_vectors(np.zeros(8)), ValueError, r"shape \(n, 8\), or \(n, 19\)"),
        (lambda r: r.route_vectors(np.zeros((2, 9))), ValueError, r"got \(2, 9\)"),
    ],
)
def test_wrong_arguments(small, call, error, message):
    with pytest.raises(error, match=message):
        call(small)


def test_the_weights_are_another_way_to_give_alpha(small):
    decision = small.route("alpha", performance_weight=3, cost_sensitivity=1)
    assert decision.alpha == 0.75
    assert alpha_from_weights(0.4) == 0.4
    assert alpha_from_weights(None, 0.4) == pytest.approx(0.6)
    assert alpha_from_weights(2, 6) == 0.25
    assert alpha_from_weights() == 0.5


# -- constraints ---------------------------------------------------------------------------------


def test_who_has_no_records_near_is_not_eligible(small):
    greek, other = small.route("alpha beta"), small.route("zeta delta epsilon")
    assert "odd" not in greek.ineligible
    assert other.ineligible["odd"].startswith("no records near this query")


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
    assert decision.model == "cheap"
    assert decision.relaxed == ("cheap" in decision.ineligible or decision.relaxed)
    tight = small.route("alpha beta", exclude=["good"], max_cost=0.0001, on_empty="relax")
    assert tight.relaxed
    assert tight.model == "cheap"
    assert "good" in tight.ineligible
    with pytest.raises(NoEligibleModelError) as caught:
        small.route("alpha", exclude=small.models, on_empty="relax")
    assert "relax" not in str(caught.value)


def test_n_models(small):
    decision = small.route("alpha beta", n=2)
    assert len(decision.models) == 2
    assert decision.models[0] == decision.model
    assert len(small.route("alpha beta", n=9).models) == 3


# -- what a decision says ------------------------------------------------------------------------


def test_a_decision_ranks_and_explains(small):
    decision = small.route("zeta delta", alpha=0.8, max_cost=1)
    utilities = [c.utility for c in decision.candidates]
    assert utilities == sorted(utilities, reverse=True)
    assert {c.model for c in decision.candidates} | set(decision.ineligible) == set(small.models)
    assert decision.clusters[0].weight == max(c.weight for c in decision.clusters)
    assert decision.clusters[0].topics[0] == "other"
    assert str(decision).count("\n") == 0
    for part in ("good", "score", "cost $", "alpha 0.8", "near other"):
        assert part in str(decision)
    table = decision.explain()
    for part in ("utility", "support", "votes:", "not eligible: odd: no records near"):
        assert part in table
    assert json.loads(json.dumps(decision.to_dict()))["model"] == "good"
    assert pickle.loads(pickle.dumps(decision)) == decision
    assert copy.deepcopy(decision) == decision


def test_html_is_escaped(make_records, embedder):
    rows = make_records(models=("<script>alert(1)</script>", "b&c"))
    page = Router(fit(rows, embedder, n_clusters=2), embedder).route("alpha")._repr_html_()
    assert "<script>" not in page
    assert "&lt;script&gt;" in page
    assert "b&amp;c" in page


# -- the router itself ---------------------------------------------------------------------------


def test_it_says_what_it_is(small):
    assert repr(small).startswith("<Router: calibrated, <RouterArtifact: 200 records, 3 models")


def test_copies_and_pickles_route_alike(small):
    other = pickle.loads(pickle.dumps(small))
    assert other.route("alpha") == small.route("alpha")
    assert copy.deepcopy(small).route("alpha") == small.route("alpha")


def test_an_embedder_of_another_space_is_refused(small):
    foreign = CallableEmbedder(lambda t: np.ones((len(t), 8)), id="test/foreign", dim=8)
    with pytest.raises(EmbedderMismatchError, match="can not be compared"):
        Router(small.artifact, foreign)


def test_an_embedder_that_can_not_be_made_from_its_name(small):
    with pytest.raises(EmbedderError, match=r"'test/words'.*Pass it: Router"):
        Router(small.artifact).route("alpha")


def test_swapping_is_for_the_same_embedder(small, make_records):
    foreign = CallableEmbedder(lambda t: np.ones((len(t), 8)), id="test/foreign", dim=8)
    with pytest.raises(EmbedderMismatchError, match="Make a new Router"):
        small.swap(fit(make_records(), foreign, n_clusters=1))


def test_swapping_under_load_never_mixes_artifacts(make_records, embedder):
    one = fit(make_records(80), embedder, n_clusters=3)
    other = one.select_models(["odd", "good"])
    router = Router(one, embedder)
    stop = threading.Event()
    errors = []

    def ask():
        while not stop.is_set():
            d = router.route("alpha beta")
            known = {c.model for c in d.candidates} | set(d.ineligible)
            if known not in ({"good", "cheap", "odd"}, {"odd", "good"}):
                errors.append(known)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(100):
        router.swap(other)
        router.swap(one)
    stop.set()
    for thread in threads:
        thread.join()
    assert not errors


def test_vectors_alone_are_enough(each, embedder):
    chosen = each.route_vectors(embedder.embed(QUERIES), alpha=0.5)
    assert chosen.shape == (5,)
