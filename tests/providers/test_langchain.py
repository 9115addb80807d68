"""Every kind of backend goes on with what every other began: LangChain's own clients, against a
server that refuses what the real ones refuse."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI
from providers_router import ALL_PAIRS, router_of
from strict_answers import signature
from strict_server import StrictServer

from avengers_core.common.connections import Connections
from avengers_core.serving.history import NO_SIGNATURE
from avengers_langchain import AvengersChatModel

PICTURE = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
ChatAnthropic = pytest.importorskip(
    "langchain_anthropic", reason="langchain-anthropic is not installed"
).ChatAnthropic
ChatGoogleGenerativeAI = pytest.importorskip(
    "langchain_google_genai", reason="langchain-google-genai is not installed"
).ChatGoogleGenerativeAI

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")


@tool
def search(query: str) -> str:
    """Search."""
    return query


@tool
def lookup(query: str) -> str:
    """Look up."""
    return query


@tool
def other(query: str) -> str:
    """Something else."""
    return query


def _openai(model: str, **options: Any) -> Callable[[str, str], BaseChatModel]:
    def make(url: str, version: str) -> BaseChatModel:
        return ChatOpenAI(
            model=model,
            base_url=f"{url}/v1",
            api_key="any",
            max_retries=0,
            output_version=version,
            **options,
        )

    return make


def _claude(model: str, **options: Any) -> Callable[[str, str], BaseChatModel]:
    def make(url: str, version: str) -> BaseChatModel:
        return ChatAnthropic(
            model=model,
            base_url=url,
            api_key="any",
            max_retries=0,
            max_tokens=4096,
            output_version=version,
            **options,
        )

    return make


def _gemini(model: str, **options: Any) -> Callable[[str, str], BaseChatModel]:
    def make(url: str, version: str) -> BaseChatModel:
        return ChatGoogleGenerativeAI(
            model=model,
            base_url=url,
            api_key="any",
            max_retries=1,
            output_version=version,
            **options,
        )

    return make


BUDGET = {"type": "enabled", "budget_tokens": 1024}
KINDS: dict[str, Callable[[str, str], BaseChatModel]] = {
    "openai": _openai("gpt-4o"),
    "compatible, odd identifiers": _openai("odd-model"),
    "compatible, a chat template": _openai("gemma-3-27b"),
    "compatible, mistral": _openai("mistral-large"),
    "compatible, reasoning_content": _openai("deepseek-v4"),
    "compatible, signed calls": _openai("google/gemini-3-pro"),
    "responses": _openai("gpt-5", use_responses_api=True),
    "responses, another model": _openai("gpt-5-mini", use_responses_api=True),
    "claude": _claude("claude-sonnet-4-6"),
    "claude, thinking": _claude("claude-opus-4-5", thinking=BUDGET),
    "claude, adaptive": _claude("claude-opus-4-6", thinking={"type": "adaptive"}),
    "gemini": _gemini("gemini-2.5-flash"),
    "gemini 3, thoughts": _gemini("gemini-3-pro", include_thoughts=True),
}


@cache
def router_over(url: str, version: str) -> AvengersChatModel:
    return new_router(url, version)


def new_router(url: str, version: str) -> AvengersChatModel:
    """One that is nobody else's: clients of an event loop end with it."""
    models = {kind: make(url, version) for kind, make in KINDS.items()}
    return AvengersChatModel(router=router_of(list(KINDS)), models=models, output_version=version)


class Conversation:
    """One conversation that several models take part in, one after another by force."""

    def __init__(self, url: str, version: str, streamed: bool) -> None:
        self._llm = router_over(url, version).bind_tools([search])
        self._streamed = streamed
        self.messages: list[BaseMessage] = []

    def say(self, text: str) -> None:
        self.messages.append(HumanMessage(text))

    def give_result(self) -> None:
        picture = {"type": "image", "base64": PICTURE, "mime_type": "image/png"}
        text = {"type": "text", "text": "found"}
        for call in self.messages[-1].tool_calls:  # type: ignore[attr-defined]
            self.messages.append(ToolMessage([text, picture], tool_call_id=call["id"]))

    def answer(self, kind: str) -> AIMessage:
        before = [message.model_copy(deep=True) for message in self.messages]
        answer = _asked(self._llm, self.messages, kind, self._streamed)
        assert self.messages == before
        assert answer.response_metadata["avengers"]["model"] == kind
        self.messages.append(answer)
        return answer


