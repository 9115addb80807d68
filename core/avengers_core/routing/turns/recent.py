"""The vectors of texts that were asked lately: each turn of a conversation brings those before it,
each step of a tool loop the same question."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Vectors = npt.NDArray[np.float32]

_MOST_TEXTS = 512
_MOST_CHARS = 4_000  # of longer texts the memory that they take counts, too


class RecentVectors:
    """Vectors by text, of at most 1,024 texts.

    There are two generations: when the younger is full it takes the place of the older. So nothing
    has to be locked, which a forked child might find taken, and two threads lose at most a text.
    """

    def __init__(self) -> None:
        self._young: dict[str, npt.NDArray[np.float32]] = {}
        self._old: dict[str, npt.NDArray[np.float32]] = {}

    def missing(self, texts: Sequence[str]) -> list[str]:
        """The texts, each once, whose vectors are not known."""
        young, old = self._young, self._old
        if len(texts) == 1:
            return [] if texts[0] in young or texts[0] in old else [texts[0]]
        return [text for text in dict.fromkeys(texts) if text not in young and text not in old]

    def joined(self, texts: Sequence[str], missing: Sequence[str], vectors: Vectors) -> Vectors:
        """(n, d) vectors of n texts, those of which are then known.

        Args:
            texts: n of them.
            missing: what :meth:`missing` said of them.
            vectors: of those.

        Raises:
            KeyError: one that was known is not any more; all have to be embedded.
        """
        new: Sequence[str] = missing
        if len(missing) < len(texts):
            found = dict(zip(missing, vectors, strict=True))
            young, old = self._young, self._old
            for text in texts:
                if text not in found:
                    vector = young.get(text)
                    found[text] = old[text] if vector is None else vector
            # A fourth of the time that np.stack takes.
            new, vectors = texts, np.array([found[text] for text in texts])
        if len(self._young) > _MOST_TEXTS:
            self._young, self._old = {}, self._young
        young = self._young
        for i, text in enumerate(new):  # an iterator over rows takes longer than all else here
            if len(text) <= _MOST_CHARS and text not in young:
                young[text] = vectors[i].copy()  # not a row that keeps all of its batch
        return vectors

    def __reduce__(self) -> tuple[type[RecentVectors], tuple[()]]:
        return RecentVectors, ()
