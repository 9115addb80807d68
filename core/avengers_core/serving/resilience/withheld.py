"""Answers that have no word in them, only the reason: withheld for what they, or their question,
say, or over at a stop sequence before they began; and answers that broke off."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from avengers_core.common.plain import part_of

# What providers call the reason why an answer ended, and a prompt was not answered.
_NAMES = ("finish_reason", "stop_reason", "block_reason", "stopReason", "done_reason")
BROKE_OFF = "error"
"""What OpenRouter says where a model's own server failed half way: the reason of no whole answer
(https://openrouter.ai/docs/api/reference/errors-and-debugging)."""
# What they call an end of the answer's own, or at a stop sequence: most do not tell these apart.
_STOPPED = frozenset({"stop", "stop_sequence"})
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
        if spelt := _reason(place, _REFUSED):
            return spelt
        if part_of(part_of(place, "message"), "refusal"):
            return "refusal"
    return None


def stopped_in(told: Any) -> bool:
    """Whether an answer ended by itself or at a stop sequence.

    Args:
        told: as in :func:`refusal_in`.
    """
    return any(_reason(place, _STOPPED) for place in _places(told))


def broke_off_in(told: Any) -> bool:
    """Whether an answer was broken off by the model's own server.

    Args:
        told: as in :func:`refusal_in`.
    """
    return any(_reason(place, frozenset({BROKE_OFF})) for place in _places(told))


def _reason(place: Any, known: Set[str]) -> str | None:
    """The reason that is told in a place, if it is one of the known."""
    for name in _NAMES:
        reason = part_of(place, name)
        spelt = str(getattr(reason, "name", reason)).lower()
        if spelt in known:
            return spelt
    return None


def _places(told: Any) -> Iterator[Any]:
    yield told
    yield part_of(told, "prompt_feedback")
    yield part_of(told, "delta")  # of an event of Anthropic's
    for name in ("choices", "candidates"):
        several = part_of(told, name)
        yield from several if isinstance(several, list | tuple) else ()
