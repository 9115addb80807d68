"""Public name of :mod:`avengers_core.fitting.selection`."""

from avengers_core.fitting.selection import (
    MAX_EXHAUSTIVE,
    Subset,
    best_subset,
)

__all__ = [
    "MAX_EXHAUSTIVE",
    "Subset",
    "best_subset",
]
