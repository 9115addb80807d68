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
