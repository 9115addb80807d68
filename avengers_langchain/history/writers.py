"""Who wrote a message."""

from __future__ import annotations

from langchain_core.messages import AIMessage, BaseMessage

from avengers_core.serving.history import Target
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
    if target.wants_reasoning and not target.reads_reasoning and _lost_its_reasoning(message):
        return False
    if writer is not None:
        return writer == target.model
    name = metadata.get("model_name") or metadata.get("model")
    return provider is not None and name is not None and name == target.remote_name


def _lost_its_reasoning(message: BaseMessage) -> bool:
    """Whether a call comes without the reasoning that has to come back with it: ``ChatOpenAI``
    does not read it."""
    calls = isinstance(message, AIMessage) and message.tool_calls
    return bool(calls) and not any(message.additional_kwargs.get(name) for name in (CONTENT, *KEPT))
