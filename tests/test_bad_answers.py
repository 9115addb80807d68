"""Answers that are none, and errors of many callers at once, are made good by both plugins."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from keyword_router import EASY, HARD, SPARE
from llama_index.core.base.llms.types import ChatMessage
from stub_server import StubServer

from avengers_core import Router
from avengers_core.errors import ContentRefusedError
from avengers_langchain import AvengersChatModel
from avengers_llamaindex import AvengersLLM

QUESTION = "Prove it"
EVENTS = "text/event-stream"
_START = '{"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m", '
_DELTA = '{"index": 0, "delta": {"role": "assistant", "content": ""}}'
_ROLE = f'data: {_START}"choices": [{_DELTA}]}}'
WHOLE: dict[str, tuple[str, str]] = {
    "a page": ("<html><body>Please sign in</body></html>", "text/html"),
    "a list": ("[]", "application/json"),
    "null": ("null", "application/json"),
    "nothing": ("", "application/json"),
    "no choices": ('{"id": "c", "object": "chat.completion", "model": "m"}', "application/json"),
    "null for choices": ('{"id": "c", "model": "m", "choices": null}', "application/json"),
    "an empty list of choices": ('{"id": "c", "model": "m", "choices": []}', "application/json"),
    "no message": ('{"choices": [{"index": 0, "message": null}]}', "application/json"),
    "no text": (
        '{"choices": [{"index": 0, "message": {"role": "assistant", "content": ""}}]}',
        "application/json",
    ),
    "an answer broken off": (
        '{"choices": [{"index": 0, "finish_reason": "error", "error": {"code": 502}, '
        '"message": {"role": "assistant", "content": "It is"}}]}',
        "application/json",
    ),
    "an answer that its server had no room for": (
        '{"choices": [{"index": 0, "finish_reason": "insufficient_system_resource", '
        '"message": {"role": "assistant", "content": "It is"}}]}',
        "application/json",
    ),
    "nothing but a thought": (
        '{"choices": [{"index": 0, "finish_reason": "stop", '
        '"message": {"role": "assistant", "content": " ", "reasoning_content": "Hm."}}]}',
        "application/json",
    ),
    "nothing but a thought in tags": (
        '{"choices": [{"index": 0, "finish_reason": "stop", '
        '"message": {"role": "assistant", "content": "<think>Hm.</think>\\n"}}]}',
        "application/json",
    ),
    "a thought in tags that was cut off": (
        '{"choices": [{"index": 0, "finish_reason": "length", '
        '"message": {"role": "assistant", "content": "<think>Hm."}}]}',
        "application/json",
    ),
    "half a message": ('{"choices": [{"index": 0, "mess', "application/json"),
    "an error": ('{"error": {"message": "upstream overloaded", "code": 502}}', "application/json"),
}
STREAMED: dict[str, str] = {
    "nothing": "",
    "only its end": "data: [DONE]\n\n",
    "only comments": ": PROCESSING\n\n: PROCESSING\n\n",
    "no choices": f'data: {_START}"choices": []}}\n\ndata: [DONE]\n\n',
    "half a chunk": 'data: {"id": "c1", "choi\n\n',
    "an error": 'data: {"error": {"message": "upstream overloaded", "code": 502}}\n\n',
    "no word": f"{_ROLE}\n\ndata: [DONE]\n\n",
    "a blank": (_ROLE.replace('"content": ""', '"content": " "') + "\n\ndata: [DONE]\n\n"),
    "an error before a word": f'{_ROLE}\n\ndata: {{"error": {{"message": "overloaded"}}}}\n\n',
}


@pytest.fixture(params=[AvengersChatModel, AvengersLLM])
def llm(
    request: pytest.FixtureRequest,
    router: Router,
    server: StubServer,
    monkeypatch: pytest.MonkeyPatch,
) -> Any:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    return request.param(router=router, failure_threshold=2)


async def whole(llm: Any, blocking: bool, **said: Any) -> str:
    if isinstance(llm, AvengersChatModel):
        message = llm.invoke(QUESTION, **said) if blocking else await llm.ainvoke(QUESTION, **said)
        return str(message.text)
    ask = [ChatMessage(content=QUESTION)]
    response = llm.chat(ask, **said) if blocking else await llm.achat(ask, **said)
    return str(response.message.content or "")


async def streamed(llm: Any, blocking: bool, **said: Any) -> str:
    ask = [ChatMessage(content=QUESTION)]
    if isinstance(llm, AvengersChatModel):
        if blocking:
            return "".join(str(part.text) for part in llm.stream(QUESTION, **said))
        return "".join([str(part.text) async for part in llm.astream(QUESTION, **said)])
    if blocking:
        return "".join(chunk.delta or "" for chunk in llm.stream_chat(ask, **said))
    return "".join([chunk.delta or "" async for chunk in await llm.astream_chat(ask, **said)])


async def made_good(
    llm: Any, server: StubServer, ask: Callable[[Any, bool], Awaitable[str]]
) -> None:
    for blocking in (True, False):
        assert await ask(llm, blocking) == f"{SPARE} says: {QUESTION}"
    assert server.asked == [HARD, SPARE] * 2
    assert not llm.pool.health.available(HARD), "it counts against the backend"


@pytest.mark.parametrize("answer", WHOLE)
async def test_an_answer_that_is_none(llm: Any, server: StubServer, answer: str) -> None:
    body, kind = WHOLE[answer]
    server.fail(HARD, body=body, kind=kind)
    await made_good(llm, server, whole)


@pytest.mark.parametrize("answer", STREAMED)
async def test_a_stream_without_a_word(llm: Any, server: StubServer, answer: str) -> None:
    server.fail(HARD, body=STREAMED[answer], kind=EVENTS)
    await made_good(llm, server, streamed)


_WITHHELD = '"index": 0, "finish_reason": "content_filter", '


@pytest.mark.parametrize("ask", [whole, streamed])
async def test_an_answer_that_is_withheld_is_a_refusal(
    llm: Any, server: StubServer, ask: Callable[..., Awaitable[str]]
) -> None:
    if ask is whole:
        message = '"message": {"role": "assistant", "content": ""}'
        server.fail(HARD, body=f'{{"choices": [{{{_WITHHELD}{message}}}]}}')
    else:
        last = f'data: {_START}"choices": [{{{_WITHHELD}"delta": {{}}}}]}}'
        server.fail(HARD, body=f"{_ROLE}\n\n{last}\n\ndata: [DONE]\n\n", kind=EVENTS)
    for blocking in (True, False):
        with pytest.raises(ContentRefusedError, match="content_filter"):
            await ask(llm, blocking)
    assert server.asked == [HARD, HARD]
    unconcerned = llm.model_copy(update={"on_refusal": "next"})
    assert await ask(unconcerned, True) == f"{SPARE} says: {QUESTION}"
    assert llm.pool.health.available(HARD)
    with pytest.raises(ContentRefusedError, match="content_filter"):  # nobody else could
        await ask(unconcerned, True, models=[HARD])


async def test_a_models_own_refusal_goes_to_the_next_where_that_is_wanted(
    llm: Any, server: StubServer
) -> None:
    message = '{"role": "assistant", "content": null, "refusal": "I cannot."}'
    choice = f'{{"index": 0, "finish_reason": "stop", "message": {message}}}'
    server.fail(HARD, body=f'{{"choices": [{choice}]}}')
    unconcerned = llm.model_copy(update={"on_refusal": "next"})
    for blocking in (True, False):
        assert await whole(unconcerned, blocking) == f"{SPARE} says: {QUESTION}"
    assert llm.pool.health.available(HARD)


async def test_what_all_say_is_taken_for_an_answer(llm: Any, server: StubServer) -> None:
    for model in (EASY, HARD, SPARE):
        server.replies[model] = lambda _: ""
    assert await whole(llm, True) == ""
    assert server.asked == [HARD, SPARE, EASY]


@pytest.mark.parametrize("ask", [whole, streamed])
async def test_what_its_own_stop_sequence_cuts_to_nothing_is_an_answer(
    llm: Any, server: StubServer, ask: Callable[..., Awaitable[str]]
) -> None:
    server.replies[HARD] = lambda _: ""
    of_all = llm.model_copy(update={"model_settings": {"stop": ["says"]}})
    for blocking in (True, False):
        assert await ask(llm, blocking, stop=["says"]) == ""
        assert await ask(of_all, blocking) == ""
    assert server.asked == [HARD] * 4
    assert llm.pool.health.available(HARD)


async def test_a_stream_that_is_cut_off_says_so(llm: Any, server: StubServer) -> None:
    word = _ROLE.replace('"content": ""', '"content": "Yes"')
    for end, cut in (("stop", False), ("", True), ("error", True)):
        choice = f'{{"index": 0, "delta": {{}}, "finish_reason": "{end}"}}'
        last = f'data: {_START}"choices": [{choice}]}}'
        body = "\n\n".join([word, last, ""] if end else [word, ""])
        server.reset()
        server.fail(HARD, body=body, kind=EVENTS)
        if isinstance(llm, AvengersChatModel):
            facts = list(llm.stream(QUESTION))[-1].response_metadata["avengers"]
        else:
            chunks = list(llm.stream_chat([ChatMessage(content=QUESTION)]))
            facts = chunks[-1].additional_kwargs["avengers"]
        assert facts["model"] == HARD
        assert facts.get("truncated", False) is cut


async def test_an_answer_that_broke_off_is_the_last_resort_and_says_so(
    llm: Any, server: StubServer
) -> None:
    message = '"message": {"role": "assistant", "content": "It is"}'
    for model in (HARD, SPARE, EASY):
        body = f'{{"choices": [{{"index": 0, "finish_reason": "error", {message}}}]}}'
        server.fail(model, body=body)
    if isinstance(llm, AvengersChatModel):
        answer = llm.invoke(QUESTION)
        said, facts = answer.text, answer.response_metadata["avengers"]
    else:
        answer = llm.chat([ChatMessage(content=QUESTION)])
        said, facts = answer.message.content, answer.additional_kwargs["avengers"]
    assert said == "It is"
    assert facts["truncated"]
    server.reset()
    for model in (HARD, SPARE):  # which say nothing at all
        server.replies[model] = lambda _: ""
    server.fail(EASY, body=body)
    if isinstance(llm, AvengersChatModel):
        assert llm.invoke(QUESTION).text == "It is"
    else:
        assert llm.chat([ChatMessage(content=QUESTION)]).message.content == "It is"
    assert len({failed["message"] for failed in facts["tried"]}) == 1
    assert "first word" not in facts["tried"][0]["message"]


async def test_many_callers_at_once(llm: Any, server: StubServer) -> None:
    server.fail(HARD, status=500)
    server.fail(SPARE, status=429, retry_after=1, rate=1 / 3)
    turns = asyncio.Semaphore(30)

    async def one() -> str:
        async with turns:
            return await whole(llm, False)

    answers = await asyncio.gather(*(one() for _ in range(60)))
    assert {answer.partition(" ")[0] for answer in answers} <= {SPARE, EASY}
    assert len(server.answered_by) == len(answers) == 60
    # Its first callers come at once, and after a rest few at a time.
    refused = server.asked.count(SPARE) - server.answered_by.count(SPARE)
    assert refused < 15
