"""The next candidate answers when a backend fails; a bad request is the caller's own."""

from __future__ import annotations

import asyncio
from typing import Any

import openai
import pytest
from asking import BROKEN
from llama_index.core import Document, SummaryIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from llama_index.core.llms.llm import LLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel
from stub_server import StubServer

from avengers_core.errors import AllBackendsFailedError, NoEligibleModelError
from avengers_llamaindex import AvengersLLM, Capabilities, collect_events

EASY, HARD, SPARE = "test/easy", "test/hard", "test/spare"
KEY = "sk-the-key-of-a-test"
HARD_MESSAGE = [ChatMessage(content="prove the theorem")]
FAULTS = {
    "rate limit": ({"status": 429, "retry_after": 60}, "rate_limit"),
    "server error": ({"status": 500}, "server_error"),
    "overloaded": ({"status": 503}, "server_error"),
    "wrong key": ({"status": 401}, "authentication"),
    "unknown model": ({"status": 404}, "not_found"),
    "broken JSON": ({"malformed": True}, "bad_response"),
    "slow": ({"delay": 0.6}, "timeout"),
}


def add(a: int, b: int) -> int:
    """Adds."""
    return a + b


class Song(BaseModel):
    """A song."""

    title: str


PROMPT = PromptTemplate("About {topic}")
TOOL = FunctionTool.from_defaults(add)
CALLS: dict[str, tuple[tuple[Any, ...], dict[str, Any]]] = {
    "chat": ((HARD_MESSAGE,), {}),
    "complete": (("prove it",), {}),
    "predict": ((PROMPT,), {"topic": "a theorem"}),
    "structured_predict": ((Song, PROMPT), {"topic": "a theorem"}),
    "chat_with_tools": (([TOOL],), {"chat_history": HARD_MESSAGE}),
}
STREAMS = {
    "stream_chat": CALLS["chat"],
    "stream_complete": CALLS["complete"],
    "stream": CALLS["predict"],
    "stream_structured_predict": CALLS["structured_predict"],
    "stream_chat_with_tools": CALLS["chat_with_tools"],
}
ALL = {name: call for plain in (CALLS, STREAMS) for name, call in plain.items()}
ALL |= {f"a{name}": call for name, call in ALL.items()}


async def finished(result: Any) -> Any:
    """Read any of the four forms of an answer to its end."""
    if hasattr(result, "__await__"):
        result = await result
    if hasattr(result, "__aiter__"):
        return [chunk async for chunk in result]
    return list(result) if hasattr(result, "__next__") else result


@pytest.mark.parametrize("method", ALL)
async def test_every_method_fails_over_and_raises_one_error_when_all_fail(
    method: str, llm: AvengersLLM, server: StubServer
) -> None:
    server.fail(HARD, status=503)
    args, kwargs = ALL[method]
    with collect_events() as calls:
        assert await finished(getattr(llm, method)(*args, **kwargs))
    assert server.asked == [HARD, SPARE]
    assert server.answered_by == [SPARE]
    (call,) = calls
    assert (call.method, call.model) == (method, SPARE)
    assert [t["model"] for t in call.decision["tried"]] == [HARD]
    server.fail(EASY, status=401)
    server.fail(SPARE, status=429)
    with collect_events() as calls, pytest.raises(AllBackendsFailedError) as caught:
        await finished(getattr(llm, method)(*args, **kwargs))
    message = str(caught.value)
    for expected in ("test/easy: authentication", "test/hard: server", "test/spare: rate_limit"):
        assert expected in message
    assert KEY not in message
    assert [(c.model, len(c.decision["tried"])) for c in calls] == [(None, 3)]


async def test_stop_sequences_of_who_failed_are_not_those_of_the_next(
    llm: AvengersLLM, server: StubServer
) -> None:
    llm.pool.stops[HARD] = ["never"]
    server.fail(HARD, status=503)
    server.replies[SPARE] = lambda _: ""
    assert llm.chat(HARD_MESSAGE).message.content
    assert server.asked == [HARD, SPARE, EASY]


