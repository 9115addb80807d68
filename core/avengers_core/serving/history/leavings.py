"""What a provider's own tools leave in its answers, for readers of another kind: as text."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

# Keys whose values only the provider understands, or that say nothing to a reader.
_OPAQUE = re.compile(
    r"^(?:id|index|type|status|caller|container|extras|phase|is_error|retrieved_at|page_age"
    r"|.*_id|encrypted_.*|.*signature|block_type|outcome|media_type|mime_type"
    r"|cache_control|prompt_cache_breakpoint|annotations|citations|acknowledged_.*)$"
)
_THOUGHTS = re.compile(r"\A\s*<(think|thinking|thought|reasoning)>.*?(?:</\1>\s*|\Z)", re.DOTALL)
_LONGEST_WORD = 512


def readable(block: Mapping[str, Any]) -> str:
    """A block as text: its name, and whatever in it a reader can use.

    Args:
        block: such as ``{"type": "web_search_call", "action": {"query": "..."}, "id": ...}``.

    Returns:
        Its name and contents in square brackets, without identifiers, signatures and what is
        encrypted or binary; ``""`` where nothing is left.
    """
    name = block.get("name") or block.get("type") or "note"
    if isinstance(named := block.get("extras"), Mapping):
        name = named.get("block_type") or name
    told = _told({k: v for k, v in block.items() if k != "name"})
    if told is None:
        return ""
    while isinstance(told, dict) and len(told) == 1:
        told = next(iter(told.values()))
    text = told if isinstance(told, str) else json.dumps(told, ensure_ascii=False)
    return f"[{name}: {text}]"


def sources(citations: Iterable[Mapping[str, Any]]) -> str:
    """The sources of citations as one line, each once, in order; ``""`` where there are none.

    Args:
        citations: in any provider's form; title and address are read wherever they stand.
    """
    found: dict[str, None] = {}
    for citation in citations:
        inner = citation.get("url_citation") or citation.get("web") or citation.get("value")
        told = inner if isinstance(inner, Mapping) else citation
        where = told.get("url") or told.get("uri") or told.get("source") or told.get("file_path")
        title = told.get("title") or told.get("document_title") or told.get("filename")
        if where or title:
            found[f"{title} ({where})" if where and title else str(where or title)] = None
    return f"Sources: {', '.join(found)}" if found else ""


def without_thoughts(text: str) -> str:
    """A text without the thoughts that open models begin it with, ``<think>...</think>``; of one
    that was cut off in the middle of them nothing is left."""
    return _THOUGHTS.sub("", text, count=1)


def has_words(text: str) -> bool:
    """Whether a text says anything beside such thoughts."""
    said = text.lstrip()
    return bool(said) and (said[0] != "<" or bool(without_thoughts(said).strip()))


def decoded(data: str | bytes) -> str | None:
    """The text that is behind a text in base64; None where there is none."""
    try:
        return base64.b64decode(data).decode()
    except ValueError:
        return None


def _told(value: Any) -> Any:
    """The part of a value that says something, or None."""
    if isinstance(value, Mapping):
        told = {
            key: inner
            for key, given in value.items()
            if not _OPAQUE.match(str(key)) and (inner := _told(given)) is not None
        }
        return told or None
    if isinstance(value, list | tuple):
        items = [inner for given in value if (inner := _told(given)) is not None]
        return items or None
    if isinstance(value, str):
        binary = len(value) > _LONGEST_WORD and not re.search(r"\s", value[:_LONGEST_WORD])
        return None if binary or not value.strip() else value
    return value if isinstance(value, int | float) else None
