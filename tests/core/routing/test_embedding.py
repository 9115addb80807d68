"""Vectors of what is asked: anew, or known from lately."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from avengers_core import EmbedderMismatchError, fit
from avengers_core.embedders import CallableEmbedder
from avengers_core.routing.embedding import Embedding

TEXTS = ("alpha beta", "zeta delta")


@pytest.fixture(scope="module")
def artifact(make_records, embedder):
    return fit(make_records(60), embedder, n_clusters=2)


@pytest.fixture
def counted(artifact, embedder):
    asked = []

    def embed(texts):
        asked.append(list(texts))
        return embedder.embed(texts)

    own = CallableEmbedder(embed, id=embedder.id, dim=embedder.dim)
    return Embedding(artifact, own), asked


def test_turns_are_embedded_once_batches_each_time(counted, embedder):
    embedding, asked = counted
    expected = embedder.embed(TEXTS)
    np.testing.assert_allclose(embedding.of_turns(TEXTS[:1]), expected[:1], atol=1e-6)
    np.testing.assert_allclose(embedding.of_turns(TEXTS), expected, atol=1e-6)
    np.testing.assert_allclose(asyncio.run(embedding.aof_turns(TEXTS)), expected, atol=1e-6)
    assert asked == [[TEXTS[0]], [TEXTS[1]]]
    np.testing.assert_allclose(embedding.of_batch(TEXTS), expected, atol=1e-6)
    np.testing.assert_allclose(asyncio.run(embedding.aof_batch(TEXTS)), expected, atol=1e-6)
    assert asked[2:] == [list(TEXTS)] * 2


def test_what_is_asked_twice_is_embedded_once(counted, embedder):
    embedding, asked = counted
    again = (*TEXTS, TEXTS[0])
    np.testing.assert_allclose(embedding.of_turns(again), embedder.embed(again), atol=1e-6)
    assert asked == [list(TEXTS)]


def test_of_no_text_nothing_is_embedded(counted, artifact):
    embedding, asked = counted
    assert embedding.of_batch([]).shape == embedding.of_turns(()).shape == (0, artifact.dim)
    assert asked == []


def test_the_oldest_are_forgotten(counted):
    embedding, asked = counted
    for i in range(2_000):
        embedding.of_turns((f"alpha {i}",))
    embedding.of_turns(("alpha 1999", "alpha 0"))
    assert asked[2_000:] == [["alpha 0"]]


def test_another_dimension_is_refused(artifact, embedder):
    longer = CallableEmbedder(lambda t: np.ones((len(t), 9)), id=embedder.id, dim=9)
    with pytest.raises(EmbedderMismatchError, match="9"):
        Embedding(artifact, longer).of_turns(TEXTS)
