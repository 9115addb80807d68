"""Queries unlike the records: how it is told, and what becomes of them."""

from __future__ import annotations

import asyncio
import pickle
from dataclasses import replace

import numpy as np
import pytest

from avengers_core import Router, RouterArtifact, fit
from avengers_core.artifact.estimation.familiarity import Familiarity
from avengers_core.errors import ArtifactError
from avengers_core.routing.scoring import SCORERS

TOPICS = ("What is the capital of {}?", "How much is {} times {}?", "Who wrote the book about {}?")
THINGS = ("Kenya", "seven", "Chile", "eleven", "Norway", "twenty", "Japan", "forty", "Cuba", "two")


@pytest.fixture(scope="module")
def rows():
    def row(i):
        topic, thing, other = i % 3, THINGS[i // 3 % 10], THINGS[i // 30 % 10]
        score = {"a": int(topic == 0), "b": int(topic > 0), "c": 0.5}
        usages = {m: {"cost": 0.001 * (j + 1)} for j, m in enumerate(score)}
        query = TOPICS[topic].format(thing, other)
        return {"query": f"{query} ({i})", "records": score, "usages": usages}

    return [row(i) for i in range(300)]


@pytest.fixture(scope="module")
def router(rows):
    return Router(fit(rows, n_clusters=6, n_init=1))


LIKE = "What is the capital of Norway? (31)"
UNLIKE = (
    "xqz vvkp tttr wqpl mnnb",
    "オーストラリアの首都はどこですか",
    "Какая столица Австралии?",
)


def test_new_queries_of_the_kind_are_as_familiar_as_the_records(rows, router):
    order = np.random.default_rng(0).permutation(len(rows))
    new = fit([rows[i] for i in order[:200]], n_clusters=6, n_init=1)
    held = [rows[i]["query"] for i in order[200:]]
    found = [d.familiarity for d in Router(new).route_batch(held)]
    assert np.quantile(found, [0.25, 0.5, 0.75]) == pytest.approx([0.25, 0.5, 0.75], abs=0.15)


@pytest.mark.parametrize("query", UNLIKE)
def test_unlike_queries_are_decided_on_overall_means(router, query):
    decision, blank = router.route(query, alpha=1), router.route("", alpha=1)
    assert decision.familiarity < 0.02
    assert router.route(LIKE).familiarity > 0.1
    near = router.route(LIKE, alpha=1)
    by_model = {c.model: c.expected_score for c in near.candidates}
    for c, overall in zip(decision.candidates, blank.candidates, strict=True):
        assert c.model == overall.model
        away, reach = c.expected_score - overall.expected_score, by_model[c.model] - c[2]
        assert abs(away) < 0.02 + 0.25 * abs(reach)


@pytest.mark.parametrize("scorer", SCORERS)
def test_one_query_is_as_familiar_as_among_many(router, scorer):
    router = Router(router.artifact, scorer=scorer)
    texts = [LIKE, *UNLIKE, "", TOPICS[0]]
    options = {"min_familiarity": 0.05, "fallback": "c", "alpha": 0.9}
    together = router.route_batch(texts, **options)
    for text, decision in zip(texts, together, strict=True):
        alone = router.route(text, **options)
        assert alone == router.route_batch([text], **options)[0]
        assert alone.familiarity == pytest.approx(decision.familiarity, abs=1e-3)
        assert alone.model == decision.model
        assert asyncio.run(router.aroute(text, **options)) == alone
    full = [text for text in texts if text]
    chosen = router.route_vectors(router.embed(full), **options)
    models = [d.model for text, d in zip(texts, together, strict=True) if text]
    assert [router.models[j] for j in chosen] == models


def test_a_fallback_answers_what_is_unlike(router):
    options = {"min_familiarity": 0.05, "fallback": "c", "alpha": 1}
    decision = router.route(UNLIKE[0], **options)
    assert decision.model == decision.models[0] == decision.candidates[0].model == "c"
    assert {c.model for c in decision.candidates} == {"a", "b", "c"}
    assert decision.basis == "unfamiliar"
    assert decision.to_dict()["familiarity"] == decision.familiarity
    assert "unlike" in str(decision)
    assert router.route(LIKE, **options).model == "a"
    assert router.route(UNLIKE[0], fallback="c", alpha=1).model == "c"
    assert router.route(LIKE, fallback="c", alpha=1).basis == "query"


def test_a_fallback_is_held_to_the_limits(router):
    options = {"min_familiarity": 0.05, "fallback": "c", "alpha": 1}
    assert router.route(UNLIKE[0], **options, exclude=["c"]).model != "c"
    assert router.route(UNLIKE[0], **options, max_cost=0.0025).model != "c"
    assert router.route(UNLIKE[0], **options, unavailable={"c": "is away"}).model != "c"


@pytest.mark.parametrize(
    "options", [{"fallback": "c"}, {"min_familiarity": 1.0}, {"fallback": "b", "exclude": ["b"]}]
)
def test_the_path_over_alpha_knows_what_becomes_of_them(router, options):
    queries = ["How much is seven times eleven? (31)", *UNLIKE]
    path = router.alpha_path(queries, **options).path
    assert len(path.alphas) > 1
    for alpha, shares in zip(path.alphas, path.shares(3), strict=True):
        chosen = [d.model for d in router.route_batch(queries, alpha=alpha, **options)]
        assert shares.tolist() == [chosen.count(m) / len(queries) for m in router.models]


def test_without_a_fallback_overall_means_decide(router):
    decision = router.route(LIKE, min_familiarity=1, alpha=1)
    overall = router.route("", alpha=1)
    assert decision.basis == "unfamiliar"
    assert decision.model == overall.model
    for c, d in zip(decision.candidates, overall.candidates, strict=True):
        assert c.expected_score == pytest.approx(d.expected_score, abs=1e-5)


@pytest.mark.parametrize("arguments", [{"min_familiarity": 1.5}, {"fallback": "nobody"}])
def test_arguments_out_of_range(router, arguments):
    with pytest.raises(ValueError, match=r"min_familiarity|nobody"):
        router.route(LIKE, **arguments)


def test_artifacts_that_do_not_know_it_decide_as_they_did(router):
    old = Router(replace(router.artifact, familiarity=None))
    decision = old.route(UNLIKE[0], min_familiarity=1, fallback="c")
    assert decision.familiarity is None
    assert decision.basis == "query"


def test_and_say_once_that_what_asks_for_it_is_of_no_effect(router, caplog):
    old = Router(replace(router.artifact, familiarity=None))
    old.route(LIKE)
    assert not caplog.messages
    old.check(min_familiarity=0.5)
    old.route_batch([LIKE, LIKE], min_familiarity=0.5)
    assert ["min_familiarity" in text for text in caplog.messages] == [True]
    copy = pickle.loads(pickle.dumps(old))
    copy.route(LIKE, min_familiarity=0.5, fallback="c")
    (_, said) = caplog.messages
    assert "fallback" in said
    assert "min_familiarity" not in said
    router.route(LIKE, min_familiarity=0.5, fallback="c")
    assert len(caplog.messages) == 2


def test_counts_add_up_and_are_kept(rows, router, tmp_path):
    whole = router.artifact
    parts = [fit(part, centroids=whole) for part in (rows[:100], rows[100:])]
    merged = parts[0].merge(parts[1])
    for name, counts in whole.familiarity.arrays().items():
        np.testing.assert_array_equal(merged.familiarity.arrays()[name], counts)
    assert whole.familiarity.angles.sum() == len(rows)
    whole.save(tmp_path / "a")
    assert RouterArtifact.load(tmp_path / "a") == whole


def test_records_make_their_own_kind_familiar(router):
    new = [{"query": f"{UNLIKE[1]} {i}", "records": {"a": 1}} for i in range(300)]
    before, after = (Router(a) for a in (router.artifact, router.artifact.update(new)))
    query = f"{UNLIKE[1]} 150"
    assert before.route(query).familiarity < 0.02
    assert after.route(query).familiarity > 0.1


@pytest.mark.parametrize("counts", [-np.ones(360), np.ones(3), np.full(360, np.nan)])
def test_counts_that_are_none_are_refused(router, counts):
    broken = Familiarity(router.artifact.familiarity.members, counts, np.ones(20))
    with pytest.raises(ArtifactError):
        replace(router.artifact, familiarity=broken)
