"""Backends made from the environment."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import importlib
import io
import pickle
import sys
import threading
import warnings
from multiprocessing.connection import Connection
from typing import Any

import pytest
from children import child, forget, forks
from llama_index.core import VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage, ChatResponse
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.prompts import PromptTemplate
from llama_index.llms.openai_like import OpenAILike
from pydantic import BaseModel
from stub_server import StubServer

from avengers_core import Router, fit
from avengers_core.errors import AllBackendsFailedError, BackendConfigError
from avengers_llamaindex import AvengersLLM, Capabilities
from avengers_llamaindex.question import from_text

EASY, HARD, SPARE = "test/easy", "test/hard", "test/spare"
KEY = "sk-from-the-environment"


@pytest.fixture
def endpoint(server: StubServer, monkeypatch: pytest.MonkeyPatch) -> StubServer:
    """The stub server as the environment's endpoint."""
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    monkeypatch.setenv("AVENGERS_API_KEY", KEY)
    return server


def test_settings_reach_the_backends(router: Router, endpoint: StubServer) -> None:
    llm = AvengersLLM(
        router=router, temperature=0.7, max_tokens=99, system_prompt="Be kind.", timeout=9.0
    )
    assert llm.predict(PromptTemplate("Prove {what}"), what="it").startswith(HARD)
    (request,) = endpoint.requests
    assert (request.model, request.key) == (HARD, KEY)
    assert request.body["temperature"] == 0.7
    assert request.body["max_tokens"] == 99
    assert [m["content"] for m in request.body["messages"]] == ["Be kind.", "Prove it"]
    assert llm.pool.get(HARD).timeout == 9.0
    assert llm.metadata.num_output == 99


def test_a_prompt_that_is_set_later_reaches_the_backends(
    router: Router, endpoint: StubServer
) -> None:
    llm = AvengersLLM(router=router)
    llm.complete("prove it")
    llm.system_prompt = "Be kind."
    for what in ("Prove it", "Say hello"):
        llm.predict(PromptTemplate(what))
        sent = endpoint.requests[-1].body["messages"]
        assert [m["content"] for m in sent] == ["Be kind.", what]


def test_only_the_named_models_are_used(router: Router, endpoint: StubServer) -> None:
    llm = AvengersLLM(router=router, models=[EASY, SPARE])
    decision = llm.complete("prove it").additional_kwargs["avengers"]
    assert decision["model"] == SPARE
    assert decision["ineligible"] == {HARD: "no backend given for it"}


def test_an_endpoint_given_as_arguments(router: Router, server: StubServer) -> None:
    llm = AvengersLLM(router=router, base_url=server.url, api_key=KEY)
    llm.complete("prove it")
    assert (server.requests[0].model, server.requests[0].key) == (HARD, KEY)
    for form in (repr(llm), str(llm.to_dict()), llm.to_json()):
        assert KEY not in form
    with pytest.raises(TypeError, match="api_key=") as caught:
        pickle.dumps(llm)
    assert KEY not in str(caught.value)
    with pytest.raises(BackendConfigError, match="base_url="):
        AvengersLLM(router=router, api_key=KEY).complete("prove it")


