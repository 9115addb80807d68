"""Backends whose packages are not installed are told by the names of their classes."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_openai import ChatOpenAI

from avengers_langchain.history import portable, target_of

PICTURE = {"type": "image", "base64": "AAAA", "mime_type": "image/png"}
FAR = {"type": "image", "url": "https://example.org/a.png"}
FILE = {"type": "file", "base64": "AAAA", "mime_type": "application/pdf", "filename": "a_b.pdf"}


def read_by(name: str, *blocks: dict[str, Any]) -> list[Any]:
    """What a class gets of what the user shows it."""
    backend = type(name, (FakeListChatModel,), {})(responses=["any"])
    (sent,) = portable([HumanMessage(list(blocks))], target_of("it", backend))
    return sent.content if isinstance(sent.content, list) else [sent.content]


@pytest.mark.parametrize(
    "name", ["ChatGroq", "ChatMistralAI", "ChatDeepSeek", "ChatXAI", "ChatPerplexity", "ChatOllama"]
)
def test_files_are_left_out_where_nobody_takes_them(name: str) -> None:
    (said,) = read_by(name, FILE)
    assert "a_b.pdf" in said


def test_a_picture_far_away_is_fetched_by_most() -> None:
    assert read_by("ChatGroq", FAR) == [{"type": "image_url", "image_url": {"url": FAR["url"]}}]
    assert isinstance(read_by("ChatOllama", FAR)[0], str)


@pytest.mark.parametrize("name", ["ChatPerplexity", "ChatCohere", "ChatGroq"])
def test_pictures_are_shown_in_the_words_of_the_protocol(name: str) -> None:
    url = "data:image/png;base64,AAAA"
    assert read_by(name, PICTURE, FAR) == [
        {"type": "image_url", "image_url": {"url": url}},
        {"type": "image_url", "image_url": {"url": FAR["url"]}},
    ]


def test_bedrock_takes_names_of_words_alone() -> None:
    file, text = read_by("ChatBedrockConverse", FILE)
    assert file == {**FILE, "filename": "a b pdf"}
    assert text["text"]


def test_perplexity_is_told_of_calls() -> None:
    backend = type("ChatPerplexity", (FakeListChatModel,), {})(responses=["any"])
    call = {"name": "search", "args": {"query": "x"}, "id": "1"}
    loop = [
        HumanMessage("Look."),
        AIMessage("", tool_calls=[call]),
        ToolMessage("found", tool_call_id="1"),
    ]
    (asked,) = portable(loop, target_of("it", backend))
    assert isinstance(asked, HumanMessage)
    assert "found" in asked.text


@pytest.mark.parametrize("model", ["gemma-3-27b-it", "llama-2-13b-chat"])
def test_a_template_without_a_role_for_results_is_told_of_calls_where_there_are_no_tools(
    model: str,
) -> None:
    backend = ChatOpenAI(model=model, base_url="http://any/v1", api_key="any")
    loop = [
        HumanMessage("Look."),
        AIMessage("", tool_calls=[CALL]),
        ToolMessage("found", tool_call_id="1"),
    ]
    (asked,) = portable(loop, target_of("it", backend))
    assert "found" in asked.text
    assert portable(loop, target_of("it", backend, {"tools": [{"name": "search"}]})) == loop


@pytest.mark.parametrize("kind", ["anthropic", "openai"])
def test_a_file_in_words_of_the_provider_keeps_them(kind: str) -> None:
    inner = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,AAAA"}
    given = {"type": "file", "file": inner}
    source = {"type": "base64", "media_type": "application/pdf", "data": "AAAA"}
    name = "ChatOpenRouter"
    if kind == "anthropic":
        given, name = {"type": "document", "source": source, "title": "a"}, "ChatAnthropic"
    file, left_out = read_by(name, given, {**PICTURE, "type": "video", "mime_type": "video/mp4"})
    assert file == given
    assert "video" in str(left_out)


def test_only_gateways_get_marks_of_where_to_cache() -> None:
    marked = {"type": "text", "text": "Hi", "cache_control": {"type": "ephemeral"}}
    assert read_by("ChatOpenRouter", marked) == [marked]
    for name in ("ChatGroq", "ChatDeepSeek", "ChatXAI", "ChatMistralAI"):
        assert read_by(name, marked) == ["Hi"]


def test_a_file_without_a_name_gets_one_where_servers_want_it() -> None:
    nameless = {key: value for key, value in FILE.items() if key != "filename"}
    (sent,) = read_by("ChatOpenRouter", nameless)
    assert sent["filename"]
    assert read_by("ChatAnthropic", nameless) == [nameless]


def test_texts_among_blocks_are_blocks_where_nothing_else_is_taken() -> None:
    for name in ("ChatXAI", "ChatAnthropic"):
        said = read_by(name, "Look:", PICTURE, {"type": "text", "text": " "})  # type: ignore[arg-type]
        assert said[0] == {"type": "text", "text": "Look:"}
        assert len(said) == 2


def answer(**fields: Any) -> AIMessage:
    return AIMessage(response_metadata={"avengers": {"model": "it"}}, **fields)


def test_thoughts_alone_are_no_answer_whatever_else_is_empty() -> None:
    empty = answer(content="", additional_kwargs={"refusal": None, "reasoning_content": "hm"})
    backend = type("ChatOpenRouter", (FakeListChatModel,), {})(responses=["any"])
    sent = portable([HumanMessage("Hi"), empty, HumanMessage("Hi?")], target_of("it", backend))
    assert all(message.text for message in sent)


def test_answers_that_are_a_text_and_nothing_else_go_as_they_are() -> None:
    target = target_of("it", type("ChatAnthropic", (FakeListChatModel,), {})(responses=["any"]))
    asked = HumanMessage("And?")
    bare = [asked, AIMessage("It is so."), asked, answer(content="So."), asked]
    assert all(a is b for a, b in zip(portable(bare, target), bare, strict=True))
    others = {"response_metadata": {"avengers": {"model": "another"}}}
    for odd in (AIMessage("So.", id="msg_1"), AIMessage("So.", **others), AIMessage(" ")):
        sent = portable([asked, odd, asked], target)
        assert all(message is not odd for message in sent)
    sent = portable([asked, AIMessage("<think>hm</think>So."), asked], target)
    assert sent[1].text == "So."


def test_a_claude_that_thought_once_goes_on_with_its_loop() -> None:
    backend = type("ChatAnthropic", (FakeListChatModel,), {})(responses=["any"])
    target = target_of("it", backend, {"thinking": {"type": "enabled", "budget_tokens": 1024}})
    thought = {"type": "thinking", "thinking": "hm", "signature": "its"}
    steps = [
        HumanMessage("Look."),
        answer(content=[thought], tool_calls=[{"name": "search", "args": {}, "id": "1"}]),
        ToolMessage("found", tool_call_id="1"),
        answer(content="", tool_calls=[{"name": "search", "args": {}, "id": "2"}]),
        ToolMessage("found", tool_call_id="2"),
    ]
    assert portable(steps, target) == steps
    without = [steps[0], *steps[3:]]  # it was not told to think by then
    assert all(message.type == "human" for message in portable(without, target))
    asked = HumanMessage("And?")
    sent = portable([*without, asked], target)  # which goes in one message with the result
    assert all(message.type == "human" for message in sent)
    assert portable([*without, AIMessage("So."), asked], target)[1] is steps[3]


def looped(name: str, call: AIMessage, **result: Any) -> list[Any]:
    """A loop under way, as it goes back to the class whose model made the call."""
    backend = type(name, (FakeListChatModel,), {})(responses=["any"])
    object.__setattr__(backend, "model", "deepseek-v4")
    steps = [HumanMessage("Look."), call, ToolMessage(tool_call_id="1", **result)]
    tools = {"tools": [{"name": "search"}]}
    return portable(steps, target_of("it", backend, tools))


CALL = {"name": "search", "args": {"query": "x"}, "id": "1"}


def test_xai_gets_a_word_with_each_call() -> None:
    """https://github.com/langchain-ai/langchain/issues/34140"""
    for content in ("", [{"type": "text", "text": ""}]):
        sent = looped("ChatXAI", answer(content=content, tool_calls=[CALL]), content="found")[1]
        assert sent.text.strip()
        assert sent.tool_calls
    said = answer(content="So.", tool_calls=[CALL])
    assert looped("ChatXAI", said, content="found")[1] is said


