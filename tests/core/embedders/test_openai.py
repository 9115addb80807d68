from __future__ import annotations

import asyncio
import copy
import gc
import os
import pickle
import re
import threading
import warnings
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from children import forks

from avengers_core.embedders import CachedEmbedder, OpenAIEmbedder, resolve_embedder
from avengers_core.embedders.openai import _truncate
from avengers_core.errors import EmbedderError

KEY = "sk-test-5f0e1d2c3b4a"


@pytest.fixture
def make(endpoint: Any) -> Callable[..., OpenAIEmbedder]:
    def make(model: str = "stub", **options: Any) -> OpenAIEmbedder:
        return OpenAIEmbedder(model, **{"base_url": endpoint.url, "api_key": KEY} | options)

    return make


@pytest.fixture(params=["sync", "async"])
def embed(request: pytest.FixtureRequest) -> Callable[..., Awaitable[np.ndarray]]:
    """Both ways of embedding, so that each behaviour is tested on both."""

    async def embed(embedder: OpenAIEmbedder, texts: list[str]) -> np.ndarray:
        if request.param == "sync":
            return await asyncio.to_thread(embedder.embed, texts)
        return await embedder.aembed(texts)

    return embed


async def test_request_and_answer(make: Any, embed: Any, endpoint: Any, vectors_of: Any) -> None:
    texts = ["What is\nthis?", "数学", "a\ud800", "\0"]
    vectors = await embed(make(), texts)
    sent = ["What is\nthis?", "数学", "a\ufffd", "\0"]
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(vectors, vectors_of(sent), atol=1e-6)
    (request,) = endpoint.requests
    assert request == {
        "path": "/v1/embeddings",
        "key": f"Bearer {KEY}",
        "model": "stub",
        "input": sent,
        "encoding_format": "float",
    }


async def test_vectors_are_normalised(make: Any, embed: Any, endpoint: Any) -> None:
    endpoint.script = [endpoint.replies.vectors(lambda texts: [[3.0, 4.0], [0.0, 0.0]])]
    assert (await embed(make(), ["a", "b"])).tolist() == [
        [pytest.approx(0.6), pytest.approx(0.8)],
        [0.0, 0.0],
    ]


async def test_batches_keep_their_order(
    make: Any, embed: Any, endpoint: Any, vectors_of: Any
) -> None:
    texts = [f"text {i}" for i in range(25)]
    endpoint.delay = 0.02
    vectors = await embed(make(batch_size=4, max_concurrency=3), texts)
    np.testing.assert_allclose(vectors, vectors_of(texts), atol=1e-6)
    assert sorted(len(r["input"]) for r in endpoint.requests) == [1] + [4] * 6
    assert 1 < endpoint.most_active <= 3


async def test_a_request_has_a_bounded_size(make: Any, embed: Any, endpoint: Any) -> None:
    await embed(make(max_tokens=10**6), ["x" * 90_000] * 9)
    assert sorted(len(r["input"]) for r in endpoint.requests) == [1, 4, 4]


async def test_blank_texts_are_zero_and_not_sent(
    make: Any, embed: Any, endpoint: Any, vectors_of: Any
) -> None:
    vectors = await embed(make(), ["", "a", " \n\t"])
    np.testing.assert_allclose(vectors[1], vectors_of(["a"])[0], atol=1e-6)
    assert not vectors[[0, 2]].any()
    assert endpoint.sent == ["a"]


async def test_nothing_to_embed(make: Any, embed: Any, endpoint: Any) -> None:
    assert (await embed(make(dim=7), [])).shape == (0, 7)
    assert (await embed(make(dim=7), [""])).shape == (1, 7)
    assert endpoint.requests == []
    assert (await embed(make(), [])).shape == (0, 32)
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize("status", [408, 409, 429, 500, 503])
async def test_passing_trouble_is_retried(
    status: int, make: Any, embed: Any, endpoint: Any, vectors_of: Any
) -> None:
    endpoint.script = [endpoint.replies.status(status), endpoint.replies.status(status)]
    np.testing.assert_allclose(await embed(make(), ["a"]), vectors_of(["a"]), atol=1e-6)
    assert len(endpoint.requests) == 3


@pytest.mark.parametrize(
    "trouble",
    [(500, "InternalServerError", 3), (429, "RateLimitError", 3), (404, "NotFoundError", 1)],
)
async def test_lasting_trouble_is_reported(
    trouble: tuple[int, str, int], make: Any, embed: Any, endpoint: Any
) -> None:
    status, error, times = trouble
    endpoint.script = [endpoint.replies.status(status, "the reason")] * 9
    with pytest.raises(EmbedderError, match=f"{error}.*the reason") as caught:
        await embed(make(max_retries=2), ["a"])
    assert endpoint.url in str(caught.value)
    assert "'stub'" in str(caught.value)
    assert len(endpoint.requests) == times