METHODS = ["chat", "achat", "stream_chat", "astream_chat"]


# A status is an error of the client before there is an answer in any form, so that the methods take
# turns at those; what is wrong with an answer each form finds out for itself.
@pytest.mark.parametrize(
    ("name", "method"),
    [
        *(("broken JSON", method) for method in METHODS),
        *(("slow", method) for method in METHODS),
        *(("rate limit", method) for method in METHODS),
        ("server error", "chat"),
        ("overloaded", "achat"),
        ("wrong key", "stream_chat"),
        ("unknown model", "astream_chat"),
    ],
)
async def test_every_fault(
    name: str, method: str, make_llm: Any, backends: dict[str, LLM], server: StubServer
) -> None:
    fault, kind = FAULTS[name]
    if name == "slow":
        backends[HARD].timeout = 0.2
    server.fail(HARD, **fault)
    with collect_events() as calls:
        await finished(getattr(make_llm(), method)(HARD_MESSAGE))
    decision = calls[0].decision
    assert decision["model"] == SPARE
    assert decision["expected_cost"] < 0.02
    assert [t["kind"] for t in decision["tried"]] == [kind]
    assert KEY not in str(decision)


@pytest.mark.parametrize("method", METHODS)
async def test_a_bad_request_is_the_callers_if_two_say_so(
    method: str, llm: AvengersLLM, server: StubServer
) -> None:
    server.fail(HARD, status=400)
    await finished(getattr(llm, method)(HARD_MESSAGE))
    assert server.asked == [HARD, SPARE]
    server.fail(SPARE, status=422)
    with (
        collect_events() as calls,
        pytest.raises(openai.BadRequestError, match=f"{HARD} and {SPARE}"),
    ):
        await finished(getattr(llm, method)(HARD_MESSAGE))
    assert [c.model for c in calls] == [None]
    assert [t["model"] for t in calls[0].decision["tried"]] == [HARD, SPARE]


@pytest.mark.parametrize("method", METHODS)
async def test_a_content_refusal_is_a_setting(
    method: str, llm: AvengersLLM, server: StubServer
) -> None:
    server.fail(HARD, status=400, code="content_policy_violation")
    with pytest.raises(openai.BadRequestError, match=HARD):
        await finished(getattr(llm, method)(HARD_MESSAGE))
    assert server.asked == [HARD]
    other = llm.model_copy(update={"on_refusal": "next"})
    await finished(getattr(other, method)(HARD_MESSAGE))
    assert server.answered_by == [SPARE]


@pytest.mark.parametrize("method", ["stream_chat", "astream_chat"])
async def test_a_stream_that_breaks_is_not_continued_elsewhere(
    method: str, llm: AvengersLLM, server: StubServer
) -> None:
    server.fail(HARD, drop_after=2)
    chunks: list[Any] = []

    async def read(stream: Any) -> None:
        if method == "stream_chat":
            for chunk in stream:
                chunks.append(chunk)  # noqa: PERF402 (kept when it breaks)
        else:
            async for chunk in await stream:
                chunks.append(chunk)  # noqa: PERF401 (kept when it breaks)

    with pytest.raises(BROKEN):
        await read(getattr(llm, method)(HARD_MESSAGE))
    assert chunks
    assert server.asked == [HARD]


def test_max_attempts(make_llm: Any, server: StubServer) -> None:
    server.fail(HARD, status=503)
    with pytest.raises(AllBackendsFailedError):
        make_llm(max_attempts=1).complete("prove it")
    assert server.asked == [HARD]


def test_a_backend_that_keeps_failing_is_left_alone(llm: AvengersLLM, server: StubServer) -> None:
    server.fail(HARD, status=503)
    for _ in range(5):
        llm.complete("prove it")
    assert server.asked.count(HARD) == 3
    assert server.answered_by == [SPARE] * 5


def test_retry_after_is_respected(llm: AvengersLLM, server: StubServer) -> None:
    server.fail(HARD, status=429, retry_after=60)
    for _ in range(2):
        llm.complete("prove it")
    assert server.asked == [HARD, SPARE, SPARE]