def test_reasoning_that_its_client_keeps_to_itself_is_told_in_words() -> None:
    called = answer(
        content="", tool_calls=[CALL], additional_kwargs={"reasoning_content": "Let me think."}
    )
    assert [m.type for m in looped("ChatDeepSeek", called, content="found")] == ["human"]
    assert looped("ChatFireworks", called, content="found")[1] is called


@pytest.mark.parametrize("made_up", ["multi_tool_use.parallel", "my search"])
def test_a_tool_that_its_own_model_made_up_is_called_by_a_name_that_is_taken(made_up: str) -> None:
    called = answer(content="", tool_calls=[{**CALL, "name": made_up}])
    _, call, result = looped("ChatAnthropic", called, content="no such tool", status="error")
    assert call.tool_calls[0]["name"].isidentifier()
    assert result.tool_call_id == call.tool_calls[0]["id"]


@pytest.mark.parametrize("name", ["ChatAnthropic", "ChatBedrockConverse"])
def test_what_failed_shows_its_picture_in_the_next_message(name: str) -> None:
    """https://github.com/vellum-ai/vellum-assistant/pull/18387"""
    called = answer(content="", tool_calls=[CALL])
    _, _, result, shown = looped(name, called, content=[PICTURE], status="error")
    assert isinstance(result.content, str)
    assert PICTURE in shown.content
    assert len(looped(name, called, content=[PICTURE])) == 3


