"""Texts to vectors: by the artifact's embedder, unless they were asked lately."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from avengers_core.artifact.artifact import RouterArtifact
from avengers_core.common.closing import Closing
from avengers_core.embedders.base import Vectors, aclose, close
from avengers_core.routing.turns.recent import RecentVectors

if TYPE_CHECKING:
    from avengers_core.embedders import Embedder, EmbedderSpec


class Embedding(Closing):
    """The vectors of what is asked, (n, d) of n texts of which none is blank.

    Args:
        artifact: in whose space.
        embedder: anything that :func:`avengers_core.embedders.resolve_embedder` takes; default,
            the one that the artifact names, made on first use.

    Raises:
        EmbedderMismatchError: the embedder is not the one the artifact was fitted with.
    """

    def __init__(self, artifact: RouterArtifact, embedder: EmbedderSpec | None = None) -> None:
        self._artifact = artifact
        self._embedder = None if embedder is None else _embedder_of(artifact, embedder)
        self._recent = RecentVectors()

    @property
    def embedder(self) -> Embedder:
        """The embedder.

        Raises:
            EmbedderError: the artifact names one that cannot be made from its name.
        """
        if self._embedder is None:
            # Without a lock, which a forked child might find taken; two threads may each make one.
            self._embedder = _embedder_of(self._artifact)
        return self._embedder

    def close(self) -> None:
        """Close the connections of the embedder, if it has any; a later use opens new ones."""
        if self._embedder is not None:
            close(self._embedder)

    async def aclose(self) -> None:
        """:meth:`close`, from inside an event loop, whose connections are closed at the end."""
        if self._embedder is not None:
            await aclose(self._embedder)

    def of_batch(self, texts: Sequence[str]) -> Vectors:
        """Of texts that are all embedded; an embedder of another dimension is an error."""
        vectors = self.embedder.embed(texts) if texts else self._none
        self._artifact.check_dimension(vectors)
        return vectors

    async def aof_batch(self, texts: Sequence[str]) -> Vectors:
        """:meth:`of_batch`, embedding asynchronously."""
        vectors = await self.embedder.aembed(texts) if texts else self._none
        self._artifact.check_dimension(vectors)
        return vectors

    def of_turns(self, texts: Sequence[str]) -> Vectors:
        """Of texts that may have been asked lately, and are known from then on."""
        known, missing = self._recent.known(texts)
        return self._recent.joined(texts, known, missing, self.of_batch(missing))

    async def aof_turns(self, texts: Sequence[str]) -> Vectors:
        """:meth:`of_turns`, embedding asynchronously."""
        known, missing = self._recent.known(texts)
        return self._recent.joined(texts, known, missing, await self.aof_batch(missing))

    @property
    def _none(self) -> Vectors:
        return np.empty((0, self._artifact.dim), dtype=np.float32)


def _embedder_of(artifact: RouterArtifact, spec: EmbedderSpec | None = None) -> Embedder:
    from avengers_core.artifact.embedder import embedder_of  # which imports every embedder

    return embedder_of(artifact, spec)
