"""LlamaIndex messages as turns: every class of block, and what older forms keep beside them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from llama_index.core.base.llms.types import (
    AudioBlock,
    CachePoint,
    ChatMessage,
    CitableBlock,
    CitationBlock,
    DocumentBlock,
    ImageBlock,
    MessageRole,
    TextBlock,
    ThinkingBlock,
    ToolCallBlock,
    VideoBlock,
)

from avengers_core.serving.history import (
    Call,
    Dialect,
    Media,
    Part,
    Raw,
    Role,
    Turn,
    decoded,
    readable,
    sources,
    without_thoughts,
)
from avengers_core.serving.history.reasoning import KEPT
from avengers_llamaindex.history.writers import ANSWERS

_ROLES: dict[MessageRole, Role] = {
    **dict.fromkeys(ANSWERS, "assistant"),
    MessageRole.SYSTEM: "system",
    MessageRole.DEVELOPER: "system",
    MessageRole.TOOL: "tool",
    MessageRole.FUNCTION: "tool",
}
_SENT = {MessageRole.SYSTEM, MessageRole.USER, MessageRole.TOOL}


def role_of(message: ChatMessage) -> Role:
    """Who speaks in a message."""
    return _ROLES.get(message.role, "user")


def turn_of(message: ChatMessage, dialect: Dialect, own: bool, calls: tuple[Call, ...]) -> Turn:
    """A message as a turn.

    Args:
        message: of any role.
        dialect: of the target; what it takes as it is keeps the message as its ``source``.
        own: the target itself wrote it.
        calls: those in it, where it is an answer (:func:`calls_of`).
    """
    role = role_of(message)
    if role == "assistant":
        if own:
            blocks = message.blocks if dialect.protocol in ("anthropic", "bedrock") else ()
            if not all(map(_has_words, blocks)):
                said = [block for block in message.blocks if _has_words(block)]
                message = message.model_copy(update={"blocks": said})
            return Turn(role, calls=calls, own=True, source=message)
        return Turn(role, tuple(_answer(message)), calls)
    parts: list[Part] = []
    exact = message.role in _SENT
    for block in message.blocks:
        told, as_it_is = _part(block, dialect)
        if isinstance(block, CachePoint) and not any(
            not isinstance(p, str) or p.strip() for p in parts
        ):
            told, as_it_is = [], False  # there is nothing before it to be kept
        exact &= as_it_is
        parts += told
    kwargs = message.additional_kwargs
    call_id = kwargs.get("tool_call_id") or kwargs.get("call_id") or ""
    exact &= role != "tool" or "tool_call_id" in kwargs
    name = kwargs.get("name") if role == "tool" else None
    source = message if exact else None
    return Turn(role, tuple(parts), call_id=str(call_id), name=name, source=source)


def _has_words(block: Any) -> bool:
    """Whether it is no text that is blank, such as a Claude's before it calls a tool."""
    return not isinstance(block, TextBlock) or bool(block.text.strip())


def reasoning_of(message: ChatMessage) -> str:
    """The thoughts in a message."""
    blocks = [block for block in message.blocks if isinstance(block, ThinkingBlock)]
    return "\n".join(block.content for block in blocks if block.content)


def kept_of(message: ChatMessage) -> dict[str, Any]:
    """What is kept in a message of its reasoning beside the text, for the server that sent it."""
    kept: dict[str, Any] = {}
    for block in message.blocks:
        if isinstance(block, ThinkingBlock):
            told = block.additional_information
            kept |= {name: told[name] for name in KEPT if told.get(name)}
    return kept


def _part(block: Any, dialect: Dialect) -> tuple[list[Part], bool]:
    """What the caller wrote in a block, and whether it can be sent just so."""
    claude = dialect.protocol == "anthropic"
    if isinstance(block, TextBlock):
        return [block.text], dialect.empty_messages or bool(block.text.strip())
    if (media := _media(block)) is not None:
        return [media], isinstance(media, Media)
    if isinstance(block, CachePoint):
        return ([Raw(block)], True) if claude else ([], False)
    if isinstance(block, CitableBlock):
        if claude and all(isinstance(inner, TextBlock) for inner in block.content):
            return [Raw(block)], True
        told = [part for inner in block.content for part in _part(inner, dialect)[0]]
        return [f"{block.title} ({block.source}):", *told], False
    if isinstance(block, CitationBlock):
        told, _ = _part(block.cited_content, dialect)
        return [*told, f"({block.title}, {block.source})"], False
    if isinstance(block, ThinkingBlock | ToolCallBlock):
        return [], False
    return [text] if (text := readable(block.model_dump())) else [], False


