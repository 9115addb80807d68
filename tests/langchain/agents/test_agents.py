"""Agents, with the router as their model and as middleware, and an extraction, end to end."""

from __future__ import annotations

import sqlite3
import sys
from contextlib import closing
from inspect import isawaitable
from pathlib import Path
from typing import Any

import pytest
from asking import BROKEN
from keyword_router import EASY, HARD, MODELS, SPARE
from langchain.agents import create_agent
from langchain.agents.middleware import ModelFallbackMiddleware, ModelRetryMiddleware
from langchain.agents.structured_output import ProviderStrategy, ToolStrategy
from langchain_core.caches import InMemoryCache
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langgraph.graph import MessagesState, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition
from pydantic import BaseModel
from stub_server import StubServer

from avengers_core import Router
from avengers_core.errors import AllBackendsFailedError
from avengers_langchain import AvengersChatModel, AvengersMiddleware, Capabilities

# langchain-openai's own, where a schema is streamed.
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")


@tool
def prove_theorem(number: int) -> str:
    """Looks up a theorem."""
    return f"prove theorem integral {number}"


def models_of(result: dict[str, Any]) -> list[str]:
    return [
        m.response_metadata["avengers"]["model"]
        for m in result["messages"]
        if isinstance(m, AIMessage)
    ]


async def both(agent: Any, text: str) -> list[dict[str, Any]]:
    question = {"messages": [HumanMessage(text)]}
    return [agent.invoke(question), await agent.ainvoke(question)]


async def test_a_tool_loop_keeps_one_model(llm: AvengersChatModel, server: StubServer) -> None:
    agent = create_agent(llm, [prove_theorem])
    for result in await both(agent, "hello 7"):
        assert models_of(result) == [EASY, EASY]
        assert result["messages"][-1].content == (
            f"{EASY} says the result is prove theorem integral 7"
        )
    for result in await both(agent, "Prove 7"):
        assert models_of(result) == [HARD, HARD]


async def test_a_stream_of_messages_names_who_answered(llm: AvengersChatModel) -> None:
    agent = create_agent(llm, [prove_theorem])
    for model, text in ((EASY, "hello 7"), (HARD, "Prove 7")):
        question: Any = {"messages": [HumanMessage(text)]}
        said = list(agent.stream(question, stream_mode="messages"))
        if sys.version_info >= (3, 11):  # before, tasks do not hand callbacks on to what they await
            said += [each async for each in agent.astream(question, stream_mode="messages")]
        for message, metadata in said:
            if isinstance(message, AIMessage):
                assert (metadata["ls_provider"], metadata["ls_model_name"]) == ("openai", model)
                assert metadata["langgraph_node"] == "model"


async def test_a_fallback_of_the_agent_is_asked_when_all_have_failed(
    llm: AvengersChatModel, backend: Any, server: StubServer
) -> None:
    for model in MODELS:
        server.fail(model, status=429)
    agent = create_agent(llm, [], middleware=[ModelFallbackMiddleware(backend("test/other"))])
    for result in await both(agent, "Prove it"):
        assert result["messages"][-1].content == "test/other says: Prove it"
    assert set(server.asked) == {*MODELS, "test/other"}


async def test_a_langgraph_loop(llm: AvengersChatModel) -> None:
    bound = llm.bind_tools([prove_theorem])

    def model(state: MessagesState) -> dict[str, Any]:
        return {"messages": [bound.invoke(state["messages"])]}

    async def amodel(state: MessagesState) -> dict[str, Any]:
        return {"messages": [await bound.ainvoke(state["messages"])]}

    for node in (model, amodel):
        graph: Any = StateGraph(MessagesState)
        graph.add_node("model", node)
        graph.add_node("tools", ToolNode([prove_theorem]))
        graph.set_entry_point("model")
        graph.add_conditional_edges("model", tools_condition)
        graph.add_edge("tools", "model")
        result = await graph.compile().ainvoke({"messages": [("human", "hello 7")]})
        assert models_of(result) == [EASY, EASY]


