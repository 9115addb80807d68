"""Backends whose packages are not installed are told by the names of their classes."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.language_models.fake_chat_models import FakeListChatModel
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

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
    assert read_by("ChatGroq", FAR) == [FAR]
    assert isinstance(read_by("ChatOllama", FAR)[0], str)


def test_perplexity_is_shown_pictures_in_the_words_of_its_protocol() -> None:
    url = "data:image/png;base64,AAAA"
    assert read_by("ChatPerplexity", PICTURE, FAR) == [
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


def answer(**fields: Any) -> AIMessage:
    return AIMessage(response_metadata={"avengers": {"model": "it"}}, **fields)


def test_thoughts_alone_are_no_answer_whatever_else_is_empty() -> None:
    empty = answer(content="", additional_kwargs={"refusal": None, "reasoning_content": "hm"})
    backend = type("ChatOpenRouter", (FakeListChatModel,), {})(responses=["any"])
    sent = portable([HumanMessage("Hi"), empty, HumanMessage("Hi?")], target_of("it", backend))
    assert all(message.text for message in sent)


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
    assert portable([*without, HumanMessage("And?")], target)[1] is steps[3]