def _asked(llm: Any, messages: Sequence[BaseMessage], kind: str, streamed: bool) -> AIMessage:
    if not streamed:
        return llm.invoke(messages, model=kind)
    whole: AIMessageChunk | None = None
    for chunk in llm.stream(messages, model=kind):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    return whole


# What a writer leaves depends on these, and not on who else reads it: so two kinds have one of them
# in common, and each kind writes and reads in all; with `make matrix` each pair meets in all.
MODES = [("v0", False), ("v1", True), ("v0", True), ("v1", False)]


def _readers(writer: str) -> Iterator[tuple[tuple[str, bool], list[str]]]:
    """Who reads what a kind wrote in each mode: those who read it in no other, from itself on."""
    kinds, own = list(enumerate(KINDS)), list(KINDS).index(writer)
    for i, mode in enumerate(MODES, own):
        readers = [*kinds[own:], *kinds[:own]]
        yield mode, [kind for j, kind in readers if ALL_PAIRS or (i + j) % len(MODES) == 0]


def test_calls_of_finished_turns_are_signed_for_a_model_that_wants_it(strict: StrictServer) -> None:
    conversation = Conversation(strict.url, "v0", False)
    conversation.say("Search, please.")
    conversation.answer("openai")
    conversation.give_result()
    conversation.answer("openai")
    conversation.say("And you?")
    conversation.answer("gemini 3, thoughts")
    contents = strict.requests[-1][1]["contents"]
    calls = [p for content in contents for p in content["parts"] if "functionCall" in p]
    assert calls
    assert all(call["thoughtSignature"] == NO_SIGNATURE for call in calls)


@pytest.mark.parametrize("writer", KINDS)
def test_what_one_wrote_is_gone_on_with_by_all(strict: StrictServer, writer: str) -> None:
    for (version, streamed), readers in _readers(writer):
        first = Conversation(strict.url, version, streamed)
        first.say("Who are you? Then look it up.")
        assert first.answer(writer).text.startswith("I am ")
        first.say("Search, please.")
        assert first.answer(writer).tool_calls
        first.give_result()
        for reader in readers:
            conversation = Conversation(strict.url, version, streamed)
            conversation.messages = [*first.messages]
            assert conversation.answer(reader).text.startswith("I am ")
            # What others leave, after its own; what it says to them then, whoever wrote before.
            if ALL_PAIRS or reader == readers[-1]:
                conversation.say("Search again, please.")
                assert conversation.answer(reader).tool_calls
                conversation.give_result()
                assert conversation.answer(writer).text.startswith("I am ")
    assert strict.refused == []


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")  # of Google's client
async def test_awaited_too_everyone_goes_on_with_others(strict: StrictServer) -> None:
    llm = new_router(strict.url, "v1").bind_tools([search])

    async def answer(messages: list[BaseMessage], kind: str, streamed: bool) -> AIMessage:
        said = await _awaited(llm, messages, kind, streamed)
        assert said.response_metadata["avengers"]["model"] == kind
        messages.append(said)
        return said

    kinds = list(KINDS)
    for i, writer in enumerate(kinds):
        # Each is read by two others: its neighbour, and one of another kind.
        for reader, streamed in ((kinds[i - 1], False), (kinds[i - 5], True)):
            messages: list[BaseMessage] = [HumanMessage("Search, please.")]
            called = await answer(messages, writer, streamed)
            messages += [ToolMessage("found", tool_call_id=c["id"]) for c in called.tool_calls]
            assert called.tool_calls
            assert (await answer(messages, reader, streamed)).text.startswith("I am ")
            messages.append(HumanMessage("And you?"))
            assert (await answer(messages, writer, streamed)).text.startswith("I am ")
    assert strict.refused == []