def test_an_answer_of_its_own_that_says_nothing_to_it_is_written_anew() -> None:
    backend = type("ChatXAI", (FakeListChatModel,), {})(responses=["any"])
    for empty, kept in (
        (answer(content="", additional_kwargs={"refusal": "I cannot."}), True),
        (answer(content=" "), False),
        (answer(content="<think>Hm."), False),
        (answer(content="", additional_kwargs={"search_results": [{"url": "u"}]}), False),
    ):
        sent = portable([HumanMessage("Hi"), empty, HumanMessage("?")], target_of("it", backend))
        assert all(message.text.strip() for message in sent)
        assert ("I cannot." in [message.text for message in sent]) is kept


USE = {"type": "server_tool_use", "id": "srvtoolu_1", "name": "web_search", "input": {"q": "x"}}
FOUND = {"type": "web_search_tool_result", "tool_use_id": "srvtoolu_1", "content": []}


def test_a_claude_that_paused_is_asked_to_go_on_with_its_answer() -> None:
    backend = type("ChatAnthropic", (FakeListChatModel,), {})(responses=["any"])
    target = target_of("it", backend)
    paused = answer(content=[USE])
    paused.response_metadata["stop_reason"] = "pause_turn"
    asked = [HumanMessage("Look it up."), paused]
    assert portable(asked, target) == asked
    goes_on = [*asked, answer(content=[FOUND, {"type": "text", "text": "So."}]), HumanMessage("?")]
    assert portable(goes_on, target) == goes_on
    # Without the rest of it, it is half of a pair, which is refused.
    for half in (paused, goes_on[2]):
        sent = portable([HumanMessage("Look it up."), half, HumanMessage("?")], target)
        assert not any(isinstance(message.content, list) for message in sent)
    _, told, last = portable(asked, target_of("another", backend))
    assert (told.type, last.type) == ("ai", "human")


def test_an_answer_in_blocks_is_no_longer_called_so_where_it_becomes_a_text() -> None:
    backend = type("ChatOllama", (FakeListChatModel,), {})(responses=["any"])
    own = answer(content=[{"type": "text", "text": "Yes."}], name="My Agent")
    own.response_metadata["output_version"] = "v1"
    refused = answer(content=[{"type": "refusal", "refusal": "I cannot."}])
    sent = portable([HumanMessage("Hi"), refused, HumanMessage("?")], target_of("it", backend))
    assert sent[1].content == "I cannot."
    sent = portable([HumanMessage("Hi"), own, HumanMessage("?")], target_of("it", backend))[1]
    assert sent.content == "Yes."
    assert "output_version" not in sent.response_metadata
    mistral = type("ChatMistralAI", (FakeListChatModel,), {})(responses=["any"])
    assert portable([HumanMessage("Hi"), own], target_of("it", mistral))[1].name is None


def test_results_in_the_users_own_message_are_those_of_its_calls() -> None:
    called = AIMessage("", tool_calls=[CALL])
    given = {"type": "tool_result", "tool_use_id": "1", "content": "found", "is_error": True}
    blocks = [given, {"type": "text", "text": "Well?"}]
    for name in ("ChatAnthropic", "ChatXAI"):
        backend = type(name, (FakeListChatModel,), {})(responses=["any"])
        target = target_of("it", backend, {"tools": [{"name": "search"}]})
        steps = [HumanMessage("Look."), called, HumanMessage(list(blocks))]
        _, call, result, asked = portable(steps, target)
        assert (result.type, result.text, result.status) == ("tool", "found", "error")
        assert result.tool_call_id == call.tool_calls[0]["id"]
        assert asked.text == "Well?"


def test_numbers_that_json_does_not_have_are_none() -> None:
    call = {"name": "search", "args": {"n": float("nan"), "m": [float("inf")]}, "id": "1"}
    sent = looped("ChatXAI", AIMessage("", tool_calls=[call]), content="found")[1]
    assert sent.tool_calls[0]["args"] == {"n": None, "m": [None]}
