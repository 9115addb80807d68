"""What grades are: of which answers, by which graders, and what they took."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from avengers_core.errors import AvengersError

Row = Mapping[str, Any]
Grade = Callable[[Row, str], "Graded | float | bool | None"]
"""Takes a question's row and the text of an answer; None: this answer cannot be graded."""


class Graded(NamedTuple):
    """A score, and what grading cost.

    Attributes:
        score: in [0, 1], or None where the answer cannot be graded.
        cost: USD, of a judge model; None where it is not known.
    """

    score: float | None
    cost: float | None = 0.0


class GraderError(AvengersError):
    """A grader failed, or gave something that is no score; the answer is kept and not lost.

    Attributes:
        cost: USD that this took nevertheless; None where it is not known.
    """

    def __init__(self, message: str, cost: float | None = 0.0) -> None:
        super().__init__(message)
        self.cost = cost


def needed(row: Row, name: str) -> Any:
    """What a question has under a name that a grader needs.

    Raises:
        GraderError: it has nothing there; nor has an empty cell of a table.
    """
    value = row.get(name)
    if _is_gap(value):
        raise GraderError(f"the question has no `{name}`, which this grader needs")
    return value


def _is_gap(value: Any) -> bool:
    if isinstance(value, str):
        return not value.strip()
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or (isinstance(value, list | tuple) and not value)
