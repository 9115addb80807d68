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

    def known(self, texts: Sequence[str]) -> tuple[dict[str, Vector], list[str]]:
        """Of n texts those that were asked lately, with their (d,) vectors; the others, each once.

        Looked up at once, so that nothing can be forgotten in between.
        """
        young, old = self._young, self._old
        known: dict[str, Vector] = {}
        missing: list[str] = []
        for text in texts:
            if text in young:
                known[text] = young[text]
            elif text in old:
                known[text] = old[text]
            elif text not in missing:
                missing.append(text)
        return known, missing

    def joined(
        self,
        texts: Sequence[str],
        known: dict[str, Vector],
        missing: Sequence[str],
        vectors: Vectors,
    ) -> Vectors:
        """(n, d) of texts, in their order, all of which are known from now on.

        Args:
            texts: n of them.
            known: as :meth:`known` gives them.
            missing: the k others.
            vectors: (k, d) of these.
        """
        if len(missing) < len(texts):
            known.update(zip(missing, vectors, strict=True))
            vectors = np.array([known[text] for text in texts])  # np.stack takes four times as long
        if len(self._young) > _MOST_TEXTS:
            self._young, self._old = {}, self._young
        young = self._young
        for i, text in enumerate(texts):  # an iterator over rows takes longer than all else here
            if len(text) <= _MOST_CHARS and text not in young:
                young[text] = vectors[i].copy()  # not a row that keeps all of its batch
        return vectors

    def __reduce__(self) -> tuple[type[RecentVectors], tuple[()]]:
        return RecentVectors, ()
