"""LiteLLM."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from avengers_core.importers.feedback import by_call
from avengers_core.importers.layout import Call, Found, layout
from avengers_core.importers.layouts.traces.spans import id_of
from avengers_core.importers.questions import find_question, question_of
from avengers_core.importers.reading.tables import Place, Row
from avengers_core.importers.values import amount, at, one, parsed, text, usage

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
    "request_id & spend & call_type",
    "request_id & spend & model_group",
    "response_cost & call_type & model_map_information",
    "response_cost & saved_cache_cost",
)
@by_call("spend", "response_cost", "call_type")
def litellm(row: Row, place: Place) -> Iterator[Found]:
    """Rows of ``LiteLLM_SpendLogs``, from the database or ``/spend/logs``, or logged payloads.

    Feedback is of a request (``request_id``, ``id``), of a trace or of a session. Calls that
    failed, and those that are no completions, do not count.

    Source: github.com/BerriAI/litellm, schema.prisma and litellm/types/utils.py.
    """
    trace = id_of(one(row, "trace_id", "session_id", "metadata.trace_id"))
    call = Call(text(one(row, "request_id", "id"), "request_id"), None, trace, place)
    kind = str(row.get("call_type") or "completion")
    if any(name in kind for name in _COMPLETIONS) and row.get("status") != "failure":
        call = call._replace(
            model=text(one(row, "model_group", "model"), "model"),
            query=_question(row),
            dataset=_DATASET,
            usage=usage(_cost(row), row.get("prompt_tokens"), row.get("completion_tokens")),
        )
    yield call


def _cost(row: Row) -> Any:
    """What a call cost; None where a cost of 0 says that LiteLLM knew no price."""
    cost = one(row, "spend", "response_cost")
    priced = one(row, "model_map_information", "metadata.model_map_information")
    unknown = priced is not None and at(parsed(priced), "model_map_value") is None
    if not amount(cost) and (row.get("response_cost_failure_debug_info") or unknown):
        return None
    return cost


def _question(row: Row) -> str:
    sent: list[Any] = [at(row, path) for path in _MESSAGES]
    for value in sent:
        if question := find_question(value):
            return question
    if not parsed(row.get("messages")):
        raise ValueError(
            "it holds no messages, which LiteLLM keeps where general_settings has "
            "store_prompts_in_spend_logs"
        )
    return question_of(row.get("messages"))
