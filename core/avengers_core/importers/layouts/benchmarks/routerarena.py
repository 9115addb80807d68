"""RouterArena."""

from __future__ import annotations

from collections.abc import Iterator

from avengers_core.importers.layout import Result, by_row, layout
from avengers_core.importers.reading.tables import Place, Row
from avengers_core.importers.values import at, number, one, text, usage


@layout(
    "routerarena",
    "global_index & evaluation_result",
    "global_index & prediction",
    "global index & prediction",
    scale=(0.0, 1.0),
)
@by_row
def routerarena(row: Row, place: Place) -> Iterator[Result]:
    """Cached results of a model, one query a row; or what a router chose, graded.

    Calls that failed have no score. Some scores lie a little below 0, and are rejected one by one.

    Source: github.com/RouteWorks/RouterArena, cached_results/ and router_inference/predictions/.
    """
    index = str(one(row, "global_index", "global index"))
    score = at(row, "evaluation_result.score" if "evaluation_result" in row else "accuracy")
    tokens = one(row, "token_usage", "generated_result.token_usage")
    failed = row.get("success") is False or score is None
    yield Result(
        text(one(row, "question", "prompt"), "question"),
        text(one(row, "llm_selected", "prediction"), "llm_selected"),
        {} if failed else {"score": number(score)},
        index.rpartition("_")[0] or place.dataset,
        place,
        index=index,
        usage=usage(
            one(row, "evaluation_result.inference_cost", "cost"),
            at(tokens, "input_tokens"),
            at(tokens, "output_tokens"),
        ),
    )
