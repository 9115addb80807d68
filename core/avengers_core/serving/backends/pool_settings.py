"""What a pool of backends is made from, and whether two are made from the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from avengers_core.serving.backends.model_settings import ModelSettings


@dataclass(frozen=True)
class PoolSettings:
    """What a pool is made from.

    Attributes:
        router: a router, an artifact or its path, or None for the default artifact.
        models: model id -> backend, or text that names one; or ids only, or None for all known
            models, to be reached through an endpoint.
        capabilities: model id -> what it can do, where its backend does not say so itself.
        base_url: the endpoint in place of the environment's.
        api_key: for that endpoint.
        model_settings: further settings of the backends that are made here.
        options: arguments of the backends that are made here.
        health: arguments of :class:`avengers_core.serving.resilience.health.BackendHealth`.
        explore_seed: of the draws of models that are asked in place of the best.
    """

    router: Any = None
    models: Any = field(default=None, repr=False)  # whose own reprs may show headers
    capabilities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    base_url: str | None = field(default=None, repr=False)
    api_key: SecretStr | None = None
    model_settings: ModelSettings = field(default_factory=lambda: ModelSettings({}))
    options: Mapping[str, Any] = field(default_factory=dict)
    health: Mapping[str, Any] = field(default_factory=dict)
    explore_seed: int | None = None

    def same(self, other: PoolSettings) -> bool:
        """Whether a pool made from the other can be used; backends are told by identity."""
        return (
            is_same(self.router, other.router)
            and is_same(self.models, other.models)
            and self.capabilities == other.capabilities
            and self.base_url == other.base_url
            and self.api_key == other.api_key
            and self.model_settings == other.model_settings
            and self.health == other.health
            and self.explore_seed == other.explore_seed
            and self.options.keys() == other.options.keys()
            and all(is_same(v, other.options[k]) for k, v in self.options.items())
        )


def is_same(one: Any, other: Any) -> bool:
    """Whether two settings are the same; what may hold connections is told by identity."""
    if one is other:
        return True
    plain = (str, int, float, bool, list, tuple, set, frozenset)
    return isinstance(one, plain) and type(one) is type(other) and bool(one == other)
