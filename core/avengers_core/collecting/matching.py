"""Graders that compare an answer with what is known of the right one."""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Iterable, Mapping
from typing import Any

from avengers_core.collecting.grades import Grade, GraderError, Row, needed
from avengers_core.errors import needing

_NUMBER = re.compile(
    r"[-+]?(?:(?:\d{1,3}(?:[ ,_]\d{3})+(?!\d)|\d+)(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"
)
_BOXED = re.compile(r"\\boxed\{\s*(?:\\text\{)?([^{}]*)\}")
_FINAL = re.compile(r"(?:####|\banswer\b(?:\s+is)?\s*:?)\s*(.+)", re.IGNORECASE)
_LETTER = re.compile(r"(?<![A-Za-z0-9])\(?([A-Z])\)?(?![A-Za-z0-9'])")
_ALONE = re.compile(r"[\W_]*([A-Za-z])[\W_]*")
# As typesetting has them: a minus, and spaces that do not break.
_TYPESET = str.maketrans("\u2212\u00a0\u202f\u2009", "-   ")
_FENCE = re.compile(r"```(?:json)?\s*(.*?)```", re.DOTALL)


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

    Raises:
        GraderError: the reference has no number.
    """
    wanted = [w for w in map(_final_number, _references(row)) if w is not None]
    if not wanted:
        raise GraderError(f"expected a number as `reference`, got {row['reference']!r:.60}")
    given = _final_number(answer)
    return given is not None and any(
        math.isclose(given, w, rel_tol=1e-6, abs_tol=1e-9) for w in wanted
    )


def choice(row: Row, answer: str) -> bool:
    """Whether the letter that the answer chooses is the reference.

    The letter in ``\\boxed{}``, after "answer is", else the last capital that stands alone; where
    there is nothing else, a small one will do.

    Raises:
        GraderError: the reference has no such letter.
    """
    wanted = {letter for letter in map(_chosen, _references(row)) if letter is not None}
    if not wanted:
        raise GraderError(f"expected a letter as `reference`, got {row['reference']!r:.60}")
    return _chosen(answer) in wanted


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
        found = compiled or re.compile(str(needed(row, "pattern")))
        return found.search(answer) is not None

    return matches


def json_schema(schema: Mapping[str, Any] | None = None) -> Grade:
    """Whether the answer is JSON, in a code fence or not, that a schema admits.

    Args:
        schema: JSON Schema; default, the row's ``schema``, an object or its JSON.

    Raises:
        OptionalDependencyError: the package jsonschema is not installed.
        ValueError: the schema is none.
    """
    with needing("jsonschema", "collect"):
        from jsonschema import SchemaError, ValidationError, validate
        from jsonschema.validators import validator_for
    if schema is not None:
        try:
            validator_for(schema).check_schema(schema)
        except SchemaError as error:
            raise ValueError(f"expected a JSON Schema: {error.message}") from error

    def admits(row: Row, answer: str) -> bool:
        wanted = needed(row, "schema") if schema is None else schema
        wanted = json.loads(wanted) if isinstance(wanted, str) else wanted
        fenced = _FENCE.search(answer)
        try:
            validate(json.loads(fenced.group(1) if fenced else answer), wanted)
        except (ValueError, RecursionError, ValidationError):
            return False
        return True

    return admits


def _references(row: Row) -> Iterable[str]:
    reference = needed(row, "reference")
    many = reference if isinstance(reference, list | tuple) else [reference]
    return [str(one) for one in many]


def _plain(text: str) -> str:
    folded = unicodedata.normalize("NFKC", text).casefold()
    words = "".join(c if c.isalnum() else " " for c in folded).split()
    plain = " ".join(word for word in words if word not in ("a", "an", "the"))
    return plain or folded.strip()  # of an article or a sign alone, all


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
    found = _NUMBER.findall(text.translate(_TYPESET))
    return [float(re.sub(r"[ ,_]", "", number)) for number in found]


def _chosen(text: str) -> str | None:
    final = _final_part(text)
    for part in (final, text):
        if part is not None and (alone := _ALONE.fullmatch(part)):
            return alone.group(1).upper()
    if final is not None and (letter := _LETTER.search(final)):
        return letter.group(1)
    letters = _LETTER.findall(text)
    return letters[-1] if letters else None
