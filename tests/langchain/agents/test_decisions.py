"""The router as a decision model, alone and in an agent's middleware."""

from __future__ import annotations

from typing import Any

import pytest
from keyword_router import EASY, HARD, SPARE
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from pydantic import ValidationError
from stub_server import StubServer

from avengers_core import Router
from avengers_core.errors import NoEligibleModelError, QuestionError
from avengers_langchain import AvengersChatModel, AvengersMiddleware

decisions = pytest.importorskip(
    "langchain_core.decisions", reason="langchain-core has no decision models"
)
Choice, Noul = decisions.Choice, decisions.Noul
# Long enough to be a topic of its own.
EASY_QUESTION = "What is the capital of that country, and which colour has its flag?"
HARD_QUESTION = "Prove the theorem about that integral, and after it prove each of its lemmas."
LABELS = {"fast": EASY, "strong": HARD}
WHICH = Choice(instructions="Which?", criteria={"fast": "easy", "strong": None})


def model_of(router: Router, **settings: Any) -> Any:
    from avengers_langchain import AvengersDecisionModel

    return AvengersDecisionModel(**{"router": router, "models": LABELS, **settings})


def asked(model: Any, state: Any, **questions: Any) -> Any:
    return model.invoke({"state": state, "questions": questions or {"q": WHICH}}).choices


@pytest.mark.parametrize(
    ("state", "label"),
    [
        ("Prove the theorem", "strong"),
        ("hello", "fast"),
        (HumanMessage("Prove it"), "strong"),
        ([HumanMessage("Prove it"), HumanMessage(EASY_QUESTION)], "fast"),
        ({"messages": [HumanMessage("Prove it")]}, "strong"),
        ({"question": "Prove it", "context": "hello hello"}, "strong"),
        ({"ticket": {"text": "Prove it"}}, "strong"),
        (["Prove it"], "strong"),
    ],
)
async def test_a_choice_is_the_routers(router: Router, state: Any, label: str) -> None:
    model = model_of(router)
    answer = asked(model, state)["q"]
    assert answer.choice == label
    assert list(answer.probabilities) == ["fast", "strong"]
    assert sum(answer.probabilities.values()) == pytest.approx(1)
    assert answer.confidence == answer.probabilities[label] > 0.5
    response = await model.ainvoke({"state": state, "questions": {"q": WHICH}})
    assert response.choices["q"] == answer


def test_alpha_and_limits_decide(router: Router) -> None:
    assert asked(model_of(router, alpha=0.0), "Prove it")["q"].choice == "fast"
    limited = asked(model_of(router, max_cost=0.015), "Prove it")["q"]
    assert limited.choice == "fast"
    assert limited.probabilities == {"fast": 1.0, "strong": 0.0}
    with pytest.raises(NoEligibleModelError):
        asked(model_of(router, max_cost=0.0), "Prove it")


def test_labels_may_be_model_ids_and_a_part_of_them(router: Router) -> None:
    which = Choice(instructions="Which?", criteria={EASY: None, SPARE: None})
    answers = asked(model_of(router, models=None), "Prove it", a=which, b=which)
    assert [answers[name].choice for name in ("a", "b")] == [SPARE, SPARE]


@pytest.mark.parametrize(
    "question",
    [Noul(instructions="Is it hard?"), Choice(instructions="Which?", criteria={"other": None})],
)
async def test_other_questions_are_refused(router: Router, question: Any) -> None:
    model = model_of(router)
    with pytest.raises(QuestionError):
        asked(model, "hello", q=question)
    with pytest.raises(ValueError, match="q"):
        await model.ainvoke({"state": "hello", "questions": {"q": question}})
    with pytest.raises(QuestionError):
        model.invoke({"state": "hello", "questions": {}})


@pytest.mark.parametrize("models", [{}, {"a": "nobody"}, {"a": EASY, "b": EASY}])
def test_labels_that_are_refused(router: Router, models: Any) -> None:
    with pytest.raises(ValidationError):
        model_of(router, models=models)


@pytest.mark.filterwarnings(
    "ignore:.*ModelRouterMiddleware:langchain_core._api.LangChainBetaWarning"
)
async def test_langchains_own_middleware_over_two_turns(
    router: Router, backends: Any, llm: AvengersChatModel, server: StubServer
) -> None:
    from langchain.agents.middleware import ModelChoice, ModelRouterMiddleware

    middleware = ModelRouterMiddleware(
        choices={label: ModelChoice(backends[m], None) for label, m in LABELS.items()},
        instructions="Which model?",
        classifier=model_of(router),
    )
    agent = create_agent(llm, [], middleware=[middleware], checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "1"}}
    for text, label in (("Prove it", "strong"), ("hello", "fast")):
        result = agent.invoke({"messages": [HumanMessage(text)]}, thread)
        assert result["model_route"].choice == label
        assert server.requests[-1].body["model"] == LABELS[label]
        assert agent.get_state(thread).values["model_route"].choice == label
    await agent.ainvoke({"messages": [HumanMessage("Prove it")]}, thread)
    assert server.requests[-1].body["model"] == HARD


async def test_our_middleware_keeps_its_decision(
    backends: Any, llm: AvengersChatModel, server: StubServer
) -> None:
    middleware = AvengersMiddleware(backends, router=llm.router)
    agent = create_agent(llm, [], middleware=[middleware], checkpointer=InMemorySaver())
    thread: Any = {"configurable": {"thread_id": "1"}}
    for text, model in (("Prove it", HARD), (EASY_QUESTION, EASY)):
        result = agent.invoke({"messages": [HumanMessage(text)]}, thread)
        message = result["messages"][-1]
        assert result["model_route"] == message.response_metadata["avengers"]
        assert agent.get_state(thread).values["model_route"]["model"] == model
    result = await agent.ainvoke({"messages": [HumanMessage(HARD_QUESTION)]}, thread)
    assert result["model_route"]["model"] == HARD
