"""How long LangChain messages are, and what media are in them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage

from avengers_core.embedders.tokens import estimate_tokens
from avengers_core.serving.history import Media, MediaKind
from avengers_core.serving.history.length import bytes_of_base64, media_tokens
from avengers_langchain.history.media import media_of
from avengers_langchain.history.writers import writer_of

_CALLS = {"tool_use", "tool_call", "function_call", "tool_call_chunk", "input_json_delta"}
# What their writer alone understands, mostly long and not words.
_OPAQUE = {
    "signature",
    "encrypted_content",
    "encrypted_index",
    "thought_signature",
    "thoughtSignature",
}
_NAMES: dict[MediaKind, str] = {
    "image": "images",
    "file": "files",
    "audio": "audio",
    "video": "video",
}


class Measured(NamedTuple):
    """What there is to read in messages.

    Attributes:
        tokens: of all of them, estimated; of pictures and the like, too.
        media: the kinds that the caller put in, under their names in
            :class:`~avengers_core.serving.backends.capabilities.Needs`.
        read_by: model -> tokens before its last answer, which it has read.
    """

    tokens: int
    media: frozenset[str]
    read_by: Mapping[str, int]


def measure(messages: Sequence[BaseMessage]) -> Measured:
    """How long messages are, and what is in them."""
    tokens, media = 0, set[str]()
    read_by: dict[str, int] = {}
    for message in messages:
        calls = False
        if isinstance(message, AIMessage):
            if (writer := writer_of(message)) is not None:
                read_by[writer] = tokens
            calls = bool(message.tool_calls)
            tokens += _beside(message)
        if isinstance(message.content, str):
            tokens += estimate_tokens(message.content)
            continue
        for block in message.content:
            length, kind = _block(block, calls)
            tokens += length
            if kind is not None and not isinstance(message, AIMessage):
                media.add(_NAMES[kind])
    return Measured(tokens, frozenset(media), read_by)


def _block(block: Any, calls_elsewhere: bool) -> tuple[int, MediaKind | None]:
    if isinstance(block, str):
        return estimate_tokens(block), None
    if isinstance(inner := block.get("value"), Mapping) and block.get("type") == "non_standard":
        return _block(inner, calls_elsewhere)
    if isinstance(text := block.get("text"), str) and "source" not in block:
        return estimate_tokens(text), None
    if block.get("type") in _CALLS and calls_elsewhere:
        return 0, None
    found = media_of(block)
    if isinstance(found, Media):
        size = bytes_of_base64(found.data) if found.data else None
        return media_tokens(found.kind, size), found.kind
    if isinstance(found, str):
        return estimate_tokens(found), None
    if block.get("type") == "tool_result" and isinstance(content := block.get("content"), list):
        each = [_block(part, calls_elsewhere) for part in content]
        return sum(n for n, _ in each), next((kind for _, kind in each if kind), None)
    said = {key: value for key, value in block.items() if key not in _OPAQUE}
    return estimate_tokens(json.dumps(said, default=str)), None


def _beside(message: AIMessage) -> int:
    """Tokens of what an answer holds beside its content."""
    tokens = 0
    if message.tool_calls:
        tokens += estimate_tokens(json.dumps(message.tool_calls, default=str))
    for invalid in message.invalid_tool_calls:
        tokens += estimate_tokens(invalid.get("args") or "")
    if isinstance(thoughts := message.additional_kwargs.get("reasoning_content"), str):
        tokens += estimate_tokens(thoughts)
    return tokens
