"""Graders: how right an answer is, in [0, 1]."""

from __future__ import annotations

import hashlib
import importlib
import inspect
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from avengers_core.collecting import matching
from avengers_core.collecting.answers import settled
from avengers_core.collecting.grades import Grade, Graded, GraderError, Row
from avengers_core.common.files import open_named
from avengers_core.common.ranges import check_number
from avengers_core.errors import AvengersError
from avengers_core.records.questions import Question
from avengers_core.records.record import MOST_AMOUNT
from avengers_core.redaction import describe, masked_cause, secrets_of

GRADERS: Mapping[str, Grade] = {
    name: getattr(matching, name)
    for name in ("exact", "normalised", "contains", "number", "choice")
}


def as_grader(given: Any) -> Grade:
    """A grader from what people have.

    Args:
        given: the name of one here (``"exact"``, ``"normalised"``, ``"contains"``, ``"number"``,
            ``"choice"``); ``"regex"`` or ``"regex:PATTERN"``; ``"json"`` or ``"json:FILE"`` with a
            schema; ``"module:function"``; a function of (row, answer), plain or asynchronous; an
            evaluator of openevals or LangSmith (a function of inputs, outputs and
            reference_outputs), or of LlamaIndex
            (an object with ``evaluate(query=, response=, reference=)``).

    Raises:
        ValueError: no such grader.
        TypeError: something that cannot grade.
    """
    if isinstance(given, str):
        return _named(given)
    if hasattr(given, "evaluate") and hasattr(given, "aevaluate"):
        return _of_llamaindex(given)
    if not callable(given):
        raise TypeError(f"a grader must be a function or a name, got {type(given).__name__}")
    if {"outputs", "reference_outputs"} & _parameters(given):
        return _of_openevals(given)
    grader: Grade = given
    return grader


def rules_of(given: Any, questions: Iterable[Question]) -> dict[str, str]:
    """What tells how answers are graded from other ways, from run to run, by the questions' keys.

    The grader, as far as it is known (its name, what stands in a file of it, a judge's name and
    rubric, the text of a function, or what it has as ``rule``), and the question's row.
    """
    grader = _known(given)

    def rule(row: Row) -> str:
        told = [grader, sorted(row.items(), key=str)]
        written = json.dumps(told, default=lambda value: str(type(value)))
        return hashlib.blake2b(written.encode(), digest_size=12).hexdigest()

    return {question.key: rule(question.row) for question in questions}


def compares(given: Any) -> bool:
    """Whether it is one of the graders here, which cost nothing and need no more than the row."""
    return isinstance(given, str) and given.partition(":")[0] in (*GRADERS, "regex", "json")


def grade_with(grader: Grade, row: Row, answer: str) -> Graded:
    """What a grader says, checked.

    Raises:
        GraderError: it failed, or gave no score in [0, 1], or a cost that is none.
    """
    try:
        said = settled(grader(row, answer))
    except AvengersError:
        raise
    except Exception as error:
        known = secrets_of(grader)
        raise GraderError(f"the grader failed: {describe(error, known)}") from masked_cause(
            error, known
        )
    given, cost = said if isinstance(said, Graded) else (said, 0.0)
    try:
        if cost is not None:
            check_number("cost", cost, 0, MOST_AMOUNT)
            cost = float(cost)
    except ValueError as error:
        raise GraderError(f"the grader says: {error}") from error
    score = None if given is None else _float(given)
    if score is not None and not 0 <= score <= 1:
        raise GraderError(f"a score must lie in [0, 1], the grader gave {score}", cost)
    return Graded(score, cost)


def _known(given: Any) -> str:
    """What is known of a grader, whatever it is given as."""
    if isinstance(given, str):
        kind, _, file = given.partition(":")
        if kind == "json" and file:
            return f"json: {json.dumps(_json_of(Path(file)), sort_keys=True)}"
        return given if compares(given) else f"{given}: {_known(_imported(given))}"
    named = getattr(given, "__qualname__", type(given).__qualname__)
    known = str(getattr(given, "rule", named))
    if known == named and as_grader(given) is given:  # no evaluator of a library that may be newer
        with suppress(OSError, TypeError):  # its text cannot be read
            return f"{named}: {inspect.getsource(given)}"
    return known


def _named(name: str) -> Grade:
    kind, _, rest = name.partition(":")
    if name in GRADERS:
        return GRADERS[name]
    if kind == "regex":
        return matching.regex(rest or None)
    if kind == "json":
        return matching.json_schema(_json_of(Path(rest)) if rest else None)
    if kind == "judge":
        raise ValueError(
            f"{name!r} is for the command line; in Python pass "
            f"avengers_core.collecting.judge(model, rubric)"
        )
    if kind and rest:
        return as_grader(_imported(name))
    known = ", ".join((*GRADERS, "regex[:PATTERN]", "json[:FILE]", "judge:MODEL"))
    raise ValueError(f"no grader is called {name!r}; there are {known}, and MODULE:FUNCTION")


def _json_of(file: Path) -> Any:
    try:
        with open_named(file) as stream:
            return json.load(stream)
    except ValueError as error:
        raise ValueError(f"{file}: expected one JSON Schema: {error}") from error


def _imported(place: str) -> Any:
    """What ``MODULE:NAME`` names."""
    module, _, name = place.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"the grader {place} cannot be imported: {error}") from error


def _of_openevals(evaluator: Any) -> Grade:
    """Evaluators of openevals and LangSmith give ``{"score": ...}``, or a list of such."""
    takes = _parameters(evaluator)

    def grade(row: Row, answer: str) -> float | bool | None:
        given = {"inputs": row.get("query"), "outputs": answer}
        given["reference_outputs"] = row.get("reference")
        told = {k: v for k, v in given.items() if k in takes or "kwargs" in takes}
        said = settled(evaluator(**told))
        each = said if isinstance(said, list) else [said]
        scores = [s["score"] if isinstance(s, Mapping) else getattr(s, "score", s) for s in each]
        known = [_float(s) for s in scores if s is not None]
        return sum(known) / len(known) if known else None

    return grade


def _of_llamaindex(evaluator: Any) -> Grade:
    # The only evaluator of LlamaIndex whose scores are 1 to 5.
    five = any(c.__name__ == "CorrectnessEvaluator" for c in type(evaluator).__mro__)

    def grade(row: Row, answer: str) -> float | None:
        reference = row.get("reference")
        told = {} if reference is None else {"reference": str(reference)}
        contexts = row.get("contexts")
        said = evaluator.evaluate(query=row["query"], response=answer, contexts=contexts, **told)
        if said.score is None:
            return None if said.passing is None else float(said.passing)
        return (said.score - 1) / 4 if five else float(said.score)

    return grade


def _parameters(function: Any) -> set[str]:
    try:
        parameters = inspect.signature(function).parameters
    except (TypeError, ValueError):
        return set()
    return {"kwargs" if p.kind is p.VAR_KEYWORD else name for name, p in parameters.items()}


def _float(said: Any) -> float:
    try:
        return float(said)
    except (TypeError, ValueError):
        raise GraderError(f"expected a score in [0, 1], the grader gave {said!r:.60}") from None
