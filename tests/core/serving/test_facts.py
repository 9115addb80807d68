from __future__ import annotations

import json
from typing import Any

import pytest

from avengers_core import Router
from avengers_core.routing.call import RoutingCall
from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.decision.candidates import Candidate, Exploration
from avengers_core.serving.backends.capabilities import TooLong
from avengers_core.serving.facts import facts_of
from avengers_core.serving.plan import Plan
from avengers_core.serving.question import RoutingText
from avengers_core.serving.resilience.failover import Failover
from avengers_core.serving.resilience.health import BackendHealth
from avengers_core.serving.settings import AnsweringSettings

RANKED = tuple(Candidate(m, 1.0 - i / 10, 0.5 + i / 10, 0.01, 1.0) for i, m in enumerate("abc"))


def facts(
    router: Router,
    model: str,
    *,
    keeps: str | None = None,
    resting: str = "",
    **of_decision: Any,
) -> dict[str, Any]:
    decision = RoutingDecision(
        RANKED, {"d": TooLong("too long")}, (), 0.5, "calibrated", **of_decision
    )
    question = RoutingText("Why?", "variable")
    plan = Plan(router, question, RoutingCall(), AnsweringSettings(), keeps=keeps, kept_for="stay")
    health = BackendHealth(threshold=1)
    for each in resting:
        health.record_failure(each)
    failover = Failover(decision, health)
    for attempt in failover:
        with attempt:
            if attempt.model != model:
                raise TimeoutError("slow")
            break
    return facts_of(model, plan, failover)


def test_who_answered_and_who_failed_before(router: Router) -> None:
    found = facts(router, "b")
    assert (found["model"], found["expected_score"], found["expected_cost"]) == ("b", 0.6, 0.01)
    assert found["ranking"] == ["a", "b", "c"]
    assert found["ineligible"] == {"d": "too long"}
    assert type(found["ineligible"]["d"]) is str
    assert [(t["model"], t["kind"]) for t in found["tried"]] == [("a", "timeout")]
    assert found["question_from"] == "variable"
    assert json.loads(json.dumps(found)) == found


@pytest.mark.parametrize(
    ("model", "keeps", "stayed", "kept"),
    [
        ("a", "a", False, "stay"),
        ("b", "a", False, None),
        ("a", None, True, "prompt_cache"),
        ("b", None, True, None),
        ("a", None, False, None),
    ],
)
def test_why_a_model_was_kept(
    router: Router, model: str, keeps: str | None, stayed: bool, kept: str | None
) -> None:
    assert facts(router, model, keeps=keeps, stayed=stayed).get("kept") == kept


def test_what_was_left_to_chance(router: Router) -> None:
    found = facts(router, "a", exploration=Exploration(0.2, ("b", "a", "c")))
    assert found["explored"]
    assert found["propensity"] == pytest.approx(0.1)
    assert "propensity" not in facts(router, "a")


def test_what_was_cut_is_told_only_where_something_was(router: Router) -> None:
    assert facts(router, "a", cut=7)["cut"] == 7
    assert "cut" not in facts(router, "a")


@pytest.mark.parametrize(
    ("model", "resting", "told"), [("b", "a", ["a"]), ("a", "abc", None), ("b", "c", None)]
)
def test_better_ones_that_rest(
    router: Router, model: str, resting: str, told: list[str] | None
) -> None:
    assert facts(router, model, resting=resting).get("resting") == told
