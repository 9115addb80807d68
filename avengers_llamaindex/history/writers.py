"""Who wrote a message."""

from __future__ import annotations

from llama_index.core.base.llms.types import ChatMessage, MessageRole

ANSWERS = (MessageRole.ASSISTANT, MessageRole.CHATBOT, MessageRole.MODEL)
"""The roles of those who answer."""


def writer_of(message: ChatMessage) -> str | None:
    """The model that gave an answer, as the router calls it; None where the answer does not say."""
    mark = message.additional_kwargs.get("avengers")
    model = mark.get("model") if isinstance(mark, dict) else None
    return model if isinstance(model, str) else None
