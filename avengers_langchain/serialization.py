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
    if '"type": "not_implemented"' in text:
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
    field = _field_that_shows(dumps(backend), arguments)
    return f"{type(backend).__name__}, left out for its {field}" if field else given


def _field_that_shows(dumped: str, arguments: Mapping[str, Any]) -> str | None:
    """The field of a serialised chat model that holds what is secret in clear, or None."""
    fields = {**json.loads(dumped).get("kwargs", {}), **arguments}
    return next((name for name, value in fields.items() if _shows(name, value)), None)


def _shows(name: str, value: Any) -> bool:
    if isinstance(value, Mapping):
        if value.get("type") == "secret":  # its name alone
            return False
        sent = any(part in name.lower() for part in _SENT_ALONG)
        return bool(value) and (sent or any(_shows(str(k), v) for k, v in value.items()))
    if isinstance(value, list | tuple):
        return any(_shows(name, one) for one in value)
    return isinstance(value, str) and bool(value) and (names_key(name) or redacted(value) != value)
