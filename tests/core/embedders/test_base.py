from __future__ import annotations

import numpy as np
import pytest

from avengers_core.embedders.base import as_texts, as_unit_rows
from avengers_core.errors import EmbedderError


def test_as_texts_repairs_surrogates_and_keeps_the_rest() -> None:
    texts = ["", "plain", "\0", "žluťoučký", "\U0001f600", "\ud83d\ude00", "a\ud800b", "\udfff"]
    clean = as_texts(texts)
    assert clean == [*texts[:5], "\U0001f600", "a\ufffdb", "\ufffd"]
    assert all(text.encode() is not None for text in clean)


@pytest.mark.parametrize("texts", ["one text", [None], ["a", 3], [b"bytes"]])
def test_as_texts_refuses_what_is_no_list_of_texts(texts: object) -> None:
    with pytest.raises(TypeError, match=r"str|bytes|NoneType|int|one text"):
        as_texts(texts)  # type: ignore[arg-type]


def test_as_unit_rows_normalises_the_largest_and_the_smallest() -> None:
    rows = as_unit_rows([[3.0, 4.0], [0, 0], [1e300, 1e300], [1e-300, 0], [5e-324, 0]], 5, 2, "it")
    assert rows.dtype == np.float32
    expected = [[0.6, 0.8], [0, 0], [0.5**0.5] * 2, [1, 0], [1, 0]]
    np.testing.assert_allclose(rows, expected, rtol=1e-6)


def test_as_unit_rows_does_not_change_its_input() -> None:
    values = np.array([[3.0, 4.0]])
    as_unit_rows(values, 1, 2, "it")
    assert values.tolist() == [[3.0, 4.0]]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1.0, 2.0]], r"\(2, 3\).*\(1, 2\)"),
        ([1.0, 2.0], r"\(2,\)"),
        ([[1.0, 2.0], [3.0, 4.0]], r"\b2\b.*\b3\b"),
        ([[1.0, 2.0, 3.0], [1.0]], "no array of numbers"),
        ([["a", "b", "c"]] * 2, "no array of numbers"),
        (None, r"\(\)"),
        ([[1.0, 2.0, 3.0], [1.0, float("nan"), 0.0]], r"NaN.*\b1\b"),
        ([[1.0, 2.0, float("inf")]] * 2, r"NaN.*\b0\b"),
        ([[], []], r"\b0\b.*\b3\b"),
    ],
)
def test_as_unit_rows_says_what_is_wrong(values: object, message: str) -> None:
    with pytest.raises(EmbedderError, match=message) as caught:
        as_unit_rows(values, 2, 3, "my embedder")
    assert "my embedder" in str(caught.value)
