"""Both plugins mean the same by the same word: what they take, default to, refuse and do."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from asking import facts_of
from keyword_router import EASY, HARD, SPARE
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_openai import ChatOpenAI
from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.llms.mock import MockLLM
from llama_index.llms.openai_like import OpenAILike
from pydantic import SecretStr, ValidationError
from stub_server import StubServer

from avengers_core import Router
from avengers_core.errors import BackendConfigError
from avengers_core.routing.policy import FIELDS
from avengers_core.serving.settings import OF_A_CALL, RoutingSettings, ServingSettings
from avengers_langchain import AvengersChatModel, AvengersRouter, Capabilities
from avengers_llamaindex import AvengersLLM

Plugin = type[AvengersChatModel] | type[AvengersLLM]
PLUGINS: tuple[Plugin, ...] = (AvengersChatModel, AvengersLLM)
BACKENDS: dict[Plugin, Callable[[], Any]] = {
    AvengersChatModel: lambda: FakeListChatModel(responses=["text"]),
    AvengersLLM: lambda: MockLLM(max_tokens=1),
}

# setting -> (default, what is taken and kept as, what is refused with which error)
ACCEPTED: dict[str, tuple[Any, list[tuple[Any, Any]], list[tuple[Any, type[Exception]]]]] = {
    "alpha": (None, [(0, 0.0), ("0.3", 0.3), (None, None)], [(2, ValidationError)]),
    "target_cost": (None, [(0.01, 0.01)], [(-1, ValidationError), ("x", ValidationError)]),
    "target_score": (None, [(0.9, 0.9)], [(1.5, ValidationError)]),
    "target_saving": (None, [(0.5, 0.5)], [(1, ValidationError)]),
    "performance_weight": (None, [(1, 1.0)], [(-1, ValidationError)]),
    "cost_sensitivity": (None, [(1, 1.0)], [(-1, ValidationError)]),
    "no_question_alpha": (None, [(0, 0.0)], [(-1, ValidationError)]),
    "exclude": (
        (),
        [([EASY], (EASY,)), ({EASY}, (EASY,)), ((), ())],
        [(EASY, ValidationError), (["nobody"], ValidationError), (None, ValidationError)],
    ),
    "max_cost": (None, [(0, 0.0), (0.5, 0.5)], [(-1, ValidationError), ("x", ValidationError)]),
    "min_score": (None, [(1, 1.0)], [(2, ValidationError)]),
    "min_support": (None, [(0, 0.0), (0.7, 0.7)], [(1.5, ValidationError), (-1, ValidationError)]),
    "min_familiarity": (None, [(0, 0.0), (0.1, 0.1)], [(1.5, ValidationError)]),
    "fallback": (None, [(EASY, EASY), (None, None)], [("nobody", ValidationError)]),
    "on_empty": ("raise", [("relax", "relax")], [("x", ValidationError)]),
    "router": (None, [], [("", ValidationError), ("<Router: x>", ValidationError), (3, TypeError)]),
    "models": (
        None,
        [([EASY], [EASY]), ((EASY, HARD), (EASY, HARD)), (None, None)],
        [
            (EASY, TypeError),
            ([], ValidationError),
            ({}, ValidationError),
            (["nobody"], ValidationError),
            ([1], TypeError),
            (5, TypeError),
            ({EASY: 5}, TypeError),
            ({EASY: None}, TypeError),
        ],
    ),
    "capabilities": (
        {},
        [
            ({EASY: Capabilities(tools=True)}, {EASY: {"tools": True}}),
            ({EASY: {"context_window": 9}}, {EASY: {"context_window": 9}}),
            (None, {}),
        ],
        [
            ({"nobody": {}}, ValidationError),
            ({EASY: {"tool": True}}, ValidationError),
            ({EASY: {"tools": "no"}}, ValidationError),
            ([EASY], ValidationError),
        ],
    ),
    "max_attempts": (None, [(1, 1)], [(0, ValidationError), ("x", ValidationError)]),
    "votes": (None, [(1, 1), (5, 5), (None, None)], [(0, ValidationError), (2.5, ValidationError)]),
    "vote_over": ("samples", [("models", "models")], [("all", ValidationError)]),
    "on_refusal": ("raise", [("next", "next")], [("x", ValidationError)]),
    "stay": (None, [(True, True), (False, False), (None, None)], [("x", ValidationError)]),
    "explore": (0.0, [(0.02, 0.02), (1, 1.0)], [(-0.1, ValidationError), (2, ValidationError)]),
    "explore_seed": (None, [(7, 7)], [("x", ValidationError)]),
    "log": (
        None,
        [(None, None), (print, print)],
        [
            (5, TypeError),
            ("", ValidationError),
            ("/", ValidationError),
            (__file__, ValidationError),
            ("/no/such/folder/calls.sqlite", ValidationError),
        ],
    ),
    "log_text": (True, [(False, False)], [("x", ValidationError)]),
    "otel": (None, [(True, True), (False, False)], [("x", ValidationError)]),
    "cooldown": (None, [(5, 5.0), (0, 0.0)], [(-1, ValidationError)]),
    "failure_threshold": (None, [(1, 1)], [(0, ValidationError)]),
    "base_url": (
        None,
        [("http://host/v1", "http://host/v1")],
        [("http://u:p@host/v1", ValidationError), ("http://h?key=abcdef12345", ValidationError)],
    ),
    "api_key": (None, [("k", SecretStr("k"))], [(5, ValidationError)]),
    "temperature": (None, [(0, 0.0)], [(-1, ValidationError)]),
    "max_tokens": (None, [(9, 9)], [(0, ValidationError)]),
    "timeout": (None, [(5, 5.0)], [(0, ValidationError)]),
    "max_retries": (None, [(0, 0)], [(-1, ValidationError)]),
    "model_settings": (
        {},
        [
            ({"top_p": 0.5, EASY: {"seed": 1}}, {"top_p": 0.5, EASY: {"seed": 1}}),
            (None, {}),
        ],
        [
            ({"top_q": 1}, ValidationError),
            ({"top_p": 2}, ValidationError),
            ({"temperature": 1}, ValidationError),
            ({EASY: {"top_q": 1}}, ValidationError),
            ({EASY: 1}, ValidationError),
            ({"nobody": {"seed": 1}}, ValidationError),
            ({"default_headers": {"x": 1}}, ValidationError),
            ([1], ValidationError),
        ],
    ),
    "model": (..., [], [(EASY, ValidationError)]),
    "no_such_setting": (..., [], [(1, ValidationError)]),
}
TAKEN = [(name, *case) for name, (_, taken, _) in ACCEPTED.items() for case in taken]
REFUSED = [(name, *case) for name, (_, _, refused) in ACCEPTED.items() for case in refused]
NUMBERS = {name for name, _, kept in TAKEN if type(kept) in (int, float)}
MADE_HERE: dict[str, Any] = {
    "base_url": "http://host/v1",
    "api_key": "k",
    "timeout": 3,
    "max_retries": 3,
    "model_settings": {"seed": 1},
}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_every_setting_is_in_the_table(plugin: Plugin) -> None:
    shared = set(ServingSettings.model_fields) - {"pool"}
    assert shared == set(ACCEPTED) - {"model", "no_such_setting"}
    assert shared <= set(plugin.model_fields)
    for name in shared:
        description = plugin.model_fields[name].description
        assert description
        assert description == ServingSettings.model_fields[name].description


def test_every_part_of_a_policy_is_a_setting() -> None:
    assert set(FIELDS) - set(ServingSettings.model_fields) == set()
    assert set(RoutingSettings.model_fields) <= set(AvengersRouter.model_fields)
    assert set(FIELDS) <= set(OF_A_CALL)


@pytest.mark.parametrize("plugin", PLUGINS)
def test_defaults(plugin: Plugin, router: Router) -> None:
    llm = plugin()
    for name, (default, _, _) in ACCEPTED.items():
        if default is not ...:
            assert getattr(llm, name) == default


@pytest.mark.parametrize(("name", "value", "kept"), TAKEN)
def test_what_is_taken(router: Router, name: str, value: Any, kept: Any) -> None:
    for plugin in PLUGINS:
        llm = plugin(router=router, **{name: value})
        assert getattr(llm, name) == kept
        later = plugin(router=router)
        copied = later.model_copy(update={name: value})
        setattr(later, name, value)
        assert getattr(later, name) == getattr(copied, name) == kept


@pytest.mark.filterwarnings("ignore:The `copy` method is deprecated")
@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_copy_made_the_older_way_decides_by_its_own_settings(
    plugin: Plugin, router: Router
) -> None:
    llm = plugin(router=router, alpha=0.2)
    assert llm.policy.alpha == 0.2
    copy = llm.copy(update={"alpha": 0.9})
    assert copy.policy.alpha == 0.9
    assert copy.pool is llm.pool
    with pytest.raises(ValueError, match="alpha"):
        llm.copy(update={"alpha": 2})


@pytest.mark.parametrize(("name", "value", "error"), REFUSED)
def test_what_is_refused(router: Router, name: str, value: Any, error: type[Exception]) -> None:
    for plugin in PLUGINS:
        with pytest.raises(error) as at_first:
            plugin(**{"router": router, name: value})
        assert type(at_first.value) is error
        llm = plugin(router=router)
        before = vars(llm).copy()
        with pytest.raises(error):
            llm.model_copy(update={name: value})
        with pytest.raises((error, ValueError)):  # what is no field, pydantic says in its way
            setattr(llm, name, value)
        assert vars(llm) == before


@pytest.mark.parametrize("value", [True, b"1", "many", float("nan"), float("inf"), -1, 10**30])
@pytest.mark.parametrize("plugin", PLUGINS)
def test_absurd_numbers_are_refused(plugin: Plugin, router: Router, value: Any) -> None:
    any_whole = ("explore_seed", "max_attempts", "failure_threshold")
    any_size = ("max_cost", "target_cost", "temperature")
    for name in NUMBERS:
        if (value == 10**30 and name in (*any_whole, *any_size)) or (
            value == -1 and name == "explore_seed"
        ):
            continue
        with pytest.raises(ValidationError, match=name.rpartition("_")[2]):
            plugin(router=router, **{name: value})


@pytest.mark.parametrize("plugin", PLUGINS)
def test_alpha_is_given_in_one_way_only(plugin: Plugin, router: Router) -> None:
    for other in ("target_cost", "target_score", "target_saving", "cost_sensitivity"):
        with pytest.raises(ValidationError, match=other):
            plugin(router=router, alpha=0.5, **{other: 0.5})


@pytest.mark.parametrize("name", MADE_HERE)
@pytest.mark.parametrize("plugin", PLUGINS)
def test_settings_of_backends_that_are_made_here(plugin: Plugin, router: Router, name: str) -> None:
    with pytest.raises(ValidationError, match=name):
        plugin(router=router, models={EASY: BACKENDS[plugin]()}, **{name: MADE_HERE[name]})


@pytest.mark.parametrize("plugin", PLUGINS)
def test_backends_and_texts(
    plugin: Plugin, router: Router, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("OPENAI_BASE_URL", server.url)
    monkeypatch.setenv("OPENAI_API_BASE", server.url)
    given = BACKENDS[plugin]()
    llm = plugin(router=router, models={EASY: given, HARD: "openai:gpt-4o"})
    assert "gpt-4o" in ask(llm, "Prove it")
    assert ask(llm, "hello") == "text"
    with pytest.raises(Exception, match="nobody") as caught:
        ask(plugin(router=router, models={EASY: "nobody:x"}), "hello")
    assert type(caught.value).__name__ == "BackendConfigError"


@pytest.mark.parametrize("plugin", PLUGINS)
def test_temperature_and_length_hold_of_backends_that_are_given(
    plugin: Plugin, router: Router, server: StubServer
) -> None:
    backend: Any = (
        ChatOpenAI(model=EASY, base_url=server.url, api_key=SecretStr("k"))
        if plugin is AvengersChatModel
        else OpenAILike(model=EASY, api_base=server.url, api_key="k", is_chat_model=True)
    )
    ask(plugin(router=router, models={EASY: backend}, temperature=0.25, max_tokens=77), "hello")
    body = server.requests[0].body
    assert body["temperature"] == 0.25
    assert 77 in (body.get("max_tokens"), body.get("max_completion_tokens"))
    assert backend.max_tokens is None


# What is said of one call: what it comes to, for a hard question.
OF_ONE_CALL: list[tuple[dict[str, Any], str]] = [
    ({"alpha": 0}, EASY),
    ({"performance_weight": 0, "cost_sensitivity": 1}, EASY),
    ({"target_cost": 0.0012}, EASY),
    ({"target_score": 0.98}, HARD),
    ({"target_saving": 0.9}, EASY),
    ({"exclude": [HARD]}, SPARE),
    ({"models": [EASY, SPARE]}, SPARE),
    ({"max_cost": 0.015}, SPARE),
    ({"min_score": 0.9}, HARD),
    ({"min_support": 0}, HARD),
    ({"min_familiarity": 0}, HARD),
    ({"fallback": SPARE}, HARD),
    ({"max_cost": 0.0001, "on_empty": "relax"}, EASY),
    ({"model": SPARE}, SPARE),
    ({"votes": 2}, HARD),
    ({"votes": 2, "vote_over": "models"}, HARD),
    ({"max_attempts": 1}, HARD),
    ({"on_refusal": "next"}, HARD),
    ({"stay": True}, HARD),
    ({"explore": 0}, HARD),
    ({"routing_query": "hello"}, EASY),
    ({"no_question_alpha": 0}, HARD),
]


@pytest.fixture(params=PLUGINS)
def llm(
    request: pytest.FixtureRequest,
    router: Router,
    server: StubServer,
    monkeypatch: pytest.MonkeyPatch,
) -> AvengersChatModel | AvengersLLM:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    made: AvengersChatModel | AvengersLLM = request.param(router=router)
    return made


def ask(llm: Any, question: str, **arguments: Any) -> str:
    if isinstance(llm, AvengersChatModel):
        return str(llm.invoke(question, **arguments).text)
    return str(llm.complete(question, **arguments))


def facts(llm: Any, question: str, **arguments: Any) -> dict[str, Any]:
    if isinstance(llm, AvengersChatModel):
        found: dict[str, Any] = llm.invoke(question, **arguments).response_metadata["avengers"]
    else:
        found = llm.complete(question, **arguments).additional_kwargs["avengers"]
    return found


def test_every_setting_of_a_call_is_in_the_table() -> None:
    assert {name for arguments, _ in OF_ONE_CALL for name in arguments} == set(OF_A_CALL)


def test_settings_of_one_call(llm: Any) -> None:
    for arguments, model in OF_ONE_CALL:
        found = facts(llm, "Prove it", **arguments)
        assert found["model"] == model, arguments
        assert ("votes" in found) is ("votes" in arguments)
        assert facts(llm, "Prove it")["model"] == HARD, f"after {arguments}"


REFUSED_OF_ONE_CALL: list[dict[str, Any]] = [
    {"alpha": 2},
    {"alpha": "high"},
    {"alpha": 0.5, "target_cost": 1},
    {"max_cost": "cheap"},
    {"min_score": 2},
    {"exclude": ["nobody"]},
    {"models": ["nobody"]},
    {"model": "nobody"},
    {"model": [EASY]},
    {"votes": 0},
    {"votes": 2.5},
    {"vote_over": "all"},
    {"routing_query": 5},
    {"no_question_alpha": 7},
    {"max_attempts": 0},
    {"max_attempts": True},
    {"on_refusal": "shrug"},
    {"explore": 2},
    {"on_empty": "x"},
]


def test_settings_of_one_call_that_are_refused(llm: Any, server: StubServer) -> None:
    for arguments in REFUSED_OF_ONE_CALL:
        with pytest.raises(ValueError, match=rf"{next(reversed(arguments))}|nobody|alpha"):
            facts(llm, "Prove it", **arguments)
    assert server.asked == []


HEADER = "sk-in-a-header"
MODEL_SETTINGS: dict[str, Any] = {
    "top_p": 0.5,
    "seed": 7,
    "stop": ["end"],
    "reasoning_effort": "low",
    "default_headers": {"X-Title": HEADER},
    "extra_body": {"provider": {"sort": "price"}},
    EASY: {"top_p": 0.9, "temperature": 0.25, "max_tokens": 9, "timeout": 5.0},
}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_model_settings_reach_the_backends(
    plugin: Plugin, router: Router, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    llm = plugin(router=router, temperature=0.75, model_settings=MODEL_SETTINGS)
    expected = {"top_p": 0.5, "seed": 7, "stop": ["end"], "reasoning_effort": "low"}
    own = {"top_p": 0.9, "temperature": 0.25}
    ask(llm, "Prove it")
    ask(llm, "hello")
    hard, easy = (request.body for request in server.requests)
    for body, said in ((hard, {"temperature": 0.75}), (easy, own)):
        assert {**expected, **said}.items() <= body.items()
        assert body["provider"] == {"sort": "price"}
    assert 9 in (easy.get("max_tokens"), easy.get("max_completion_tokens"))
    assert {request.title for request in server.requests} == {HEADER}
    ask(llm, "hello", top_p=0.1)
    assert server.requests[-1].body["top_p"] == 0.1
    again = llm.model_copy(update={"alpha": 0.5})
    assert again.pool is llm.pool


@pytest.mark.parametrize("plugin", PLUGINS)
def test_model_settings_reach_what_a_text_names(
    plugin: Plugin, router: Router, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    for variable in ("OPENAI_BASE_URL", "OPENAI_API_BASE"):
        monkeypatch.setenv(variable, server.url)
    settings = {"default_query": {"a": "b"}, "extra_body": {"x": 1}, "verbosity": "low"}
    llm = plugin(router=router, models={HARD: "openai:gpt-4o"}, model_settings=settings)
    ask(llm, "Prove it")
    (request,) = server.requests
    assert {"x": 1, "verbosity": "low"}.items() <= request.body.items()
    assert request.query == {"a": "b"}


@pytest.mark.parametrize("plugin", PLUGINS)
def test_headers_are_shown_and_written_nowhere(plugin: Plugin, router: Router) -> None:
    llm: Any = plugin(router=router, model_settings=MODEL_SETTINGS)
    forms = [repr(llm), str(llm.model_dump()), str(llm.to_json())]
    for form in forms:
        assert HEADER not in form
    assert llm.model_dump()["model_settings"]["seed"] == 7
    with pytest.raises(TypeError, match="model_settings="):
        pickle.dumps(llm)


@pytest.mark.parametrize("plugin", PLUGINS)
def test_a_text_that_has_no_word_for_a_setting_says_so(
    plugin: Plugin, router: Router, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    pytest.importorskip("langchain_anthropic")
    pytest.importorskip("llama_index.llms.anthropic")
    models = {EASY: "openai:gpt-4o", HARD: "anthropic:claude-sonnet-4-6"}
    llm = plugin(router=router, models=models, model_settings={"top_p": 0.5, "seed": 1})
    llm.pool.get(EASY)
    with pytest.raises(BackendConfigError, match="seed"):
        llm.pool.get(HARD)
    settings = {"default_headers": {"x": "y"}, EASY: {"seed": 1}, HARD: {"top_p": 0.5}}
    plugin(router=router, models=models, model_settings=settings).pool.get(HARD)
    with pytest.raises(ValidationError, match=SPARE):
        plugin(
            router=router,
            models={EASY: "openai:gpt-4o", SPARE: BACKENDS[plugin]()},
            model_settings={SPARE: {"seed": 1}},
        )


def test_the_same_question_has_the_same_decision(
    router: Router, server: StubServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    for question in ("Prove it", "hello", "", "What is the capital of the theorem?"):
        settings: dict[str, Any] = {"router": router, "no_question_alpha": 0}
        found = [facts(plugin(**settings), question or " ") for plugin in PLUGINS]
        for report in found:
            report["question_from"] = report["question_from"].replace("prompt", "message")
        assert found[0] == found[1]
        expected = router.route(question, alpha=None if question else 0)
        assert found[0]["ranking"] == [c.model for c in expected.candidates]
        assert found[0]["expected_cost"] == pytest.approx(expected.expected_cost, rel=1e-3)


async def test_what_was_made_here_is_closed(llm: Any) -> None:
    with llm as blocking:
        facts(blocking, "Prove it")
        client = blocking.pool.clients.blocking
    assert client.is_closed
    async with type(llm)(router=llm.router) as awaited:
        if isinstance(awaited, AvengersChatModel):
            await awaited.ainvoke("Prove it")
        else:
            await awaited.acomplete("Prove it")
        (own,) = awaited.pool.clients.asynchronous._by_loop.values()
    assert own.is_closed


async def test_what_was_closed_is_opened_again_by_a_later_call(
    llm: Any, server: StubServer
) -> None:
    said: Any = "Prove it" if isinstance(llm, AvengersChatModel) else [ChatMessage("Prove it")]
    for _ in range(2):
        for how in ("whole", "streamed", "awaited"):
            asked = await facts_of(llm, said, how)
            assert (asked["model"], asked["tried"]) == (HARD, [])
            client = llm.pool.clients.blocking
            llm.close()
            assert client.is_closed
        await llm.aclose()
    assert server.asked == [HARD] * 6


async def test_calls_that_are_under_way_while_it_is_closed_say_nothing_of_a_backend(
    llm: Any, server: StubServer
) -> None:
    server.fail(HARD, delay=0.5)
    said: Any = "Prove it" if isinstance(llm, AvengersChatModel) else [ChatMessage("Prove it")]
    for _ in range(3):  # as many failures let a backend rest
        calls = asyncio.gather(*(facts_of(llm, said, "awaited") for _ in range(3)))
        while not server.asked:
            await asyncio.sleep(0.01)
        await llm.aclose()
        await calls
        server.requests.clear()
    assert llm.pool.health.available(HARD)


def test_what_is_unlike_the_records_goes_to_the_fallback(llm: Any) -> None:
    unlike = "オーストラリアの首都はどこですか"
    assert facts(llm, unlike, min_familiarity=0.05, fallback=SPARE)["model"] == SPARE
    assert facts(llm, "Prove it", min_familiarity=0.05, fallback=SPARE)["model"] == HARD
