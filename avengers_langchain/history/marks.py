"""Marks of where a prompt is to be cached: providers take only so many."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

# Anthropic's, and that of Bedrock, which is a block of its own.
_MARK, _POINT = "cache_control", "cachePoint"


def with_fewer_marks(messages: Sequence[BaseMessage], most: int) -> list[BaseMessage]:
    """The messages with the last so many marks: a cache holds all that is before its mark.

    Args:
        messages: as they would be sent; none of them is changed.
        most: how many marks are taken.
    """
    left, kept = most, list(messages)
    for i in range(len(kept) - 1, -1, -1):
        content = kept[i].content
        if isinstance(content, list) and (marked := _count(content)):
            if marked > left:
                kept[i] = kept[i].model_copy(update={"content": _trimmed(content, left)})
            left = max(left - marked, 0)
    return kept


def marks_in(arguments: Mapping[str, Any]) -> int:
    """How many marks a call's arguments have, its tools' among them."""
    return _count([*(arguments.get("tools") or ()), arguments])


def _count(blocks: Sequence[Any]) -> int:
    return sum(
        (_MARK in block) + (_POINT in block) + _count(_inside(block))
        for block in blocks
        if isinstance(block, Mapping)
    )


def _trimmed(blocks: Sequence[Any], left: int) -> list[Any]:
    """Blocks with their last so many marks."""
    kept: list[Any] = []
    for block in reversed(blocks):
        marks = _count([block])
        if marks <= left:
            kept.append(block)
        elif _POINT not in block:
            kept.append(_unmarked(block, left))
        left = max(left - marks, 0)
    return kept[::-1]


def _unmarked(block: Mapping[str, Any], left: int) -> dict[str, Any]:
    """A block with so many of its marks, the outer before the inner ones."""
    kept = dict(block) if left else {key: value for key, value in block.items() if key != _MARK}
    if inside := _inside(block):
        kept["content"] = _trimmed(inside, left - (_MARK in kept))
    return kept


def _inside(block: Mapping[str, Any]) -> Sequence[Any]:
    content = block.get("content")
    return content if isinstance(content, list) else ()
