from __future__ import annotations

import asyncio
import functools
import pickle
from typing import Any

import numpy as np
import pytest

from avengers_core.embedders import CallableEmbedder, resolve_embedder
from avengers_core.errors import EmbedderError


def lengths(texts: list[str]) -> list[list[float]]:
    return [[len(text) + 1.0, 1.0, 0.0] for text in texts]


class Model:
    """Has a name, and a method that embeds."""

    def __init__(self, model_name: str = "mini") -> None:
        self.model_name = model_name
        self.api_key = "sk-not-to-be-seen"

    def run(self, texts: list[str]) -> Any:
        return lengths(texts)

    def __call__(self, texts: list[str]) -> Any:
        return lengths(texts)


class LangChainLike:
    def __init__(self) -> None:
        self.model, self.dimensions, self.calls = "text-embedding-x", 3, []

    def embed_documents(self, texts: list[str]) -> Any:
        self.calls.append("sync")
        return lengths(texts)

    def embed_query(self, text: str) -> Any:
        raise AssertionError("queries are embedded as documents")

    async def aembed_documents(self, texts: list[str]) -> Any:
        self.calls.append("async")
        return lengths(texts)


class LlamaIndexLike:
    model_name = "bge"

    def __init__(self) -> None:
        self.calls: list[str] = []

    def __call__(self, nodes: Any) -> Any:
        raise AssertionError("transforms nodes, not texts")

    def get_text_embedding_batch(self, texts: list[str], show_progress: bool = False) -> Any:
        self.calls.append("sync")
        return lengths(texts)

    async def aget_text_embedding_batch(self, texts: list[str]) -> Any:
        self.calls.append("async")
        return lengths(texts)


class EncoderLike:
    def encode(self, texts: list[str]) -> np.ndarray:
        return np.array(lengths(texts), dtype=np.float16)

    def __call__(self, features: Any) -> Any:
        raise AssertionError("a forward pass")


EXPECTED = np.array([[1, 1, 0], [3, 1, 0]]) / np.sqrt([[2], [10]])


async def test_function() -> None:
    embedder = CallableEmbedder(lengths)
    for vectors in (embedder.embed(["", "ab"]), await embedder.aembed(["", "ab"])):
        assert vectors.dtype == np.float32
        np.testing.assert_allclose(vectors, EXPECTED, rtol=1e-6)
    assert embedder.dim == 3


async def test_nothing_to_embed() -> None:
    assert CallableEmbedder(lengths).embed([]).shape == (0, 3)
    assert (await CallableEmbedder(lengths).aembed([])).shape == (0, 3)

    async def alengths(texts: list[str]) -> Any:
        return lengths(texts)

    assert (await CallableEmbedder(lengths, afn=alengths).aembed([])).shape == (0, 3)
    assert CallableEmbedder(lengths, dim=3).embed([]).shape == (0, 3)


async def test_plain_function_does_not_block_the_loop() -> None:
    loop_ran = asyncio.Event()
    seen = []

    def waits(texts: list[str]) -> Any:
        future = asyncio.run_coroutine_threadsafe(loop_ran.wait(), loop)
        seen.append(future.result(timeout=5))
        return lengths(texts)

    loop = asyncio.get_running_loop()
    task = asyncio.ensure_future(CallableEmbedder(waits).aembed(["a"]))
    await asyncio.sleep(0)
    loop_ran.set()
    assert (await task).shape == (1, 3)
    assert seen == [True]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([[1, 2]], r"\b2\b.*\b3\b"),
        ([[1, 2, 3], [1, 2, 3]], r"\(1, 3\).*\(2, 3\)"),
        ([[1, 2, float("nan")]], "NaN"),
        ("text", r"no array of numbers"),
    ],
)
async def test_what_comes_back_is_checked(values: Any, message: str) -> None:
    async def afn(texts: list[str]) -> Any:
        return values

    embedder = CallableEmbedder(lambda texts: values, id="mine", dim=3, afn=afn)
    with pytest.raises(EmbedderError, match=message) as caught:
        embedder.embed(["a"])
    assert "'mine'" in str(caught.value)
    with pytest.raises(EmbedderError, match=message):
        await embedder.aembed(["a"])


