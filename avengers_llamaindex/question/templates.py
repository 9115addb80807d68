"""Calls with a prompt template."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Set
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ImageBlock
from llama_index.core.prompts import BasePromptTemplate, ChatPromptTemplate, RichPromptTemplate
from llama_index.core.prompts.default_prompts import HYDE_TMPL

from avengers_core.serving.backends.capabilities import Needs
from avengers_core.serving.question import (
    CONTEXT_VARIABLES,
    RoutingText,
    question_from_variables,
)
from avengers_llamaindex.history.measuring import measure
from avengers_llamaindex.question.answers import told_by_answers
from avengers_llamaindex.question.prompt import Prompt, media_needs, schema_text
from avengers_llamaindex.question.said import said_in

# What the framework fills with documents where it has no question: extractors, graph builders;
# and what those are told to look for.
_DOCUMENT_VARIABLES = frozenset(
    {
        *CONTEXT_VARIABLES,
        "context_messages",
        "text",
        "context_list",
        "schema",
        "allowed_entity_types",
        "allowed_entity_properties",
        "allowed_relation_types",
        "allowed_relation_properties",
    }
)
# A picture in a rich template: {{ name | image }}, {{ names[0] | image }}, {{ "a.png" | image }}.
_PICTURE = re.compile(r"(\w*)[^\s{|]*\s*\|\s*image\b")
_CLASS = (Needs(structured_output=True), Needs(tools=True))
"""An object of a class can be given in a JSON schema, or through a tool call."""


def from_template(
    prompt: BasePromptTemplate, arguments: Mapping[str, Any], output_cls: type | None = None
) -> Prompt:
    """A call with a prompt template and its arguments.

    Args:
        prompt: the template, which may hold some of its variables (``partial_format``).
        arguments: the others.
        output_cls: the class to be filled, if any; its schema counts as prompt.
    """
    variables = {**prompt.kwargs, **arguments}
    schema = [] if output_cls is None else [schema_text(output_cls)]
    values = (value for value in variables.values() if isinstance(value, str))
    # Retrieved text with pictures in it is handed over as messages.
    each = [measure(message) for message in _messages_in(variables.values())]
    parts = [prompt.get_template(), *values, *(part.text for part in each), *schema]
    question = _question_of(prompt, variables)
    media = media_needs(each)
    if _shows_images(prompt, variables):
        media = media._replace(images=True)
    ways = (Needs(),) if output_cls is None else _CLASS
    # A conversation, where somebody put one into it.
    history = prompt.message_templates if isinstance(prompt, ChatPromptTemplate) else []
    said = said_in(history)
    return Prompt.of(
        question,
        "\n".join(parts),
        tuple(way.along_with(media, 0) for way in ways),
        sum(part.media_tokens for part in each),
        earlier=said.earlier if question.text.strip() else (),
        opening=said.opening if said.earlier else question.text,
        **told_by_answers(history),
    )


def _messages_in(values: Iterable[Any]) -> Iterator[ChatMessage]:
    for value in values:
        if isinstance(value, list | tuple):
            yield from (item for item in value if isinstance(item, ChatMessage))


def _has_images(messages: Iterable[ChatMessage]) -> bool:
    return any(_is_image(block) for message in messages for block in message.blocks)


def _is_image(block: Any) -> bool:
    inside = getattr(block, "content", None)  # of a block of blocks
    return isinstance(block, ImageBlock) or (
        isinstance(inside, list) and any(map(_is_image, inside))
    )


def _shows_images(prompt: BasePromptTemplate, variables: Mapping[str, Any]) -> bool:
    """Whether the template itself holds pictures, or a place for one that is given."""
    if isinstance(prompt, ChatPromptTemplate):
        return _has_images(prompt.message_templates)
    if isinstance(prompt, RichPromptTemplate):
        # A name that is not among the template's variables is that of a loop, or a file's.
        return any(
            variables.get(name, name not in prompt.template_vars)
            for name in _PICTURE.findall(prompt.template_str)
        )
    return False


def _question_of(prompt: BasePromptTemplate, variables: Mapping[str, Any]) -> RoutingText:
    if (question := question_from_variables(variables)) is not None:
        return RoutingText(question, "variable")
    if prompt.get_template() == HYDE_TMPL:
        # HyDE hands the question over as if it were context.
        return RoutingText(str(variables.get("context_str", "")), "variable")
    names = {*prompt.template_vars, *variables}
    documents = names & _DOCUMENT_VARIABLES
    told = any(isinstance(variables.get(name), str) for name in names - documents)
    if documents and not told:
        # Only documents and settings: what is left is the framework's instruction, the same for
        # every call, and says nothing about how hard this one is.
        return RoutingText("", "none")
    return RoutingText(_worded(prompt, variables, documents), "template")


def _worded(prompt: BasePromptTemplate, variables: Mapping[str, Any], documents: Set[str]) -> str:
    """What the template asks, without the documents."""
    empty = {name: _empty(variables.get(name, "")) for name in documents}
    # What is computed from the variables may be expensive, or fail without its documents.
    computed = dict.fromkeys(prompt.function_mappings or {}, "")
    plain = prompt.model_copy(update={"function_mappings": None})
    try:
        return said_in(plain.format_messages(**{**computed, **variables, **empty})).question
    except Exception:  # a template may do with its variables whatever it likes
        told = (value for name, value in variables.items() if name not in documents)
        return "\n".join(value for value in told if isinstance(value, str))


def _empty(value: Any) -> Any:
    return type(value)() if isinstance(value, str | list | tuple | dict) else ""
