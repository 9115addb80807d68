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
    assert size < 300_000
    info = RouterArtifact.load(DEFAULT_ARTIFACT).info
    assert "published means of whole benchmarks" in info.note
    assert info.embedder == "wordllama/l2_supercat-256"


def test_alpha_moves_the_choice_from_cheap_to_good(router):
    queries = [row["query"] for row in QUERIES]
    costs, scores = [], []
    for alpha in (0.0, 0.4, 1.0):
        decisions = router.route_batch(queries, alpha=alpha)
        costs.append(sum(d.expected_cost for d in decisions))
        scores.append(sum(d.expected_score for d in decisions))
    assert costs == sorted(costs)
    assert costs[2] > 5 * costs[0]
    assert scores == sorted(scores)


def test_a_model_that_can_not_call_tools_is_not_sent_there(router):
    decision = router.route("I need to change my flight, my reservation id is ZX81QP.")
    assert "no records near this query" in decision.ineligible["openai/gpt-5-chat"]


def test_long_prompts_cost_more_and_move_the_choice_to_cheap_prompts(router):
    query = "Write a function to check whether a given string is a palindrome."
    short = router.route(query, alpha=0.8)
    long = router.route(query, alpha=0.8, prompt_tokens=100_000)
    by_model = {c.model: c.expected_cost for c in short.candidates}
    for candidate in long.candidates:
        assert candidate.expected_cost > by_model[candidate.model]
    claude = {c.model: c.expected_cost for c in long.candidates}["anthropic/claude-sonnet-4"]
    # 3 USD a million prompt tokens, as LLMRouterBench lists it.
    assert claude == pytest.approx(by_model["anthropic/claude-sonnet-4"] + 0.3, rel=0.01)


def test_default_follows_the_environment(tmp_path, monkeypatch, router):
    smaller = router.artifact.select_models(router.models[:2])
    smaller.save(tmp_path)
    monkeypatch.setenv("AVENGERS_ARTIFACT", str(tmp_path))
    assert Router.default().models == router.models[:2]
