"""Embedders of the core in the framework, and the framework's in the core."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest
from llama_index.core import Document, MockEmbedding, VectorStoreIndex
from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.embeddings.openai import OpenAIEmbedding
from stub_server import StubServer

from avengers_core import Router, fit
from avengers_core.embedders import WordLlamaEmbedder
from avengers_core.embedders.callables import from_object
from avengers_llamaindex import AvengersEmbedding

TEXTS = ["the capital of France", "prove the theorem"]


async def test_the_cores_embedder_in_the_framework() -> None:
    expected = WordLlamaEmbedder().embed(TEXTS)
    embedding = AvengersEmbedding()
    assert isinstance(embedding, BaseEmbedding)
    assert embedding.model_name == WordLlamaEmbedder().id
    found = [
        embedding.get_text_embedding_batch(TEXTS),
        [embedding.get_text_embedding(text) for text in TEXTS],
        [embedding.get_query_embedding(text) for text in TEXTS],
        await embedding.aget_text_embedding_batch(TEXTS),
        [await embedding.aget_query_embedding(text) for text in TEXTS],
        [await embedding.aget_text_embedding(text) for text in TEXTS],
    ]
    for vectors in found:
        np.testing.assert_array_equal(np.array(vectors, dtype=np.float32), expected)


def test_retrieval() -> None:
    index = VectorStoreIndex.from_documents(
        [Document(text=text) for text in TEXTS], embed_model=AvengersEmbedding()
    )
    (found,) = index.as_retriever(similarity_top_k=1).retrieve("a proof of a theorem")
    assert found.node.get_content() == TEXTS[1]


def test_serialised_by_name() -> None:
    embedding = AvengersEmbedding(WordLlamaEmbedder())
    again = AvengersEmbedding.from_dict(embedding.to_dict())
    assert again.get_text_embedding("a") == embedding.get_text_embedding("a")


def test_pickled_without_keys() -> None:
    for embedder in ("wordllama", WordLlamaEmbedder(), MockEmbedding(embed_dim=3)):
        embedding = AvengersEmbedding(embedder, embed_batch_size=7)
        again = pickle.loads(pickle.dumps(embedding))
        assert again.to_dict() == embedding.to_dict()
        assert again.get_text_embedding("a") == embedding.get_text_embedding("a")
    key = "sk-the-key-of-a-test"
    secretive = OpenAIEmbedding(model_name="test/embedding", api_key=key)
    for embedder, complaint in (
        (secretive, "api_key"),
        (from_object(secretive), "pickled"),
    ):
        embedding = AvengersEmbedding(embedder)
        with pytest.raises(TypeError, match=complaint) as caught:
            pickle.dumps(embedding)
        assert key not in str(caught.value) + repr(embedding) + embedding.to_json()
        assert copy.deepcopy(embedding).model_name == embedding.model_name


@pytest.mark.parametrize("awaited", [False, True])
async def test_the_frameworks_embedding_in_the_core(awaited: bool, server: StubServer) -> None:
    embedding = OpenAIEmbedding(
        model_name="test/embedding", api_base=server.url, api_key="sk-none", max_retries=0
    )
    records = [
        {"query": f"{text} {i}", "records": {"a": good, "b": 1 - good}}
        for i in range(10)
        for text, good in zip(TEXTS, (1.0, 0.0), strict=True)
    ]
    given = embedding
    router = Router(fit(records, embedder=given, n_clusters=2), embedder=given)
    if awaited:
        decisions = await router.aroute_batch(TEXTS, alpha=1.0)
    else:
        decisions = router.route_batch(TEXTS, alpha=1.0)
    assert [decision.model for decision in decisions] == ["a", "b"]
    assert {request.path for request in server.requests} == {"/v1/embeddings"}
