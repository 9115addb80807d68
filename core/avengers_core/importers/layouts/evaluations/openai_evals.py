"""OpenAI Evals: the program, and the platform of the same name."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from avengers_core.importers.layout import Found, Result, layout, taken
from avengers_core.importers.questions import question_of
from avengers_core.importers.reading.tables import File, Place, Row, placed
from avengers_core.importers.values import (
    at,
    first,
    known_number,
    mapping,
    number,
    one,
    text,
    usage,
)
from avengers_core.records.record import RecordProblem

_RANDOM_END = re.compile(r"[-_ ]*[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")


@dataclass
class _Sample:
    """What the events of a run say of one sample."""

    place: Place
    prompt: Any = None
    scores: dict[str, list[float]] = field(default_factory=dict)
    usage: Mapping[str, Any] = field(default_factory=dict)


@layout(
    "openai-evals",
    "spec.eval_name",
    "spec.completion_fns",
    "run_id & event_id & sample_id & type",
    "datasource_item & results & sample",
)
def openai_evals(files: Sequence[File]) -> Iterator[Found]:
    """Logs of runs, one a file: a line with the ``spec``, then events of samples; or items.

    The scores of a log are those of ``match`` (``correct``) and the numbers of ``metrics``; of
    several events on a sample, their mean.

    Source: github.com/openai/evals, evals/record.py; platform.openai.com/docs, evals.
    """
    for file in files:
        spec: Row | None = None
        samples: dict[str, _Sample] = {}
        for row, place in placed(file):
            if isinstance(row, RecordProblem):
                yield row
            elif "datasource_item" in row:
                yield from taken([(row, place)], _item)
            elif "spec" in row:
                spec = row
            elif "final_report" not in row:
                yield from taken([(row, place)], partial(_note, samples=samples))
        for name, sample in samples.items():
            item = (sample, sample.place)
            yield from taken([item], partial(_result, name=name, spec=spec))


def _note(row: Row, place: Place, samples: dict[str, _Sample]) -> Iterator[Found]:
    """Note an event."""
    sample = samples.setdefault(str(row["sample_id"]), _Sample(place))
    kind, data = str(row["type"]), mapping(row["data"], "data")
    if kind == "sampling" and sample.prompt is None:  # later ones may be a judge's
        sample.prompt, sample.usage = data.get("prompt"), mapping(data.get("usage"), "usage")
    elif kind == "raw_sample" and sample.prompt is None:
        sample.prompt = first(data.get("input"), data)
    told = {"match": {"correct": data.get("correct")}, "metrics": data}.get(kind, {})
    for name, value in told.items():
        if (score := known_number(value)) is not None:
            sample.scores.setdefault(name, []).append(score)
    return iter(())


def _result(sample: _Sample, place: Place, name: str, spec: Row | None) -> Iterator[Result]:
    if spec is None:
        raise ValueError("expected a line with the `spec` of the run, which names the model")
    told = mapping(spec["spec"], "spec")
    model = first(
        *(told.get("completion_fns") or ()),
        told.get("model_name"),
        *(at(told, "model_names.completions") or ()),
    )
    dataset = str(told.get("eval_name") or place.dataset)
    yield Result(
        question_of(sample.prompt),
        text(model, "completion_fns"),
        {score: sum(values) / len(values) for score, values in sample.scores.items()},
        dataset,
        place,
        (dataset, name),
        name,
        _usage(sample.usage),
    )


def _item(row: Row, place: Place) -> Iterator[Result]:
    """An output item of the platform."""
    sample = mapping(row["sample"], "sample")
    scores: dict[str, float | None] = {}
    for result in row["results"]:
        name = _RANDOM_END.sub("", str(result.get("name"))) or "score"
        scores[name] = number(one(result, "score", "passed"))
    dataset = str(row.get("eval_id") or place.dataset)
    index = row.get("datasource_item_id")
    yield Result(
        question_of(first(sample.get("input"), row["datasource_item"])),
        text(sample["model"], "sample.model"),
        {} if sample.get("error") else scores,
        dataset,
        place,
        (dataset, index) if index is not None else None,
        index if isinstance(index, int | str) else None,
        _usage(mapping(sample.get("usage"), "usage")),
    )


def _usage(told: Mapping[str, Any]) -> dict[str, float | None]:
    return usage(None, told.get("prompt_tokens"), told.get("completion_tokens"))
