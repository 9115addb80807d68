"""The artifact that ships with the package."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from avengers_core import Router, RouterArtifact
from avengers_core.routing.router import DEFAULT_ARTIFACT

EVERYDAY = Path(__file__).parents[3] / "examples" / "data" / "everyday.jsonl"
QUERIES = [json.loads(line) for line in EVERYDAY.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def router() -> Router:
    return Router.load(DEFAULT_ARTIFACT)


@pytest.mark.parametrize("row", QUERIES, ids=[row["query"][:40] for row in QUERIES])
def test_everyday_queries_land_in_clusters_of_their_topic(router, row):
    largest = router.route(row["query"]).clusters[0]
    assert largest.topics[0] in row["topics"]


def test_it_is_small_and_says_what_it_is():
    size = sum(file.stat().st_size for file in DEFAULT_ARTIFACT.iterdir())
    assert size < 1_500_000
    artifact = RouterArtifact.load(DEFAULT_ARTIFACT)
    assert artifact.info.embedder == "wordllama/l2_supercat-256"
    assert "list prices of 2026-" in artifact.info.note
    assert set(artifact.info.prices) == set(artifact.models)


def test_alpha_moves_the_choice_from_cheap_to_good(router):
    queries = [row["query"] for row in QUERIES]
    costs, scores = [], []
    for alpha in (0.0, 0.4, 1.0):
        decisions = router.route_batch(queries, alpha=alpha)
        costs.append(sum(d.expected_cost for d in decisions))
        scores.append(sum(d.expected_score for d in decisions))
    assert costs == sorted(costs)
    assert costs[2] > 20 * costs[0]
    assert scores == sorted(scores)


@pytest.mark.parametrize("alpha", [0.0, 0.4, 1.0])
def test_a_call_costs_what_a_call_costs(router, alpha):
    decisions = router.route_batch([row["query"] for row in QUERIES], alpha=alpha)
    costs = [decision.expected_cost for decision in decisions]
    assert min(costs) > 1e-6
    assert max(costs) < 0.05
    email = next(row["query"] for row in QUERIES if "friendly email" in row["query"])
    for candidate in router.route(email).candidates:
        assert candidate.expected_cost < 0.04


def test_every_model_is_eligible_everywhere_and_known_models_rest_on_records(router):
    fact = router.route("What is the capital of Australia?")
    assert not fact.ineligible
    assert min(candidate.support for candidate in fact.candidates) > 0.9
    support = {
        c.model: c.support for c in router.route("Find all real solutions of x^2 = 4.").candidates
    }
    assert support["openai/gpt-5"] > 0.9
    assert support["openai/gpt-5.5"] < 0.3


def test_long_prompts_cost_more_by_the_price_of_their_tokens(router):
    query = "Write a function to check whether a given string is a palindrome."
    short = {c.model: c.expected_cost for c in router.route(query).candidates}
    long = {c.model: c.expected_cost for c in router.route(query, prompt_tokens=100_000).candidates}
    for model, price in router.artifact.info.prices.items():
        assert long[model] - short[model] == pytest.approx(1e5 * price.input, rel=0.01)


def test_default_follows_the_environment(tmp_path, monkeypatch, router):
    smaller = router.artifact.select_models(router.models[:2])
    smaller.save(tmp_path)
    monkeypatch.setenv("AVENGERS_ARTIFACT", str(tmp_path))
    assert Router.default().models == router.models[:2]
