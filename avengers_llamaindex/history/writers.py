"""Who wrote a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole, TextBlock, ThinkingBlock

from avengers_core.serving.history import has_words

ANSWERS = (MessageRole.ASSISTANT, MessageRole.CHATBOT, MessageRole.MODEL)
"""The roles of those who answer."""


def writer_of(message: ChatMessage) -> str | None:
    """The model that gave an answer, as the router calls it; None where the answer does not say."""
    return _said(message, "model")


def conversation_of(message: ChatMessage) -> str | None:
    """The conversation that an answer says it belongs to, or None."""
    return _said(message, "conversation")


def mark(facts: Mapping[str, Any]) -> dict[str, str]:
    """What a message keeps of the facts of its answer: whoever reads it next needs no more."""
    return {name: facts[name] for name in ("model", "conversation") if name in facts}


def _said(message: ChatMessage, name: str) -> str | None:
    mark = message.additional_kwargs.get("avengers")
    told = mark.get(name) if isinstance(mark, dict) else None
    return told if isinstance(told, str) else None


def says(block: Any) -> bool:
    """Whether there is anything in a block: of a text only its words count, of thoughts nothing."""
    text = isinstance(block, TextBlock)
    return has_words(block.text) if text else not isinstance(block, ThinkingBlock)
