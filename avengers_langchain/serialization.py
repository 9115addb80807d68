"""Backends in forms that are kept or sent, none of which shows a key."""

from __future__ import annotations

import json
import warnings
from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps, loads

from avengers_core.redaction import describe, field_that_shows, secrets_of
from avengers_langchain.backends import unwrapped

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
    text, problem = _written(backend, arguments)
    if problem:
        raise TypeError(f"the backend of {model!r} cannot be pickled, for {problem}. {_OTHER_SIDE}")
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
    _, problem = _written(backend, arguments)
    return f"{type(backend).__name__}, left out, for {problem}" if problem else given


def _written(backend: BaseChatModel, arguments: Mapping[str, Any]) -> tuple[str, str | None]:
    """A chat model's serialised form, and why it must not be written, if so."""
    try:
        text = dumps(backend)
        if _NO_FORM in text:  # the framework would write its repr
            return text, "it has no serialised form, and what it holds would be written in clear"
        field = _field_that_shows(backend, text, arguments)
    except Exception as error:  # what a user's class does there may be anything
        reason = describe(error, secrets_of(backend, arguments))
        return "", f"whether it would show what is secret could not be found out ({reason})"
    return text, f"its {field} would be written in clear" if field else None


def _field_that_shows(
    backend: BaseChatModel, dumped: str, arguments: Mapping[str, Any]
) -> str | None:
    """The field of a chat model that its serialised form has in clear, or None."""
    # Of a secret the framework writes the name alone.
    form = json.loads(dumped).get("kwargs", {})
    written = {name: value for name, value in form.items() if not _is_named(value)}
    return field_that_shows({**written, **arguments}) or field_that_shows(vars(backend), dumped)


def _is_named(value: Any) -> bool:
    return isinstance(value, Mapping) and value.get("type") == "secret"
