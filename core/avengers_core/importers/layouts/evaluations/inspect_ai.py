"""inspect_ai."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from avengers_core.importers.layout import Found, Result, by_row, each, layout
from avengers_core.importers.questions import question_of
from avengers_core.importers.reading.tables import Place, Row
from avengers_core.importers.values import (
    amount,
    at,
    first,
    known_number,
    mapping,
    sequence,
    text,
    usage,
)

# What inspect_ai itself counts these as: correct, partial, incorrect, no answer.
_GRADES = {"C": 1.0, "P": 0.5, "I": 0.0, "N": 0.0, "yes": 1.0, "no": 0.0}
_ATTACHMENT = re.compile(r"attachment://(\w+)")
_MANIFESTS = ("logs.json", "eval-set.json", "listing.json")


@layout("inspect", "eval.task & eval.model")
@by_row
def inspect_ai(log: Row, place: Place) -> Iterator[Found]:
    """Logs of evaluations, ``.eval`` or JSON; grades by scorer, C 1, P 0.5, I and N 0.

    Samples that failed have no score. Epochs are results each.

    Source: github.com/UKGovernmentBEIS/inspect_ai, src/inspect_ai/log.
    """
    if place.file.name.name in _MANIFESTS:
        return
    run = mapping(log["eval"], "eval")
    model, task = text(run["model"], "eval.model"), text(run["task"], "eval.task")
    samples = sequence(log.get("samples"), "samples")
    if not samples:
        raise ValueError(f"a log without samples, whose status is {log.get('status')!r}")
    yield from each(samples, place, _sample, model=model, task=task)


def _sample(sample: Any, place: Place, model: str, task: str) -> Iterator[Result]:
    attachments = mapping(sample.get("attachments"), "attachments")
    index = sample.get("id")
    index = index if isinstance(index, int | str) else str(index)
    by_model = mapping(sample.get("model_usage"), "model_usage")
    used = mapping(first(by_model.get(model), at(sample, "output.usage")), "usage")
    prompt = sum(amount(used.get(f"input_tokens{kind}")) or 0 for kind in _INPUT)
    yield Result(
        question_of(_whole(sample["input"], attachments)),
        model,
        {} if sample.get("error") else _scores(sample),
        task,
        place,
        (task, index),
        index,
        usage(used.get("total_cost"), prompt, used.get("output_tokens")),
    )


_INPUT = ("", "_cache_read", "_cache_write")


def _scores(sample: Mapping[str, Any]) -> dict[str, float | None]:
    """Scorer -> score; of a scorer with several values, scorer/name -> score."""
    scores = mapping(sample.get("scores"), "scores")
    if not scores and sample.get("score"):  # of the first versions
        scores = {"score": sample["score"]}
    found: dict[str, float | None] = {}
    for scorer, score in scores.items():
        value = at(score, "value") if isinstance(score, Mapping) else score
        values = value if isinstance(value, Mapping) else {"": value}
        for name, inner in values.items():
            grade = _GRADES.get(inner, inner) if isinstance(inner, str) else inner
            if (counted := known_number(grade)) is not None:
                found[f"{scorer}/{name}" if name else str(scorer)] = counted
    return found


def _whole(value: Any, attachments: Mapping[str, Any]) -> Any:
    """An input with the long texts that the log keeps apart."""
    if isinstance(value, str):
        return _ATTACHMENT.sub(lambda ref: str(attachments.get(ref[1], ref[0])), value)
    if isinstance(value, list):
        return [_whole(item, attachments) for item in value]
    if isinstance(value, Mapping):
        return {key: _whole(item, attachments) for key, item in value.items()}
    return value
