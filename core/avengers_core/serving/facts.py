"""What an answer says of who gave it and why."""

from __future__ import annotations

from typing import Any

from avengers_core.routing.decision.candidates import as_dicts
from avengers_core.serving.plan import Plan
from avengers_core.serving.resilience.failover import Failover
from avengers_core.serving.watching.watch import Watch


def facts_of(
    model: str, plan: Plan, failover: Failover, watch: Watch | None = None
) -> dict[str, Any]:
    """Who answered, what was expected of it, and who failed before or was left alone.

    Args:
        model: who answered.
        plan: how the call was to be decided.
        failover: the attempts at it.
        watch: follows the call, where anybody wants to know of it.

    Returns:
        Plain JSON types. Short, for it goes along with every answer: of the other candidates it
        only has the order.
    """
    decision = failover.decision
    answered = decision.candidate(model)
    facts = {
        "model": model,
        "alpha": decision.alpha,
        "expected_score": answered.expected_score,
        "expected_cost": answered.expected_cost,
        "scorer": decision.scorer,
        "basis": decision.basis,
        "relaxed": decision.relaxed,
        "prompt_tokens": decision.prompt_tokens,
        "question_share": decision.question_share,
        **({"cut": decision.cut} if decision.cut else {}),
        "ranking": list(decision.ranking),
        "ineligible": {model: str(why) for model, why in decision.ineligible.items()},
        "clusters": as_dicts(decision.clusters),
        "tried": [failed._asdict() for failed in failover.tried],
        "question_from": plan.question.source,
    }
    if resting := failover.left_alone(model):
        facts["resting"] = resting
    if model == plan.keeps:
        facts["kept"] = plan.kept_for
    elif decision.stayed and model == decision.model:
        facts["kept"] = "prompt_cache"
    if watch is not None:
        facts |= watch.facts
    if decision.exploration is not None:
        facts["explored"] = decision.explored
        facts["propensity"] = failover.chance(model)
    return facts
