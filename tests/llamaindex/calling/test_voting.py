"""Several answers to one call, and the one that most of them give."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import openai
import pytest
from llama_index.core import Settings, VectorStoreIndex
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.callbacks import CallbackManager, TokenCountingHandler
from stub_server import StubServer

from avengers_core.errors import AllBackendsFailedError
from avengers_llamaindex import collect_events

EASY, HARD, SPARE = "test/easy", "test/hard", "test/spare"
MESSAGES = [ChatMessage(content="prove it")]


def in_turn(*texts: str) -> Callable[[Any], str]:
    """A model that says these, one a call."""
    left, lock = list(texts), threading.Lock()

    def reply(_: Any) -> str:
        with lock:
            return left.pop(0)

    return reply


async def finished(result: Any) -> Any:
    return await result if hasattr(result, "__await__") else result


@pytest.mark.parametrize("method", ["chat", "achat", "complete", "acomplete"])
async def test_samples_of_the_picked_model(method: str, make_llm: Any, server: StubServer) -> None:
    server.replies[HARD] = in_turn("The answer is 5", "It is $\\boxed{4}$.", "The answer is 4.")
    argument = MESSAGES if "chat" in method else "prove it"
    response = await finished(getattr(make_llm(votes=3), method)(argument))
    assert "4" in str(response)
    facts = response.additional_kwargs["avengers"]
    assert server.answered_by == facts["ballots"] == [HARD] * 3
    assert facts["votes"] == 2
    assert facts["expected_cost"] == pytest.approx(3 * 0.02, rel=0.05)


@pytest.mark.parametrize("method", ["chat", "achat"])
async def test_over_models(method: str, make_llm: Any, server: StubServer) -> None:
    server.replies |= {HARD: lambda _: "1", EASY: lambda _: "2", SPARE: lambda _: "2"}
    llm = make_llm(votes=5, vote_over="models")
    response = await finished(getattr(llm, method)(MESSAGES))
    assert response.message.content == "2"
    facts = response.additional_kwargs["avengers"]
    assert sorted(facts["ballots"]) == sorted(server.answered_by) == [EASY, HARD, SPARE]
    assert facts["expected_cost"] == pytest.approx(0.031, rel=0.05)


def test_in_a_query_engine(
    make_llm: Any, server: StubServer, hard_documents: VectorStoreIndex
) -> None:
    server.replies[EASY] = in_turn("Rome", "Canberra", "canberra.")
    counter = TokenCountingHandler()
    Settings.callback_manager = CallbackManager([counter])
    llm = make_llm(votes=3)
    with collect_events() as calls:
        answer = hard_documents.as_query_engine(llm=llm).query("What is the capital?")
    assert str(answer).lower().startswith("canberra")
    assert [call.model for call in calls] == [EASY] * 3
    assert len(counter.llm_token_counts) == 3, "all of them are paid for"


@pytest.mark.parametrize("method", ["chat", "achat"])
async def test_failures(method: str, make_llm: Any, server: StubServer) -> None:
    server.fail(HARD, status=503)
    llm = make_llm(votes=3, vote_over="models")
    response = await finished(getattr(llm, method)(MESSAGES))
    assert len(response.additional_kwargs["avengers"]["ballots"]) == 2
    server.fail(EASY, status=400)
    with pytest.raises(openai.BadRequestError):
        await finished(getattr(llm, method)(MESSAGES))
    server.reset()
    for model in (EASY, HARD, SPARE):
        server.fail(model, status=503)
    with pytest.raises(AllBackendsFailedError):
        await finished(getattr(llm, method)(MESSAGES))


def test_a_stream_is_the_winner_in_one_chunk(make_llm: Any, server: StubServer) -> None:
    server.replies[HARD] = in_turn("5", "4", "4")
    (chunk,) = make_llm(votes=3).stream_chat(MESSAGES)
    assert (chunk.delta, chunk.message.content) == ("4", "4")
    assert chunk.additional_kwargs["avengers"]["votes"] == 2
    assert server.answered_by == [HARD] * 3


def test_wrong_arguments(make_llm: Any) -> None:
    for arguments in ({"votes": 0}, {"vote_over": "people"}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            make_llm(**arguments)
