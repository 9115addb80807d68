"""Types of numpy's arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.floating]
Ints = npt.NDArray[np.integer]
Mask = npt.NDArray[np.bool_]


def to_twelve_digits(values: Floats) -> Floats:
    """Values to twelve digits, in which sums of the same numbers agree, whatever their order."""
    digits: Floats = np.vectorize(lambda value: float(f"{value:.12g}"), otypes=[np.float64])(values)
    return digits
