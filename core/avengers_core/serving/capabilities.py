"""What a call needs of a model, and what a model can do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any


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
            ValueError: no such capability, or a value that can not be.
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


@dataclass(frozen=True)
class Needs:
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


def unmet(needs: Needs, capabilities: Capabilities) -> str | None:
    """Why a model can not serve a call, in words, or None if it can."""
    if needs.tools and capabilities.tools is False:
        return "it can not call tools"
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
