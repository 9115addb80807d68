"""Whom to ask what next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Cell = tuple[int, int]
"""A row, of a question, and a column, of a model."""
StrategyName = Literal["adaptive", "full", "random"]
Floats = npt.NDArray[np.float64]


class Table(NamedTuple):
    """What is known of n questions and M models.

    Attributes:
        scores: (n, M), NaN where unknown.
        costs: (n, M) USD, NaN where unknown.
        done: (n, M) whether there is no use in asking (again): it has been answered, or failed.
    """

    scores: Floats
    costs: Floats
    done: npt.NDArray[np.bool_]


class Strategy(Protocol):
    """Chooses what to ask."""

    def choose(self, table: Table, most: int | None) -> Sequence[Cell]:
        """The cells to ask next, in order; none: enough is known.

        Args:
            table: what is known.
            most: how many may be asked in all from now on; None: no limit.
        """
        ...


@dataclass(frozen=True)
class Full:
    """Every model every question, question by question, in random order."""

    seed: int

    def choose(self, table: Table, most: int | None) -> Sequence[Cell]:
        n, m = table.done.shape
        rows = np.random.default_rng(self.seed).permutation(n)
        return [(int(i), j) for i in rows for j in range(m) if not table.done[i, j]][:most]


@dataclass(frozen=True)
class RandomPicks:
    """Any model any question, in random order."""

    seed: int

    def choose(self, table: Table, most: int | None) -> Sequence[Cell]:
        n, m = table.done.shape
        cells = np.random.default_rng(self.seed).permutation(n * m)
        left = cells[~table.done.ravel()[cells]][:most]
        return [(int(cell) // m, int(cell) % m) for cell in left]
