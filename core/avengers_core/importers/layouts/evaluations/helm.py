"""HELM."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from avengers_core.errors import RecordError
from avengers_core.importers.layout import Found, Result, layout, merged, taken
from avengers_core.importers.questions import find_question
from avengers_core.importers.reading.tables import File, Place, placed, rows
from avengers_core.importers.values import at, first, is_number, number, one, text, usage

_SCORED = ("per_instance_stats.json", "display_predictions.json")
_MODEL = re.compile(r"[:,]model(_deployment)?=[^,]*")
# Statistics of each answer that say nothing of how good it is.
_NO_SCORE = re.compile(
    r"num_.*|.*(runtime|batch_size|co2_cost|energy_cost|tokens|logprob|perplexity).*|"
    r"finish_reason_.*|prompt_truncated|max_prob|.*per_byte|.*calibration.*|.*(length|len)"
)
# The main metrics of its leaderboards, for runs whose specification names none.
_MAIN = ("exact_match", "quasi_exact_match", "chain_of_thought_correctness", "f1_score")


class _Run(NamedTuple):
    """What the other files of a run's folder say."""

    model: str
    name: str
    metrics: tuple[str, ...]
    questions: Mapping[str, str]


@layout(
    "helm",
    "instance_id & stats & train_trial_index",
    "adapter_spec & request_states",
    "scenario_spec & adapter_spec & metric_specs",
)
def helm(files: Sequence[File]) -> Iterator[Found]:
    """Run folders, ``benchmark_output/runs/<suite>/<run>``.

    Perturbed instances are left out, trials are results each.

    The metrics that the run's specification names come first.

    Source: github.com/stanford-crfm/helm, src/helm/benchmark (run_spec, adaptation, metrics).
    """
    folders = {file.path.parent: file for file in files}
    runs = [(file, scored) for file in folders.values() if (scored := _beside(file, _SCORED))]
    if not runs:
        raise RecordError(f"{files[0].name}: expected {' or '.join(_SCORED)} in a run's folder")
    for file, scored in runs:
        yield from _results(scored, _run(file))


def _beside(file: File, names: Sequence[str]) -> File | None:
    """The first of some files that lies in a file's folder, plain or gzip."""
    beside = (file.beside(f"{name}{packed}") for name in names for packed in ("", ".gz"))
    return next((found for found in beside if found.path.is_file()), None)


def _results(file: File, run: _Run) -> Iterator[Found]:
    """One result an instance and trial, whose statistics lie in one or several rows."""

    def result(row: Any, place: Place) -> Iterator[Result]:
        if row.get("perturbation"):
            return
        instance = text(row["instance_id"], "instance_id")
        stats = _stats(row["stats"])
        query = run.questions.get(instance)
        if query is None:
            raise ValueError(f"no instance {instance!r} in instances.json or scenario_state.json")
        scores = {name: value for name, value in stats.items() if not _NO_SCORE.fullmatch(name)}
        order = [*(m for m in (*run.metrics, *_MAIN) if m in scores), *scores]
        yield Result(
            query,
            run.model,
            {name: scores[name] for name in dict.fromkeys(order)},
            run.name.partition(":")[0],
            place,
            (run.name, instance, str(row.get("train_trial_index"))),
            instance,
            usage(
                prompt=stats.get("num_prompt_tokens"),
                completion=one(stats, "num_output_tokens", "num_completion_tokens"),
            ),
        )

    return merged(taken(placed(file), result))


def _stats(stats: Any) -> dict[str, float | None]:
    """Statistics by name: a list with means, or an object."""
    if isinstance(stats, Mapping):
        return {str(k): number(v) for k, v in stats.items() if is_number(v)}
    found: dict[str, float | None] = {}
    for stat in stats:
        if not at(stat, "name.perturbation") and (mean := number(stat.get("mean"))) is not None:
            found[str(at(stat, "name.name"))] = mean
    return found


def _run(file: File) -> _Run:
    """What a run's folder says.

    Raises:
        RecordError: it names no model.
    """
    state = next(iter(_content(file, "scenario_state.json")), {})
    spec = next(iter(_content(file, "run_spec.json")), state)
    name = str(spec.get("name") or file.path.parent.name)
    told = re.search(r"[:,]model=([^,]*)", name)
    model = first(at(spec, "adapter_spec.model"), told[1].replace("_", "/", 1) if told else None)
    if not isinstance(model, str):
        raise RecordError(f"{file.name}: expected run_spec.json beside it, which names the model")
    questions: dict[str, str] = {}
    for row in _content(file, "display_requests.json"):
        _ask(questions, row.get("instance_id"), row.get("perturbation"), at(row, "request.prompt"))
    for row in (at(row, "instance") for row in state.get("request_states") or ()):
        _ask(questions, at(row, "id"), at(row, "perturbation"), at(row, "input"))
    for row in _content(file, "instances.json"):
        _ask(questions, row.get("id"), row.get("perturbation"), row.get("input"))
    return _Run(model, _MODEL.sub("", name), tuple(_metrics(spec)), questions)


def _content(file: File, name: str) -> list[Mapping[str, Any]]:
    beside = _beside(file, [name])
    return [row for row in rows(beside) if isinstance(row, Mapping)] if beside else []


def _ask(questions: dict[str, str], instance: Any, perturbation: Any, value: Any) -> None:
    """Note an instance's question; those noted later are nearer to what was asked."""
    question = find_question(value)
    if question and question.strip() and not perturbation:
        questions[str(instance)] = question


def _metrics(spec: Mapping[str, Any]) -> Iterator[str]:
    for metric in spec.get("metric_specs") or ():
        yield from map(str, at(metric, "args.names") or ())
