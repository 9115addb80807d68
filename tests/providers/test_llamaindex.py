"""Every kind of backend goes on with what every other began: LlamaIndex's own clients, against a
server that refuses what the real ones refuse."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)
from llama_index.core.llms.function_calling import FunctionCallingLLM
from llama_index.core.prompts import ChatPromptTemplate, PromptTemplate
from llama_index.core.tools import FunctionTool
from llama_index.llms.openai import OpenAI, OpenAIResponses
from llama_index.llms.openai_like import OpenAILike
from providers_router import ALL_PAIRS, router_of
from pydantic import BaseModel
from strict_answers import signature
from strict_server import StrictServer

from avengers_llamaindex import AvengersLLM
from avengers_llamaindex.history import portable, target_of

Anthropic = pytest.importorskip(
    "llama_index.llms.anthropic", reason="llama-index-llms-anthropic is not installed"
).Anthropic
GoogleGenAI = pytest.importorskip(
    "llama_index.llms.google_genai", reason="llama-index-llms-google-genai is not installed"
).GoogleGenAI

PICTURE = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
BUDGET = {"type": "enabled", "budget_tokens": 1024}
Make = Callable[[str], FunctionCallingLLM]


def search(query: str) -> str:
    """Search."""
    return query


def lookup(query: str) -> str:
    """Look up."""
    return query


class Person(BaseModel):
    """A person."""

    name: str


SEARCH, LOOKUP = map(FunctionTool.from_defaults, (search, lookup))


def _like(model: str) -> Make:
    return lambda url: OpenAILike(
        model=model,
        api_base=f"{url}/v1",
        api_key="any",
        is_chat_model=True,
        is_function_calling_model=True,
        max_retries=0,
    )


def _claude(model: str, **options: Any) -> Make:
    return lambda url: Anthropic(
        model=model, base_url=url, api_key="any", max_tokens=4096, max_retries=0, **options
    )


def _gemini(model: str) -> Make:
    return lambda url: GoogleGenAI(
        model=model,
        api_key="any",
        http_options={"base_url": url},
        context_window=100_000,
        max_tokens=4096,
        max_retries=1,
    )


KINDS: dict[str, Make] = {
    "openai": lambda url: OpenAI("gpt-4o", api_base=f"{url}/v1", api_key="any", max_retries=0),
    "compatible, odd identifiers": _like("odd-model"),
    "compatible, a chat template": _like("gemma-3-27b"),
    "compatible, mistral": _like("mistral-large"),
    "compatible, reasoning_content": _like("deepseek-v4"),
    "compatible, signed calls": _like("google/gemini-3-pro"),
    "responses": lambda url: OpenAIResponses(
        "gpt-5", api_base=f"{url}/v1", api_key="any", max_retries=0
    ),
    "claude": _claude("claude-sonnet-4-6"),
    "claude, thinking": _claude("claude-opus-4-5", thinking_dict=BUDGET),
    "gemini": _gemini("gemini-2.5-flash"),
    "gemini 3": _gemini("gemini-3-pro"),
}


@cache
def router_over(kind: str, url: str) -> AvengersLLM:
    return new_router(kind, url)


def new_router(kind: str, url: str) -> AvengersLLM:
    """One that is nobody else's: clients of an event loop end with it."""
    return AvengersLLM(router=router_of(list(KINDS)), models={kind: KINDS[kind](url)})


class Conversation:
    """One conversation that several models take part in."""

    def __init__(self, url: str, streamed: bool) -> None:
        self._url = url
        self._streamed = streamed
        self.messages: list[ChatMessage] = []

    def say(self, text: str) -> None:
        self.messages.append(ChatMessage(text))

    def give_result(self) -> None:
        for block in self.messages[-1].blocks:
            if isinstance(block, ToolCallBlock):
                result = ChatMessage(
                    role=MessageRole.TOOL,
                    blocks=[TextBlock(text="found"), ImageBlock(image=PICTURE)],
                    additional_kwargs={"tool_call_id": block.tool_call_id},
                )
                self.messages.append(result)

    def answer(self, kind: str) -> ChatMessage:
        llm = router_over(kind, self._url)
        before = [message.model_copy(deep=True) for message in self.messages]
        if self._streamed:
            *_, response = llm.stream_chat_with_tools([SEARCH], chat_history=self.messages)
        else:
            response = llm.chat_with_tools([SEARCH], chat_history=self.messages)
        assert self.messages == before
        # A memory keeps the message, so it has to say who wrote it.
        assert response.message.additional_kwargs["avengers"]["model"] == kind
        self.messages.append(response.message)
        return response.message