async def _awaited(
    llm: Any, messages: Sequence[BaseMessage], kind: str, streamed: bool
) -> AIMessage:
    if not streamed:
        return await llm.ainvoke(messages, model=kind)
    whole: AIMessageChunk | None = None
    async for chunk in llm.astream(messages, model=kind):
        whole = chunk if whole is None else whole + chunk
    assert whole is not None
    return whole


@pytest.mark.parametrize("writer", ["claude, thinking", "responses", "gemini 3, thoughts"])
def test_a_loop_whose_model_fails_is_gone_on_with_by_another(
    strict: StrictServer, writer: str
) -> None:
    conversation = Conversation(strict.url, "v0", streamed=False)
    conversation.say("Search, please.")
    conversation.answer(writer)
    conversation.give_result()
    strict.failing.add(strict.requests[-1][0])
    llm = router_over(strict.url, "v0").bind_tools([search])
    answer = llm.invoke(conversation.messages, models=[writer, "openai"])
    assert answer.response_metadata["avengers"]["model"] == "openai"
    assert strict.refused == []


def test_an_agent_may_be_called_by_a_name_that_openai_does_not_take(strict: StrictServer) -> None:
    conversation = Conversation(strict.url, "v0", streamed=False)
    conversation.say("Who are you?")
    conversation.answer("openai").name = "My Agent"
    conversation.say("And you?")
    conversation.answer("openai")
    assert strict.refused == []


REASONERS = ["deepseek-v4", "google/gemini-3-pro", "gemini-3-flash", "groq-kimi-k2-thinking"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", REASONERS)
async def test_reasoning_of_an_endpoint_is_shown_and_goes_back(
    strict: StrictServer, model: str, streamed: bool
) -> None:
    router = router_of([*REASONERS, "odd-model"])
    made_here = AvengersChatModel(router=router, base_url=f"{strict.url}/v1", api_key="k")
    llm = made_here.bind_tools([search])
    messages: list[BaseMessage] = [HumanMessage("Who are you?")]
    messages += [await _awaited(llm, messages, model, streamed), HumanMessage("Search, please.")]
    for ask in (_asked, _awaited):
        answer = ask(llm, messages, model, streamed)
        answer = await answer if inspect.isawaitable(answer) else answer
        shown = [b["reasoning"] for b in answer.content_blocks if b["type"] == "reasoning"]
        assert shown == ([] if model == "gemini-3-flash" else ["Let me think."])
        (call,) = answer.tool_calls
        messages += [answer, ToolMessage("found, search again, please", tool_call_id=call["id"])]
    messages += [HumanMessage("Thank you.")]
    # Neither of the calls is told in words.
    assert _asked(llm, messages, model, streamed).text.startswith("I am ")
    sent = strict.requests[-1][1]["messages"]
    assert len([message for message in sent if message.get("tool_calls")]) == 2
    for other in ("odd-model", *(set(REASONERS) - {model})):
        _asked(llm, messages[:-2], other, streamed)
        assert "Let me think." not in str(strict.requests[-1][1])
    assert strict.refused == []


@pytest.mark.parametrize("model", REASONERS[:3])
def test_a_call_whose_reasoning_got_lost_is_told_in_words(strict: StrictServer, model: str) -> None:
    client = ChatOpenAI(model=model, base_url=f"{strict.url}/v1", api_key="k", max_retries=0)
    llm = AvengersChatModel(router=router_of(REASONERS), models={model: client})
    messages: list[BaseMessage] = [HumanMessage("Search, please.")]
    messages.append(llm.bind_tools([search]).invoke(messages))
    messages.append(ToolMessage("found", tool_call_id=messages[-1].tool_calls[0]["id"]))
    assert llm.invoke(messages).text.startswith("I am ")
    assert strict.refused == []


# -- what is said of a call, in whose words ever --

ANY = ["any", "required", True, {"type": "any"}, {"any": {}}, {"mode": "ANY"}]
ONE = [
    "search",
    ["search"],
    {"type": "function", "function": {"name": "search"}},
    {"type": "function", "name": "search"},
    {"type": "tool", "name": "search", "disable_parallel_tool_use": True},
    {"tool": {"name": "search"}},
    {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["search"]}},
    {
        "type": "allowed_tools",
        "allowed_tools": {"mode": "required", "tools": [{"type": "function", "name": "search"}]},
    },
]
NONE = ["none", {"type": "none"}, {"mode": "NONE"}]
SAID = {
    "openai": ["required", {"type": "function", "function": {"name": "search"}}, "none"],
    "responses": ["required", {"type": "function", "name": "search"}, "none"],
    "claude": [{"type": "any"}, {"type": "tool", "name": "search"}, {"type": "none"}],
    "claude, thinking": [None, None, {"type": "none"}],
    "gemini": ["ANY", "ANY", "NONE"],
}


