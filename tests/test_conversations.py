"""Who answers the next turn of a conversation, in both plugins."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from asking import facts_of
from keyword_router import EASY, HARD, MODELS, SPARE, keyword_embedder
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.prompts import ChatPromptTemplate as ChatPromptTemplateOfLlamaIndex
from stub_server import StubServer

from avengers_core import Router
from avengers_core.serving.question import routing_hint
from avengers_langchain import AvengersChatModel, AvengersMiddleware, AvengersRouter
from avengers_llamaindex import AvengersLLM, collect_events

TOPIC = "Prove the theorem on the integral of a sum of functions"
OTHER = "What is the capital of the country with the colour red?"


@pytest.fixture(autouse=True)
def endpoint(server: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    server.replies["*"] = lambda _: "done"


@pytest.fixture(params=[AvengersChatModel, AvengersLLM])
def llm(request: pytest.FixtureRequest, router: Router) -> Any:
    return request.param(router=router)


def conversation(llm: Any, turns: Sequence[str], writer: str | None) -> list[Any]:
    """The human's turns, with answers of one model between them."""
    mark = {} if writer is None else {"avengers": {"model": writer}}
    messages: list[Any] = []
    for turn in turns:
        if isinstance(llm, AvengersLLM):
            answer = ChatMessage(role="assistant", content="Well.", additional_kwargs=mark)
            messages += [ChatMessage(turn), answer]
        else:
            messages += [HumanMessage(turn), AIMessage("Well.", response_metadata=mark)]
    return messages[:-1]


async def facts(
    llm: Any, *turns: str, writer: str | None = None, how: str = "whole", **arguments: Any
) -> dict[str, Any]:
    return await facts_of(llm, conversation(llm, turns, writer), how, **arguments)


@pytest.mark.parametrize("how", ["whole", "awaited", "streamed"])
async def test_a_follow_up_stays_with_the_topic_and_a_question_moves_on(llm: Any, how: str) -> None:
    for topic, model in ((TOPIC, HARD), (OTHER, EASY)):
        for nod in ("ok", "go on", "danke", "続けて"):
            found = await facts(llm, topic, nod, nod, how=how)
            assert (found["model"], found["question_share"], "kept" in found) == (model, 0, False)
    found = await facts(llm, TOPIC, "ok", OTHER, how=how)
    assert (found["model"], found["question_share"]) == (EASY, 1)
    found = await facts(llm, OTHER, TOPIC, how=how)
    assert (found["model"], found["question_share"]) == (HARD, 1)


async def test_what_nobody_answered_is_no_turn_before(llm: Any) -> None:
    both = [conversation(llm, [turn], None)[0] for turn in (TOPIC, "ok")]
    answer = llm.chat(both) if isinstance(llm, AvengersLLM) else llm.invoke(both)
    of_answer = getattr(answer, "response_metadata", None) or answer.additional_kwargs
    assert of_answer["avengers"]["question_share"] == 1


@pytest.mark.parametrize("how", ["whole", "awaited", "streamed"])
async def test_stay_keeps_whoever_answered_before(llm: Any, how: str) -> None:
    for model in MODELS:
        found = await facts(llm, TOPIC, OTHER, writer=model, how=how, stay=True)
        assert (found["model"], found["kept"]) == (model, "stay")
    staying = llm.model_copy(update={"stay": True})
    assert (await facts(staying, TOPIC, OTHER, writer=SPARE))["model"] == SPARE
    assert (await facts(staying, TOPIC, OTHER, writer=SPARE, stay=None))["model"] == EASY
    # Nobody said who answered before.
    found = await facts(llm, TOPIC, OTHER, how=how, stay=True)
    assert (found["model"], "kept" in found) == (EASY, False)


async def test_whoever_stays_is_within_the_limits(llm: Any, server: StubServer) -> None:
    for limit in ({"max_cost": 0.015}, {"exclude": [HARD]}, {"models": [EASY, SPARE]}):
        found = await facts(llm, TOPIC, "ok", writer=HARD, stay=True, **limit)
        assert (found["model"], "kept" in found) == (SPARE, False)
    found = await facts(llm, TOPIC, "ok", writer=HARD, stay=True, model=EASY)
    assert (found["model"], "kept" in found) == (EASY, False)
    server.fail(HARD, status=503)
    found = await facts(llm, TOPIC, "ok", writer=HARD, stay=True)
    assert (found["model"], "kept" in found) == (SPARE, False)


