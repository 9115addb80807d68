"""What a call needs of a model, and what a model can do."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace


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
        if self.context_window is not None and self.context_window < 1:
            raise ValueError(f"context_window must be at least 1, got {self.context_window}")

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
