"""Phoenix."""

from __future__ import annotations

from collections.abc import Iterator

from avengers_core.importers.feedback import by_call, scored
from avengers_core.importers.layout import Found, layout
from avengers_core.importers.layouts.traces.spans import found_in, span_id
from avengers_core.importers.reading.tables import Place, Row
from avengers_core.importers.values import at, one, parsed, tree

_DATASET = "phoenix"


@layout(
    "phoenix",
    "context.span_id & span_kind",
    "context.span_id & spanKind",
    "context.span_id & status_code & attributes.openinference.span.kind",
    "span_id & annotator_kind",
    "span_id & annotation_name",
)
@by_call("span_kind", "spanKind")
def phoenix(row: Row, place: Place) -> Iterator[Found]:
    """Spans as ``get_spans_dataframe()`` or the API gives them; other rows are annotations.

    Source: arize.com/docs/phoenix, and github.com/Arize-ai/openinference, spec.
    """
    span = tree({key: parsed(value) for key, value in row.items()})
    for item in one(span, "annotations", "span_annotations") or ():
        yield from scored(span_id(span), at(item, "name"), one(item, "score", "result.score"))
    project = one(span, "project_name", "attributes.openinference.project.name")
    dataset = _DATASET if project in (None, "UNKNOWN") else str(project)
    yield from found_in(span, place, dataset)
