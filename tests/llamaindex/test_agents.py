"""Agents and tools: one task, one model, through the whole tool loop."""

from __future__ import annotations

from typing import Any

import pytest
from llama_index.core.agent.workflow import (
    AgentWorkflow,
    CodeActAgent,
    FunctionAgent,
    ReActAgent,
)
from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    LLMMetadata,
    ToolCallBlock,
)
from llama_index.core.llms import MockLLM
from llama_index.core.llms.llm import LLM
from llama_index.core.memory import InsertMethod, Memory, StaticMemoryBlock
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel
from stub_server import StubServer

from avengers_llamaindex import AvengersLLM, Capabilities, collect_events

EASY, HARD, SPARE = "test/easy", "test/hard", "test/spare"
TASKS = [("Add 4 to the number of the capital", EASY), ("Add 4 and prove it", HARD)]


def add(a: int, b: int) -> int:
    """Adds two numbers; a theorem and an integral prove that the capital says hello."""
    return a + b


TOOL = FunctionTool.from_defaults(add)


def reason(body: dict[str, Any]) -> str:
    """A ReAct agent's model: one tool call, then an answer."""
    last = body["messages"][-1]["content"]
    if last.startswith("Observation:"):
        return f"Thought: I can answer.\nAnswer: {body['model']} found {last[13:]}"
    return 'Thought: I need the tool.\nAction: add\nAction Input: {"a": 4, "b": 4}'


@pytest.mark.parametrize(("task", "model"), TASKS)
@pytest.mark.parametrize("streaming", [True, False])
async def test_function_agent(
    streaming: bool, task: str, model: str, llm: AvengersLLM, server: StubServer
) -> None:
    agent = FunctionAgent(llm=llm, tools=[TOOL], streaming=streaming, system_prompt="Integral!")
    with collect_events() as calls:
        response = await agent.run(task)
    assert str(response) == f"{model} says the result is 8"
    assert server.answered_by == [model, model]
    assert len(server.requests[0].body["tools"]) == 1
    if not streaming:
        assert {call.method for call in calls} == {"achat_with_tools"}


@pytest.mark.parametrize(("task", "model"), TASKS)
@pytest.mark.parametrize("streaming", [True, False])
async def test_react_agent(
    streaming: bool, task: str, model: str, llm: AvengersLLM, server: StubServer
) -> None:
    server.replies["*"] = reason
    agent = ReActAgent(llm=llm, tools=[TOOL], streaming=streaming)
    response = await agent.run(task)
    assert str(response) == f"{model} found 8"
    assert server.answered_by == [model, model]


async def test_a_react_agent_that_asks_again_keeps_its_model(
    llm: AvengersLLM, server: StubServer
) -> None:
    server.fail(EASY, status=500, times=1)
    answers = iter(["Thought: x\nAction: prove\nAction Input: {", "Thought: x\nAnswer: done"])
    server.replies["*"] = lambda _: next(answers)
    agent = ReActAgent(llm=llm, tools=[TOOL])
    assert str(await agent.run(TASKS[0][0])) == "done"
    assert server.asked == [EASY, SPARE, SPARE]


def code(body: dict[str, Any]) -> str:
    """A CodeAct agent's model: one run of code, then an answer."""
    if "Result of executing" in body["messages"][-1]["content"]:
        return f"{body['model']} is done"
    return "<execute>\nprint(4)\n</execute>"


@pytest.mark.parametrize(("task", "model"), TASKS)
async def test_code_agent(task: str, model: str, llm: AvengersLLM, server: StubServer) -> None:
    server.replies["*"] = code

    async def execute(code: str) -> str:
        return "The theorem. The capital. The integral. Hello."

    agent = CodeActAgent(code_execute_fn=execute, llm=llm, tools=[])
    assert model in str(await agent.run(task))
    assert server.answered_by == [model, model]


class Sum(BaseModel):
    """A sum."""

    total: int


def look_up() -> str:
    """Looks the numbers up."""
    return "theorem, integral, prove; capital, colour, hello"


@pytest.mark.parametrize(("task", "model"), TASKS)
async def test_agent_with_an_output_class(
    task: str, model: str, llm: AvengersLLM, server: StubServer
) -> None:
    agent = FunctionAgent(llm=llm, tools=[look_up], output_cls=Sum)
    response = await agent.run(task)
    assert response.structured_response == {"total": 4}
    assert server.answered_by == [model] * 3


async def test_agent_workflow_routes_each_task(llm: AvengersLLM, server: StubServer) -> None:
    workflow = AgentWorkflow.from_tools_or_functions([TOOL], llm=llm)
    for task, model in TASKS:
        assert model in str(await workflow.run(task))
    assert server.answered_by == [EASY, EASY, HARD, HARD]


