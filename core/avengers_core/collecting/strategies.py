"""Whom to ask what next."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple

import numpy as np

from avengers_core.common.arrays import Floats, Mask

Cell = tuple[int, int]
"""A row, of a question, and a column, of a model."""
StrategyName = Literal["adaptive", "full", "random"]


class Table(NamedTuple):
    """What is known of n questions and M models.

    Attributes:
        scores: (n, M), NaN where unknown.
        costs: (n, M) USD, NaN where unknown.
        done: (n, M) whether there is no use in asking (again): it has been answered, or failed.
    """

    scores: Floats
    costs: Floats
    done: Mask


Strategy = Callable[[Table, "int | None"], Sequence[Cell]]
"""Takes what is known, and how many may be asked in all from now on (None: no limit); gives the
cells to ask next, in order, and none where enough is known."""


def full(table: Table, most: int | None, *, seed: int) -> Sequence[Cell]:
    """Every model every question, question by question, in random order."""
    n, m = table.done.shape
    rows = np.random.default_rng(seed).permutation(n)
    return [(int(i), j) for i in rows for j in range(m) if not table.done[i, j]][:most]


def random_picks(table: Table, most: int | None, *, seed: int) -> Sequence[Cell]:
    """Any model any question, in random order."""
    n, m = table.done.shape
    cells = np.random.default_rng(seed).permutation(n * m)
    left = cells[~table.done.ravel()[cells]][:most]
    return [(int(cell) // m, int(cell) % m) for cell in left]
