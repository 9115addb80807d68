"""Which OpenAI-compatible endpoint to reach the models through, from the environment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NoReturn
from urllib.parse import urlsplit

from pydantic import SecretStr

from avengers_core.errors import BackendConfigError

OPENROUTER_URL = "https://openrouter.ai/api/v1"
_OPENAI_HOST = "api.openai.com"
_NO_KEY = "none"  # local servers take none, and client libraries insist on one


@dataclass(frozen=True)
class Endpoint:
    """An OpenAI-compatible endpoint.

    Attributes:
        base_url: None for OpenAI's own.
        api_key: never shown.
        prefix: the only models reachable are those whose id begins with it (``"openai/"``), and
            they are called without it; None: all are reachable, under their own ids.
    """

    base_url: str | None = field(repr=False)  # may hold a user's name and password
    api_key: SecretStr
    prefix: str | None = None

    def remote_name(self, model: str) -> str | None:
        """What a model is called at this endpoint; None if it cannot be reached through it."""
        if self.prefix is None:
            return model
        return model.removeprefix(self.prefix) if model.startswith(self.prefix) else None

    def unreachable(self, models: Iterable[str]) -> dict[str, str]:
        """model -> reason, for the models that cannot be reached through it."""
        reason = "not reachable through the endpoint"
        return {model: reason for model in models if self.remote_name(model) is None}

    def __reduce__(self) -> NoReturn:
        raise TypeError("an Endpoint holds a key and is not pickled; call endpoint_from_env() anew")


def find_endpoint(
    base_url: str | None = None,
    api_key: SecretStr | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Endpoint:
    """The endpoint that the arguments name, else the environment.

    Args:
        base_url: goes before ``AVENGERS_BASE_URL``, whose key is then not used.
        api_key: for ``base_url`` or ``AVENGERS_BASE_URL``; it goes before ``AVENGERS_API_KEY``.
        environ: where the rest is looked up, see :func:`endpoint_from_env`.

    Raises:
        BackendConfigError: none is named, or a key without the endpoint that it is for.
    """
    told = dict(environ)
    if base_url is not None and base_url != told.get("AVENGERS_BASE_URL"):
        told["AVENGERS_BASE_URL"] = base_url
        told.pop("AVENGERS_API_KEY", None)  # it belongs to another
    if api_key is not None:
        if not told.get("AVENGERS_BASE_URL"):
            raise BackendConfigError(
                "api_key= is given without the endpoint that it is for: pass base_url= too, or set "
                "AVENGERS_BASE_URL"
            )
        told["AVENGERS_API_KEY"] = api_key.get_secret_value()
    return endpoint_from_env(told)


def endpoint_from_env(environ: Mapping[str, str] = os.environ) -> Endpoint:
    """The endpoint that the environment names.

    In this order: ``AVENGERS_BASE_URL`` with ``AVENGERS_API_KEY`` (which a local server may do
    without); ``OPENROUTER_API_KEY``; ``OPENAI_API_KEY`` with ``OPENAI_BASE_URL``, or without it
    OpenAI's own endpoint, through which only ``openai/*`` models are reachable. A key is only ever
    sent to the URL that it belongs to.

    Raises:
        BackendConfigError: none of them is set.
    """
    if url := environ.get("AVENGERS_BASE_URL"):
        return _endpoint(url, environ.get("AVENGERS_API_KEY") or _NO_KEY)
    if key := environ.get("OPENROUTER_API_KEY"):
        return _endpoint(OPENROUTER_URL, key)
    if key := environ.get("OPENAI_API_KEY"):
        return _endpoint(environ.get("OPENAI_BASE_URL") or None, key)
    lone = "AVENGERS_API_KEY is set without AVENGERS_BASE_URL. "
    raise BackendConfigError(
        f"no endpoint to ask models through: {lone if environ.get('AVENGERS_API_KEY') else ''}set "
        f"AVENGERS_BASE_URL and AVENGERS_API_KEY (any OpenAI-compatible endpoint), or "
        f"OPENROUTER_API_KEY, or OPENAI_API_KEY (with OPENAI_BASE_URL for another endpoint than "
        f"OpenAI's, through which only openai/* models are reachable); or, in a program, pass "
        f"`models`: backends of your own."
    )


def _endpoint(url: str | None, key: str) -> Endpoint:
    if url is not None and urlsplit(url).scheme not in ("http", "https"):
        shown = url.rpartition("@")[2]  # what is before it may be a password
        raise BackendConfigError(
            f"the URL of the endpoint must begin with http:// or https://, got {shown!r}"
        )
    host = _OPENAI_HOST if url is None else urlsplit(url).hostname or ""
    is_openai = host == _OPENAI_HOST or host.endswith(f".{_OPENAI_HOST}")
    return Endpoint(url, SecretStr(key.strip()), "openai/" if is_openai else None)
