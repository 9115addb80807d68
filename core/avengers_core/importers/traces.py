"""Runs exported from LangSmith and Langfuse, with the scores that people or judges gave them."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from avengers_core.errors import RecordError
from avengers_core.importers.joining import Join, Scale, scaled
from avengers_core.importers.tables import (
    UNFIT,
    File,
    Row,
    mapping,
    number,
    parsed,
    taken,
    text,
    unfit,
)
from avengers_core.records.record import RecordProblem

logger = logging.getLogger(__name__)

_QUESTION_KEYS = (
    "question",
    "query",
    "input",
    "prompt",
    "text",
    "user_input",
    "content",
    "prompts",
)
_HUMAN = ("user", "human", "HumanMessage")


class _Run(NamedTuple):
    """One call of a model, and where it was found."""

    query: str
    model: str
    scores: Mapping[str, float]
    dataset: str
    run_id: str
    usage: Mapping[str, float | None]
    file: File
    row: int


def langsmith(
    source: Path, files: Sequence[File], score_key: str | None, scale: Scale | None
) -> Iterator[Any]:
    """Runs as ``client.list_runs()`` gives them, or as a bulk export or CSV holds them.

    Only runs with a model (``extra.metadata.ls_model_name`` or the invocation's) count. The score
    is the mean feedback.

    Source: docs.langchain.com/langsmith, run data format.
    """
    runs = [run for run in taken(files, _langsmith_run) if run is not None]
    yield from _joined(source, runs, score_key, scale)


def langfuse(
    source: Path, files: Sequence[File], score_key: str | None, scale: Scale | None
) -> Iterator[Any]:
    """Observations and scores, in files of their own or inside of traces.

    Only observations with a model count. A score of an observation is its own, a score of a trace
    counts for all its observations that have none.

    Source: langfuse.com/docs, blob storage export fields and public API.
    """
    export = _Export()
    runs: list[_Run | RecordProblem] = [p for p in taken(files, export.add) if p is not None]
    runs += export.problems
    for observation, file, row in export.observations:
        try:
            scores = export.scores_of(observation)
            runs.append(_langfuse_run(observation, scores, file, row))
        except UNFIT as error:
            runs.append(unfit(file, row, error, observation))
    yield from _joined(source, runs, score_key, scale)


def question_of(value: Any) -> str:
    """The question in a run's input: the last human message, or the text under a usual key.

    Raises:
        ValueError: there is none.
    """
    text = _question(parsed(value))
    if not text or not text.strip():
        raise ValueError(f"no question found in the input {str(value)[:80]!r}")
    return text


def _question(value: Any) -> str | None:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        human = [m for m in value if isinstance(m, Mapping) and _role(m) in _HUMAN]
        if human or not value:
            return _content(human[-1]) if human else None
        if all(isinstance(part, str) for part in value):
            return "\n".join(value)
        return _question(value[-1])
    if isinstance(value, Mapping):
        if "messages" in value:
            return _question(value["messages"])
        for key in _QUESTION_KEYS:
            if value.get(key):
                return _question(parsed(value[key]))
    return None


def _role(message: Mapping[str, Any]) -> str:
    kind = message.get("role") or message.get("type")
    if kind == "constructor" or kind is None:
        # How LangChain serialises a message.
        path = message.get("id")
        kind = path[-1] if isinstance(path, list) and path else ""
    return str(kind)


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content")
    if "content" not in message:
        content = mapping(message.get("kwargs"), "kwargs").get("content")
    if isinstance(content, list):
        return "\n".join(str(p["text"]) for p in content if isinstance(p, Mapping) and "text" in p)
    return str(content or "")


def _langsmith_run(row: Row, file: File, i: int) -> _Run | None:
    row = _nested(row)
    extra = mapping(row.get("extra"), "extra")
    invocation = mapping(extra.get("invocation_params"), "invocation_params")
    model = (
        mapping(extra.get("metadata"), "metadata").get("ls_model_name")
        or invocation.get("model")
        or invocation.get("model_name")
        or row.get("model")
    )
    if not model:
        return None
    means = {
        key: stats.get("avg") if isinstance(stats, Mapping) else stats
        for key, stats in mapping(row.get("feedback_stats"), "feedback_stats").items()
    }
    return _Run(
        question_of(row.get("inputs")),
        text(model, "model"),
        _scores(means) | _scores(row.get("feedback")),
        str(row.get("session_name") or row.get("project_name") or "langsmith"),
        str(row.get("id") or f"{file.name.name}:{i}"),
        {
            "cost": number(row.get("total_cost")),
            "prompt_tokens": number(row.get("prompt_tokens")),
            "completion_tokens": number(row.get("completion_tokens")),
        },
        file,
        i,
    )


class _Export:
    """What an export of Langfuse holds, sorted.

    Attributes:
        observations: those with a model, with their file and row.
        problems: what was rejected inside of traces.
    """

    def __init__(self) -> None:
        self.observations: list[tuple[Mapping[str, Any], File, int]] = []
        self.problems: list[RecordProblem] = []
        self._scores: dict[tuple[str, str | None], dict[str, float]] = {}

    def add(self, row: Row, file: File, i: int) -> None:
        """Put a row, or what a trace holds, where it belongs."""
        row = _snake(row)
        if "observations" in row:
            told = parsed(row.get("trace"))
            trace = told if isinstance(told, Mapping) and told else row
            name, home = trace.get("name"), str(trace.get("id"))
            self._add_all(row["observations"], {"trace_name": name}, file, i)
            self._add_all(row.get("scores"), {"trace_id": home}, file, i)
        elif row.get("provided_model_name") or row.get("model"):
            self.observations.append((row, file, i))
        elif "value" in row and "name" in row:
            value = number(row["value"])
            if value is not None:
                of = row.get("observation_id")
                place = str(row.get("trace_id")), str(of) if of else None
                self._scores.setdefault(place, {})[str(row["name"])] = value

    def scores_of(self, observation: Mapping[str, Any]) -> dict[str, float]:
        """Name -> score."""
        trace = str(observation.get("trace_id") or observation.get("id"))
        return {
            **self._scores.get((trace, None), {}),
            **self._scores.get((trace, str(observation.get("id"))), {}),
            **_scores(observation.get("scores")),
        }

    def _add_all(self, value: Any, known: Mapping[str, Any], file: File, i: int) -> None:
        for item in _listed(value, "observations or scores"):
            try:
                inner = mapping(item, "observation or score")
                self.add({**known, **_snake(inner)}, file, i)
            except UNFIT as error:
                self.problems.append(unfit(file, i, error, item))


def _langfuse_run(row: Mapping[str, Any], scores: Mapping[str, float], file: File, i: int) -> _Run:
    usage = mapping(row.get("usage_details") or row.get("usage"), "usage")
    costs = mapping(row.get("cost_details"), "cost_details")
    cost = row.get("total_cost") or row.get("calculated_total_cost") or costs.get("total")
    return _Run(
        question_of(row.get("input")),
        text(row.get("provided_model_name") or row.get("model"), "model"),
        scores,
        str(row.get("trace_name") or row.get("name") or "langfuse"),
        str(row.get("id")),
        {
            "cost": number(cost),
            "prompt_tokens": number(usage.get("input", row.get("prompt_tokens"))),
            "completion_tokens": number(usage.get("output", row.get("completion_tokens"))),
        },
        file,
        i,
    )


def _scores(value: Any) -> dict[str, float]:
    """Scores of a run: name -> value, or a list of objects that hold both."""
    content = parsed(value) or {}
    if not isinstance(content, Mapping):
        items = [mapping(item, "score") for item in _listed(content, "scores")]
        content = {
            str(item["key"] if "key" in item else item["name"]): item.get(
                "score", item.get("value")
            )
            for item in items
        }
    return {str(k): score for k, v in content.items() if (score := number(v)) is not None}


def _listed(value: Any, what: str) -> list[Any]:
    found = parsed(value) or []
    if not isinstance(found, list):
        raise ValueError(f"expected a list of {what}, got {str(found)[:40]!r}")
    return found


def _joined(
    path: Path, runs: Sequence[_Run | RecordProblem], score_key: str | None, scale: Scale | None
) -> Iterator[Any]:
    found = [run for run in runs if isinstance(run, _Run)]
    problems = [run for run in runs if isinstance(run, RecordProblem)]
    names = sorted({name for run in found for name in run.scores})
    if not found and not problems:
        raise RecordError(f"{path} holds no run of a model")
    if not found:
        yield from problems
        return
    if not names:
        rejected = f"; rejected: {len(problems):,}, the first {problems[0]}" if problems else ""
        raise RecordError(
            f"{path}: none of the {len(found):,} runs of a model has a score{rejected}"
        )
    score_key = _one_of(names, score_key, path)
    if scale is None:
        _refuse_other_scales(path, score_key, [run.scores.get(score_key) for run in found])
    join = Join()
    without = 0
    for run in runs:
        if isinstance(run, RecordProblem):
            yield run
        elif score_key not in run.scores:
            without += 1
        else:
            try:
                score = scaled(run.scores[score_key], scale)
            except ValueError as error:
                yield unfit(run.file, run.row, error, run.query)
                continue
            key = (run.dataset, run.query)
            join.add(
                key,
                run.model,
                score,
                query=run.query,
                dataset=run.dataset,
                index=run.run_id,
                **run.usage,
            )
    if without:
        logger.warning(
            "%d of %d runs have no score %r and are left out", without, len(found), score_key
        )
    yield from join.rows()


def _one_of(names: Sequence[str], wanted: str | None, path: Path) -> str:
    """The score that counts; raises RecordError where it is not there, or one of several."""
    if wanted is None and len(names) > 1:
        raise RecordError(
            f"{path}: the runs have the scores {names}; pick one with score_key= (--score-key)"
        )
    if wanted is not None and wanted not in names:
        raise RecordError(f"{path}: no run has a score {wanted!r}; there are {names}")
    return wanted or names[0]


def _refuse_other_scales(path: Path, name: str, scores: Sequence[float | None]) -> None:
    """Raise RecordError for scores beyond [0, 1]: on a scale of 1 to 5 the worst looks like a 1."""
    known = [score for score in scores if score is not None and math.isfinite(score)]
    low, high = min(known, default=0.0), max(known, default=1.0)
    if low < 0 or high > 1:
        raise RecordError(
            f"{path}: the scores {name!r} lie in [{low:g}, {high:g}], expected [0, 1]; name the "
            f"lowest and the highest that can be with scale= (--scale), or 0 and 1 to reject those "
            f"beyond"
        )


def _nested(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A flat row of a table, ``inputs.question`` and the like, as the run it was made from."""
    if not any("." in key for key in row):
        return row
    nested: dict[str, Any] = {}
    for key, value in row.items():
        head, _, tail = key.partition(".")
        if tail and value not in ("", None):
            branch = nested.setdefault(head, {})
            parts = tail.split(".") if head == "extra" else [tail]
            for part in parts[:-1]:
                branch = branch.setdefault(part, {}) if isinstance(branch, dict) else None
            if isinstance(branch, dict):
                branch[parts[-1]] = value
        elif not tail:
            nested[key] = value
    return nested


def _snake(row: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of the web API (traceId) as the export writes them (trace_id)."""
    return {re.sub(r"(?<=[a-z])([A-Z])", r"_\1", str(k)).lower(): v for k, v in row.items()}