def _called(message: ChatMessage) -> bool:
    return any(isinstance(block, ToolCallBlock) for block in message.blocks)


def _readers(writer: str) -> Iterator[tuple[bool, list[str]]]:
    """Who reads what a kind wrote, plain and streamed: half of the kinds, from itself on.

    What it leaves depends on whether it streams, and not on who else reads it; with `make matrix`
    each pair meets in both.
    """
    kinds, own = list(enumerate(KINDS)), list(KINDS).index(writer)
    for i, streamed in enumerate((False, True), own):
        readers = [*kinds[own:], *kinds[:own]]
        yield streamed, [kind for j, kind in readers if ALL_PAIRS or (i + j) % 2 == 0]


@pytest.mark.parametrize("writer", KINDS)
def test_what_one_wrote_is_gone_on_with_by_all(strict: StrictServer, writer: str) -> None:
    for streamed, readers in _readers(writer):
        first = Conversation(strict.url, streamed)
        first.say("Who are you? Then look it up.")
        assert "I am " in str(first.answer(writer).content)
        first.say("Search, please.")
        assert _called(first.answer(writer))
        first.give_result()
        for reader in readers:
            conversation = Conversation(strict.url, streamed)
            conversation.messages = [*first.messages]
            assert "I am " in str(conversation.answer(reader).content)
            # What others leave, after its own; what it says to them then, whoever wrote before.
            if ALL_PAIRS or reader == readers[-1]:
                conversation.say("Search again, please.")
                assert _called(conversation.answer(reader))
                conversation.give_result()
                assert "I am " in str(conversation.answer(writer).content)
    assert strict.refused == []


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")  # of Google's client
async def test_awaited_too_everyone_goes_on_with_others(strict: StrictServer) -> None:
    llms = {kind: new_router(kind, strict.url) for kind in KINDS}

    async def answer(messages: list[ChatMessage], kind: str, streamed: bool) -> ChatMessage:
        if streamed:
            chunks = await llms[kind].astream_chat_with_tools([SEARCH], chat_history=messages)
            said = [chunk async for chunk in chunks][-1].message
        else:
            response = await llms[kind].achat_with_tools([SEARCH], chat_history=messages)
            said = response.message
        assert said.additional_kwargs["avengers"]["model"] == kind
        messages.append(said)
        return said

    kinds = list(KINDS)
    for i, writer in enumerate(kinds):
        # Each is read by two others: its neighbour, and one of another kind.
        for reader, streamed in ((kinds[i - 1], False), (kinds[i - 4], True)):
            conversation = Conversation(strict.url, streamed)
            conversation.say("Search, please.")
            assert _called(await answer(conversation.messages, writer, streamed))
            conversation.give_result()
            assert "I am " in str((await answer(conversation.messages, reader, streamed)).content)
            conversation.say("And you?")
            assert "I am " in str((await answer(conversation.messages, writer, streamed)).content)
    assert strict.refused == []


REASONERS = ["deepseek-v4", "google/gemini-3-pro", "gemini-3-flash", "groq-kimi-k2-thinking"]


@pytest.mark.parametrize("streamed", [False, True])
@pytest.mark.parametrize("model", REASONERS)
async def test_reasoning_of_an_endpoint_is_shown_and_goes_back(
    strict: StrictServer, model: str, streamed: bool
) -> None:
    router = router_of([*REASONERS, "odd-model"])
    llm = AvengersLLM(router=router, base_url=f"{strict.url}/v1", api_key="k")

    async def answer(awaited: bool, model: str, messages: list[ChatMessage]) -> ChatMessage:
        given = {"tools": [SEARCH], "chat_history": messages, "model": model}
        if streamed and awaited:
            *_, last = [c async for c in await llm.astream_chat_with_tools(**given)]
        elif streamed:
            *_, last = llm.stream_chat_with_tools(**given)
        else:
            last = await llm.achat_with_tools(**given) if awaited else llm.chat_with_tools(**given)
        return last.message

    messages = [ChatMessage("Who are you?")]
    messages += [await answer(False, model, messages), ChatMessage("Search, please.")]
    for awaited in (False, True):
        said = await answer(awaited, model, messages)
        shown = [b.content for b in said.blocks if isinstance(b, ThinkingBlock) and b.content]
        assert shown == ([] if model == "gemini-3-flash" else ["Let me think."])
        (call,) = (b for b in said.blocks if isinstance(b, ToolCallBlock))
        kwargs = {"tool_call_id": call.tool_call_id}
        result = "found, search again, please"
        messages += [said, ChatMessage(result, role="tool", additional_kwargs=kwargs)]
    messages.append(ChatMessage("Thank you."))
    # Neither of the calls is told in words.
    assert "I am " in str((await answer(True, model, messages)).content)
    sent = strict.requests[-1][1]["messages"]
    assert len([message for message in sent if message.get("tool_calls")]) == 2
    for other in ("odd-model", *(set(REASONERS) - {model})):
        await answer(False, other, messages[:-2])
        assert "Let me think." not in str(strict.requests[-1][1])
    assert strict.refused == []


