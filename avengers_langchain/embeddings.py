"""The router's embedder as LangChain's embeddings."""

from __future__ import annotations

from langchain_core.embeddings import Embeddings

from avengers_core.embedders import Embedder, EmbedderSpec, resolve_embedder


class AvengersEmbeddings(Embeddings):
    """The router's embedder for vector stores: local, no key, no download. ::

        InMemoryVectorStore(AvengersEmbeddings())
        InMemoryVectorStore(AvengersEmbeddings(router.embedder))

    Queries and documents are embedded alike.

    Args:
        embedder: anything that :func:`avengers_core.embedders.resolve_embedder` takes.

    Raises:
        EmbedderError: no embedder.
    """

    def __init__(self, embedder: EmbedderSpec = "wordllama") -> None:
        self.embedder: Embedder = resolve_embedder(embedder)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """n texts -> n unit vectors."""
        vectors: list[list[float]] = self.embedder.embed(texts).tolist()
        return vectors

    def embed_query(self, text: str) -> list[float]:
        """One text -> one unit vector."""
        return self.embed_documents([text])[0]

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """:meth:`embed_documents`, asynchronously."""
        vectors: list[list[float]] = (await self.embedder.aembed(texts)).tolist()
        return vectors

    async def aembed_query(self, text: str) -> list[float]:
        """:meth:`embed_query`, asynchronously."""
        return (await self.aembed_documents([text]))[0]

    def __repr__(self) -> str:
        return f"AvengersEmbeddings({self.embedder.id!r})"
