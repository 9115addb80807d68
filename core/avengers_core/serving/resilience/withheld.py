"""Answers that a backend withheld for what they, or their question, say: they have no word in them,
only the reason."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

# What providers call the reason why an answer ended, and a prompt was not answered.
_NAMES = ("finish_reason", "stop_reason", "block_reason")
# OpenAI and Azure; Anthropic; Bedrock; Gemini.
_REFUSED = frozenset(
    {
        "content_filter",
        "refusal",
        "guardrail_intervened",
        "content_filtered",
        "safety",
        "blocklist",
        "prohibited_content",
        "spii",
        "model_armor",
        "image_safety",
        "image_prohibited_content",
    }
)


def refusal_in(told: Any) -> str | None:
    """The reason for which an answer was withheld, or None.

    Args:
        told: what the provider said of the answer, as a mapping or as an object of its client.
    """
    for place in _places(told):
        for name in _NAMES:
            reason = _get(place, name)
            spelt = str(getattr(reason, "name", reason)).lower()
            if spelt in _REFUSED:
                return spelt
        if _get(_get(place, "message"), "refusal"):
            return "refusal"
    return None


def _places(told: Any) -> Iterator[Any]:
    yield told
    yield _get(told, "prompt_feedback")
    for name in ("choices", "candidates"):
        several = _get(told, name)
        yield from several if isinstance(several, list | tuple) else ()


def _get(place: Any, name: str) -> Any:
    return place.get(name) if isinstance(place, Mapping) else getattr(place, name, None)