# -- what is said of a call, in whose words ever --

ANY = ["any", "required", True, {"type": "any"}, {"any": {}}, {"mode": "ANY"}]
ONE = [
    "search",
    {"type": "function", "function": {"name": "search"}},
    {"type": "function", "name": "search"},
    {"type": "tool", "name": "search"},
    {"function_calling_config": {"mode": "ANY", "allowed_function_names": ["search"]}},
]
NONE = ["none", {"type": "none"}]
SAID = {
    "openai": ["required", {"type": "function", "function": {"name": "search"}}, "none"],
    "responses": ["required", {"type": "function", "name": "search"}, "none"],
    "claude": [{"type": "any"}, {"type": "tool", "name": "search"}, {"type": "none"}],
    "claude, thinking": [{"type": "auto"}, {"type": "auto"}, {"type": "none"}],
    "gemini": ["ANY", "ANY", "NONE"],
}


@pytest.mark.parametrize("kind", SAID)
def test_a_tool_choice_in_any_form_reaches_each_kind_in_its_own(
    strict: StrictServer, kind: str
) -> None:
    llm = router_over(kind, strict.url)
    for forms, said in zip((ANY, ONE, NONE), SAID[kind], strict=True):
        for form in forms:
            llm.chat_with_tools([SEARCH, LOOKUP], "Hi", tool_choice=form)
            body = strict.requests[-1][1]
            if kind == "gemini":
                found = body["toolConfig"]["functionCallingConfig"]["mode"]
            else:
                found = body["tool_choice"]
                if isinstance(found, dict):
                    found.pop("disable_parallel_tool_use", None)
            assert found == said, form
    assert strict.refused == []


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_said_of_an_answer_reaches_each_kind_in_its_own_words(
    strict: StrictServer, kind: str
) -> None:
    llm = router_over(kind, strict.url)
    said = {"seed": 1, "top_p": 0.5, "stop": ["end"], "frequency_penalty": 0.1, "top_k": 40}
    said |= {"verbosity": "low", "service_tier": "auto", "user": "me", "logit_bias": {"1": 1}}
    for name in ("max_tokens", "max_completion_tokens", "max_output_tokens"):
        llm.chat([ChatMessage("Hi")], **{name: 2000}, **said)
        llm.chat_with_tools([SEARCH], "Hi", **{name: 2000}, parallel_tool_calls=True, **said)
        for _, body in strict.requests[-2:]:
            config = body.get("generationConfig", body)
            found = [v for k, v in config.items() if k.startswith("max") and "okens" in k.lower()]
            assert found == [2000], name
    assert strict.refused == []


@pytest.mark.parametrize("made", ["given", "of the endpoint"])
def test_what_a_model_refuses_to_be_told_is_left_out(strict: StrictServer, made: str) -> None:
    names = ["o4-mini", "gpt-5-mini", "grok-4", "gpt-4o"]
    options: dict[str, Any] = {"base_url": f"{strict.url}/v1", "api_key": "any"}
    if made == "given":
        makes = {name: _like(name) for name in names}
        makes |= {"claude-opus-4-7": _claude("claude-opus-4-7")}
        makes |= {"claude, thinking": KINDS["claude, thinking"]}
        names = [*makes]
        options = {"models": {name: make(strict.url) for name, make in makes.items()}}
    llm = AvengersLLM(router=router_of(names), temperature=0.2, **options)
    for name in names:
        llm.chat([ChatMessage("Hi")], model=name)
        llm.chat([ChatMessage("Hi")], model=name, top_p=0.9, presence_penalty=0.1)
    assert strict.refused == []
    assert strict.requests[6][1]["temperature"] == 0.2


