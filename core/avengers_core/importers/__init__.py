"""Records from the layouts that people have: benchmark results and exports of traced runs.

::

    rows = import_records("results/bench")          # an iterable of rows as load_records() takes
    records = load_records(rows)                    # records.problems: the rows that were rejected
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from avengers_core.errors import RecordError
from avengers_core.importers import benchmarks, traces
from avengers_core.importers.archives import opened, refuse_pickles
from avengers_core.importers.joining import Scale
from avengers_core.importers.tables import File, Row, first_row

Rows = Iterator[Any]

LAYOUTS: dict[str, str] = {
    "llmrouterbench": "result folders of LLMRouterBench and OpenRouterBench "
    "(<dataset>/<split>/<model>/<time>.json)",
    "routerbench": "wide tables of RouterBench: prompt, eval_name, <model>, <model>|total_cost",
    "routellm": "CSV files of RouteLLM: prompt, and a column of results for each model",
    "llmrouter": "routing data of ulab-uiuc/LLMRouter: query, task_name, model_name, performance",
    "langsmith": "runs exported from LangSmith, with feedback",
    "langfuse": "observations and scores exported from Langfuse",
}


def import_records(
    source: str | os.PathLike[str],
    layout: str | None = None,
    *,
    score_key: str | None = None,
    scale: Scale | None = None,
) -> Rows:
    """Rows for :func:`avengers_core.load_records` from another layout.

    Args:
        source: a file or folder: CSV, TSV, JSON, JSON lines (also gzip), Parquet (needs the extra
            ``parquet``), or tar archives of such, which are all unpacked.
        layout: one of :data:`LAYOUTS`; default, told by the content.
        score_key: name of the score, where a traced run may have several (LangSmith, Langfuse).
        scale: lowest and highest score where it is not [0, 1] (LangSmith, Langfuse).

    Yields:
        Rows; those that are malformed are reported by ``load_records``.

    Raises:
        RecordError: an unknown layout, a pickle, nothing to import, or a damaged file or archive.
        OptionalDependencyError: Parquet without pyarrow.
    """
    path = Path(source)
    if not path.exists():
        raise RecordError(f"there is no file or folder {str(path)!r}")
    if layout is not None and layout not in LAYOUTS:
        raise RecordError(f"no layout {layout!r}; there are {', '.join(LAYOUTS)}")
    if scale is not None and not scale[0] < scale[1]:
        raise ValueError(f"scale must be lowest and highest score, got {scale}")
    refuse_pickles(path)
    return _import(path, layout, score_key, scale)


def _import(path: Path, layout: str | None, score_key: str | None, scale: Scale | None) -> Rows:
    with opened(path) as files:
        found = layout or _layout_of(files, path)
        if found == "langsmith":
            yield from traces.langsmith(path, files, score_key, scale)
        elif found == "langfuse":
            yield from traces.langfuse(path, files, score_key, scale)
        else:
            readers: dict[str, Callable[[Sequence[File]], Rows]] = {
                "llmrouterbench": benchmarks.llmrouterbench,
                "routerbench": benchmarks.routerbench,
                "routellm": benchmarks.routellm,
                "llmrouter": benchmarks.llmrouter,
            }
            yield from readers[found](files)


def _layout_of(files: Sequence[File], source: Path) -> str:
    """The layout that the first file whose first row looks like one has."""
    seen: list[str] | None = None
    for file in files:
        row = first_row(file)
        if row is None:
            continue
        if found := _looks_like(row):
            return found
        seen = seen or sorted(map(str, row))
    if seen is None:
        raise RecordError(f"{source} holds no row that can be read")
    layouts = "\n".join(f"  {name}: {what}" for name, what in LAYOUTS.items())
    raise RecordError(
        f"{source}: the keys {seen[:12]} fit none of the layouts\n{layouts}\n"
        f"Name one with layout= (--layout) if it is one of these."
    )


def _looks_like(row: Row) -> str | None:
    keys = set(row)
    if benchmarks.is_result_file(row):
        return "llmrouterbench"
    if {"prompt", "eval_name"} <= keys:
        return "routerbench"
    if {"model_name", "performance"} <= keys:
        return "llmrouter"
    if keys & {"trace_id", "traceId", "observations", "trace"}:
        return "langfuse"
    if keys & {"run_type", "feedback_stats"} or {"inputs", "outputs"} <= keys:
        return "langsmith"
    if "prompt" in keys and len(keys) > 1:
        return "routellm"
    return None
