"""Layouts of the public routing benchmarks."""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from avengers_core.errors import RecordError
from avengers_core.importers.joining import Join
from avengers_core.importers.tables import files, number, rows
from avengers_core.records import RecordProblem

_COST, _ANSWER = "|total_cost", "|model_response"
_ROUTERBENCH_OTHERS = {"sample_id", "prompt", "eval_name", "oracle_model_to_route_to"}
_UNITS = ("prompt_tokens", "completion_tokens", "cost")


def is_result_file(row: Mapping[str, Any]) -> bool:
    """Whether a JSON object is a result file of LLMRouterBench."""
    records = row.get("records")
    return isinstance(records, list) and bool(records) and "score" in records[0]


def llmrouterbench(path: Path) -> Iterator[Any]:
    """Result folders: ``<dataset>/<split>/<model>/<time>.json``; of several times the newest.

    Source: github.com/ynulihao/LLMRouterBench, results/.
    """
    newest: dict[tuple[str, str, str], Path] = {}
    for file in files(path):
        place = (*((".",) * 3), *file.parts)[-4:-1]
        newest[place[0], place[1], place[2]] = file  # by name, so the newest comes last
    join = Join()
    problems: list[RecordProblem] = []
    for (dataset, split, model), file in newest.items():
        for content in rows(file):
            if not isinstance(content, Mapping) or not is_result_file(content):
                problems.append(
                    RecordProblem(1, f"{file}: expected an object with a list `records`", "")
                )
                continue
            name = str(content.get("model_name") or model)
            for i, item in enumerate(content["records"], 1):
                try:
                    query = item.get("origin_query") or item["prompt"]
                    usage = {unit: number(item.get(unit)) for unit in _UNITS}
                    score, index = number(item.get("score")), item.get("index")
                except (KeyError, TypeError, ValueError, AttributeError) as error:
                    problems.append(RecordProblem(i, f"{file}: {error!r}", str(item)[:80]))
                    continue
                where = content.get("dataset_name") or dataset
                join.add(
                    (dataset, split, index if index is not None else query),
                    name,
                    score,
                    query=query,
                    dataset=str(where),
                    index=index,
                    **usage,
                )
    yield from problems
    yield from join.rows()


def routerbench(path: Path) -> Iterator[Any]:
    """Wide tables: ``prompt``, ``eval_name``, ``<model>``, ``<model>|total_cost``.

    Source: github.com/withmartian/routerbench, arXiv 2403.12031.
    """
    for file in files(path):
        for i, row in enumerate(rows(file), 1):
            if isinstance(row, RecordProblem):
                yield row
                continue
            models = [c.removesuffix(_COST) for c in row if c.endswith(_COST)] or [
                c for c in row if c not in _ROUTERBENCH_OTHERS and not c.endswith(_ANSWER)
            ]
            try:
                yield {
                    "query": _first_prompt(row["prompt"]),
                    "records": {m: number(row.get(m)) for m in models},
                    "usages": {
                        m: {"cost": cost}
                        for m in models
                        if (cost := number(row.get(m + _COST))) is not None
                    },
                    "dataset": str(row.get("eval_name") or file.stem),
                    "index": str(row.get("sample_id", i)),
                }
            except (KeyError, ValueError) as error:
                yield RecordProblem(i, f"{file.name}: {error!r}", str(row.get("prompt"))[:80])


def routellm(path: Path) -> Iterator[Any]:
    """CSV files: ``prompt``, and for each model a column of True and False or of scores.

    The dataset is the file's name. Columns of texts (answers) are left out; there are no costs.

    Source: github.com/lm-sys/RouteLLM, routellm/evals.
    """
    for file in files(path):
        models: list[str] | None = None
        for i, row in enumerate(rows(file), 1):
            if isinstance(row, RecordProblem):
                yield row
                continue
            if "prompt" not in row:
                raise RecordError(f"{file}: expected a column `prompt`, got {list(row)}")
            if models is None:
                models = [c for c in row if c not in ("prompt", "") and _is_number(row[c])]
            try:
                yield {
                    "query": row["prompt"],
                    "records": {m: number(row[m]) for m in models},
                    "dataset": file.stem,
                    "index": i - 1,
                }
            except ValueError as error:
                yield RecordProblem(i, f"{file.name}: {error}", str(row["prompt"])[:80])


def llmrouter(path: Path) -> Iterator[Any]:
    """Routing data, one result a row: ``query``, ``task_name``, ``model_name``, ``performance``.

    Costs are taken where the rows have them (``cost``), tokens from ``input_tokens`` and
    ``output_tokens``.

    Source: github.com/ulab-uiuc/LLMRouter.
    """
    join = Join()
    problems: list[RecordProblem] = []
    for file in files(path):
        for i, row in enumerate(rows(file), 1):
            if isinstance(row, RecordProblem):
                problems.append(row)
                continue
            try:
                query, dataset = row["query"], str(row.get("task_name") or file.stem)
                join.add(
                    (dataset, query),
                    row["model_name"],
                    number(row["performance"]),
                    query=query,
                    dataset=dataset,
                    cost=number(row.get("cost")),
                    prompt_tokens=number(row.get("input_tokens")),
                    completion_tokens=number(row.get("output_tokens")),
                )
            except (KeyError, TypeError, ValueError) as error:
                reason = f"no {error}" if isinstance(error, KeyError) else str(error)
                problems.append(RecordProblem(i, f"{file.name}: {reason}", str(dict(row))[:80]))
    yield from problems
    yield from join.rows()


def _first_prompt(value: Any) -> str:
    """RouterBench's prompts are lists of texts, also where a table made texts of the lists."""
    if isinstance(value, str) and value.startswith(("['", '["')):
        with contextlib.suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            value = ast.literal_eval(value)
    return "\n".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _is_number(value: Any) -> bool:
    try:
        return number(value) is not None
    except (TypeError, ValueError):
        return False
