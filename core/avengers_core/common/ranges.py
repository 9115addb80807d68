"""Numbers as arguments: in their range, or refused before the work."""

from __future__ import annotations

import math
import numbers
from typing import Any, get_args

import numpy as np

YEAR = 365 * 86400.0
"""Seconds; no wait that is meant is longer, and systems take no number of them."""
MOST_RETRIES = 1_000
"""Of one request."""
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
    # Nearly always it is an int, which is told at once.
    whole = type(value) is int or (
        isinstance(value, numbers.Integral) and not isinstance(value, bool)
    )
    if whole and value >= least and (most is None or value <= most):
        return
    accepted = f", at least {least}" if most is None else f" from {least} to {most:,}"
    reason = f" ({why})" if why else ""
    raise ValueError(f"{name} must be a whole number{accepted}{reason}, got {value!r:.40}")


def is_number(value: object) -> bool:
    """Whether something is a number as people mean one: no truth value, no text, and not NaN."""
    return (
        isinstance(value, float | int | np.number)
        and not isinstance(value, bool | np.complexfloating)
        and value == value  # noqa: PLR0124
    )


def check_number(
    name: str, value: Any, least: float = 0.0, most: float = math.inf, *, inside: str = ""
) -> None:
    """Refuse what is no finite number in a range.

    Args:
        name: of the argument.
        value: given for it.
        least: the lowest that is accepted.
        most: the highest; infinity: any.
        inside: which ends are not accepted themselves: ``"least"``, ``"most"`` or ``"both"``.

    Raises:
        ValueError: it is none; the message says what is accepted.
    """
    low, high = inside in ("least", "both"), inside in ("most", "both") or most == math.inf
    if is_number(value):
        is_enough = value > least if low else value >= least
        if is_enough and (value < most if high else value <= most):
            return
    if most == math.inf:
        accepted = f"be a finite number, {'above' if low else 'at least'} {least:g}"
    else:
        accepted = f"lie in {'(' if low else '['}{least:g}, {most:g}{')' if high else ']'}"
    got = f"the text {value!r:.40}: pass a number" if isinstance(value, str) else f"{value!r:.40}"
    raise ValueError(f"{name} must {accepted}, got {got}")


def check_seed(seed: Any) -> None:
    """Refuse what no generator takes as a seed."""
    check_whole("seed", seed, 0, MOST_SEED)


def check_one_of(name: str, value: Any, kind: Any) -> None:
    """Refuse what is none of the values of a ``Literal``."""
    if not isinstance(value, str) or value not in get_args(kind):
        raise ValueError(f"{name} must be one of {get_args(kind)}, got {value!r:.40}")
