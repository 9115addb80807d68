"""Where the question is found in a template, and what is left out."""

from __future__ import annotations

import base64
from typing import Any

import pytest
from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole, TextBlock
from llama_index.core.prompts import (
    ChatPromptTemplate,
    PromptTemplate,
    RichPromptTemplate,
    SelectorPromptTemplate,
)
from llama_index.core.prompts.chat_prompts import CHAT_TEXT_QA_PROMPT
from llama_index.core.prompts.default_prompt_selectors import DEFAULT_TEXT_QA_PROMPT_SEL
from llama_index.core.prompts.default_prompts import DEFAULT_HYDE_PROMPT

from avengers_llamaindex.question import from_template


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
        [
            ChatMessage("Use {context_str}", role=MessageRole.SYSTEM),
            ChatMessage("Draw {thing}"),
        ]
    )
    request = from_template(prompt, {"context_str": "long " * 100, "thing": "a cat"})
    assert tuple(request.question) == ("Draw a cat", "template")
    assert request.prompt_tokens is not None
    assert request.prompt_tokens > 100


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
