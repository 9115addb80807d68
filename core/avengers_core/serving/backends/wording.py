"""What a caller says of an answer in the words of one provider, in the words of whoever gives it.

Callers do not know who will answer. So its length and the like are understood by every name that
providers and frameworks have, and said to each backend by its own. What it has no word for, or what
its model refuses, is left out there, and the log says so once.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Set
from functools import cache
from typing import Any

from avengers_core.serving.history import Target
from avengers_core.serving.stopping import note_cut, sequences_of

logger = logging.getLogger(__name__)

_CANONICAL = {
    **dict.fromkeys(("max_completion_tokens", "max_output_tokens", "max_new_tokens"), "max_tokens"),
    "stop_sequences": "stop",
    **dict.fromkeys(("effort", "thinking_level"), "reasoning_effort"),
}
_OF_OPENAI = ("logit_bias", "user", "verbosity")
_TIER = "service_tier"  # which others have, with values of their own
_OF_CHAT = ("frequency_penalty", "presence_penalty", "seed")
OF_ANSWERS = frozenset(
    {*_CANONICAL, *_CANONICAL.values(), "temperature", "top_p", "top_k", *_OF_OPENAI, *_OF_CHAT}
)
"""Names of what is said of an answer and means the same to many kinds of backend."""
OF_CALLS = OF_ANSWERS | {_TIER}
"""These, and what a call may say besides that not all of them take."""

# What a protocol has no word for, and what it calls what OpenAI's chat calls otherwise.
_WORDS: dict[str, dict[str, str | None]] = {
    "openai": {"top_k": None},
    "openai compatible": {"top_k": None},  # servers that have it read it in `extra_body`
    "openai responses": dict.fromkeys(("stop", "top_k", "logit_bias", *_OF_CHAT)),
    "anthropic": {"stop": "stop_sequences", **dict.fromkeys((*_OF_OPENAI, *_OF_CHAT, _TIER))},
    "bedrock": {"stop": "stop_sequences", **dict.fromkeys((*_OF_OPENAI, *_OF_CHAT, _TIER))},
    "gemini": {
        "max_tokens": "max_output_tokens",
        "stop": "stop_sequences",
        **dict.fromkeys((*_OF_OPENAI, _TIER)),
    },
}
# OpenAI's and xAI's models that reason: "Unsupported parameter: 'stop'".
_REASONS = re.compile(
    r"(?:^|[/.])(?:o[1-9]|gpt-[5-9]|grok-(?:[4-9]|3-mini|code))(?!.*-(?:chat|non-reasoning))",
    re.IGNORECASE,
)
_OF_NO_REASONER = frozenset({"stop", "frequency_penalty", "presence_penalty"})
# OpenAI's, but those that do not reason unless told to, and Claude from Opus 4.7 on:
# https://platform.claude.com/docs/en/about-claude/models/whats-new-claude-4-7
_SAMPLES_ALONE = re.compile(
    r"(?:^|[/.])(?:o[1-9]|gpt-(?:5(?!\.[1-4])|[6-9]))(?!.*-chat)"
    r"|claude-(?:opus-4[.-][7-9]|[a-z]+-[5-9])",
    re.IGNORECASE,
)
_SAMPLING = frozenset({"temperature", "top_p", "top_k"})
# "`temperature` and `top_p` cannot both be specified for this model."
_SAMPLES_BY_ONE = re.compile(r"claude-[a-z]+-4", re.IGNORECASE)


def canonical(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A call's arguments, those that have several names under one: OpenAI chat's."""
    return {_CANONICAL.get(name, name): value for name, value in arguments.items()}


def told(
    layers: Iterable[Mapping[str, Any]], target: Target
) -> tuple[dict[str, Any], tuple[str, ...]]:
    """What is said of an answer, as it can be told whoever gives it.

    Args:
        layers: settings by name; where they overlap the later go before the earlier, in whichever
            words they are said.
        target: who is asked; where nothing is known of its words, it is told all as it was said.

    Returns:
        The settings in its words, without those that it has none for or that it refuses; and the
        stop sequences, where these are among them, at which its answer has to be cut.
    """
    protocol = target.dialect.protocol
    said: dict[str, Any] = {}
    for layer in layers:
        said |= layer if protocol == "other" else canonical(layer)
    if protocol == "other":
        return said, ()
    words: dict[str, Any] = {}
    cut: tuple[str, ...] = ()
    unheard = refused(said, target)
    for name, value in said.items():
        word = None if name in unheard else word_of(name, protocol)
        if word is not None:
            words[word] = value
        elif name == "stop":
            cut = sequences_of(value)
        elif value is not None:
            note_left_out(name, target.called if name in unheard else protocol)
    if cut:
        note_cut(target.dialect.name)
    return words, cut


def refused(said: Mapping[str, Any], target: Target) -> Set[str]:
    """What of an answer a model refuses to be told, whether it is said or not.

    Args:
        said: what is, by OpenAI chat's names.
        target: the model.
    """
    dialect = target.dialect
    if dialect.protocol == "other":
        return frozenset()
    unheard = set[str]()
    if dialect.speaks_openai and _REASONS.search(target.called):
        unheard |= _OF_NO_REASONER
    samples = target.samples or said.get("temperature") is not None
    if dialect.thinks_first or _SAMPLES_ALONE.search(target.called):
        unheard |= _SAMPLING
    elif samples and _SAMPLES_BY_ONE.search(target.called):
        unheard.add("top_p")
    return unheard


def word_of(name: str, protocol: str) -> str | None:
    """What a protocol calls a setting; None where it has no word for it."""
    return _WORDS.get(protocol, {}).get(name, name)


@cache
def note_left_out(name: str, kind: str) -> None:
    """Say in the log that a setting cannot be told a kind of backend; each once."""
    logger.warning(
        "%s= cannot be told backends of the kind %r, and is left out where one of them answers",
        name,
        kind,
    )
