"""The OpenAI-compatible LLM that the plugin makes where the user gives none."""

from __future__ import annotations

from typing import Any

from llama_index.llms.openai_like import OpenAILike  # type: ignore[import-untyped]
from pydantic import Field


class KeylessOpenAILike(OpenAILike):  # type: ignore[misc]
    """An ``OpenAILike`` that does not show its key."""

    api_key: str | None = Field(default=None, repr=False, exclude=True)

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("it holds a key; pickle the AvengersLLM, which makes it again")