def test_tokens_of_an_agent_stream(llm: AvengersChatModel) -> None:
    agent: Any = create_agent(llm, [])
    question = {"messages": [HumanMessage("hello there")]}
    pieces = [str(chunk.text) for chunk, _ in agent.stream(question, stream_mode="messages")]
    assert len(pieces) > 3
    assert "".join(pieces) == f"{EASY} says: hello there"


@pytest.mark.skipif(
    sys.version_info < (3, 11), reason="LangGraph streams no tokens there, whatever the model"
)
async def test_tokens_of_an_agent_stream_async(llm: AvengersChatModel) -> None:
    agent: Any = create_agent(llm, [])
    question = {"messages": [HumanMessage("hello there")]}
    pieces = [str(c.text) async for c, _ in agent.astream(question, stream_mode="messages")]
    assert len(pieces) > 3
    assert "".join(pieces) == f"{EASY} says: hello there"


class Answer(BaseModel):
    """An answer."""

    number: int
    name: str


@pytest.mark.parametrize("strategy", [ProviderStrategy(Answer), ToolStrategy(Answer), Answer])
async def test_an_agents_structured_answer(llm: AvengersChatModel, strategy: Any) -> None:
    agent = create_agent(llm, [], response_format=strategy)
    for result in await both(agent, "hello 'Ann' 7"):
        assert result["structured_response"] == Answer(number=7, name="Ann")
        assert models_of(result) == [EASY]


async def test_extraction_from_documents(llm: AvengersChatModel, server: StubServer) -> None:
    prompt = ChatPromptTemplate.from_messages(
        [("system", "Extract."), ("human", "{context}\n\n{question}: 'Ann' 7")]
    )
    chain = prompt | llm.with_structured_output(Answer)
    variables = {"context": "prove theorem " * 30, "question": "hello"}
    assert chain.invoke(variables) == Answer(number=7, name="Ann")
    assert await chain.ainvoke(variables) == Answer(number=7, name="Ann")
    assert list(chain.stream(variables))[-1] == Answer(number=7, name="Ann")
    assert set(server.answered_by) == {EASY}


# -- middleware --


async def test_middleware_picks_the_model_of_each_call(
    router: Router, backends: dict[str, Any], server: StubServer
) -> None:
    middleware = AvengersMiddleware(backends, router=router)
    agent = create_agent(backends[SPARE], [prove_theorem], middleware=[middleware])
    for text, model in (("hello 7", EASY), ("Prove 7", HARD)):
        for result in await both(agent, text):
            assert models_of(result) == [model, model]
            assert "theorem integral 7" in result["messages"][-1].content
    assert SPARE not in server.asked


async def test_middleware_fails_over(
    router: Router, backends: dict[str, Any], server: StubServer
) -> None:
    server.fail(HARD, status=500)
    agent = create_agent(
        backends[HARD], [], middleware=[AvengersMiddleware(backends, router=router)]
    )
    for result in await both(agent, "Prove it"):
        assert models_of(result) == [SPARE]
        (failed,) = result["messages"][-1].response_metadata["avengers"]["tried"]
        assert (failed["model"], failed["kind"]) == (HARD, "server_error")
    for model in MODELS:
        server.fail(model, status=500)
    with pytest.raises(AllBackendsFailedError):
        agent.invoke({"messages": [HumanMessage("Prove it")]})


async def test_middleware_behind_a_retry_asks_all_again(
    router: Router, backends: dict[str, Any], server: StubServer
) -> None:
    retry = ModelRetryMiddleware(max_retries=1, initial_delay=0, jitter=False)
    routed = AvengersMiddleware(backends, router=router)
    agent = create_agent(backends[HARD], [], middleware=[retry, routed])
    for ask in (agent.invoke, agent.ainvoke):
        for model in MODELS:
            server.fail(model, status=500, times=1)
        question: Any = {"messages": [HumanMessage("Prove it")]}
        result: Any = ask(question)
        assert models_of(await result if isawaitable(result) else result) == [HARD]
    assert server.asked == [HARD, SPARE, EASY, HARD] * 2