async def test_the_state_of_a_workflow_and_what_a_memory_knows_do_not_decide(
    llm: AvengersLLM, server: StubServer
) -> None:
    notes = "theorem, integral, prove " * 9
    for task, model in TASKS:
        workflow = AgentWorkflow.from_tools_or_functions(
            [TOOL], llm=llm, initial_state={"notes": notes + "capital, colour, hello " * 9}
        )
        block = StaticMemoryBlock(static_content=notes)
        memory = Memory.from_defaults(memory_blocks=[block], insert_method=InsertMethod.USER)
        assert model in str(await workflow.run(task, memory=memory))
    assert server.answered_by == [EASY, EASY, HARD, HARD]
    prompt = str(server.requests[0].body)
    assert "<memory>" in prompt
    assert "Current state" in prompt


@pytest.mark.parametrize(
    "method",
    ["chat_with_tools", "achat_with_tools", "stream_chat_with_tools", "astream_chat_with_tools"],
)
@pytest.mark.parametrize(("task", "model"), TASKS)
async def test_tool_calls(
    method: str, task: str, model: str, llm: AvengersLLM, server: StubServer
) -> None:
    history = [ChatMessage(content="hello, prove the theorem")]
    response = await last_answer(getattr(llm, method)([TOOL], user_msg=task, chat_history=history))
    assert server.answered_by == [model]
    assert response.additional_kwargs["avengers"]["model"] == model
    assert [message["content"] for message in server.requests[0].body["messages"]] == [
        "hello, prove the theorem",
        task,
    ]
    (call,) = llm.get_tool_calls_from_response(response)
    assert (call.tool_name, call.tool_kwargs) == ("add", {"a": 4, "b": 4})
    assert len(history) == 1, "the caller's list is not for the backend to extend"


def test_predict_and_call(llm: AvengersLLM, server: StubServer) -> None:
    for task, model in TASKS:
        assert llm.predict_and_call([TOOL], user_msg=task).response == "8"
        assert server.answered_by[-1] == model


def test_only_models_that_can_call_tools_are_asked(
    make_llm: Any, backends: dict[str, LLM], server: StubServer
) -> None:
    backends[HARD].is_function_calling_model = False
    llm = make_llm()
    assert llm.metadata.is_function_calling_model
    response = llm.chat_with_tools([TOOL], user_msg="prove it")
    decision = response.additional_kwargs["avengers"]
    assert decision["model"] == server.answered_by[-1] == "test/spare"
    assert decision["ineligible"] == {HARD: "it cannot call tools"}
    assert llm.complete("prove it").additional_kwargs["avengers"]["model"] == HARD


def test_the_user_knows_better_who_can_call_tools(make_llm: Any, server: StubServer) -> None:
    llm = make_llm(capabilities={HARD: Capabilities(tools=False)})
    llm.chat_with_tools([TOOL], user_msg="prove it")
    assert server.answered_by == ["test/spare"]


def test_only_llms_that_have_the_methods_are_asked(
    make_llm: Any, backends: dict[str, LLM], server: StubServer
) -> None:
    class Boaster(MockLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(is_function_calling_model=True)

    backends[HARD] = Boaster()
    make_llm().chat_with_tools([TOOL], user_msg="prove it")
    assert server.answered_by == ["test/spare"]
    with pytest.raises(TypeError, match=r"FunctionCallingLLM.*Boaster"):
        make_llm(capabilities={HARD: Capabilities(tools=True)})


def test_tools_are_prepared_by_the_picked_backend(llm: AvengersLLM, server: StubServer) -> None:
    prepared = llm._prepare_chat_with_tools([TOOL], user_msg="prove it", tool_required=True)
    assert prepared["tool_choice"] == "required"
    llm.chat(**prepared)
    assert server.answered_by == [HARD]


def test_tool_calls_of_a_response_that_says_not_who_gave_it(llm: AvengersLLM) -> None:
    blocks = [
        ToolCallBlock(tool_call_id="1", tool_name="add", tool_kwargs='{"a": 1, "b": 2}'),
        ToolCallBlock(tool_call_id="2", tool_name="add", tool_kwargs='{"a": 3, "b"'),
        ToolCallBlock(tool_call_id="3", tool_name="add", tool_kwargs={"a": 5}),
    ]
    response = ChatResponse(message=ChatMessage(role="assistant", blocks=blocks))
    calls = llm.get_tool_calls_from_response(response)
    assert [call.tool_id for call in calls] == ["1", "2", "3"]
    assert calls[0].tool_kwargs == {"a": 1, "b": 2}
    assert calls[1].tool_kwargs.get("a") in (None, 3)
    assert calls[2].tool_kwargs == {"a": 5}
    empty = ChatResponse(message=ChatMessage(role="assistant", content="no"))
    assert llm.get_tool_calls_from_response(empty, error_on_no_tool_call=False) == []
    with pytest.raises(ValueError, match="tool"):
        llm.get_tool_calls_from_response(empty)


async def last_answer(result: Any) -> Any:
    """The answer of any of the four forms of a method; of a stream, the last chunk."""
    if hasattr(result, "__await__"):
        result = await result
    if hasattr(result, "__aiter__"):
        return [chunk async for chunk in result][-1]
    return list(result)[-1] if hasattr(result, "__next__") else result
