"""What a LlamaIndex call is about: its question, its length, and what it needs of a model.

Retrieved text must not decide the route, so the question is looked for, in this order:

1. an explicit :func:`avengers_core.routing_text.routing_hint`;
2. the prompt's own variable for it (``query_str``, ``question``, ...), given with the call or by
   ``partial_format`` before;
3. the prompt's template with its context variables left empty;
4. the last message that a human wrote;
5. nothing: the artifact's overall means decide.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, ImageBlock, MessageRole
from llama_index.core.bridge.pydantic import BaseModel
from llama_index.core.prompts import BasePromptTemplate
from llama_index.core.prompts.default_prompts import HYDE_TMPL
from llama_index.core.tools import BaseTool

from avengers_core.capabilities import Needs
from avengers_core.routing_text import (
    CONTEXT_VARIABLES,
    RoutingText,
    current_hint,
    estimate_tokens,
    is_observation,
    question_from_variables,
)

# What the framework fills with documents where it has no question: extractors, graph builders.
_DOCUMENT_VARIABLES = frozenset({*CONTEXT_VARIABLES, "text", "context_list", "schema"})


@dataclass(frozen=True)
class Request:
    """What routing has to know of one call.

    Attributes:
        question: the text that decides, and where it was found; blank if there is none.
        prompt_tokens: estimated length of the whole prompt, where it holds more than the
            question; else None.
        needs: what the model must be able to do.
    """

    question: RoutingText
    prompt_tokens: int | None
    needs: Needs


def from_text(prompt: str) -> Request:
    """A call with a bare prompt."""
    return _request(RoutingText(prompt, "prompt"), prompt)


def from_messages(messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> Request:
    """A call with messages; raw tool schemas may be among its other arguments."""
    tools = kwargs.get("tools") or ()
    return _conversation(messages, [json.dumps(t, default=str) for t in tools])


def from_tools(
    tools: Sequence[BaseTool],
    user_msg: str | ChatMessage | None = None,
    chat_history: Sequence[ChatMessage] | None = None,
    *_: Any,
    **__: Any,
) -> Request:
    """A call with tools; the arguments of ``chat_with_tools``."""
    last = ChatMessage(content=user_msg) if isinstance(user_msg, str) else user_msg
    messages = [*(chat_history or ()), *([] if last is None else [last])]
    return _conversation(messages, [_tool_text(tool) for tool in tools])


def from_template(
    prompt: BasePromptTemplate, arguments: Mapping[str, Any], output_cls: type | None = None
) -> Request:
    """A call with a prompt template and its arguments.

    Args:
        prompt: the template, which may hold some of its variables (``partial_format``).
        arguments: the others.
        output_cls: the class to be filled, if any; its schema counts as prompt.
    """
    variables = {**prompt.kwargs, **arguments}
    schema = [] if output_cls is None else [_schema_text(output_cls)]
    values = (value for value in variables.values() if isinstance(value, str))
    whole = "\n".join([prompt.get_template(), *values, *schema])
    question = _question_of(prompt, variables)
    return _request(question, whole, structured_output=output_cls is not None)


def _conversation(messages: Sequence[ChatMessage], tools: Sequence[str]) -> Request:
    # What the tools' schemas say is part of the prompt.
    whole = "\n".join([*(message.content or "" for message in messages), *tools])
    images = any(isinstance(block, ImageBlock) for m in messages for block in m.blocks)
    question = RoutingText(_last_human(messages), "message")
    return _request(question, whole, tools=bool(tools), images=images)


def _request(question: RoutingText, whole: str, **needs: bool) -> Request:
    if hint := current_hint():
        question = RoutingText(hint, "hint")
    elif not question.text.strip():
        question = RoutingText("", "none")
    tokens = estimate_tokens(whole)
    longer = tokens > estimate_tokens(question.text)
    return Request(question, tokens if longer else None, Needs(tokens=tokens, **needs))


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
    blanked = {**variables, **dict.fromkeys(documents, "")}
    return RoutingText(_last_human(prompt.format_messages(**blanked)), "template")


def _last_human(messages: Sequence[ChatMessage]) -> str:
    for message in reversed(messages):
        text = message.content or ""
        if message.role == MessageRole.USER and text.strip() and not is_observation(text):
            return text
    return ""


def _tool_text(tool: BaseTool) -> str:
    metadata = tool.metadata
    schema = "" if metadata.fn_schema is None else _schema_text(metadata.fn_schema)
    return f"{metadata.name}\n{metadata.description}\n{schema}"


@lru_cache(maxsize=1024)
def _schema_text(cls: type) -> str:
    # Pydantic builds the schema anew at each call, which takes longer than routing.
    return json.dumps(cls.model_json_schema()) if issubclass(cls, BaseModel) else ""
