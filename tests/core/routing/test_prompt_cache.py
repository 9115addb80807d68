"""What a model has read before costs less, where the artifact has a price for it."""

from __future__ import annotations

from typing import Any

import pytest
from keyword_router import EASY, HARD, SPARE, keyword_embedder

from avengers_core import Router

PRICES = {EASY: (1e-7, 1e-6, 1e-8), HARD: (2e-6, 1e-5, 2e-7), SPARE: (1e-6, 5e-6)}
QUESTION: dict[str, Any] = {"query": "prove it", "alpha": 0.3, "prompt_tokens": 10_000}


@pytest.fixture(scope="module")
def priced(router: Router) -> Router:
    return Router(router.artifact.reprice(PRICES), embedder=keyword_embedder())


def costs(router: Router, **arguments: Any) -> dict[str, float | None]:
    decision = router.route(**{**QUESTION, **arguments})
    return {c.model: c.expected_cost for c in decision.candidates}


@pytest.mark.parametrize("model", [EASY, HARD])
def test_the_saving_is_that_of_the_tokens_read_before(priced: Router, model: str) -> None:
    full, cached = costs(priced), costs(priced, cached_tokens={model: 8_000})
    paid, _, again = PRICES[model]  # type: ignore[misc]
    saved = (full.pop(model) or 0) - (cached.pop(model) or 0)
    assert saved == pytest.approx(8_000 * (paid - again), rel=1e-3)
    assert cached == full


@pytest.mark.parametrize(("model", "tokens"), [(SPARE, 8_000), (HARD, 0), ("nobody", 8_000)])
def test_nothing_is_saved_without_a_price_or_tokens(
    priced: Router, model: str, tokens: int
) -> None:
    assert costs(priced, cached_tokens={model: tokens}) == costs(priced)


def test_changing_has_to_pay_for_itself(priced: Router) -> None:
    unread = priced.route(**QUESTION)
    assert (unread.model, unread.stayed) == (EASY, False)
    stayed = priced.route(**QUESTION, cached_tokens={HARD: 8_000})
    assert (stayed.model, stayed.stayed, stayed.to_dict()["stayed"]) == (HARD, True, True)
    best_anyway = priced.route(**QUESTION, cached_tokens={EASY: 8_000})
    assert (best_anyway.model, best_anyway.stayed) == (EASY, False)
    assert priced.route(**{**QUESTION, "alpha": 1}, cached_tokens={EASY: 8_000}).model == HARD


def test_a_limit_holds_of_what_is_paid(priced: Router) -> None:
    limited = {"max_cost": 0.03, "exclude": [EASY], "cached_tokens": {HARD: 8_000}}
    assert priced.route(**QUESTION, **limited).model == HARD
    limited["cached_tokens"] = {}
    assert priced.route(**QUESTION, **limited).model == SPARE


def test_a_target_is_met_whatever_was_read_before(priced: Router) -> None:
    asked = {"query": "prove it", "target_cost": 0.005}
    assert priced.route(**asked).alpha == priced.route(**asked, cached_tokens={HARD: 9_000}).alpha


@pytest.mark.parametrize("tokens", [-1, float("nan"), "many"])
def test_what_are_no_tokens(priced: Router, tokens: Any) -> None:
    with pytest.raises(ValueError, match="cached_tokens"):
        priced.route("prove it", cached_tokens={HARD: tokens})
