"""Turns as LangChain messages, in the blocks that every client of the framework takes."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from avengers_core.common.plain import plain
from avengers_core.serving.history import NO_SIGNATURE, Media, Part, Raw, Target, Turn
from avengers_langchain.history.media import media_of
from avengers_langchain.history.reading import NOT_IN_NAMES

# Where Gemini's client looks for the signatures of calls, by identifier, and how it spells them. By
# itself it signs the calls of the loop under way only.
_SIGNATURES = "__gemini_function_call_thought_signatures__"
_UNSIGNED = NO_SIGNATURE.replace("_", "/")


def message_of(turn: Turn, target: Target) -> BaseMessage:
    """The message that says what a turn says: the one it was read from, or a new one.

    A new one has no metadata, and no identifier: that belongs to the server that gave it.
    """
    if turn.source is not None:
        message: BaseMessage = turn.source
        return message
    if turn.role == "assistant" and not turn.calls:
        return AIMessage(_joined(turn.parts), name=_name(turn))
    if turn.role == "assistant":
        calls = [
            {"type": "tool_call", "id": c.id, "name": c.name, "args": plain(c.arguments)}
            for c in turn.calls
        ]
        beside = {_SIGNATURES: {calls[0]["id"]: _UNSIGNED}} if target.wants_signatures else {}
        return AIMessage(
            _joined(turn.parts), tool_calls=calls, name=_name(turn), additional_kwargs=beside
        )
    content = _content(turn.parts, target)
    if turn.role == "tool":
        status = "error" if turn.failed else "success"
        return ToolMessage(content, tool_call_id=turn.call_id, name=turn.name, status=status)
    if turn.role == "system":
        return SystemMessage(content)
    return HumanMessage(content, name=_name(turn))


def _content(parts: tuple[Part, ...], target: Target) -> str | list[Any]:
    parts = tuple(part for part in parts if not isinstance(part, str) or part.strip())
    if all(isinstance(part, str) for part in parts):
        return _joined(parts)
    made = _image_url if target.dialect.protocol == "openai compatible" else _block
    return [{"type": "text", "text": p} if isinstance(p, str) else made(p) for p in parts]


def _joined(parts: tuple[Part, ...]) -> str:
    return "\n\n".join(part for part in parts if isinstance(part, str))


def _block(media: Media | Raw) -> dict[str, Any]:
    if isinstance(media, Raw):
        return dict(media.block)
    if media.block is not None:
        told = media_of(media.block)
        renamed = isinstance(told, Media) and told.name != media.name
        return {**media.block, **({"filename": media.name} if renamed else {})}
    block: dict[str, Any] = {"type": media.kind}
    if media.data is not None:
        block["base64"] = media.data
    elif media.url is not None:
        block["url"] = media.url
    else:
        block["file_id"] = media.upload
    mime = media.mime or (_guessed(media) if media.data is not None else None)
    if mime:
        block["mime_type"] = mime
    if media.kind == "file" and media.data is not None:
        block["filename"] = media.name or "file.pdf"
    return block


def _image_url(media: Media | Raw) -> dict[str, Any]:
    """A picture as OpenAI's protocol has it, which all clients of its kin take."""
    if isinstance(media, Raw) or media.kind != "image" or media.block is not None:
        return _block(media)
    mime = media.mime or _guessed(media)
    url = media.url or f"data:{mime};base64,{media.data}"
    return {"type": "image_url", "image_url": {"url": url}}


def _guessed(media: Media) -> str:
    return {"image": "image/png", "file": "application/pdf", "audio": "audio/wav"}.get(
        media.kind, "video/mp4"
    )


def _name(turn: Turn) -> str | None:
    return NOT_IN_NAMES.sub("_", turn.name) if turn.name else None
