"""The vectors of texts that were asked lately: each turn of a conversation brings those before it,
each step of a tool loop the same question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from avengers_core.embedders.base import Vectors

Vector = npt.NDArray[np.float32]

_MOST_TEXTS = 512
_MOST_CHARS = 4_000  # of longer texts the memory that they take counts, too


class RecentVectors:
    """Vectors by text, of at most 1,024 texts.

    There are two generations: when the younger is full it takes the place of the older. So nothing
    has to be locked, which a forked child might find taken, and two threads lose at most a text.
    """

    def __init__(self) -> None:
        self._young: dict[str, Vector] = {}
        self._old: dict[str, Vector] = {}

    def known(self, texts: Sequence[str]) -> dict[str, Vector | None]:
        """text -> its (d,) vector, or None where it was not asked lately; each text once."""
        young, old = self._young, self._old
        known = {}
        for text in texts:
            vector = young.get(text)
            known[text] = old.get(text) if vector is None else vector
        return known

    def remember(self, texts: Sequence[str], vectors: Vectors) -> None:
        """From now on n texts and their (n, d) vectors are known."""
        if len(self._young) > _MOST_TEXTS:
            self._young, self._old = {}, self._young
        young = self._young
        for i, text in enumerate(texts):  # an iterator over rows takes longer than all else here
            if len(text) <= _MOST_CHARS and text not in young:
                young[text] = vectors[i].copy()  # not a row that keeps all of its batch

    def __reduce__(self) -> tuple[type[RecentVectors], tuple[()]]:
        return RecentVectors, ()
