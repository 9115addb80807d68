"""The run of a call, also where the framework does not tell it: traces name who answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    BaseCallbackHandler,
    BaseCallbackManager,
    CallbackManagerForLLMRun,
)
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import ensure_config
from langchain_core.tracers.base import BaseTracer
from langchain_core.utils.uuid import uuid7
from typing_extensions import Self


def tag_run(known: Any, model: str, traced: Mapping[str, str]) -> None:
    """Tag a run with who answered it, also in the tracers that have begun it already.

    Args:
        known: its manager or what stands for it, if there is one.
        model: who answered.
        traced: what traces call it and its provider (``ls_provider``, ``ls_model_name``).
    """
    if known is None:
        return
    tag = f"avengers:{model}"
    known.tags = [*(known.tags or ()), tag]
    known.metadata = {**(known.metadata or {}), **traced}
    run_id = known.run_id
    for handler in known.handlers:
        runs = getattr(handler, "run_map", None)
        run = (runs.get(str(run_id)) or runs.get(run_id)) if runs else None
        if run is not None and isinstance(handler, BaseTracer):
            run.tags = [*(run.tags or ()), tag]
            run.extra = {**run.extra, "metadata": {**run.extra.get("metadata", {}), **traced}}
        elif isinstance(run, dict) and isinstance(run.get("metadata"), dict):  # of astream_events
            run["metadata"] = {**run["metadata"], **traced}
        streamed = getattr(handler, "metadata", None)
        if isinstance(streamed, dict) and isinstance(of_run := streamed.get(run_id), tuple):
            # What LangGraph hands out beside each message with stream_mode="messages".
            streamed[run_id] = tuple(
                {**part, **traced} if isinstance(part, dict) else part for part in of_run
            )


@dataclass
class StreamedRun:
    """The run of a stream, of which the framework tells a chat model nothing.

    It has what :func:`tag_run` wants of a run manager.
    """

    run_id: UUID
    handlers: Sequence[Any]
    tags: list[str] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)


_streamed: ContextVar[Any] = ContextVar("avengers_streamed_run", default=None)


def streamed_run() -> Any:
    """The run of the stream that begins here, if one does: its manager, or what stands for it."""
    return _streamed.get()


class _Shared(list[BaseCallbackHandler]):
    """The handlers of a run that is about to begin.

    To a copy of them the framework adds its own and the chat model's, so a copy is the same list:
    in the end it has all of them, without configuring them twice.
    """

    def copy(self) -> Self:
        return self


def known_run(config: RunnableConfig | None) -> tuple[RunnableConfig, StreamedRun]:
    """A config whose run is known before it begins, and that run."""
    config = ensure_config(config)
    given = config.get("callbacks")
    if not isinstance(given, BaseCallbackManager):
        given = BaseCallbackManager(given or [], given)
    given.handlers = handlers = _Shared(given.handlers)
    run_id = config.get("run_id") or uuid7()
    return {**config, "callbacks": given, "run_id": run_id}, StreamedRun(run_id, handlers)


class KnowsItsRun(BaseChatModel):
    """A chat model whose ``_stream`` and ``_astream`` can ask for :func:`streamed_run`."""

    def stream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> Iterator[AIMessageChunk]:
        """The answer in parts, as they come."""
        config, run = known_run(config)
        chunks = super().stream(input, config, stop=stop, **kwargs)
        token = _streamed.set(run)  # the first chunk tells who answers
        try:
            first = next(chunks, None)
        finally:
            _streamed.reset(token)
        if first is not None:
            yield first
        yield from chunks

    async def astream(
        self,
        input: LanguageModelInput,
        config: RunnableConfig | None = None,
        *,
        stop: list[str] | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[AIMessageChunk]:
        """:meth:`stream`, asynchronously."""
        config, run = known_run(config)
        chunks = super().astream(input, config, stop=stop, **kwargs)
        try:
            token = _streamed.set(run)
            try:
                first = await anext(chunks, None)
            finally:
                _streamed.reset(token)
            if first is not None:
                yield first
            async for chunk in chunks:
                yield chunk
        finally:
            if isinstance(chunks, AsyncGenerator):
                await chunks.aclose()

    # A whole answer is streamed too, where somebody listens for its words.

    def _generate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        token = _streamed.set(run_manager)
        try:
            return super()._generate_with_cache(messages, stop, run_manager, **kwargs)
        finally:
            _streamed.reset(token)

    async def _agenerate_with_cache(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        token = _streamed.set(run_manager)
        try:
            return await super()._agenerate_with_cache(messages, stop, run_manager, **kwargs)
        finally:
            _streamed.reset(token)
