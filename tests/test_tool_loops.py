"""A tool loop keeps the model that began it, in both plugins."""

from __future__ import annotations

from typing import Any

import pytest
from asking import facts_of
from keyword_router import EASY, HARD, MODELS, SPARE
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool
from llama_index.core.base.llms.types import ChatMessage
from stub_server import StubServer

from avengers_core import Router
from avengers_langchain import AvengersChatModel, AvengersMiddleware
from avengers_llamaindex import AvengersLLM

LONG = "the capital says hello " * 2250  # some 9,000 tokens


@pytest.fixture(autouse=True)
def endpoint(server: StubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    server.replies["*"] = lambda _: "done"


async def ask(llm: Any, writer: str | None, how: str, **arguments: Any) -> dict[str, Any]:
    """What a model's answer says after the results of a tool that a writer called."""
    mark = {} if writer is None else {"avengers": {"model": writer}}
    if isinstance(llm, AvengersChatModel):
        calls = [{"name": "f", "args": {}, "id": "1", "type": "tool_call"}]
        history = [
            HumanMessage("Prove it"),
            AIMessage("", tool_calls=calls, response_metadata=mark),
            ToolMessage(LONG, tool_call_id="1"),
        ]
        return await facts_of(llm, history, how, **arguments)
    called = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    beside = {"tool_calls": [called], **mark}
    messages = [
        ChatMessage("Prove it"),
        ChatMessage(role="assistant", content="", additional_kwargs=beside),
        ChatMessage(role="tool", content=LONG, additional_kwargs={"tool_call_id": "1"}),
    ]
    return await facts_of(llm, messages, how, **arguments)


@pytest.fixture(params=[AvengersChatModel, AvengersLLM])
def llm(request: pytest.FixtureRequest, router: Router) -> Any:
    return request.param(router=router)


@pytest.mark.parametrize("how", ["whole", "awaited", "streamed"])
@pytest.mark.parametrize("alpha", [0.0, 0.25, 0.5, 0.75, 1.0])
async def test_whoever_called_a_tool_reads_its_result(llm: Any, alpha: float, how: str) -> None:
    for model in MODELS:
        facts = await ask(llm, model, how, alpha=alpha)
        assert (facts["model"], facts["kept"]) == (model, "tool_loop")
    facts = await ask(llm, None, how, alpha=1.0)
    assert (facts["model"], "kept" in facts) == (HARD, False)


async def test_limits_held_where_the_loop_began(llm: Any, server: StubServer) -> None:
    facts = await ask(llm, HARD, "whole", max_cost=1e-9)
    assert (facts["model"], facts["kept"]) == (HARD, "tool_loop")
    assert "avengers" not in str(server.requests[-1].body)
    for ruled_out in ({"exclude": [HARD]}, {"models": [EASY, SPARE]}, {"model": SPARE}):
        facts = await ask(llm, HARD, "whole", **ruled_out)
        assert (facts["model"], "kept" in facts) == (SPARE, False)


async def test_a_model_that_fails_or_cannot_is_not_kept(
    llm: Any, router: Router, server: StubServer
) -> None:
    server.fail(HARD, status=503)
    facts = await ask(llm, HARD, "whole")
    assert (facts["model"], "kept" in facts) == (SPARE, False)
    small = type(llm)(router=router, capabilities={EASY: {"context_window": 100}})
    assert (await ask(small, EASY, "whole"))["model"] == SPARE


@tool
def look() -> str:
    """Look."""
    return LONG


@pytest.mark.parametrize("as_middleware", [False, True])
def test_an_agent_keeps_its_model(router: Router, server: StubServer, as_middleware: bool) -> None:
    call = {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}

    def reply(body: Any) -> Any:
        called = any(m["role"] == "tool" for m in body["messages"])
        return "done" if called else {"tool_calls": [call]}

    server.replies["*"] = reply
    settings: dict[str, Any] = {"router": router, "max_cost": 0.0015}
    model = AvengersChatModel(**settings)
    middleware = [AvengersMiddleware(**settings)] if as_middleware else []
    agent: Any = create_agent(model, [look], middleware=middleware)
    said = agent.invoke({"messages": [("human", "hello")]})["messages"]
    assert server.answered_by == [EASY, EASY]
    assert said[-1].response_metadata["avengers"]["kept"] == "tool_loop"
