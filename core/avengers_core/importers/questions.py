"""The question in what a model was sent: a text, messages, or an object that holds either."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from avengers_core.importers.values import mapping, parsed, shown

_KEYS = (
    "question",
    "query",
    "input",
    "problem",
    "prompt",
    "text",
    "user_input",
    "content",
    "prompts",
    "user_prompt",
    "instruction",
    "contents",
    "value",
    "",
)
_HUMAN = ("user", "human", "HumanMessage", "HumanMessageChunk")


def question_of(value: Any) -> str:
    """The question in an input: the last human message, or the text under a usual key.

    Raises:
        ValueError: there is none.
    """
    text = find_question(value)
    if not text or not text.strip():
        raise ValueError(f"no question found in the input {shown(value)}")
    return text


def find_question(value: Any) -> str | None:
    """Like :func:`question_of`, and None where there is none."""
    content = parsed(value)
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        return _in_list([_unwrapped(parsed(item)) for item in content])
    if isinstance(content, Mapping):
        if "messages" in content:
            return find_question(content["messages"])
        keys = {str(key).lower(): key for key in reversed(list(content))}
        for key in _KEYS:
            if key in keys and content[keys[key]]:
                return find_question(content[keys[key]])
    return None


def _in_list(items: list[Any]) -> str | None:
    human = [m for m in items if isinstance(m, Mapping) and _role(m) in _HUMAN]
    if human or not items:
        return _content(human[-1]) if human else None
    if all(isinstance(item, str) for item in items):
        return "\n".join(items)
    return find_question(items[-1])


def _unwrapped(message: Any) -> Any:
    """A message that lies under a key ``message``, as OpenInference keeps it."""
    if isinstance(message, Mapping) and isinstance(message.get("message"), Mapping):
        return message["message"]
    if isinstance(message, Mapping) and "message.role" in message:
        return {str(key).removeprefix("message."): value for key, value in message.items()}
    return message


def _role(message: Mapping[str, Any]) -> str:
    kind = message.get("role") or message.get("type")
    if kind == "constructor" or kind is None:
        # How LangChain serialises a message.
        path = message.get("id")
        kind = path[-1] if isinstance(path, list) and path else ""
    return str(kind)


def _content(message: Mapping[str, Any]) -> str:
    for key in ("content", "parts", "contents"):
        if key in message:
            return _joined(parsed(message[key]))
    return _joined(mapping(message.get("kwargs"), "kwargs").get("content"))


def _joined(content: Any) -> str:
    """The text of a message's parts, pictures and the like left out."""
    if isinstance(content, list):
        return "\n".join(filter(None, map(_part, content)))
    return _part(content)


def _part(part: Any) -> str:
    inner = part
    if isinstance(part, Mapping):
        inner = part.get("text", part.get("content"))
        if inner is None:  # as OpenInference and Gemini have it
            inner = part.get("message_content.text")
            nested = part.get("message_content")
            inner = nested.get("text") if isinstance(nested, Mapping) else inner
    return "" if inner is None or isinstance(inner, Mapping | list) else str(inner)
