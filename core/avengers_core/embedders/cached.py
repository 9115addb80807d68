"""An embedder that remembers what it has embedded."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from avengers_core.common.closing import Closing
from avengers_core.common.progress import progress
from avengers_core.common.ranges import check_whole
from avengers_core.embedders.base import (
    Embedder,
    EmbedderSpec,
    Vectors,
    aclose,
    as_rows,
    as_texts,
    close,
)
from avengers_core.embedders.resolve import resolve_embedder
from avengers_core.embedders.store import VectorStore
from avengers_core.errors import EmbedderError


class CachedEmbedder(Closing):
    """Puts an SQLite file between the caller and an embedder.

    Vectors are stored under a hash of the embedder's id and the text, so several embedders can
    share a file; texts themselves are not stored. Each distinct text of a call is embedded once.
    New vectors are stored chunk by chunk, so what is done is kept when the embedder fails half
    way. The file only grows; delete it to empty it.

    Safe under threads, processes and forks. Pickles with its embedder and its path. A full disk, or
    a file that is locked or read-only, breaks no call: texts are embedded anew, and the log says so
    once.

    Args:
        embedder: anything that :func:`avengers_core.embedders.resolve_embedder` takes.
        path: the file; made if it is not there.
        chunk_size: texts to embed before they are stored, at least 1.

    Raises:
        EmbedderError: no embedder, one whose id says nothing, or the file is damaged or something
            else.
    """

    def __init__(
        self, embedder: EmbedderSpec, path: str | os.PathLike[str], *, chunk_size: int = 1024
    ) -> None:
        check_whole("chunk_size", chunk_size, 1)
        self.embedder: Embedder = resolve_embedder(embedder)
        if "<lambda>" in self.embedder.id:
            raise EmbedderError(
                f"the id {self.embedder.id!r} does not tell one function from another, so a "
                f"cache could mix up their vectors; give it one: CallableEmbedder(fn, id=...)"
            )
        self._store = VectorStore(Path(path).expanduser().resolve())
        self._chunk_size = chunk_size

    @property
    def id(self) -> str:
        """The inner embedder's id, whose vectors these are."""
        return self.embedder.id

    @property
    def dim(self) -> int:
        """Length of a vector."""
        return self.embedder.dim

    @property
    def path(self) -> Path:
        """The file."""
        return self._store.path

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See :meth:`avengers_core.embedders.Embedder.embed`.

        Raises:
            EmbedderError: the embedder failed, or the file is damaged.
        """
        texts = as_texts(texts)
        if not texts:
            return self.embedder.embed(texts)
        keys = self._keys(texts)
        found = self._store.get(list(keys.values()))
        for chunk in progress(self._missing(keys, found), desc="embedding", unit="chunk"):
            new = self._checked(keys, chunk, self.embedder.embed(chunk))
            self._store.put(new)
            found |= new
        return self._assemble([found[keys[text]] for text in texts])

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """:meth:`embed`; the file is read and written in a thread."""
        texts = as_texts(texts)
        if not texts:
            return await self.embedder.aembed(texts)
        keys = self._keys(texts)
        found = await asyncio.to_thread(self._store.get, list(keys.values()))
        for chunk in self._missing(keys, found):
            new = self._checked(keys, chunk, await self.embedder.aembed(chunk))
            await asyncio.to_thread(self._store.put, new)
            found |= new
        return self._assemble([found[keys[text]] for text in texts])

    def close(self) -> None:
        """Close the connections of the inner embedder; the file is only open while it is used."""
        close(self.embedder)

    async def aclose(self) -> None:
        """:meth:`close`, from inside an event loop."""
        await aclose(self.embedder)

    def _keys(self, texts: list[str]) -> dict[str, bytes]:
        space = hashlib.sha256(self.embedder.id.encode())
        keys: dict[str, bytes] = {}
        for text in texts:
            if text not in keys:
                # The id is hashed by itself first, or "a" + "bc" would meet "ab" + "c".
                keys[text] = hashlib.blake2b(
                    text.encode(), key=space.digest(), digest_size=32
                ).digest()
        return keys

    def _missing(self, keys: dict[str, bytes], found: dict[bytes, Vectors]) -> list[list[str]]:
        missing = [text for text, key in keys.items() if key not in found]
        size = self._chunk_size
        return [missing[start : start + size] for start in range(0, len(missing), size)]

    def _checked(
        self, keys: dict[str, bytes], texts: list[str], vectors: Vectors
    ) -> dict[bytes, Vectors]:
        rows = as_rows(vectors, len(texts), None, f"the embedder {self.id!r}").astype(np.float32)
        return {keys[text]: row for text, row in zip(texts, rows, strict=True)}

    def _assemble(self, rows: list[Vectors]) -> Vectors:
        if len(dims := sorted({len(row) for row in rows})) > 1:
            raise EmbedderError(
                f"the embedding cache {self.path} and the embedder {self.id!r} give vectors of "
                f"different dimensions {dims}: the model behind that name has changed. Delete "
                f"the file or choose another path"
            )
        return np.stack(rows)

    def __repr__(self) -> str:
        return f"CachedEmbedder({self.embedder!r}, {str(self.path)!r})"
