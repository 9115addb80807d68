"""Runs exported from LangSmith and Langfuse, with the scores that people or judges gave them."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from avengers_core.errors import RecordError
from avengers_core.importers.joining import Join, Scale, scaled
from avengers_core.importers.tables import files, number, parsed, rows
from avengers_core.records import RecordProblem

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
    """One call of a model."""

    query: str
    model: str
    scores: Mapping[str, float]
    dataset: str
    run_id: str
    usage: Mapping[str, float | None]


def langsmith(path: Path, score_key: str | None, scale: Scale | None) -> Iterator[Any]:
    """Runs as ``client.list_runs()`` gives them, or as a bulk export or CSV holds them.

    Only runs with a model (``extra.metadata.ls_model_name`` or the invocation's) count. The score
    is the mean feedback.

    Source: docs.langchain.com/langsmith, run data format.
    """
    runs: list[_Run | RecordProblem] = []
    for file in files(path):
        for i, row in enumerate(rows(file), 1):
            if isinstance(row, RecordProblem):
                runs.append(row)
                continue
            try:
                run = _langsmith_run(_nested(row), f"{file.name}:{i}")
            except (TypeError, ValueError) as error:
                runs.append(RecordProblem(i, f"{file.name}: {error}", str(dict(row))[:80]))
                continue
            if run is not None:
                runs.append(run)
    yield from _joined(path, runs, score_key, scale)


def langfuse(path: Path, score_key: str | None, scale: Scale | None) -> Iterator[Any]:
    """Observations and scores, in files of their own or inside of traces.

    Only observations with a model count. A score of an observation is its own, a score of a trace
    counts for all its observations that have none.

    Source: langfuse.com/docs, blob storage export fields and public API.
    """
    observations: list[Mapping[str, Any]] = []
    scores: dict[tuple[str, str | None], dict[str, float]] = {}
    runs: list[_Run | RecordProblem] = []
    for file in files(path):
        for i, row in enumerate(rows(file), 1):
            if isinstance(row, RecordProblem):
                runs.append(row)
                continue
            try:
                _sort_langfuse(_snake(row), observations, scores)
            except (TypeError, ValueError) as error:
                runs.append(RecordProblem(i, f"{file.name}: {error}", str(dict(row))[:80]))
    for i, observation in enumerate(observations, 1):
        trace = str(observation.get("trace_id") or observation.get("id"))
        own = {
            **scores.get((trace, None), {}),
            **scores.get((trace, str(observation.get("id"))), {}),
            **_named_scores(observation.get("scores")),
        }
        try:
            runs.append(_langfuse_run(observation, own))
        except (TypeError, ValueError) as error:
            runs.append(RecordProblem(i, str(error), str(dict(observation))[:80]))
    yield from _joined(path, runs, score_key, scale)


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
        kind = (message.get("id") or [""])[-1]
    return str(kind)


def _content(message: Mapping[str, Any]) -> str:
    content = message.get("content", message.get("kwargs", {}).get("content"))
    if isinstance(content, list):
        return "\n".join(str(p["text"]) for p in content if isinstance(p, Mapping) and "text" in p)
    return str(content or "")


def _langsmith_run(row: Mapping[str, Any], place: str) -> _Run | None:
    extra = parsed(row.get("extra")) or {}
    metadata = extra.get("metadata") or {}
    invocation = extra.get("invocation_params") or {}
    model = (
        metadata.get("ls_model_name")
        or invocation.get("model")
        or invocation.get("model_name")
        or row.get("model")
    )
    if not model:
        return None
    scores = {}
    for key, stats in (parsed(row.get("feedback_stats")) or {}).items():
        mean = number(stats.get("avg") if isinstance(stats, Mapping) else stats)
        if mean is not None:
            scores[key] = mean
    feedback = parsed(row.get("feedback")) or ()
    if isinstance(feedback, Mapping):
        scores |= {k: s for k, v in feedback.items() if (s := number(v)) is not None}
    else:
        scores |= {f["key"]: s for f in feedback if (s := number(f.get("score"))) is not None}
    return _Run(
        question_of(row.get("inputs")),
        str(model),
        scores,
        str(row.get("session_name") or row.get("project_name") or "langsmith"),
        str(row.get("id") or place),
        {
            "cost": number(row.get("total_cost")),
            "prompt_tokens": number(row.get("prompt_tokens")),
            "completion_tokens": number(row.get("completion_tokens")),
        },
    )


def _langfuse_run(row: Mapping[str, Any], scores: Mapping[str, float]) -> _Run:
    usage = parsed(row.get("usage_details") or row.get("usage")) or {}
    costs = parsed(row.get("cost_details")) or {}
    cost = row.get("total_cost") or row.get("calculated_total_cost") or costs.get("total")
    return _Run(
        question_of(row.get("input")),
        str(row.get("provided_model_name") or row.get("model")),
        scores,
        str(row.get("trace_name") or row.get("name") or "langfuse"),
        str(row.get("id")),
        {
            "cost": number(cost),
            "prompt_tokens": number(usage.get("input", row.get("prompt_tokens"))),
            "completion_tokens": number(usage.get("output", row.get("completion_tokens"))),
        },
    )


def _sort_langfuse(
    row: Mapping[str, Any],
    observations: list[Mapping[str, Any]],
    scores: dict[tuple[str, str | None], dict[str, float]],
) -> None:
    """Put a row, or what a trace holds, where it belongs."""
    trace = parsed(row.get("trace"))
    for inner in parsed(row.get("observations")) or ():
        if isinstance(inner, Mapping):
            named = {"trace_name": (trace or row).get("name")} if trace or row else {}
            _sort_langfuse({**named, **_snake(inner)}, observations, scores)
    if "observations" in row:
        home = str((trace or row).get("id"))
        for inner in parsed(row.get("scores")) or ():
            if isinstance(inner, Mapping):
                _sort_langfuse({"trace_id": home, **_snake(inner)}, observations, scores)
    elif row.get("provided_model_name") or row.get("model"):
        observations.append(row)
    elif "value" in row and "name" in row:
        value = number(row["value"])
        if value is not None:
            of = row.get("observation_id") or None
            scores.setdefault((str(row.get("trace_id")), of), {})[str(row["name"])] = value


def _named_scores(value: Any) -> dict[str, float]:
    """Scores inside of an observation: a list of them, or name -> value."""
    content = parsed(value) or {}
    if isinstance(content, Mapping):
        pairs = content.items()
    else:
        pairs = {s.get("name"): s.get("value") for s in content if isinstance(s, Mapping)}.items()
    return {str(k): s for k, v in pairs if (s := number(v)) is not None}


def _joined(
    path: Path, runs: list[_Run | RecordProblem], score_key: str | None, scale: Scale | None
) -> Iterator[Any]:
    found = [run for run in runs if isinstance(run, _Run)]
    names = sorted({name for run in found for name in run.scores})
    if not found:
        raise RecordError(f"{path} holds no run of a model")
    if not names:
        raise RecordError(f"{path}: none of the {len(found):,} runs of a model has a score")
    if score_key is None:
        if len(names) > 1:
            raise RecordError(
                f"{path}: the runs have the scores {names}; pick one with score_key= (--score-key)"
            )
        score_key = names[0]
    elif score_key not in names:
        raise RecordError(f"{path}: no run has a score {score_key!r}; there are {names}")
    join = Join()
    without = 0
    for i, run in enumerate(runs, 1):
        if isinstance(run, RecordProblem):
            yield run
        elif score_key not in run.scores:
            without += 1
        else:
            try:
                score = scaled(run.scores[score_key], scale)
            except ValueError as error:
                yield RecordProblem(i, str(error), run.query[:80])
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


def _nested(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A flat row of a table, ``inputs.question`` and the like, as the run it was made from."""
    if not any("." in key for key in row):
        return row
    nested: dict[str, Any] = {}
    for key, value in row.items():
        head, _, tail = key.partition(".")
        if tail and value not in ("", None):
            branch = nested.setdefault(head, {})
            if isinstance(branch, dict):
                parts = tail.split(".") if head == "extra" else [tail]
                for part in parts[:-1]:
                    branch = branch.setdefault(part, {})
                branch[parts[-1]] = value
        elif not tail:
            nested[key] = value
    return nested


def _snake(row: Mapping[str, Any]) -> dict[str, Any]:
    """Keys of the web API (traceId) as the export writes them (trace_id)."""
    return {re.sub(r"(?<=[a-z])([A-Z])", r"_\1", str(k)).lower(): v for k, v in row.items()}