@pytest.mark.parametrize("kind", SAID)
def test_a_tool_choice_in_any_form_reaches_each_kind_in_its_own(
    strict: StrictServer, kind: str
) -> None:
    llm = router_over(strict.url, "v0")
    for forms, said in zip((ANY, ONE, NONE), SAID[kind], strict=True):
        for form in forms:
            llm.bind_tools([search, lookup], tool_choice=form).invoke("Hi", model=kind)
            body = strict.requests[-1][1]
            if kind == "gemini":
                found = body["toolConfig"]["functionCallingConfig"]["mode"]
            else:
                found = body.get("tool_choice")
                if isinstance(found, dict):
                    found.pop("disable_parallel_tool_use", None)
            assert found == said, form
    assert strict.refused == []


def test_of_several_tools_only_those_are_handed_over(strict: StrictServer) -> None:
    llm = router_over(strict.url, "v0")
    for kind in KINDS:
        bound = llm.bind_tools([search, lookup, other], tool_choice=["search", "lookup"])
        bound.invoke("Hi", model=kind)
        assert "other" not in str(strict.requests[-1][1]["tools"])
    assert strict.refused == []


def test_what_is_said_of_an_answer_reaches_each_kind_in_its_own_words(strict: StrictServer) -> None:
    llm = router_over(strict.url, "v0").bind_tools([search], parallel_tool_calls=False)
    said = {"seed": 1, "top_p": 0.5, "stop": ["end"], "frequency_penalty": 0.1, "top_k": 40}
    said |= {"verbosity": "low", "service_tier": "auto", "user": "me", "logit_bias": {"1": 1}}
    if_length = ("max_tokens", "max_completion_tokens", "max_output_tokens")
    for kind in KINDS:
        for name in if_length:
            llm.bind(**{name: 2000}, **said).invoke("Hi", model=kind)
            body = strict.requests[-1][1]
            config = body.get("generationConfig", body)
            found = [v for k, v in config.items() if k.startswith("max") and "okens" in k.lower()]
            assert found == [2000], (kind, name)
    assert strict.refused == []
    assert strict.requests[0][1]["parallel_tool_calls"] is False
    claude = next(body for model, body in strict.requests if model == "claude-sonnet-4-6")
    assert claude["tool_choice"] == {"type": "auto", "disable_parallel_tool_use": True}
    assert claude["stop_sequences"] == ["end"]


REFUSES_SAMPLING: dict[str, Callable[[str, str], BaseChatModel]] = {
    "o4-mini": _openai("o4-mini"),
    "gpt-5-mini": _openai("gpt-5-mini"),
    "gpt-5, responses": _openai("gpt-5", use_responses_api=True),
    "grok-4": _openai("grok-4"),
    "claude-opus-4-7": _claude("claude-opus-4-7"),
    "claude, thinking": _claude("claude-opus-4-5", thinking=BUDGET),
}