def test_a_claude_gets_no_more_cache_marks_than_it_takes(strict: StrictServer) -> None:
    llm = router_over("claude", strict.url)
    messages: list[ChatMessage] = []
    for n in range(6):
        blocks = [TextBlock(text=f"Question {n}"), CachePoint(cache_control={"type": "ephemeral"})]
        messages.append(ChatMessage(blocks=blocks))
        before = [message.model_copy(deep=True) for message in messages]
        messages.append(llm.chat(messages).message)
        assert messages[:-1] == before
    sent = [block for m in strict.requests[-1][1]["messages"] for block in m["content"]]
    assert [b["text"] for b in sent if "cache_control" in b] == [
        f"Question {n}" for n in range(2, 6)
    ]
    assert strict.refused == []


@pytest.mark.parametrize("kind", KINDS)
def test_a_loop_goes_on_behind_an_answer_without_a_new_question(
    strict: StrictServer, kind: str
) -> None:
    call = ToolCallBlock(tool_call_id="call_1", tool_name="search", tool_kwargs={"query": "a"})
    calling = ChatMessage(role="assistant", blocks=[call])
    beside = {"tool_call_id": "call_1", "name": "search"}
    result = ChatMessage("", role="tool", additional_kwargs=beside)
    answer = ChatMessage("Found it.", role="assistant")
    messages = [ChatMessage("Look."), calling, result, answer, calling, result]
    llm = router_over(kind, strict.url)
    for said in (messages[:4], messages, [*messages, ChatMessage("And?")]):
        said_back = llm.chat_with_tools([SEARCH], chat_history=said).message.content
        assert said_back.startswith("I am ")
    assert strict.refused == []


# Told by the names of their models, behind a client for OpenAI's protocol.
SERVERS = ["sonar-pro", "deepseek-reasoner", "grok-4", "google/gemini-2.5-pro"]


def _calling(arguments: Any, call_id: str, **mark: Any) -> ChatMessage:
    call = ToolCallBlock(tool_call_id=call_id, tool_name="search", tool_kwargs=arguments)
    blocks = [TextBlock(text="Let me see."), call]
    return ChatMessage(role="assistant", blocks=blocks, additional_kwargs=mark)


def _failed(call_id: str) -> ChatMessage:
    return ChatMessage(role="tool", content="", additional_kwargs={"tool_call_id": call_id})


def test_a_client_that_writes_marks_writes_them_into_copies(strict: StrictServer) -> None:
    claude = _claude("claude-sonnet-4-6", cache_idx=-1)(strict.url)
    llm = AvengersLLM(router=router_of(["it"]), models={"it": claude})
    asked = ChatMessage("Hi")
    llm.chat([asked])
    llm.chat_with_tools([SEARCH], user_msg=asked)
    llm.chat_with_tools([SEARCH], user_msg=asked, chat_history=[asked])
    assert asked == ChatMessage("Hi")
    assert [len(body["messages"]) for _, body in strict.requests] == [1, 1, 1]
    assert strict.refused == []


def test_where_a_class_does_not_know_its_model_the_next_is_asked(strict: StrictServer) -> None:
    models = {"new": _claude("claude-to-come")(strict.url), "known": KINDS["gemini"](strict.url)}
    llm = AvengersLLM(router=router_of([*models]), models=models)
    for _ in range(2):
        answer = llm.chat([ChatMessage("Hi")], models=[*models])
        assert answer.additional_kwargs["avengers"]["model"] == "known"


def test_answers_that_are_a_text_and_nothing_else_go_as_they_are() -> None:
    bare = ChatMessage("It is so.", role="assistant")
    assert _sent_to("claude", bare)[0] is bare
    for odd in (
        ChatMessage("<think>hm</think>So.", role="assistant"),
        ChatMessage("So.", role="assistant", additional_kwargs={"avengers": {"model": "another"}}),
    ):
        sent = _sent_to("claude", odd)
        assert sent[0] is not odd
        assert sent[0].content == "So."


@pytest.mark.parametrize("earlier", [(), ("Hi.", "Hello.")])
def test_an_llm_that_marks_its_messages_writes_into_none_of_the_callers(
    strict: StrictServer, earlier: tuple[str, ...]
) -> None:
    claude = _claude("claude-sonnet-4-6", cache_idx=0)(strict.url)
    llm = AvengersLLM(router=router_of(["claude", "b"]), models={"claude": claude})
    said = zip((*earlier, "So?"), ("user", "assistant", "user"), strict=False)
    messages = [ChatMessage(text, role=role) for text, role in said]
    llm.chat(messages)
    assert not any(message.additional_kwargs for message in messages)


