"""One way of choosing models, as an evaluation compares it with others."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Average = Literal["dataset", "query"]


@dataclass(frozen=True, eq=False)
class Row:
    """One way of choosing models, evaluated on the held-out records.

    Attributes:
        name: a model id, ``"router (alpha 0.4)"`` or a baseline's name.
        kind: ``"router"``, ``"model"``, ``"baseline"``, or ``"team"`` for several models at once.
        accuracy: mean score by dataset, NaN where nothing is known.
        dataset_mean: mean over the datasets, the published tables' average.
        query_mean: mean over the queries.
        mean_cost: USD a call, over the queries whose cost is known or estimated; NaN where there is
            none.
        total_cost: USD for those queries together.
        priced: how many they are; on average where chance chooses.
        shares: model -> share of the queries it was chosen for.
        alpha: of a router's or team's row, else None.
        known: queries whose score is known of the model chosen; the others are estimated.
        known_costs: queries whose cost is known of the model chosen.
    """

    name: str
    kind: str
    accuracy: dict[str, float]
    dataset_mean: float
    query_mean: float
    mean_cost: float
    total_cost: float
    priced: float
    shares: dict[str, float]
    alpha: float | None = None
    known: float = math.nan
    known_costs: float = math.nan


def router_name(alpha: float) -> str:
    """The name of a router's row."""
    return f"router (alpha {alpha:g})"