async def test_a_turn_can_be_decided_anew(llm: Any) -> None:
    assert (await facts(llm, OTHER, TOPIC, "hello", writer=HARD))["model"] == HARD
    found = await facts(llm, OTHER, TOPIC, "hello", writer=HARD, stay=False)
    assert (found["model"], found["question_share"], "kept" in found) == (EASY, 1, False)
    with routing_hint("hello"):
        assert (await facts(llm, TOPIC, "ok"))["model"] == EASY
    assert (await facts(llm, TOPIC, "ok", routing_query="hello"))["model"] == EASY
    with pytest.raises(ValueError, match="stay"):
        await facts(llm, TOPIC, "ok", stay="yes")


def test_an_agents_turns_are_those_of_one_conversation(router: Router) -> None:
    for agent in (
        create_agent(AvengersChatModel(router=router), []),
        create_agent(
            AvengersChatModel(router=router), [], middleware=[AvengersMiddleware(router=router)]
        ),
    ):
        turns = {"messages": [("human", TOPIC), ("ai", "So."), ("human", "commit it")]}
        said = agent.invoke(turns)["messages"][-1]
        assert said.response_metadata["avengers"]["model"] == HARD


def test_a_prompt_with_the_conversation_in_it(router: Router) -> None:
    prompt = ChatPromptTemplate([("placeholder", "{chat_history}"), ("human", "{input}")])
    history = conversation(None, [TOPIC, "x"], None)
    for given in ({"input": "go on", "chat_history": history}, {"input": "go on"}):
        chain = prompt | AvengersChatModel(router=router)
        found = chain.invoke(given).response_metadata["avengers"]
        assert found["question_from"] == "variable"
        assert found["question_share"] == (0 if "chat_history" in given else 1)
    assert (prompt | AvengersRouter(router=router)).invoke(
        {"input": "go on", "chat_history": history}
    ).model == HARD


def test_a_template_with_the_conversation_in_it(router: Router) -> None:
    llm = AvengersLLM(router=router)
    for last, model in (("go on", HARD), (OTHER, EASY)):
        messages = conversation(llm, [TOPIC, last], None)
        with collect_events() as calls:
            llm.predict(ChatPromptTemplateOfLlamaIndex(messages))
        assert calls[-1].model == model


def test_a_summary_counts_as_what_was_said_before(router: Router) -> None:
    summary = HumanMessage(TOPIC, additional_kwargs={"lc_source": "summarization"})
    llm = AvengersChatModel(router=router)
    said = llm.invoke([summary, HumanMessage("ok")]).response_metadata["avengers"]
    assert (said["model"], said["question_share"]) == (HARD, 0)
    said = llm.invoke([HumanMessage(OTHER), summary]).response_metadata["avengers"]
    assert said["model"] == EASY


LONG = f"{OTHER} {'word ' * 8000}"


async def test_changing_the_model_has_to_pay_for_itself(llm: Any, router: Router) -> None:
    prices = {EASY: (1e-7, 1e-6), HARD: (2e-6, 1e-5, 2e-7), SPARE: (1e-6, 5e-6)}
    priced = Router(router.artifact.reprice(prices), embedder=keyword_embedder())
    paying = type(llm)(router=priced, alpha=0.3)
    found = await facts(paying, LONG, TOPIC, writer=HARD)
    assert (found["model"], found["kept"]) == (HARD, "prompt_cache")
    full = (await facts(paying, LONG, TOPIC, writer=HARD, model=HARD, stay=False))["expected_cost"]
    assert found["expected_cost"] < 0.6 * full
    for anew in (
        await facts(paying, LONG, TOPIC, writer=EASY),
        await facts(paying, LONG, TOPIC, writer=HARD, stay=False),
        await facts(paying, LONG, TOPIC),
    ):
        assert (anew["model"], "kept" in anew) == (EASY, False)
