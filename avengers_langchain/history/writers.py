"""Who wrote a message."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from avengers_core.serving.history import Dialect, Target, has_words
from avengers_core.serving.history.reasoning import CONTENT, KEPT


def writer_of(message: BaseMessage) -> str | None:
    """The model that gave an answer, as the router calls it; None where the answer does not say.

    A stream that broke off has named it in its first chunk only.
    """
    metadata = message.response_metadata
    mark = metadata.get("avengers")
    model = mark.get("model") if isinstance(mark, dict) else metadata.get("avengers_model")
    return model if isinstance(model, str) else None


def conversation_of(message: BaseMessage) -> str | None:
    """The conversation that an answer says it belongs to, or None."""
    mark = message.response_metadata.get("avengers")
    told = mark.get("conversation") if isinstance(mark, dict) else None
    return told if isinstance(told, str) else None


def is_own(message: BaseMessage, writer: str | None, target: Target) -> bool:
    """Whether the target itself wrote a message.

    Args:
        message: an answer.
        writer: who the answer says wrote it; where it does not, what the provider said counts.
        target: who is asked now.
    """
    metadata = message.response_metadata
    provider = metadata.get("model_provider")
    providers = target.dialect.providers
    if provider is not None and providers and provider not in providers:
        return False  # the same name, but it is another backend's by now
    if writer is not None:
        its_own = writer == target.model
    else:
        name = metadata.get("model_name") or metadata.get("model")
        its_own = provider is not None and name is not None and name == target.remote_name
    return its_own and isinstance(message, AIMessage) and _is_taken_back(message, target)


def _is_taken_back(message: AIMessage, target: Target) -> bool:
    """Whether the target takes an answer of its own as it gave it."""
    dialect, broken = target.dialect, message.invalid_tool_calls
    calls = message.tool_calls or broken
    if isinstance(message.content, list):
        if _is_broken_off(message, dialect):
            return False
    elif not calls and has_words(message.content):
        return True  # as most are
    if not calls:
        return not _says_nothing(message)
    if target.wants_reasoning:  # has to come back with a call, and not all clients do that
        kept = any(message.additional_kwargs.get(name) for name in (CONTENT, *KEPT))
        if target.drops_reasoning if kept else not target.reads_reasoning:
            return False
    tools = [str(call["name"]) for call in calls]
    says = target.minds_text_with_calls and bool(message.text.strip())
    return target.takes_back(tools, says=says, broken=bool(broken))


def _is_broken_off(message: AIMessage, dialect: Dialect) -> bool:
    """Whether an answer ended in the middle of its thoughts: a signature, or what these lead to,
    never came."""
    claude = dialect.protocol == "anthropic"
    stream_broke = claude and "stop_reason" not in message.response_metadata
    if stream_broke and not all(map(_is_signed, thoughts_of(message))):
        return True
    if message.tool_calls or not (claude or dialect.protocol == "openai responses"):
        return False
    return thoughts_of(message)[-1:] == message.content[-1:] != []


_USES = {"server_tool_use", "mcp_tool_use", "server_tool_call"}


def torn(messages: Sequence[BaseMessage], own: Sequence[bool]) -> list[bool]:
    """Which of a Claude's own answers it would not take back, for one of its own tools is used in
    them without the result, or the other way round.

    It stops in the middle of long work (``pause_turn``) and goes on in another answer, so that
    answers in a row are looked at as one; the last of a conversation may still be without its
    result (https://platform.claude.com/docs/en/build-with-claude/handling-stop-reasons).
    """
    parted = [False] * len(messages)
    open_uses: dict[str, int] = {}
    for i, (message, its) in enumerate(zip(messages, own, strict=True)):
        if not its:
            for at in open_uses.values():
                parted[at] = True
            open_uses.clear()
            continue
        for block in message.content:
            if not isinstance(block, dict):
                continue
            kind = str(block.get("type"))
            if kind in _USES:
                open_uses[str(block.get("id"))] = i
            elif kind == "server_tool_result" or kind.endswith("_tool_result"):
                used = str(block.get("tool_use_id") or block.get("tool_call_id"))
                parted[i] |= open_uses.pop(used, None) is None
    return parted


def is_paused(message: BaseMessage) -> bool:
    """Whether a Claude stopped in the middle of an answer, to be asked to go on with it."""
    return message.response_metadata.get("stop_reason") == "pause_turn"


def thoughts_of(message: BaseMessage) -> list[dict[str, Any]]:
    """The blocks of an answer that show its thoughts."""
    content = message.content if isinstance(message.content, list) else ()
    return [b for b in content if isinstance(b, dict) and b.get("type") in THOUGHTS]


def _says_nothing(message: AIMessage) -> bool:
    """Whether there is nothing in an answer but thoughts, with which no server takes it back."""
    content = message.content
    blocks = [content] if isinstance(content, str) else content
    if any(map(says, blocks)):
        return False
    return not any(message.additional_kwargs.get(name) for name in _SAID_BESIDE)


def says(block: str | dict[str, Any]) -> bool:
    """Whether there is anything in a block: of a text only its words count, of thoughts nothing."""
    if isinstance(block, str):
        return has_words(block)
    kind = block.get("type")
    if kind == "text":
        return has_words(str(block.get("text") or ""))
    return bool(block) and kind not in THOUGHTS


def _is_signed(thought: Mapping[str, Any]) -> bool:
    extras = thought.get("extras") or {}
    return any(place.get(name) for place in (thought, extras) for name in ("signature", "data"))


# What clients send back of it: not a refusal, nor sources.
_SAID_BESIDE = ("audio", "function_call", "tool_outputs")
THOUGHTS = ("thinking", "redacted_thinking", "reasoning", "reasoning_content")
"""The kinds of blocks that show or keep a model's thoughts."""
