"""What is said of an answer in the words of the LLM that is asked."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from avengers_core.serving.backends.tool_choice import tool_words
from avengers_core.serving.backends.wording import note_left_out, told
from avengers_core.serving.history import Target, is_gemini_3_or_later

_COUNTS_THOUGHTS = re.compile(r"o\d|gpt-[5-9]")  # so OpenAI has another name for their length
# https://platform.claude.com/docs/en/build-with-claude/effort
_TAKES_EFFORT = re.compile(r"opus-4-[5-9]|sonnet-4-[6-9]|(?:opus|sonnet|haiku|fable)-[5-9]|mythos")
_OF_CONFIG = {
    "temperature",
    "top_p",
    "top_k",
    "max_output_tokens",
    "stop_sequences",
    "seed",
    "frequency_penalty",
    "presence_penalty",
}
CONFIG = "generation_config"
"""Under which Gemini's class takes settings, made or in a call."""


def in_words(arguments: Mapping[str, Any], target: Target) -> tuple[dict[str, Any], Sequence[str]]:
    """What :func:`avengers_core.serving.backends.wording.told` gives, as a backend's client takes
    it by name."""
    words, cut = told([arguments], target)
    protocol, name = target.dialect.protocol, target.remote_name or ""
    if protocol != "other" and (choice := words.get("tool_choice")):
        words["tool_choice"] = tool_words(choice, None, (), protocol).choice
    if protocol in _ITS_OWN:
        words = _ITS_OWN[protocol](words, words.pop("reasoning_effort", None), name)
    elif protocol == "openai" and _COUNTS_THOUGHTS.match(name) and "max_tokens" in words:
        words["max_completion_tokens"] = words.pop("max_tokens")
    return words, cut


def _of_responses(words: dict[str, Any], effort: Any, _: str) -> dict[str, Any]:
    if (length := words.pop("max_tokens", None)) is not None:
        words["max_output_tokens"] = length
    if effort is not None:
        words["reasoning"] = {"effort": effort}
    if (verbosity := words.pop("verbosity", None)) is not None:
        words["text"] = {**words.get("text", {}), "verbosity": verbosity}
    return words


def _of_gemini(words: dict[str, Any], effort: Any, name: str) -> dict[str, Any]:
    config = {k: words.pop(k) for k in [*words] if k in _OF_CONFIG}
    if effort is not None and is_gemini_3_or_later(name):
        config["thinking_config"] = {"thinking_level": str(effort).upper()}
    elif effort is not None:
        note_left_out("reasoning_effort", "gemini, before 3")
    if config:
        words[CONFIG] = {**words.get(CONFIG, {}), **config}
    return words


def _of_claude(words: dict[str, Any], effort: Any, name: str) -> dict[str, Any]:
    if effort is not None and _TAKES_EFFORT.search(name):
        words["output_config"] = {**words.get("output_config", {}), "effort": effort}
    elif effort is not None:
        note_left_out("reasoning_effort", "anthropic, before Opus 4.5 and Sonnet 4.6")
    return words


def _of_bedrock(words: dict[str, Any], effort: Any, _: str) -> dict[str, Any]:
    if effort is not None:  # its class has none
        note_left_out("reasoning_effort", "bedrock")
    return words


_ITS_OWN: dict[str, Callable[[dict[str, Any], Any, str], dict[str, Any]]] = {
    "openai responses": _of_responses,
    "gemini": _of_gemini,
    "anthropic": _of_claude,
    "bedrock": _of_bedrock,
}
