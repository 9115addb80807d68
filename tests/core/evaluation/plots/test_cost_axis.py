"""Axes of costs: few amounts, apart from each other, and written short."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core.evaluation.plots.cost_axis import dollars, ticks


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (9e-4, 0.06, [0.001, 0.002, 0.005, 0.01, 0.02, 0.05]),
        (4e-7, 2, [1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 0.1, 1]),
        (1e-10, 1e13, [1e-8, 1e-4, 1, 1e4, 1e8, 1e12]),
        (0.9, 1.3, [0.9, 1.0, 1.1, 1.2, 1.3]),
    ],
)
def test_steps_go_with_the_span(low, high, expected):
    assert ticks(low, high, log=True) == pytest.approx(expected)


@given(st.floats(-12, 12), st.floats(0.02, 24))
def test_there_are_never_more_than_seven(start, decades):
    found = ticks(10**start, 10 ** (start + decades), log=True)
    assert 1 <= len(found) <= 7


def test_a_linear_axis_of_nothing_has_one_amount():
    assert ticks(0.0, 0.0, log=False).tolist() == [0]
    assert ticks(0.0, 0.0021, log=False) == pytest.approx([0, 0.0005, 0.001, 0.0015, 0.002])


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "$0"),
        (2e-5, "$0.00002"),
        (0.00015, "$0.00015"),
        (0.01, "$0.01"),
        (12.5, "$12.5"),
        (20000, "$20000"),
        (1e-6, "$0.000001"),
        (2e-7, "$2e-7"),
        (1e12, "$1e12"),
    ],
)
def test_amounts_are_short(value, text):
    assert dollars(value) == text
