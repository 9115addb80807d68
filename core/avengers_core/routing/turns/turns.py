"""What a conversation is about by now: its newest turn, and what that goes on with."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from avengers_core.routing.turns.gate import own_share

_MOST_TURNS = 32  # a topic that was left alone for longer is no more


class Turns(NamedTuple):
    """The turns of a conversation that say what it is about by now, newest first.

    With g the :func:`~avengers_core.routing.turns.gate.own_share` of the newest turn, its weight is
    g, and 1 - g is shared among the turns before it in the same way; what is left is the first
    turn's.

    Attributes:
        texts: none of them blank.
        weights: as many, in (0, 1], together 1.
        share: weight of the newest turn, in [0, 1]; 1 where it is alone.
    """

    texts: tuple[str, ...]
    weights: tuple[float, ...]
    share: float = 1.0

    @classmethod
    def of(cls, query: str, earlier: Sequence[str] = ()) -> Turns:
        """The turns that count.

        Args:
            query: the newest turn, which may be blank.
            earlier: those before it, oldest first.

        Raises:
            TypeError: something that is not a text, or one text in place of a list of them.
        """
        if isinstance(earlier, str):
            raise TypeError("earlier= must be a list of texts, got one text")
        try:
            if not earlier:
                return cls((query,), (1.0,)) if query.strip() else cls((), ())
            said = [turn for turn in (query, *reversed(earlier)) if turn.strip()]
        except AttributeError:
            odd = next(turn for turn in (query, *earlier) if not isinstance(turn, str))
            raise TypeError(f"expected a text to route, got {type(odd).__name__}") from None
        if len(said) < 2:
            return cls(tuple(said), (1.0,) * len(said), 1.0 if query.strip() or not said else 0.0)
        *later, first = said[:_MOST_TURNS]
        mixed, left = [], 1.0
        for i, turn in enumerate(later):
            if (share := own_share(turn)) > 0:
                mixed.append((i, turn, left * share))
                left *= 1 - share
            if left == 0:
                break
        else:
            mixed.append((len(later), first, left))
        newest = mixed[0][2] if mixed[0][0] == 0 and query.strip() else 0.0
        return cls(tuple(t for _, t, _ in mixed), tuple(w for *_, w in mixed), newest)