def test_a_claude_that_thought_once_goes_on_with_its_loop() -> None:
    target = target_of("it", KINDS["claude, thinking"]("http://any"), tools=True)
    mark = {"avengers": {"model": "it"}}
    first, second = (_calling({"query": "a"}, call_id, **mark) for call_id in "12")
    thought = ThinkingBlock(content="hm", additional_information={"signature": "its"})
    thoughtful = first.model_copy(update={"blocks": [thought, *first.blocks]})
    loop = [ChatMessage("Look."), thoughtful, _failed("1"), second, _failed("2")]
    assert _calls(portable(loop, target)) == ["1", "2"]
    unseen = ThinkingBlock(content="", additional_information={"signature": "its"})
    hidden = first.model_copy(update={"blocks": [unseen, *first.blocks]})  # its client leaves out
    assert _calls(portable([loop[0], hidden, *loop[2:]], target)) == []
    without = [loop[0], *loop[3:]]  # it was not told to think by then
    assert _calls(portable(without, target)) == []
    asked = ChatMessage("And?")  # behind a result it goes in one message with it
    assert _calls(portable([*without, asked], target)) == []
    said = ChatMessage("So.", role="assistant")
    assert _calls(portable([*without, said, asked], target)) == ["2"]


def _own(*blocks: Any, role: str = "assistant", **beside: Any) -> ChatMessage:
    mark = {"avengers": {"model": "it"}}
    return ChatMessage(role=role, blocks=list(blocks), additional_kwargs={**mark, **beside})


def _sent_to(kind: str, *messages: ChatMessage) -> list[ChatMessage]:
    asked = ChatMessage("Hi")
    target = target_of("it", KINDS[kind]("http://any"), tools=True)
    return portable([asked, *messages, asked], target)[1:-1]


def test_an_answer_of_its_own_that_its_client_does_not_send_is_written_anew() -> None:
    drawn = _own(TextBlock(text="Here."), ImageBlock(image=PICTURE, image_mimetype="image/png"))
    (said, *_) = _sent_to("responses", drawn)
    assert all(isinstance(block, TextBlock) for block in said.blocks)
    (said,) = _sent_to("openai", _own(refusal="I cannot."))
    assert said.content == "I cannot."
    half = _own(ThinkingBlock(content="hm"), TextBlock(text="So."))  # of a stream
    assert _sent_to("claude", half)[0].blocks == [TextBlock(text="So.")]
    for sent, kept in (("[1, 2]", {"arguments": [1, 2]}), ("null", {}), ("{", {"arguments": "{"})):
        listed = _own(ToolCallBlock(tool_call_id="1", tool_name="search", tool_kwargs=sent))
        (call,) = _sent_to("compatible, odd identifiers", listed)[0].blocks
        assert call.tool_kwargs == kept


def test_a_blank_text_beside_other_blocks_is_left_out_where_it_is_refused() -> None:
    thought = ThinkingBlock(content="hm", additional_information={"signature": "its"})
    call = ToolCallBlock(tool_call_id="1", tool_name="search", tool_kwargs={"query": "x"})
    result = ChatMessage(role="tool", content="found", additional_kwargs={"tool_call_id": "1"})
    blank = _own(thought, TextBlock(text="\n\n"), call)
    assert _sent_to("claude, thinking", blank, result)[0].blocks == [thought, call]
    assert blank.blocks[1].text == "\n\n"


def test_whoever_answers_is_called_the_assistant() -> None:
    for role in ("chatbot", "model"):
        for kind in ("openai", "claude", "gemini"):
            (said,) = _sent_to(kind, _own(TextBlock(text="Yes."), role=role))
            assert said.role in (MessageRole.ASSISTANT, MessageRole.MODEL)
            assert (said.role == MessageRole.MODEL) is ((kind, role) == ("gemini", "model"))


def test_an_older_gemini_is_shown_a_tools_picture_in_the_next_message() -> None:
    call = ToolCallBlock(tool_call_id="1", tool_name="search", tool_kwargs={})
    picture = ImageBlock(image=PICTURE, image_mimetype="image/png")
    given = {"tool_call_id": "1", "name": "search"}
    result = ChatMessage(role="tool", blocks=[picture], additional_kwargs=given)
    for kind, inside in (("gemini", False), ("gemini 3", True)):
        sent = _sent_to(kind, _own(call), result)[1]
        assert (picture in sent.blocks) is inside


