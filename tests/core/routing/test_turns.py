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
    [
        ("ok", 0),
        ("danke", 0),
        ("続けて", 0),
        ("ok " * 100, 0),
        ("", 0),
        (" ", 0),
        (QUESTION, 1),
        (TOPIC * 50, 1),
        (" ".join([TOPIC, QUESTION, *map(str, range(20))]) * 2, 1),
    ],
)
def test_a_nod_and_a_question(turn: str, share: float) -> None:
    assert own_share(turn) == share


@pytest.mark.parametrize(
    "greeting",
    [
        "hi",
        "Hello!",
        "good morning",
        "hallo",
        "Guten Morgen",
        "salut",
        "buenos días",
        "你好",
        "привет",
    ],
)
def test_a_greeting_asks_nothing(greeting: str) -> None:
    assert own_share(greeting) < 0.5


DOUBTFUL = "maybe with apples"


@pytest.fixture
def doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    """A gate that is in doubt of everything."""
    monkeypatch.setattr("avengers_core.routing.turns.turns.own_share", lambda turn: 0.25)


@pytest.mark.usefixtures("doubt")
def test_what_is_in_doubt_is_shared() -> None:
    assert Turns.of(DOUBTFUL, [QUESTION]) == ((DOUBTFUL, QUESTION), (0.25, 0.75), 0.25)
    turns = Turns.of(DOUBTFUL, [TOPIC, QUESTION])
    assert turns == ((DOUBTFUL, QUESTION, TOPIC), (0.25, 0.1875, 0.5625), 0.25)


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


@pytest.mark.usefixtures("doubt")
def test_a_long_conversation_has_an_end() -> None:
    texts, weights, _ = Turns.of("ok", [TOPIC, *[DOUBTFUL] * 1000])
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


def test_a_decision_says_how_far_the_question_had_a_say(shipped: Router) -> None:
    alone, follow_up = shipped.route(TOPIC), shipped.route("go on", earlier=[TOPIC])
    assert (alone.question_share, follow_up.question_share) == (1, 0)
    assert follow_up.candidates == alone.candidates
    blank = shipped.route("", earlier=[" "])
    assert (blank.basis, blank.question_share) == ("overall", 1)


@pytest.mark.usefixtures("doubt")
async def test_what_is_in_doubt_is_decided_on_both(shipped: Router) -> None:
    mixed = await shipped.aroute(QUESTION, earlier=[TOPIC])
    assert mixed == shipped.route(QUESTION, earlier=[TOPIC])
    assert mixed.to_dict()["question_share"] == 0.25
    model = mixed.model
    score, topic, question = (
        next(c.expected_score for c in decision.candidates if c.model == model)
        for decision in (mixed, shipped.route(TOPIC), shipped.route(QUESTION))
    )
    assert len({score, topic, question}) == 3
