"""How long LlamaIndex messages are, and what media are in them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from llama_index.core.base.llms.types import (
    AudioBlock,
    ChatMessage,
    DocumentBlock,
    ImageBlock,
    TextBlock,
    ThinkingBlock,
    VideoBlock,
)

from avengers_core.serving.history import MediaKind
from avengers_core.serving.history.length import bytes_of_base64, media_tokens
from avengers_llamaindex.history.reading import calls_of, text_in
from avengers_llamaindex.history.writers import ANSWERS

# class -> kind, what the need is called, and the field of its bytes
_MEDIA: dict[type, tuple[MediaKind, str, str]] = {
    ImageBlock: ("image", "images", "image"),
    AudioBlock: ("audio", "audio", "audio"),
    VideoBlock: ("video", "video", "video"),
    DocumentBlock: ("file", "files", "data"),
}


class Measured(NamedTuple):
    """What there is to read in a message.

    Attributes:
        text: all of it, also the arguments of tool calls and what documents of text say.
        media_tokens: of pictures and the like, estimated.
        media: the kinds that the caller put in, under their names in
            :class:`~avengers_core.serving.backends.capabilities.Needs`.
    """

    text: str
    media_tokens: int = 0
    media: frozenset[str] = frozenset()


def measure(message: ChatMessage) -> Measured:
    """How long a message is, and what is in it."""
    blocks = message.blocks
    text = blocks[0] if len(blocks) == 1 and isinstance(blocks[0], TextBlock) else None
    called = calls_of(message) if message.additional_kwargs or text is None else ()
    if text is not None and not called:
        return Measured(text.text)
    each = list(_blocks(blocks))
    calls = [json.dumps([c.name, c.arguments], default=str) for c in called]
    answer = message.role in ANSWERS
    return Measured(
        "\n".join([*(part.text for part in each if part.text), *calls]),
        sum(part.media_tokens for part in each),
        frozenset().union(*(part.media for part in each)) if not answer else frozenset(),
    )


def _blocks(blocks: Iterable[Any]) -> Iterable[Measured]:
    for block in blocks:
        if isinstance(block, TextBlock):
            yield Measured(block.text)
        elif isinstance(block, ThinkingBlock):
            yield Measured(block.content or "")
        elif (known := _MEDIA.get(type(block))) is not None:
            yield _media(block, *known)
        elif isinstance(inside := getattr(block, "content", None), list):  # of a block of blocks
            yield from _blocks(inside)
        elif (cited := getattr(block, "cited_content", None)) is not None:
            yield from _blocks([cited])


def _media(block: Any, kind: MediaKind, name: str, field: str) -> Measured:
    data, path = getattr(block, field), getattr(block, "path", None)
    if isinstance(block, DocumentBlock) and (text := text_in(block)) is not None:
        return Measured(text)
    size = bytes_of_base64(data) if isinstance(data, bytes | str) else None
    if not size and path is not None:
        with suppress(OSError):
            size = Path(path).stat().st_size
    return Measured("", media_tokens(kind, size or None), frozenset({name}))
