"""What copies of one chat model share: the router, the backends, their health."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from langchain_core._api.beta_decorator import suppress_langchain_beta_warning
from langchain_core.language_models import BaseChatModel
from langchain_core.load import dumps, loads

from avengers_core import Router
from avengers_core.routing.resolve import resolve_router
from avengers_core.serving.capabilities import Capabilities
from avengers_core.serving.health import BackendHealth
from avengers_langchain.backends import Backends, unwrapped


@dataclass(frozen=True)
class Settings:
    """What a runtime is made from.

    Attributes:
        router: a router, a path, or None for the default artifact.
        models: see :class:`avengers_langchain.backends.Backends`.
        capabilities: model id -> :class:`avengers_core.serving.capabilities.Capabilities`.
        options: arguments for the chat models that are made here; None: not given.
    """

    router: Any
    models: Any
    capabilities: Mapping[str, Mapping[str, Any]]
    options: Mapping[str, Any]

    def same(self, other: Settings) -> bool:
        """Whether a runtime made from the other can be used; chat models are told by identity."""
        return (
            _same(self.router, other.router)
            and _same(self.models, other.models)
            and self.capabilities == other.capabilities
            and self.options == other.options
        )


class Runtime:
    """Router, backends and their health.

    Attributes:
        router: picks the model.
        backends: answer.
        health: which of them to leave alone for a while.
        profile: what holds of whichever of them answers.

    Args:
        settings: what it is made from.

    Raises:
        ValueError: a model that the artifact does not have.
        TypeError: a backend that is no chat model.
        ArtifactError: no artifact at the path.
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.router = resolve_router(settings.router)
        told = {model: Capabilities(**fields) for model, fields in settings.capabilities.items()}
        options = {k: v for k, v in settings.options.items() if v is not None}
        self.backends = Backends(self.router, settings.models, told, options)
        self.health = BackendHealth()
        self.profile = self.backends.profile()

    @classmethod
    def of(cls, existing: Runtime | None, settings: Settings) -> Runtime:
        """The existing one, if it was made from the same settings, else a new one."""
        if existing is not None and existing.settings.same(settings):
            return existing
        runtime = cls(settings)
        if existing is not None and _same(existing.settings.models, settings.models):
            runtime.health = existing.health  # what failed there fails here
        return runtime


def plain_capabilities(
    told: Mapping[str, Capabilities | Mapping[str, Any]],
) -> dict[str, dict[str, Any]]:
    """Capabilities as plain JSON types, checked; what is not known is left out.

    Raises:
        ValueError: no such capability, or a value that can not be.
    """
    if not isinstance(told, Mapping):
        raise ValueError(f"capabilities= maps model ids to what they can do, got {told!r:.60}")
    checked = {m: Capabilities.of(c) for m, c in told.items()}
    return {m: {k: v for k, v in asdict(c).items() if v is not None} for m, c in checked.items()}


def _same(one: Any, other: Any) -> bool:
    if one is other:
        return True
    return not isinstance(one, Mapping | Router) and type(one) is type(other) and one == other


def dump_models(models: Any) -> Any:
    """Backends in a form that can be pickled: of their keys it holds only the names.

    Raises:
        TypeError: one that can not be serialised.
    """
    if not isinstance(models, Mapping):
        return models
    return {m: b if isinstance(b, str) else _dumped(m, b) for m, b in models.items()}


def _dumped(model: str, given: Any) -> tuple[type[BaseChatModel], str, dict[str, Any]]:
    backend, arguments = unwrapped(model, given)
    text = dumps(backend)
    if '"type": "not_implemented"' in text:
        raise TypeError(
            f"the backend of {model!r} can not be pickled without writing what it holds in clear. "
            f"Give models= as ids, or as texts for init_chat_model, so that the backends are made "
            f"from the environment on the other side."
        )
    return type(backend), text, dict(arguments)


def load_models(dumped: Any) -> Any:
    """What :func:`dump_models` dumped; keys come from the environment."""
    if not isinstance(dumped, Mapping):
        return dumped
    return {m: d if isinstance(d, str) else _loaded_backend(*d) for m, d in dumped.items()}


def _loaded_backend(kind: type[BaseChatModel], text: str, arguments: dict[str, Any]) -> Any:
    namespace = kind.get_lc_namespace()[0]
    with suppress_langchain_beta_warning():
        backend = loads(
            text, allowed_objects=[kind], valid_namespaces=[namespace], secrets_from_env=True
        )
    return backend.bind(**arguments) if arguments else backend