def test_dim_may_not_change_between_calls() -> None:
    embedder = CallableEmbedder(lambda texts: [[1.0] * (2 + len(texts))] * len(texts), id="x")
    assert embedder.embed(["a"]).shape == (1, 3)
    with pytest.raises(EmbedderError, match=r"\b4\b.*\b3\b"):
        embedder.embed(["a", "b"])


async def test_failures_are_wrapped_without_keys() -> None:
    def fails(texts: list[str]) -> Any:
        raise RuntimeError("gsk_abcdefgh12345 and api_key=abcdefgh12345 refused")

    async def afails(texts: list[str]) -> Any:
        fails(texts)

    for call in (
        lambda: asyncio.to_thread(CallableEmbedder(fails).embed, ["a"]),
        lambda: CallableEmbedder(fails, afn=afails).aembed(["a"]),
    ):
        with pytest.raises(EmbedderError, match=r"fails' failed: RuntimeError: gsk_\*") as caught:
            await call()
        assert "abcdefgh" not in str(caught.value)


def test_ids_name_the_function_and_the_model_but_no_address_and_no_key() -> None:
    here = lengths.__module__
    model = Model()
    assert CallableEmbedder(lengths).id == f"callable/{here}.lengths"
    assert CallableEmbedder(model.run).id == "callable/Model/mini.run"
    assert CallableEmbedder(model).id == "callable/Model/mini"
    bound = functools.partial(lengths, api_key="sk-secret", model="m1")
    assert CallableEmbedder(bound).id == f"callable/{here}.lengths/m1"
    assert CallableEmbedder(np.asarray).id == "callable/numpy.asarray"
    assert CallableEmbedder(lengths, id="mine").id == "mine"


def test_arguments_are_checked() -> None:
    async def coroutine(texts: list[str]) -> Any:
        return lengths(texts)

    with pytest.raises(TypeError, match="afn="):
        CallableEmbedder(coroutine)
    with pytest.raises(TypeError, match="int"):
        CallableEmbedder(3)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"dim.*\b0\b"):
        CallableEmbedder(lengths, dim=0)


def test_pickle() -> None:
    embedder = pickle.loads(pickle.dumps(CallableEmbedder(np.ones_like, id="ones")))
    assert embedder.id == "ones"


async def test_langchain_object() -> None:
    model = LangChainLike()
    embedder = resolve_embedder(model)
    assert embedder.id == "langchain/LangChainLike/text-embedding-x@3"
    np.testing.assert_allclose(embedder.embed(["", "ab"]), EXPECTED, rtol=1e-6)
    np.testing.assert_allclose(await embedder.aembed(["", "ab"]), EXPECTED, rtol=1e-6)
    assert model.calls == ["sync", "async"]


async def test_llamaindex_object() -> None:
    model = LlamaIndexLike()
    embedder = resolve_embedder(model)
    assert embedder.id == "llamaindex/LlamaIndexLike/bge"
    np.testing.assert_allclose(embedder.embed(["", "ab"]), EXPECTED, rtol=1e-6)
    np.testing.assert_allclose(await embedder.aembed(["", "ab"]), EXPECTED, rtol=1e-6)
    assert model.calls == ["sync", "async"]


def test_object_that_encodes() -> None:
    embedder = resolve_embedder(EncoderLike())
    assert embedder.id == "encode/EncoderLike"
    np.testing.assert_allclose(embedder.embed(["", "ab"]), EXPECTED, rtol=1e-3)


async def test_real_langchain_embeddings() -> None:
    embeddings = pytest.importorskip("langchain_core.embeddings")
    embedder = resolve_embedder(embeddings.DeterministicFakeEmbedding(size=16))
    vectors = embedder.embed(["a", "b"])
    assert vectors.shape == (2, 16)
    np.testing.assert_array_equal(await embedder.aembed(["a", "b"]), vectors)
    assert embedder.id == "langchain/DeterministicFakeEmbedding"


async def test_real_llamaindex_embedding() -> None:
    llama_index = pytest.importorskip("llama_index.core.embeddings")
    embedder = resolve_embedder(llama_index.MockEmbedding(embed_dim=4))
    np.testing.assert_allclose(embedder.embed(["a", "b"]), np.full((2, 4), 0.5))
    np.testing.assert_allclose(await embedder.aembed(["a", "b"]), np.full((2, 4), 0.5))
    assert embedder.id == "llamaindex/MockEmbedding"
