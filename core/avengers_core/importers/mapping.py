"""Any table or JSON, by the names of its columns."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

from avengers_core.errors import RecordError
from avengers_core.importers.layout import Layout, Read, Result, by_row
from avengers_core.importers.questions import question_of
from avengers_core.importers.reading.tables import Place, Row
from avengers_core.importers.values import amount, at, number, parsed, shown, text

_UNITS = ("cost", "prompt_tokens", "completion_tokens")
_OF_A_MODEL = ("score", *_UNITS)
FIELDS = ("query", "model", *_OF_A_MODEL, "dataset", "index", "propensity")
# Names that columns often have; only for a proposal.
_USUAL: dict[str, tuple[str, ...]] = {
    "query": (
        *("query", "question", "prompt", "input", "inputs", "user_input", "user_prompt", "text"),
        *("instruction", "messages", "problem", "origin_prompt"),
    ),
    "model": ("model", "model_name", "model_id", "request_model", "llm", "provider"),
    "score": (
        *("score", "scores", "performance", "accuracy", "correct", "correctness", "grade"),
        *("rating", "reward", "passed", "success", "faithfulness"),
    ),
    "cost": ("cost", "cost_usd", "total_cost", "estimated_cost", "price", "costs"),
    "prompt_tokens": ("prompt_tokens", "input_tokens", "tokens_in"),
    "completion_tokens": ("completion_tokens", "output_tokens", "tokens_out"),
    "dataset": ("dataset", "task", "task_name", "category", "benchmark"),
    "propensity": ("propensity", "action_probability"),
}


def mapped(mapping: Mapping[str, str]) -> Layout:
    """A layout made of the names of columns.

    Args:
        mapping: field -> column, or a path of keys (``usage.cost``). Fields are ``query`` and
            ``score``; ``model``; ``cost`` (USD), ``prompt_tokens``, ``completion_tokens``;
            ``dataset``, ``index``; ``propensity``, the chance with which the model was chosen.
            Without a column for the model, the score's holds an object
            model -> score, or ``score.MODEL`` names the column of each model; likewise the costs
            and tokens. ``*`` in a path stands for the model (``results.*.score``).

    Raises:
        RecordError: a field that is none, or one that is missing.
    """
    for field in mapping:
        name, _, model = field.partition(".")
        if field not in FIELDS and not (name in _OF_A_MODEL and model):
            raise RecordError(
                f"mapping= (--map) has no field {field!r}; there are {', '.join(FIELDS)}, and "
                f"score.MODEL, cost.MODEL and so on for a column of each model"
            )
    scores = [field for field in mapping if field.partition(".")[0] == "score"]
    if "query" not in mapping or not scores:
        raise RecordError(
            f"mapping= (--map) must name the columns of query and score, got "
            f"{', '.join(f'{k}={v}' for k, v in mapping.items()) or 'nothing'}"
        )
    read: Read = by_row(partial(_results, mapping=mapping))
    return Layout("mapping", (), read)


def proposal(row: Row) -> str:
    """What to give to ``--map`` for a row, as far as the names of its columns tell.

    They are looked for among the columns, then below them.
    """
    below = {
        f"{column}.{key}": key
        for column, value in row.items()
        if isinstance(inner := parsed(value), Mapping)
        for key in inner
    }
    names = {str(key): str(key) for key in row} | below
    columns: dict[str, str] = {}
    for column, name in names.items():
        columns.setdefault(str(name).rpartition(".")[2].lower(), column)
        columns.setdefault(str(name).lower(), column)
    found = {
        field: columns[name]
        for field, usual in _USUAL.items()
        for name in [next((n for n in usual if n in columns), None)]
        if name is not None
    }
    found = {"query": "COLUMN", "score": "COLUMN", **found}
    score = found["score"]
    if isinstance(scores := parsed(at(row, score)), Mapping):
        if "model" in found and not set(map(str, scores)) & {str(at(row, found["model"]))}:
            found["score"] = next((f"{score}.{name}" for name in scores), score)
        else:
            found.pop("model", None)
    elif "model" not in found:
        found["score.MODEL"] = found.pop("score")
    return ",".join(
        f"{field}={found[field]}" for field in (*FIELDS, "score.MODEL") if field in found
    )


def _results(row: Row, place: Place, mapping: Mapping[str, str]) -> Iterator[Result]:
    query = question_of(_column(row, mapping["query"]))
    values = {field: _by_model(row, field, mapping) for field in _OF_A_MODEL}
    dataset, index, chance = (
        _column(row, mapping[field]) if field in mapping else None
        for field in ("dataset", "index", "propensity")
    )
    key = None if index is None else (str(dataset), query, str(index))
    for (model, time), score in values["score"].items():
        yield Result(
            query,
            text(model, "model"),
            {"score": number(score)},
            str(dataset) if dataset not in (None, "") else place.dataset,
            place,
            key,
            index if isinstance(index, int | str) or index is None else str(index),
            {unit: amount(values[unit].get((model, time))) for unit in _UNITS},
            number(chance),
        )


def _by_model(row: Row, field: str, mapping: Mapping[str, str]) -> dict[tuple[Any, int], Any]:
    """Values of a field in a row, by the model and which time it comes there."""
    found: list[tuple[Any, Any]] = []
    for name, column in mapping.items():
        head, _, model = name.partition(".")
        if head != field:
            continue
        value = _column(row, column, needed=field == "score" and not model)
        if model:
            found.append((model, value))
        elif "model" in mapping:
            found += _named(_column(row, mapping["model"]), value, column)
        elif isinstance(value, Mapping):
            found += [(str(key), inner) for key, inner in value.items()]
        elif field == "score":
            raise ValueError(
                f"expected an object of models and scores as {column}, got {shown(value)}; "
                f"name the column of the models (model=COLUMN), or score.MODEL={column}"
            )
    times = Counter[Any]()
    by_time: dict[tuple[Any, int], Any] = {}
    for model, value in found:
        by_time[model, times[model]] = value
        times[model] += 1
    return by_time


def _named(models: Any, values: Any, column: str) -> list[tuple[Any, Any]]:
    """One model and its value, or as many as two lists have."""
    if not isinstance(models, list):
        return [(models, values)]
    if values is None:  # none of them has it
        values = [None] * len(models)
    if not isinstance(values, list) or len(values) != len(models):
        n = len(models)
        raise ValueError(f"expected as {column} a list of {n}, one a model, got {shown(values)}")
    return list(zip(models, values, strict=True))


def _column(row: Row, path: str, needed: bool = True) -> Any:
    """What lies in a column, or at a path of keys.

    Raises:
        ValueError: there is no such column.
    """
    head, star, tail = path.partition(".*")
    value = parsed(at(row, head))
    if value is None and needed and head not in row and head.partition(".")[0] not in row:
        raise ValueError(f"no column {path!r}; there are {', '.join(map(str, row))}")
    if star:
        if not isinstance(value, Mapping):
            raise ValueError(f"expected an object as {head}, got {shown(value)}")
        tail = tail.removeprefix(".")
        return {key: at(inner, tail) if tail else inner for key, inner in value.items()}
    return value