def test_what_a_model_refuses_to_be_told_is_left_out(strict: StrictServer) -> None:
    makes = {**REFUSES_SAMPLING, **{kind: KINDS[kind] for kind in ("openai", "claude", "gemini")}}
    models = {name: make(strict.url, "v0") for name, make in makes.items()}
    llm = AvengersChatModel(router=router_of([*models]), models=models, temperature=0.2)
    for name in models:
        llm.invoke("Hi", model=name)
        llm.invoke("Hi", model=name, top_p=0.9, top_k=40, presence_penalty=0.1)
    assert strict.refused == []
    told = [body.get("generationConfig", body).get("temperature") for _, body in strict.requests]
    refuses = [name in REFUSES_SAMPLING and name != "grok-4" for name in models for _ in range(2)]
    assert [temperature != 0.2 for temperature in told] == refuses
    llm.invoke("Hi", model="claude", temperature=None, top_p=0.9)
    assert strict.requests[-1][1]["top_p"] == 0.9, "what is not said keeps nothing out"


def test_a_temperature_of_the_clients_own_goes_before_what_cannot_stand_beside_it(
    strict: StrictServer,
) -> None:
    models = {"claude": _claude("claude-sonnet-4-6", temperature=0.2)(strict.url, "v0")}
    AvengersChatModel(router=router_of([*models]), models=models).invoke("Hi", top_p=0.9)
    assert strict.refused == []
    assert strict.requests[-1][1]["temperature"] == 0.2


def test_without_tools_nothing_is_said_of_them(strict: StrictServer) -> None:
    llm = router_over(strict.url, "v0")
    for kind in KINDS:
        llm.bind_tools([], parallel_tool_calls=False).invoke("Hi", model=kind)
        llm.invoke("Hi", model=kind, tool_choice="auto", parallel_tool_calls=False)
    assert strict.refused == []
    assert not any("tool_choice" in body or body.get("tools") for _, body in strict.requests)


def test_a_claude_gets_no_more_cache_marks_than_it_takes(strict: StrictServer) -> None:
    mark = {"cache_control": {"type": "ephemeral"}}

    def marked(text: str) -> HumanMessage:
        return HumanMessage([{"type": "text", "text": text, **mark}])

    messages: list[BaseMessage] = [SystemMessage([{"type": "text", "text": "Be brief.", **mark}])]
    llm = router_over(strict.url, "v0")
    for n in range(6):
        messages.append(marked(f"Question {n}"))
        before = [message.model_copy(deep=True) for message in messages]
        messages.append(llm.invoke(messages, model="claude"))
        assert messages[:-1] == before
    body = strict.requests[-1][1]
    sent = [block for m in body["messages"] for block in m["content"] if isinstance(block, dict)]
    assert [b["text"] for b in sent if "cache_control" in b] == [
        f"Question {n}" for n in range(2, 6)
    ]
    tools = [{"name": "a", "input_schema": {"type": "object"}, **mark}]
    llm.invoke([*messages, marked("And now?")], model="claude", tools=tools)
    assert strict.refused == []


@pytest.mark.parametrize("version", ["v0", "v1"])
def test_a_loop_goes_on_behind_an_answer_without_a_new_question(
    strict: StrictServer, version: str
) -> None:
    call = {"name": "search", "args": {"query": "a"}, "id": "call_1"}
    messages = [
        HumanMessage("Look."),
        AIMessage("", tool_calls=[call]),
        ToolMessage("", tool_call_id="call_1"),
        AIMessage("Found it."),
        AIMessage("", tool_calls=[call]),
        ToolMessage("more", tool_call_id="call_1"),
    ]
    llm = router_over(strict.url, version).bind_tools([search])
    for kind in KINDS:
        for said in (messages[:4], messages, [*messages, HumanMessage("And?")]):
            assert llm.invoke(said, model=kind).text.startswith("I am ")
    assert strict.refused == []


