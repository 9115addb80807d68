from __future__ import annotations

from pathlib import Path

import pytest
from turn_pairs import FOLLOW_UPS, NEW_TOPICS

from avengers_core import Router
from avengers_core.routing.turns import Turns
from avengers_core.routing.turns.gate import own_share

TOPIC = "Prove that every group of order 15 is cyclic"
QUESTION = "What is the capital of Peru?"


@pytest.mark.parametrize(
    ("turn", "share"),
    [("ok", 0), ("danke", 0), ("続けて", 0), ("", 0), (" ", 0), (QUESTION, 1), (TOPIC * 50, 1)],
)
def test_a_nod_and_a_question(turn: str, share: float) -> None:
    assert own_share(turn) == share


def test_what_is_in_doubt_is_shared() -> None:
    doubtful = "maybe with apples"
    share = own_share(doubtful)
    assert 0 < share < 1
    assert Turns.of(doubtful, [QUESTION]) == ((doubtful, QUESTION), (share, 1 - share), share)
    turns = Turns.of(doubtful, [TOPIC, doubtful])
    assert turns.weights == pytest.approx((share, (1 - share) * share, (1 - share) ** 2))


@pytest.mark.parametrize(
    ("query", "earlier", "texts", "share"),
    [
        (QUESTION, [], (QUESTION,), 1),
        (QUESTION, [TOPIC, "ok"], (QUESTION,), 1),
        ("ok", [], ("ok",), 1),
        ("ok", [TOPIC], (TOPIC,), 0),
        ("ok", [QUESTION, TOPIC, "go on", " "], (TOPIC,), 0),
        ("ok", ["yes", "go on"], ("yes",), 0),
        (" ", [TOPIC], (TOPIC,), 0),
        ("", ["", " "], (), 1),
    ],
)
def test_the_turns_that_count(
    query: str, earlier: list[str], texts: tuple[str, ...], share: float
) -> None:
    assert Turns.of(query, earlier) == (texts, (1.0,) * len(texts), share)


def test_a_conversation_of_nods_has_an_end() -> None:
    texts, weights, _ = Turns.of("ok", [TOPIC, *["maybe with apples"] * 1000])
    assert len(texts) <= 32
    assert sum(weights) == pytest.approx(1)


@pytest.mark.parametrize(("query", "earlier"), [("ok", TOPIC), ("ok", [3]), (None, [TOPIC])])
def test_what_is_no_conversation(query: str, earlier: list[str]) -> None:
    with pytest.raises(TypeError, match="text"):
        Turns.of(query, earlier)


@pytest.fixture(scope="module")
def shipped() -> Router:
    return Router.load(Path(__file__).parents[3] / "core/avengers_core/artifact/default")


@pytest.mark.parametrize("alpha", [0.2, 0.5, 0.8])
def test_a_follow_up_stays_with_its_topic_and_a_question_moves_on(
    shipped: Router, alpha: float
) -> None:
    def chosen(query: str, *earlier: str) -> str:
        return shipped.route(query, earlier=earlier, alpha=alpha).model

    stayed = [chosen(then, topic) == chosen(topic) for topic, then in FOLLOW_UPS]
    moved = [chosen(then, topic) == chosen(then) for topic, then in NEW_TOPICS]
    assert sum(stayed) >= 27
    assert sum(moved) >= 27


async def test_a_decision_says_how_far_the_question_had_a_say(shipped: Router) -> None:
    alone, follow_up = shipped.route(TOPIC), shipped.route("go on", earlier=[TOPIC])
    assert (alone.question_share, follow_up.question_share) == (1, 0)
    assert follow_up.candidates == alone.candidates
    mixed = await shipped.aroute("maybe with apples", earlier=[TOPIC])
    assert mixed == shipped.route("maybe with apples", earlier=[TOPIC])
    assert 0 < mixed.to_dict()["question_share"] < 1
    assert mixed.expected_score not in (alone.expected_score, shipped.route("maybe with apples"))
    blank = shipped.route("", earlier=[" "])
    assert (blank.basis, blank.question_share) == ("overall", 1)
