"""What kind of backend a chat model is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from langchain_core.language_models import BaseChatModel

from avengers_core.serving.history import (
    BEDROCK,
    CACHE_MARKS,
    GEMINI,
    MISTRAL,
    MOONSHOT,
    OLLAMA,
    OPENAI,
    OPENAI_RESPONSES,
    OTHER,
    PERPLEXITY,
    XAI,
    Dialect,
    Target,
    anthropic_dialect,
    compatible_dialect,
)
from avengers_core.serving.history.clients import class_names, is_openai
from avengers_langchain.history.marks import marks_in

_COMPATIBLE = {
    "AzureAIChatCompletionsModel",
    "ChatCohere",
    "ChatDatabricks",
    "ChatDeepSeek",
    "ChatFireworks",
    "ChatGroq",
    "ChatHuggingFace",
    "ChatLiteLLM",
    "ChatLlamaCpp",
    "ChatNVIDIA",
    "ChatOpenRouter",
    "ChatTogether",
    "ChatTongyi",
    "ChatZhipuAI",
}
# What their clients make of a file or a sound, their servers do not take.
_ONLY_PICTURES = {
    "ChatCerebras",
    "ChatCohere",
    "ChatDeepSeek",
    "ChatFireworks",
    "ChatGroq",
    "ChatMistralAI",
    "ChatOllama",
    "ChatTogether",
    "ChatXAI",
}
_GATEWAYS = {"ChatLiteLLM", "ChatOpenRouter"}
_BY_CLASS = {"ChatMistralAI": MISTRAL, "ChatPerplexity": PERPLEXITY, "ChatXAI": XAI}
_ADDRESSES = {"ChatOllama": OLLAMA, "ChatMoonshot": MOONSHOT}
# What OpenAI's chat completions do not have: settings of a ``ChatOpenAI``, arguments of a call, and
# models that answer in Responses only.
_SETTINGS_OF_RESPONSES = ("context_management", "include", "reasoning", "truncation")
_ARGUMENTS_OF_RESPONSES = {*_SETTINGS_OF_RESPONSES, "previous_response_id", "text"}
_NEED_RESPONSES = ("gpt-5-pro", "gpt-5.2-pro", "gpt-5.4-pro", "gpt-5.5-pro", "gpt-5.6-sol")
_READ_REASONING = {
    "ChatDeepSeek",
    "ChatFireworks",
    "ChatMoonshot",
    "ChatOpenAICompatible",
    "ChatOpenRouter",
}
# The class itself: one that is made of it may be there to mend just this
# (https://github.com/langchain-ai/langchain/issues/34166).
_DROPS_REASONING = "ChatDeepSeek"


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
    classes = class_names(type(backend))
    dialect = _dialect(name, backend, arguments or {})
    if classes & _ONLY_PICTURES:
        dialect = replace(dialect, files=frozenset(), audio=frozenset())
    if classes & _GATEWAYS:
        dialect = replace(dialect, beside_texts=CACHE_MARKS)
    if (backend.profile or {}).get("mid_conversation_system_messages"):
        dialect = replace(dialect, system_in_middle="before answers")
    reads = bool(classes & _READ_REASONING)
    drops = type(backend).__name__ == _DROPS_REASONING
    tools = bool((arguments or {}).get("tools"))
    marks = 0 if dialect.cache_marks is None else marks_in(arguments or {})
    return Target(
        model,
        dialect,
        name or None,
        reads_reasoning=reads,
        drops_reasoning=drops,
        tools=tools,
        marks=marks,
        samples=getattr(backend, "temperature", None) is not None,
    )


def _remote_name(backend: BaseChatModel) -> str:
    for field in ("model_name", "model", "model_id"):
        if isinstance(name := getattr(backend, field, None), str):
            return name.removeprefix("models/")
    return ""


def _dialect(name: str, backend: BaseChatModel, arguments: Mapping[str, Any]) -> Dialect:
    classes = class_names(type(backend))
    if classes & {"ChatBedrock", "ChatBedrockConverse", "ChatAnthropicBedrock"}:
        return BEDROCK
    if classes & {"ChatAnthropic", "ChatAnthropicVertex"}:
        thinking = getattr(backend, "thinking", None) or arguments.get("thinking")
        told = isinstance(thinking, Mapping) and thinking.get("type") == "enabled"
        return anthropic_dialect(name, told)
    if classes & {"ChatGoogleGenerativeAI", "ChatVertexAI"}:
        return GEMINI
    for known, dialect in _BY_CLASS.items():
        if known in classes:
            return dialect
    for known, place in _ADDRESSES.items():
        if known in classes:
            return compatible_dialect(name, place)
    if classes & _COMPATIBLE:
        return compatible_dialect(name)
    if "BaseChatOpenAI" in classes:
        if _asks_responses(backend, arguments):
            return OPENAI_RESPONSES
        address = getattr(backend, "openai_api_base", None)
        if getattr(backend, "azure_endpoint", None) or is_openai(address):
            return OPENAI
        return compatible_dialect(name, address)
    return OTHER


def _asks_responses(backend: Any, arguments: Mapping[str, Any]) -> bool:
    """Whether a ``ChatOpenAI`` asks Responses in a call, by what is public of it.

    Where the user does not say, it decides for each call by the same: newer versions know more
    models that need Responses, and say so in ``use_responses_api`` as soon as they are made.
    """
    said = getattr(backend, "use_responses_api", None)
    if isinstance(said, bool):
        return said
    name = str(getattr(backend, "model_name", None) or "")
    sent = {**(getattr(backend, "model_kwargs", None) or {}), **arguments}
    tools = sent.get("tools") or ()
    return (
        getattr(backend, "output_version", None) == "responses/v1"
        or bool(getattr(backend, "use_previous_response_id", None))
        or any(getattr(backend, field, None) is not None for field in _SETTINGS_OF_RESPONSES)
        or not _ARGUMENTS_OF_RESPONSES.isdisjoint(sent)
        or "codex" in name
        or name.startswith(_NEED_RESPONSES)
        or (bool(tools) and name.lower().startswith("gpt-6"))
        or any(isinstance(t, Mapping) and t.get("type", "function") != "function" for t in tools)
    )


def in_its_protocol(backend: BaseChatModel, arguments: Mapping[str, Any]) -> BaseChatModel:
    """A chat model that speaks in a call the protocol for which :func:`target_of` shapes it.

    Args:
        backend: itself, but for a ``ChatOpenAI`` that would decide for each call and is about to
            ask Responses: a copy of it that has to, and shares its clients. Where this side knows
            no reason for Responses, it is left to decide: it may know models that this does not.
        arguments: all that the call passes to it, its tools too.
    """
    undecided = getattr(backend, "use_responses_api", False) is None
    if not undecided or not _asks_responses(backend, arguments):
        return backend
    if _dialect(_remote_name(backend), backend, arguments) is not OPENAI_RESPONSES:
        return backend  # another class that has the field
    return backend.model_copy(update={"use_responses_api": True})
