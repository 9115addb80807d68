"""Backends in forms that are kept or sent, none of which shows a key."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps, loads

from avengers_langchain.backends import unwrapped


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
            f"Give models= as ids, or as texts for init_chat_model, so that the backends are made "
            f"from the environment on the other side."
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
