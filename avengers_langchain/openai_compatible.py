"""The chat model for OpenAI-compatible endpoints that are not OpenAI's: it shows reasoning.

``ChatOpenAI`` reads what OpenAI's own endpoint sends. Others send their reasoning as
``reasoning_content`` or ``reasoning``, and some want it back with each tool call of a loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI

from avengers_core.serving.history import compatible_dialect

_REASONING = "reasoning_content"


class ChatOpenAICompatible(ChatOpenAI):
    """A ``ChatOpenAI`` that shows reasoning as the framework does, in ``content_blocks``, and sends
    it back to those models that want it."""

    def _create_chat_result(
        self, response: Any, generation_info: dict[str, Any] | None = None
    ) -> ChatResult:
        result = super()._create_chat_result(response, generation_info)
        answers = response if isinstance(response, dict) else response.model_dump()
        choices = answers.get("choices") or ()
        for generation, choice in zip(result.generations, choices, strict=False):
            _show(generation.message, choice.get("message"))
        (result.llm_output or {}).pop("model_provider", None)
        return result

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], *arguments: Any, **options: Any
    ) -> ChatGenerationChunk | None:
        made = super()._convert_chunk_to_generation_chunk(chunk, *arguments, **options)
        if made is not None:
            choices = chunk.get("choices") or (chunk.get("chunk") or {}).get("choices") or ()
            _show(made.message, choices[0].get("delta") if choices else None)
            # That it says how it ends tells a stream that was cut off from one that never says.
            made.generation_info = {"finish_reason": None, **(made.generation_info or {})}
        return made

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        if compatible_dialect(self.model_name).foreign_calls == "told":
            messages = self._convert_input(input_).to_messages()
            for message, sent in zip(messages, payload.get("messages", ()), strict=False):
                reasoning = message.additional_kwargs.get(_REASONING)
                if reasoning and isinstance(message, AIMessage):
                    sent[_REASONING] = reasoning
        return payload


def _show(message: BaseMessage, sent: Mapping[str, Any] | None) -> None:
    # By this mark the framework reads it as OpenAI's, which sends no reasoning.
    message.response_metadata.pop("model_provider", None)
    reasoning = (sent or {}).get(_REASONING) or (sent or {}).get("reasoning")
    if isinstance(reasoning, str) and reasoning:
        message.additional_kwargs[_REASONING] = reasoning
