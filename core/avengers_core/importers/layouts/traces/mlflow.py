"""MLflow."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from avengers_core.importers.feedback import by_call, scored
from avengers_core.importers.layout import Call, Feedback, Found, each, layout
from avengers_core.importers.layouts.traces.spans import attributes_of, found_in, id_of
from avengers_core.importers.reading.tables import Place, Row
from avengers_core.importers.values import at, first, mapping, one, parsed, sequence

_DATASET = "mlflow"
_YES = {"yes": 1.0, "no": 0.0, "pass": 1.0, "fail": 0.0}  # what its judges say


@layout(
    "mlflow",
    "info & data.spans",
    "trace_metadata & spans",
    "request_metadata & spans",
    "trace & trace_metadata",
    "trace & request_metadata",
)
@by_call("data", "spans", "trace")
def mlflow(row: Row, place: Place) -> Iterator[Found]:
    """Traces, one a row; assessments of a trace or of its spans are their scores.

    Source: mlflow.org/docs, tracing: trace, span and assessment.
    """
    told = parsed(row.get("trace"))
    trace = told if isinstance(told, Mapping) else row
    info = mapping(first(trace.get("info"), trace), "info")
    id_ = str(first(one(info, "trace_id", "request_id"), row.get("trace_id")))
    tags = mapping(info.get("tags"), "tags")
    # So that feedback by the id that the client gave counts, too.
    yield Call(id_, None, id_of(one(info, "client_request_id", "request_id")), place)
    assessments = first(info.get("assessments"), row.get("assessments"))
    for item in sequence(assessments, "assessments"):
        yield from _assessment(mapping(item, "assessment"), id_)
    spans = sequence(first(at(trace, "data.spans"), row.get("spans")), "spans")
    dataset = str(first(tags.get("mlflow.traceName"), _DATASET))
    yield from each(spans, place, _span, trace=id_, dataset=dataset)


def _span(row: Any, place: Place, trace: str, dataset: str) -> Iterator[Found]:
    span = mapping(row, "span")
    told = {**attributes_of(span.get("attributes")), "inputs": span.get("inputs")}
    named = one(told, "mlflow.spanInputs.model", "inputs.model", "model", "model_name")
    return found_in(span, place, dataset, trace=trace, model=named)


def _assessment(item: Mapping[str, Any], trace: str) -> Iterator[Feedback]:
    """Feedback; expectations are no scores, and what was overridden is none any more."""
    if item.get("valid") is False:
        return
    value = at(item, "feedback.value")
    if isinstance(value, str):
        value = _YES.get(value.strip().lower(), value)
    of = first(id_of(item.get("span_id")), trace)
    yield from scored(of, one(item, "assessment_name", "name"), value)