# Told by the names of their models, behind a client for OpenAI's protocol.
SERVERS = ["sonar-pro", "deepseek-reasoner", "grok-4", "google/gemini-2.5-pro"]


_LETTER = {
    "type": "file",
    "base64": "UEsDBAo=",
    "mime_type": "application/vnd.openxmlformats-officedocument.wordprocessingml.document",
    "filename": "letter.docx",
}


def _signed_by(model: str) -> dict[str, Any]:
    return {"type": "thinking", "thinking": "hm", "signature": signature(model, "hm")}


def _of(model: str, **fields: Any) -> AIMessage:
    mark = {"avengers": {"model": model}}
    return AIMessage(response_metadata=mark, **fields)


@pytest.mark.parametrize("kind", [*KINDS, *SERVERS])
def test_what_went_wrong_is_gone_on_with(strict: StrictServer, kind: str) -> None:
    cut_off = {"name": "search", "args": '{"query": "a', "id": "call_2", "error": None}
    call = {"name": "search", "args": {"query": "a"}, "id": "functions.search:0"}
    developer = {"__openai_role__": "developer"}
    histories: dict[str, list[BaseMessage]] = {
        "errors without a word": [
            HumanMessage("Look."),
            AIMessage("Let me see.", tool_calls=[call]),
            ToolMessage("", tool_call_id="functions.search:0", status="error"),
        ],
        "a picture of what failed": [
            HumanMessage("Look."),
            AIMessage("", tool_calls=[call]),
            ToolMessage(
                [{"type": "image", "base64": PICTURE, "mime_type": "image/png"}],
                tool_call_id="functions.search:0",
                status="error",
            ),
        ],
        "its own calls, without a word": [
            HumanMessage("Look."),
            _of(kind, content="", tool_calls=[{**call, "name": "my search"}]),
            ToolMessage("found", tool_call_id="functions.search:0"),
            AIMessage("So."),
            HumanMessage([{"type": "text", "text": " "}, "And?"]),
        ],
        "its own call, cut off": [
            HumanMessage("Look."),
            _of(kind, content="Let me see.", invalid_tool_calls=[cut_off]),
            ToolMessage("no JSON", tool_call_id="call_2", status="error"),
            HumanMessage("Try again."),
        ],
        "developers": [
            HumanMessage("Hi"),
            AIMessage("Hi"),
            SystemMessage("Be brief.", additional_kwargs=developer),
            HumanMessage("Hi"),
        ],
        "a developer first": [
            SystemMessage("Be brief.", additional_kwargs=developer),
            HumanMessage("Hi"),
        ],
        "a picture elsewhere": [
            HumanMessage([{"type": "image", "url": "https://example.org/a.png"}]),
            HumanMessage("What is it?"),
        ],
        "the answer begun": [HumanMessage("Hi"), AIMessage("It is ")],
        "no question": [SystemMessage("Greet.")],
        "its own thoughts, cut off": [
            HumanMessage("Hi"),
            _of(kind, content=[{"type": "thinking", "thinking": "hm", "index": 0}]),
            HumanMessage("Hi"),
        ],
        "its own answer, cut off while it thought": [
            HumanMessage("Hi"),
            _of(kind, content=[{"type": "text", "text": "It is"}, _signed_by("claude-sonnet-4-6")]),
            HumanMessage("Hi"),
        ],
        "half a surrogate pair": [
            HumanMessage("Look \ud83d"),
            _of(
                kind,
                content="Let me see \ude00.",
                tool_calls=[{**call, "args": {"q\ud83d": "\ud83d"}}],
            ),
            ToolMessage("found \ud83d\ude00 \ud83d", tool_call_id=call["id"]),
            _of(kind, content=[{"type": "text", "text": "So \ude00."}]),
            HumanMessage([{"type": "text", "text": "And \ud83d?"}]),
        ],
        "half a pair in a question": [HumanMessage("Look \ud83d")],
        "a file of an office": [
            HumanMessage([{"type": "text", "text": "Sum it up."}, _LETTER]),
        ],
    }
    if kind.startswith("gemini"):  # whose client fetches it, and whose thoughts look otherwise
        del histories["a picture elsewhere"]
        del histories["its own answer, cut off while it thought"]
    named = {**KINDS, **{name: _openai(name) for name in SERVERS}}
    llm = AvengersChatModel(
        router=router_of([*KINDS, *SERVERS]), models={kind: named[kind](strict.url, "v0")}
    )
    tools = [search] if kind in KINDS else []
    for history in histories.values():
        before = [message.model_copy(deep=True) for message in history]
        said = llm.bind_tools(tools).invoke(history) if tools else llm.invoke(history)
        assert said.text.startswith("I am ")
        assert history == before
    assert strict.refused == []


