"""What a call needs of a model, and what a model can do."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Set
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple

MEDIA = ("images", "files", "audio", "video")
_YES_OR_NO = ("tools", "structured_output", *MEDIA)


@dataclass(frozen=True)
class Capabilities:
    """What a model can do; None where that is not known, and then it is assumed able.

    Attributes:
        tools: calls tools.
        structured_output: answers in a JSON schema by itself (not through a tool).
        images: takes images as input.
        files: takes files, such as PDFs.
        audio: takes sound.
        video: takes video.
        context_window: longest prompt, tokens.
        provider: whose tools it can be given that only their provider knows, such as a web search
            that runs there: ``"anthropic"``, ``"openai"``, ``"google"``, ``"xai"``, ``"groq"``.
    """

    tools: bool | None = None
    structured_output: bool | None = None
    images: bool | None = None
    files: bool | None = None
    audio: bool | None = None
    video: bool | None = None
    context_window: int | None = None
    provider: str | None = None

    def __post_init__(self) -> None:
        for name in _YES_OR_NO:
            if not isinstance(value := getattr(self, name), bool | None):
                raise ValueError(f"{name} must be True, False or None, got {value!r}")
        window = self.context_window
        if window is not None and (not isinstance(window, int) or window < 1):
            raise ValueError(f"context_window must be tokens, at least 1, got {window!r}")
        if not isinstance(self.provider, str | None):
            raise ValueError(f"provider must be a name, got {self.provider!r}")

    @classmethod
    def of(cls, told: Capabilities | Mapping[str, Any]) -> Capabilities:
        """Capabilities, from themselves or from a dict of them.

        Raises:
            ValueError: no such capability, or a value that cannot be.
        """
        if isinstance(told, Capabilities):
            return told
        names = [f.name for f in fields(cls)]
        if not isinstance(told, Mapping) or (unknown := set(told) - set(names)):
            got = sorted(unknown) if isinstance(told, Mapping) else f"{told!r:.60}"
            raise ValueError(f"expected Capabilities, or a dict of {names}, got {got}")
        return cls(**told)

    def overlaid(self, told: Capabilities) -> Capabilities:
        """These, with whatever ``told`` knows in their place."""
        known = {f.name: getattr(told, f.name) for f in fields(told)}
        return replace(self, **{name: value for name, value in known.items() if value is not None})


def plain_capabilities(
    told: Mapping[str, Capabilities | Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Capabilities by model as plain JSON types, checked; what is not known is left out.

    Raises:
        ValueError: no such capability, or a value that cannot be.
    """
    if not isinstance(told, Mapping):
        raise ValueError(f"capabilities= maps model ids to what they can do, got {told!r:.60}")
    checked = {m: Capabilities.of(c) for m, c in told.items()}
    return {m: {k: v for k, v in asdict(c).items() if v is not None} for m, c in checked.items()}


class Needs(NamedTuple):
    """What one call needs of the model.

    Attributes:
        tools: the call brings tools.
        structured_output: the call demands an answer in a JSON schema.
        images: there are images in the prompt.
        files: likewise files.
        audio: likewise sound.
        video: likewise video.
        providers: the call brings a tool that only these know; empty: anyone can be given all.
        tokens: length of the prompt, tokens.
    """

    tools: bool = False
    structured_output: bool = False
    images: bool = False
    files: bool = False
    audio: bool = False
    video: bool = False
    providers: frozenset[str] = frozenset()
    tokens: int = 0

    def of_length(self, tokens: int) -> Needs:
        """The same with a prompt of so many tokens."""
        return Needs(*self[:-1], tokens)

    def along_with(self, other: Needs, tokens: int) -> Needs:
        """What a prompt of so many tokens with both needs."""
        both = {name: getattr(self, name) or getattr(other, name) for name in _YES_OR_NO}
        return Needs(**both, providers=all_of(self.providers, other.providers), tokens=tokens)


_NOBODY = frozenset({"nobody"})
_ANTHROPIC = re.compile(r"[a-z_]+_20\d{6}|mcp_toolset")
_DATED = re.compile(r"_20\d\d_\d\d_\d\d$")
_OPENAI = dict.fromkeys(
    ("image_generation", "computer", "local_shell", "shell", "apply_patch", "tool_search"),
    frozenset({"openai"}),
) | {
    "computer_use_preview": frozenset({"openai"}),
    "web_search_preview": frozenset({"openai"}),
    "web_search": frozenset({"openai", "xai"}),
    "file_search": frozenset({"openai", "xai"}),
    "mcp": frozenset({"openai", "xai", "groq"}),
    "code_interpreter": frozenset({"openai", "xai", "groq"}),
    "x_search": frozenset({"xai"}),
    "browser_search": frozenset({"groq"}),
}
_GOOGLE = frozenset(
    {
        "google_search",
        "google_search_retrieval",
        "code_execution",
        "url_context",
        "google_maps",
        "enterprise_web_search",
        "computer_use",
        "file_search",
    }
)
_CAMEL = re.compile(r"(?<=[a-z])(?=[A-Z])")


def providers_of(tool: Any) -> frozenset[str]:
    """Who knows a tool by its definition, such as Anthropic its web search; empty: it is a function
    of the caller's, which anyone can be given.

    Args:
        tool: as it is handed to a model; a function, a class or a dict.
    """
    if not isinstance(tool, Mapping):
        return frozenset()
    kind = tool.get("type")
    if isinstance(kind, str):
        if _ANTHROPIC.fullmatch(kind):
            return frozenset({"anthropic"})
        return _OPENAI.get(_DATED.sub("", kind), frozenset())
    keys = {_CAMEL.sub("_", str(key)).lower() for key in tool}
    return frozenset({"google"}) if keys and keys <= _GOOGLE else frozenset()


def needs_of_tools(tools: Iterable[Any]) -> Needs:
    """What a model needs to be given tools, as they are handed to it."""
    functions, providers = False, frozenset[str]()
    for tool in tools:
        known_to = providers_of(tool)
        functions |= not known_to
        providers = all_of(providers, known_to)
    return Needs(tools=functions, providers=providers)


def all_of(some: Set[str], others: Set[str]) -> frozenset[str]:
    """Who knows the tools of both, either of which may be empty for everybody."""
    if some and others:
        return frozenset(some & others) or _NOBODY
    return frozenset(some or others)


class TooLong(str):
    """Why a model cannot serve a call that it could serve if its prompt were shorter."""


def unmet(needs: Needs, capabilities: Capabilities) -> str | None:
    """Why a model cannot serve a call, in words, or None if it can."""
    if needs.tools and capabilities.tools is False:
        return "it cannot call tools"
    if needs.structured_output and capabilities.structured_output is False:
        return "it has no structured output"
    for kind in MEDIA:
        if getattr(needs, kind) and getattr(capabilities, kind) is False:
            return f"it takes no {kind}"
    if needs.providers and capabilities.provider not in needs.providers:
        return f"it is not given the tools of {' or '.join(sorted(needs.providers))}"
    window = capabilities.context_window
    if window is not None and needs.tokens > window:
        return TooLong(
            f"a prompt of about {needs.tokens:,} tokens does not fit its context window "
            f"of {window:,}"
        )
    return None
