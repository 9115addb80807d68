"""Calls with messages, a bare prompt or tools."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import ChatMessage
from llama_index.core.tools import BaseTool

from avengers_core.serving.backends.capabilities import Needs, needs_of_tools
from avengers_core.serving.question import RoutingText
from avengers_llamaindex.history.measuring import measure
from avengers_llamaindex.history.plain import n_system, plain_texts
from avengers_llamaindex.question.answers import of_nobody, read_by, told_by_answers
from avengers_llamaindex.question.prompt import Prompt, media_needs, schema_text
from avengers_llamaindex.question.said import is_asked, said_in


def from_text(prompt: str) -> Prompt:
    """A call with a bare prompt."""
    return _of_texts([prompt], "prompt", prompt)


def from_messages(messages: Sequence[ChatMessage], kwargs: Mapping[str, Any]) -> Prompt:
    """A call with messages; raw tool schemas may be among its other arguments.

    Raises:
        TypeError: they are something else.
    """
    if not isinstance(messages, Sequence) or not all(
        isinstance(message, ChatMessage) for message in messages
    ):
        raise TypeError(
            f"expected a list of ChatMessage, got {messages!r:.60}; for a text there is complete()"
        )
    tools, native = list(kwargs.get("tools") or ()), bool(kwargs.get("response_format"))
    if tools or native:
        needs = needs_of_tools(tools)._replace(structured_output=native)
        return _conversation(messages, [json.dumps(tool, default=str) for tool in tools], needs)
    texts = plain_texts(messages)
    if texts is None or not all(map(is_asked, texts)):
        return _conversation(messages, (), Needs())
    return _of_texts(texts[n_system(messages) :: 2], "message", "\n".join(texts))


def from_tools(
    tools: Sequence[BaseTool],
    user_msg: str | ChatMessage | None = None,
    chat_history: Sequence[ChatMessage] | None = None,
    *_: Any,
    **__: Any,
) -> Prompt:
    """A call with tools; the arguments of ``chat_with_tools``."""
    last = ChatMessage(content=user_msg) if isinstance(user_msg, str) else user_msg
    messages = [*(chat_history or ()), *([] if last is None else [last])]
    return _conversation(messages, [_tool_text(tool) for tool in tools], needs_of_tools(tools))


def _of_texts(asked: Sequence[str], source: str, whole: str) -> Prompt:
    """A call that is what the human said and bare answers: all else that may be is not there."""
    return Prompt.of(
        RoutingText(asked[-1], source),
        whole,
        earlier=tuple(asked[:-1]),
        opening=asked[0],
        conversation=of_nobody,
    )


def _conversation(messages: Sequence[ChatMessage], tools: Sequence[str], needs: Needs) -> Prompt:
    each = [measure(message) for message in messages]
    said = said_in(messages)
    media = sum([part.media_tokens for part in each])
    return Prompt.of(
        RoutingText(said.question, "message"),
        # What the tools' schemas say is part of the prompt.
        "\n".join([*[part.text for part in each], *tools]),
        (needs.along_with(media_needs(each), 0) if media else needs,),
        media,
        earlier=said.earlier,
        opening=said.opening,
        cached_tokens=read_by(messages, each),
        **told_by_answers(messages),
    )


def _tool_text(tool: BaseTool) -> str:
    metadata = tool.metadata
    schema = "" if metadata.fn_schema is None else schema_text(metadata.fn_schema)
    return f"{metadata.name}\n{metadata.description}\n{schema}"
