"""Graders: how right an answer is, in [0, 1]."""

from __future__ import annotations

import importlib
import inspect
import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from avengers_core.collecting.answers import settled
from avengers_core.common.files import open_named
from avengers_core.errors import AvengersError, OptionalDependencyError
from avengers_core.redaction import describe, masked_cause, secrets_of

Row = Mapping[str, Any]
Grade = Callable[[Row, str], "Graded | float | bool | None"]
"""Takes a question's row and the text of an answer; None: this answer cannot be graded."""

_NUMBER = re.compile(
    r"[-+]?(?:(?:\d{1,3}(?:[ ,_]\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
)
_BOXED = re.compile(r"\\boxed\{\s*(?:\\text\{)?([^{}]*)\}")
_FINAL = re.compile(r"(?:####|answer(?:\s+is)?\s*:?)\s*(.+)", re.IGNORECASE)
_LETTER = re.compile(r"(?<![A-Za-z0-9])\(?([A-Z])\)?(?![A-Za-z0-9'])")
_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)


class Graded(NamedTuple):
    """A score, and what grading cost.

    Attributes:
        score: in [0, 1], or None where the answer cannot be graded.
        cost: USD, of a judge model; None where it is not known.
    """

    score: float | None
    cost: float | None = 0.0


class GraderError(AvengersError):
    """A grader failed, or gave something that is no score; the answer is kept and not lost.

    Attributes:
        cost: USD that this took nevertheless; None where it is not known.
    """

    def __init__(self, message: str, cost: float | None = 0.0) -> None:
        super().__init__(message)
        self.cost = cost


def exact(row: Row, answer: str) -> bool:
    """Whether the answer is the reference, or one of them, but for space around it."""
    return any(answer.strip() == reference.strip() for reference in _references(row))


def normalised(row: Row, answer: str) -> bool:
    """As :func:`exact`, but case, punctuation, accents' encoding and English articles play no
    part."""
    return any(_plain(answer) == _plain(reference) for reference in _references(row))


def contains(row: Row, answer: str) -> bool:
    """Whether the reference, or one of them, stands in the answer, normalised, as whole words."""
    return any(f" {_plain(reference)} " in f" {_plain(answer)} " for reference in _references(row))


def number(row: Row, answer: str) -> bool:
    """Whether the answer's final number is the reference's, to six digits.

    The final number is the one in ``\\boxed{}``, after ``####`` or "answer is", else the last.
    """
    given = _final_number(answer)
    wanted = (_final_number(reference) for reference in _references(row))
    return given is not None and any(
        w is not None and math.isclose(given, w, rel_tol=1e-6, abs_tol=1e-9) for w in wanted
    )


def choice(row: Row, answer: str) -> bool:
    """Whether the letter that the answer chooses is the reference.

    The letter in ``\\boxed{}``, after "answer is", else the last capital that stands alone.
    """
    return _chosen(answer) in {_chosen(r) or r.strip().upper() for r in _references(row)}


def regex(pattern: str | None = None) -> Grade:
    """Whether an expression matches somewhere in the answer; default, the row's ``pattern``.

    Raises:
        ValueError: the pattern is none.
    """
    try:
        compiled = None if pattern is None else re.compile(pattern)
    except re.error as error:
        raise ValueError(f"{pattern!r} is no regular expression: {error}") from error

    def matches(row: Row, answer: str) -> bool:
        found = compiled or re.compile(str(_of_row(row, "pattern")))
        return found.search(answer) is not None

    return matches


