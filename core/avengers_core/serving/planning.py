"""From settings and what a call says of its own to a plan of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from avengers_core.calls.registry import call_log
from avengers_core.routing.call import RoutingCall
from avengers_core.serving.backends.capabilities import Needs
from avengers_core.serving.plan import FORCED, Plan
from avengers_core.serving.question import Request, routed_on
from avengers_core.serving.watching.telemetry import find_telemetry
from avengers_core.serving.watching.watch import Watching

if TYPE_CHECKING:
    from avengers_core.serving.settings import ServingSettings

_LEAST_CACHED = 1_024  # tokens: the shortest beginning of a prompt that providers keep


def plan_call(settings: ServingSettings, request: Request, own: Mapping[str, Any]) -> Plan:
    """How one call is to be decided: see :meth:`ServingSettings.plan`."""
    pool = settings.pool
    how = settings.overlaid(own)
    if query := own.get("routing_query"):
        request = replace(request, question=routed_on(request.question, query))
    question = request.question
    policy = settings.policy_for(question, own, lambda: pool.unable((Needs(),)))
    forced: str | None = own.get("model")
    if not isinstance(forced, str | None):
        raise ValueError(f"model= names one model, got {forced!r}; models= takes several")
    if forced is None:
        unavailable = pool.unable(request.needs)
    else:
        unavailable = pool.absent()
        policy = policy._replace(**FORCED, models=(forced,))
    keeps, reason = request.keeps, "tool_loop"
    if keeps is None and how.stay:
        keeps, reason = request.answered_by, "stay"
    if keeps is not None and (
        forced is not None
        or keeps not in pool.router.models
        or keeps in unavailable
        or keeps in policy.exclude
        or (policy.models is not None and keeps not in policy.models)
    ):
        keeps = None
    cached = None
    if request.cached_tokens and how.stay is not False:
        cached = _large_enough(request.cached_tokens, pool.router.models)
    return Plan(
        pool.router,
        question,
        RoutingCall(policy, 1, request.prompt_tokens, unavailable, cached),
        how,
        () if how.stay is False else request.earlier,
        keeps=keeps,
        kept_for=reason,
        watching=_watching(settings, request),
        draw=pool.draw,
    )


def _watching(settings: ServingSettings, request: Request) -> Watching | None:
    telemetry = None if settings.otel is False else find_telemetry(settings.otel)
    if settings.log is None and telemetry is None:
        return None
    log = None if settings.log is None else call_log(settings.log)
    conversation, secrets = request.conversation_id, settings.pool.secrets
    return Watching(log, settings.log_text, telemetry, conversation, secrets)


def _large_enough(cached_tokens: Mapping[str, int], models: Collection[str]) -> dict[str, int]:
    """What providers keep of what was read before, for the models that there are."""
    return {m: n for m, n in cached_tokens.items() if n >= _LEAST_CACHED and m in models}
