"""What the answers in a conversation say of the call that goes on with it."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from llama_index.core.base.llms.types import ChatMessage, MessageRole
from llama_index.core.instrumentation.dispatcher import (  # type: ignore[attr-defined]
    active_instrument_tags,
)

from avengers_core.embedders.tokens import estimate_tokens
from avengers_core.serving.question import conversation_named_in
from avengers_llamaindex.history.measuring import Measured
from avengers_llamaindex.history.writers import ANSWERS, conversation_of, writer_of
from avengers_llamaindex.question.said import is_result

# An agent that has gone on for too long is told so by its system.
_OF_LOOPS = (MessageRole.TOOL, MessageRole.FUNCTION, MessageRole.SYSTEM, MessageRole.DEVELOPER)


def told_by_answers(messages: Sequence[ChatMessage]) -> dict[str, Any]:
    """What answers say of a call; of its conversation the caller's tags count before."""
    answers = [m for m in reversed(messages) if m.role in ANSWERS]
    told: dict[str, Any] = {"conversation": partial(_conversation_of, answers)}
    if answers:
        told["keeps"] = _loop_of(messages)
        told["answered_by"] = next(filter(None, map(writer_of, answers)), None)
    return told


def read_by(messages: Sequence[ChatMessage], each: Sequence[Measured]) -> dict[str, int]:
    """model -> tokens before its last answer, which it has read.

    Args:
        messages: the conversation.
        each: what there is to read in each of them.
    """
    tokens_by: dict[str, int] = {}
    tokens = 0
    for message, part in zip(messages, each, strict=True):
        if message.role in ANSWERS and (writer := writer_of(message)) is not None:
            tokens_by[writer] = tokens
        tokens += estimate_tokens(part.text) + part.media_tokens
    return tokens_by


def _loop_of(messages: Sequence[ChatMessage]) -> str | None:
    """Who made the tool calls whose results are the latest news."""
    for message in reversed(messages):
        if message.role in ANSWERS:
            return writer_of(message)
        if message.role not in _OF_LOOPS and not is_result(message.content or ""):
            return None
    return None


def _conversation_of(answers: Sequence[ChatMessage]) -> str | None:
    tagged = conversation_named_in(active_instrument_tags.get())
    return tagged or next(filter(None, map(conversation_of, answers)), None)


of_nobody = partial(_conversation_of, ())
"""Tells the conversation of a call without answers: only its caller's tags know."""
