"""Langfuse."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from avengers_core.importers.feedback import feedback_in, is_feedback, scored
from avengers_core.importers.layout import Call, Feedback, Found, by_row, each, layout
from avengers_core.importers.layouts.traces.spans import id_of
from avengers_core.importers.questions import question_of
from avengers_core.importers.reading.tables import Place, Row
from avengers_core.importers.values import mapping, number, one, parsed, sequence, text, usage

_DATASET = "langfuse"
_WORDS = ("TEXT", "CATEGORICAL", "CORRECTION")  # types of scores that are no number
_NO_ANSWER = ("EMBEDDING", "RETRIEVER", "TOOL", "EVALUATOR", "GUARDRAIL")


@layout(
    "langfuse",
    "observations",
    "provided_model_name",
    "providedModelName",
    "parent_observation_id",
    "parentObservationId",
    "observation_id",
    "observationId",
    "calculated_total_cost",
    "calculatedTotalCost",
    "usage_details & cost_details",
    "usageDetails & costDetails",
)
@by_row
def langfuse(row: Row, place: Place) -> Iterator[Found]:
    """Observations and scores, in files of their own or inside of traces.

    Only observations with a model count. A score of an observation is its own, a score of a trace
    counts for all its observations that have none. Scores in words are none.

    Source: langfuse.com/docs, blob storage export fields and public API.
    """
    yield from _found(_snake(row), place)


def _found(row: Mapping[str, Any], place: Place) -> Iterator[Found]:
    if "observations" in row:
        told = parsed(row.get("trace"))
        trace = told if isinstance(told, Mapping) and told else row
        known = {"trace_id": trace.get("id"), "trace_name": trace.get("name")}
        items = [row["observations"], row.get("scores")]
        for inner in (sequence(item, "observations or scores") for item in items):
            yield from each(inner, place, _inner, known=known)
    elif "value" in row and "name" in row and "model" not in row:
        yield from _score(row)
    elif "input" not in row and "type" not in row and is_feedback(row):
        yield from feedback_in(row, place)
    else:
        yield from _observation(row, place)


def _inner(item: Any, place: Place, known: Mapping[str, Any]) -> Iterator[Found]:
    return _found({**known, **_snake(mapping(item, "observation or score"))}, place)


def _observation(row: Mapping[str, Any], place: Place) -> Iterator[Found]:
    id_ = str(row.get("id"))
    for score in sequence(row.get("scores"), "scores"):
        yield from _score({"observation_id": id_, **_snake(mapping(score, "score"))})
    parent, trace = (id_of(row.get(key)) for key in ("parent_observation_id", "trace_id"))
    call = Call(id_, parent, trace, place)
    model = one(row, "provided_model_name", "model")
    if model and row.get("type") not in _NO_ANSWER:
        used = mapping(row.get("usage_details") or row.get("usage"), "usage")
        costs = mapping(row.get("cost_details"), "cost_details")
        call = call._replace(
            model=text(model, "model"),
            query=question_of(row.get("input")),
            dataset=str(row.get("trace_name") or row.get("name") or _DATASET),
            usage=usage(
                row.get("total_cost")
                or row.get("calculated_total_cost")
                or costs.get("total")
                or used.get("total_cost"),
                used.get("input", row.get("prompt_tokens")),
                used.get("output", row.get("completion_tokens")),
            ),
        )
    yield call


def _score(row: Mapping[str, Any]) -> Iterator[Feedback]:
    if str(row.get("data_type")).upper() not in _WORDS:
        yield from scored(one(row, "observation_id", "trace_id"), row["name"], number(row["value"]))


def _snake(row: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of the web API (traceId) as the export writes them (trace_id)."""
    return {re.sub(r"(?<=[a-z])([A-Z])", r"_\1", str(k)).lower(): v for k, v in row.items()}