def json_schema(schema: Mapping[str, Any] | None = None) -> Grade:
    """Whether the answer is JSON, in a code fence or not, that a schema admits.

    Args:
        schema: JSON Schema; default, the row's ``schema``.

    Raises:
        OptionalDependencyError: the package jsonschema is not installed.
        ValueError: the schema is none.
    """
    try:
        from jsonschema import SchemaError, ValidationError, validate
        from jsonschema.validators import validator_for
    except ImportError as error:
        raise OptionalDependencyError("jsonschema", "collect") from error
    if schema is not None:
        try:
            validator_for(schema).check_schema(schema)
        except SchemaError as error:
            raise ValueError(f"expected a JSON Schema: {error.message}") from error

    def admits(row: Row, answer: str) -> bool:
        fenced = _FENCE.search(answer)
        try:
            value = json.loads(fenced.group(1) if fenced else answer)
            validate(value, schema if schema is not None else _of_row(row, "schema"))
        except (ValueError, RecursionError, ValidationError):
            return False
        return True

    return admits


GRADERS: Mapping[str, Grade] = {
    grader.__name__: grader for grader in (exact, normalised, contains, number, choice)
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


def column_for(given: Any) -> str | None:
    """What a question must have for a grader of this name, or None where that is not known."""
    if not isinstance(given, str):
        return None
    return "reference" if given in GRADERS else {"regex": "pattern", "json": "schema"}.get(given)


def grade_with(grader: Grade, row: Row, answer: str) -> Graded:
    """What a grader says, checked.

    Raises:
        GraderError: it failed, or gave no score in [0, 1].
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
    graded = said if isinstance(said, Graded) else Graded(None if said is None else _float(said))
    if graded.score is not None and not 0 <= graded.score <= 1:
        raise GraderError(f"a score must lie in [0, 1], the grader gave {graded.score}")
    return graded


def _named(name: str) -> Grade:
    kind, _, rest = name.partition(":")
    if name in GRADERS:
        return GRADERS[name]
    if kind == "regex":
        return regex(rest or None)
    if kind == "json":
        return json_schema(_json_of(Path(rest)) if rest else None)
    if kind == "judge":
        raise ValueError(
            f"{name!r} is for the command line; in Python pass "
            f"avengers_core.collecting.judge(model, rubric)"
        )
    if kind and rest:
        return as_grader(_imported(kind, rest))
    known = ", ".join((*GRADERS, "regex[:PATTERN]", "json[:FILE]", "judge:MODEL"))
    raise ValueError(f"no grader is called {name!r}; there are {known}, and MODULE:FUNCTION")


def _json_of(file: Path) -> Any:
    try:
        with open_named(file) as stream:
            return json.load(stream)
    except ValueError as error:
        raise ValueError(f"{file}: expected one JSON Schema: {error}") from error


def _imported(module: str, name: str) -> Any:
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise ValueError(f"the grader {module}:{name} cannot be imported: {error}") from error


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


def _of_row(row: Row, name: str) -> Any:
    value = row.get(name)
    if value is None:
        raise GraderError(f"the question has no `{name}`, which this grader needs")
    return value


def _references(row: Row) -> Iterable[str]:
    reference = _of_row(row, "reference")
    many = reference if isinstance(reference, list | tuple) else [reference]
    return [str(one) for one in many]


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = "".join(c if c.isalnum() else " " for c in folded).split()
    return " ".join(word for word in words if word not in ("a", "an", "the"))


def _final_part(text: str) -> str | None:
    """What an answer says is its answer, or None."""
    if boxed := _BOXED.findall(text):
        return str(boxed[-1])
    final = _FINAL.findall(text)
    return str(final[-1]) if final else None


def _final_number(text: str) -> float | None:
    final = _final_part(text)
    inside = [] if final is None else _numbers(final)
    if inside:
        return inside[0]
    everywhere = _numbers(text)
    return everywhere[-1] if everywhere else None


def _numbers(text: str) -> list[float]:
    return [float(re.sub(r"[ ,_]", "", found)) for found in _NUMBER.findall(text)]


def _chosen(text: str) -> str | None:
    final = _final_part(text)
    if final is not None and (letter := _LETTER.search(final.strip())):
        return letter.group(1)
    letters = _LETTER.findall(text.strip())
    return letters[-1] if letters else None
