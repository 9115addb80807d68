"""The OpenAI-compatible LLM that the plugin makes where the user gives none."""

from __future__ import annotations

from typing import Any

from llama_index.llms.openai_like import OpenAILike  # type: ignore[import-untyped]
from pydantic import Field


class KeylessOpenAILike(OpenAILike):  # type: ignore[misc]
    """An ``OpenAILike`` that does not show its key, and sends no temperature unless told one.

    LlamaIndex sends 0.1 by itself, which some models refuse.
    """

    api_key: str | None = Field(default=None, repr=False, exclude=True)
    temperature: float | None = None

    def __init__(self, **options: Any) -> None:
        super().__init__(**{"temperature": None, **options})

    def _get_model_kwargs(self, **given: Any) -> dict[str, Any]:
        arguments: dict[str, Any] = super()._get_model_kwargs(**given)
        if arguments.get("temperature") is None:
            arguments.pop("temperature", None)
        return {**arguments, **given}  # what is said of a call goes before what is set

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("it holds a key; pickle the AvengersLLM, which makes it again")
