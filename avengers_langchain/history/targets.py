"""What kind of backend a chat model is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from langchain_core.language_models import BaseChatModel

from avengers_core.serving.history import (
    BEDROCK,
    GEMINI,
    MISTRAL,
    OPENAI,
    OPENAI_RESPONSES,
    OTHER,
    Dialect,
    Target,
    anthropic_dialect,
    compatible_dialect,
)

_COMPATIBLE = {
    "ChatDeepSeek",
    "ChatFireworks",
    "ChatGroq",
    "ChatHuggingFace",
    "ChatLiteLLM",
    "ChatMoonshot",
    "ChatOllama",
    "ChatOpenRouter",
    "ChatPerplexity",
    "ChatTogether",
    "ChatXAI",
}
_READ_REASONING = {"ChatDeepSeek", "ChatMoonshot", "ChatOpenAICompatible", "ChatOpenRouter"}


def target_of(
    model: str, backend: BaseChatModel, arguments: Mapping[str, Any] | None = None
) -> Target:
    """A backend as the target of a history.

    Args:
        model: what the router calls it.
        backend: the chat model; it is told by its classes, so that no package has to be installed.
        arguments: what the call passes to it, such as ``thinking``.
    """
    name = _remote_name(backend)
    dialect = _dialect(name, backend, arguments or {})
    if (backend.profile or {}).get("mid_conversation_system_messages"):
        dialect = replace(dialect, system_in_middle="before answers")
    reads = bool(_classes(backend) & _READ_REASONING)
    tools = bool((arguments or {}).get("tools"))
    return Target(model, dialect, name or None, reads_reasoning=reads, tools=tools)


def _remote_name(backend: BaseChatModel) -> str:
    for field in ("model_name", "model", "model_id"):
        if isinstance(name := getattr(backend, field, None), str):
            return name.removeprefix("models/")
    return ""


def _dialect(name: str, backend: BaseChatModel, arguments: Mapping[str, Any]) -> Dialect:
    classes = _classes(backend)
    if classes & {"ChatBedrock", "ChatBedrockConverse", "ChatAnthropicBedrock"}:
        return BEDROCK
    if classes & {"ChatAnthropic", "ChatAnthropicVertex"}:
        thinking = getattr(backend, "thinking", None) or arguments.get("thinking")
        told = isinstance(thinking, Mapping) and thinking.get("type") == "enabled"
        return anthropic_dialect(name, told)
    if classes & {"ChatGoogleGenerativeAI", "ChatVertexAI"}:
        return GEMINI
    if "ChatMistralAI" in classes:
        return MISTRAL
    if classes & _COMPATIBLE:
        return compatible_dialect(name)
    if "BaseChatOpenAI" in classes:
        if _asks_responses(backend, arguments):
            return OPENAI_RESPONSES
        return OPENAI if _is_openai(backend) else compatible_dialect(name)
    return OTHER


def _classes(backend: BaseChatModel) -> set[str]:
    return {parent.__name__ for parent in type(backend).__mro__}


def _is_openai(backend: Any) -> bool:
    """Whether a client for OpenAI's protocol asks OpenAI itself, or Azure."""
    if getattr(backend, "azure_endpoint", None):
        return True
    host = urlsplit(getattr(backend, "openai_api_base", None) or "").hostname
    return host is None or host.endswith((".openai.com", ".azure.com"))


def _asks_responses(backend: Any, arguments: Mapping[str, Any]) -> bool:
    # Where the user does not say, ChatOpenAI decides for each call, and tells nobody but these two.
    said = getattr(backend, "use_responses_api", None)
    decide = getattr(backend, "_use_responses_api", None)
    defaults = getattr(backend, "_default_params", None)
    if isinstance(said, bool) or decide is None or defaults is None:
        return bool(said)
    return bool(decide({**defaults, **arguments}))
