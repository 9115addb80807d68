"""Axes of costs: which amounts stand beside them, and how they are written."""

from __future__ import annotations

import math
import re
from typing import Any

import numpy as np

from avengers_core.common.arrays import Floats

_MOST = 7
# Decades up to which equal steps read best, and 1-2-5; beyond them stand powers of ten.
_NARROW, _MIDDLE = 0.7, 2.0
_EXPONENT = re.compile(r"e\+?(-?)0*")


def label_costs(axis: Any, values: Floats) -> None:
    """Write amounts beside an axis whose scale and limits are settled.

    Args:
        axis: matplotlib's x or y axis.
        values: the costs that are drawn, USD, not negative; NaN where unknown.
    """
    from matplotlib.ticker import FuncFormatter, NullFormatter

    low, high = axis.get_view_interval()
    free = not (values > 0).any()
    axis.set_ticks(ticks(max(low, 0.0), 0.0 if free else high, log=axis.get_scale() == "log"))
    axis.set_major_formatter(FuncFormatter(dollars))
    axis.set_minor_formatter(NullFormatter())


def ticks(low: float, high: float, *, log: bool) -> Floats:
    """At most seven amounts in [low, high] that stand apart on the axis.

    Args:
        low: lower end, at least 0; above 0 on a logarithmic axis.
        high: upper end.
        log: whether the axis is logarithmic.
    """
    from matplotlib.ticker import MaxNLocator

    decades = math.log10(high / low) if log else 0.0
    if decades <= _NARROW:
        nice = MaxNLocator(nbins=5, steps=[1, 2, 5, 10]).tick_values(low, high)
        amounts = np.asarray(nice, dtype=np.float64)
    else:
        exponents = np.arange(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
        exponents = exponents[exponents % (int(decades / _MOST) + 1) == 0]
        digits = [1.0, 2.0, 5.0] if decades <= _MIDDLE else [1.0]
        amounts = np.outer(10.0**exponents, digits).ravel()
    # An end that rounding has moved past an amount still shows it.
    inside: Floats = amounts[(amounts >= low * (1 - 1e-9)) & (amounts <= high * (1 + 1e-9))]
    return inside


def dollars(value: float, _position: object = None) -> str:
    """An amount with four digits: $0.00002, and $2e-7 where zeros could no longer be counted."""
    digits = f"{value:.4g}"
    if value and not 1e-6 <= abs(value) < 1e6:
        return "$" + _EXPONENT.sub(r"e\1", digits)
    return "$" + (f"{float(digits):.12f}".rstrip("0").rstrip(".") if "e" in digits else digits)
