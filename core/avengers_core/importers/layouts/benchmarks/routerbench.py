"""RouterBench."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from avengers_core.importers.layout import Result, by_row, layout
from avengers_core.importers.reading.tables import Place, Row
from avengers_core.importers.values import number, usage
from avengers_core.records.sources.cells import plain

_COST, _ANSWER = "|total_cost", "|model_response"
_OTHERS = {"sample_id", "prompt", "eval_name", "oracle_model_to_route_to"}


@layout("routerbench", "prompt & eval_name")
@by_row
def routerbench(row: Row, place: Place) -> Iterator[Result]:
    """Wide tables: ``prompt``, ``eval_name``, ``<model>``, ``<model>|total_cost``.

    Source: github.com/withmartian/routerbench, arXiv 2403.12031.
    """
    models = [c.removesuffix(_COST) for c in row if c.endswith(_COST)] or [
        c for c in row if c not in _OTHERS and not c.endswith(_ANSWER)
    ]
    query = _first_prompt(row["prompt"])
    if not query.strip():
        raise ValueError("expected a text as prompt, got none")
    dataset = str(row.get("eval_name") or place.dataset)
    index = str(row.get("sample_id", place.row))
    for model in models:
        yield Result(
            query,
            model,
            {"score": number(row.get(model))},
            dataset,
            place,
            place,
            index,
            usage(row.get(model + _COST)),
        )


def _first_prompt(value: Any) -> str:
    """The prompts are lists of texts, also where a table made texts of the lists."""
    if isinstance(value, str) and value.startswith(("['", '["')):
        value = plain(value)
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
