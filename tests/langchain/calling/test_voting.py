"""Several answers to one call, and the majority's."""

from __future__ import annotations

import asyncio
from itertools import count
from typing import Any

import openai
import pytest
from keyword_router import EASY, HARD, MODELS, SPARE
from langchain_core.callbacks import UsageMetadataCallbackHandler
from pydantic import BaseModel, ValidationError
from stub_server import StubServer

from avengers_core import Router
from avengers_core.errors import AllBackendsFailedError
from avengers_langchain import AvengersChatModel


def scripted(server: StubServer, *answers: str) -> None:
    """Let the server give these answers in turn, whoever is asked."""
    turn = count()
    server.replies["*"] = lambda body: answers[next(turn) % len(answers)]


def facts(message: Any) -> dict[str, Any]:
    found: dict[str, Any] = message.response_metadata["avengers"]
    return found


@pytest.fixture
def voting(router: Router, backends: Any) -> AvengersChatModel:
    return AvengersChatModel(router=router, models=backends, votes=5)


def test_samples_of_the_picked_model(voting: AvengersChatModel, server: StubServer) -> None:
    scripted(server, "41", "The answer is 42.", "\\boxed{42}", "43", "**Answer:** 42")
    handler = UsageMetadataCallbackHandler()
    message = voting.invoke("Prove", {"callbacks": [handler]})
    assert "42" in message.content
    assert server.asked == [HARD] * 5
    assert (facts(message)["votes"], facts(message)["ballots"]) == (3, [HARD] * 5)
    assert facts(message)["expected_cost"] == pytest.approx(5 * 0.02, rel=0.01)
    total = sum(r.usage["total_tokens"] for r in server.requests if r.usage)
    assert message.usage_metadata is not None
    assert message.usage_metadata["total_tokens"] == total
    assert handler.usage_metadata[HARD]["total_tokens"] == total


async def test_every_way_of_calling(voting: AvengersChatModel, server: StubServer) -> None:
    scripted(server, "42")
    messages = [
        voting.invoke("Prove"),
        await voting.ainvoke("Prove"),
        *voting.stream("Prove"),
        *[chunk async for chunk in voting.astream("Prove")],
    ]
    assert [facts(m)["votes"] for m in messages] == [5] * 4
    assert len(server.answered_by) == 20


def test_over_models(voting: AvengersChatModel, server: StubServer) -> None:
    for model, says in zip((HARD, SPARE, EASY), ("41", "42", "42"), strict=True):
        server.replies[model] = lambda body, says=says: says  # type: ignore[misc]
    message = voting.invoke("Prove", votes=3, vote_over="models")
    assert message.content == "42"
    assert sorted(server.asked) == sorted(MODELS)
    assert facts(message)["ballots"] == [HARD, SPARE, EASY]
    assert (facts(message)["model"], facts(message)["votes"]) == (SPARE, 2)
    assert facts(message)["expected_cost"] == pytest.approx(0.031, rel=0.01)


def test_who_fails_does_not_vote(voting: AvengersChatModel, server: StubServer) -> None:
    server.fail(HARD, status=500)
    message = voting.invoke("Prove", votes=3, vote_over="models")
    assert facts(message)["ballots"] == [SPARE, EASY]
    assert [failed["model"] for failed in facts(message)["tried"]] == [HARD]
    for model in (SPARE, EASY):
        server.fail(model, status=401)
    with pytest.raises(AllBackendsFailedError) as caught:
        voting.invoke("Prove", votes=3, vote_over="models")
    assert all(model in str(caught.value) for model in MODELS)


def test_a_bad_request_is_raised(voting: AvengersChatModel, server: StubServer) -> None:
    for model in MODELS:
        server.fail(model, status=400)
    with pytest.raises(openai.BadRequestError):
        voting.invoke("Prove")
    with pytest.raises(openai.BadRequestError):
        asyncio.run(voting.ainvoke("Prove"))


def test_objects_are_voted_on_too(voting: AvengersChatModel, server: StubServer) -> None:
    class Answer(BaseModel):
        """An answer."""

        number: int

    turn = count()

    def reply(body: Any) -> Any:
        number = (1, 2, 2, 3, 2)[next(turn) % 5]
        function = {"name": "Answer", "arguments": f'{{"number": {number}}}'}
        return {"tool_calls": [{"id": "1", "type": "function", "function": function}]}

    server.replies["*"] = reply
    structured = voting.with_structured_output(Answer, method="function_calling")
    assert structured.invoke("Prove") == Answer(number=2)


def test_off_for_one_call_and_arguments(voting: AvengersChatModel, server: StubServer) -> None:
    assert "votes" not in facts(voting.invoke("Prove", votes=None))
    assert server.asked == [HARD]
    with pytest.raises(ValueError, match="votes"):
        voting.invoke("Prove", votes=0)
    with pytest.raises(ValidationError):
        AvengersChatModel(votes=0)
    with pytest.raises(ValidationError):
        AvengersChatModel(vote_over="all")  # type: ignore[arg-type]


async def test_an_error_ends_the_vote(voting: AvengersChatModel, server: StubServer) -> None:
    server.fail(HARD, status=400, code="content_policy_violation", times=1)
    server.fail(HARD, delay=30)
    with pytest.raises(openai.BadRequestError):
        await voting.ainvoke("Prove")
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == {asyncio.current_task()}
