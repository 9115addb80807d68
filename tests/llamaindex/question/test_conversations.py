"""What is found in messages."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from llama_index.core.agent.utils import messages_to_xml_format
from llama_index.core.agent.workflow.prompts import DEFAULT_STATE_PROMPT
from llama_index.core.base.llms.types import (
    ChatMessage,
    CitableBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
)
from stub_server import StubServer

from avengers_llamaindex import AvengersLLM
from avengers_llamaindex.question import from_messages, from_tools

USER, ASSISTANT, TOOL = MessageRole.USER, MessageRole.ASSISTANT, MessageRole.TOOL
UNREADABLE = (
    "Error while parsing the output: Could not extract tool use from input text: x\n\n"
    "The output should be in one of the following formats:\n1. To call a tool:\n"
)
EMPTY = (
    "FAILURE: Your previous response was empty.\nYou must output a thought and an action/answer."
)
MEMORY = "\n<memory>\n<info>\nb\n</info>\n</memory>\n"
STATE = DEFAULT_STATE_PROMPT.replace("{state}", "{{'notes': 'b'}}")


def messages(*pairs: tuple[MessageRole, str]) -> list[ChatMessage]:
    return [ChatMessage(role=role, content=content) for role, content in pairs]


@pytest.mark.parametrize(
    ("conversation", "text"),
    [
        ([(USER, "a")], "a"),
        ([(USER, "Observation: 3")], ""),
        ([(USER, "  ")], ""),
        ([(USER, "a"), (ASSISTANT, "b"), (USER, "c")], "c"),
        ([(USER, "a"), (ASSISTANT, "call"), (TOOL, "result")], "a"),
        ([(USER, "a"), (ASSISTANT, "Thought"), (USER, "Observation: 3")], "a"),
        ([(USER, "a"), (USER, "Result of executing the code given:\n\n3")], "a"),
        ([(USER, "a"), (ASSISTANT, "b"), (USER, UNREADABLE)], "a"),
        ([(USER, "a"), (ASSISTANT, ""), (USER, EMPTY)], "a"),
        ([(USER, "Error while parsing the output: why?")], "Error while parsing the output: why?"),
        ([(USER, f"{MEMORY}a")], "a"),
        ([(USER, STATE.format(msg="a"))], "a"),
        ([(USER, f"{MEMORY}{STATE.format(msg='a')}")], "a"),
        ([(USER, f"{MEMORY}{STATE.format(msg='Observation: 3')}")], ""),
        ([(USER, "Current state: of the art?")], "Current state: of the art?"),
        ([(USER, "a"), (USER, "  ")], "a"),
        ([(MessageRole.SYSTEM, "a")], ""),
        ([], ""),
    ],
)
def test_conversations(conversation: list[tuple[MessageRole, str]], text: str) -> None:
    source = "message" if text else "none"
    assert tuple(from_messages(messages(*conversation), {}).question) == (text, source)
    assert from_tools([], None, messages(*conversation)).question.text == text


@pytest.mark.parametrize(
    "text",
    ["a question", "Observation: 3", UNREADABLE, f"{MEMORY}a", STATE.format(msg="a"), " ", ""],
)
def test_a_question_alone_is_what_it_is_in_a_conversation(text: str) -> None:
    alone = from_messages([ChatMessage(text)], {})
    noted = from_messages([ChatMessage(text, additional_kwargs={"note": "x"})], {})
    for name in ("question", "tokens", "needs", "whole", "earlier", "answered_by", "keeps"):
        assert getattr(alone, name) == getattr(noted, name)
    assert alone.conversation_id == noted.conversation_id


def test_a_conversation_that_an_agent_wrote_down() -> None:
    told = messages((USER, "a\nb"), (ASSISTANT, "c"), (USER, "Observation: d"), (TOOL, "e"))
    (quoted,) = messages_to_xml_format(told)
    assert from_messages([quoted], {}).question.text == "a\nb"
    assert from_messages(messages_to_xml_format(told[1:]), {}).question.source == "none"


@pytest.mark.parametrize("told", [(USER, UNREADABLE), (USER, EMPTY), (MessageRole.SYSTEM, "end")])
def test_a_loop_keeps_its_model_whatever_the_agent_says(told: tuple[MessageRole, str]) -> None:
    asked, answer, said = messages((USER, "a"), (ASSISTANT, "b"), told)
    answer.additional_kwargs["avengers"] = {"model": "test/hard"}
    assert from_messages([asked, answer, said], {}).keeps == "test/hard"


def test_the_new_message_comes_last() -> None:
    history = messages((USER, "a"))
    assert from_tools([], "b", history).question.text == "b"
    assert from_tools([], ChatMessage(content="b"), chat_history=history).question.text == "b"
    assert len(history) == 1


def test_pictures_alone_have_no_question() -> None:
    picture = ImageBlock(image=base64.b64encode(b"x"))
    request = from_messages([ChatMessage(blocks=[picture])], {})
    assert (request.question.text, request.needs[0].images) == ("", True)
    both = from_messages([ChatMessage(blocks=[picture, TextBlock(text="What is it?")])], {})
    assert (both.question.text, both.needs[0].images) == ("What is it?", True)


def test_pictures_inside_other_blocks() -> None:
    picture = ImageBlock(image=base64.b64encode(b"x"))
    block = CitableBlock(title="t", source="s", content=[picture])
    assert from_messages([ChatMessage(blocks=[block])], {}).needs[0].images


@pytest.mark.parametrize("key", ["tool_calls", "annotations", "built_in_tool_calls"])
@pytest.mark.parametrize("left", [{"UNSET": True}, "UNSET", 7, ["UNSET", None], object()])
async def test_what_a_client_leaves_in_place_of_calls_is_none(
    llm: AvengersLLM, server: StubServer, key: str, left: Any
) -> None:
    """Mistral's client leaves a mark where a server says nothing of tool calls, and a memory makes
    JSON of it."""
    answer = ChatMessage("Hi.", role=MessageRole.ASSISTANT, additional_kwargs={key: left})
    history = [ChatMessage("hello"), answer, ChatMessage("Which colour?")]
    llm.chat(history)
    await llm.achat(history)
    assert len(server.asked) == 2
