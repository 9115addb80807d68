"""MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from avengers_core.importers.feedback import feedback_in, is_feedback
from avengers_core.importers.layout import Call, Feedback, Found, Place, by_row, layout, taken
from avengers_core.importers.layouts.traces.spans import (
    Span,
    attributes_of,
    events_in,
    found_in,
    id_of,
)
from avengers_core.importers.reading.tables import Row
from avengers_core.importers.values import at, first, is_number, mapping, number, parsed, sequence

_DATASET = "mlflow"
_YES = {"yes": 1.0, "no": 0.0, "pass": 1.0, "fail": 0.0}  # what its judges say


@layout(
    "mlflow",
    "traces of MLflow, with assessments: JSON of traces, or search_traces() as a table",
    "info & data.spans",
    "trace_metadata & spans",
    "request_metadata & spans",
    "trace & trace_metadata",
    "trace & request_metadata",
)
@by_row
def mlflow(row: Row, place: Place) -> Iterator[Found]:
    """Traces, one a row; assessments of a trace or of its spans are their scores.

    Source: mlflow.org/docs, tracing: trace, span and assessment.
    """
    told = parsed(row.get("trace"))
    trace = told if isinstance(told, Mapping) else row
    info = mapping(first(trace.get("info"), trace), "info")
    spans = first(at(trace, "data.spans"), row.get("spans"))
    if spans is None and is_feedback(row):
        yield from feedback_in(row, place)
        return
    id_ = str(first(info.get("trace_id"), info.get("request_id"), row.get("trace_id")))
    tags = mapping(info.get("tags"), "tags")
    dataset = str(first(tags.get("mlflow.traceName"), _DATASET))
    request = first(info.get("client_request_id"), info.get("request_id"))
    # So that feedback by the id that the client gave counts, too.
    yield Call(id_, None, None if request is None else str(request), place)
    assessments = first(info.get("assessments"), row.get("assessments"))
    for item in sequence(assessments, "assessments"):
        yield from _assessment(mapping(item, "assessment"), id_)
    items = [(span, place) for span in sequence(spans, "spans")]
    yield from taken(items, partial(_span, trace=id_, dataset=dataset))


def _span(row: Any, place: Place, trace: str, dataset: str) -> Iterator[Found]:
    span = mapping(row, "span")
    context = mapping(span.get("context"), "context")
    id_ = id_of(first(span.get("span_id"), context.get("span_id")))
    if id_ is None:
        raise ValueError("expected a span with a span_id")
    parent = id_of(first(span.get("parent_span_id"), span.get("parent_id")))
    attributes = attributes_of(span.get("attributes"))
    inputs = first(at(attributes, "mlflow.spanInputs"), span.get("inputs"))
    if (
        at(attributes, "mlflow.llm.model") is None
        and at(attributes, "gen_ai.request.model") is None
    ):
        named = first(at(inputs, "model"), at(attributes, "model"), at(attributes, "model_name"))
        mlflow = attributes.setdefault("mlflow", {})
        if named is not None and isinstance(mlflow, dict):
            mlflow.setdefault("llm", {})
            if isinstance(mlflow["llm"], dict):
                mlflow["llm"]["model"] = named
    # What has no step above it is of the trace.
    found = Span(
        id_, parent or trace, trace, attributes, None, events_in(span.get("events")), dataset
    )
    yield from found_in(found, place)


def _assessment(item: Mapping[str, Any], trace: str) -> Iterator[Feedback]:
    """Feedback; expectations are no scores, and what was overridden is none any more."""
    if item.get("valid") is False:
        return
    value = at(item, "feedback.value")
    if isinstance(value, str):
        value = _YES.get(value.strip().lower(), value)
    if value is not None and is_number(value) and (score := number(value)) is not None:
        name = first(item.get("assessment_name"), item.get("name"), "score")
        yield Feedback(str(first(id_of(item.get("span_id")), trace)), str(name), score)
