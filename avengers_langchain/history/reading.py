"""LangChain messages as turns: whatever provider or version of content blocks they come from."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from avengers_core.serving.history import (
    Call,
    Dialect,
    Media,
    Part,
    Raw,
    Role,
    Turn,
    readable,
    sources,
    without_thoughts,
)
from avengers_langchain.history.media import goes_as_it_is, media_of
from avengers_langchain.history.writers import is_paused

_TEXTS = {"text", "output_text", "input_text"}
_THOUGHTS = {
    "thinking",
    "redacted_thinking",
    "reasoning",
    "reasoning_content",
    "reasoning_details",
    "thought",
}
# Their calls stand in `tool_calls`; where they do not, the first three are read.
_CALLS = {"tool_use", "tool_call", "function_call", "tool_call_chunk", "custom_tool_call"}
_REMAINS = {"invalid_tool_call", "input_json_delta", "function_call_signature", "cachePoint"}
_RESULT = "tool_result"
_ROLES: dict[str, Role] = {
    "assistant": "assistant",
    "ai": "assistant",
    "model": "assistant",
    "system": "system",
    "developer": "system",
}
NOT_IN_NAMES = re.compile(r"[\s<|\\/>]+")
"""What OpenAI does not take in the name of a speaker."""


def turns_of(message: BaseMessage, dialect: Dialect) -> Sequence[Turn]:
    """A message in blocks as turns: one, but where results of tools stand in the user's, as
    Anthropic has it.

    Args:
        message: of any class, and not the target's own.
        dialect: of the target.
    """
    results = results_in(message)
    if not results:
        return (turn_of(message, dialect, own=False),)
    turns = []
    for block in results:
        parts, _ = _given(block.get("content") or "", dialect)
        failed = bool(block.get("is_error"))
        turns.append(Turn("tool", parts, (), str(block.get("tool_use_id") or ""), None, failed))
    if rest := [block for block in message.content if block not in results]:
        turns.append(turn_of(message.model_copy(update={"content": rest}), dialect, own=False))
    return turns


def results_in(message: BaseMessage) -> list[Mapping[str, Any]]:
    """The results of tools in a message of the user's."""
    if isinstance(message.content, str) or not isinstance(message, HumanMessage):
        return []
    return [b for b in message.content if isinstance(b, Mapping) and b.get("type") == _RESULT]


def turn_of(message: BaseMessage, dialect: Dialect, own: bool) -> Turn:
    """A message as a turn.

    Args:
        message: of any class.
        dialect: of the target; what it takes as it is keeps the message as its ``source``.
        own: the target itself wrote it.
    """
    if isinstance(message, AIMessage):
        if own:
            if update := _as_taken(message, dialect):
                message = message.model_copy(update=update)
            calls, paused = _calls(message), is_paused(message)
            return Turn("assistant", calls=calls, own=True, paused=paused, source=message)
        name = message.name if dialect.protocol == "openai" else None
        return Turn("assistant", tuple(_answer(message)), _calls(message), name=name)
    role = role_of(message)
    parts, exact = _given(message.content, dialect)
    name = message.name if dialect.speakers or role == "tool" else None
    exact &= name == message.name and not (name and NOT_IN_NAMES.search(name))
    exact &= not isinstance(message, ChatMessage)
    if role == "system" and message.additional_kwargs:  # the role of "developer" is OpenAI's own
        exact &= dialect.protocol in ("openai", "openai responses")
    source = message if exact else None
    if isinstance(message, ToolMessage):
        failed = message.status == "error"
        return Turn("tool", parts, (), message.tool_call_id, name, failed, source=source)
    return Turn(role, parts, name=name, source=source)


def _as_taken(message: AIMessage, dialect: Dialect) -> dict[str, Any]:
    """What has to be changed of an answer before its own writer takes it back."""
    update: dict[str, Any] = {}
    if message.name and not dialect.speakers:  # it is the caller's, such as an agent's
        update["name"] = None
    elif message.name and dialect.speaks_openai and NOT_IN_NAMES.search(message.name):
        update["name"] = NOT_IN_NAMES.sub("_", message.name)
    if not dialect.text_lists and (text := _text_alone(message.content)) is not None:
        told = {k: v for k, v in message.response_metadata.items() if k != "output_version"}
        update |= {"content": text, "response_metadata": told}
    return update


def _text_alone(content: Any) -> str | None:
    """The text of an answer in blocks; None where it is no list, or there is more to send."""
    if not isinstance(content, list):
        return None
    texts = []
    for block in content:
        kind = "text" if isinstance(block, str) else block.get("type")
        if kind in ("text", "refusal"):
            texts.append(block if isinstance(block, str) else str(block.get(kind) or ""))
        elif kind not in _CALLS and kind not in _THOUGHTS:
            return None
    return "".join(texts)


