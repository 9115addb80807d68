"""OpenTelemetry."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from avengers_core.importers.feedback import feedback_in, is_feedback
from avengers_core.importers.layout import Found, Place, by_row, layout, taken
from avengers_core.importers.layouts.traces.spans import (
    Span,
    attributes_of,
    events_in,
    found_in,
    id_of,
)
from avengers_core.importers.reading.tables import Row
from avengers_core.importers.values import at, first, mapping, sequence

_DATASET = "opentelemetry"


@layout(
    "opentelemetry",
    "spans with GenAI or OpenInference attributes: OTLP JSON, or as an SDK prints them",
    "resourceSpans[]",
    "resource_spans[]",
    "scopeSpans[]",
    "context.span_id & kind & attributes",
    "spanId & traceId & attributes",
    "span_id & trace_id & attributes",
    "attributes.gen_ai.request.model",
    "attributes.gen_ai.response.model",
)
@by_row
def opentelemetry(row: Row, place: Place) -> Iterator[Found]:
    """Spans, one a row, or in OTLP's ``resourceSpans``; other rows are feedback by span or trace.

    Source: opentelemetry.io/docs/specs/otlp, and specs/semconv/gen-ai.
    """
    resources = first(row.get("resourceSpans"), row.get("resource_spans"))
    if resources is None and ("scopeSpans" in row or "scope_spans" in row):
        resources = [row]
    if resources is not None:
        for resource in sequence(resources, "resourceSpans"):
            dataset = _service(mapping(resource, "resourceSpans").get("resource"))
            scopes = first(resource.get("scopeSpans"), resource.get("scope_spans"))
            for scope in sequence(scopes, "scopeSpans"):
                spans = sequence(mapping(scope, "scopeSpans").get("spans"), "spans")
                items = [(span, place) for span in spans]
                yield from taken(items, partial(_span, dataset=dataset))
    elif "attributes" not in row and is_feedback(row):
        yield from feedback_in(row, place)
    else:
        yield from _span(row, place, _service(row.get("resource")))


def _span(row: Any, place: Place, dataset: str) -> Iterator[Found]:
    span = mapping(row, "span")
    context = mapping(span.get("context"), "context")
    known = {**span, **context}
    id_ = id_of(first(known.get("span_id"), known.get("spanId"), known.get("id")))
    if id_ is None:
        raise ValueError("expected a span with an id (spanId, span_id)")
    parent = first(known.get("parentSpanId"), known.get("parent_span_id"), known.get("parent_id"))
    yield from found_in(
        Span(
            id_,
            id_of(parent),
            id_of(first(known.get("trace_id"), known.get("traceId"))),
            attributes_of(span.get("attributes")),
            None,
            events_in(span.get("events")),
            dataset,
        ),
        place,
    )


def _service(resource: Any) -> str:
    attributes = attributes_of(at(resource, "attributes"))
    return str(first(at(attributes, "service.name"), _DATASET))
