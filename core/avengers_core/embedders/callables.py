"""Embedders made of what the user already has: a function, a LangChain or a LlamaIndex object."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from avengers_core.common.ranges import check_whole
from avengers_core.embedders.base import Vectors, as_texts, as_unit_rows
from avengers_core.errors import EmbedderError
from avengers_core.redaction import describe, masked_cause, secrets_of

# By which method objects embed, and its asynchronous form. Queries go the way of the records, so
# that both lie in one space where a model treats the two differently.
_METHODS = (
    ("langchain", "embed_documents", "aembed_documents"),
    ("llamaindex", "get_text_embedding_batch", "aget_text_embedding_batch"),
    ("encode", "encode", None),  # sentence-transformers, model2vec
)


class CallableEmbedder:
    """An embedder made of a function.

    Args:
        fn: list of n texts -> (n, dim) numbers: nested lists, an array, a tensor on the CPU.
            Called from several threads if the router is.
        id: names the embedding space, and is stored in the artifact; default, made of the
            function's name. Give one where the name does not say it all: a lambda, or a function
            that reads its model's name from elsewhere.
        dim: length of the vectors; default, what the first call returns.
        afn: the asynchronous form of ``fn``; default, ``fn`` in a thread.

    Raises:
        TypeError: ``fn`` cannot be called, or is asynchronous.
    """

    def __init__(
        self,
        fn: Callable[[list[str]], Any],
        id: str | None = None,
        dim: int | None = None,
        *,
        afn: Callable[[list[str]], Awaitable[Any]] | None = None,
    ) -> None:
        if not callable(fn):
            raise TypeError(f"expected a function of a list of texts, got {type(fn).__name__}")
        if inspect.iscoroutinefunction(fn):
            raise TypeError("fn must be a plain function; pass the asynchronous one as afn=")
        if dim is not None:
            check_whole("dim", dim, 1)
        self.id = id or f"callable/{_name(fn)}"
        self._fn = fn
        self._afn = afn
        self._dim = dim

    @property
    def dim(self) -> int:
        """Length of a vector; calls the function once when that is not known yet."""
        if self._dim is None:
            self.embed(["dimension"])
        assert self._dim is not None
        return self._dim

    def embed(self, texts: Sequence[str]) -> Vectors:
        """See :meth:`avengers_core.embedders.Embedder.embed`."""
        texts = as_texts(texts)
        if not texts:
            return np.zeros((0, self.dim), dtype=np.float32)
        with self._failing():
            values = self._fn(list(texts))
        return self._checked(values, len(texts))

    async def aembed(self, texts: Sequence[str]) -> Vectors:
        """:meth:`embed`, through ``afn`` or in a thread."""
        texts = as_texts(texts)
        if self._afn is None:
            return await asyncio.to_thread(self.embed, texts)
        if not texts:
            if self._dim is None:
                await self.aembed(["dimension"])
            return np.zeros((0, self.dim), dtype=np.float32)
        with self._failing():
            values = await self._afn(list(texts))
        return self._checked(values, len(texts))

    @contextmanager
    def _failing(self) -> Iterator[None]:
        """What a function raises becomes an error of ours."""
        try:
            yield
        except Exception as error:
            # Of the object whose method the function is, or of the arguments bound to it.
            known = secrets_of(self._fn, self._afn)
            raise EmbedderError(
                f"the embedder {self.id!r} failed: {describe(error, known)}"
            ) from masked_cause(error, known)

    def _checked(self, values: Any, n: int) -> Vectors:
        vectors = as_unit_rows(values, n, self._dim, f"the embedder {self.id!r}")
        self._dim = vectors.shape[1]
        return vectors

    def __repr__(self) -> str:
        return f"CallableEmbedder(id={self.id!r}, dim={self._dim})"


def from_object(thing: Any) -> CallableEmbedder | None:
    """An embedder made of an object of :data:`_METHODS`, or None if it is none."""
    for kind, method, asynchronous in _METHODS:
        if hasattr(thing, method):
            return CallableEmbedder(
                getattr(thing, method),
                id=f"{kind}/{_describe(thing)}",
                afn=None if asynchronous is None else getattr(thing, asynchronous, None),
            )
    return None


def _name(fn: Any) -> str:
    """A name that is the same in the next process, without addresses."""
    if isinstance(fn, functools.partial):
        # Of the bound arguments only the model's name: another may be a key.
        model = fn.keywords.get("model", fn.keywords.get("model_name"))
        return _name(fn.func) + (f"/{model}" if isinstance(model, str) else "")
    if inspect.ismethod(fn) and not inspect.isclass(fn.__self__):
        return f"{_describe(fn.__self__)}.{fn.__name__}"
    qualname = getattr(fn, "__qualname__", None)
    if qualname is None:
        return _describe(fn)
    return f"{fn.__module__}.{qualname}"


def _describe(obj: Any) -> str:
    """The class of an object and the model that it names, if it does."""
    name = type(obj).__name__
    for attribute in ("model_name", "model", "model_id", "deployment", "name_or_path"):
        value = getattr(obj, attribute, None)
        if isinstance(value, str) and value and value != "unknown":
            name += f"/{value}"
            break
    dimensions = getattr(obj, "dimensions", None)
    return f"{name}@{dimensions}" if type(dimensions) is int else name