def test_failed_attempts_cost_no_tokens(llm: AvengersLLM, server: StubServer) -> None:
    counter = TokenCountingHandler()
    llm.callback_manager = CallbackManager([counter])
    server.fail(HARD, status=503)
    llm.chat(HARD_MESSAGE)
    usage = server.requests[-1].usage
    assert usage is not None
    assert counter.total_llm_token_count == usage["total_tokens"]


async def test_many_calls_while_a_third_of_the_backends_fails_at_random(
    llm: AvengersLLM, server: StubServer
) -> None:
    server.fail(HARD, status=503, rate=0.5)
    questions = [f"{'prove' if i % 2 else 'capital'} {i}" for i in range(60)]
    results = await asyncio.gather(*(llm.achat([ChatMessage(content=q)]) for q in questions))
    assert len(server.answered_by) == len(questions), "each is answered, and none twice"
    for question, result in zip(questions, results, strict=True):
        decision = result.additional_kwargs["avengers"]
        assert result.message.content == f"{decision['model']} says: {question}"
    tokens = sum(result.additional_kwargs["total_tokens"] for result in results)
    assert tokens == sum(r.usage["total_tokens"] for r in server.requests if r.usage)


def test_prompts_that_do_not_fit_go_elsewhere(
    make_llm: Any, backends: dict[str, LLM], server: StubServer
) -> None:
    backends[HARD].context_window = 1000
    backends[HARD].max_tokens = 900
    llm = make_llm(capabilities={SPARE: Capabilities(context_window=5000)})
    llm.complete("prove it")
    llm.complete("prove it " * 100)
    assert server.answered_by == [HARD, SPARE]
    with pytest.raises(NoEligibleModelError, match=r"100,000"):
        make_llm(exclude=[EASY]).complete("prove it " * 100_000)


@pytest.mark.parametrize("mode", ["compact", "refine", "tree_summarize"])
def test_prompts_that_the_framework_made_to_fit_do(
    make_llm: Any, backends: dict[str, LLM], server: StubServer, mode: str
) -> None:
    for backend in backends.values():
        backend.context_window = 2000  # type: ignore[attr-defined]
    backends[EASY].context_window = 1200  # type: ignore[attr-defined]
    # Words that have eight letters a token, where four are usual.
    text = "international communication notwithstanding administration " * 400
    index = SummaryIndex.from_documents([Document(text=text)])
    index.as_query_engine(llm=make_llm(), response_mode=mode).query("What is the capital?")
    assert set(server.answered_by) == {EASY}


@pytest.mark.parametrize("method", ["stream_chat", "stream_complete", "astream_chat"])
async def test_a_backend_whose_streams_break_is_left_alone(
    method: str, llm: AvengersLLM, server: StubServer
) -> None:
    argument = "prove it" if "complete" in method else HARD_MESSAGE
    server.fail(HARD, drop_after=3)
    for _ in range(3):
        with pytest.raises(BROKEN):
            await finished(getattr(llm, method)(argument))
    server.reset()
    await finished(getattr(llm, method)(argument))
    assert server.answered_by[-1] == SPARE


@pytest.mark.parametrize("argument", [{"model": EASY}, {"alpha": 0}, {"max_cost": 0.005}])
async def test_settings_of_one_call(
    llm: AvengersLLM, server: StubServer, argument: dict[str, Any]
) -> None:
    llm.chat(HARD_MESSAGE, **argument)
    llm.complete("prove", **argument)
    list(llm.stream_chat(HARD_MESSAGE, **argument))
    await llm.acomplete("prove", **argument)
    async for _ in await llm.astream_chat(HARD_MESSAGE, **argument):
        pass
    llm.chat_with_tools([], "prove", **argument)
    assert server.answered_by == [EASY] * 6
    # What a template takes is the template's.
    prompt = PromptTemplate("Prove {alpha} of {model} under {max_cost}")
    llm.predict(prompt, **{"alpha": "1", "model": "2", "max_cost": "3", **argument})
    assert server.answered_by[-1] == HARD
