"""Where the question is found in a call."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from llama_index.core.agent.utils import messages_to_xml_format
from llama_index.core.base.llms.types import (
    ChatMessage,
    CitableBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
)
from llama_index.core.prompts import (
    ChatPromptTemplate,
    PromptTemplate,
    RichPromptTemplate,
    SelectorPromptTemplate,
)
from llama_index.core.prompts.chat_prompts import CHAT_TEXT_QA_PROMPT
from llama_index.core.prompts.default_prompt_selectors import DEFAULT_TEXT_QA_PROMPT_SEL
from llama_index.core.prompts.default_prompts import DEFAULT_HYDE_PROMPT
from llama_index.core.tools import FunctionTool
from pydantic import BaseModel, Field

from avengers_core.serving.question import routing_hint
from avengers_llamaindex.question import from_messages, from_template, from_text, from_tools

USER, ASSISTANT, TOOL = MessageRole.USER, MessageRole.ASSISTANT, MessageRole.TOOL


def messages(*pairs: tuple[MessageRole, str]) -> list[ChatMessage]:
    return [ChatMessage(role=role, content=content) for role, content in pairs]


@pytest.mark.parametrize(
    ("prompt", "arguments", "text", "source"),
    [
        (PromptTemplate("{context_str} {query_str}"), {"query_str": "q"}, "q", "variable"),
        (PromptTemplate("{chat_history} {question}"), {"question": "q"}, "q", "variable"),
        (PromptTemplate("{x}"), {"x": "cats"}, "cats", "template"),
        (PromptTemplate("About {x}: {context_str}"), {"x": "c"}, "About c: ", "template"),
        (PromptTemplate("Write a poem."), {}, "Write a poem.", "template"),
        (PromptTemplate("Sum up: {context_str}"), {"context_str": "long"}, "", "none"),
        (PromptTemplate("{n} keys of {context}"), {"n": 5, "context": "long"}, "", "none"),
        (PromptTemplate("Triplets: {text}"), {"text": "long"}, "", "none"),
        (PromptTemplate("{query_str}{context_str}"), {"query_str": " "}, "", "none"),
        (
            RichPromptTemplate("{{ context_str }} {{ x }}"),
            {"x": "c", "context_str": "l"},
            "c",
            "template",
        ),
        (RichPromptTemplate("Sum up: {{ context_str }}"), {"context_str": "long"}, "", "none"),
        (DEFAULT_HYDE_PROMPT, {"context_str": "q"}, "q", "variable"),
        (DEFAULT_TEXT_QA_PROMPT_SEL, {"query_str": "q"}, "q", "variable"),
    ],
)
def test_templates(prompt: Any, arguments: dict[str, Any], text: str, source: str) -> None:
    arguments = dict.fromkeys(prompt.template_vars, "") | arguments
    assert tuple(from_template(prompt, arguments).question) == (text, source)


def test_a_variable_that_was_given_before() -> None:
    prompt = PromptTemplate("{context_str} {query_str}").partial_format(query_str="q")
    assert from_template(prompt, {"context_str": "long"}).question.text == "q"
    chosen = SelectorPromptTemplate(prompt).partial_format(query_str="other")
    assert from_template(chosen, {"context_str": "long"}).question.text == "other"


def test_chat_templates() -> None:
    prompt = ChatPromptTemplate(
        messages((MessageRole.SYSTEM, "Use {context_str}"), (USER, "Draw {thing}"))
    )
    request = from_template(prompt, {"context_str": "long " * 100, "thing": "a cat"})
    assert tuple(request.question) == ("Draw a cat", "template")
    assert request.prompt_tokens is not None
    assert request.prompt_tokens > 100


@pytest.mark.parametrize(
    ("conversation", "text"),
    [
        ([(USER, "a"), (ASSISTANT, "b"), (USER, "c")], "c"),
        ([(USER, "a"), (ASSISTANT, "call"), (TOOL, "result")], "a"),
        ([(USER, "a"), (ASSISTANT, "Thought"), (USER, "Observation: 3")], "a"),
        ([(USER, "a"), (USER, "Result of executing the code given:\n\n3")], "a"),
        ([(USER, "a"), (USER, "  ")], "a"),
        ([(MessageRole.SYSTEM, "a")], ""),
        ([], ""),
    ],
)
def test_conversations(conversation: list[tuple[MessageRole, str]], text: str) -> None:
    source = "message" if text else "none"
    assert tuple(from_messages(messages(*conversation), {}).question) == (text, source)
    assert from_tools([], None, messages(*conversation)).question.text == text


def test_a_conversation_that_an_agent_wrote_down() -> None:
    told = messages((USER, "a\nb"), (ASSISTANT, "c"), (USER, "Observation: d"), (TOOL, "e"))
    (quoted,) = messages_to_xml_format(told)
    assert from_messages([quoted], {}).question.text == "a\nb"
    assert from_messages(messages_to_xml_format(told[1:]), {}).question.source == "none"


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


def test_pictures_in_templates() -> None:
    picture = ImageBlock(image=base64.b64encode(b"x"))
    fixed = ChatPromptTemplate([ChatMessage(blocks=[TextBlock(text="{x}"), picture])])
    assert from_template(fixed, {"x": "q"}).needs[0].images
    given = RichPromptTemplate("{% chat role='user' %}{{ x }} {{ pic | image }}{% endchat %}")
    assert from_template(given, {"x": "q", "pic": "https://example.org/a.png"}).needs[0].images
    assert not from_template(given, {"query_str": "q"}).needs[0].images


@pytest.mark.parametrize(
    "template",
    [
        "{% for im in images %}{{ im | image }}{% endfor %}",
        "{{ images[0] | image }}",
        "{{ images.first | image }}",
        "{{ 'a.png' | image }}",
    ],
)
def test_pictures_wherever_a_template_has_them(template: str) -> None:
    prompt = RichPromptTemplate(template + " {{ ask }}")
    assert from_template(prompt, {"ask": "q", "images": ["a.png"]}).needs[0].images


def test_pictures_inside_other_blocks() -> None:
    picture = ImageBlock(image=base64.b64encode(b"x"))
    block = CitableBlock(title="t", source="s", content=[picture])
    assert from_messages([ChatMessage(blocks=[block])], {}).needs[0].images


def test_documents_of_any_shape_are_left_out() -> None:
    def first(**variables: Any) -> str:
        calls.append(variables)
        return str(variables["context_str"].split()[0])

    calls: list[Any] = []
    computed = PromptTemplate(
        "{topic} {context_str} Do: {what}", function_mappings={"topic": first}
    )
    request = from_template(computed, {"context_str": "a document", "what": "Prove it"})
    assert request.question == ("  Do: Prove it", "template")
    assert not calls, "it is the backend's to compute, and may cost something"
    for template in (
        "{{ context.meta.title }}: {{ ask }}",
        "{% for k, v in context.items() %}{{ v.title }}{% endfor %} {{ ask }}",
        "{{ docs[0].node.text }} {{ ask }}",
    ):
        documents = {"context": {"meta": {"title": "a document"}}, "docs": [object()]}
        found = from_template(RichPromptTemplate(template), {**documents, "ask": "Prove it"})
        assert found.question.text.strip() == "Prove it"


def test_retrieved_messages_are_context() -> None:
    picture = ImageBlock(image=base64.b64encode(b"x"))
    found = [ChatMessage(content="x" * 4000), ChatMessage(blocks=[picture])]
    request = from_template(CHAT_TEXT_QA_PROMPT, {"context_messages": found, "query_str": "q"})
    assert (request.question.text, request.needs[0].images) == ("q", True)
    assert request.needs[0].tokens >= 1000
    plain = from_template(CHAT_TEXT_QA_PROMPT, {"context_messages": found[:1], "query_str": "q"})
    assert not plain.needs[0].images


def test_length_counts_where_there_is_more_than_the_question() -> None:
    assert from_text("a question").prompt_tokens is None
    prompt = PromptTemplate("{context_str} {query_str}")
    request = from_template(prompt, {"context_str": "x" * 4000, "query_str": "q"})
    assert request.prompt_tokens is not None
    assert 1000 <= request.prompt_tokens <= 1020
    assert request.needs[0].tokens == request.prompt_tokens
    assert from_messages(messages((USER, "x" * 4000), (USER, "q")), {}).needs[0].tokens >= 1000


class Song(BaseModel):
    """A song."""

    title: str = Field(description="t" * 4000)


def test_schemas_count_as_prompt() -> None:
    structured = from_template(PromptTemplate("q"), {}, Song)
    ways = [(need.structured_output, need.tools) for need in structured.needs]
    assert ways == [(True, False), (False, True)]
    assert structured.needs[0].tokens > 1000
    tool = FunctionTool.from_defaults(lambda title: title, name="sing", fn_schema=Song)
    with_tools = from_tools([tool], "q")
    assert with_tools.needs[0].tools
    assert with_tools.needs[0].tokens > 1000
    raw = from_messages(messages((USER, "q")), {"tools": [{"parameters": "t" * 4000}]})
    assert raw.needs[0].tools
    assert raw.needs[0].tokens > 1000
    assert not from_messages(messages((USER, "q")), {"tools": None}).needs[0].tools
    schema = from_messages(messages((USER, "q")), {"response_format": {"type": "json_object"}})
    assert schema.needs[0].structured_output


def test_a_hint_comes_first() -> None:
    prompt = PromptTemplate("{query_str}")
    with routing_hint("h"):
        assert tuple(from_template(prompt, {"query_str": "q"}).question) == ("h", "hint")
        assert from_text("p").question.text == from_tools([], "p").question.text == "h"
    assert from_text("p").question.text == "p"
