"""Now and then another model than the best, so that a log can say something about the others."""

from __future__ import annotations

from collections.abc import Callable

from avengers_core.routing.decision import RoutingDecision
from avengers_core.routing.decision.candidates import Exploration


def drawn(
    decision: RoutingDecision, share: float, draw: Callable[[], float]
) -> tuple[str, Exploration] | None:
    """The model that is to be asked first, and how it was drawn; None where there is no choice.

    Args:
        decision: whose candidates.
        share: the chance, in (0, 1], that it is another than the best, each of them as likely.
        draw: gives a number in [0, 1), at random.
    """
    ranking = decision.ranking
    if len(ranking) < 2:
        return None
    number = draw()  # one for both, so that threads need no lock between them
    others = ranking[1:]
    first = others[min(int(number / share * len(others)), len(others) - 1)]
    return (first if number < share else ranking[0]), Exploration(share, ranking)
