"""The engine: numbers side by side, votes, and the same choice on the quick and the slow path."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from avengers_core import NoEligibleModelError, RouterArtifact
from avengers_core.artifact.info import ArtifactInfo
from avengers_core.artifact.statistics import Statistics
from avengers_core.embedders.surface import SURFACE_FEATURES
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.engine import Engine
from avengers_core.routing.queries import Queries
from avengers_core.routing.ranked import decided
from avengers_core.routing.scoring import SCORERS, make_scorer

MODELS = ("a", "b", "c", "d")
SCORER_NAMES = sorted(SCORERS)


def random_engine(seed, name="calibrated", k=4, d=5, unpriced=False):
    """An engine whose third model has no records in some clusters, nor perhaps any cost."""
    rng = np.random.default_rng(seed)
    m = len(MODELS)
    s = Statistics.zeros(k, m, 1)
    s.n[:] = rng.integers(5, 30, (k, 1))
    s.n[rng.random(k) < 0.5, 2] = 0
    s.topics[:, 0] = s.n.max(axis=1)
    s.score[:] = s.n * rng.uniform(size=(k, m))
    s.n_cost[:] = s.n
    if unpriced:
        s.n_cost[:, 1] = 0
    s.cost[:] = s.n_cost * rng.uniform(0.001, 0.1, (k, m))
    s.query_length[:] = s.size * 40
    centroids = rng.normal(size=(k, d)).astype(np.float32)
    prices = {"a": 1e-5, "d": 1e-6}
    info = ArtifactInfo(embedder="none", input_prices=prices)
    artifact = RouterArtifact(MODELS, ("topic",), centroids, s, info)
    return Engine(artifact, make_scorer(artifact, name))


def decide(engine, features, alpha=0.5, call=None):
    return decided(engine, features, alpha, call or RoutingCall())


def unit(seed, n=12, d=5):
    x = np.random.default_rng(seed).normal(size=(n, d))
    return (x / np.linalg.norm(x, axis=1, keepdims=True)).astype(np.float32)


@pytest.mark.parametrize("name", SCORER_NAMES)
def test_one_product_gives_what_the_tables_give_one_by_one(name):
    engine, scorer = random_engine(0, name), random_engine(0, name).scorer
    features = scorer.features(Queries(unit(0)))
    e = engine.rank(features, 0.3, RoutingCall.of(min_support=0, exclude=["a"]))
    tables = scorer.table(0.3), scorer.score_table, scorer.cost_table, scorer.evidence_table
    for found, table in zip((e.utility, e.score, e.cost, e.support), tables, strict=True):
        assert found.shape == (12, 4)
        np.testing.assert_allclose(found, features @ table, rtol=1e-4, atol=1e-6)


def test_costs_are_never_negative_and_unknown_ones_stay_unknown():
    engine = random_engine(1, unpriced=True)
    features = engine.scorer.features(Queries(unit(1), None, 0))
    features[:, -1] = -1e9
    cost = engine.rank(features, 0.5, RoutingCall.of(min_support=0)).cost
    assert np.isnan(cost[:, 1]).all()
    assert (cost[:, [0, 3]] == 0).all()


def test_no_candidate_is_paid_for_answering_also_where_others_have_no_cost():
    for unpriced in (False, True):
        engine = random_engine(1, unpriced=unpriced)
        features = engine.scorer.features(Queries(unit(1, n=1), None, 0))
        features[:, -1] = -1e9
        (decision,) = decide(engine, features, 0.5, RoutingCall.of(min_support=0))
        cost = {c.model: c.expected_cost for c in decision.candidates}
        assert (cost["a"], cost["d"]) == (0.0, 0.0)


limits = st.fixed_dictionaries(
    {},
    optional={
        "max_cost": st.floats(0.001, 0.1),
        "min_score": st.floats(0, 0.9),
        "exclude": st.lists(st.sampled_from(MODELS), max_size=2),
        "models": st.lists(st.sampled_from(MODELS), min_size=1),
        "prompt_tokens": st.integers(0, 5000),
    },
)


@settings(max_examples=60)
@given(
    st.integers(0, 500),
    st.sampled_from(SCORER_NAMES),
    st.sampled_from([0.0, 0.3, 0.9, 1.0]),
    limits,
    st.sampled_from(["raise", "relax"]),
)
def test_quick_and_slow_path_choose_alike(seed, name, alpha, demands, on_empty):
    engine = random_engine(seed, name, unpriced=seed % 2 == 1)
    call = RoutingCall.of(on_empty=on_empty, **demands)
    queries = Queries(unit(seed), None, call.prompt_tokens)
    try:
        decisions = decide(engine, engine.scorer.features(queries), alpha, call)
    except NoEligibleModelError:
        with pytest.raises(NoEligibleModelError):
            engine.choose_many(queries, alpha, call)
        return
    chosen = engine.choose_many(queries, alpha, call)
    assert [MODELS[j] for j in chosen] == [d.model for d in decisions]


@settings(max_examples=60)
@given(st.integers(0, 500), st.sampled_from(SCORER_NAMES), limits)
def test_candidates_meet_the_limits_and_the_others_do_not(seed, name, demands):
    allowed = set(demands.get("models", MODELS)) - set(demands.get("exclude", ()))
    assume(allowed)
    engine = random_engine(seed, name)
    call = RoutingCall.of(on_empty="relax", **demands)
    queries = Queries(unit(seed), None, call.prompt_tokens)
    for d in decide(engine, engine.scorer.features(queries), 0.5, call):
        assert {c.model for c in d.candidates} | set(d.ineligible) == set(MODELS)
        assert {c.model for c in d.candidates}.isdisjoint(d.ineligible)
        for c in d.candidates:
            assert c.model in allowed
            if not d.relaxed:
                assert c.support >= engine.scorer.min_support
                assert c.expected_cost <= demands.get("max_cost", np.inf) * 1.0001
                assert c.expected_score >= demands.get("min_score", 0) - 1e-4
        for reason in d.ineligible.values():
            assert reason or d.relaxed


def test_decisions_rank_by_utility_and_ties_keep_the_order_of_models():
    engine = random_engine(2)
    (d, *_) = decide(engine, engine.scorer.features(Queries(unit(2))))
    utility = [c.utility for c in d.candidates]
    assert utility == sorted(utility, reverse=True)
    s = engine.artifact.statistics
    s.n[:], s.score[:], s.n_cost[:], s.cost[:] = 10, 5, 10, 1
    same = Engine(engine.artifact, make_scorer(engine.artifact))
    (d, *_) = decide(same, same.scorer.features(Queries(unit(2))))
    assert [c.model for c in d.candidates] == list(MODELS)


def test_votes_are_the_largest_few():
    engine = random_engine(3, k=40)
    features = engine.scorer.features(Queries(unit(3)))
    for row, d in zip(features, decide(engine, features), strict=True):
        weights = [v.weight for v in d.clusters]
        assert weights == sorted(row[:40].tolist(), reverse=True)[: len(weights)]
        assert 1 <= len(weights) <= 5
        assert all(w >= 0.02 for w in weights[1:])
        assert all(v.size == engine.artifact.statistics.size[v.cluster] for v in d.clusters)
        assert d.clusters[0].topics == ("topic",)


def test_a_query_that_is_near_nothing_still_names_a_cluster():
    engine = random_engine(4, k=200)
    (d,) = decide(engine, engine.scorer.overall())
    assert len(d.clusters) == 1
    assert d.clusters[0].weight < 0.02
    assert "near topic" in str(d)


@pytest.mark.parametrize("name", SCORER_NAMES)
@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_vectors_that_are_no_vectors_are_refused_with_their_row(name, bad):
    vectors = unit(5, n=9000)
    vectors[8000, 2] = bad
    with pytest.raises(ValueError, match=r"row 8000\b"):
        random_engine(5, name).choose_many(Queries(vectors), 0.5, RoutingCall.of())


def test_blocks_make_no_difference():
    engine, vectors = random_engine(6), unit(6, n=9001)
    surface = np.zeros((9001, len(SURFACE_FEATURES)), dtype=np.float32)
    whole = engine.choose_many(Queries(vectors, surface), 0.6, RoutingCall.of())
    parts = [engine.choose_many(Queries(v[None]), 0.6, RoutingCall.of())[0] for v in vectors[-300:]]
    assert whole[-300:].tolist() == parts
    assert len(np.unique(whole)) > 1


def test_limits_that_came_before_are_told_from_others_that_equal_them():
    engine = random_engine(0)
    for reason in ("no key", "resting", "no key"):
        call = RoutingCall.of(unavailable={"a": reason})
        assert engine.eligibility(0.5, call).fixed_reasons == {"a": reason}
    for models in (("a",), ["a"], {"a"}):
        call = RoutingCall.of(models=models)
        assert engine.eligibility(0.5, call).fixed_reasons.keys() == {"b", "c", "d"}
    engine.eligibility(0.5, RoutingCall.of(max_cost=1))
    with pytest.raises(ValueError, match="max_cost"):
        engine.eligibility(0.5, RoutingCall.of(max_cost=True))


def test_copies_and_pickles_choose_alike():
    engine, queries = random_engine(7), Queries(unit(7))
    expected = engine.choose_many(queries, 0.5, RoutingCall.of()).tolist()
    for twin in (copy.deepcopy(engine), pickle.loads(pickle.dumps(engine))):
        assert twin.choose_many(queries, 0.5, RoutingCall.of()).tolist() == expected


def test_what_many_small_votes_say_of_what_is_not_known_counts(monkeypatch):
    # As of a thousand clusters, whose votes are a thousandth each.
    monkeypatch.setattr("avengers_core.routing.engine._NO_VOTE", 0.006)
    engine = random_engine(0, k=200)
    features = engine.scorer.overall()
    assert np.median(features[:, : engine.n_clusters]) < 0.006
    said = np.tensordot(
        features[:, : engine.n_clusters], engine.scorer.plausible_scores, axes=(1, 0)
    )
    found = engine.plausible_scores(features)
    assert found.std(axis=1) == pytest.approx(said.std(axis=1), rel=0.1)
