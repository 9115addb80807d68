"""The chat models that are made here, from the environment or from texts."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from keyword_router import EASY, HARD, MODELS
from stub_server import StubServer

from avengers_core import Router
from avengers_core.errors import BackendConfigError
from avengers_langchain import AvengersChatModel


@pytest.fixture
def environment(server: StubServer, monkeypatch: pytest.MonkeyPatch) -> StubServer:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    monkeypatch.setenv("AVENGERS_API_KEY", "env-key")
    return server


def test_from_the_environment(router: Router, environment: StubServer) -> None:
    llm = AvengersChatModel(router=router, temperature=0.5, timeout=7)
    assert llm.invoke("Prove").content == f"{HARD} says: Prove"
    request = environment.requests[0]
    assert (request.key, request.body["temperature"]) == ("env-key", 0.5)
    assert llm.pool.get(HARD).model.request_timeout == 7


def test_streams_count_their_tokens(router: Router, environment: StubServer) -> None:
    total: Any = None
    for chunk in AvengersChatModel(router=router).stream("hello"):
        total = chunk if total is None else total + chunk
    usage = environment.requests[0].usage
    assert usage is not None
    assert total.usage_metadata["total_tokens"] == usage["total_tokens"]


def test_two_event_loops_in_a_row(router: Router, environment: StubServer) -> None:
    llm = AvengersChatModel(router=router)

    async def call() -> list[str]:
        streamed = [str(chunk.text) async for chunk in llm.astream("prove")]
        answers = await asyncio.gather(*(llm.ainvoke("hello") for _ in range(5)))
        return ["".join(streamed), *(str(a.content) for a in answers)]

    expected = [f"{HARD} says: prove", *[f"{EASY} says: hello"] * 5]
    assert asyncio.run(call()) == expected
    assert asyncio.run(call()) == expected
    assert llm.invoke("hello").content == expected[-1]
    assert environment.asked == environment.answered_by


def test_ids_restrict_the_pool(router: Router, environment: StubServer) -> None:
    llm = AvengersChatModel(router=router, models=[EASY])
    assert llm.invoke("Prove").response_metadata["avengers"]["model"] == EASY


def test_without_a_key_only_the_first_call_fails(router: Router) -> None:
    llm = AvengersChatModel(router=router)
    with pytest.raises(BackendConfigError, match="OPENROUTER_API_KEY"):
        llm.invoke("hello")
    with pytest.raises(BackendConfigError, match="base_url"):
        AvengersChatModel(router=router, api_key="k").invoke("hello")


def test_an_endpoint_given_here_gets_its_own_key_only(
    router: Router, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("AVENGERS_API_KEY", "env-key")
    AvengersChatModel(router=router, base_url=server.url).invoke("hello")
    AvengersChatModel(router=router, base_url=server.url, api_key="own").invoke("hello")
    assert [r.key for r in server.requests] == ["none", "own"]


def test_openai_alone_reaches_its_own_models_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    backends = AvengersChatModel().pool
    absent = backends.unable()
    assert all("not reachable" in reason for reason in absent.values())
    assert all(not model.startswith("openai/") for model in absent)
    assert backends.get("openai/gpt-5").model.model_name == "gpt-5"
    with pytest.raises(BackendConfigError):
        backends.get(next(iter(absent)))


def test_texts_for_init_chat_model(
    router: Router, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    models = {model: f"openai:{model}" for model in MODELS}
    llm = AvengersChatModel(router=router, models=models, temperature=0.5)
    assert llm.invoke("Prove").content == f"{HARD} says: Prove"
    assert server.requests[0].body["temperature"] == 0.5


def test_a_text_that_makes_no_model_is_named_at_the_first_call(router: Router) -> None:
    llm = AvengersChatModel(router=router, models={HARD: "nobody:knows"})
    with pytest.raises(BackendConfigError, match=HARD):
        llm.invoke("hello")


def test_why_no_model_could_be_made_is_said_without_keys(
    router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(*_: Any, **options: Any) -> None:
        raise ValueError("bad arguments: {'api_key': 'a-key-of-no-shape'}")

    monkeypatch.setattr("langchain.chat_models.init_chat_model", fails)
    llm = AvengersChatModel(router=router, models={HARD: "openai:x"})
    with pytest.raises(BackendConfigError, match="ValueError") as caught:
        llm.invoke("hello")
    assert "a-key-of-no-shape" not in str(caught.value)


@pytest.mark.parametrize("setting", ["timeout", "max_retries"])
def test_own_chat_models_keep_what_they_have(router: Router, backends: Any, setting: str) -> None:
    with pytest.raises(ValueError, match=setting):
        AvengersChatModel(router=router, models=backends, **{setting: 3})


@pytest.mark.parametrize("text", ["nonsense", "nowhere:model", "openai", ""])
def test_a_text_that_names_no_chat_model(router: Router, text: str) -> None:
    with pytest.raises(BackendConfigError, match=EASY) as caught:
        AvengersChatModel(router=router, models={EASY: text}).invoke("hello")
    assert "models['']" not in str(caught.value)
