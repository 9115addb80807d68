"""What is bound holds whatever is bound after it, and in agents."""

from __future__ import annotations

from typing import Any

import pytest
from keyword_router import EASY, HARD, SPARE
from langchain.agents import create_agent
from langchain.agents.structured_output import ToolStrategy
from langchain_core.load import dumps, loads
from langchain_core.messages import HumanMessage
from langchain_core.runnables import ConfigurableField
from langchain_core.tools import tool
from pydantic import BaseModel
from stub_server import StubServer

from avengers_langchain import AvengersBinding, AvengersChatModel, AvengersMiddleware

# langchain-openai's own, where a schema is streamed.
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")

HARD_QUESTION = "Prove, who is 'Ann', aged 33?"


class Person(BaseModel):
    """A person."""

    name: str
    age: int


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


def asked(server: StubServer) -> str:
    """Who was asked last."""
    return str(server.requests[-1].body["model"])


def settable(llm: AvengersChatModel) -> Any:
    return llm.configurable_fields(alpha=ConfigurableField(id="alpha"))


BOUND = {
    "bind": lambda llm: llm.bind(max_cost=0.015),
    "twice": lambda llm: llm.bind(max_cost=0.015).bind(temperature=0),
    "config after": lambda llm: llm.bind(max_cost=0.015).with_config(tags=["t"]),
    "config before": lambda llm: llm.with_config(tags=["t"]).bind(max_cost=0.015),
    "tools before": lambda llm: llm.bind_tools([multiply]).bind(max_cost=0.015),
    "settable": lambda llm: settable(llm).bind(max_cost=0.015),
    "types": lambda llm: llm.bind(max_cost=0.015).with_types(output_type=str),
}


@pytest.mark.parametrize("way", BOUND)
def test_a_limit_holds_of_tools_and_schemas(
    llm: AvengersChatModel, server: StubServer, way: str
) -> None:
    llm.invoke(HARD_QUESTION)
    assert asked(server) == HARD
    bound: Any = BOUND[way](llm)
    bound.bind_tools([multiply]).invoke(HARD_QUESTION)
    assert asked(server) == SPARE
    assert server.requests[-1].body["tools"]
    assert bound.with_structured_output(Person).invoke(HARD_QUESTION) == Person(name="Ann", age=33)
    assert asked(server) == SPARE
    raw = bound.with_structured_output(Person, include_raw=True).invoke(HARD_QUESTION)
    assert raw["parsed"] == Person(name="Ann", age=33)
    assert asked(server) == SPARE
    bound.bind_tools([multiply], max_cost=1).invoke(HARD_QUESTION)  # said later
    assert asked(server) == HARD


@pytest.mark.parametrize(
    ("tools", "schema"), [([], None), ([multiply], None), ([], ToolStrategy(Person))]
)
async def test_a_limit_holds_of_agents(
    llm: AvengersChatModel, server: StubServer, tools: list[Any], schema: Any
) -> None:
    agent = create_agent(llm.bind(max_cost=0.015), tools, response_format=schema)
    question = {"messages": [HumanMessage(HARD_QUESTION)]}
    agent.invoke(question, {"recursion_limit": 9})
    assert asked(server) == SPARE
    await agent.ainvoke(question, {"recursion_limit": 9})
    assert {r.body["model"] for r in server.requests} == {SPARE}


def test_alpha_of_the_config_holds_of_tools(llm: AvengersChatModel, server: StubServer) -> None:
    bound = settable(llm).bind_tools([multiply])
    bound.invoke(HARD_QUESTION, config={"configurable": {"alpha": 0.0}})
    assert asked(server) == EASY


@pytest.mark.filterwarnings("ignore:The function `loads` is in beta")
def test_what_is_bound_comes_back(llm: AvengersChatModel) -> None:
    bound = AvengersChatModel(router=None, models=None).bind(max_cost=0.015)
    again = loads(
        dumps(bound),
        allowed_objects=[AvengersBinding, AvengersChatModel],
        valid_namespaces=["avengers_langchain"],
    )
    assert isinstance(again, AvengersBinding)
    assert again.bind_tools([multiply]).kwargs["max_cost"] == 0.015  # type: ignore[attr-defined]


def test_settings_of_an_agents_call_are_the_middlewares(
    llm: AvengersChatModel, backends: Any, server: StubServer
) -> None:
    class Limit(AvengersMiddleware):
        """Sets a limit, as any other middleware can."""

        def wrap_model_call(self, request: Any, handler: Any) -> Any:
            settings = {"max_cost": 0.015, "max_output_tokens": 50}
            return super().wrap_model_call(request.override(model_settings=settings), handler)

    middleware = Limit(backends, router=llm.router)
    agent = create_agent(llm, [], middleware=[middleware])
    agent.invoke({"messages": [HumanMessage(HARD_QUESTION)]})
    assert asked(server) == SPARE
    assert server.requests[-1].body["max_completion_tokens"] == 50
