"""Plain values: as JSON and files can hold them, and out of mappings and objects alike."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
from pydantic_core import from_json


def plain(value: Any) -> Any:
    """JSON types for what is made of them and of numpy's: sets in a lasting order, None for NaN."""
    if isinstance(value, Mapping):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return plain(value.tolist())
    if isinstance(value, set | frozenset):
        return sorted(value)
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value


def part_of(whole: Any, name: str) -> Any:
    """What stands under a name in a mapping or an object; None if nothing does.

    Clients of providers hand the same answer on as either.
    """
    return parts_of(whole)(name, None)


def parts_of(whole: Any) -> Callable[[str, Any], Any]:
    """:func:`part_of` of one whole, to be asked by name and default."""
    # A question to an abstract class takes long, and most are dicts.
    keyed = isinstance(whole, dict) or isinstance(whole, Mapping)  # noqa: SIM101
    return whole.get if keyed else partial(getattr, whole)


def of_json(line: bytes) -> Any:
    """What a line of JSON holds; where it has half a surrogate pair, as Python reads it.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return from_json(line)
    except ValueError as error:
        with suppress(ValueError, RecursionError):
            return json.loads(line.decode())
        raise error from None


def encodable(text: str) -> str:
    """A text that can be written as UTF-8.

    Half a surrogate pair, which programs leave that cut texts in UTF-16, becomes U+FFFD.
    """
    if text.isascii():
        return text
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


def is_sendable(value: Any) -> bool:
    """Whether all texts in a value can be written as UTF-8."""
    if type(value) is str:
        return encodable(value) is value
    if type(value) is dict:
        value = (*value, *value.values())
    elif type(value) not in (list, tuple):
        return True
    for item in value:  # asked of every message, and much faster than a call for each text
        if type(item) is str:
            if not item.isascii() and encodable(item) is not item:
                return False
        elif type(item) in (dict, list, tuple) and not is_sendable(item):
            return False
    return True


def sendable(value: Any) -> Any:
    """A value with texts that can be written as UTF-8, as :func:`encodable` has them; itself, where
    it has no others."""
    if type(value) is str:
        return encodable(value)
    if is_sendable(value):
        return value
    if type(value) is dict:
        return {sendable(key): sendable(item) for key, item in value.items()}
    return type(value)(map(sendable, value))
