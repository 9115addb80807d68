from __future__ import annotations

from typing import Any

import pytest
from keyword_router import EASY, HARD, MODELS
from langchain_core.messages import HumanMessage, SystemMessage
from langchain_core.prompt_values import ChatPromptValue, StringPromptValue
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import ConfigurableField, RunnableLambda
from pydantic import ValidationError
from stub_server import StubServer

from avengers_core import Router, RoutingDecision
from avengers_langchain import AvengersRouter, routing_hint


@pytest.fixture
def route(router: Router) -> AvengersRouter:
    return AvengersRouter(router=router)


@pytest.mark.parametrize(
    "value",
    [
        "Prove this",
        HumanMessage("Prove this"),
        [HumanMessage("hello"), HumanMessage("Prove this")],
        [("human", "Prove this")],
        StringPromptValue(text="Prove this"),
        ChatPromptValue(messages=[HumanMessage("Prove this")]),
        {"question": "Prove this", "context": "hello"},
        {"messages": [HumanMessage("Prove this")]},
    ],
)
async def test_what_goes_in(route: AvengersRouter, value: Any) -> None:
    decision = route.invoke(value)
    assert isinstance(decision, RoutingDecision)
    assert decision.model == HARD
    assert (await route.ainvoke(value)).model == HARD
    assert route.batch([value])[0].model == HARD


def test_other_things_are_refused(route: AvengersRouter) -> None:
    with pytest.raises(TypeError, match="int"):
        route.invoke(3)


def test_a_dict_is_as_long_as_the_prompt_that_it_fills(route: AvengersRouter) -> None:
    long = route.invoke({"question": "Prove this", "context": "word " * 4000, "k": 3})
    assert long.prompt_tokens == 5000 + 3
    messages = [HumanMessage("Prove this")]
    given = {"messages": messages, "context": "word " * 4000}
    assert route.invoke(given).prompt_tokens is None  # no longer than the question
    given["messages"] = [SystemMessage("Be exact."), *messages]
    assert route.invoke(given).prompt_tokens == 3 + 3


def test_targets(route: AvengersRouter, router: Router) -> None:
    alpha = router.alpha_for(cost=0.0011)
    assert AvengersRouter(router=router, target_cost=0.0011).invoke("Prove").alpha == alpha
    assert route.invoke("Prove", target_cost=0.0011).model == EASY


def test_a_setting_that_is_changed_holds_from_the_next_call(router: Router) -> None:
    own = AvengersRouter(router=router, alpha=0)
    assert own.invoke("Prove").model == EASY
    for copy in (own.model_copy, own.copy):
        assert copy(update={"alpha": 1.0}).invoke("Prove").model == HARD
    assert own.invoke("Prove").model == EASY
    own.alpha = 1.0
    assert own.invoke("Prove").model == HARD
    own.exclude = (HARD,)
    assert own.invoke("Prove").model != HARD


def test_settings_and_calls(route: AvengersRouter, router: Router) -> None:
    assert route.invoke("Prove", alpha=0).model == EASY
    assert AvengersRouter(router=router, alpha=0).invoke("Prove").model == EASY
    own = AvengersRouter(router=router, alpha=0)
    assert own.invoke("Prove", performance_weight=1.0).model == HARD
    assert AvengersRouter(router=router, exclude=[HARD], n=2).invoke("Prove").n == 2
    configurable: Any = route.configurable_fields(alpha=ConfigurableField(id="alpha"))
    assert configurable.invoke("Prove", {"configurable": {"alpha": 0}}).model == EASY
    assert route.invoke("Prove", {"metadata": {"routing_query": "hello"}}).model == EASY
    assert route.invoke("Prove", routing_query="hello").model == EASY
    with routing_hint("hello"):
        assert route.invoke("Prove").model == EASY


@pytest.mark.parametrize("arguments", [{"alpha": 2}, {"models": ["nobody"]}, {"alfa": 1}])
def test_arguments_are_checked(router: Router, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        AvengersRouter(router=router, **arguments)


async def test_pick_hands_the_input_on(
    route: AvengersRouter, backends: dict[str, Any], server: StubServer
) -> None:
    model = route.pick(backends)
    assert model.invoke("Prove").content == f"{HARD} says: Prove"
    assert (await model.ainvoke("hello")).content == f"{EASY} says: hello"
    assert "".join(str(c.text) for c in model.stream("hello")) == f"{EASY} says: hello"
    assert len([c async for c in model.astream("hello")]) > 2
    assert set(server.answered_by) == {EASY, HARD}


async def test_pick_behind_a_prompt_goes_by_the_question(
    route: AvengersRouter, backends: dict[str, Any]
) -> None:
    prompt = ChatPromptTemplate.from_template("{context}\n{question}")
    chain = prompt | route.pick(backends)
    variables = {"context": "prove theorem " * 20, "question": "hello?"}
    assert chain.invoke(variables).content.startswith(EASY)
    assert (await chain.ainvoke(variables)).content.startswith(EASY)
    assert next(iter(chain.stream(variables))) is not None


def test_pick_among_any_runnables_and_only_those(route: AvengersRouter) -> None:
    picker = route.pick({m: RunnableLambda(lambda x, m=m: (m, x)) for m in MODELS[:1]})  # type: ignore[misc]
    assert picker.invoke({"question": "Prove"}) == (EASY, {"question": "Prove"})
    with pytest.raises(ValueError, match="nobody"):
        route.pick({"nobody": RunnableLambda(lambda x: x)})
    with pytest.raises(ValueError, match="model"):
        route.pick({})


async def test_pick_among_functions(route: AvengersRouter) -> None:
    picked = route.pick({EASY: lambda _: "easy", HARD: RunnableLambda(lambda _: "hard")})
    assert picked.invoke("hello") == await picked.ainvoke("hello") == "easy"
    assert picked.invoke("Prove") == "hard"
    with pytest.raises(TypeError):
        route.pick({EASY: "a text"})  # type: ignore[dict-item]
