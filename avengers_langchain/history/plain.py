"""Conversations that are nothing but texts: any backend takes them as they are, and there is
nothing else in them to be read."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from avengers_core.common.plain import encodable


def plain_texts(messages: Sequence[BaseMessage]) -> list[str] | None:
    """The texts of messages that are questions in text, each but the last with a bare answer,
    perhaps behind a system message; None of any others."""
    if not _in_turn(list(map(type, messages))) or not all(map(_is_bare, messages)):
        return None
    return [str(message.content) for message in messages]


def is_plain(messages: Sequence[BaseMessage]) -> bool:
    """Whether messages are such a conversation."""
    return plain_texts(messages) is not None


def alternate(messages: Sequence[BaseMessage], own: Sequence[bool]) -> bool:
    """Whether messages are as in :func:`plain_texts`, where answers may also be the target's own:
    that it takes, too."""
    each = list(zip(messages, own, strict=True))
    return _in_turn([AIMessage if its else type(m) for m, its in each]) and all(
        not (m.name or m.tool_calls) if its else _is_bare(m)  # type: ignore[attr-defined]
        for m, its in each
    )


def n_system(messages: Sequence[BaseMessage]) -> int:
    """How many system messages are in front, but not more than one."""
    return 1 if messages and type(messages[0]) is SystemMessage else 0


def _in_turn(kinds: Sequence[type]) -> bool:
    said = kinds[1:] if kinds and kinds[0] is SystemMessage else kinds
    return said == [HumanMessage, *[AIMessage, HumanMessage] * (len(said) // 2)]


def _is_bare(message: BaseMessage) -> bool:
    """Whether a message is a text and nothing else, and an answer as programs keep it that store
    what was said; one that begins with a tag may begin with thoughts."""
    content = message.content
    if not isinstance(content, str) or message.name is not None or message.additional_kwargs:
        return False
    if encodable(content) is not content:
        return False
    text = content.lstrip()
    if type(message) is not AIMessage:
        return bool(text)
    called = message.tool_calls or message.invalid_tool_calls
    if called or message.response_metadata or message.id is not None:
        return False
    return bool(text) and text[0] != "<"
