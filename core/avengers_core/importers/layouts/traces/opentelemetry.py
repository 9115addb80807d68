"""OpenTelemetry."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from avengers_core.importers.feedback import by_call
from avengers_core.importers.layout import Found, each, layout, taken
from avengers_core.importers.layouts.traces.spans import (
    Event,
    any_value,
    attributes_of,
    found_in,
    id_of,
)
from avengers_core.importers.reading.tables import File, Place, Row, placed
from avengers_core.importers.values import at, first, mapping, one, sequence
from avengers_core.records.record import RecordProblem

_DATASET = "opentelemetry"
_SEVERITIES = {"severity_number", "severityNumber", "severity_text"}

Logged = Mapping[str, Sequence[Event]]
"""Events of spans, by the spans' ids, that were written to a log."""


@layout(
    "opentelemetry",
    "resourceSpans[]",
    "resource_spans[]",
    "resourceLogs[]",
    "scopeSpans[]",
    "context.span_id & kind & attributes",
    "spanId & traceId & attributes",
    "span_id & trace_id & attributes",
    "attributes.gen_ai.request.model",
    "attributes.gen_ai.response.model",
)
def opentelemetry(files: Sequence[File]) -> Iterator[Found]:
    """Spans, one a row, or in OTLP's ``resourceSpans``; other rows are feedback by span or trace.

    Log records, in OTLP's ``resourceLogs`` or as an SDK prints them, are events of their spans:
    newer instrumentations write messages and results of evaluations there.

    Source: opentelemetry.io/docs/specs/otlp, and specs/semconv/gen-ai.
    """
    logged: dict[str, list[Event]] = {}
    for file in files:
        logs = (item for item in placed(file) if _is_log(item[0]))
        for found in taken(logs, _records):
            if isinstance(found, RecordProblem):
                yield found
            else:
                logged.setdefault(found[0], []).append(found[1])
    yield from by_call("attributes")(partial(_found, logged=logged))(files)


def _found(row: Row, place: Place, logged: Logged) -> Iterator[Found]:
    resources = one(row, "resourceSpans", "resource_spans")
    if resources is None and ("scopeSpans" in row or "scope_spans" in row):
        resources = [row]
    if resources is not None:
        for resource in sequence(resources, "resourceSpans"):
            dataset = _service(mapping(resource, "resourceSpans").get("resource"))
            scopes = first(resource.get("scopeSpans"), resource.get("scope_spans"))
            for scope in sequence(scopes, "scopeSpans"):
                spans = sequence(mapping(scope, "scopeSpans").get("spans"), "spans")
                yield from each(spans, place, _span, dataset=dataset, logged=logged)
    elif not _is_log(row):
        yield from _span(row, place, _service(row.get("resource")), logged)


def _span(row: Any, place: Place, dataset: str, logged: Logged) -> Iterator[Found]:
    return found_in(mapping(row, "span"), place, dataset, logged=logged)


def _is_log(row: Any) -> bool:
    return isinstance(row, Mapping) and (
        bool({"resourceLogs", "resource_logs", "logRecords"} & row.keys())
        or ("body" in row and bool(_SEVERITIES & row.keys()))
    )


def _records(row: Row, place: Place) -> Iterator[tuple[str, Event]]:
    """The log records in a row that belong to a span: its id, their name and attributes."""
    del place
    records: list[Any] = [row]
    for keys in (("resourceLogs", "resource_logs"), ("scopeLogs", "scope_logs"), ("logRecords",)):
        records = [inner for record in records for inner in first(one(record, *keys), [record])]
    for record in records:
        if span := id_of(one(record, "spanId", "span_id")):
            attributes = attributes_of(record.get("attributes"))
            named = one(record, "eventName", "event_name")
            body = any_value(record.get("body"))
            if isinstance(body, Mapping):
                attributes = {**body, **attributes}
            yield span, (str(named or at(attributes, "event.name")), attributes)


def _service(resource: Any) -> str:
    attributes = attributes_of(at(resource, "attributes"))
    return str(first(at(attributes, "service.name"), _DATASET))
