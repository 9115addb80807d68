"""What kind of backend an LLM is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.base.llms.types import LLMMetadata
from llama_index.core.llms.custom import CustomLLM

from avengers_core.serving.history import (
    BEDROCK,
    GEMINI,
    MISTRAL,
    OLLAMA,
    OPENAI,
    OPENAI_RESPONSES,
    OTHER,
    PERPLEXITY,
    TEXT_ONLY,
    Dialect,
    MediaKind,
    Target,
    anthropic_dialect,
    compatible_dialect,
    is_gemini_3_or_later,
)
from avengers_core.serving.history.clients import class_names, is_openai

_NOTHING: frozenset[Any] = frozenset()
_GEMINI = {"GoogleGenAI", "Gemini", "Vertex"}
_BY_CLASS = {"MistralAI": MISTRAL, "Perplexity": PERPLEXITY}
_COMPATIBLE = {"OpenAILike", "Cohere", "HuggingFaceInferenceAPI", "LiteLLM", "NVIDIA", "ZhipuAI"}
# What their clients make of a file or a sound, their servers do not take.
_ONLY_PICTURES = {"Cerebras", "Cohere", "DeepSeek", "Fireworks", "Groq", "TogetherLLM"}
_KEEPS_REASONING = "KeylessOpenAILike"  # and writes it back itself


def target_of(model: str, backend: BaseLLM, *, tools: bool = False) -> Target:
    """A backend as the target of a history.

    Args:
        model: what the router calls it.
        backend: the LLM; it is told by its classes, so that no package has to be installed.
        tools: whether the call defines tools.
    """
    name = getattr(backend, "model", None)
    name = name.removeprefix("models/") if isinstance(name, str) else ""
    classes = class_names(type(backend))
    dialect = _dialect(name, backend, classes)
    if classes & _ONLY_PICTURES:
        dialect = replace(dialect, files=_NOTHING, audio=_NOTHING)
    writes = writes_into_messages(backend)
    reads = _KEEPS_REASONING in classes
    return Target(
        model,
        dialect,
        name or None,
        copies=writes,
        reads_reasoning=reads,
        tools=tools,
        samples=dialect.protocol == "anthropic",
    )


def writes_into_messages(backend: BaseLLM) -> bool:
    """Whether an LLM writes into the messages that it is given."""
    marks = vars(backend).get("cache_idx") is not None  # a field of few classes
    return marks or not _GEMINI.isdisjoint(class_names(type(backend)))


def metadata_of(backend: BaseLLM) -> LLMMetadata:
    """What an LLM says of itself; the framework's default where its class does not know its model,
    such as one that came out later: asked, it says so, and the next is asked in its place."""
    try:
        return backend.metadata
    except ValueError:
        return LLMMetadata(is_chat_model=True, is_function_calling_model=True)


def _dialect(name: str, backend: Any, classes: frozenset[str]) -> Dialect:
    if "BedrockConverse" in classes:
        return BEDROCK
    if "Anthropic" in classes:
        thinking = getattr(backend, "thinking_dict", None)
        told = isinstance(thinking, Mapping) and thinking.get("type") == "enabled"
        # The client fetches and encodes whatever it is given itself, and has no names of uploads.
        return replace(anthropic_dialect(name, told), upload=None)
    if classes & _GEMINI:
        # What its client makes of a picture in a result, older ones refuse:
        # https://ai.google.dev/gemini-api/docs/function-calling#multimodal
        shown: frozenset[MediaKind] = frozenset({"image"})
        if not is_gemini_3_or_later(name):
            shown = _NOTHING
        return replace(GEMINI, audio=_NOTHING, in_results=shown, joins_own=True)
    for known, dialect in _BY_CLASS.items():
        if known in classes:
            return dialect
    if "OpenAIResponses" in classes:
        return OPENAI_RESPONSES
    if not metadata_of(backend).is_chat_model or type(backend).chat is CustomLLM.chat:
        return TEXT_ONLY
    if "Ollama" in classes:
        return compatible_dialect(name, OLLAMA)
    if classes & _COMPATIBLE:
        return compatible_dialect(name, getattr(backend, "api_base", None))
    if "OpenAI" in classes:
        address = backend.api_base
        return OPENAI if is_openai(address) else compatible_dialect(name, address)
    return OTHER