def _calls(messages: Sequence[ChatMessage]) -> list[str | None]:
    blocks = [block for message in messages for block in message.blocks]
    return [block.tool_call_id for block in blocks if isinstance(block, ToolCallBlock)]


_LETTER = DocumentBlock(
    data=b"PK",
    title="letter.docx",
    document_mimetype="application/vnd.openxmlformats-officedocument.wordprocessingml.document",
)


def _signed_by(model: str) -> ThinkingBlock:
    signed = {"signature": signature(model, "hm")}
    return ThinkingBlock(content="hm", additional_information=signed)


@pytest.mark.parametrize("kind", [*KINDS, *SERVERS])
def test_what_went_wrong_is_gone_on_with(strict: StrictServer, kind: str) -> None:
    mark = {"avengers": {"model": kind}}
    histories = {
        "results without a word": [
            ChatMessage("Look."),
            _calling({"query": "a"}, "functions.search:0"),
            _failed("functions.search:0"),
        ],
        "its own call, cut off": [
            ChatMessage("Look."),
            _calling('{"query": "a', "call_2", **mark),
            _failed("call_2"),
            ChatMessage("Try again."),
        ],
        "developers": [
            ChatMessage("Hi"),
            ChatMessage("Hi", role="assistant"),
            ChatMessage("Be brief.", role="developer"),
            ChatMessage("Hi"),
        ],
        "the answer begun": [ChatMessage("Hi"), ChatMessage("It is ", role="assistant")],
        "its own answer at the end": [
            ChatMessage("Hi"),
            ChatMessage("It is ", role="assistant", additional_kwargs=mark),
        ],
        "its own answer, cut off while it thought": [
            ChatMessage("Hi"),
            ChatMessage(
                role="assistant",
                blocks=[TextBlock(text="It is"), _signed_by("claude-sonnet-4-6")],
                additional_kwargs=mark,
            ),
            ChatMessage("Hi"),
        ],
        "half a surrogate pair": [
            ChatMessage("Look \ud83d"),
            _calling({"query\ud83d": "\ud83d"}, "call_2", **mark),
            ChatMessage(
                role="tool",
                content="found \ud83d\ude00 \ud83d",
                additional_kwargs={"tool_call_id": "call_2"},
            ),
            ChatMessage("So \ude00.", role="assistant", additional_kwargs=mark),
            ChatMessage("And \ud83d?"),
        ],
        "half a pair in a question": [ChatMessage("Look \ud83d")],
        "a file of an office": [
            ChatMessage(role="user", blocks=[TextBlock(text="Sum it up."), _LETTER]),
        ],
        "no question": [ChatMessage("Greet.", role="system")],
    }
    named = {**KINDS, **{name: _like(name) for name in SERVERS}}
    llm = AvengersLLM(router=router_of([*KINDS, *SERVERS]), models={kind: named[kind](strict.url)})
    llm.complete("Look \ud83d")
    llm.predict(PromptTemplate("{context}"), context="Look \ud83d")
    for name, history in histories.items():
        before = [message.model_copy(deep=True) for message in history]
        said = llm.chat_with_tools([SEARCH], chat_history=history) if kind in KINDS else None
        said = said or llm.chat(history)
        assert (said.message.content or "").startswith("I am "), name
        assert history == before
    assert strict.refused == []


WITHOUT_STOP: dict[str, Make] = {
    "responses": KINDS["responses"],
    "one that reasons": _like("gpt-5"),
}


@pytest.mark.parametrize("kind", WITHOUT_STOP)
async def test_what_has_no_stop_sequences_is_cut_at_them(strict: StrictServer, kind: str) -> None:
    llm = AvengersLLM(
        router=router_of(list(KINDS)), models={"openai": WITHOUT_STOP[kind](strict.url)}
    )
    ask = [ChatMessage("Who are you?")]
    whole = llm.chat(ask).message.content
    assert whole.startswith("I am ")
    cases = ((["m ", "never"], "I a"), ("never", whole), ([whole[-2:]], whole[:-2]), ("I", ""))
    for stop, said in cases:
        assert (llm.chat(ask, stop=stop).message.content or "") == said
        assert ((await llm.achat(ask, stop=stop)).message.content or "") == said
        assert llm.complete("Who are you?", stop=stop).text == said
        chunks = list(llm.stream_chat(ask, stop=stop))
        assert "".join(c.delta or "" for c in chunks) == said
        assert (chunks[-1].message.content or "") == said
        assert "truncated" not in chunks[-1].additional_kwargs["avengers"]
        chunks = [chunk async for chunk in await llm.astream_chat(ask, stop=stop)]
        assert (chunks[-1].message.content or "") == said
    assert strict.refused == []


