"""Answers cut at a stop sequence, where the chat model that gives them has none."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, TypeVar

from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, merge_content
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from avengers_core.serving.stopping import Cut

Message = TypeVar("Message", bound=BaseMessage)

# What every provider that stops by itself says of it.
_STOPPED = {"finish_reason": "stop"}
_CALLS = ("tool_calls", "function_call")  # as a provider's own words say them


def cut_result(result: ChatResult, stop: Sequence[str]) -> ChatResult:
    """A whole answer up to the first stop sequence; what comes behind that was never said."""
    generation = result.generations[0]
    message = cut_message(generation.message, stop)
    if message is generation.message:
        return result
    cut_one = ChatGeneration(message=message, generation_info=generation.generation_info)
    return ChatResult(generations=[cut_one], llm_output=result.llm_output)


def cut_message(message: Message, stop: Sequence[str]) -> Message:
    """An answer up to the first stop sequence; itself, where there is none."""
    cut = Cut(stop)
    content = _cut(message.content, cut)
    return _ended(message, content) if cut.over else message


class Cutting:
    """One stream, for :func:`avengers_core.serving.stopping.cut_stream`."""

    def __init__(self, stop: Sequence[str]) -> None:
        self._cut = Cut(stop)
        self._last: ChatGenerationChunk | None = None  # that had text

    @property
    def over(self) -> bool:
        return self._cut.over

    def of(self, chunk: ChatGenerationChunk) -> Iterator[ChatGenerationChunk]:
        """What goes out where a chunk has come."""
        message = chunk.message
        last = getattr(message, "chunk_position", None) == "last"
        if chunk.text:
            self._last = chunk
        elif last:
            yield from self.rest()
        content = _cut(message.content, self._cut)
        if last and (rest := self._cut.rest()):
            content = merge_content(content, _of_text(message.content, rest))
        if self.over:
            message = _ended(message, content)
        elif content != message.content:
            message = message.model_copy(update={"content": content})
        else:
            yield chunk
            return
        yield ChatGenerationChunk(message=message, generation_info=chunk.generation_info)

    def rest(self) -> Iterator[ChatGenerationChunk]:
        """What was held back, in a chunk like the one that it came in."""
        rest = self._cut.rest()
        if rest and self._last is not None:
            content = _of_text(self._last.message.content, rest)
            made = AIMessageChunk(content=content, id=self._last.message.id)
            yield ChatGenerationChunk(message=made)


def _ended(message: Message, content: str | list[Any]) -> Message:
    """A message that a stop sequence ended: what it called came behind that."""
    beside = {k: v for k, v in message.additional_kwargs.items() if k not in _CALLS}
    told = {**message.response_metadata, **_STOPPED}
    update = {"content": content, "additional_kwargs": beside, "response_metadata": told}
    if isinstance(message, AIMessage):
        update |= {"tool_calls": [], "invalid_tool_calls": []}
    if isinstance(message, AIMessageChunk):
        update["tool_call_chunks"] = []
    return message.model_copy(update=update)


def _cut(content: str | list[Any], cut: Cut) -> str | list[Any]:
    """Content, as far as it may go out; what comes behind a stop sequence was never said."""
    if isinstance(content, str):
        return cut(content)
    blocks: list[Any] = []
    for block in content:
        if cut.over:
            break
        if isinstance(block, str):
            blocks.append(cut(block))
        elif _is_text(block):
            blocks.append({**block, "text": cut(block["text"])})
        else:
            blocks.append(block)
    return blocks


def _of_text(content: str | list[Any], text: str) -> str | list[Any]:
    """Content with one text alone, that joins the last one of this content."""
    if isinstance(content, str):
        return text
    last = next((b for b in reversed(content) if isinstance(b, str) or _is_text(b)), text)
    if isinstance(last, str):
        return [text]
    return [{k: v for k, v in last.items() if k in ("type", "index", "id")} | {"text": text}]


def _is_text(block: Any) -> bool:
    return isinstance(block, dict) and block.get("type") == "text" and "text" in block
