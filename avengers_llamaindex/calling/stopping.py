"""Answers cut at a stop sequence, where the LLM that gives them has none."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Iterator, Sequence
from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    CompletionResponse,
    TextBlock,
    ToolCallBlock,
)

from avengers_core.serving.stopping import Cut, acut_stream, cut_stream


def cut_at(given: Any, stop: Sequence[str]) -> Any:
    """What a method of an LLM gives, up to the first stop sequence.

    Args:
        given: an answer, its chunks, or what has to be awaited for either.
        stop: the stop sequences; a stream is closed where one has come.
    """
    if isinstance(given, Awaitable):
        return _awaited(given, stop)
    if isinstance(given, AsyncIterator):
        return acut_stream(given, _Cutting(stop))
    if isinstance(given, Iterator):
        return cut_stream(given, _Cutting(stop))
    return _whole(given, stop)


async def _awaited(given: Awaitable[Any], stop: Sequence[str]) -> Any:
    return cut_at(await given, stop)


def _whole(answer: Any, stop: Sequence[str]) -> Any:
    said = _text(answer)
    cut = Cut(stop)
    text = cut(said) if said else ""
    return _saying(answer, text, ended=True) if cut.over else answer


class _Cutting:
    """One stream, whose chunks each have what was said until then."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._cut = Cut(stop)
        self._said = ""
        self._last: Any = None

    @property
    def over(self) -> bool:
        return self._cut.over

    def of(self, chunk: Any) -> Iterator[Any]:
        """What goes out where a chunk has come."""
        self._last = chunk
        if not isinstance(chunk, _ANSWERS):  # an object that is filled, of any fields
            yield chunk
            return
        delta = chunk if isinstance(chunk, str) else chunk.delta
        yield self._with(chunk, self._cut(delta or ""))

    def rest(self) -> Iterator[Any]:
        """What was held back, in a chunk like the last."""
        if rest := self._cut.rest():
            yield self._with(self._last, rest)

    def _with(self, chunk: Any, delta: str) -> Any:
        self._said += delta
        return _saying(chunk, self._said, delta=delta, ended=self.over)


# What every provider that stops by itself says of it.
_STOPPED = {"finish_reason": "stop"}
_ANSWERS = (ChatResponse, CompletionResponse, str)


def _text(answer: Any) -> str:
    if isinstance(answer, ChatResponse):
        return answer.message.content or ""
    if isinstance(answer, str):
        return answer
    return answer.text if isinstance(answer, CompletionResponse) else ""


def _saying(answer: Any, text: str, *, delta: str | None = None, ended: bool) -> Any:
    """An answer, or a chunk, with another text; ``ended``: by a stop sequence."""
    if isinstance(answer, str):
        return text if delta is None else delta
    update: dict[str, Any] = {} if delta is None else {"delta": delta}
    if ended:
        update["additional_kwargs"] = {**answer.additional_kwargs, **_STOPPED}
    if isinstance(answer, CompletionResponse):
        return answer.model_copy(update={**update, "text": text})
    return answer.model_copy(update={**update, "message": _message(answer.message, text, ended)})


def _message(message: ChatMessage, text: str, ended: bool) -> ChatMessage:
    blocks, beside = message.blocks, message.additional_kwargs
    at = next((i for i, b in enumerate(blocks) if isinstance(b, TextBlock)), len(blocks))
    rest = [b for b in blocks[at:] if not isinstance(b, TextBlock)]
    if ended:  # before it called anything
        rest = [b for b in rest if not isinstance(b, ToolCallBlock)]
        beside = {k: v for k, v in beside.items() if k != "tool_calls"}
    said = [*blocks[:at], *([TextBlock(text=text)] if text else []), *rest]
    cut: ChatMessage = message.model_copy(update={"blocks": said, "additional_kwargs": beside})
    return cut