def test_middleware_settings_and_capabilities(
    router: Router, backends: dict[str, Any], server: StubServer
) -> None:
    settings: list[dict[str, Any]] = [
        {"alpha": 0},
        {"exclude": [HARD, SPARE]},
        {"capabilities": {HARD: Capabilities(tools=False), SPARE: Capabilities(tools=False)}},
    ]
    for arguments in settings:
        middleware = AvengersMiddleware(backends, router=router, **arguments)
        agent = create_agent(backends[HARD], [prove_theorem], middleware=[middleware])
        assert models_of(agent.invoke({"messages": [HumanMessage("Prove 7")]})) == [EASY, EASY]


def test_middleware_does_not_fail_over_once_tokens_went_out(
    router: Router, backends: dict[str, Any], server: StubServer
) -> None:
    server.fail(HARD, drop_after=3)
    agent: Any = create_agent(
        backends[HARD], [], middleware=[AvengersMiddleware(backends, router=router)]
    )
    question = {"messages": [HumanMessage("Prove it")]}
    with pytest.raises(BROKEN):
        list(agent.stream(question, stream_mode="messages"))
    assert server.asked == [HARD]


async def test_middleware_knows_what_an_answer_by_tool_needs(
    router: Router, backends: dict[str, Any]
) -> None:
    settings: Any = {EASY: {"tools": False}}
    middleware = AvengersMiddleware(backends, router=router, capabilities=settings)
    for strategy, model in ((ToolStrategy(Answer), SPARE), (ProviderStrategy(Answer), EASY)):
        agent: Any = create_agent(
            backends[HARD], [], middleware=[middleware], response_format=strategy
        )
        for result in await both(agent, "hello 'Ann' 7"):
            assert models_of(result) == [model]


def test_middleware_leaves_the_answer_that_a_cache_holds_as_it_was(router: Router) -> None:
    backend = FakeListChatModel(responses=["hi"], cache=InMemoryCache())
    question = {"messages": [HumanMessage("hello")]}
    alphas = []
    for alpha in (0.4, 0.9):
        middleware = AvengersMiddleware({EASY: backend}, router=router, alpha=alpha)
        result = create_agent(backend, [], middleware=[middleware]).invoke(question)
        alphas.append(result["messages"][-1].response_metadata["avengers"])
    assert [facts["alpha"] for facts in alphas] == [0.4, 0.9]


async def test_middleware_is_closed_as_a_chat_model_is(
    router: Router, llm: AvengersChatModel, server: StubServer, tmp_path: Path, monkeypatch: Any
) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    log = tmp_path / "calls.sqlite"
    question: Any = {"messages": [HumanMessage("hello")]}
    with AvengersMiddleware(router=router, log=log) as middleware:
        agent = create_agent(llm, [], middleware=[middleware])
        agent.invoke(question)
        client = middleware._settings.pool.clients.blocking
    assert client.is_closed
    async with middleware:
        await agent.ainvoke(question)
        client = middleware._settings.pool.clients.asynchronous
        (own,) = client._by_loop.values()
    assert own.is_closed
    with closing(sqlite3.connect(log)) as written:
        assert written.execute("SELECT answered_by FROM calls").fetchall() == [(EASY,)] * 2


def test_middleware_counts_the_whole_prompt(router: Router, backends: dict[str, Any]) -> None:
    middleware = AvengersMiddleware(backends, router=router)
    agent: Any = create_agent(
        backends[HARD], [prove_theorem], middleware=[middleware], system_prompt="word " * 4000
    )
    result = agent.invoke(
        {"messages": [HumanMessage("Prove 7")]}, {"metadata": {"routing_query": "hello"}}
    )
    facts = result["messages"][-1].response_metadata["avengers"]
    assert (facts["model"], facts["question_from"]) == (EASY, "hint")
    assert facts["prompt_tokens"] > 5000 + 20