@pytest.mark.parametrize("made", ["of the endpoint", "by the name of a class"])
async def test_stop_sequences_set_of_a_backend_that_refuses_them_hold(
    strict: StrictServer, made: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_BASE", f"{strict.url}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "any")
    options: dict[str, Any] = {"base_url": f"{strict.url}/v1", "api_key": "any"}
    if made != "of the endpoint":
        options = {"models": {"gpt-5": "openai:gpt-5"}}
    stop = {"model_settings": {"stop": ["m "]}}
    llm = AvengersLLM(router=router_of(["gpt-5"]), **options, **stop)
    ask, prompt = [ChatMessage("Who are you?")], PromptTemplate("Who are {whom}?")
    assert llm.chat(ask).message.content == "I a"
    assert llm.chat(ask, stop=["a"]).message.content == "I "
    assert list(llm.stream_chat(ask))[-1].message.content == "I a"
    assert (await llm.acomplete("Who are you?")).text == "I a"
    assert llm.predict(prompt, whom="you") == "I a"
    assert "".join(llm.stream(prompt, whom="you")) == "I a"
    assert "".join([text async for text in await llm.astream(prompt, whom="you")]) == "I a"
    assert strict.refused == []


@pytest.mark.parametrize(
    ("model", "told"), [("claude-opus-4-6", {"effort": "low"}), ("claude-sonnet-4-5", None)]
)
def test_effort_reaches_a_claude_that_knows_it(strict: StrictServer, model: str, told: Any) -> None:
    llm = AvengersLLM(router=router_of(list(KINDS)), models={"claude": _claude(model)(strict.url)})
    llm.chat([ChatMessage("Hi")], reasoning_effort="low")
    assert strict.requests[-1][1].get("output_config") == told
    assert strict.refused == []


@pytest.mark.parametrize("kind", KINDS)
def test_settings_of_the_router_hold_of_every_kind(strict: StrictServer, kind: str) -> None:
    models = {kind: KINDS[kind](strict.url)}
    llm = AvengersLLM(router=router_of(list(KINDS)), models=models, temperature=1, max_tokens=2000)
    llm.complete("Hi")
    body = strict.requests[-1][1]
    config = body.get("generationConfig", body)
    found = [v for k, v in config.items() if k.startswith("max") and "okens" in k.lower()]
    assert found == [2000]
    assert config.get("temperature", 1.0) == 1.0  # which some models do not take
    assert strict.refused == []


@pytest.mark.filterwarnings("ignore:Inheritance class:DeprecationWarning")
def test_settings_that_a_class_takes_with_each_call_only_reach_every_kind_of_call(
    strict: StrictServer,
) -> None:
    given = KINDS["gemini"](strict.url)
    llm = AvengersLLM(
        router=router_of(["gemini"]), models={"gemini": given}, temperature=0.25, max_tokens=2000
    )
    prompt = PromptTemplate("Hi, {name}")
    hi = [ChatMessage("Hi")]

    async def awaited() -> None:
        await llm.achat(hi)
        await llm.apredict(prompt, name="you")
        assert [chunk async for chunk in await llm.astream_complete("Hi")]
        assert [text async for text in await llm.astream(prompt, name="you")]

    asyncio.run(awaited())
    llm.chat(hi)
    llm.complete("Hi")
    llm.predict(prompt, name="you")
    assert list(llm.stream_chat(hi))
    assert list(llm.stream(prompt, name="you"))
    llm.chat_with_tools([SEARCH], "Hi")
    for own in ({}, {"top_p": 0.5}):
        with suppress(ValueError):  # the server knows no objects
            llm.structured_predict(Person, prompt, own, name="you")
    asked = [body["generationConfig"] for _, body in strict.requests]
    assert len(asked) == 12
    assert {(c["temperature"], c["maxOutputTokens"]) for c in asked} == {(0.25, 2000)}
    assert asked[-1]["topP"] == 0.5
    llm.chat(hi, temperature=0.75, top_k=3)  # a call's own goes before
    given.chat(hi)  # and what the user gave stays as it was
    (*_, own), (*_, alone) = strict.requests[-2:]
    own, alone = own["generationConfig"], alone["generationConfig"]
    assert (own["temperature"], own["topK"], own["maxOutputTokens"]) == (0.75, 3, 2000)
    assert (alone["temperature"], alone["maxOutputTokens"]) == (0.1, 4096)
    assert strict.refused == []


