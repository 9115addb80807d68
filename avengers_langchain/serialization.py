"""Backends in forms that are kept or sent, none of which shows a key."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps, loads

from avengers_core.redaction import names_key, redacted
from avengers_langchain.backends import unwrapped

# What is sent along with each request, under whatever names, is taken for secret.
_SENT_ALONG = ("header", "cookie", "query")
_ADDRESSES = ("url", "base", "proxy", "endpoint", "host")
_NO_FORM = '"type": "not_implemented"'
_OTHER_SIDE = (
    "Give models= as ids, or as texts for init_chat_model, so that the backends are made from the "
    "environment on the other side."
)


def dump_models(models: Any) -> Any:
    """Backends in a form that can be pickled: of their keys it holds only the names.

    Raises:
        TypeError: one that cannot be serialised.
    """
    if not isinstance(models, Mapping):
        return models
    return {m: b if isinstance(b, str) else _dumped(m, b) for m, b in models.items()}


def load_models(dumped: Any) -> Any:
    """What :func:`dump_models` dumped; keys come from the environment."""
    if not isinstance(dumped, Mapping):
        return dumped
    return {m: d if isinstance(d, str) else _loaded(*d) for m, d in dumped.items()}


def _dumped(model: str, given: Any) -> tuple[type[BaseChatModel], str, dict[str, Any]]:
    backend, arguments = unwrapped(model, given)
    text = dumps(backend)
    if _NO_FORM in text:
        raise TypeError(
            f"the backend of {model!r} cannot be pickled without writing what it holds in clear. "
            f"{_OTHER_SIDE}"
        )
    if field := _field_that_shows(text, arguments):
        raise TypeError(
            f"the backend of {model!r} cannot be pickled: its {field} would be written in clear. "
            f"{_OTHER_SIDE}"
        )
    return type(backend), text, dict(arguments)


def _loaded(kind: type[BaseChatModel], text: str, arguments: dict[str, Any]) -> Any:
    namespace = kind.get_lc_namespace()[0]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*in beta")
        backend = loads(
            text, allowed_objects=[kind], valid_namespaces=[namespace], secrets_from_env=True
        )
    return backend.bind(**arguments) if arguments else backend


def without_secrets(models: Any) -> Any:
    """Backends as the framework's serialised forms, which traces hold, may show them.

    One of which a field would show what is secret is left out, and says so: a trace must not fail a
    call.
    """
    if not isinstance(models, Mapping):
        return models
    return {m: b if isinstance(b, str) else _shown(m, b) for m, b in models.items()}


def _shown(model: str, given: Any) -> Any:
    backend, arguments = unwrapped(model, given)
    text, kind = dumps(backend), type(backend).__name__
    if _NO_FORM in text:  # the framework would write its repr
        return f"{kind}, left out for it has no serialised form"
    field = _field_that_shows(text, arguments)
    return f"{kind}, left out for its {field}" if field else given


def _field_that_shows(dumped: str, arguments: Mapping[str, Any]) -> str | None:
    """The field of a serialised chat model that holds what is secret in clear, or None."""
    fields = {**json.loads(dumped).get("kwargs", {}), **arguments}
    return next((name for name, value in fields.items() if _shows(name, value)), None)


def _shows(name: str, value: Any) -> bool:
    if not value or (isinstance(value, Mapping) and value.get("type") == "secret"):
        return False  # of a secret the framework writes the name alone
    if _among(_SENT_ALONG, name):
        return True
    if isinstance(value, Mapping):
        return any(_shows(str(k), v) for k, v in value.items())
    if isinstance(value, list | tuple):
        return any(_shows(name, one) for one in value)
    if not isinstance(value, str):
        return False
    # An address may have a user and a password also where it has no scheme.
    has_user = _among(_ADDRESSES, name) and "@" in value
    return has_user or names_key(name) or redacted(value) != value


def _among(parts: tuple[str, ...], name: str) -> bool:
    return any(part in name.lower() for part in parts)
