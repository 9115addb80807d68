"""Damage: bytes of a file, values of a document.

Every test here says with :func:`cases` how many it takes in a short run; ``FUZZ=20`` takes twenty
times as many.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from avengers_core.errors import AvengersError

TIMES = int(os.environ.get("FUZZ", "1"))
_SLOW = (HealthCheck.too_slow, HealthCheck.function_scoped_fixture, HealthCheck.data_too_large)


def cases(n: int) -> Callable[[Any], Any]:
    """A test over n cases in a short run."""

    def decorate(function: Any) -> Any:
        wanted = settings(max_examples=n * TIMES, deadline=None, suppress_health_check=_SLOW)
        return pytest.mark.fuzz(wanted(function))

    return decorate


_EDITS = st.lists(
    st.tuples(
        st.sampled_from(["flip", "cut", "insert", "repeat", "zero"]),
        st.floats(0, 1, exclude_max=True),
        st.binary(min_size=1, max_size=8),
    ),
    min_size=1,
    max_size=4,
)


def damaged(edits: list[tuple[str, float, bytes]], content: bytes) -> bytes:
    """Some bytes with a few of :data:`EDITS` made, each somewhere between begin (0) and end (1)."""
    out = bytearray(content)
    for kind, where, some in edits:
        at = int(where * len(out))
        if kind == "flip":
            out[at : at + len(some)] = bytes(
                a ^ b for a, b in zip(out[at : at + len(some)], some, strict=False)
            )
        elif kind == "cut":
            del out[at : at + 1 + 16 * some[0]]
        elif kind == "insert":
            out[at:at] = some
        elif kind == "repeat":
            out[at:at] = out[at : at + 1 + some[0]]
        else:
            out[at : at + 64] = bytes(len(out[at : at + 64]))
    return bytes(out)


_ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=12),
    st.sampled_from(["\ud800", "\x1b[2J", "=1+1", "x" * 100_000, "../../x", "![x](http://e)", ""]),
    st.just([]),
    st.just({}),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=3), st.integers(), max_size=2),
)


def altered(data: st.DataObject, document: Any) -> Any:
    """A document of JSON with one of its values, anywhere, replaced, dropped or doubled."""
    if isinstance(document, dict) and document and data.draw(st.integers(0, 5)):
        key = data.draw(st.sampled_from(sorted(document)))
        rest = {k: v for k, v in document.items() if k != key}
        match data.draw(st.integers(0, 9)):
            case 0:
                return rest
            case 1:
                return {**rest, data.draw(st.text(max_size=5)): document[key]}
        return {**document, key: altered(data, document[key])}
    if isinstance(document, list) and document and data.draw(st.integers(0, 5)):
        at = data.draw(st.integers(0, len(document) - 1))
        match data.draw(st.integers(0, 9)):
            case 0:
                return document[:at] + document[at + 1 :]
            case 1:
                return [*document, document[at]]
        return [*document[:at], altered(data, document[at]), *document[at + 1 :]]
    return data.draw(_ODD)


def check_message(error: AvengersError, *names: str) -> None:
    """An error is short, fit to be printed, and names the file."""
    text = str(error)
    assert len(text) < 1000
    assert "\x1b" not in text
    for name in names:
        assert name in text


EDITS = _EDITS