WITHOUT_STOP: dict[str, tuple[str, dict[str, Any]]] = {
    "responses": ("gpt-4o", {"use_responses_api": True}),
    "one that reasons": ("gpt-5", {}),
    "another": ("grok-4", {}),
}


@pytest.mark.parametrize("kind", WITHOUT_STOP)
@pytest.mark.parametrize("version", ["v0", "v1"])
async def test_what_has_no_stop_sequences_is_cut_at_them(
    strict: StrictServer, version: str, kind: str
) -> None:
    (name, options), clients = WITHOUT_STOP[kind], Connections()
    # The class's own are shared with other tests, whose event loops are over.
    options = {**options, "http_async_client": clients.asynchronous}
    made = _openai(name, **options)(strict.url, version)
    llm = AvengersChatModel(router=router_of(list(KINDS)), models={"openai": made})
    whole = llm.invoke("Who are you?").text
    assert whole.startswith("I am ")
    cases = ((["m ", "never"], "I a"), (["never"], whole), ([whole[-2:]], whole[:-2]), (["I"], ""))
    for stop, said in cases:
        assert llm.invoke("Who are you?", stop=stop).text == said
        assert (await llm.ainvoke("Who are you?", stop=stop)).text == said
        chunks = list(llm.stream("Who are you?", stop=stop))
        assert "".join(chunk.text for chunk in chunks) == said
        assert "truncated" not in chunks[-1].response_metadata["avengers"]
        chunks = [chunk async for chunk in llm.astream("Who are you?", stop=stop)]
        assert "".join(chunk.text for chunk in chunks) == said
    await clients.aclose()
    assert strict.refused == []


@pytest.mark.parametrize(
    ("model", "made", "said", "responses"),
    [
        ("gpt-4o", {}, {}, False),
        ("gpt-4o", {}, {"reasoning": {"effort": "low"}}, True),
        ("gpt-4o", {"truncation": "auto"}, {}, True),
        ("gpt-5.2-codex", {"use_responses_api": False}, {}, False),
        ("gpt-4o", {"output_version": "responses/v1"}, {}, True),
        ("gpt-5.2-codex", {}, {}, True),
        ("gpt-6-mini", {}, {}, True),  # with tools, which the call has
    ],
)
def test_a_model_that_decides_for_each_call_is_spoken_to_in_the_protocol_that_it_asks(
    strict: StrictServer, model: str, made: dict[str, Any], said: dict[str, Any], responses: bool
) -> None:
    options = {"model": model, "base_url": f"{strict.url}/v1", "api_key": "any", **made}
    backend = ChatOpenAI(**options)
    llm = AvengersChatModel(router=router_of(["it"]), models={"it": backend})
    asked = llm.bind_tools([search], tool_choice=["search"]).bind(seed=1, max_tokens=2000, **said)
    for answer in (asked.invoke("Hi"), *asked.stream("Hi")):
        assert isinstance(answer, AIMessage)
    for _, body in strict.requests:
        assert ("input" in body, "messages" in body) == (responses, not responses)
        assert ("seed" in body) is not responses  # for which Responses has no word
    assert strict.refused == []
    own = ChatOpenAI(**options)
    assert backend.use_responses_api == own.use_responses_api  # the user's stays as it was


