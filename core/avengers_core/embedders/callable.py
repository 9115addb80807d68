"""Any function, or an object of another library, as an embedder."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from typing import Any

import numpy as np

from avengers_core.embedders.base import Vectors, as_texts, as_unit_rows, chunked
from avengers_core.errors import EmbedderError
from avengers_core.progress import progress

_CHUNK_TEXTS = 1024
_CHUNK_CHARACTERS = 4_000_000

# Methods that embed a list of texts, and their asynchronous twins: LangChain's `Embeddings`,
# LlamaIndex' `BaseEmbedding`, and the `encode` of sentence-transformers and model2vec.
METHODS = (
    ("embed_documents", "aembed_documents"),
    ("get_text_embedding_batch", "aget_text_embedding_batch"),
    ("encode", "aencode"),
)
_MODEL_ATTRIBUTES = ("model_name", "model", "model_id", "deployment", "name_or_path")


class CallableEmbedder:
    """A function from texts to vectors, checked and scaled to unit length.

    Args:
        fn: takes a list of n texts and returns an array-like of shape (n, dim); may be a coroutine
            function, then only :meth:`aembed` works. It is called with at most 1024 texts.
        id: names the vectors; default, the function's module and name. Give one where the name
            does not tell which vectors come out.
        dim: length of the vectors; default, that of the first.
        afn: asynchronous twin of ``fn``; default, ``fn`` in a thread.
    """

    def __init__(
        self,
        fn: Callable[[list[str]], Any],
        id: str | None = None,  # noqa: A002 - the protocol's name
        dim: int | None = None,
        *,
        afn: Callable[[list[str]], Awaitable[Any]] | None = None,
    ) -> None:
        if not callable(fn):
            raise TypeError(f"fn must be callable, got {type(fn).__name__}")
        if dim is not None and dim < 1:
            raise ValueError(f"dim must be at least 1, got {dim}")
        if afn is None and _is_async(fn):
            afn = fn
        self._fn = fn
        self._afn = afn
        self._dim = dim or 0
        self.id = id or f"callable:{_name(fn)}"

    @classmethod
    def wrap(cls, model: Any, id: str | None = None, dim: int | None = None) -> CallableEmbedder:  # noqa: A002
        """Adapt an object that has one of the :data:`METHODS`.

        Args:
            model: a LangChain ``Embeddings``, a LlamaIndex ``BaseEmbedding``, or an object with
                ``encode``. Queries are embedded as what they are fitted as: documents.
            id: default, the class and the name of the model where the object tells it.
            dim: as above.

        Raises:
            TypeError: it has none of them.
        """
        for sync_name, async_name in METHODS:
            if callable(fn := getattr(model, sync_name, None)):
                afn = getattr(model, async_name, None)
                return cls(fn, id or _object_id(model), dim, afn=afn if callable(afn) else None)
        raise TypeError(
            f"{type(model).__name__} has none of the methods {[name for name, _ in METHODS]}"
        )

    @property
    def dim(self) -> int:
        """Length of the vectors; 0 until the first have come, unless it was given."""
        return self._dim

    def embed(self, texts: Sequence[str]) -> Vectors:
        """Embed n texts.

        Returns:
            (n, dim) float32 unit rows.

        Raises:
            EmbedderError: the function gave something else than one vector of finite numbers per
                text, or can only be awaited. What the function itself raises goes through.
        """
        if self._afn is self._fn:
            raise EmbedderError(
                f"{self.id!r} is a coroutine function: use aembed (Router.aroute), or give a "
                f"function that can be called without an event loop"
            )
        texts = as_texts(texts)
        parts = [self._checked(self._fn(c), len(c)) for c in progress(_chunks(texts))]
        return self._joined(parts)

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """:meth:`embed`, awaiting the asynchronous twin, or else in a thread."""
        texts = as_texts(texts)
        parts = []
        for chunk in _chunks(texts):
            if self._afn is not None:
                values = await self._afn(chunk)
            else:
                values = await asyncio.to_thread(self._fn, chunk)
            parts.append(self._checked(values, len(chunk)))
        return self._joined(parts)

    def _checked(self, values: Any, n: int) -> Vectors:
        vectors = as_unit_rows(values, n, self._dim, f"embedder {self.id!r}")
        self._dim = self._dim or vectors.shape[1]
        return vectors

    def _joined(self, parts: list[Vectors]) -> Vectors:
        if not parts:
            return np.zeros((0, self._dim), dtype=np.float32)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id}>"


def _chunks(texts: Sequence[str]) -> list[list[str]]:
    return list(chunked(texts, _CHUNK_TEXTS, _CHUNK_CHARACTERS))


def _is_async(fn: Any) -> bool:
    return inspect.iscoroutinefunction(fn) or inspect.iscoroutinefunction(
        getattr(fn, "__call__", None)  # noqa: B004 - its kind is asked, not whether it is there
    )


def _name(fn: Any) -> str:
    """A name that is the same in every process: never an address in memory."""
    if isinstance(fn, functools.partial):
        return _name(fn.func)
    if inspect.ismethod(fn):
        return f"{_object_id(fn.__self__)}.{fn.__name__}"
    if hasattr(fn, "__qualname__"):
        return f"{fn.__module__}.{fn.__qualname__}"
    return _object_id(fn)


def _object_id(model: Any) -> str:
    owner = model if inspect.isclass(model) else type(model)
    name = next(iter(_model_names(model)), "")
    size = getattr(model, "dimensions", None)
    suffix = f"@{size}" if isinstance(size, int) and not isinstance(size, bool) else ""
    return owner.__name__ + (f":{name}" if name else "") + suffix


def _model_names(model: Any) -> Iterator[str]:
    for attribute in _MODEL_ATTRIBUTES:
        value = getattr(model, attribute, None)
        if isinstance(value, str) and value and value != "unknown":
            yield value
