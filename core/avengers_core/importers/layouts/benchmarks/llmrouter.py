"""LLMRouter of ulab-uiuc."""

from __future__ import annotations

from collections.abc import Iterator

from avengers_core.importers.layout import Result, by_row, layout
from avengers_core.importers.reading.tables import Place, Row
from avengers_core.importers.values import number, text, usage


@layout(
    "llmrouter",
    "query & model_name & performance",
    "task_name & model_name & performance",
)
@by_row
def llmrouter(row: Row, place: Place) -> Iterator[Result]:
    """Routing data, one result a row: ``query``, ``task_name``, ``model_name``, ``performance``.

    Costs are taken where the rows have them (``cost``), tokens from ``input_tokens`` and
    ``output_tokens``.

    Source: github.com/ulab-uiuc/LLMRouter.
    """
    yield Result(
        text(row["query"], "query"),
        text(row["model_name"], "model_name"),
        {"performance": number(row["performance"])},
        str(row.get("task_name") or place.dataset),
        place,
        usage=usage(*map(row.get, ("cost", "input_tokens", "output_tokens"))),
    )
