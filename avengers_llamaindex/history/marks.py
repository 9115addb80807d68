"""Marks of where a prompt is to be cached: providers take only so many."""

from __future__ import annotations

from collections.abc import Sequence

from llama_index.core.base.llms.types import CachePoint, ChatMessage


def with_fewer_marks(messages: Sequence[ChatMessage], most: int) -> list[ChatMessage]:
    """The messages with the last so many marks: a cache holds all that is before its mark.

    Args:
        messages: as they would be sent; none of them is changed.
        most: how many marks are taken.
    """
    kept = list(messages)
    for i in range(len(kept) - 1, -1, -1):
        marks = [j for j, block in enumerate(kept[i].blocks) if isinstance(block, CachePoint)]
        if over := set(marks[: max(len(marks) - most, 0)]):
            blocks = [block for j, block in enumerate(kept[i].blocks) if j not in over]
            kept[i] = kept[i].model_copy(update={"blocks": blocks})
        most = max(most - len(marks), 0)
    return kept
