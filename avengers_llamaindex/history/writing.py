"""Turns as LlamaIndex messages, in the blocks that the target's client takes."""

from __future__ import annotations

import json
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    DocumentBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
)

from avengers_core.common.plain import plain
from avengers_core.serving.history import NO_SIGNATURE, Media, Target, Turn
from avengers_llamaindex.history.reading import calls_of, reasoning_of
from avengers_llamaindex.history.writers import ANSWERS

_ROLES = {
    "system": MessageRole.SYSTEM,
    "user": MessageRole.USER,
    "assistant": MessageRole.ASSISTANT,
    "tool": MessageRole.TOOL,
}


def message_of(turn: Turn, target: Target) -> ChatMessage:
    """The message that says what a turn says: the one it was read from, or a new one."""
    if turn.source is not None:
        return _sent(turn, target)
    blocks = _blocks(turn)
    for call in turn.calls:
        kwargs = plain(call.arguments)
        blocks.append(ToolCallBlock(tool_call_id=call.id, tool_name=call.name, tool_kwargs=kwargs))
    beside: dict[str, Any] = {}
    if turn.role == "tool":
        beside = {"tool_call_id": turn.call_id, "name": turn.name}
        blocks = blocks or [TextBlock(text="")]
    if turn.calls and target.wants_signatures:
        first = next(i for i, block in enumerate(blocks) if isinstance(block, ToolCallBlock))
        beside = {"thought_signatures": [None] * first + [NO_SIGNATURE]}
    return ChatMessage(role=_ROLES[turn.role], blocks=blocks, additional_kwargs=beside)


def _blocks(turn: Turn) -> list[Any]:
    """The blocks of its parts: clients put the texts of neighbours together without a space."""
    blocks: list[Any] = []
    for part in turn.parts:
        if isinstance(part, Media) and isinstance(part.block, DocumentBlock) and part.name:
            blocks.append(part.block.model_copy(update={"title": part.name}))
        elif not isinstance(part, str):
            blocks.append(part.block)
        elif part.strip() and blocks and isinstance(blocks[-1], TextBlock):
            blocks[-1] = TextBlock(text=f"{blocks[-1].text}\n\n{part}")
        elif part.strip():
            blocks.append(TextBlock(text=part))
    return blocks


def _sent(turn: Turn, target: Target) -> ChatMessage:
    """A message as it is; where its client would write into it, or leave something out, a copy."""
    message: ChatMessage = turn.source
    beside = message.additional_kwargs
    if turn.own and turn.calls and target.wants_reasoning and not target.reads_reasoning:
        return _with_reasoning(message)
    role = message.role
    if role in ANSWERS and (role == MessageRole.CHATBOT or target.dialect.protocol != "gemini"):
        role = MessageRole.ASSISTANT  # as all clients call it, whatever another one did
    if "avengers" in beside and "tool_calls" in beside:  # it may be sent with all that is there
        beside = {key: value for key, value in beside.items() if key != "avengers"}
    if target.copies or role != message.role or beside is not message.additional_kwargs:
        update = {"role": role, "blocks": [*message.blocks], "additional_kwargs": {**beside}}
        return message.model_copy(update=update)
    return message


def _with_reasoning(message: ChatMessage) -> ChatMessage:
    """A call with the reasoning that has to come back with it: OpenAI's client sends what stands
    beside the blocks, but no thoughts."""
    calls = [
        {
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": json.dumps(dict(call.arguments))},
        }
        for call in calls_of(message)
    ]
    blocks = [b for b in message.blocks if not isinstance(b, ToolCallBlock | ThinkingBlock)]
    beside = {"tool_calls": calls, "reasoning_content": reasoning_of(message)}
    return ChatMessage(role=MessageRole.ASSISTANT, blocks=blocks, additional_kwargs=beside)