def _media(block: Any) -> Media | str | None:
    if isinstance(block, ImageBlock):
        return _found("image", block.image_mimetype, block.image, block)
    if isinstance(block, AudioBlock):
        mime = f"audio/{block.format}" if block.format else None
        return _found("audio", mime, block.audio, block)
    if isinstance(block, VideoBlock):
        return _found("video", block.video_mimetype, block.video, block)
    if isinstance(block, DocumentBlock):
        if (text := text_in(block)) is not None:
            return f"{block.title}:\n{text}"
        return _found("file", block.document_mimetype, block.data, block, block.title)
    return None


def text_in(document: DocumentBlock) -> str | None:
    """What a document of text says, or None."""
    mime, data = document.document_mimetype or "", document.data
    return decoded(data) if isinstance(data, bytes) and mime.startswith("text/") else None


def _found(kind: Any, mime: str | None, data: Any, block: Any, name: str | None = None) -> Media:
    # Clients read bytes and paths, and most fetch addresses, from the block itself.
    return Media(kind, mime, data="" if data else None, name=name, block=block)


# -- answers --


def _answer(message: ChatMessage) -> Iterator[Part]:
    """What an answer says to anyone: text and media, without what only its writer understands."""
    kwargs = message.additional_kwargs
    texts = [readable(used) for used in _objects(kwargs.get("built_in_tool_calls"))]
    cited: list[Mapping[str, Any]] = []
    for block in message.blocks:
        if isinstance(block, TextBlock):
            texts.append(without_thoughts(block.text))
        elif isinstance(block, ThinkingBlock | ToolCallBlock | CachePoint):
            continue
        elif isinstance(block, CitationBlock):
            cited.append({"title": block.title, "source": block.source})
        elif isinstance(media := _media(block), Media):
            yield media
        elif isinstance(media, str):
            texts.append(media)
        elif isinstance(block, CitableBlock):
            texts += [part for part in _part(block, _PLAIN)[0] if isinstance(part, str)]
        else:
            texts.append(readable(block.model_dump()))
    if refusal := kwargs.get("refusal"):
        texts.append(str(refusal))
    cited += _objects(kwargs.get("annotations"))
    text = "\n\n".join(text.strip() for text in [*texts, sources(cited)] if text.strip())
    if text:
        yield text


_PLAIN = Dialect("plain")


# -- calls, in the form of each provider --


def calls_of(message: ChatMessage) -> tuple[Call, ...]:
    """The tool calls in a message, in whichever form it has them."""
    blocks = [block for block in message.blocks if isinstance(block, ToolCallBlock)]
    if blocks:
        return tuple(Call.of(b.tool_call_id, b.tool_name, b.tool_kwargs) for b in blocks)
    kwargs = message.additional_kwargs
    if not kwargs:
        return ()
    given = _objects(kwargs.get("tool_calls")) or _objects([kwargs.get("function_call")])
    calls = []
    for call in given:
        function = call.get("function")
        inner = function if isinstance(function, Mapping) else call
        arguments = inner.get("arguments", inner.get("input", inner.get("args")))
        if name := inner.get("name"):
            calls.append(Call.of(call.get("call_id") or call.get("id"), name, arguments))
    return tuple(calls)


def _objects(given: Any) -> list[Mapping[str, Any]]:
    """A client's list of objects as dicts.

    Anything may stand in its place, such as the mark of a client that there was none, and what a
    memory that writes JSON has made of that.
    """
    if not isinstance(given, (list, tuple)):
        return []
    return [plain for one in given if (plain := _plain(one))]


def _plain(given: Any) -> Mapping[str, Any]:
    """A client's object as a dict; an empty one, where it is no object."""
    if isinstance(given, Mapping):
        return given
    dump = getattr(given, "model_dump", None)
    plain: Mapping[str, Any] = dump() if dump is not None else getattr(given, "__dict__", {})
    return plain
