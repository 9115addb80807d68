"""Settings that a class takes with each call only, where the call leaves no room for them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    CompletionResponse,
    CompletionResponseAsyncGen,
    CompletionResponseGen,
    LLMMetadata,
)
from llama_index.core.bridge.pydantic import PrivateAttr
from llama_index.core.llms.llm import LLM

OF_TEXTS = frozenset({"predict", "apredict", "stream", "astream"})
"""Methods whose arguments by name are all variables of a template."""


class TellingLLM(LLM):
    """An LLM that says the same beside each call of another; for the methods of :data:`OF_TEXTS`.

    Args:
        llm: the other.
        said: arguments by name of its ``chat`` and ``complete``.
    """

    _llm: LLM = PrivateAttr()
    _said: Mapping[str, Any] = PrivateAttr()

    def __init__(self, llm: LLM, said: Mapping[str, Any]) -> None:
        # What the methods of a template make of it: prompts, parsers, callbacks.
        super().__init__(**{name: getattr(llm, name) for name in LLM.model_fields})
        self._llm = llm
        self._said = said

    @property
    def metadata(self) -> LLMMetadata:
        return self._llm.metadata

    def chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return self._llm.chat(messages, **{**self._said, **kwargs})

    async def achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return await self._llm.achat(messages, **{**self._said, **kwargs})

    def stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        return self._llm.stream_chat(messages, **{**self._said, **kwargs})

    async def astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        return await self._llm.astream_chat(messages, **{**self._said, **kwargs})

    def complete(self, prompt: str, formatted: bool = False, **kwargs: Any) -> CompletionResponse:
        return self._llm.complete(prompt, formatted, **{**self._said, **kwargs})

    async def acomplete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponse:
        return await self._llm.acomplete(prompt, formatted, **{**self._said, **kwargs})

    def stream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseGen:
        return self._llm.stream_complete(prompt, formatted, **{**self._said, **kwargs})

    async def astream_complete(
        self, prompt: str, formatted: bool = False, **kwargs: Any
    ) -> CompletionResponseAsyncGen:
        return await self._llm.astream_complete(prompt, formatted, **{**self._said, **kwargs})
