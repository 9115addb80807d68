"""What a call needs of a model, and what a model can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any, NamedTuple


@dataclass(frozen=True)
class Capabilities:
    """What a model can do; None where that is not known, and then it is assumed able.

    Attributes:
        tools: calls tools.
        structured_output: answers in a JSON schema by itself (not through a tool).
        images: takes images as input.
        context_window: longest prompt, tokens.
    """

    tools: bool | None = None
    structured_output: bool | None = None
    images: bool | None = None
    context_window: int | None = None

    def __post_init__(self) -> None:
        for name in ("tools", "structured_output", "images"):
            if not isinstance(value := getattr(self, name), bool | None):
                raise ValueError(f"{name} must be True, False or None, got {value!r}")
        window = self.context_window
        if window is not None and (not isinstance(window, int) or window < 1):
            raise ValueError(f"context_window must be tokens, at least 1, got {window!r}")

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
        tokens: length of the prompt, tokens.
    """

    tools: bool = False
    structured_output: bool = False
    images: bool = False
    tokens: int = 0

    def along_with(self, other: Needs, tokens: int) -> Needs:
        """What a prompt of so many tokens with both needs."""
        return Needs(
            self.tools or other.tools,
            self.structured_output or other.structured_output,
            self.images or other.images,
            tokens,
        )


def unmet(needs: Needs, capabilities: Capabilities) -> str | None:
    """Why a model cannot serve a call, in words, or None if it can."""
    if needs.tools and capabilities.tools is False:
        return "it cannot call tools"
    if needs.structured_output and capabilities.structured_output is False:
        return "it has no structured output"
    if needs.images and capabilities.images is False:
        return "it takes no images"
    window = capabilities.context_window
    if window is not None and needs.tokens > window:
        return (
            f"a prompt of about {needs.tokens:,} tokens does not fit its context window "
            f"of {window:,}"
        )
    return None