@pytest.mark.filterwarnings("ignore:The 'output_format' parameter:DeprecationWarning")
@pytest.mark.parametrize("writer", ["claude, thinking", "responses", "gemini 3"])
def test_a_history_in_a_template_is_carried_over(strict: StrictServer, writer: str) -> None:
    first = Conversation(strict.url, False)
    first.say("Search, please.")
    first.answer(writer)
    first.give_result()
    first.answer(writer)
    first.say("And now?")
    for kind in KINDS:
        llm = router_over(kind, strict.url)
        llm.predict(ChatPromptTemplate(first.messages))
        if writer == "responses":  # what is done with a template does not depend on who wrote
            rich = ChatPromptTemplate([ChatMessage("{{more}}"), *first.messages])
            llm.predict(rich, more="{text}")
            with suppress(ValueError, TypeError):  # of the answer, which is no object
                llm.structured_predict(Person, ChatPromptTemplate(first.messages))
    assert strict.refused == []


# -- histories of any shape --

_IDS = st.sampled_from(["", "a", "call_1", "functions.search:0", "x" * 60, "tool 1"])
_TEXTS = st.sampled_from(["", " ", "Hi", "<think>hm</think>Hi"]).map(lambda t: TextBlock(text=t))
_FILE = DocumentBlock(data=b"%PDF-1.4", document_mimetype="application/pdf", title="a.pdf")
_GIVEN = st.sampled_from(
    [
        ImageBlock(image=PICTURE),
        _FILE,
        DocumentBlock(data=b"Hi", document_mimetype="text/plain", title="a.txt"),
        AudioBlock(audio=b"RIFF", format="wav"),
        VideoBlock(video=b"mp4", video_mimetype="video/mp4"),
        CitableBlock(title="A", source="a", content="Hi"),
        CachePoint(cache_control={"type": "ephemeral"}),
    ]
)
_WRITTEN = st.sampled_from(
    [
        ThinkingBlock(content="hm", additional_information={"signature": "from elsewhere"}),
        ThinkingBlock(content="hm", additional_information={"id": "rs_0"}),
        CitationBlock(cited_content="Hi", source="a", title="A", additional_location_info={}),
        ImageBlock(image=PICTURE),
    ]
)
_CALL_BLOCKS = st.builds(
    ToolCallBlock,
    tool_call_id=st.none() | _IDS,
    tool_name=st.sampled_from(["search", "my search", ""]),
    tool_kwargs=st.sampled_from([{"query": "x"}, '{"query": "x"}', "", '{"que']),
)
_OLD_CALLS = st.sampled_from(
    [
        {},
        {"tool_calls": [{"id": "a", "function": {"name": "search", "arguments": "{}"}}]},
        {"tool_calls": [{"type": "function_call", "call_id": "a", "name": "search", "id": "fc_0"}]},
        {"tool_calls": [{"id": "a", "name": "search", "input": {"query": "x"}}]},
        {"tool_calls": [{"name": "search", "args": {"query": "x"}, "thought_signature": "x"}]},
        {"function_call": {"name": "search", "arguments": "{}"}},
        {"refusal": "No."},
    ]
)
_MESSAGES = st.one_of(
    st.builds(lambda b: ChatMessage(role="user", blocks=b), st.lists(_TEXTS | _GIVEN, max_size=3)),
    st.builds(
        lambda r, b: ChatMessage(role=r, blocks=[b]),
        st.sampled_from(["system", "developer"]),
        _TEXTS,
    ),
    st.builds(
        lambda b, k: ChatMessage(role="assistant", blocks=b, additional_kwargs=dict(k)),
        st.lists(_TEXTS | _WRITTEN | _CALL_BLOCKS, max_size=4),
        _OLD_CALLS,
    ),
    st.builds(
        lambda b, i: ChatMessage(role="tool", blocks=b, additional_kwargs={"tool_call_id": i}),
        st.lists(_TEXTS | _GIVEN, min_size=1, max_size=2),
        _IDS,
    ),
)


@settings(
    max_examples=10, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(history=st.lists(_MESSAGES, max_size=8))
def test_no_kind_refuses_what_others_left(strict: StrictServer, history: list[ChatMessage]) -> None:
    messages = [*history, ChatMessage("Go on.")]
    before = [message.model_copy(deep=True) for message in messages]
    for reader in KINDS:
        strict.refused.clear()
        router_over(reader, strict.url).chat(messages)
        assert messages == before, reader
        assert strict.refused == [], reader
