"""Values of cells and keys, none of which is trusted to be what its name says."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

# What code that expects another type of value raises.
UNFIT = (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError)
_GAPS = ("", "none", "nan", "null", "<na>")
_TRUTHS = {"true": 1.0, "false": 0.0}
_SHOWN = 40  # characters of a value in a message


def number(value: Any) -> float | None:
    """A number that may be text, or None where there is none.

    Raises:
        ValueError: something else, or infinite. A percentage is something else: whether "1%" is
            0.01 or 1 of 100 depends on the scale of the other values.
    """
    word = value.strip().lower() if isinstance(value, str) else value
    if word is None or (isinstance(word, str) and word in _GAPS):
        return None
    if isinstance(word, str) and word in _TRUTHS:
        return _TRUTHS[word]
    try:
        result = float(word)
    except (OverflowError, TypeError, ValueError):
        raise ValueError(f"expected a number, got {shown(value)}") from None
    if math.isnan(result):
        return None  # a gap of pandas
    if math.isinf(result):
        raise ValueError(f"expected a finite number, got {shown(value)}")
    return result


def amount(value: Any) -> float | None:
    """A cost or a number of tokens, or None where it is not known.

    Raises:
        ValueError: it is no number, or negative.
    """
    found = number(value)
    if found is not None and found < 0:
        raise ValueError(f"expected a cost or number of tokens of at least 0, got {shown(value)}")
    return found


def is_number(value: Any) -> bool:
    """Whether a value is a number, or a gap."""
    try:
        number(value)
    except ValueError:
        return False
    return True


def known_number(value: Any) -> float | None:
    """A number, or None where there is none or something else."""
    return number(value) if is_number(value) else None


def usage(cost: Any = None, prompt: Any = None, completion: Any = None) -> dict[str, float | None]:
    """What a call took: USD, tokens sent and tokens received, each None where it is not known.

    No tokens sent are tokens that nobody counted.

    Raises:
        ValueError: see :func:`amount`.
    """
    sent, received = amount(prompt) or None, amount(completion)
    known = received if sent or received else None
    return {"cost": amount(cost), "prompt_tokens": sent, "completion_tokens": known}


def text(value: Any, what: str) -> str:
    """A text.

    Raises:
        ValueError: something else, or nothing, where ``what`` should be.
    """
    if not isinstance(value, str) or not value.strip():
        raise ValueError(f"expected a text as {what}, got {shown(value)}")
    return value


def parsed(value: Any) -> Any:
    """A value that may be JSON in text."""
    if isinstance(value, str) and value.lstrip()[:1] in ("{", "["):
        with suppress(ValueError):
            return json.loads(value)
    return value


def mapping(value: Any, what: str) -> Mapping[str, Any]:
    """An object, that may be JSON in text; empty where there is none.

    Raises:
        ValueError: something else, where ``what`` should be.
    """
    found = parsed(value) or {}
    if not isinstance(found, Mapping):
        raise ValueError(f"expected an object as {what}, got {shown(value)}")
    return found


def sequence(value: Any, what: str) -> list[Any]:
    """A list, that may be JSON in text; empty where there is none.

    Raises:
        ValueError: something else, where ``what`` should be.
    """
    found = parsed(value) or []
    if not isinstance(found, list):
        raise ValueError(f"expected a list of {what}, got {shown(value)}")
    return found


def first(*values: Any) -> Any:
    """The first value that is there: not None, not an empty text, not NaN (a gap of pandas)."""
    return next((value for value in values if not _is_gap(value)), None)


def one(row: Any, *paths: str) -> Any:
    """The :func:`first` of what lies at some paths, as of :func:`at`."""
    return first(*(at(row, path) for path in paths))


def tree(row: Mapping[str, Any]) -> dict[str, Any]:
    """A flat row, ``inputs.question`` and the like, as the object that it was made from.

    What has both a value and keys below it keeps its value under the key ``""``. Numbered keys
    become lists.
    """
    root: dict[str, Any] = {}
    for key, value in row.items():
        if _is_gap(value):
            continue
        branch = root
        *path, last = str(key).split(".")
        for part in path:
            below = branch.get(part)
            if not isinstance(below, dict):
                below = branch[part] = {} if below is None else {"": below}
            branch = below
        leaf = tree(value) if isinstance(value, Mapping) else value
        there = branch.get(last)
        if isinstance(there, dict):
            there.update(leaf if isinstance(leaf, dict) else {"": leaf})
        else:
            branch[last] = leaf
    return {key: _listed(value) for key, value in root.items()}


def at(row: Any, path: str) -> Any:
    """What lies at a path of keys, ``usage.cost``; None where there is nothing.

    A key that holds dots itself goes before a path. In lists, of each item.
    """
    if isinstance(row, list):
        found = [at(item, path) for item in row]
        return found if any(value is not None for value in found) else None
    if not isinstance(row, Mapping):
        return None
    if path in row:
        return row[path]
    for i, character in enumerate(path):
        if character == "." and path[:i] in row:
            return at(parsed(row[path[:i]]), path[i + 1 :])
    return None


def shown(value: Any) -> str:
    """How a value begins, for messages."""
    try:
        return repr(str(value)[:_SHOWN])
    except (RecursionError, ValueError):  # nested too deeply, a number of too many digits
        return f"({type(value).__name__})"


def _is_gap(value: Any) -> bool:
    return value is None or value == "" or (isinstance(value, float) and math.isnan(value))


def _listed(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    inner = {key: _listed(item) for key, item in value.items()}
    if inner and all(key.isdecimal() for key in inner):
        return [inner[key] for key in sorted(inner, key=int)]
    return inner
