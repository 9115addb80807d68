"""RouteLLM."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from typing import Any

from avengers_core.importers.layout import Found, Result, layout, taken
from avengers_core.importers.reading.tables import File, Place, Row, placed
from avengers_core.importers.values import is_number, number, text

_RESPONSE = "_response"
_FEWEST_MODELS = 2


def _is_routellm(row: Row) -> bool:
    """A prompt, and two or more models of which each is right or wrong; else only answers."""
    models = [c for c, value in row.items() if c not in ("prompt", "") and _is_verdict(value)]
    others = set(row) - {"prompt", "", *models} - {m + _RESPONSE for m in models}
    return "prompt" in row and len(models) >= _FEWEST_MODELS and not others


def _is_verdict(value: Any) -> bool:
    return isinstance(value, bool) or (isinstance(value, str) and value in ("True", "False"))


@layout("routellm", fits=_is_routellm)
def routellm(files: Sequence[File]) -> Iterator[Found]:
    """CSV files: ``prompt``, and for each model a column of True and False or of scores.

    The dataset is the file's name. Columns of texts (answers) are left out; there are no costs.

    Source: github.com/lm-sys/RouteLLM, routellm/evals.
    """
    for file in files:
        is_model: dict[str, bool] = {}
        for index, item in enumerate(placed(file)):
            yield from taken([item], partial(_results, index=index, is_model=is_model))


def _results(row: Row, place: Place, index: int, is_model: dict[str, bool]) -> Iterator[Result]:
    """The results in a row; ``is_model`` notes what a column's first value says it is."""
    for column, value in row.items():
        if column not in ("prompt", "") and column not in is_model and not _is_gap(value):
            is_answer = column.endswith(_RESPONSE) and column.removesuffix(_RESPONSE) in row
            is_model[column] = is_number(value) and not is_answer
    query = text(row["prompt"], "prompt")
    for model in (column for column, yes in is_model.items() if yes):
        score = number(row[model])
        yield Result(query, model, {"score": score}, place.dataset, place, place, index)


def _is_gap(value: Any) -> bool:
    return is_number(value) and number(value) is None
