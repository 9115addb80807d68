from __future__ import annotations

import numpy as np
import pytest
from keyword_router import keyword_embedder, keyword_records
from langchain_core.embeddings import DeterministicFakeEmbedding
from langchain_core.vectorstores import InMemoryVectorStore

from avengers_core import Router, fit
from avengers_core.errors import EmbedderMismatchError
from avengers_langchain import AvengersEmbeddings


async def test_the_routers_embedder_as_embeddings() -> None:
    embedder = keyword_embedder()
    embeddings = AvengersEmbeddings(embedder)
    texts = ["prove", "hello"]
    expected = embedder.embed(texts).tolist()
    assert embeddings.embed_documents(texts) == expected
    assert await embeddings.aembed_documents(texts) == expected
    assert embeddings.embed_query("prove") == expected[0]
    assert await embeddings.aembed_query("prove") == expected[0]
    store = InMemoryVectorStore.from_texts(texts, embeddings)
    assert store.similarity_search("prove it", k=1)[0].page_content == "prove"
    assert repr(embeddings) == "AvengersEmbeddings('test/keywords')"


def test_the_default_needs_no_key() -> None:
    vector = np.array(AvengersEmbeddings().embed_query("a question"))
    assert vector.shape == (256,)
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


async def test_embeddings_as_the_routers_embedder() -> None:
    embeddings = DeterministicFakeEmbedding(size=8)
    artifact = fit(keyword_records()[:40], embeddings, n_clusters=2)
    router = Router(artifact, embedder=embeddings)
    decision = router.route("capital 0")
    assert decision.candidates
    assert (await router.aroute("capital 0")).model == decision.model
    with pytest.raises(EmbedderMismatchError):
        Router(artifact, embedder=keyword_embedder())
