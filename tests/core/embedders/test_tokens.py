"""Estimates of tokens."""

from __future__ import annotations

import numpy as np
import pytest

from avengers_core import Router, fit
from avengers_core.embedders.surface import surface, tokens
from avengers_core.embedders.tokens import estimate_tokens


@pytest.mark.parametrize(
    ("text", "expected"),
    [("", 0), ("a", 1), ("abcd", 1), ("abcde", 2), ("漢字漢字", 3), ("\ud800", 1)],
)
def test_estimate(text: str, expected: int) -> None:
    assert estimate_tokens(text) == expected


@pytest.mark.parametrize("text", ["What is 2 + 2?", "二加二是多少", "Сколько будет два плюс два?"])
def test_the_surface_of_a_text_has_the_same_tokens(text: str) -> None:
    assert np.ceil(tokens(surface([text])) - 1e-3) == estimate_tokens(text)


@pytest.mark.parametrize("word", ["word", "слово", "漢字"])
def test_costs_are_expected_as_they_were_whatever_the_script(embedder, word: str) -> None:
    rows = []
    for i in range(200):
        query = " ".join([f"{word}{i}"] * (5 + i % 20))
        tokens = estimate_tokens(query)
        usage = {"prompt_tokens": tokens, "completion_tokens": 1, "cost": tokens * 1e-4}
        rows.append(
            {"query": query, "dataset": "d", "records": {"a": i % 2}, "usages": {"a": usage}}
        )
    router = Router(fit(rows, embedder, n_clusters=3), embedder)
    expected = [d.expected_cost for d in router.route_batch([r["query"] for r in rows])]
    true = np.mean([r["usages"]["a"]["cost"] for r in rows])
    assert np.mean(expected) == pytest.approx(true, rel=0.05)
