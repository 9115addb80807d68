from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from avengers_core.embedders import (
    CachedEmbedder,
    CallableEmbedder,
    Embedder,
    OpenAIEmbedder,
    TfidfEmbedder,
    WordLlamaEmbedder,
    resolve_embedder,
)
from avengers_core.errors import EmbedderError


class Own:
    """Fits the protocol without inheriting; asking for dim would be expensive."""

    id = "own"

    @property
    def dim(self) -> int:
        raise AssertionError("nobody needs it yet")

    def embed(self, texts: Any) -> Any:
        return np.zeros((len(texts), 2), dtype=np.float32)

    async def aembed(self, texts: Any) -> Any:
        return self.embed(texts)


def test_an_embedder_is_returned_as_it_is() -> None:
    for embedder in (Own(), TfidfEmbedder.fit(["some words"])):
        assert resolve_embedder(embedder) is embedder


@pytest.mark.parametrize(
    ("name", "kind", "id"),
    [
        ("wordllama", WordLlamaEmbedder, "wordllama/l2_supercat-256"),
        ("wordllama/l2_supercat-64", WordLlamaEmbedder, "wordllama/l2_supercat-64"),
        ("openai/text-embedding-3-small", OpenAIEmbedder, "openai/text-embedding-3-small"),
        ("openai/BAAI/bge-m3", OpenAIEmbedder, "openai/BAAI/bge-m3"),
        ("openai/@cf/baai/bge", OpenAIEmbedder, "openai/@cf/baai/bge"),
        ("openai/text-embedding-3-large@256", OpenAIEmbedder, "openai/text-embedding-3-large@256"),
    ],
)
def test_names(name: str, kind: type, id: str) -> None:
    embedder = resolve_embedder(name)
    assert isinstance(embedder, kind)
    assert embedder.id == id
    assert resolve_embedder(embedder.id).id == id


def test_dimensions_are_part_of_an_openai_name() -> None:
    embedder = resolve_embedder("openai/text-embedding-3-large@256")
    assert isinstance(embedder, OpenAIEmbedder)
    assert (embedder.model, embedder.dimensions, embedder.dim) == (
        "text-embedding-3-large",
        256,
        256,
    )


@pytest.mark.parametrize(
    ("spec", "message"),
    [
        ("word2vec", "'word2vec'.*wordllama.*openai.*tfidf"),
        ("", "''"),
        ("openai/", "'openai/'"),
        ("wordllama/l2_supercat-100", r"\(64, 128, 256\).*\b100\b"),
        ("tfidf", r"TfidfEmbedder.fit\(texts\)"),
        ("tfidf/0123456789abcdef", "tfidf/0123456789abcdef"),
        (None, "NoneType"),
        (42, r"\bint\b"),
        (WordLlamaEmbedder, "WordLlamaEmbedder"),
    ],
)
def test_what_is_no_embedder(spec: Any, message: str) -> None:
    with pytest.raises(EmbedderError, match=message):
        resolve_embedder(spec)


def test_coroutine_function_is_refused_with_advice() -> None:
    async def embed(texts: list[str]) -> Any:
        return texts

    with pytest.raises(EmbedderError, match="afn="):
        resolve_embedder(embed)


def test_all_fit_the_protocol(tmp_path: Any) -> None:
    embedders = [
        WordLlamaEmbedder(),
        OpenAIEmbedder("text-embedding-3-small"),
        TfidfEmbedder.fit(["some words"]),
        CallableEmbedder(len, dim=2),  # type: ignore[arg-type]
    ]
    for embedder in [*embedders, CachedEmbedder(embedders[0], tmp_path / "cache.sqlite")]:
        assert isinstance(embedder, Embedder)
