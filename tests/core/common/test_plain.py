"""What can be written as UTF-8."""

from __future__ import annotations

import pytest

from avengers_core.common.plain import sendable


@pytest.mark.parametrize(
    "value", ["", "hi", "héllo 🙂", {"a": ["b", {"c": 1}]}, ("a", None), [b"\xff", 1.5, object()]]
)
def test_what_can_be_written_is_the_same_object(value: object) -> None:
    assert sendable(value) is value


def test_halves_of_surrogate_pairs_are_put_together_or_replaced() -> None:
    assert sendable("\ud83d\ude42 \ud83d") == "🙂 \ufffd"
    whole = ["kept"]
    made = sendable({"a": ("\ude42", whole), "b\ud83d": 1})
    assert made == {"a": ("\ufffd", whole), "b\ufffd": 1}
    assert made["a"][1] is whole
