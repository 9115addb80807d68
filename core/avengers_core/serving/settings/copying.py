"""Copies of a plugin's model: with other settings, and on the other side of a pickle."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Set
from typing import Any, ClassVar

from pydantic import Field
from typing_extensions import Self

from avengers_core.redaction import refuse_unpicklable
from avengers_core.routing.router import Router
from avengers_core.serving.settings.backends import BackendSettings
from avengers_core.serving.settings.routing import RoutingSettings

_ROUTER_BY_PATH = (
    "Mostly its embedder is in the way: save the artifact and give router= as its path, or make "
    "the model on the other side."
)


class CopiedSettings(BackendSettings, RoutingSettings):
    """Settings whose copies share a pool of backends, and that are pickled without secrets."""

    pool: Any = Field(default=None, exclude=True, repr=False)
    """Router, backends and their health; copies share it."""

    _STAY: ClassVar[Set[str]] = frozenset()
    """Fields of the framework that hold locks, files and connections, and are not pickled."""

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other settings, checked like those of a new one.

        It shares the router, the backends and the memory of failures, unless the update is about
        them; ``deep`` is ignored, for backends hold connections.

        Raises:
            ValueError: a setting that does not exist, is out of range or against another: ``alpha``
                takes the place of a target that is set to None along with it.
        """
        if not update:
            return super().model_copy()
        own = {name: getattr(self, name) for name in (*self.model_fields_set, "pool")}
        return type(self)(**{**own, **update})

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """A copy with the same router and backends."""
        return self.model_copy()

    def __reduce__(self) -> tuple[Any, ...]:
        if self.api_key is not None:
            raise TypeError(
                "api_key= would be written in clear. Let the key come from AVENGERS_API_KEY, or "
                "make the model on the other side."
            )
        if self.model_settings.holds_secrets:
            raise TypeError(
                "the headers, query and body of model_settings= would be written in clear. Make "
                "the model on the other side."
            )
        if isinstance(self.router, Router):
            refuse_unpicklable("the router", self.router, _ROUTER_BY_PATH)
        left = self.model_fields_set - self._STAY - {"models", "pool", "api_key"}
        fields = {k: v for k, v in vars(self).items() if k in left}
        return _restored, (type(self), fields, self._dump_models())

    @abstractmethod
    def _dump_models(self) -> Any:
        """The models in a form that can be pickled, for :meth:`_load_models`.

        Raises:
            TypeError: one that would show its key, or that cannot be pickled.
        """

    @classmethod
    def _load_models(cls, dumped: Any) -> Any:
        """What :meth:`_dump_models` dumped."""
        return dumped


def _restored(cls: type[CopiedSettings], fields: dict[str, Any], models: Any) -> CopiedSettings:
    return cls(**fields, models=cls._load_models(models))
