"""Which tools a model has to call, as a caller says it in the words of one provider, in the words
of whoever answers."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass, replace
from typing import Any, Literal

from avengers_core.serving.history.dialects import Protocol

Mode = Literal["auto", "any", "none"]

_MODES: dict[str, Mode] = {
    "auto": "auto",
    "any": "any",
    "required": "any",
    "validated": "auto",  # Gemini's
    "none": "none",
}


@dataclass(frozen=True)
class ToolWords:
    """How a backend is told what to do with its tools.

    Attributes:
        choice: its ``tool_choice``, or None.
        parallel: its ``parallel_tool_calls``, where it has one, or None.
        only: the names of the tools to hand over; None: all of them.
    """

    choice: Any = None
    parallel: bool | None = None
    only: Set[str] | None = None


def tool_words(
    choice: Any, parallel: bool | None, tools: Collection[str], protocol: Protocol
) -> ToolWords:
    """What to tell a backend.

    Args:
        choice: what the caller says, in the form of any provider (:meth:`ToolChoice.read`); what is
            not understood goes on as it is.
        parallel: whether several tools may be called at once, or None.
        tools: the names of all of them.
        protocol: whose words.
    """
    read = ToolChoice.read(choice, tools)
    if read is None:
        if choice or parallel is None or protocol != "anthropic":
            return ToolWords(choice or None, None if protocol in _SERIAL else parallel)
        read = ToolChoice("auto")
    if parallel is None:
        parallel = read.parallel
    only = frozenset(read.names) if len(read.names) > 1 or read.mode == "auto" else None
    if protocol == "bedrock" and read.mode == "none":
        return ToolWords(only=frozenset())
    said = replace(read, parallel=parallel).said_to(protocol)
    return ToolWords(said, None if protocol in _SERIAL else parallel, only or None)


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

    def said_to(self, protocol: Protocol) -> Any:
        """The same, as a backend takes it in its requests.

        Only one name can be said; where there are several, hand over those tools alone.

        Args:
            protocol: whose words.
        """
        name = self.names[0] if len(self.names) == 1 and self.mode == "any" else None
        if protocol == "anthropic":
            said: dict[str, Any] = {"type": self.mode} if name is None else _of(name, "tool")
            if self.parallel is not None and self.mode != "none":
                said["disable_parallel_tool_use"] = not self.parallel
            return said
        if protocol == "bedrock":
            return {self.mode: {}} if name is None else {"tool": {"name": name}}
        if protocol.startswith("openai"):
            if name is None:
                return "required" if self.mode == "any" else self.mode
            responses = protocol == "openai responses"
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
