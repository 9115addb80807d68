"""What a pool of backends is made from, and whether two are made from the same."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pydantic import SecretStr

from avengers_core.common.functions import cached_property
from avengers_core.records.names import meant
from avengers_core.serving.backends.model_settings import ModelSettings

OF_ENDPOINT = {"timeout": 60.0, "max_retries": 0}
"""Options of backends that are made for an endpoint, unless told otherwise: how many seconds they
wait for an answer, and no retries, for another model answers sooner."""

_OF_MADE = ("timeout", "max_retries")
_OF_ENDPOINT = ("base_url", "api_key")


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

    Raises:
        TypeError: ``models`` are neither.
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

    def __post_init__(self) -> None:
        models = self.models
        if models is None or (
            isinstance(models, Collection)
            and not isinstance(models, str)
            and all(isinstance(model, str) for model in models)
        ):
            return
        # Of anything else only the class is named: it may be a backend that shows its key.
        text = isinstance(models, str)
        got = f"a text: write models=[{models!r}]" if text else type(models).__name__
        raise TypeError(
            f"models= must map model ids to backends, or be a list of model ids, got {got}"
        )

    @cached_property
    def given(self) -> Mapping[str, Any]:
        """model id -> backend, for those that are there already."""
        if self.from_endpoint:
            return {}
        return {m: backend for m, backend in self.models.items() if not isinstance(backend, str)}

    @cached_property
    def named(self) -> Mapping[str, str]:
        """model id -> text, for those that are made of one."""
        if self.from_endpoint:
            return {}
        return {m: text for m, text in self.models.items() if isinstance(text, str)}

    @property
    def from_endpoint(self) -> bool:
        """Whether all backends are made here, for an endpoint."""
        return not isinstance(self.models, Mapping)

    def wanted(self, known: Sequence[str]) -> tuple[str, ...]:
        """The models that are to be used, if they can be.

        Args:
            known: those that the artifact has.

        Raises:
            ValueError: there is none, or something is said of one that the artifact does not have.
        """
        wanted = tuple(known if self.models is None else self.models)
        if not wanted:
            raise ValueError("models= names no model; leave it out to use all of the artifact's")
        for argument, names in (
            ("models", wanted),
            ("capabilities", self.capabilities),
            ("model_settings", self.model_settings.of_one),
        ):
            if unknown := sorted(set(names) - set(known)):
                raise ValueError(
                    f"{argument}= names {unknown}, which the artifact does not have"
                    f"{meant(unknown, known)}; it has {list(known)}"
                )
        return wanted

    def of(self, model: str) -> dict[str, Any]:
        """The settings of a model's backend, if it is made here."""
        return {**self.options, **self.model_settings.of(model)}

    def refuse_idle(self) -> None:
        """Raise ValueError for settings that would have no effect."""
        if self.from_endpoint:
            return
        idle = [name for name in _OF_ENDPOINT if getattr(self, name) is not None]
        if not self.named:
            idle += [name for name in _OF_MADE if name in self.options]
            idle += ["model_settings"] if self.model_settings else []
        of_one = self.model_settings.of_one
        idle += [f"model_settings[{m!r}]" for m in of_one if m not in self.named]
        if idle:
            raise ValueError(
                f"{', '.join(idle)}: for backends that are made here; set it on those in models="
            )

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
