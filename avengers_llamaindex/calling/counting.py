"""The tokens of answers that have no place for them: texts, and objects of a class.

The backend says them to the framework's handlers, in the events of the chats and completions that
such an answer is made of.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from llama_index.core.instrumentation import get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.event_handlers import NullEventHandler
from llama_index.core.instrumentation.events.llm import (
    LLMChatEndEvent,
    LLMChatInProgressEvent,
    LLMChatStartEvent,
    LLMCompletionEndEvent,
    LLMCompletionInProgressEvent,
    LLMCompletionStartEvent,
)

from avengers_core.serving.watching.outcome import Tokens
from avengers_llamaindex.calling.usage import tokens_of
from avengers_llamaindex.events import Overhearing

_STARTS = (LLMChatStartEvent, LLMCompletionStartEvent)
_ENDS = (LLMChatEndEvent, LLMCompletionEndEvent)
_SAYS = (*_ENDS, LLMChatInProgressEvent, LLMCompletionInProgressEvent)

_open: ContextVar[Count | None] = ContextVar("avengers_llamaindex_count", default=None)


class Count:
    """The tokens of one answer, of however many chats.

    Attributes:
        tokens: of those that are over; what one of them does not say is unknown.
    """

    def __init__(self) -> None:
        self._over: Tokens | None = None
        self._running: Tokens | None = None
        self._depth = 0  # an LLM may answer a chat with a completion of its own

    @property
    def tokens(self) -> Tokens:
        """What is known by now; of a chat that was given up, what its chunks said."""
        parts = [part for part in (self._over, self._running) if part is not None]
        if not parts:
            return Tokens()
        return parts[0] if len(parts) == 1 else parts[0] + parts[1]

    def hear(self, event: Any) -> None:
        """Take note of what the framework says of a chat."""
        if isinstance(event, _STARTS):
            self._depth += 1
            self._running = self._running or Tokens()
        elif isinstance(event, _SAYS) and self._running is not None:
            said = tokens_of(event.response)
            self._running = self._running if said is None else self._running.joined(said)
            if isinstance(event, _ENDS):
                self._depth -= 1
                if self._depth == 0:
                    self._over, self._running = self.tokens, None

    @contextmanager
    def _listening(self) -> Iterator[None]:
        token = _open.set(self)
        try:
            yield
        finally:
            _open.reset(token)

    def asked(self, method: Any, *args: Any, **kwargs: Any) -> Any:
        """A method of a backend called, and its tokens counted as they come.

        Args:
            method: gives an answer, chunks, or what has to be awaited for either.
            args: for it, by position.
            kwargs: for it, by name.
        """
        root = get_dispatcher()
        if _handler not in root.event_handlers:
            root.add_event_handler(_handler)
        with self._listening():
            given = method(*args, **kwargs)
        return self._heard(given)

    def _heard(self, given: Any) -> Any:
        if isinstance(given, Awaitable):
            return self._awaited(given)
        if isinstance(given, AsyncIterator):
            return self._achunks(given)
        return self._chunks(given) if isinstance(given, Iterator) else given

    async def _awaited(self, given: Awaitable[Any]) -> Any:
        with self._listening():
            answer = await given
        return self._heard(answer)

    # Only while a chunk is made: what its reader does in between are other calls.

    def _chunks(self, chunks: Iterator[Any]) -> Iterator[Any]:
        try:
            while True:
                with self._listening():
                    try:
                        chunk = next(chunks)
                    except StopIteration:
                        return
                yield chunk
        finally:
            if hasattr(chunks, "close"):
                chunks.close()

    async def _achunks(self, chunks: AsyncIterator[Any]) -> AsyncIterator[Any]:
        try:
            while True:
                with self._listening():
                    try:
                        chunk = await anext(chunks)
                    except StopAsyncIteration:
                        return
                yield chunk
        finally:
            if hasattr(chunks, "aclose"):
                await chunks.aclose()


class _Handler(Overhearing, NullEventHandler):
    """Tells the count that is open here; nobody who listens, as far as others go."""

    @classmethod
    def class_name(cls) -> str:
        """Its name."""
        return "AvengersTokens"

    def handle(self, event: Any, **_: Any) -> None:
        """Hand it on."""
        if (count := _open.get()) is not None:
            count.hear(event)


_handler = _Handler()
