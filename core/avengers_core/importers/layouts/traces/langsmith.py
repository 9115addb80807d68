"""LangSmith."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from avengers_core.importers.layout import Call, Feedback, Found, Place, by_row, layout
from avengers_core.importers.questions import question_of
from avengers_core.importers.reading.tables import Row
from avengers_core.importers.values import (
    amount,
    first,
    is_number,
    mapping,
    number,
    parsed,
    sequence,
    text,
)

_DATASET = "langsmith"


@layout(
    "langsmith",
    "runs exported from LangSmith, with feedback",
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
    run = _nested(row)
    id_ = str(first(run.get("id"), run.get("run_id"), f"{place.file.label}:{place.row}"))
    yield from _feedback(run, id_)
    yield Call(
        id_,
        _text_or_none(run.get("parent_run_id")),
        _text_or_none(run.get("trace_id")),
        place,
        *_asked(run),
    )


def _asked(run: Mapping[str, Any]) -> tuple[Any, ...]:
    """Model, query, dataset and usage of a run of a model; nothing of another."""
    if run.get("run_type") not in (None, "", "llm"):
        return ()
    extra = mapping(run.get("extra"), "extra")
    invocation = mapping(extra.get("invocation_params"), "invocation_params")
    model = first(
        mapping(extra.get("metadata"), "metadata").get("ls_model_name"),
        invocation.get("model"),
        invocation.get("model_name"),
        run.get("model"),
    )
    if not model:
        return ()
    return (
        text(model, "model"),
        question_of(run.get("inputs")),
        str(run.get("session_name") or run.get("project_name") or _DATASET),
        {
            "cost": amount(run.get("total_cost")),
            "prompt_tokens": amount(run.get("prompt_tokens")),
            "completion_tokens": amount(run.get("completion_tokens")),
        },
    )


def _feedback(run: Mapping[str, Any], of: str) -> Iterator[Feedback]:
    stats = mapping(run.get("feedback_stats"), "feedback_stats")
    values = {k: v.get("avg") if isinstance(v, Mapping) else v for k, v in stats.items()}
    told = parsed(run.get("feedback")) or {}
    if isinstance(told, Mapping):
        values.update(told)
    else:
        for item in sequence(told, "scores"):
            score = mapping(item, "score")
            value = score.get("value")
            # A value that is no number says in words what has no score.
            value = value if is_number(value) else None
            name = str(score["key"] if "key" in score else score["name"])
            values[name] = first(score.get("score"), value)
    for name, value in values.items():
        if (found := number(value)) is not None:
            yield Feedback(of, str(name), found)


def _nested(row: Row) -> Mapping[str, Any]:
    """A flat row of a table, ``inputs.question`` and the like, as the run it was made from."""
    if not any("." in str(key) for key in row):
        return row
    nested: dict[str, Any] = {}
    for key, value in row.items():
        head, _, tail = str(key).partition(".")
        if not tail:
            nested.setdefault(head, value)
        elif value not in ("", None):
            branch = nested.get(head)
            if not isinstance(branch, dict):
                branch = nested[head] = {}
            parts = tail.split(".") if head == "extra" else [tail]
            for part in parts[:-1]:
                below = branch.get(part)
                if not isinstance(below, dict):
                    below = branch[part] = {}
                branch = below
            branch[parts[-1]] = value
    return nested


def _text_or_none(value: Any) -> str | None:
    return None if value in (None, "") else str(value)
