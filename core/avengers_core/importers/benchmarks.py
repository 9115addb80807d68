"""Layouts of the public routing benchmarks."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from avengers_core.importers.joining import Join
from avengers_core.importers.tables import UNFIT, File, Row, number, rows, taken, text, unfit
from avengers_core.records.record import RecordProblem

_COST, _ANSWER = "|total_cost", "|model_response"
_ROUTERBENCH_OTHERS = {"sample_id", "prompt", "eval_name", "oracle_model_to_route_to"}
_UNITS = ("prompt_tokens", "completion_tokens", "cost")


def is_result_file(row: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a result file of LLMRouterBench."""
    return isinstance(row.get("records"), list) and bool(row["records"])


def llmrouterbench(files: Sequence[File]) -> Iterator[Any]:
    """Result folders: ``<dataset>/<split>/<model>/<time>.json``; of several times the newest.

    Source: github.com/ynulihao/LLMRouterBench, results/.
    """
    newest: dict[tuple[str, ...], File] = {}
    for file in files:
        place = (*((".",) * 3), *file.name.parts)[-4:-1]
        if place not in newest or file.name.name >= newest[place].name.name:
            newest[place] = file
    join = Join()
    problems: list[RecordProblem] = []
    for (dataset, split, model), file in newest.items():
        for i, content in enumerate(rows(file), 1):
            if isinstance(content, RecordProblem):
                problems.append(content)
                continue
            if not is_result_file(content):
                reason = "expected an object with a list `records`"
                problems.append(unfit(file, i, reason, content))
                continue
            name = str(content.get("model_name") or model)
            where = str(content.get("dataset_name") or dataset)
            for n, item in enumerate(content["records"], 1):
                try:
                    _add_result(join, item, name, where, (dataset, split))
                except UNFIT as error:
                    problems.append(unfit(file, n, error, item))
    yield from problems
    yield from join.rows()


def routerbench(files: Sequence[File]) -> Iterator[Any]:
    """Wide tables: ``prompt``, ``eval_name``, ``<model>``, ``<model>|total_cost``.

    Source: github.com/withmartian/routerbench, arXiv 2403.12031.
    """

    def record(row: Row, file: File, i: int) -> dict[str, Any]:
        models = [c.removesuffix(_COST) for c in row if c.endswith(_COST)] or [
            c for c in row if c not in _ROUTERBENCH_OTHERS and not c.endswith(_ANSWER)
        ]
        costs = {m: number(row.get(m + _COST)) for m in models}
        return {
            "query": _first_prompt(row["prompt"]),
            "records": {m: number(row.get(m)) for m in models},
            "usages": {m: {"cost": cost} for m, cost in costs.items() if cost is not None},
            "dataset": str(row.get("eval_name") or file.name.stem),
            "index": str(row.get("sample_id", i)),
        }

    return taken(files, record)


def routellm(files: Sequence[File]) -> Iterator[Any]:
    """CSV files: ``prompt``, and for each model a column of True and False or of scores.

    The dataset is the file's name. Columns of texts (answers) are left out; there are no costs.

    Source: github.com/lm-sys/RouteLLM, routellm/evals.
    """
    for file in files:
        yield from taken([file], partial(_evaluation, {}))


def llmrouter(files: Sequence[File]) -> Iterator[Any]:
    """Routing data, one result a row: ``query``, ``task_name``, ``model_name``, ``performance``.

    Costs are taken where the rows have them (``cost``), tokens from ``input_tokens`` and
    ``output_tokens``.

    Source: github.com/ulab-uiuc/LLMRouter.
    """
    join = Join()

    def add(row: Row, file: File, _: int) -> None:
        query = text(row["query"], "query")
        dataset = str(row.get("task_name") or file.name.stem)
        join.add(
            (dataset, query),
            text(row["model_name"], "model_name"),
            number(row["performance"]),
            query=query,
            dataset=dataset,
            cost=number(row.get("cost")),
            prompt_tokens=number(row.get("input_tokens")),
            completion_tokens=number(row.get("output_tokens")),
        )

    yield from [problem for problem in taken(files, add) if problem is not None]
    yield from join.rows()


def _add_result(
    join: Join, item: Mapping[str, Any], model: str, dataset: str, place: tuple[str, str]
) -> None:
    """Add one of the ``records`` of a result file."""
    if not isinstance(item, Mapping):
        raise ValueError(f"expected an object, got {str(item)[:40]!r}")
    query = text(item.get("origin_query") or item["prompt"], "prompt")
    index = item.get("index")
    if not isinstance(index, int | str | None):
        raise ValueError(f"expected a number or text as index, got {str(index)[:40]!r}")
    join.add(
        (*place, index if index is not None else query),
        model,
        number(item["score"]),
        query=query,
        dataset=dataset,
        index=index,
        **{unit: number(item.get(unit)) for unit in _UNITS},
    )


def _evaluation(is_model: dict[str, bool], row: Row, file: File, i: int) -> dict[str, Any]:
    """A row of a table of RouteLLM; ``is_model`` notes what a column's first value says it is."""
    for column, value in row.items():
        if column not in ("prompt", "") and column not in is_model and not _is_gap(value):
            is_model[column] = _is_number(value)
    return {
        "query": row["prompt"],
        "records": {m: number(row[m]) for m, yes in is_model.items() if yes},
        "dataset": file.name.stem,
        "index": i - 1,
    }


def _first_prompt(value: Any) -> str:
    """RouterBench's prompts are lists of texts, also where a table made texts of the lists."""
    if isinstance(value, str) and value.startswith(("['", '["')):
        with contextlib.suppress(ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
            value = ast.literal_eval(value)
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _is_gap(value: Any) -> bool:
    return _is_number(value) and number(value) is None


def _is_number(value: Any) -> bool:
    try:
        number(value)
    except ValueError:
        return False
    return True
