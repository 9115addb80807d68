"""OpenTelemetry: a span for each decision, and counts of choices, failovers and cost.

Names are those of the `semantic conventions for generative AI
<https://opentelemetry.io/docs/specs/semconv/gen-ai/>`__ where they have one, with ours
(``avengers.*``) beside them. Needs ``opentelemetry-api`` (extra ``otel``); where spans go is the
program's own affair.
"""

from __future__ import annotations

import sys
from contextlib import AbstractContextManager
from functools import lru_cache
from typing import Any, cast

from avengers_core.errors import needing
from avengers_core.redaction import NO_SECRETS, Secrets, describe
from avengers_core.routing.decision import RoutingDecision
from avengers_core.serving.watching.outcome import Outcome

_NAME = "avengers_router"


def find_telemetry(wanted: bool | None) -> Telemetry | None:
    """What makes spans.

    Args:
        wanted: True or False; None, where the program has set up OpenTelemetry.

    Raises:
        OptionalDependencyError: it is wanted and not installed.
    """
    if wanted is None:
        trace = sys.modules.get("opentelemetry.trace")
        metrics = sys.modules.get("opentelemetry.metrics")
        wanted = (trace is not None and _is_set_up(trace.get_tracer_provider())) or (
            metrics is not None and _is_set_up(metrics.get_meter_provider())
        )
    return _telemetry() if wanted else None


def _is_set_up(provider: object) -> bool:
    # The API's own providers record nothing.
    return not type(provider).__module__.startswith(
        ("opentelemetry.trace", "opentelemetry.metrics")
    )


@lru_cache(maxsize=1)
def _telemetry() -> Telemetry:
    return Telemetry()


class Telemetry:
    """A tracer and counters of the providers that the program has set, or will have.

    Raises:
        OptionalDependencyError: ``opentelemetry-api`` is not installed.
    """

    def __init__(self) -> None:
        with needing("opentelemetry-api", "otel"):
            from opentelemetry import metrics, trace
        self.trace = trace
        self.tracer = trace.get_tracer_provider().get_tracer(_NAME)
        meter = metrics.get_meter_provider().get_meter(_NAME)
        self.choices = meter.create_counter(
            "avengers.choices", "{call}", "Calls, by the model that answered"
        )
        self.failovers = meter.create_counter(
            "avengers.failovers", "{attempt}", "Attempts that failed, by model and kind"
        )
        self.cost = meter.create_counter("avengers.cost", "USD", "Cost of answers, by model")


class CallSpan:
    """The span of one call that was just decided."""

    def __init__(
        self, telemetry: Telemetry, id: str, decision: RoutingDecision, conversation: str | None
    ) -> None:
        self._telemetry = telemetry
        attributes: dict[str, Any] = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": "avengers",
            "gen_ai.request.model": decision.model,
            "gen_ai.conversation.id": conversation,
            "avengers.call.id": id,
            "avengers.alpha": decision.alpha,
            "avengers.expected_score": decision.expected_score,
            "avengers.expected_cost": decision.expected_cost,
            "avengers.explored": decision.explored,
            "avengers.candidates": list(decision.ranking),
        }
        self._span = telemetry.tracer.start_span(
            f"chat {decision.model}",
            kind=telemetry.trace.SpanKind.CLIENT,
            attributes={name: value for name, value in attributes.items() if value is not None},
        )

    def current(self) -> AbstractContextManager[Any]:
        """While it is open, spans that others begin are below this one."""
        current = self._telemetry.trace.use_span(
            self._span, end_on_exit=False, record_exception=False, set_status_on_exception=False
        )
        return cast("AbstractContextManager[Any]", current)

    def end(self, outcome: Outcome, secrets: Secrets = NO_SECRETS) -> None:
        """The call is over; of its error no secret is told."""
        model, tokens, cost, propensity, tried, error = outcome
        attributes = {
            "gen_ai.response.model": model,
            "gen_ai.usage.input_tokens": tokens.prompt,
            "gen_ai.usage.output_tokens": tokens.completion,
            "gen_ai.usage.cache_read.input_tokens": tokens.cached,
            "avengers.cost": cost,
            "avengers.propensity": propensity,
            "avengers.failovers": len(tried),
            "error.type": None if error is None else type(error).__qualname__,
        }
        self._span.set_attributes({k: v for k, v in attributes.items() if v is not None})
        for failure in tried:
            facts = {"gen_ai.request.model": failure.model, "error.type": failure.kind}
            self._span.add_event("avengers.failover", {**facts, "message": failure.message})
            self._telemetry.failovers.add(1, facts)
        if error is not None:
            code = self._telemetry.trace.StatusCode.ERROR
            self._span.set_status(self._telemetry.trace.Status(code, describe(error, secrets)))
        if model is not None:
            by = {"gen_ai.response.model": model}
            self._telemetry.choices.add(1, by)
            if cost is not None:
                self._telemetry.cost.add(cost, by)
        self._span.end()
