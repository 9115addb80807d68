"""Answers cut at a stop sequence: what is left of them, whatever they hold besides."""

from __future__ import annotations

from typing import Any

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.outputs import ChatGenerationChunk

from avengers_core.serving.stopping import acut_stream, cut_stream
from avengers_langchain.calling.stopping import Cutting, cut_message

CALL = {"name": "search", "args": {}, "id": "1"}
HALF_A_CALL = {"name": "search", "args": "{", "id": "2", "error": None}
PART_OF_A_CALL = {"name": "search", "args": "{}", "id": "1", "index": 0}


def chunk(content: Any, **others: Any) -> ChatGenerationChunk:
    return ChatGenerationChunk(message=AIMessageChunk(content, **others))


async def whole(*chunks: ChatGenerationChunk) -> AIMessageChunk:
    """What two ways to read a stream give."""

    async def later() -> Any:
        for each in chunks:
            yield each

    there = [cut.message for cut in cut_stream(iter(chunks), Cutting(["STOP"]))]
    assert [cut.message async for cut in acut_stream(later(), Cutting(["STOP"]))] == there
    first, *others = there
    assert isinstance(first, AIMessageChunk)
    return first.__add__(others)


def test_what_was_called_behind_a_stop_sequence_was_never_called() -> None:
    answer = AIMessage(
        "Look. STOP",
        tool_calls=[CALL],
        invalid_tool_calls=[HALF_A_CALL],
        additional_kwargs={"tool_calls": [{"id": "1"}], "refusal": None},
        response_metadata={"finish_reason": "tool_calls", "model_name": "any"},
    )
    cut = cut_message(answer, ["STOP"])
    assert cut.content == "Look. "
    assert (cut.tool_calls, cut.invalid_tool_calls) == ([], [])
    assert cut.additional_kwargs == {"refusal": None}
    assert cut.response_metadata == {"finish_reason": "stop", "model_name": "any"}
    assert cut_message(answer, ["END"]) is answer


@pytest.mark.parametrize("parts", [["Look. STOP"], ["Look. ST", "OP"]])
async def test_nor_in_a_stream(parts: list[str]) -> None:
    *before, last = parts
    calling = chunk(last, tool_call_chunks=[PART_OF_A_CALL])
    cut = await whole(*map(chunk, before), calling, chunk("more"))
    assert cut.content == "Look. "
    assert cut.tool_calls == []
    assert cut.response_metadata == {"finish_reason": "stop"}


async def test_what_only_begins_as_a_stop_sequence_does_is_said_and_called() -> None:
    calling = chunk("", tool_call_chunks=[PART_OF_A_CALL])
    cut = await whole(chunk("Look. ST"), calling, chunk("", chunk_position="last"))
    assert cut.content == "Look. ST"
    assert [call["name"] for call in cut.tool_calls] == ["search"]


@pytest.mark.parametrize(("last", "said"), [("OP more", "Look. "), ("AY. ST", "Look. STAY. ST")])
@pytest.mark.parametrize("blocks", [False, True])
async def test_the_last_chunk_may_have_a_text(last: str, said: str, blocks: bool) -> None:
    texts: list[Any] = ["Look. ST", last]
    if blocks:
        texts = [[{"type": "text", "text": text, "index": 0}] for text in texts]
    cut = await whole(chunk(texts[0]), chunk(texts[1], chunk_position="last"))
    assert cut.text == said
    assert cut.chunk_position == "last"
