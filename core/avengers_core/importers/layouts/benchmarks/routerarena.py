"""RouterArena."""

from __future__ import annotations

from collections.abc import Iterator

from avengers_core.importers.layout import Place, Result, by_row, layout
from avengers_core.importers.reading.tables import Row
from avengers_core.importers.values import amount, at, first, number, text


@layout(
    "routerarena",
    "results of RouterArena: cached_results/<model>.jsonl, or the predictions of a router",
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
    index = str(first(row.get("global_index"), row.get("global index")))
    graded = "evaluation_result" in row
    score = at(row, "evaluation_result.score") if graded else row.get("accuracy")
    tokens = first(row.get("token_usage"), at(row, "generated_result.token_usage"))
    failed = row.get("success") is False or score is None
    yield Result(
        text(first(row.get("question"), row.get("prompt")), "question"),
        text(first(row.get("llm_selected"), row.get("prediction")), "llm_selected"),
        {} if failed else {"score": number(score)},
        index.rpartition("_")[0] or place.dataset,
        place,
        index=index,
        usage={
            "cost": amount(first(at(row, "evaluation_result.inference_cost"), row.get("cost"))),
            "prompt_tokens": amount(at(tokens, "input_tokens")),
            "completion_tokens": amount(at(tokens, "output_tokens")),
        },
    )
