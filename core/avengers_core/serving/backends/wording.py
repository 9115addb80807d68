"""What a caller says of a call in the words of one provider, in the words of whoever answers.

Callers do not know who will answer. So the choice of a tool, the length of the answer and the like
are understood in every form that providers and frameworks have, and said to each kind of backend
in its own. A setting for which a kind of backend has no word is left out there, and the log says so
once.
"""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Literal

from avengers_core.serving.history import Dialect

logger = logging.getLogger(__name__)

Mode = Literal["auto", "any", "none"]

_MODES: dict[str, Mode] = {
    "auto": "auto",
    "any": "any",
    "required": "any",
    "validated": "auto",  # Gemini's
    "none": "none",
}
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

# What a kind of backend has no word for, and what it calls what OpenAI's chat calls otherwise.
_WORDS: dict[str, dict[str, str | None]] = {
    "openai": {"top_k": None},  # servers that have it read it in `extra_body`
    "openai responses": dict.fromkeys(("stop", "top_k", "logit_bias", *_OF_CHAT)),
    "anthropic": {"stop": "stop_sequences", **dict.fromkeys((*_OF_OPENAI, *_OF_CHAT, _TIER))},
    "bedrock": {"stop": "stop_sequences", **dict.fromkeys((*_OF_OPENAI, *_OF_CHAT, _TIER))},
    "gemini": {
        "max_tokens": "max_output_tokens",
        "stop": "stop_sequences",
        **dict.fromkeys((*_OF_OPENAI, _TIER)),
    },
}


def family(dialect: Dialect) -> str:
    """The protocol of a kind of backend, by which its words are told.

    ``"openai"``, ``"openai responses"``, ``"anthropic"``, ``"bedrock"``, ``"gemini"``, or
    ``"other"`` where nothing is known.
    """
    name = dialect.name.partition(",")[0]
    if name in ("openai compatible", "mistral"):
        return "openai"
    return name if name in _WORDS else "other"


