"""Whom the adaptive strategy asks what."""

from __future__ import annotations

import numpy as np
import pytest

from avengers_core.collecting.adaptive import Adaptive
from avengers_core.collecting.strategies import Table

N = 120
QUERIES = [f"{('What is the sum of', 'Write a poem about')[i % 2]} {i}?" for i in range(N)]


def scores() -> np.ndarray:
    """Of a model for sums, one for poems, and one that is good for nothing."""
    rng = np.random.default_rng(0)
    chance = np.array([[0.9, 0.3, 0.02], [0.3, 0.9, 0.02]])[np.arange(N) % 2]
    return (rng.random((N, 3)) < chance).astype(float)


def answers(budget: int | None) -> np.ndarray:
    """(N, 3) what has been asked in the end."""
    strategy, truth = Adaptive(QUERIES, 0), scores()
    costs = np.full(truth.shape, 0.01) * [1, 1, 2]
    done = np.zeros(truth.shape, dtype=bool)
    while True:
        left = None if budget is None else budget - int(done.sum())
        known = (np.where(done, values, np.nan) for values in (truth, costs))
        cells = strategy(Table(*known, done.copy()), left)
        if not cells:
            return done
        assert left is None or len(cells) <= left
        for cell in cells:
            assert not done[cell]
            done[cell] = True


def test_who_is_never_chosen_is_left_out() -> None:
    asked = answers(180).sum(axis=0)
    assert asked.sum() == 180
    assert asked[2] <= 30
    assert min(asked[:2]) >= 70


def test_the_first_questions_go_to_everybody_from_all_over() -> None:
    empty = np.full((N, 3), np.nan)
    cells = Adaptive(QUERIES, 0)(Table(empty, empty, np.zeros((N, 3), dtype=bool)), 240)
    rows = sorted({i for i, _ in cells})
    assert len(cells) == 3 * len(rows)
    assert sum(i % 2 for i in rows) == pytest.approx(len(rows) / 2, abs=2)


def test_without_a_budget_it_stops_where_choices_stand() -> None:
    assert 90 <= answers(None).sum() < 3 * N


def test_a_budget_that_is_there_is_used() -> None:
    assert answers(3 * N).all()


def test_who_is_weak_at_a_kind_of_questions_is_asked_less_of_them() -> None:
    asked = answers(150)
    sums, poems = asked[::2].sum(axis=0), asked[1::2].sum(axis=0)
    assert sums[0] > 1.5 * sums[1]
    assert poems[1] > 1.5 * poems[0]
