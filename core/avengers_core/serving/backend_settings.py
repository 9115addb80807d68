"""The settings of backends that are made here: where they are, and what they are asked with."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field, SecretStr, field_serializer, field_validator

from avengers_core.common.ranges import MOST_RETRIES, YEAR
from avengers_core.redaction import field_that_shows
from avengers_core.routing.policy import MOST_TOKENS
from avengers_core.serving.backends.model_settings import ModelSettings
from avengers_core.serving.routing_settings import CONFIG, no_truth_value

NUMBERS_OF_BACKENDS = ("temperature", "max_tokens", "timeout", "max_retries")
"""Those that are numbers."""


class BackendSettings(BaseModel):
    """Where the backends that are made here are, and what they are asked with."""

    model_config = CONFIG

    base_url: str | None = Field(
        default=None,
        repr=False,
        description="endpoint of the backends that are made here; default, from the environment",
    )
    api_key: SecretStr | None = Field(
        default=None,
        repr=False,
        description="for that endpoint; default, AVENGERS_API_KEY",
    )
    temperature: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="sampling temperature; default the backends' own",
    )
    max_tokens: int | None = Field(
        default=None,
        ge=1,
        le=MOST_TOKENS,
        description="longest answer, tokens; default the backends' own",
    )
    timeout: float | None = Field(
        default=None,
        gt=0,
        le=YEAR,
        description="of backends that are made here, seconds; default 60",
    )
    max_retries: int | None = Field(
        default=None,
        ge=0,
        le=MOST_RETRIES,
        description="how often backends that are made here try again before the next candidate "
        "does; default 0",
    )
    model_settings: dict[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="further settings of backends that are made here: top_p, seed, stop, "
        "reasoning_effort, frequency_penalty, presence_penalty, service_tier, verbosity, "
        "default_headers, default_query, extra_body; and model id -> a dict of these, temperature, "
        "max_tokens, timeout and max_retries, for that model",
    )

    @field_validator(*NUMBERS_OF_BACKENDS, mode="before")
    @classmethod
    def _number_of_backends(cls, value: Any) -> Any:
        return no_truth_value(value)

    @field_validator("base_url")
    @classmethod
    def _no_key_in_url(cls, url: str | None) -> str | None:
        if url and field_that_shows({"base_url": url}):
            raise ValueError(
                "base_url holds a key, a password or a parameter, which would show; pass api_key=, "
                "and parameters as model_settings={'default_query': {...}}"
            )
        return url

    @field_validator("model_settings", mode="wrap")
    @classmethod
    def _known_settings(cls, given: Any, _: Any) -> ModelSettings:
        return ModelSettings(given or {})

    @field_serializer("model_settings")
    def _shown_settings(self, settings: ModelSettings) -> dict[str, Any]:
        return ModelSettings(settings).shown()

    @field_serializer("api_key")
    def _no_key(self, key: SecretStr | None) -> None:
        return None
