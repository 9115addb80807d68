"""Phoenix."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from avengers_core.importers.feedback import feedback_in, is_feedback
from avengers_core.importers.layout import Feedback, Found, Place, by_row, layout
from avengers_core.importers.layouts.traces.spans import (
    Span,
    attributes_of,
    events_in,
    found_in,
    id_of,
)
from avengers_core.importers.reading.tables import Row
from avengers_core.importers.values import at, first, is_number, number, parsed, tree

_DATASET = "phoenix"


@layout(
    "phoenix",
    "spans of Phoenix (OpenInference), from a dataframe or the API, and their annotations",
    "context.span_id & span_kind",
    "context.span_id & spanKind",
    "context.span_id & status_code & attributes.openinference.span.kind",
    "span_id & annotator_kind",
    "span_id & annotation_name",
)
@by_row
def phoenix(row: Row, place: Place) -> Iterator[Found]:
    """Spans as ``get_spans_dataframe()`` or the API gives them; other rows are annotations.

    Source: arize.com/docs/phoenix, and github.com/Arize-ai/openinference, spec.
    """
    if "span_kind" not in row and "spanKind" not in row and is_feedback(row):
        yield from feedback_in(row, place)
        return
    span = tree({key: parsed(value) for key, value in row.items()})
    id_ = id_of(first(at(span, "context.span_id"), span.get("span_id"), span.get("id")))
    if id_ is None:
        raise ValueError("expected a span with an id (context.span_id)")
    for item in first(span.get("annotations"), span.get("span_annotations")) or ():
        score = first(at(item, "score"), at(item, "result.score"))
        if is_number(score) and (value := number(score)) is not None:
            yield Feedback(id_, str(at(item, "name") or "score"), value)
    yield from found_in(
        Span(
            id_,
            id_of(first(span.get("parent_id"), span.get("parentId"))),
            id_of(first(at(span, "context.trace_id"), span.get("trace_id"))),
            attributes_of(span.get("attributes")),
            _word(first(span.get("span_kind"), span.get("spanKind"))),
            events_in(span.get("events")),
            _word(
                first(span.get("project_name"), at(span, "attributes.openinference.project.name"))
            )
            or _DATASET,
        ),
        place,
    )


def _word(value: Any) -> str | None:
    return None if value is None or value == "UNKNOWN" else str(value)