async def test_refused_key(make: Any, embed: Any, endpoint: Any) -> None:
    endpoint.script = [endpoint.replies.status(401, f"Incorrect API key provided: {KEY}")]
    with pytest.raises(EmbedderError, match="EMBEDDING_API_KEY") as caught:
        await embed(make(), ["a"])
    assert KEY not in str(caught.value)


async def test_one_failure_stops_the_rest(make: Any, embed: Any, endpoint: Any) -> None:
    endpoint.script = [endpoint.replies.status(404)] * 100
    with pytest.raises(EmbedderError):
        await embed(make(batch_size=1, max_concurrency=2), [f"text {i}" for i in range(100)])
    assert len(endpoint.requests) <= 4


async def test_slow_endpoint_times_out(make: Any, embed: Any, endpoint: Any) -> None:
    endpoint.delay = 0.5
    with pytest.raises(EmbedderError, match="APITimeoutError"):
        await embed(make(timeout=0.05, max_retries=0), ["a"])


async def test_no_endpoint_there(make: Any, embed: Any) -> None:
    embedder = make(base_url="http://user:hunter2@127.0.0.1:9/v1", max_retries=0)
    with pytest.raises(EmbedderError, match=r"http://127.0.0.1:9/v1 .*APIConnectionError") as error:
        await embed(embedder, ["a"])
    assert "hunter2" not in str(error.value) + repr(embedder)


@pytest.mark.parametrize(
    "url",
    [
        "http://user:hunter2@[::bad/v1",
        "http://user:hunter2",
        "user:hunter2@host/v1",
        "//user:hunter2@host/v1",
        "hunter2@host/v1",
        "ftp://user:hunter2@host/v1",
        "http:///user:hunter2@host/v1",
    ],
)
async def test_a_malformed_url_is_one_clear_error(make: Any, embed: Any, url: str) -> None:
    embedder = make(base_url=url)
    with pytest.raises(EmbedderError) as error:
        await embed(embedder, ["a"])
    assert "hunter2" not in str(error.value) + repr(embedder)
    assert b"hunter2" not in pickle.dumps(embedder)


async def test_what_is_secret_in_a_url_is_shown_nowhere(embed: Any, endpoint: Any) -> None:
    secrets = ["hunter2", "p%40ss", "p@ss", "qu3ry-value", "fr4gment-value", "st3p:p4ss"]
    host = endpoint.url.removeprefix("http://")
    url = f"http://hunter2:p%40ss@{host}/st3p:p4ss@x?token=qu3ry-value#fr4gment-value"
    embedder = OpenAIEmbedder("stub", base_url=url, api_key=KEY, max_retries=0)
    endpoint.script = [endpoint.replies.status(400, f"got {url}, of {' and '.join(secrets)}")]
    with pytest.raises(EmbedderError) as error:
        await embed(embedder, ["a"])
    for form in (str(error.value), repr(embedder), embedder.base_url, str(pickle.dumps(embedder))):
        assert not [secret for secret in secrets if secret in form]


@pytest.mark.parametrize("key", ["sk-abc\u200bdef", "sk-abc\ndef", "sk-abcdéf", "sk-abc\x7fdef"])
async def test_a_key_that_no_header_can_hold(embed: Any, endpoint: Any, key: str) -> None:
    embedder = OpenAIEmbedder("stub", base_url=endpoint.url, api_key=key)
    with pytest.raises(EmbedderError, match=r"U\+[0-9A-F]{4}") as error:
        await embed(embedder, ["a"])
    assert "abc" not in str(error.value)
    assert error.value.__cause__ is error.value.__context__ is None
    assert not endpoint.requests


