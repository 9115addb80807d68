"""Spans, with the attributes that OpenTelemetry, OpenInference and MLflow give them."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from avengers_core.importers.layout import Call, Feedback, Found, Place
from avengers_core.importers.questions import find_question, question_of
from avengers_core.importers.values import (
    amount,
    at,
    first,
    is_number,
    number,
    parsed,
    text,
    tree,
)

# Eight bytes, or sixteen.
_BASE64 = re.compile(r"[A-Za-z0-9+/]{11}=|[A-Za-z0-9+/]{22}==")
# Spans of other operations may name a model too, such as the agent's above its calls.
_NO_CALL = ("embeddings", "execute_tool", "create_agent", "invoke_agent", "invoke_workflow")
_MODEL_KINDS = ("LLM", "CHAT_MODEL")
_MODELS = (
    "gen_ai.request.model",
    "gen_ai.response.model",
    "llm.model_name",
    "llm.request.model",
    "llm.response.model",
    "mlflow.llm.model",
    "mlflow.chat.model",
)
_KINDS = ("openinference.span.kind", "mlflow.spanType")
_INPUTS = (
    "gen_ai.input.messages",
    "llm.input_messages",
    "gen_ai.prompt",
    "llm.prompts",
    "gen_ai.request.messages",
    "ai.prompt.messages",  # of Vercel's AI SDK
    "ai.prompt",
    "mlflow.spanInputs",
    "input.value",
    "input",
    "traceloop.entity.input",
)
_MESSAGE_EVENTS = ("gen_ai.user.message", "gen_ai.content.prompt", "gen_ai.evaluation.result")
_COSTS = (
    "llm.cost.total",
    "gen_ai.usage.cost",
    "gen_ai.usage.total_cost",
    "mlflow.llm.cost.total_cost",
)
_PROMPT = (
    "gen_ai.usage.input_tokens",
    "gen_ai.usage.prompt_tokens",
    "llm.token_count.prompt",
    "llm.usage.prompt_tokens",
    "mlflow.chat.tokenUsage.input_tokens",
)
_COMPLETION = (
    "gen_ai.usage.output_tokens",
    "gen_ai.usage.completion_tokens",
    "llm.token_count.completion",
    "llm.usage.completion_tokens",
    "mlflow.chat.tokenUsage.output_tokens",
)


Event = tuple[str, Mapping[str, Any]]
"""Name and attributes of something that happened during a span."""


class Span(NamedTuple):
    """A step of a trace.

    Attributes:
        id: its own.
        parent: that of the step above, or None.
        trace: that of the whole, or None.
        attributes: as a tree (:func:`avengers_core.importers.values.tree`).
        kind: ``LLM`` and the like where it is kept beside the attributes.
        events: name and attributes of each.
        dataset: what the trace is of.
    """

    id: str
    parent: str | None
    trace: str | None
    attributes: Mapping[str, Any]
    kind: str | None = None
    events: tuple[Event, ...] = ()
    dataset: str = ""


def found_in(span: Span, place: Place) -> Iterator[Found]:
    """The call that a span is, and the feedback that it carries.

    Source: opentelemetry.io/docs/specs/semconv/gen-ai; github.com/Arize-ai/openinference, spec;
    mlflow.org/docs, tracing.
    """
    of = span.attributes
    for name, event in span.events:
        if name == "gen_ai.evaluation.result":
            yield from _evaluation(event, span.id)
    yield from _evaluation(of, str(first(at(of, "gen_ai.evaluation.target_id"), span.id)))
    model = _one(of, _MODELS)
    kind = first(span.kind, *(parsed_word(at(of, key)) for key in _KINDS))
    operation = at(of, "gen_ai.operation.name")
    is_call = model is not None and operation not in _NO_CALL
    if kind is not None and operation is None:
        is_call = model is not None and str(kind).upper() in _MODEL_KINDS
    asked: tuple[Any, ...] = ()
    if is_call:
        asked = (text(parsed_word(model), "model"), _question(span), span.dataset, _usage(of))
    yield Call(span.id, span.parent, span.trace, place, *asked)


def parsed_word(value: Any) -> Any:
    """A text in quotes, as MLflow writes attributes, without them."""
    if isinstance(value, str) and value[:1] == value[-1:] == '"':
        return value[1:-1]
    return value


def id_of(value: Any) -> str | None:
    """An id; None where there is none.

    Python's SDK prints them with ``0x``, and protobuf's own JSON in base64, where OTLP says hex.
    """
    if value is None or value == "":
        return None
    text = str(value)
    if _BASE64.fullmatch(text):
        return b64decode(text).hex()
    return text.removeprefix("0x")


def events_in(events: Any) -> tuple[Event, ...]:
    """Names and attributes of a span's events."""
    found = []
    for event in parsed(events) if isinstance(parsed(events), list) else ():
        if isinstance(event, Mapping):
            attributes = attributes_of(event.get("attributes"))
            found.append((str(event.get("name") or at(attributes, "event.name")), attributes))
    return tuple(found)


def attributes_of(value: Any) -> dict[str, Any]:
    """Attributes as a tree: an object, or the list of keys and typed values of OTLP."""
    content = parsed(value)
    if isinstance(content, list):
        content = {
            str(item["key"]): any_value(item.get("value"))
            for item in content
            if isinstance(item, Mapping) and "key" in item
        }
    return tree({k: parsed(v) for k, v in content.items()}) if isinstance(content, Mapping) else {}


def any_value(value: Any) -> Any:
    """A value of OTLP: ``{"stringValue": ...}``."""
    if not isinstance(value, Mapping) or len(value) != 1:
        return value
    ((kind, inner),) = value.items()
    if kind in ("arrayValue", "array_value"):
        return [any_value(item) for item in inner.get("values") or ()]
    if kind in ("kvlistValue", "kvlist_value"):
        return {item["key"]: any_value(item.get("value")) for item in inner.get("values") or ()}
    return inner if str(kind).endswith(("Value", "_value")) else value


def _question(span: Span) -> str:
    asked = [event for name, event in span.events if name in _MESSAGE_EVENTS]
    details = [event for _, event in span.events]
    sent = [at(span.attributes, key) for key in _INPUTS]
    sent += [at(event, key) for event in reversed(details) for key in _INPUTS]
    sent += [first(at(e, "content"), at(e, "gen_ai.event.content")) for e in reversed(asked)]
    for value in sent:
        if question := find_question(value):
            return question
    if (told := first(*sent)) is None:
        raise ValueError(
            "it holds no messages, which instrumentations leave out unless they are told to "
            "capture content in spans"
        )
    return question_of(told)


def _usage(attributes: Mapping[str, Any]) -> dict[str, float | None]:
    return {
        "cost": amount(_one(attributes, _COSTS)),
        "prompt_tokens": amount(_one(attributes, _PROMPT)),
        "completion_tokens": amount(_one(attributes, _COMPLETION)),
    }


def _evaluation(attributes: Mapping[str, Any], of: str) -> Iterator[Feedback]:
    """The result of an evaluation, in a span's event or attributes."""
    value = at(attributes, "gen_ai.evaluation.score.value")
    if value is not None and is_number(value) and (score := number(value)) is not None:
        yield Feedback(of, str(at(attributes, "gen_ai.evaluation.name") or "score"), score)


def _one(attributes: Mapping[str, Any], keys: tuple[str, ...]) -> Any:
    return first(*(at(attributes, key) for key in keys))