def test_a_key_is_not_sent_to_another_url(
    router: Router, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("AVENGERS_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    AvengersLLM(router=router, base_url=server.url).complete("prove it")
    assert server.requests[0].key != KEY


def test_no_key(router: Router, hard_documents: VectorStoreIndex) -> None:
    llm = AvengersLLM(router=router)
    engine = hard_documents.as_query_engine(llm=llm)
    with pytest.raises(BackendConfigError, match="OPENROUTER_API_KEY"):
        engine.query("What is the capital?")


def test_openai_alone_shrinks_the_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    records = [
        {"query": f"some words {i}", "records": {"openai/a": 0.1, "other/b": 1.0}} for i in range(4)
    ]
    llm = AvengersLLM(router=Router(fit(records, embedder="tfidf", n_clusters=1)))
    call = llm._asked("chat", from_text("words"), (), {})
    assert call.plan.decide().models == ("openai/a",)
    backend = llm.pool.get("openai/a")
    assert (backend.model, backend.api_base) == ("a", "https://api.openai.com/v1")


def test_failover_does_not_wait_for_retries(router: Router, endpoint: StubServer) -> None:
    endpoint.fail(HARD, status=429, retry_after=30)
    AvengersLLM(router=router).complete("prove it")
    assert endpoint.asked == [HARD, SPARE]
    endpoint.reset()
    endpoint.fail(HARD, status=503, times=1)
    AvengersLLM(router=router, max_retries=1).complete("prove it")
    assert endpoint.asked == [HARD, HARD]


def test_one_after_another_event_loop(
    router: Router, endpoint: StubServer, caplog: pytest.LogCaptureFixture
) -> None:
    gc.collect()  # the clients of other tests' backends would complain in the loops of this one
    gc.freeze()  # and what is left of them is not looked through again
    llm = AvengersLLM(router=router)

    async def ask() -> list[str]:
        answers = await asyncio.gather(*(llm.acomplete(f"prove {i}") for i in range(4)))
        stream = await llm.astream_chat([ChatMessage(content="prove it")])
        text = str([chunk async for chunk in stream][-1].message.content)
        gc.collect()  # what an earlier loop left
        await asyncio.sleep(0.01)
        return [*map(str, answers), text]

    for _ in range(3):
        assert all(HARD in answer for answer in asyncio.run(ask()))
    assert endpoint.answered_by == [HARD] * 15
    assert not llm.pool.clients.asynchronous._by_loop, "a client is closed with its loop"
    assert "Event loop is closed" not in caplog.text


async def test_the_timeout_holds_in_both_worlds(router: Router, endpoint: StubServer) -> None:
    llm = AvengersLLM(router=router, timeout=0.2)
    endpoint.fail(HARD, delay=1.0)
    for answer in (await llm.acomplete("prove it"), llm.complete("prove it")):
        assert [t["kind"] for t in answer.additional_kwargs["avengers"]["tried"]] == ["timeout"]


def test_several_event_loops_at_once(router: Router, endpoint: StubServer) -> None:
    llm, errors = AvengersLLM(router=router), []

    async def ask() -> None:
        for i in range(5):
            await llm.acomplete(f"prove {i}")

    def work() -> None:
        try:
            asyncio.run(ask())
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert endpoint.answered_by == [HARD] * 20


class Song(BaseModel):
    """A song."""

    title: str


def test_capabilities_shape_the_backends(router: Router, endpoint: StubServer) -> None:
    capabilities = {
        HARD: Capabilities(structured_output=True, context_window=200_000),
        SPARE: Capabilities(tools=False),
    }
    llm = AvengersLLM(router=router, capabilities=capabilities)
    llm.structured_predict(Song, PromptTemplate("Prove {what}"), what="it")
    llm.structured_predict(Song, PromptTemplate("Say {what}"), what="hello")
    assert endpoint.answered_by == [HARD, EASY]
    assert "response_format" in endpoint.requests[0].body
    assert "tools" in endpoint.requests[1].body
    assert llm.pool.get(HARD).metadata.context_window == 200_000
    assert llm.pool.get(SPARE).metadata.is_function_calling_model is False
    assert llm.metadata.context_window == llm.pool.get(EASY).metadata.context_window


def test_backends_made_later_count_tokens_too(router: Router, endpoint: StubServer) -> None:
    counter = TokenCountingHandler()
    llm = AvengersLLM(router=router)
    llm.callback_manager = CallbackManager([counter])
    llm.complete("prove it")
    llm.complete("hello")
    assert endpoint.answered_by == [HARD, EASY]
    assert counter.total_llm_token_count == sum(
        r.usage["total_tokens"] for r in endpoint.requests if r.usage
    )


def test_no_key_is_shown(router: Router, endpoint: StubServer) -> None:
    llm = AvengersLLM(router=router)
    llm.complete("prove it")
    backend = llm.pool.get(HARD)
    for form in (repr(backend), str(backend.to_dict()), repr(llm), str(llm.to_dict())):
        assert KEY not in form
    endpoint.fail("test/easy", status=401)
    endpoint.fail("test/hard", status=401)
    endpoint.fail("test/spare", status=401)
    with pytest.raises(AllBackendsFailedError) as caught:
        llm.complete("prove it")
    assert KEY not in str(caught.value)


def import_the_plugin(there: Connection) -> None:
    """Which of the heavy packages come along, and what is said."""
    heavy = "openai", "sklearn", "matplotlib", "llama_index.llms"
    forget("avengers_core", "avengers_llamaindex", *heavy)
    warnings.simplefilter("error", DeprecationWarning)
    # Libraries that were imported before have something to say of the fork.
    said = io.StringIO()
    with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
        importlib.import_module("avengers_llamaindex")
    there.send(([name for name in heavy if name in sys.modules], said.getvalue()))


@forks
def test_the_import_is_light_and_quiet() -> None:
    with child(import_the_plugin) as (_, here):
        assert here.recv() == ([], "")


def test_a_stored_answers_tool_calls_before_any_call(
    router: Router, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    llm = AvengersLLM(router=router)
    message = ChatMessage(role="assistant", content="no tools")
    stored = ChatResponse(message=message, additional_kwargs={"avengers": {"model": EASY}})
    assert llm.get_tool_calls_from_response(stored, error_on_no_tool_call=False) == []


def test_a_key_without_its_endpoint_is_sent_nowhere(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", "")
    monkeypatch.setenv("OPENROUTER_API_KEY", "another")
    with pytest.raises(BackendConfigError, match=r"api_key=.*base_url="):
        AvengersLLM(router=router, api_key="mine").complete("hello")


def test_a_copy_does_not_change_the_backends_of_its_original(
    router: Router, endpoint: StubServer
) -> None:
    llm = AvengersLLM(router=router)
    copy = llm.model_copy(update={"alpha": 0.9})
    assert copy.pool is llm.pool
    copy.system_prompt = "Be brief."
    assert (llm.system_prompt, copy.system_prompt) == (None, "Be brief.")
    for asked in (llm, copy):
        asked.predict(PromptTemplate("Prove"))
    assert [len(r.body["messages"]) for r in endpoint.requests] == [1, 2]
    copy.alpha = 0.1
    assert llm.model_copy().alpha is None


def test_backends_made_here_send_no_temperature_unless_told(
    router: Router, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    AvengersLLM(router=router).complete("hello")
    assert "temperature" not in server.requests[-1].body
    AvengersLLM(router=router, temperature=0.7).complete("hello")
    assert server.requests[-1].body["temperature"] == 0.7
    AvengersLLM(router=router, temperature=0.0).complete("hello")
    assert server.requests[-1].body["temperature"] == 0.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("api_key", "the-marker-key-4711"),
        ("default_headers", {"X-Tenant": "the-marker-key-4711"}),
        ("api_base", "http://user:the-marker-key-4711@127.0.0.1:9/v1"),
        ("api_base", "user:the-marker-key-4711@127.0.0.1:9/v1"),
        ("additional_kwargs", {"extra_headers": {"X-Tenant": "the-marker-key-4711"}}),
        ("additional_kwargs", {"extra_query": {"code": "the-marker-key-4711"}}),
    ],
)
def test_a_backend_that_would_show_a_secret_is_not_pickled(
    router: Router, field: str, value: Any
) -> None:
    given = {"model": "m", "api_key": "none", field: value}
    llm = AvengersLLM(router=router, models={m: OpenAILike(**given) for m in router.models})
    with pytest.raises(TypeError, match=field) as raised:
        pickle.dumps(llm)
    for text in (str(raised.value), repr(llm), llm.to_json(), llm.model_dump_json()):
        assert "the-marker-key-4711" not in text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("nonsense", "openai:gpt-5"),
        ("openai:", "openai:gpt-5"),
        (":gpt-5", "openai:gpt-5"),
        ("", "openai:gpt-5"),
        ("no_such:model", "pip install llama-index-llms-no-such"),
    ],
)
def test_a_text_that_names_no_llm(router: Router, text: str, told: str) -> None:
    with pytest.raises(BackendConfigError, match=rf"{EASY}.*{told}"):
        AvengersLLM(router=router, models={EASY: text}).complete("hello")
