"""LiteLLM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from avengers_core.importers.feedback import feedback_in, is_feedback
from avengers_core.importers.layout import Call, Found, Place, by_row, layout
from avengers_core.importers.questions import find_question, question_of
from avengers_core.importers.reading.tables import Row
from avengers_core.importers.values import amount, at, first, parsed, text

_DATASET = "litellm"
_COMPLETIONS = ("completion", "text_completion", "responses", "generate_content", "anthropic")
_MESSAGES = (
    "messages",
    "proxy_server_request.messages",
    "proxy_server_request.body.messages",
    "proxy_server_request.input",
    "proxy_server_request.prompt",
)


@layout(
    "litellm",
    "spend logs of LiteLLM, or its standard logging payloads; scores by --feedback",
    "request_id & spend & call_type",
    "request_id & spend & model_group",
    "response_cost & call_type & model_map_information",
    "response_cost & saved_cache_cost",
)
@by_row
def litellm(row: Row, place: Place) -> Iterator[Found]:
    """Rows of ``LiteLLM_SpendLogs``, from the database or ``/spend/logs``, or logged payloads.

    Feedback is of a request (``request_id``, ``id``), of a trace or of a session. Calls that
    failed, and those that are no completions, do not count.

    Source: github.com/BerriAI/litellm, schema.prisma and litellm/types/utils.py.
    """
    cost = first(row.get("spend"), row.get("response_cost"))
    if cost is None and "call_type" not in row and is_feedback(row):
        yield from feedback_in(row, place)
        return
    kind = str(row.get("call_type") or "completion")
    asked = any(name in kind for name in _COMPLETIONS) and row.get("status") != "failure"
    id_ = text(first(row.get("request_id"), row.get("id")), "request_id")
    metadata = parsed(row.get("metadata"))
    trace = first(row.get("trace_id"), row.get("session_id"), at(metadata, "trace_id"))
    yield Call(
        id_,
        None,
        None if trace is None else str(trace),
        place,
        text(first(row.get("model_group"), row.get("model")), "model") if asked else None,
        _question(row) if asked else "",
        _DATASET,
        {
            "cost": None if _unpriced(row, metadata) else amount(cost),
            "prompt_tokens": amount(row.get("prompt_tokens")),
            "completion_tokens": amount(row.get("completion_tokens")),
        },
    )


def _unpriced(row: Row, metadata: Any) -> bool:
    """Whether a cost of 0 says that LiteLLM knew no price, not that the call was free."""
    if amount(first(row.get("spend"), row.get("response_cost"))):
        return False
    priced = first(row.get("model_map_information"), at(metadata, "model_map_information"))
    known = at(parsed(priced), "model_map_value") is not None
    return bool(row.get("response_cost_failure_debug_info")) or (priced is not None and not known)


def _question(row: Row) -> str:
    sent: list[Any] = [at(row, path) for path in _MESSAGES]
    sent.append(at(parsed(row.get("proxy_server_request")), "messages"))
    for value in sent:
        if question := find_question(value):
            return question
    if not parsed(row.get("messages")):
        raise ValueError(
            "it holds no messages, which LiteLLM keeps where general_settings has "
            "store_prompts_in_spend_logs"
        )
    return question_of(row.get("messages"))
