"""Conversations that are nothing but texts: any backend takes them as they are, and there is
nothing else in them to be read."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock

from avengers_core.common.plain import encodable

_SYSTEM, _USER, _ASSISTANT = MessageRole.SYSTEM, MessageRole.USER, MessageRole.ASSISTANT


def plain_texts(messages: Sequence[ChatMessage]) -> list[str] | None:
    """The texts of messages that are plain and have nothing beside their texts; None of others."""
    if not is_plain(messages) or any(message.additional_kwargs for message in messages):
        return None
    return [message.blocks[0].text for message in messages]  # type: ignore[union-attr]


def is_plain(messages: Sequence[ChatMessage]) -> bool:
    """Whether messages are questions in text, each but the last with a bare answer, perhaps behind
    a system message."""
    return _in_turn(messages) and all(map(_is_bare, messages))


def is_question(messages: Sequence[ChatMessage]) -> bool:
    """Whether they are one question, perhaps behind a system message."""
    return len(messages) == 1 + n_system(messages) and is_plain(messages)


def alternate(messages: Sequence[ChatMessage], own: Sequence[bool]) -> bool:
    """Whether messages are as in :func:`is_plain`, where answers may also be the target's own:
    where no tools are called, it takes these, too."""
    each = zip(messages, own, strict=True)
    return _in_turn(messages) and all(its or _is_bare(message) for message, its in each)


def n_system(messages: Sequence[ChatMessage]) -> int:
    """How many system messages are in front, but not more than one."""
    return 1 if messages and messages[0].role == _SYSTEM else 0


def _in_turn(messages: Sequence[ChatMessage]) -> bool:
    roles = [message.role for message in messages[n_system(messages) :]]
    return roles == [_USER, *[_ASSISTANT, _USER] * (len(roles) // 2)]


def _is_bare(message: ChatMessage) -> bool:
    """Whether a message is a text, and an answer nothing else, as memories keep it that store what
    was said; one that begins with a tag may begin with thoughts."""
    blocks = message.blocks
    if len(blocks) != 1 or not isinstance(block := blocks[0], TextBlock):
        return False
    if encodable(block.text) is not block.text:
        return False
    text = block.text.lstrip()
    if message.role == _ASSISTANT:
        return bool(text) and text[0] != "<" and not message.additional_kwargs
    return bool(text)
