"""The arguments of a routing call, checked and brought into one form."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Literal, NamedTuple

from avengers_core.routing.eligibility import Constraints

OnEmpty = Literal["raise", "relax"]

DEFAULT_ALPHA = 0.5
_LASTING = (tuple, Collection)  # the first, the usual one, is the quicker to tell


class Call(NamedTuple):
    """The arguments of one routing call, checked.

    Attributes:
        alpha: weight of expected score against expected cost.
        constraints: what is demanded of the model.
        n: how many models are wanted.
        prompt_tokens: length of the whole prompt, or None.
        on_empty: what to do when nobody is left.
    """

    alpha: float
    constraints: Constraints
    n: int = 1
    prompt_tokens: int | None = None
    on_empty: OnEmpty = "raise"


def make_call(
    *,
    alpha: float | None = None,
    performance_weight: float | None = None,
    cost_sensitivity: float | None = None,
    models: Collection[str] | None = None,
    exclude: Collection[str] = (),
    max_cost: float | None = None,
    min_score: float | None = None,
    n: int = 1,
    prompt_tokens: int | None = None,
    unavailable: Mapping[str, str] | None = None,
    on_empty: OnEmpty = "raise",
) -> Call:
    """A call from the arguments of :meth:`avengers_core.Router.route`; raises its ValueErrors."""
    if performance_weight is not None or cost_sensitivity is not None:
        if alpha is not None:
            raise ValueError("give alpha, or performance_weight and cost_sensitivity, not both")
        alpha = alpha_from_weights(performance_weight, cost_sensitivity)
    try:
        alpha = DEFAULT_ALPHA if alpha is None else float(alpha)
    except (TypeError, ValueError):
        raise ValueError(f"alpha must be a number in [0, 1], got {alpha!r}") from None
    if not 0 <= alpha <= 1:
        raise ValueError(f"alpha must lie in [0, 1], got {alpha}")
    if not isinstance(n, int) or n < 1:
        raise ValueError(f"n must be a whole number, at least 1, got {n!r}")
    if prompt_tokens is not None and prompt_tokens < 0:
        raise ValueError(f"prompt_tokens must not be negative, got {prompt_tokens}")
    if on_empty not in ("raise", "relax"):
        raise ValueError(f'on_empty must be "raise" or "relax", got {on_empty!r}')
    constraints = Constraints(
        _names(models), _names(exclude) or (), max_cost, min_score, unavailable
    )
    return Call(alpha, constraints, n, prompt_tokens, on_empty)


def _names(given: Collection[str] | None) -> Collection[str] | None:
    # An iterator would be used up by the first look at it.
    return given if given is None or isinstance(given, _LASTING) else tuple(given)


def alpha_from_weights(
    performance_weight: float | None = None, cost_sensitivity: float | None = None
) -> float:
    """alpha = pw / (pw + cs); a weight that is not given is 1 minus the other.

    Raises:
        ValueError: a negative weight, or both zero.
    """
    if performance_weight is None and cost_sensitivity is None:
        return DEFAULT_ALPHA
    pw = 1 - (cost_sensitivity or 0.0) if performance_weight is None else performance_weight
    cs = 1 - pw if cost_sensitivity is None else cost_sensitivity
    if not (pw >= 0 and cs >= 0 and pw + cs > 0):
        raise ValueError(
            f"performance_weight and cost_sensitivity must not be negative, nor both zero, "
            f"got {performance_weight} and {cost_sensitivity}"
        )
    return pw / (pw + cs)
