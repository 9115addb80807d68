"""Whole numbers as arguments: in their range, or refused before the work."""

from __future__ import annotations

import numbers
from typing import Any

MOST_SEED = 2**32 - 1
"""What numpy's and scikit-learn's generators take."""


def check_whole(name: str, value: Any, least: int, most: int | None = None, why: str = "") -> None:
    """Refuse what is no whole number in a range.

    Args:
        name: of the argument.
        value: given for it.
        least: the lowest that is accepted.
        most: the highest; None: any.
        why: there is a highest, in words.

    Raises:
        ValueError: it is none; the message says what is accepted.
    """
    whole = isinstance(value, numbers.Integral) and not isinstance(value, bool)
    if whole and value >= least and (most is None or value <= most):
        return
    accepted = f", at least {least}" if most is None else f" from {least} to {most:,}"
    reason = f" ({why})" if why else ""
    raise ValueError(f"{name} must be a whole number{accepted}{reason}, got {value!r:.40}")


def check_seed(seed: Any) -> None:
    """Refuse what no generator takes as a seed."""
    check_whole("seed", seed, 0, MOST_SEED)
