"""How a backend is asked: what it is to be called with, and which of its methods."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from inspect import signature
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.language_models.chat_models import (
    agenerate_from_stream,
    generate_from_stream,
)
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult

from avengers_core.serving.stopping import acut_stream, cut_stream
from avengers_langchain.calling.stopping import Cutting, cut_result


@dataclass
class BackendCall:
    """A backend and all that it is to be called with.

    Of a chat model it calls the four methods that its makers write (``_generate`` and its kin), so
    that there is one run and one count of tokens: the router's own.
    """

    backend: BaseChatModel = field(repr=False)  # its own may show headers
    messages: list[BaseMessage]
    arguments: dict[str, Any] = field(repr=False)
    cut: Sequence[str] = ()  # stop sequences that it does not know

    @property
    def streams(self) -> bool:
        """Whether it can stream, asynchronously at least through a thread."""
        kind = type(self.backend)
        return not self._streaming_disabled and (
            kind._stream is not BaseChatModel._stream or kind._astream is not BaseChatModel._astream
        )

    @property
    def streams_blocking(self) -> bool:
        """Whether it can stream without an event loop."""
        return self.streams and type(self.backend)._stream is not BaseChatModel._stream

    @property
    def _streaming_disabled(self) -> bool:
        disabled = self.backend.disable_streaming
        return (
            disabled is True
            or (disabled == "tool_calling" and bool(self.arguments.get("tools")))
            or not self.arguments.get("stream", True)
            or self._streaming is False
        )

    @property
    def _streaming(self) -> bool | None:
        """What the user says of it, in the chat models that let him."""
        streaming: bool | None = vars(self.backend).get("streaming")
        if streaming is None or "streaming" not in self.backend.model_fields_set:
            return None
        return streaming

    @property
    def _wants_stream(self) -> bool:
        """Whether a whole answer is to be fetched as a stream."""
        return bool(self.arguments.get("stream")) or self._streaming is True

    # What follows asks the methods that the framework has every chat model implement: its public
    # ones would each begin a run of their own, and answers come in the router's.

    def generate(self, run_manager: Any) -> ChatResult:
        """The backend's answer, under the router's own run."""
        if self._wants_stream and self.streams_blocking:
            return generate_from_stream(self.stream(run_manager))
        if self.backend.rate_limiter:
            self.backend.rate_limiter.acquire(blocking=True)
        result = self.backend._generate(
            self.messages,
            **self._arguments(type(self.backend)._generate, run_manager),
        )
        return cut_result(result, self.cut) if self.cut else result

    async def agenerate(self, run_manager: Any) -> ChatResult:
        """:meth:`generate`, asynchronously."""
        if self._wants_stream and self.streams:
            return await agenerate_from_stream(await self.astream(run_manager))
        if self.backend.rate_limiter:
            await self.backend.rate_limiter.aacquire(blocking=True)
        result = await self.backend._agenerate(
            self.messages,
            **self._arguments(type(self.backend)._agenerate, run_manager),
        )
        return cut_result(result, self.cut) if self.cut else result

    def stream(self, run_manager: Any) -> Iterator[ChatGenerationChunk]:
        """The backend's chunks; one, if it cannot stream."""
        if not self.streams_blocking:
            return iter([as_chunk(self.generate(run_manager))])
        if self.backend.rate_limiter:
            self.backend.rate_limiter.acquire(blocking=True)
        chunks = self.backend._stream(
            self.messages, **self._arguments(type(self.backend)._stream, run_manager)
        )
        return cut_stream(chunks, Cutting(self.cut)) if self.cut else chunks

    async def astream(self, run_manager: Any) -> AsyncIterator[ChatGenerationChunk]:
        """:meth:`stream`, asynchronously; whoever reads the chunks closes them."""
        if not self.streams:
            return _one(as_chunk(await self.agenerate(run_manager)))
        if self.backend.rate_limiter:
            await self.backend.rate_limiter.aacquire(blocking=True)
        chunks = self.backend._astream(
            self.messages, **self._arguments(type(self.backend)._astream, run_manager)
        )
        return acut_stream(chunks, Cutting(self.cut)) if self.cut else chunks

    def _arguments(self, method: Callable[..., Any], run_manager: Any) -> dict[str, Any]:
        # As the framework does: not every chat model's methods take a run manager.
        own = {"run_manager": run_manager} if _takes_run_manager(method) else {}
        return {"stop": None, **own, **self.arguments}


@lru_cache(maxsize=256)
def _takes_run_manager(method: Callable[..., Any]) -> bool:
    return "run_manager" in signature(method).parameters


async def _one(chunk: ChatGenerationChunk) -> AsyncIterator[ChatGenerationChunk]:
    yield chunk


def as_chunk(result: ChatResult) -> ChatGenerationChunk:
    """A whole answer as the only chunk of a stream."""
    generation = result.generations[0]
    message = generation.message
    only_ai = {}
    if isinstance(message, AIMessage):
        only_ai = {
            "usage_metadata": message.usage_metadata,
            "tool_calls": message.tool_calls,
            "invalid_tool_calls": message.invalid_tool_calls,
        }
    chunk = AIMessageChunk(
        content=message.content,
        additional_kwargs=message.additional_kwargs,
        response_metadata={**(result.llm_output or {}), **message.response_metadata},
        id=message.id,
        name=message.name,
        chunk_position="last",
        **only_ai,
    )
    return ChatGenerationChunk(message=chunk, generation_info=generation.generation_info)
