"""Answers that have no word in them, only the reason: withheld for what they, or their question,
say, or over at a stop sequence before they began; and answers that broke off."""

from __future__ import annotations

from collections.abc import Iterator, Set
from typing import Any

from avengers_core.common.plain import part_of, parts_of

# What providers call the reason why an answer ended, and a prompt was not answered.
_NAMES = ("finish_reason", "stop_reason", "block_reason", "stopReason", "done_reason", "reason")
_STATUS = "status"  # of OpenAI's Responses
# The reasons of no whole answer: OpenRouter, https://openrouter.ai/docs/api/reference/errors-and-debugging,
# and Mistral; DeepSeek, https://api-docs.deepseek.com/api/create-chat-completion; Zhipu; vLLM and
# SGLang; OpenAI's Responses; Gemini; Bedrock.
_BROKE_OFF = frozenset(
    {
        "error",
        "insufficient_system_resource",
        "network_error",
        "abort",
        "failed",
        "cancelled",
        "malformed_function_call",
        "malformed_response",
        "unexpected_tool_call",
        "malformed_model_output",
        "malformed_tool_use",
    }
)
_UNDER_WAY = frozenset({"none", "", "in_progress", "queued"})
# What they call an end of the answer's own, or at a stop sequence: most do not tell these apart.
_STOPPED = frozenset({"stop", "stop_sequence"})
# OpenAI and Azure; Anthropic; Bedrock; Gemini; Zhipu.
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
        "sensitive",
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
        for message in (part_of(place, "message"), *_parts(place)):
            if part_of(message, "refusal"):
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
    return any(_reason(place, _BROKE_OFF) for place in _places(told))


def ended_in(told: Any) -> bool | None:
    """Whether an answer, or the stream of one, has come to an end; None where nothing is told.

    Args:
        told: as in :func:`refusal_in`.
    """
    found: bool | None = None
    for place in _places(told):
        for spelt in _reasons(place):
            if spelt not in _UNDER_WAY and spelt not in _BROKE_OFF:
                return True
            found = False
    return found


_NOTHING = object()


def _reason(place: Any, known: Set[str]) -> str | None:
    """The reason that is told in a place, if it is one of the known."""
    return next((spelt for spelt in _reasons(place) if spelt in known), None)


def _reasons(place: Any) -> Iterator[str]:
    """Whatever is told in a place of why an answer ended, be it that it did not."""
    part = parts_of(place)
    for name in (*_NAMES, _STATUS):
        reason = part(name, _NOTHING)
        if reason is not _NOTHING:
            yield str(getattr(reason, "name", reason)).lower()


def _parts(response: Any) -> Iterator[Any]:
    """The parts of the messages in a response of OpenAI's Responses."""
    output = part_of(response, "output")
    for item in output if isinstance(output, list) else ():
        content = part_of(item, "content")
        yield from content if isinstance(content, list) else ()


def _places(told: Any) -> list[Any]:
    part = parts_of(told)
    delta = part("delta", None)  # of an event of Anthropic's
    response = part("response", None)  # of an event of Responses
    places = [told, part("prompt_feedback", None), delta, response]
    places += [part_of(place, "incomplete_details") for place in (told, response)]
    for name in ("choices", "candidates"):
        several = part(name, None)
        places += several if isinstance(several, list | tuple) else ()
    return [place for place in places if place is not None]
