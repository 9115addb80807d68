"""Arrays as they are stored: under names of their part, and checked for what no sums can hold."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import isfinite
from typing import Any

import numpy as np
import numpy.typing as npt

# No sum over any number of records is larger; products of two of them are still finite.
LARGEST = 1e30


def prefixed(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The arrays of a part, under names that begin with its name and a dot."""
    return {f"{prefix}.{name}": array for name, array in arrays.items()}


def of_prefix(prefix: str, arrays: Mapping[str, npt.NDArray[Any]]) -> dict[str, npt.NDArray[Any]]:
    """The inverse of :func:`prefixed`: those of one part; empty where there are none."""
    begin = f"{prefix}."
    return {k.removeprefix(begin): v for k, v in arrays.items() if k.startswith(begin)}


def out_of_range(array: npt.NDArray[np.floating], largest: float) -> str | None:
    """What an array holds that no numbers of this kind can be, in words, or None."""
    if array.dtype not in (np.float32, np.float64):
        return f"has the type {array.dtype}, expected float32 or float64"
    low, high = array.min(initial=0.0), array.max(initial=0.0)  # of which NaN makes NaN
    if not (isfinite(low) and isfinite(high)):
        return "holds NaN or infinite values"
    if max(-low, high) > largest:
        return f"holds values above {largest:g}"
    return None


def check_arrays(
    arrays: Mapping[str, npt.NDArray[np.floating]],
    shapes: Mapping[str, tuple[int, ...]],
    signed: Collection[str] = (),
) -> str | None:
    """The first fault among arrays of sums, in words, or None; only the signed may be negative."""
    for name, array in arrays.items():
        if array.shape != shapes[name]:
            return f"{name} has shape {array.shape}, expected {shapes[name]}"
        if fault := out_of_range(array, LARGEST):
            return f"{name} {fault}"
        if name not in signed and array.min(initial=0.0) < 0:
            return f"{name} holds negative values"
    return None