def role_of(message: BaseMessage) -> Role:
    """Who speaks in a message."""
    if isinstance(message, AIMessage):
        return "assistant"
    if isinstance(message, ToolMessage | FunctionMessage):
        return "tool"
    if isinstance(message, ChatMessage):
        return _ROLES.get(message.role, "user")
    return "system" if isinstance(message, SystemMessage) else "user"


def _given(content: Any, dialect: Dialect) -> tuple[tuple[Part, ...], bool]:
    """What the caller wrote, and whether it can be sent just so."""
    if isinstance(content, str):
        return (content,), True
    exact = True
    parts: list[Part] = []
    told: Part | None
    for block in content:
        if isinstance(block, str):
            told, as_it_is = block, dialect.protocol == "other"
        else:
            told, as_it_is = _part(block, dialect)
        blank = isinstance(told, str) and not told.strip()
        exact &= as_it_is and (dialect.empty_messages or not blank)
        if told is not None:
            parts.append(told)
    exact &= dialect.text_lists or not all(isinstance(part, str) for part in parts)
    return tuple(p for p in parts if not isinstance(p, str) or p.strip()), exact


def _part(block: Mapping[str, Any], dialect: Dialect) -> tuple[Part | None, bool]:
    inner = block.get("value")
    if block.get("type") == "non_standard" and isinstance(inner, Mapping):
        return _part(inner, dialect)[0], False
    as_it_is = goes_as_it_is(block, dialect)
    if block.get("type") in _TEXTS and isinstance(text := block.get("text"), str):
        marked = as_it_is and block.keys() != {"type", "text"} and text.strip()
        return (Raw(block) if marked else text), as_it_is
    if isinstance(media := media_of(block), Media):
        return (replace(media, block=block) if as_it_is else media), as_it_is
    if as_it_is and media is None:
        return Raw(block), True
    if block.keys() == {"cachePoint"}:
        return None, False
    return media or readable(block) or None, False


# -- answers --


def _answer(message: AIMessage) -> Iterator[Part]:
    """What an answer says to anyone: text and media, without what only its writer understands."""
    content = message.content
    blocks: list[Any] = [content] if isinstance(content, str) else list(content)
    cited: list[Mapping[str, Any]] = []
    text = ""
    for block in _with_kwargs(message, blocks):
        told = _said(block, cited)
        if isinstance(told, Media):
            if text.strip():
                yield without_thoughts(text)
            text = ""
            yield told
        elif told:
            apart = not isinstance(block, str) and block.get("type") not in _TEXTS
            text += f"\n\n{told}\n\n" if apart else told
    grounding = message.response_metadata.get("grounding_metadata")
    if isinstance(grounding, Mapping):
        cited += grounding.get("grounding_chunks") or grounding.get("groundingChunks") or ()
    text = without_thoughts(text)
    if line := sources(cited):
        text += f"\n\n{line}"
    if text.strip():
        yield text.strip()


def _with_kwargs(message: AIMessage, blocks: list[Any]) -> Iterator[Any]:
    """The blocks, and what older forms keep beside them."""
    kwargs = message.additional_kwargs
    yield from kwargs.get("tool_outputs") or ()
    yield from blocks
    if refusal := kwargs.get("refusal"):
        yield {"type": "refusal", "refusal": refusal}
    if isinstance(audio := kwargs.get("audio"), Mapping) and audio.get("transcript"):
        yield str(audio["transcript"])


def _said(block: Any, cited: list[Mapping[str, Any]]) -> str | Media | None:
    if isinstance(block, str):
        return block
    kind = block.get("type")
    inner = block.get("value")
    if kind == "non_standard" and isinstance(inner, Mapping):
        return _said(inner, cited)
    if kind in _TEXTS:
        cited += block.get("annotations") or block.get("citations") or ()
        return str(block.get("text") or "")
    if kind == "refusal":
        return str(block.get("refusal") or "")
    if kind in _THOUGHTS or kind in _CALLS or kind in _REMAINS:
        return None
    return media_of(block) or readable(block) or None


# -- calls --


def _calls(message: AIMessage) -> tuple[Call, ...]:
    calls = [Call(c["id"] or "", c["name"], c["args"]) for c in message.tool_calls]
    invalid = [call for call in message.invalid_tool_calls if call.get("name")]
    calls += [Call.of(call["id"], str(call["name"]), call["args"]) for call in invalid]
    if not calls and isinstance(message.content, list):
        for block in message.content:
            if isinstance(block, Mapping) and block.get("type") in _CALLS and block.get("name"):
                given = block.get("input") or block.get("args") or block.get("arguments")
                call_id = block.get("call_id") or block.get("id")
                calls.append(Call.of(call_id, block["name"], given))
    legacy = message.additional_kwargs.get("function_call")
    if not calls and isinstance(legacy, Mapping) and legacy.get("name"):
        calls.append(Call.of("", legacy["name"], legacy.get("arguments")))
    return tuple(calls)
