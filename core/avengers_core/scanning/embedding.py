"""Embedding many texts: each once, and some may fail without ending the whole work."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from avengers_core.embedders.base import Embedder
from avengers_core.embedders.tokens import MAX_CHARS
from avengers_core.errors import EmbedderError
from avengers_core.redaction import describe

E = TypeVar("E")

_HARMLESS = ["hello"]


def embed_most(
    embed: Callable[[Sequence[str]], E], texts: Sequence[str]
) -> tuple[E, dict[str, str]]:
    """Embed texts, but for those that fail by themselves.

    Args:
        embed: the ``embed`` of an embedder or a router.
        texts: n texts.

    Returns:
        What it makes of the texts that did not fail, and why each of the others did.

    Raises:
        EmbedderError: it fails on everything.
    """
    try:
        return embed(texts), {}
    except EmbedderError as failure:
        error = failure
    failed = _failing(embed, list(dict.fromkeys(texts)), error)
    return embed([text for text in texts if text not in failed]), failed


def _failing(
    embed: Callable[[Sequence[str]], Any], texts: list[str], error: EmbedderError
) -> dict[str, str]:
    """Which of some texts, that failed together, fail by themselves; found by halving."""
    if _refusal(embed, _HARMLESS) is not None:
        raise error from None  # it is not the texts
    if len(texts) == 1:
        return {texts[0]: f"could not be embedded: {describe(str(error))}"}
    failed: dict[str, str] = {}
    for half in (texts[: len(texts) // 2], texts[len(texts) // 2 :]):
        if (other := _refusal(embed, half)) is not None:
            failed |= _failing(embed, half, other)
    return failed


def _refusal(embed: Callable[[Sequence[str]], Any], texts: Sequence[str]) -> EmbedderError | None:
    """The error of texts that cannot be embedded.

    Returned, for what is raised while an error is handled carries that one along, and the ones that
    it came from.
    """
    try:
        embed(texts)
    except EmbedderError as error:
        return error
    return None


class MemoryEmbedder:
    """Keeps the vectors of the texts that an embedder has embedded.

    Args:
        embedder: is asked for those that it has not.
    """

    def __init__(self, embedder: Embedder) -> None:
        self.id, self._embedder = embedder.id, embedder
        self._rows: dict[str, int] = {}
        self._together: npt.NDArray[np.float32] | None = None

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self._embedder.dim

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """(n, dim) vectors of texts."""
        known = [text[:MAX_CHARS] for text in texts]
        new = [text for text in dict.fromkeys(known) if text not in self._rows]
        if new or not known:
            vectors = self._embedder.embed(new)
            before = [] if self._together is None else [self._together]
            self._together = np.concatenate([*before, vectors]) if before else vectors
            self._rows |= {text: i for i, text in enumerate(new, len(self._rows))}
        assert self._together is not None
        return self._together[[self._rows[text] for text in known]]

    async def aembed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """:meth:`embed`."""
        return self.embed(texts)
