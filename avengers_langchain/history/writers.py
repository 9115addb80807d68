"""Who wrote a message."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from avengers_core.serving.history import Dialect, Target
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
    elif message.content and not calls:
        return True  # as most are
    if not calls:
        return not _says_nothing(message)
    # `ChatOpenAI` does not read the reasoning that has to come back with a call.
    lost = target.wants_reasoning and not target.reads_reasoning
    if lost and not any(message.additional_kwargs.get(name) for name in (CONTENT, *KEPT)):
        return False
    says = not dialect.text_with_calls and bool(message.text)
    return target.takes_back(says=says, broken=bool(broken))


def _is_broken_off(message: AIMessage, dialect: Dialect) -> bool:
    """Whether a stream ended in the middle of its thoughts: a signature, or the item that these
    belong to, never came."""
    if dialect.name.startswith("anthropic") and "stop_reason" not in message.response_metadata:
        return not all(map(_is_signed, thoughts_of(message)))
    if dialect.name == "openai responses" and not message.tool_calls:
        return thoughts_of(message)[-1:] == message.content[-1:] != []
    return False


def thoughts_of(message: BaseMessage) -> list[dict[str, Any]]:
    """The blocks of an answer that show its thoughts."""
    content = message.content if isinstance(message.content, list) else ()
    return [b for b in content if isinstance(b, dict) and b.get("type") in _THOUGHTS]


def _says_nothing(message: AIMessage) -> bool:
    """Whether there is nothing in an answer but thoughts, with which no server takes it back."""
    content = message.content
    if content and (isinstance(content, str) or not all(map(_is_no_word, content))):
        return False
    beside = message.additional_kwargs.items()
    return not any(value for name, value in beside if name not in (CONTENT, *KEPT))


def _is_no_word(block: str | dict[str, Any]) -> bool:
    if isinstance(block, str):
        return not block
    kind = block.get("type")
    return kind in _THOUGHTS or (kind == "text" and not block.get("text"))


def _is_signed(thought: Mapping[str, Any]) -> bool:
    extras = thought.get("extras") or {}
    return any(place.get(name) for place in (thought, extras) for name in ("signature", "data"))


_THOUGHTS = ("thinking", "redacted_thinking", "reasoning")
