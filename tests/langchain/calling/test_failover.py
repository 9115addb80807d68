"""What happens when backends fail."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import openai
import pytest
from asking import BROKEN
from keyword_router import EASY, HARD, MODELS, SPARE
from langchain_core.callbacks import UsageMetadataCallbackHandler
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk
from langchain_openai import ChatOpenAI
from stub_server import StubServer

from avengers_core import Router
from avengers_core.errors import AllBackendsFailedError
from avengers_langchain import AvengersChatModel
from avengers_langchain.calling.answers import ChunkMarker

QUESTION = "Prove this theorem"


def tried(message: Any) -> list[tuple[str, str]]:
    return [(t["model"], t["kind"]) for t in message.response_metadata["avengers"]["tried"]]


async def call(llm: BaseChatModel, how: str, question: str = QUESTION) -> Any:
    if how == "invoke":
        return llm.invoke(question)
    if how == "ainvoke":
        return await llm.ainvoke(question)
    total: Any = None
    if how == "stream":
        for chunk in llm.stream(question):
            total = chunk if total is None else total + chunk
    else:
        async for chunk in llm.astream(question):
            total = chunk if total is None else total + chunk
    return total


HOW = ["invoke", "ainvoke", "stream", "astream"]


# A status is an error of the client before there is an answer in any form: all forms take turns.
@pytest.mark.parametrize(
    ("how", "fault", "kind"),
    [
        *((how, {"status": 429, "retry_after": 7}, "rate_limit") for how in HOW),
        ("invoke", {"status": 500}, "server_error"),
        ("ainvoke", {"status": 503}, "server_error"),
        ("stream", {"status": 401}, "authentication"),
        ("astream", {"status": 404}, "not_found"),
    ],
)
async def test_the_next_candidate_answers(
    llm: AvengersChatModel, server: StubServer, how: str, fault: dict[str, Any], kind: str
) -> None:
    server.fail(HARD, **fault)
    message = await call(llm, how)
    assert message.content == f"{SPARE} says: {QUESTION}"
    assert tried(message) == [(HARD, kind)]
    assert server.asked == [HARD, SPARE]


@pytest.mark.parametrize("how", HOW)
async def test_malformed_json(llm: AvengersChatModel, server: StubServer, how: str) -> None:
    server.fail(HARD, malformed=True)
    assert tried(await call(llm, how)) == [(HARD, "bad_response")]


@pytest.mark.parametrize("how", HOW)
async def test_too_slow(
    router: Router, backend: Callable[..., ChatOpenAI], server: StubServer, how: str
) -> None:
    server.fail(HARD, delay=1.0)
    models = {HARD: backend(HARD, timeout=0.1), SPARE: backend(SPARE)}
    llm = AvengersChatModel(router=router, models=models)
    assert tried(await call(llm, how)) == [(HARD, "timeout")]


@pytest.mark.parametrize("how", HOW)
async def test_nobody_listens(router: Router, backend: Callable[..., ChatOpenAI], how: str) -> None:
    models = {HARD: backend(HARD, base_url="http://127.0.0.1:9/v1"), SPARE: backend(SPARE)}
    llm = AvengersChatModel(router=router, models=models)
    assert tried(await call(llm, how)) == [(HARD, "connection")]


@pytest.mark.parametrize("how", ["stream", "astream"])
async def test_a_stream_that_breaks_before_its_first_chunk(
    llm: AvengersChatModel, server: StubServer, how: str
) -> None:
    server.fail(HARD, drop_after=0)
    message = await call(llm, how)
    assert message.content == f"{SPARE} says: {QUESTION}"
    assert tried(message) == [(HARD, "connection")]


@pytest.mark.parametrize("how", ["stream", "astream"])
async def test_a_stream_that_breaks_later_raises(
    llm: AvengersChatModel, server: StubServer, how: str
) -> None:
    server.fail(HARD, drop_after=3)
    with pytest.raises(BROKEN):
        await call(llm, how)
    assert server.asked == [HARD]


@pytest.mark.parametrize("how", HOW)
async def test_a_bad_request_is_the_callers_if_two_say_so(
    llm: AvengersChatModel, server: StubServer, how: str
) -> None:
    server.fail(HARD, status=400)
    message = await call(llm, how)
    assert message.response_metadata["avengers"]["model"] == SPARE
    server.fail(SPARE, status=422)
    with pytest.raises(openai.BadRequestError, match=f"{HARD} and {SPARE}"):
        await call(llm, how)
    assert server.asked == [HARD, SPARE] * 2


@pytest.mark.parametrize("how", HOW)
async def test_a_content_refusal_is_a_setting(
    llm: AvengersChatModel, server: StubServer, how: str
) -> None:
    server.fail(HARD, status=400, code="content_policy_violation")
    with pytest.raises(openai.BadRequestError, match=HARD):
        await call(llm, how)
    assert server.asked == [HARD]
    other = llm.model_copy(update={"on_refusal": "next"})
    message = await call(other, how)
    assert message.response_metadata["avengers"]["model"] == SPARE


@pytest.mark.parametrize("how", HOW)
async def test_when_all_fail_one_error_lists_each(
    llm: AvengersChatModel, server: StubServer, how: str
) -> None:
    for model, status in zip(MODELS, (401, 429, 500), strict=True):
        server.fail(model, status=status)
    with pytest.raises(AllBackendsFailedError) as caught:
        await call(llm, how)
    text = str(caught.value)
    assert f"{EASY}: authentication" in text
    assert f"{HARD}: rate_limit" in text
    assert f"{SPARE}: server_error" in text
    assert "sk-the-key-of-a-test" not in text


def test_max_attempts(router: Router, backends: Any, server: StubServer) -> None:
    for model in MODELS:
        server.fail(model, status=500)
    llm = AvengersChatModel(router=router, models=backends, max_attempts=1)
    with pytest.raises(AllBackendsFailedError):
        llm.invoke(QUESTION)
    assert server.asked == [HARD]


def test_a_backend_that_keeps_failing_is_left_alone(
    llm: AvengersChatModel, server: StubServer
) -> None:
    server.fail(HARD, status=500)
    answers = [llm.invoke(QUESTION) for _ in range(5)]
    assert server.asked == [HARD, SPARE] * 3 + [SPARE] * 2
    facts = [answer.response_metadata["avengers"] for answer in answers]
    assert [each.get("resting") for each in facts] == [None] * 3 + [[HARD]] * 2


def test_retry_after_is_respected(llm: AvengersChatModel, server: StubServer) -> None:
    server.fail(HARD, status=429, retry_after=20)
    llm.invoke(QUESTION)
    llm.invoke(QUESTION)
    assert server.asked == [HARD, SPARE, SPARE]


async def test_many_at_once_while_a_third_of_the_backends_fails_at_random(
    router: Router, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    server.fail(HARD, status=500, rate=0.5)
    server.fail(HARD, status=429, rate=0.5)
    llm = AvengersChatModel(router=router)
    words = ("hello", "prove")
    questions = [f"{words[i % 2]} number {i}" for i in range(60)]
    handler = UsageMetadataCallbackHandler()
    answers = await asyncio.gather(
        *(llm.ainvoke(question, {"callbacks": [handler]}) for question in questions)
    )
    for question, answer in zip(questions, answers, strict=True):
        assert str(answer.content).endswith(f"says: {question}")
    answered = [r for r in server.requests if r.ok]
    asked = [r.body["messages"][-1]["content"] for r in answered]
    assert sorted(asked) == sorted(questions)  # all answered, none twice
    assert len(server.requests) > len(questions)
    counted = sum(u["total_tokens"] for u in handler.usage_metadata.values())
    assert counted == sum(r.usage["total_tokens"] for r in answered if r.usage)


def test_reading_on_is_optional(llm: AvengersChatModel, server: StubServer) -> None:
    stream = llm.stream(QUESTION)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    assert llm.pool.health.available(HARD)
    assert server.asked == [HARD]


async def test_a_cancelled_call_is_no_failure(llm: AvengersChatModel, server: StubServer) -> None:
    server.fail(HARD, delay=5.0)
    task = asyncio.create_task(llm.ainvoke(QUESTION))
    while not server.asked:
        await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert server.asked == [HARD]
    assert llm.pool.health.available(HARD)


@pytest.mark.parametrize("name", ["finish_reason", "stop_reason", "stopReason", "done_reason"])
@pytest.mark.parametrize("ended", [True, False])
def test_a_stream_is_whole_in_the_words_of_each_client(name: str, ended: bool) -> None:
    facts: dict[str, Any] = {"model": HARD}
    marker = ChunkMarker(facts, {})
    for metadata in ({}, {name: "end_turn"} if ended else {"metrics": {}}):
        message = AIMessageChunk("Yes", response_metadata=metadata)
        marker.mark(ChatGenerationChunk(message=message))
    assert list(marker.rest())
    assert facts.get("truncated", False) is not ended
