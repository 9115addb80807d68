from __future__ import annotations

import pytest

from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.decision.candidates import Candidate
from avengers_core.serving.voting import answer_key, ballots, elect


@pytest.mark.parametrize(
    "text",
    [
        "42",
        " **42**. ",
        "So \\boxed{41}, no: \\boxed{42}",
        "We add.\nThe answer is 42.",
        "Answer: 42",
        "**Final answer:** $42$",
        "42.00",
    ],
)
def test_equal_answers_have_equal_keys(text: str) -> None:
    assert answer_key(text) == "42"


def test_other_answers_have_other_keys() -> None:
    assert answer_key("1,234,567") == "1234567"
    assert answer_key("\\boxed{\\frac{1}{2}}") == "\\frac{1}{2}"
    assert answer_key("(B)") == answer_key("b") == "b"
    assert answer_key("42.5") != answer_key("42")
    assert answer_key("-42") != answer_key("42")
    assert answer_key("It is\n  Paris!") == "it is paris"


def test_most_votes_win_and_the_earlier_of_equals() -> None:
    assert elect(["a", "b", "b"]) == (1, 2, 3)
    assert elect(["a", "b", "b", "a"]) == (0, 2, 4)
    assert elect(["", "", "b"]) == (2, 1, 3)
    assert elect(["", ""]) == (0, 2, 2)
    with pytest.raises(ValueError, match="nothing"):
        elect([])


def test_ballots() -> None:
    candidates = tuple(Candidate(m, 1.0, 0.5, 0.01, 1.0) for m in "abc")
    decision = RoutingDecision(candidates, {"d": "no"}, (), 0.3, "calibrated", prompt_tokens=7)
    assert ballots(decision, 2, "samples") == [decision, decision]
    models = ballots(decision, 5, "models")
    assert [ballot.model for ballot in models] == ["a", "b", "c"]
    assert {len(ballot.candidates) for ballot in models} == {1}
    assert (models[0].alpha, models[0].prompt_tokens) == (0.3, 7)
    with pytest.raises(ValueError, match="votes"):
        ballots(decision, 0, "samples")
    with pytest.raises(ValueError, match="vote_over"):
        ballots(decision, 1, "all")  # type: ignore[arg-type]
