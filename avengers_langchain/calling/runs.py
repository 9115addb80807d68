"""The run of a call, also where the framework does not tell it: traces name who answers."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from langchain_core.callbacks import (
    AsyncCallbackManagerForLLMRun,
    BaseCallbackHandler,
    BaseCallbackManager,
    CallbackManagerForLLMRun,
    Callbacks,
)
from langchain_core.language_models import BaseChatModel, LanguageModelInput
from langchain_core.messages import AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import RunnableConfig
from langchain_core.runnables.config import var_child_runnable_config
from langchain_core.tracers.base import BaseTracer
from typing_extensions import Self

from avengers_langchain.calling.callbacks import current_run


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

    run_id: UUID | None
    handlers: Sequence[Any]
    tags: list[str] | None = None
    metadata: dict[str, Any] | None = None


class _Shared(list[BaseCallbackHandler]):
    """The handlers of a run that is about to begin.

    To a copy of them the framework adds its own and the chat model's, so a copy is the same list:
    in the end it has all of them, without configuring them twice. That its own are then told of
    runs below it too makes no difference: a stream has none.
    """

    def copy(self) -> Self:
        return self

    def __bool__(self) -> bool:
        return True  # the framework makes a list of its own in place of an empty one


_streamed: ContextVar[Any] = ContextVar("avengers_streamed_run", default=None)


def streamed_run() -> Any:
    """The run of the stream that begins here, if one does: its manager, or what stands for it."""
    known = _streamed.get()
    return StreamedRun(current_run().id, known) if isinstance(known, _Shared) else known


def sharing(config: RunnableConfig | None) -> tuple[RunnableConfig, _Shared]:
    """A config for a stream, and the handlers that its run will have."""
    config = config or {}
    given = config.get("callbacks")
    if given is None:  # as the framework does
        given = (var_child_runnable_config.get() or {}).get("callbacks")
    callbacks: Callbacks
    if isinstance(given, BaseCallbackManager):
        callbacks = given.copy()
        callbacks.handlers = handlers = _Shared(given.handlers)
    else:
        callbacks = handlers = _Shared(given or ())
    return {**config, "callbacks": callbacks}, handlers


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
        config, handlers = sharing(config)
        chunks = super().stream(input, config, stop=stop, **kwargs)
        token = _streamed.set(handlers)  # the first chunk tells who answers
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
        config, handlers = sharing(config)
        chunks = super().astream(input, config, stop=stop, **kwargs)
        try:
            token = _streamed.set(handlers)
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
