"""Which backends there are, where those made here are and what they are asked with."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import BaseModel, Field, SecretStr, WithJsonSchema, field_serializer, field_validator

from avengers_core.common.ranges import MOST_RETRIES, YEAR
from avengers_core.redaction import field_that_shows
from avengers_core.routing.call import MOST_TOKENS
from avengers_core.serving.backends.capabilities import plain_capabilities
from avengers_core.serving.backends.model_settings import ModelSettings
from avengers_core.serving.settings.base import CONFIG, Number, WholeNumber


class BackendSettings(BaseModel):
    """Which backends there are, when they are left alone, and what those made here are asked
    with."""

    model_config = CONFIG

    models: Any = Field(
        default=None,
        repr=False,
        description="model id -> backend, or a text that names one ('anthropic:claude-...'); or "
        "ids only, or nothing for all of the artifact's, to be reached through the endpoint in "
        "the environment",
    )
    capabilities: dict[str, Any] = Field(
        default_factory=dict,
        description="model id -> what it can do, Capabilities or a dict of its fields, where its "
        "backend does not say so itself",
    )
    cooldown: Number | None = Field(
        default=None,
        ge=0,
        le=YEAR,
        description="how long a backend that keeps failing is left alone, seconds, default 30; "
        "each further rest is twice as long, up to ten times this",
    )
    failure_threshold: WholeNumber | None = Field(
        default=None,
        ge=1,
        description="failures in a row before a backend is left alone; default 3",
    )
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
    temperature: Number | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="sampling temperature; default the backends' own",
    )
    max_tokens: WholeNumber | None = Field(
        default=None,
        ge=1,
        le=MOST_TOKENS,
        description="longest answer, tokens; default the backends' own",
    )
    timeout: Number | None = Field(
        default=None,
        gt=0,
        le=YEAR,
        description="of backends that are made here, seconds; default 60",
    )
    max_retries: WholeNumber | None = Field(
        default=None,
        ge=0,
        le=MOST_RETRIES,
        description="how often backends that are made here try again before the next candidate "
        "does; default 0",
    )
    model_settings: Annotated[ModelSettings, WithJsonSchema({"type": "object"})] = Field(
        default_factory=dict,
        validate_default=True,
        repr=False,
        description="further settings of backends that are made here: top_p, seed, stop, "
        "reasoning_effort, frequency_penalty, presence_penalty, service_tier, verbosity, "
        "default_headers, default_query, extra_body; and model id -> a dict of these, temperature, "
        "max_tokens, timeout and max_retries, for that model",
    )

    @field_validator("capabilities", mode="before")
    @classmethod
    def _plain_capabilities(cls, told: Any) -> dict[str, dict[str, Any]]:
        return plain_capabilities(told or {})

    @field_validator("base_url")
    @classmethod
    def _no_key_in_url(cls, url: str | None) -> str | None:
        if url and field_that_shows({"base_url": url}):
            raise ValueError(
                "base_url holds a key, a password or a parameter, which would show; pass api_key=, "
                "and parameters as model_settings={'default_query': {...}}"
            )
        return url

    @field_validator("model_settings", mode="before")
    @classmethod
    def _known_settings(cls, given: Any) -> ModelSettings:
        return given if isinstance(given, ModelSettings) else ModelSettings(given or {})

    @field_serializer("models")
    def _model_names(self, models: Any) -> list[str] | None:
        return None if models is None else list(models)

    @field_serializer("model_settings")
    def _shown_settings(self, settings: ModelSettings) -> dict[str, Any]:
        return settings.shown()

    @field_serializer("api_key")
    def _no_key(self, key: SecretStr | None) -> None:
        return None
