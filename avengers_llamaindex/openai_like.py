"""The OpenAI-compatible LLM that the plugin makes where the user gives none."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ChatResponseAsyncGen,
    ChatResponseGen,
    MessageRole,
    ThinkingBlock,
)
from llama_index.llms.openai.utils import to_openai_message_dicts
from llama_index.llms.openai_like import OpenAILike  # type: ignore[import-untyped]
from pydantic import Field

from avengers_core.serving.history import compatible_dialect
from avengers_core.serving.history.reasoning import (
    SIGNED,
    Reasoning,
    Thought,
    write_back,
)
from avengers_llamaindex.history.reading import calls_of, kept_of, reasoning_of
from avengers_llamaindex.history.writers import ANSWERS


class KeylessOpenAILike(OpenAILike):  # type: ignore[misc]
    """An ``OpenAILike`` that does not show its key, sends no temperature unless told one, and
    shows all reasoning, which it sends back to those models that want it.

    LlamaIndex sends a temperature of 0.1 by itself, which some models refuse.
    """

    api_key: str | None = Field(default=None, repr=False, exclude=True)
    temperature: float | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"temperature": None, **options})

    def _get_model_kwargs(self, **given: Any) -> dict[str, Any]:
        arguments: dict[str, Any] = super()._get_model_kwargs(**given)
        if arguments.get("temperature") is None:
            arguments.pop("temperature", None)
        return {**arguments, **given}  # what is said of a call goes before what is set

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("it holds a key; pickle the AvengersLLM, which makes it again")

    # -- reasoning --

    def _chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return _shown(super()._chat(messages, **self._with_reasoning(messages, kwargs)))

    async def _achat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponse:
        return _shown(await super()._achat(messages, **self._with_reasoning(messages, kwargs)))

    def _stream_chat(self, messages: Sequence[ChatMessage], **kwargs: Any) -> ChatResponseGen:
        chunks = super()._stream_chat(messages, **self._with_reasoning(messages, kwargs))

        def shown() -> ChatResponseGen:
            whole = Reasoning()
            for chunk in chunks:
                yield _shown(chunk, whole)

        return shown()

    async def _astream_chat(
        self, messages: Sequence[ChatMessage], **kwargs: Any
    ) -> ChatResponseAsyncGen:
        chunks = await super()._astream_chat(messages, **self._with_reasoning(messages, kwargs))

        async def shown() -> ChatResponseAsyncGen:
            whole = Reasoning()
            async for chunk in chunks:
                yield _shown(chunk, whole)

        return shown()

    def _with_reasoning(
        self, messages: Sequence[ChatMessage], arguments: dict[str, Any]
    ) -> dict[str, Any]:
        """A call's arguments, with the messages in them where reasoning has to go back: OpenAI's
        client has no place for it in the messages themselves."""
        told = compatible_dialect(self.model).foreign_calls == "told"
        thoughts = list(map(_thought, messages))
        if not told and not any(thought.kept for thought in thoughts):
            return arguments
        written: Any = to_openai_message_dicts(messages, model=self.model)
        if not write_back(thoughts, written, wants_text=told):
            return arguments
        body = {**self.additional_kwargs.get("extra_body", {}), **arguments.get("extra_body", {})}
        return {**arguments, "extra_body": {**body, "messages": written}}


def _thought(message: ChatMessage) -> Thought:
    if message.role not in ANSWERS:
        return Thought("user" if message.role == MessageRole.USER else "tool")
    calls = bool(calls_of(message))
    return Thought("assistant", calls, reasoning_of(message), kept_of(message))


def _shown(response: ChatResponse, whole: Reasoning | None = None) -> ChatResponse:
    """A response, or a chunk of one, with a block of all reasoning so far.

    Args:
        response: as the framework's client reads it, which in a stream is all until then.
        whole: what came of the reasoning of a stream before.
    """
    reasoning = Reasoning() if whole is None else whole
    added = ""
    for choice in getattr(response.raw, "choices", None) or ():
        said = getattr(choice, "delta", None) or getattr(choice, "message", None)
        added = reasoning.add(_sent(said))
        break
    if not reasoning:
        return response
    blocks = [b for b in response.message.blocks if not isinstance(b, ThinkingBlock)]
    thought = ThinkingBlock(content=reasoning.text, additional_information=reasoning.kept)
    response.message.blocks = [thought, *blocks]
    if added and whole is not None:
        response.additional_kwargs["thinking_delta"] = added
    return response


def _sent(said: Any) -> dict[str, Any]:
    """A message or delta as the server sent it, as far as OpenAI's client does not know it."""
    calls = [
        {"id": call.id, SIGNED: signed}
        for call in getattr(said, "tool_calls", None) or ()
        if (signed := getattr(call, SIGNED, None))
    ]
    return {**(getattr(said, "model_extra", None) or {}), "tool_calls": calls}
