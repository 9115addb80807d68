"""lm-evaluation-harness."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

from avengers_core.errors import RecordError
from avengers_core.importers.layout import Found, Result, each, layout, merged, taken
from avengers_core.importers.questions import find_question, question_of
from avengers_core.importers.reading.tables import File, Place, Row, placed, rows
from avengers_core.importers.values import (
    at,
    first,
    is_number,
    mapping,
    number,
    one,
    parsed,
    sequence,
)
from avengers_core.records.record import RecordProblem

_NAME = re.compile(r"samples_(?P<task>.+?)_(?P<date>\d{4}-\d\d-\d\dT[\d.:-]+\d)\.json")
_MODEL_ARGS = re.compile(r"(?:^|,)(?:pretrained|model|path|engine)=([^,]+)")
_OWN = {
    "doc_id",
    "doc",
    "target",
    "arguments",
    "resps",
    "filtered_resps",
    "filter",
    "metrics",
    "doc_hash",
    "prompt_hash",
    "target_hash",
}


class _Run(NamedTuple):
    """What the results file says of a file of samples."""

    model: str
    task: str
    date: str
    lower_is_better: frozenset[str]


@layout(
    "lm-eval",
    "doc_id & filtered_resps",
    "doc_id & resps & arguments",
    "configs & samples & results & config",
)
def lm_eval(files: Sequence[File]) -> Iterator[Found]:
    """Samples by task, ``samples_<task>_<time>.jsonl``; of several runs the newest.

    The ``results_<time>.json`` beside them names the model.

    The question is that of the task's document, else what the model was sent. A document that was
    graded by several filters has a score of each, named as in the results file
    (``exact_match,strict-match``); where higher is not better, a metric is no score.

    Source: github.com/EleutherAI/lm-evaluation-harness, lm_eval/loggers and lm_eval/evaluator.py.
    """
    newest: dict[tuple[str, str], tuple[_Run, File]] = {}
    for file in files:
        content = next(rows(file), None)
        if isinstance(content, Mapping) and isinstance(content.get("samples"), Mapping):
            yield from _all_in_one(content, Place(file, 1))
        elif isinstance(content, RecordProblem) or (content and "doc_id" in content):
            run = _run_of(file)
            known = newest.get((run.model, run.task))
            if known is None or run.date >= known[0].date:
                newest[run.model, run.task] = run, file
    for run, file in newest.values():
        yield from merged(taken(placed(file), partial(_sample, run=run)))


def _all_in_one(content: Row, place: Place) -> Iterator[Found]:
    """What ``simple_evaluate()`` returns: samples by task, and what the results file holds."""
    for task, samples in content["samples"].items():
        run = _run(content, str(task), "", place.file)
        yield from merged(each(sequence(samples, "samples"), place, _sample, run=run))


def _sample(sample: Row, place: Place, run: _Run) -> Iterator[Result]:
    """One of the filters of the answers to a document, which each wrote a sample of its own."""
    number_of = sample["doc_id"]
    filtered = sample.get("filter")
    suffix = f",{filtered}" if filtered not in (None, "none") else ""
    metrics = sample.get("metrics") or [k for k in sample if k not in _OWN]
    yield Result(
        _question(sample),
        run.model,
        {
            f"{metric}{suffix}": number(sample[metric])
            for metric in map(str, metrics)
            if metric not in run.lower_is_better
            and is_number(sample.get(metric, ""))
            and metric in sample
        },
        run.task,
        place,
        (run.task, str(number_of)),
        number_of if isinstance(number_of, int | str) else str(number_of),
    )


def _question(sample: Row) -> str:
    """The question of the document, else the last message or text that the model was sent."""
    if found := find_question(sample.get("doc")):
        return found
    arguments = parsed(sample.get("arguments"))
    if isinstance(arguments, Mapping):  # {"gen_args_0": {"arg_0": ...}}
        arguments = [at(value, "arg_0") for value in arguments.values()]
    while isinstance(arguments, list) and arguments and not _is_message(arguments[0]):
        arguments = parsed(arguments[0])
    return question_of(arguments)


def _is_message(value: Any) -> bool:
    return isinstance(value, Mapping) and "role" in value


def _run_of(file: File) -> _Run:
    """What is known of a file of samples.

    Raises:
        RecordError: nothing names the model.
    """
    named = _NAME.match(file.name.name)
    date = named["date"] if named else ""
    beside = sorted(file.path.parent.glob("*results*.json"))
    own = [path for path in beside if date and date in path.name] or beside
    contents = [
        content
        for path in own
        for content in rows(file.beside(path.name))
        if isinstance(content, Mapping) and "results" in content
    ]
    tasks = {str(task) for content in contents for task in mapping(content["results"], "results")}
    stem = file.name.name.split(".json")[0]
    fitting = sorted((task for task in tasks if task in stem), key=len)
    task = named["task"] if named else fitting[-1] if fitting else stem.removeprefix("samples_")
    found = {_run(content, task, date, file) for content in contents}
    if len(found) == 1:
        return found.pop()
    folder = file.path.parent.name
    if not found and "__" in folder:  # of a harness that names folders after models
        return _Run(folder.replace("__", "/", 1), task, date, frozenset())
    raise RecordError(
        f"{file.name}: expected beside it the one results_*.json that names the model, found "
        f"{', '.join(path.name for path in beside) or 'none'}"
    )


def _run(content: Row, task: str, date: str, file: File) -> _Run:
    better = mapping(at(content, f"higher_is_better.{task}"), "higher_is_better")
    return _Run(
        _model(content, file),
        task,
        date,
        frozenset(metric for metric, higher in better.items() if higher is False),
    )


def _model(content: Row, file: File) -> str:
    arguments = at(content, "config.model_args")
    if isinstance(arguments, str) and (named := _MODEL_ARGS.search(arguments)):
        told: Any = named[1]
    else:
        told = one(arguments, "pretrained", "model", "path", "engine")
    model = first(content.get("model_name"), told, at(content, "config.model"))
    if not isinstance(model, str):
        raise RecordError(f"{file.name}: its results file names no model (model_name)")
    return model
