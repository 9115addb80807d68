"""Tools, schemas, and who is able to serve them."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from keyword_router import EASY, HARD, SPARE
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import HumanMessage
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from pydantic import BaseModel
from stub_server import StubServer
from typing_extensions import TypedDict

from avengers_core import Router
from avengers_core.errors import NoEligibleModelError
from avengers_langchain import AvengersChatModel, Capabilities

# langchain-openai's own, where a schema is streamed.
pytestmark = pytest.mark.filterwarnings("ignore:Pydantic serializer warnings")


class Person(BaseModel):
    """A person."""

    name: str
    age: int


class PersonDict(TypedDict):
    """A person."""

    name: str
    age: int


PERSON_SCHEMA = {**Person.model_json_schema(), "title": "Person"}
QUESTION = "hello, who is 'Ann', aged 33?"
ANN = {"name": "Ann", "age": 33}


@tool
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


class FlatTools(FakeListChatModel):
    """A backend with a tool format of its own."""

    seen: list[Any] = []  # noqa: RUF012

    def bind_tools(self, tools: Any, *, tool_choice: Any = None, **kwargs: Any) -> Any:
        names = [getattr(t, "name", t) for t in tools]
        return self.bind(flat_tools=names, flat_choice=tool_choice, **kwargs)

    def _call(self, *args: Any, **kwargs: Any) -> str:
        self.seen.append({k: v for k, v in kwargs.items() if k.startswith("flat")})
        return super()._call(*args, **kwargs)


def test_each_backend_builds_its_own_tool_schema(
    router: Router, backend: Callable[..., ChatOpenAI], server: StubServer
) -> None:
    flat = FlatTools(responses=["done"], seen=[])
    llm = AvengersChatModel(router=router, models={EASY: flat, HARD: backend(HARD)})
    bound = llm.bind_tools([multiply], tool_choice="any")
    assert bound.invoke("hello").content == "done"
    assert flat.seen == [{"flat_tools": ["multiply"], "flat_choice": "any"}]
    (call,) = bound.invoke("Prove 6").tool_calls
    assert (call["name"], call["args"]) == ("multiply", {"a": 6, "b": 6})
    (sent,) = server.requests[-1].body["tools"]
    assert sent["function"]["name"] == "multiply"
    assert server.requests[-1].body["tool_choice"] == "required"


async def test_tools_in_every_way_of_calling(llm: AvengersChatModel) -> None:
    bound = llm.bind_tools([multiply])
    calls = [bound.invoke("hello 3"), await bound.ainvoke("hello 3")]
    total: Any = None
    for chunk in bound.stream("hello 3"):
        total = chunk if total is None else total + chunk
    calls.append(total)
    atotal: Any = None
    async for chunk in bound.astream("hello 3"):
        atotal = chunk if atotal is None else atotal + chunk
    calls.append(atotal)
    for message in calls:
        assert [(c["name"], c["args"]) for c in message.tool_calls] == [
            ("multiply", {"a": 3, "b": 3})
        ]


@pytest.mark.parametrize("choice", ["multiply", "any", "none", "auto", True])
def test_tool_choice_is_passed_on(
    llm: AvengersChatModel, backends: Any, server: StubServer, choice: Any
) -> None:
    llm.bind_tools([multiply], tool_choice=choice).invoke("hello 3")
    backends[EASY].bind_tools([multiply], tool_choice=choice).invoke("hello 3")
    ours, alone = (r.body for r in server.requests)
    assert ours == alone


def test_tools_bound_without_bind_tools(llm: AvengersChatModel, server: StubServer) -> None:
    llm.bind(tools=[multiply], tool_choice="none").invoke("hello")
    assert server.requests[-1].body["tool_choice"] == "none"
    assert server.requests[-1].body["tools"][0]["function"]["name"] == "multiply"


def test_traces_show_tools_in_a_readable_form(llm: AvengersChatModel) -> None:
    seen: list[Any] = []

    class Handler(BaseCallbackHandler):
        def on_chat_model_start(self, serialized: Any, messages: Any, **kwargs: Any) -> None:
            seen.append(kwargs["invocation_params"])

    llm.bind_tools([multiply]).invoke("hello", {"callbacks": [Handler()]})
    assert seen[0]["tools"][0]["function"]["name"] == "multiply"
    json.dumps(seen[0])


# -- structured output --

METHODS: list[dict[str, Any]] = [
    {"method": "function_calling"},
    {"method": "json_schema"},
    {"method": "json_schema", "strict": True},
]


SCHEMAS: list[tuple[Any, Any]] = [
    (Person, Person(**ANN)),  # type: ignore[arg-type]
    (PersonDict, ANN),
    (PERSON_SCHEMA, ANN),
]


@pytest.mark.parametrize(
    ("schema", "expected", "arguments"),
    [
        *((*schema, method) for schema in SCHEMAS for method in METHODS),
        (*SCHEMAS[0], {}),  # which is one of them
    ],
)
async def test_structured_output(
    llm: AvengersChatModel,
    server: StubServer,
    schema: Any,
    expected: Any,
    arguments: dict[str, Any],
) -> None:
    structured = llm.with_structured_output(schema, **arguments)
    assert structured.invoke(QUESTION) == expected
    ours = server.requests[-1].body
    assert await structured.ainvoke(QUESTION) == expected
    assert list(structured.stream(QUESTION))[-1] == expected
    assert [part async for part in structured.astream(QUESTION)][-1] == expected
    assert structured.batch([QUESTION, QUESTION]) == [expected] * 2
    assert set(server.answered_by) == {EASY}
    llm.models[EASY].with_structured_output(schema, **arguments).invoke(QUESTION)
    assert server.requests[-1].body == ours


def test_objects_grow_while_they_stream(llm: AvengersChatModel) -> None:
    structured = llm.with_structured_output(PERSON_SCHEMA, method="function_calling")
    parts = list(structured.stream(QUESTION))
    assert len(parts) > 1
    assert parts[-1] == ANN


def test_json_mode(llm: AvengersChatModel) -> None:
    class Joke(BaseModel):
        setup: str
        punchline: str

    structured = llm.with_structured_output(Joke, method="json_mode")
    joke = structured.invoke("hello: JSON with keys `setup` and `punchline`")
    assert joke == Joke(setup="a setup", punchline="a punchline")


async def test_include_raw(llm: AvengersChatModel, server: StubServer) -> None:
    structured = llm.with_structured_output(Person, method="function_calling", include_raw=True)
    for answer in (structured.invoke(QUESTION), await structured.ainvoke(QUESTION)):
        assert answer["parsed"] == Person(**ANN)  # type: ignore[arg-type]
        assert answer["parsing_error"] is None
        assert answer["raw"].response_metadata["avengers"]["model"] == EASY
    server.replies[EASY] = lambda body: "no tool call at all, and no JSON"
    answer = llm.with_structured_output(Person, include_raw=True, method="json_mode").invoke(
        QUESTION
    )
    assert answer["parsed"] is None
    assert answer["parsing_error"] is not None


@pytest.mark.parametrize("how", ["invoke", "ainvoke", "stream", "astream"])
async def test_what_is_said_of_a_call_holds_with_include_raw_too(
    llm: AvengersChatModel, how: str
) -> None:
    structured = llm.with_structured_output(Person, method="function_calling", include_raw=True)
    given = getattr(structured, how)(QUESTION, model=SPARE)
    if how == "ainvoke":
        given = await given
    parts = [given]
    if how == "stream":
        parts = list(given)
    elif how == "astream":
        parts = [part async for part in given]
    raw = [part["raw"] for part in parts if "raw" in part]
    assert raw[-1].response_metadata["avengers"]["model"] == SPARE
    assert [part["parsed"] for part in parts if "parsed" in part][-1] == Person(**ANN)  # type: ignore[arg-type]


def test_the_prompts_question_decides_with_include_raw_too(llm: AvengersChatModel) -> None:
    prompt = ChatPromptTemplate.from_messages([("human", "{context}\n\n'Ann' is 33. {question}")])
    variables = {"context": "prove theorem integral " * 9, "question": "hello, who?"}
    structured = llm.with_structured_output(Person, method="function_calling", include_raw=True)
    answer = (prompt | structured).invoke(variables)
    assert answer["raw"].response_metadata["avengers"]["question_from"] == "variable"
    assert answer["raw"].response_metadata["avengers"]["model"] == EASY


def test_failover_goes_to_another_kind_of_backend(
    router: Router, backend: Callable[..., ChatOpenAI], server: StubServer
) -> None:
    class OnlyTools(ChatOpenAI):
        """Has no structured output of its own, so it does it with a tool."""

        def with_structured_output(self, schema: Any, **kwargs: Any) -> Any:
            kwargs["method"] = "function_calling"
            return super().with_structured_output(schema, **kwargs)

    spare = OnlyTools(model=SPARE, base_url=server.url, api_key="k", max_retries=0)  # type: ignore[arg-type]
    llm = AvengersChatModel(router=router, models={HARD: backend(HARD), SPARE: spare})
    server.fail(HARD, status=500)
    structured = llm.with_structured_output(Person)
    assert structured.invoke("prove that 'Ann' is 33") == Person(**ANN)  # type: ignore[arg-type]
    first, second = (r.body for r in server.requests)
    assert "response_format" in first
    assert "tools" in second


# -- capabilities --


def picked(llm: Any, prompt: Any = "Prove this") -> str:
    return str(llm.invoke(prompt).response_metadata["avengers"]["model"])


def test_only_models_that_call_tools_get_tools(router: Router, backends: Any) -> None:
    llm = AvengersChatModel(
        router=router, models=backends, capabilities={HARD: Capabilities(tools=False)}
    )
    assert picked(llm) == HARD
    message = llm.bind_tools([multiply]).invoke("Prove 3")
    facts = message.response_metadata["avengers"]
    assert (facts["model"], facts["ineligible"][HARD]) == (SPARE, "it cannot call tools")


def test_a_class_without_bind_tools_gets_none(router: Router, backends: Any) -> None:
    models = {**backends, HARD: FakeListChatModel(responses=["text"])}
    llm = AvengersChatModel(router=router, models=models)
    assert picked(llm) == HARD
    assert picked(llm.bind_tools([multiply])) == SPARE
    assert llm.with_structured_output(Person).invoke("prove 'Ann' 33") == Person(**ANN)  # type: ignore[arg-type]


def test_profiles_are_believed_and_the_user_before_them(
    router: Router, backend: Callable[..., ChatOpenAI], backends: Any
) -> None:
    profile = {"tool_calling": False, "image_inputs": False, "max_input_tokens": 100}
    models = {**backends, HARD: backend(HARD, profile=profile)}
    llm = AvengersChatModel(router=router, models=models)
    image = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    picture = [HumanMessage([{"type": "text", "text": "Prove this"}, image])]  # type: ignore[list-item]
    assert picked(llm) == HARD
    assert picked(llm.bind_tools([multiply])) == SPARE
    assert picked(llm, picture) == SPARE
    assert picked(llm, "Prove this. " * 50) == SPARE
    told = AvengersChatModel(
        router=router,
        models=models,
        capabilities={HARD: {"images": True, "tools": True, "context_window": 10_000}},
    )
    assert picked(told.bind_tools([multiply])) == HARD
    assert picked(told, picture) == HARD
    assert picked(told, "Prove this. " * 50) == HARD


def test_a_schema_goes_by_tool_where_a_model_has_no_other_way(
    router: Router, backends: Any, server: StubServer
) -> None:
    capabilities = {HARD: Capabilities(structured_output=False)}
    llm = AvengersChatModel(router=router, models=backends, capabilities=capabilities)
    assert llm.with_structured_output(Person).invoke("prove 'Ann' 33") == Person(**ANN)  # type: ignore[arg-type]
    assert (server.asked, "tools" in server.requests[0].body) == ([HARD], True)
    llm.with_structured_output(Person, method="json_schema").invoke("prove 'Ann' 33")
    assert server.asked[-1] == SPARE


def test_when_nobody_is_able_the_error_says_why(router: Router, backends: Any) -> None:
    llm = AvengersChatModel(
        router=router,
        models={HARD: backends[HARD]},
        capabilities={HARD: Capabilities(tools=False)},
    )
    with pytest.raises(NoEligibleModelError, match=HARD):
        llm.bind_tools([multiply]).invoke("hello")