def canonical(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """A call's arguments, those that have several names under one: OpenAI chat's."""
    return {_CANONICAL.get(name, name): value for name, value in arguments.items()}


def worded(arguments: Mapping[str, Any], kind: str) -> dict[str, Any]:
    """A call's arguments in the words of a kind of backend.

    Args:
        arguments: as :func:`canonical` gives them; those that it does not know stay.
        kind: what :func:`family` gives.

    Returns:
        The same values; without those for which there is no word.
    """
    said = {}
    for name, value in arguments.items():
        if (word := word_of(name, kind)) is None:
            note_left_out(name, kind)
        else:
            said[word] = value
    return said


def word_of(name: str, kind: str) -> str | None:
    """What a kind of backend calls an argument; None where it has no word for it."""
    return _WORDS.get(kind, {}).get(name, name)


@cache
def note_left_out(name: str, kind: str) -> None:
    """Say in the log that a setting cannot be told a kind of backend; each once."""
    logger.warning(
        "%s= cannot be told backends of the kind %r, and is left out where one of them answers",
        name,
        kind,
    )


@dataclass(frozen=True)
class ToolWords:
    """How a kind of backend is told what to do with its tools.

    Attributes:
        choice: its ``tool_choice``, or None.
        parallel: its ``parallel_tool_calls``, where it has one, or None.
        only: the names of the tools to hand over; None: all of them.
    """

    choice: Any = None
    parallel: bool | None = None
    only: Set[str] | None = None


def tool_words(choice: Any, parallel: bool | None, tools: Collection[str], kind: str) -> ToolWords:
    """What to tell a kind of backend.

    Args:
        choice: what the caller says, in the form of any provider (:meth:`ToolChoice.read`); what is
            not understood goes on as it is.
        parallel: whether several tools may be called at once, or None.
        tools: the names of all of them.
        kind: what :func:`family` gives.
    """
    read = ToolChoice.read(choice, tools)
    if read is None:
        if choice or parallel is None or kind != "anthropic":
            return ToolWords(choice or None, None if kind in _SERIAL else parallel)
        read = ToolChoice("auto")
    if parallel is None:
        parallel = read.parallel
    only = frozenset(read.names) if len(read.names) > 1 or read.mode == "auto" else None
    if kind == "bedrock" and read.mode == "none":
        return ToolWords(only=frozenset())
    said = replace(read, parallel=parallel).said_to(kind)
    return ToolWords(said, None if kind in _SERIAL else parallel, only or None)


# These are not told by an argument of its own whether several tools may be called at once.
_SERIAL = ("anthropic", "bedrock", "gemini")


@dataclass(frozen=True)
class ToolChoice:
    """Whether a tool has to be called, and which.

    Attributes:
        mode: ``"auto"``: the model may call one; ``"any"``: it has to; ``"none"``: it must not.
        names: the only tools that it may call; none: all of them.
        parallel: whether it may call several at once; None: nothing was said of it.
    """

    mode: Mode
    names: tuple[str, ...] = ()
    parallel: bool | None = None

    @classmethod
    def read(cls, given: Any, tools: Iterable[str] = ()) -> ToolChoice | None:
        """What a caller says in the form of any provider.

        Args:
            given: a mode or the name of a tool, True for ``"any"``, a list of names, or what OpenAI
                (chat and Responses), Anthropic, Gemini or Bedrock take.
            tools: names of the tools; one of them goes before a mode that is called alike.

        Returns:
            None, where nothing is said or it is not understood.
        """
        if isinstance(given, str):
            mode = None if given in tools else _MODES.get(given.lower())
            return cls("any", (given,)) if mode is None else cls(mode)
        if given is True:
            return cls("any")
        if isinstance(given, list | tuple) and given and all(isinstance(n, str) for n in given):
            return cls("any", tuple(given))
        return cls._of_mapping(given) if isinstance(given, Mapping) else None

    @classmethod
    def _of_mapping(cls, given: Mapping[str, Any]) -> ToolChoice | None:
        for inner in ("function_calling_config", "functionCallingConfig", "allowed_tools"):
            if isinstance(of_it := given.get(inner), Mapping):
                return cls._of_mapping(of_it)
        if isinstance(mode := given.get("mode"), str):
            allowed = given.get("allowed_function_names") or given.get("allowedFunctionNames")
            names = tuple(allowed or filter(None, map(_name_of, given.get("tools") or ())))
            known = _MODES.get(mode.lower())
            return None if known is None else cls(known, names)
        disabled = given.get("disable_parallel_tool_use")
        parallel = None if disabled is None else not disabled
        if name := _name_of(given):
            return cls("any", (name,), parallel)
        keys = [given["type"]] if "type" in given else list(given)
        known = _MODES.get(str(keys[0])) if len(keys) == 1 else None
        return None if known is None else cls(known, (), parallel)

    def said_to(self, kind: str) -> Any:
        """The same, as a kind of backend takes it in its requests.

        Only one name can be said; where there are several, hand over those tools alone.

        Args:
            kind: what :func:`family` gives.
        """
        name = self.names[0] if len(self.names) == 1 and self.mode == "any" else None
        if kind == "anthropic":
            said: dict[str, Any] = {"type": self.mode} if name is None else _of(name, "tool")
            if self.parallel is not None and self.mode != "none":
                said["disable_parallel_tool_use"] = not self.parallel
            return said
        if kind == "bedrock":
            return {self.mode: {}} if name is None else {"tool": {"name": name}}
        if kind in ("openai", "openai responses"):
            if name is None:
                return "required" if self.mode == "any" else self.mode
            responses = kind == "openai responses"
            return _of(name, "function") if responses else _function(name)
        return name or self.mode  # frameworks' own words, which Gemini's clients take


def _name_of(given: Any) -> str | None:
    """The name of the tool that a mapping of whichever provider names."""
    if not isinstance(given, Mapping):
        return given if isinstance(given, str) else None
    for inner in ("function", "tool", "custom"):
        if isinstance(of_it := given.get(inner), Mapping):
            return _name_of(of_it)
    name = given.get("name")
    return name if isinstance(name, str) else None


def _of(name: str, kind: str) -> dict[str, Any]:
    return {"type": kind, "name": name}


def _function(name: str) -> dict[str, Any]:
    return {"type": "function", "function": {"name": name}}