async def test_blanks_around_settings_do_not_count(
    embed: Any, endpoint: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EMBEDDING_BASE_URL", f" {endpoint.url}\n")
    monkeypatch.setenv("EMBEDDING_API_KEY", "a-key\n")
    await embed(OpenAIEmbedder("stub"), ["a"])
    assert endpoint.requests[0]["key"] == "Bearer a-key"


@pytest.mark.parametrize("order", [[2, 0, 1], [2, 1, 0]], ids=["rotated", "reversed"])
async def test_out_of_order_answers_are_sorted_by_index(
    order: list[int], make: Any, embed: Any, endpoint: Any, vectors_of: Any
) -> None:
    endpoint.script = [endpoint.replies.vectors(vectors_of, order)]
    texts = ["a", "b", "c"]
    np.testing.assert_allclose(await embed(make(), texts), vectors_of(texts), atol=1e-6)


async def test_answers_without_index_keep_their_order(
    make: Any, embed: Any, endpoint: Any, vectors_of: Any
) -> None:
    data = [{"embedding": row} for row in vectors_of(["a", "b"]).tolist()]
    endpoint.script = [endpoint.replies.payload({"object": "list", "data": data})]
    np.testing.assert_allclose(await embed(make(), ["a", "b"]), vectors_of(["a", "b"]), atol=1e-6)


async def test_wrong_dimension_states_both(make: Any, embed: Any, endpoint: Any) -> None:
    endpoint.script = [endpoint.replies.vectors(lambda texts: [[1.0] * 768] * len(texts))]
    with pytest.raises(EmbedderError, match=r"\b768\b.*\b1536\b"):
        await embed(make("text-embedding-3-small"), ["a"])


async def test_dimension_may_not_change(make: Any, embed: Any, endpoint: Any) -> None:
    embedder = make()
    await embed(embedder, ["a"])
    endpoint.script = [endpoint.replies.vectors(lambda texts: [[1.0] * 5] * len(texts))]
    with pytest.raises(EmbedderError, match=r"\b5\b.*\b32\b"):
        await embed(embedder, ["a"])


NOT_ANSWERS = {
    "truncated": b'{"object": "list", "data": [{"ind',
    "a page": b"<html>Bad gateway</html>",
    "null": b"null",
    "a list": b"[]",
    "no data": {"object": "list"},
    "data null": {"object": "list", "data": None},
    "too few": {"data": [{"index": 0, "embedding": [1.0]}]},
    "too many": {"data": [{"index": i, "embedding": [1.0]} for i in range(3)]},
    "index twice": {"data": [{"index": 0, "embedding": [1.0]}] * 2},
    "index from one": {"data": [{"index": i, "embedding": [1.0]} for i in (1, 2)]},
    "NaN": b'{"data": [{"index": 0, "embedding": [NaN]}, {"index": 1, "embedding": [1]}]}',
    "null entry": {"data": [{"index": i, "embedding": [None, 1.0]} for i in range(2)]},
    "ragged": {"data": [{"index": i, "embedding": [1.0] * (i + 1)} for i in range(2)]},
    "empty vectors": {"data": [{"index": i, "embedding": []} for i in range(2)]},
    "base64": {"data": [{"index": i, "embedding": "AACAPw=="} for i in range(2)]},
    "no vectors": {"data": [{"index": i} for i in range(2)]},
    "strings": {"data": ["a", "b"]},
}


@pytest.mark.parametrize("payload", NOT_ANSWERS.values(), ids=NOT_ANSWERS.keys())
async def test_nonsense_is_one_clear_error(
    payload: Any, make: Any, embed: Any, endpoint: Any
) -> None:
    endpoint.script = [endpoint.replies.payload(payload)] * 9
    with pytest.raises(EmbedderError, match=re.escape(endpoint.url)):
        await embed(make(max_retries=0), ["a", "b"])


async def test_answer_that_is_not_json(make: Any, embed: Any, endpoint: Any) -> None:
    endpoint.script = [endpoint.replies.payload(b"hello", "text/plain")]
    with pytest.raises(EmbedderError, match=re.escape(endpoint.url)):
        await embed(make(max_retries=0), ["a"])


class TestLongTexts:
    def test_estimate(self) -> None:
        assert _truncate("x" * 400, 100) == "x" * 400
        assert len(_truncate("x" * 1000, 100)) == 400
        assert _truncate("数" * 100, 100) == "数" * 100
        assert len(_truncate("数" * 1000, 100)) == 100
        assert 100 < len(_truncate("数x" * 1000, 100)) < 400

    async def test_texts_are_cut_before_they_are_sent(
        self, make: Any, embed: Any, endpoint: Any
    ) -> None:
        await embed(make(max_tokens=10), ["y" * 1_000_000, "short"])
        assert endpoint.sent == ["y" * 40, "short"]

    async def test_only_the_text_that_is_too_long_is_halved(
        self, make: Any, embed: Any, endpoint: Any, vectors_of: Any
    ) -> None:
        endpoint.limit = 100
        texts = [f"text {i}" for i in range(9)]
        texts[5] = "long " * 70
        vectors = await embed(make(), texts)
        expected = [*texts[:5], texts[5][:87], *texts[6:]]
        np.testing.assert_allclose(vectors, vectors_of(expected), atol=1e-6)
        assert len(endpoint.requests) < 12

    @pytest.mark.parametrize(
        "said",
        [
            (400, "Requested tokens (600) exceed context window of 512"),
            (400, "Illegal param: prefill 744 tokens exceed n_ctx_per_seq"),
            (413, "`inputs` must have less than 512 tokens. Given: 1000"),
            (400, "the input length exceeds the context length"),
            (422, "Input is too long for this model"),
        ],
    )
    async def test_what_other_servers_say(
        self, said: tuple[int, str], make: Any, embed: Any, endpoint: Any
    ) -> None:
        endpoint.script = [endpoint.replies.status(*said)]
        await embed(make(), ["z" * 64])
        assert endpoint.sent == ["z" * 64, "z" * 32]

    async def test_a_short_text_is_not_cut_for_ever(
        self, make: Any, embed: Any, endpoint: Any
    ) -> None:
        endpoint.limit = 1
        with pytest.raises(EmbedderError, match="maximum context length is 1 tokens"):
            await embed(make(), ["z" * 64, "other"])
        assert len(endpoint.requests) < 10

    async def test_another_400_is_not_repeated(self, make: Any, embed: Any, endpoint: Any) -> None:
        endpoint.script = [endpoint.replies.status(400, "model not found")] * 9
        with pytest.raises(EmbedderError, match="model not found"):
            await embed(make(), ["a", "b"])
        assert len(endpoint.requests) == 1


class TestConnections:
    def test_one_event_loop_after_the_other(self, make: Any, vectors_of: Any) -> None:
        embedder = make()
        for text in ("a", "b", "c"):
            vectors = asyncio.run(embedder.aembed([text]))
            np.testing.assert_allclose(vectors, vectors_of([text]), atol=1e-6)

    @pytest.mark.parametrize("wrap", [lambda e, _: e, CachedEmbedder], ids=["bare", "cached"])
    async def test_what_is_closed_opens_again(
        self, make: Any, embed: Any, wrap: Any, tmp_path: Path, vectors_of: Any
    ) -> None:
        inner = make()
        with wrap(inner, tmp_path / "cache.sqlite") as embedder:
            await embed(embedder, ["a"])
            blocking = inner._clients.here().blocking
        assert blocking.is_closed()
        async with embedder:
            np.testing.assert_allclose(await embed(embedder, ["b"]), vectors_of(["b"]), atol=1e-6)
            asynchronous = inner._clients.here().asynchronous
        assert asynchronous.is_closed()
        assert inner._clients.here().blocking is not blocking

    def test_what_is_dropped_is_closed(self, make: Any) -> None:
        embedder = make()
        embedder.embed(["a"])
        asyncio.run(embedder.aembed(["a"]))
        gc.collect()  # what the clients of other tests left open
        with warnings.catch_warnings(record=True) as warned:
            warnings.simplefilter("always", ResourceWarning)
            del embedder
            gc.collect()
        assert not [w for w in warned if "127.0.0.1" in str(w.message)]

    def test_event_loops_side_by_side(self, make: Any, vectors_of: Any) -> None:
        embedder = make()
        barrier = threading.Barrier(4)

        async def work(name: int) -> np.ndarray:
            barrier.wait(5)
            return np.concatenate([await embedder.aembed([f"{name} {i}"]) for i in range(5)])

        with ThreadPoolExecutor(4) as pool:
            results = list(pool.map(lambda n: asyncio.run(work(n)), range(4)))
        for n, vectors in enumerate(results):
            expected = vectors_of([f"{n} {i}" for i in range(5)])
            np.testing.assert_allclose(vectors, expected, atol=1e-6)

    def test_threads(self, make: Any, vectors_of: Any) -> None:
        embedder = make()
        texts = [f"text {i}" for i in range(40)]
        with ThreadPoolExecutor(8) as pool:
            rows = list(pool.map(lambda text: embedder.embed([text])[0], texts))
        np.testing.assert_allclose(rows, vectors_of(texts), atol=1e-6)

    @forks
    def test_a_forked_child_opens_its_own_connection(self, make: Any) -> None:
        embedder = make()
        embedder.embed(["before"])
        parent = embedder._clients.here().blocking
        child = os.fork()
        if child == 0:
            os._exit(0 if embedder._clients.here().blocking is not parent else 1)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert embedder._clients.here().blocking is parent

    async def test_async_leaves_the_loop_free_and_can_be_cancelled(
        self, make: Any, endpoint: Any
    ) -> None:
        answered = threading.Event()

        def held(body: dict[str, Any]) -> Any:
            answered.wait(10)
            return endpoint.good(body)

        endpoint.script = [held] * 3
        embedder = make(batch_size=1, max_concurrency=2)
        task = asyncio.ensure_future(embedder.aembed([str(i) for i in range(20)]))
        while len(endpoint.requests) < 2:
            await asyncio.sleep(0.001)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        answered.set()
        assert (await embedder.aembed(["after"])).shape == (1, 32)
        assert len(endpoint.requests) == 3


class TestCredentials:
    async def test_embedding_variables(
        self, endpoint: Any, embed: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("EMBEDDING_BASE_URL", endpoint.url)
        monkeypatch.setenv("EMBEDDING_API_KEY", "embedding-key")
        monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
        monkeypatch.setenv("OPENAI_API_KEY", "openai-key")
        await embed(resolve_embedder("openai/stub"), ["a"])
        assert endpoint.requests[0]["key"] == "Bearer embedding-key"

    async def test_openai_variables(
        self, endpoint: Any, embed: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_BASE_URL", endpoint.url)
        monkeypatch.setenv("OPENAI_API_KEY", "openai-key")
        await embed(OpenAIEmbedder("stub"), ["a"])
        assert endpoint.requests[0]["key"] == "Bearer openai-key"

    async def test_the_openai_key_goes_nowhere_else(
        self, endpoint: Any, embed: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "openai-key")
        await embed(OpenAIEmbedder("stub", base_url=endpoint.url), ["a"])
        monkeypatch.setenv("EMBEDDING_BASE_URL", endpoint.url)
        await embed(OpenAIEmbedder("stub"), ["a"])
        assert {request["key"] for request in endpoint.requests} == {"Bearer none"}

    async def test_no_key_is_said_at_the_first_call(self, endpoint: Any, embed: Any) -> None:
        embedder = OpenAIEmbedder("text-embedding-3-small")
        assert embedder.dim == 1536
        with pytest.raises(EmbedderError, match=r"EMBEDDING_API_KEY or OPENAI_API_KEY"):
            await embed(embedder, ["a"])

    def test_the_key_is_shown_nowhere(self, make: Any, tmp_path: Any) -> None:
        embedder = make()
        embedder.embed(["a"])
        cached = CachedEmbedder(embedder, tmp_path / "cache.sqlite")
        shown = repr(embedder) + repr(cached) + repr(embedder._clients)
        assert KEY not in shown
        assert KEY.encode() not in pickle.dumps(embedder)
        assert KEY.encode() not in pickle.dumps(cached)

    def test_a_pickle_reads_the_environment_again(
        self, make: Any, endpoint: Any, vectors_of: Any, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        embedder = make(batch_size=2)
        asyncio.run(embedder.aembed(["a"]))
        embedder.embed(["a"])
        restored = pickle.loads(pickle.dumps(embedder))
        monkeypatch.setenv("EMBEDDING_API_KEY", "from-the-environment")
        np.testing.assert_allclose(restored.embed(["a"]), vectors_of(["a"]), atol=1e-6)
        assert endpoint.requests[-1]["key"] == "Bearer from-the-environment"
        assert (restored.id, restored.dim) == (embedder.id, 32)

    def test_a_copy_keeps_its_key(self, make: Any, endpoint: Any) -> None:
        for duplicate in (copy.copy(make()), copy.deepcopy(make())):
            duplicate.embed(["a"])
            assert endpoint.requests[-1]["key"] == f"Bearer {KEY}"


async def test_dimensions_are_asked_for(make: Any, embed: Any, endpoint: Any) -> None:
    embedder = make(dimensions=16)
    assert (embedder.id, embedder.dim) == ("openai/stub@16", 16)
    assert (await embed(embedder, ["a"])).shape == (1, 16)
    assert endpoint.requests[0]["dimensions"] == 16


def test_dim_asks_once_when_unknown(make: Any, endpoint: Any) -> None:
    embedder = make()
    assert (embedder.dim, embedder.dim) == (32, 32)
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    "arguments",
    [
        {"model": ""},
        {"dim": 0},
        {"dimensions": -1},
        {"batch_size": 0},
        {"max_concurrency": 0},
        {"max_tokens": 0},
        {"dim": 3, "dimensions": 4},
    ],
)
def test_arguments_are_checked(arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(reversed(arguments))):
        OpenAIEmbedder(**{"model": "m"} | arguments)
