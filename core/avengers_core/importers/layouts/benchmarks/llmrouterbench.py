"""LLMRouterBench and OpenRouterBench."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from avengers_core.importers.layout import Found, Result, layout, taken
from avengers_core.importers.reading.tables import File, Place, Row, placed
from avengers_core.importers.values import number, shown, text, usage


@layout("llmrouterbench", "records[]")
def llmrouterbench(files: Sequence[File]) -> Iterator[Found]:
    """Result folders: ``<dataset>/<split>/<model>/<time>.json``; of several times the newest.

    Source: github.com/ynulihao/LLMRouterBench, results/.
    """
    newest: dict[tuple[str, ...], File] = {}
    for file in files:
        place = (*((".",) * 3), *file.name.parts)[-4:-1]
        if place not in newest or file.name.name >= newest[place].name.name:
            newest[place] = file
    for (dataset, split, model), file in newest.items():
        take = partial(_results, dataset=dataset, split=split, model=model)
        yield from taken(placed(file), take)


def _results(content: Row, place: Place, dataset: str, split: str, model: str) -> Iterator[Found]:
    items = content.get("records")
    if not isinstance(items, list) or not items:
        raise ValueError("expected an object with a list `records`")
    name = str(content.get("model_name") or model)
    where = str(content.get("dataset_name") or dataset)

    def result(item: Any, place: Place) -> Iterator[Result]:
        if not isinstance(item, dict):
            raise ValueError(f"expected an object, got {shown(item)}")
        query = text(item.get("origin_query") or item["prompt"], "prompt")
        index = item.get("index")
        if not isinstance(index, int | str | None):
            raise ValueError(f"expected a number or text as index, got {shown(index)}")
        yield Result(
            query,
            name,
            {"score": number(item["score"])},
            where,
            place,
            (dataset, split, query if index is None else index),
            index,
            usage(*map(item.get, ("cost", "prompt_tokens", "completion_tokens"))),
        )

    numbered = ((item, place._replace(row=n)) for n, item in enumerate(items, 1))
    yield from taken(numbered, result)
