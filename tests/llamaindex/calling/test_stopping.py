"""Answers cut at a stop sequence: what is left of them, whatever they hold besides."""

from __future__ import annotations

from typing import Any

from llama_index.core.base.llms.types import (
    ChatMessage,
    ChatResponse,
    ContentBlock,
    TextBlock,
    ToolCallBlock,
)
from pydantic import BaseModel

from avengers_llamaindex.calling.stopping import cut_at

CALL = ToolCallBlock(tool_call_id="1", tool_name="search", tool_kwargs={})


def answer(*blocks: str | ToolCallBlock, delta: str | None = None, **beside: Any) -> ChatResponse:
    given: list[ContentBlock] = [TextBlock(text=b) if isinstance(b, str) else b for b in blocks]
    message = ChatMessage(role="assistant", blocks=given, additional_kwargs=beside)
    return ChatResponse(message=message, delta=delta)


async def streamed(*chunks: Any) -> list[Any]:
    """What two ways to read a stream give."""

    async def later() -> Any:
        for each in chunks:
            yield each

    there = list(cut_at(iter(chunks), ["STOP"]))
    assert [chunk async for chunk in cut_at(later(), ["STOP"])] == there
    return there


async def test_what_was_called_behind_a_stop_sequence_was_never_called() -> None:
    cut = cut_at(answer("Look. STOP", CALL, tool_calls=["any"], other=1), ["STOP"])
    assert cut.message.blocks == [TextBlock(text="Look. ")]
    assert cut.message.additional_kwargs == {"other": 1}
    *_, last = await streamed(answer("Look. STOP", CALL, delta="Look. STOP"))
    assert last.message.blocks == [TextBlock(text="Look. ")]


async def test_a_stream_without_one_keeps_what_it_calls() -> None:
    # As the Responses API has it: parts of a text are blocks of the whole.
    parts = [answer("Look. ", delta="Look. "), answer("ST", delta="ST"), answer(CALL, delta="")]
    *_, calling, last, rest = await streamed(*parts, answer("Look. ", "ST", CALL, delta=""))
    for chunk in (calling, last, rest):
        assert CALL in chunk.message.blocks
    assert rest.message.content == "Look. ST"


async def test_objects_that_are_filled_are_not_cut() -> None:
    class Change(BaseModel):
        delta: float | str

    objects = [Change(delta=1.5), Change(delta="STOP"), Change(delta="STOP it")]
    assert await streamed(*objects) == objects