# -- histories of any shape --

_IDS = st.sampled_from(["", "a", "call_1", "functions.search:0", "x" * 60, "tool 1", "id|fc_2"])
_NAMES = st.sampled_from(["search", "my search", "ns.search:v1", "", "näme", "t" * 80])
_TEXTS = st.sampled_from(["", " ", "Hi", "<think>hm</think>Hi"])
_BLOCKS = st.lists(
    st.sampled_from(
        [
            {"type": "text", "text": "Hi"},
            {"type": "text", "text": ""},
            {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}, "index": 0},
            {"type": "thinking", "thinking": "hm", "signature": "from elsewhere"},
            {"type": "redacted_thinking", "data": "x"},
            {"type": "reasoning", "id": "rs_0", "summary": [{"type": "summary_text", "text": "m"}]},
            {"type": "web_search_call", "id": "ws_0", "action": {"query": "weather"}},
            {"type": "server_tool_use", "id": "srv", "name": "web_search", "input": {"query": "q"}},
            {"type": "executable_code", "executable_code": "1+1", "language": "PYTHON"},
            {"type": "image", "base64": PICTURE, "mime_type": "image/png"},
            {"type": "image_url", "image_url": {"url": f"data:image/gif;base64,{PICTURE}"}},
            {"type": "non_standard", "value": {"type": "something", "of": "somebody"}},
            {"type": "refusal", "refusal": "No."},
        ]
    ),
    max_size=3,
)
_GIVEN = st.lists(
    st.sampled_from(
        [
            {"type": "text", "text": "Hi"},
            {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}, "id": "lc_1"},
            {"type": "image", "base64": PICTURE, "mime_type": "image/png"},
            {
                "type": "image",
                "source": {"type": "base64", "media_type": "image/png", "data": PICTURE},
            },
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PICTURE}"}},
            {"type": "file", "base64": "JVBERi0=", "mime_type": "application/pdf"},
            {
                "type": "document",
                "source": {"type": "text", "media_type": "text/plain", "data": "Hi"},
                "title": "note",
            },
            {"type": "file", "file_id": "file_somewhere"},
            {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
            {"type": "text-plain", "text": "Hi", "mime_type": "text/plain"},
            {"type": "media", "mime_type": "video/mp4", "data": "AAAA"},
        ]
    ),
    min_size=1,
    max_size=3,
)
_CALLS = st.lists(
    st.builds(
        lambda i, n: {"type": "tool_call", "id": i, "name": n, "args": {"query": "x"}}, _IDS, _NAMES
    ),
    max_size=3,
)
_MESSAGES = st.one_of(
    st.builds(HumanMessage, _TEXTS | _GIVEN, name=st.sampled_from([None, "Ann Lee"])),
    st.builds(
        SystemMessage,
        st.sampled_from(["Be kind.", ""]),
        additional_kwargs=st.sampled_from([{}, {"__openai_role__": "developer"}]),
    ),
    st.builds(
        AIMessage,
        _TEXTS | _BLOCKS,
        tool_calls=_CALLS,
        id=st.sampled_from([None, "msg_1", "run-1"]),
        name=st.sampled_from([None, "An Agent"]),
    ),
    st.builds(
        ToolMessage,
        _TEXTS | _GIVEN,
        tool_call_id=_IDS,
        name=st.none() | _NAMES,
        status=st.sampled_from(["success", "error"]),
    ),
)


@settings(
    max_examples=10, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=st.lists(_MESSAGES, max_size=8))
def test_no_kind_refuses_what_others_left(strict: StrictServer, history: list[BaseMessage]) -> None:
    messages = [*history, HumanMessage("Go on.")]
    before = [message.model_copy(deep=True) for message in messages]
    for reader in KINDS:
        strict.refused.clear()
        router_over(strict.url, "v0").invoke(messages, model=reader)
        assert messages == before, reader
        assert strict.refused == [], reader
