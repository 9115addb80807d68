"""The chat model for OpenAI-compatible endpoints that are not OpenAI's: it shows reasoning.

``ChatOpenAI`` reads what OpenAI's own endpoint sends. Others send reasoning, and some want it back
with each tool call of a loop (:mod:`avengers_core.serving.history.reasoning`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import (
    AIMessage,
    AIMessageChunk,
    BaseMessage,
    HumanMessage,
    convert_to_messages,
)
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_openai import ChatOpenAI

from avengers_core.serving.history import compatible_dialect
from avengers_core.serving.history.reasoning import (
    CONTENT,
    KEPT,
    Reasoning,
    Thought,
    write_back,
)

_SENT = "sent"


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
            reasoning = Reasoning.of(choice.get("message"))
            _show(generation.message, reasoning)
            generation.message.additional_kwargs |= reasoning.kept
        (result.llm_output or {}).pop("model_provider", None)
        return result

    def _convert_chunk_to_generation_chunk(
        self, chunk: dict[str, Any], *arguments: Any, **options: Any
    ) -> ChatGenerationChunk | None:
        made = super()._convert_chunk_to_generation_chunk(chunk, *arguments, **options)
        if made is not None:
            choices = chunk.get("choices") or (chunk.get("chunk") or {}).get("choices") or ()
            delta = choices[0].get("delta") if choices else None
            _show(made.message, Reasoning.of(delta))
            # That it says how it ends tells a stream that was cut off from one that never says.
            made.generation_info = {
                "finish_reason": None,
                **(made.generation_info or {}),
                _SENT: delta or {},
            }
        return made

    def _get_generation_chunk_from_completion(self, completion: Any) -> ChatGenerationChunk:
        last = super()._get_generation_chunk_from_completion(completion)
        for name in (CONTENT, *KEPT):  # the chunks before had it
            last.message.additional_kwargs.pop(name, None)
        return last

    def _stream(self, *arguments: Any, **options: Any) -> Iterator[ChatGenerationChunk]:
        whole = Reasoning()
        for chunk in super()._stream(*arguments, **options):
            yield _gathered(chunk, whole)
        yield from _rest(whole)

    async def _astream(self, *arguments: Any, **options: Any) -> AsyncIterator[ChatGenerationChunk]:
        whole = Reasoning()
        async for chunk in super()._astream(*arguments, **options):
            yield _gathered(chunk, whole)
        for chunk in _rest(whole):
            yield chunk

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        payload: dict[str, Any] = super()._get_request_payload(input_, stop=stop, **kwargs)
        messages = convert_to_messages([input_] if isinstance(input_, str) else input_)
        told = compatible_dialect(self.model_name).foreign_calls == "told"
        thoughts = list(map(_thought, messages))
        if told or any(thought.kept for thought in thoughts):
            write_back(thoughts, payload.get("messages", ()), wants_text=told)
        return payload


def _thought(message: BaseMessage) -> Thought:
    if not isinstance(message, AIMessage):
        return Thought("user" if isinstance(message, HumanMessage) else "tool")
    beside = message.additional_kwargs
    kept = {name: beside[name] for name in KEPT if name in beside}
    text = str(beside.get(CONTENT) or "")
    return Thought("assistant", bool(message.tool_calls), text, kept)


def _show(message: BaseMessage, reasoning: Reasoning) -> None:
    # By this mark the framework reads it as OpenAI's, which sends no reasoning.
    message.response_metadata.pop("model_provider", None)
    if reasoning.text:
        message.additional_kwargs[CONTENT] = reasoning.text


def _gathered(chunk: ChatGenerationChunk, whole: Reasoning) -> ChatGenerationChunk:
    """A chunk of a stream; that with which an answer ends has what is kept of its reasoning.

    The framework would put the pieces together by index alone, and write formats twice.
    """
    info = chunk.generation_info or {}
    whole.add(info.pop(_SENT, {}))
    if info.get("finish_reason") and whole.kept:
        chunk.message.additional_kwargs |= whole.kept
        whole.clear()
    return chunk


def _rest(whole: Reasoning) -> Iterator[ChatGenerationChunk]:
    if kept := whole.kept:
        yield ChatGenerationChunk(message=AIMessageChunk(content="", additional_kwargs=kept))
