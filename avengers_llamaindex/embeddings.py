"""The router's embedder as an embedding of LlamaIndex."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr, field_serializer

from avengers_core.embedders import Embedder, resolve_embedder
from avengers_core.redaction import refuse_key, refuse_unpicklable

_EMBEDDER_THERE = "Make the AvengersEmbedding on the other side."


class AvengersEmbedding(BaseEmbedding):
    """An embedder of the core for indices and retrievers: local, no key, no download.

    Queries and texts are embedded alike.

    Args:
        embedder: anything that :func:`avengers_core.embedders.resolve_embedder` takes, such as
            ``router.embedder``; default ``"wordllama"``.

    Raises:
        EmbedderError: no embedder.
    """

    embedder: Any = Field(default="wordllama", repr=False, frozen=True)

    _embedder: Embedder = PrivateAttr()

    def __init__(self, embedder: Any = "wordllama", **arguments: Any) -> None:
        resolved = resolve_embedder(embedder)
        super().__init__(embedder=embedder, **{"model_name": resolved.id, **arguments})
        self._embedder = resolved

    @classmethod
    def class_name(cls) -> str:
        """The name in serialised form."""
        return "AvengersEmbedding"

    @field_serializer("embedder")
    def _embedder_id(self, _: Any) -> str:
        return self._embedder.id

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> AvengersEmbedding:
        """A copy with the same embedder, which may hold connections."""
        return self.model_copy()

    def __reduce__(self) -> tuple[Any, ...]:
        refuse_key("the embedder", self.embedder, _EMBEDDER_THERE)
        refuse_unpicklable("the embedder", self.embedder, _EMBEDDER_THERE)
        fields = type(self).model_fields.keys() - {"callback_manager", "rate_limiter"}
        return _restore, (type(self), {name: getattr(self, name) for name in fields})

    def _get_query_embedding(self, query: str) -> list[float]:
        return self._get_text_embeddings([query])[0]

    def _get_text_embedding(self, text: str) -> list[float]:
        return self._get_text_embeddings([text])[0]

    def _get_text_embeddings(self, texts: Sequence[str]) -> list[list[float]]:
        return _lists(self._embedder.embed(texts))

    async def _aget_query_embedding(self, query: str) -> list[float]:
        return (await self._aget_text_embeddings([query]))[0]

    async def _aget_text_embedding(self, text: str) -> list[float]:
        return (await self._aget_text_embeddings([text]))[0]

    async def _aget_text_embeddings(self, texts: Sequence[str]) -> list[list[float]]:
        return _lists(await self._embedder.aembed(texts))


def _restore(cls: type[AvengersEmbedding], arguments: dict[str, Any]) -> AvengersEmbedding:
    return cls(**arguments)


def _lists(vectors: Any) -> list[list[float]]:
    rows: list[list[float]] = vectors.tolist()
    return rows
