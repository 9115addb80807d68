"""Spans, with the attributes that OpenTelemetry, OpenInference and MLflow give them."""

from __future__ import annotations

import re
from base64 import b64decode
from collections.abc import Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from avengers_core.importers.feedback import scored
from avengers_core.importers.layout import Call, Feedback, Found
from avengers_core.importers.questions import find_question, question_of
from avengers_core.importers.reading.tables import Place, Row
from avengers_core.importers.values import at, first, one, parsed, text, tree, usage

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
_IDS = ("context.span_id", "span_id", "spanId", "id")
_PARENTS = ("parent_id", "parentId", "parent_span_id", "parentSpanId")
_TRACES = ("context.trace_id", "trace_id", "traceId")
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


def found_in(
    span: Row,
    place: Place,
    dataset: str,
    *,
    trace: str | None = None,
    model: Any = None,
    logged: Mapping[str, Sequence[Event]] = MappingProxyType({}),
) -> Iterator[Found]:
    """The call that a span is, and the feedback that it carries.

    Args:
        span: as OTLP, an SDK, Phoenix or MLflow writes it.
        place: where it was found.
        dataset: what the trace is of.
        trace: id of the whole, of which a span is that has no step above it; default, what the span
            says, which then is a step of none.
        model: that was asked, where no attribute says so.
        logged: events by the ids of the spans that they belong to, besides those in the span.

    Raises:
        ValueError: it has no id, or is a call without a question.

    Source: opentelemetry.io/docs/specs/semconv/gen-ai; github.com/Arize-ai/openinference, spec;
    mlflow.org/docs, tracing.
    """
    id_ = span_id(span)
    of = attributes_of(span.get("attributes"))
    events = (*events_in(span.get("events")), *logged.get(id_, ()))
    for name, event in events:
        if name == "gen_ai.evaluation.result":
            yield from _evaluation(event, id_)
    yield from _evaluation(of, at(of, "gen_ai.evaluation.target_id") or id_)
    parent = id_of(one(span, *_PARENTS)) or trace
    call = Call(id_, parent, trace or id_of(one(span, *_TRACES)), place)
    model = first(one(of, *_MODELS), model)
    told = one(span, "span_kind", "spanKind")
    kind = first(None if told == "UNKNOWN" else told, parsed_word(one(of, *_KINDS)))
    operation = at(of, "gen_ai.operation.name")
    is_call = operation not in _NO_CALL
    if kind is not None and operation is None:
        is_call = str(kind).upper() in _MODEL_KINDS
    if model is not None and is_call:
        call = call._replace(
            model=text(parsed_word(model), "model"),
            query=_question(of, events),
            dataset=dataset,
            usage=usage(one(of, *_COSTS), one(of, *_PROMPT), one(of, *_COMPLETION)),
        )
    yield call


def span_id(span: Row) -> str:
    """A span's id.

    Raises:
        ValueError: it has none.
    """
    id_ = id_of(one(span, *_IDS))
    if id_ is None:
        raise ValueError(f"expected a span with an id ({', '.join(_IDS)})")
    return id_


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


def _question(attributes: Row, events: Sequence[Event]) -> str:
    details = [event for _, event in reversed(events)]
    asked = [event for name, event in reversed(events) if name in _MESSAGE_EVENTS]
    sent = [at(attributes, key) for key in _INPUTS]
    sent += [at(event, key) for event in details for key in _INPUTS]
    sent += [one(event, "content", "gen_ai.event.content") for event in asked]
    for value in sent:
        if question := find_question(value):
            return question
    if (told := first(*sent)) is None:
        raise ValueError(
            "it holds no messages, which instrumentations leave out unless they are told to "
            "capture content in spans"
        )
    return question_of(told)


def _evaluation(attributes: Row, of: Any) -> Iterator[Feedback]:
    """The result of an evaluation, in a span's event or attributes."""
    value = at(attributes, "gen_ai.evaluation.score.value")
    return scored(of, at(attributes, "gen_ai.evaluation.name"), value)
