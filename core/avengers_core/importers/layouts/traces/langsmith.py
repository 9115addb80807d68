"""LangSmith."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from avengers_core.importers.feedback import scored
from avengers_core.importers.layout import Call, Feedback, Found, by_row, layout
from avengers_core.importers.layouts.traces.spans import id_of
from avengers_core.importers.questions import question_of
from avengers_core.importers.reading.tables import Place, Row
from avengers_core.importers.values import (
    first,
    known_number,
    mapping,
    number,
    one,
    parsed,
    sequence,
    text,
    tree,
    usage,
)

_DATASET = "langsmith"


@layout(
    "langsmith",
    "run_type",
    "feedback_stats",
    "extra.metadata.ls_model_name",
    "parent_run_id",
)
@by_row
def langsmith(row: Row, place: Place) -> Iterator[Found]:
    """Runs as ``client.list_runs()`` gives them, or as a bulk export or CSV holds them.

    Only runs with a model (``extra.metadata.ls_model_name`` or the invocation's) count. The score
    is the mean feedback, on the run or on one above it.

    Source: docs.langchain.com/langsmith, run data format.
    """
    # A table's columns are inputs.question and the like.
    run = tree(row) if any("." in str(key) for key in row) else row
    id_ = str(first(run.get("id"), run.get("run_id"), f"{place.file.label}:{place.row}"))
    yield from _feedback(run, id_)
    parent, trace = (id_of(run.get(key)) for key in ("parent_run_id", "trace_id"))
    call = Call(id_, parent, trace, place)
    extra = mapping(run.get("extra"), "extra")
    model = first(
        mapping(extra.get("metadata"), "metadata").get("ls_model_name"),
        one(mapping(extra.get("invocation_params"), "invocation_params"), "model", "model_name"),
        run.get("model"),
    )
    if model and run.get("run_type") in (None, "", "llm"):
        call = call._replace(
            model=text(model, "model"),
            query=question_of(run.get("inputs")),
            dataset=str(run.get("session_name") or run.get("project_name") or _DATASET),
            usage=usage(*map(run.get, ("total_cost", "prompt_tokens", "completion_tokens"))),
        )
    yield call


def _feedback(run: Mapping[str, Any], of: str) -> Iterator[Feedback]:
    stats = mapping(run.get("feedback_stats"), "feedback_stats")
    values = {k: v.get("avg") if isinstance(v, Mapping) else v for k, v in stats.items()}
    told = parsed(run.get("feedback")) or {}
    each = [*(told.items() if isinstance(told, Mapping) else map(_named, sequence(told, "scores")))]
    # What is told one by one stands for its mean.
    names = {name for name, _ in each}
    each += [(name, value) for name, value in values.items() if name not in names]
    for name, value in each:
        yield from scored(of, str(name), number(value))


def _named(item: Any) -> tuple[Any, Any]:
    """Name and value of one score; a value that is no number says in words what has no score."""
    score = mapping(item, "score")
    name = score["key"] if "key" in score else score["name"]
    return name, first(score.get("score"), known_number(score.get("value")))
