"""The backends that a plugin can hand a call to: who is wanted, absent, unable, and made when."""

from __future__ import annotations

import math
import random
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Hashable
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from avengers_core.common.functions import cached_property
from avengers_core.errors import BackendConfigError
from avengers_core.redaction import (
    Secrets,
    describe,
    masked_cause,
    secrets_of,
    secrets_of_environment,
)
from avengers_core.routing.resolve import resolve_router
from avengers_core.routing.router import Router
from avengers_core.serving.backends.capabilities import Capabilities, Needs, TooLong, unmet
from avengers_core.serving.backends.endpoints import Endpoint, find_endpoint
from avengers_core.serving.backends.pool_settings import PoolSettings, is_same
from avengers_core.serving.history import Dialect
from avengers_core.serving.resilience.health import BackendHealth

if TYPE_CHECKING:
    from avengers_core.common.connections import Connections

B = TypeVar("B")
P = TypeVar("P", bound="Pool[Any]")


class Pool(ABC, Generic[B]):
    """The router, the backends that can answer, by model id, and their health.

    Copies of a plugin's model share one pool. A plugin says what its framework's backends are
    (the abstract methods); who is wanted, who is absent or unable, and when a backend is made are
    the same for both. A backend that is made here is made when it is first needed.

    Attributes:
        settings: what it was made from.
        router: whose artifact has the models.
        wanted: the models that are to be used, if they can be.
        given: model -> backend, for those that the user gave.
        health: which backends to leave alone for a while.
        draw: gives numbers in [0, 1) at random.

    Raises:
        ValueError: a model that the artifact does not have, or no model; a setting of backends that
            are made here where none is.
        TypeError: something that is no backend.
        ArtifactError: no artifact at the path.
    """

    def __init__(self, settings: PoolSettings) -> None:
        self.settings = settings
        self.router: Router = resolve_router(settings.router)
        self.health = BackendHealth(**settings.health)
        self.draw = random.Random(settings.explore_seed).random
        self.wanted = settings.wanted(self.router.models)
        self._told = {m: Capabilities(**told) for m, told in settings.capabilities.items()}
        settings.refuse_idle()
        self.given: dict[str, B] = {m: self._accept(m, b) for m, b in settings.given.items()}
        self._ready = dict(self.given)
        self._lock = threading.RLock()
        self._absent: dict[str, str] | None = None
        self._capabilities: dict[str, Capabilities] = {}
        self._taking: dict[str, Capabilities] = {}
        self._unable: dict[tuple[Any, ...], dict[str, str]] = {}
        self._secrets: tuple[int, Secrets] | None = None

    @classmethod
    def of(cls: type[P], existing: Any, settings: PoolSettings) -> P:
        """The existing one, if it was made from the same settings, else a new one."""
        if not isinstance(existing, cls):
            return cls(settings)
        if existing.settings.same(settings):
            return existing
        pool = cls(settings)
        before = existing.settings
        if is_same(before.models, settings.models) and before.health == settings.health:
            pool.health = existing.health  # what failed there fails here
        return pool

    # -- what a framework's backends are --

    @abstractmethod
    def _accept(self, model: str, given: Any) -> B:
        """A backend as the user gave it; raises TypeError for what is none."""

    @abstractmethod
    def _connect(self, model: str, name: str, endpoint: Endpoint) -> B:
        """A backend for a model that an endpoint knows under a name."""

    @abstractmethod
    def _make(self, model: str, text: str) -> B:
        """A backend for a model from a text such as ``"anthropic:claude-sonnet-4-6"``."""

    @abstractmethod
    def _says(self, backend: B) -> Capabilities:
        """What a backend says of itself."""

    @abstractmethod
    def _dialect(self, backend: B) -> Dialect:
        """What a backend accepts in a history."""

    def _class(self, backend: B) -> type:
        return type(backend)

    # -- who can answer --

    @cached_property
    def endpoint(self) -> Endpoint | None:
        """Where requests of backends made here go, found at the first call; None: all were given.

        Raises:
            BackendConfigError: none is given and the environment names none.
        """
        if not self.settings.from_endpoint:
            return None
        return find_endpoint(self.settings.base_url, self.settings.api_key)

    @cached_property
    def clients(self) -> Connections:
        """The HTTP clients of the backends that are made for the endpoint."""
        from avengers_core.common.connections import Connections

        return Connections()

    def get(self, model: str) -> B:
        """The backend of a model, made on first use.

        Raises:
            BackendConfigError: it cannot be made.
        """
        ready = self._ready.get(model)
        if ready is None:
            with self._lock:
                ready = self._ready.get(model)
                if ready is None:
                    ready = self._ready[model] = self._made(model)
        return ready

    def made(self) -> dict[str, B]:
        """The backends that are there by now."""
        with self._lock:
            return dict(self._ready)

    def absent(self) -> dict[str, str]:
        """model -> reason, for the models that no backend was given for or can be reached.

        Raises:
            BackendConfigError: the environment names no endpoint, or a backend cannot be made.
        """
        if self._absent is None:
            wanted = self.wanted
            absent = {m: "no backend given for it" for m in self.router.models if m not in wanted}
            if self.endpoint is not None:
                absent |= self.endpoint.unreachable(wanted)
            for model in self.settings.named:  # what is wrong with one shows at the first call
                self.get(model)
            self._absent = absent
        return self._absent

    def unable(self, needs: tuple[Needs, ...] = ()) -> dict[str, str]:
        """model -> reason, for the models that are absent or cannot serve a call.

        Args:
            needs: the ways in which it can be served, any of which will do.
        """
        # Most calls need what calls before them needed, and fit everywhere.
        window = self.smallest_window
        key: tuple[Any, ...] = ()
        for need in needs:
            if need.tokens > window:
                return self._unable_to(needs)
            key += need[:-1]
        known = self._unable.get(key)
        if known is None:
            known = self._unable[key] = self._unable_to(needs)
        return known

    @cached_property
    def smallest_window(self) -> float:
        """The shortest of the context windows that are known, tokens."""
        each = (self.capabilities(m).context_window for m in self.wanted if m not in self.absent())
        return min((window for window in each if window is not None), default=math.inf)

    def capabilities(self, model: str) -> Capabilities:
        """What a model can do: what the user says, and where that is nothing, its backend."""
        known = self._capabilities.get(model)
        if known is None:
            own = Capabilities() if self._is_foreign else self._says(self.get(model))
            known = self._capabilities[model] = own.overlaid(self.told(model))
        return known

    def kind(self, model: str) -> Hashable:
        """What kind of backend a model has: those of one kind refuse the same requests."""
        provider = model.partition("/")[0]
        return provider if self.settings.from_endpoint else (self._class(self.get(model)), provider)

    def window(self, model: str) -> int | None:
        """A model's context window, tokens, or None where it is not known."""
        return self.capabilities(model).context_window

    def told(self, model: str) -> Capabilities:
        """What the user says that a model can do."""
        return self._told.get(model, Capabilities())

    def secrets(self) -> Secrets:
        """What is known to be secret: of the backends that are there by now, the settings and the
        environment."""
        made = self.made()
        if self._secrets is None or self._secrets[0] != len(made):
            settings, endpoint = self.settings, vars(self).get("endpoint")
            told = (settings.api_key, settings.model_settings, settings.options)
            known = secrets_of(*told, {"base_url": settings.base_url}, endpoint, *made.values())
            self._secrets = len(made), known | secrets_of_environment()
        return self._secrets[1]

    # -- the end --

    def close(self) -> None:
        """Close the connections of the router's embedder and of the backends that are made here;
        a later call opens new ones."""
        self.router.close()
        if (clients := self._let_go()) is not None:
            clients.close()

    async def aclose(self) -> None:
        """:meth:`close`, from inside an event loop."""
        await self.router.aclose()
        if (clients := self._let_go()) is not None:
            await clients.aclose()

    def _let_go(self) -> Connections | None:
        """The HTTP clients, if there are any, without the backends that were made with them."""
        with self._lock:
            clients: Connections | None = vars(self).pop("clients", None)
            if clients is not None:
                self._ready = dict(self.given)
                self.health.renew()
            return clients

    # -- details --

    def _made(self, model: str) -> B:
        if self.endpoint is not None:
            name = self.endpoint.remote_name(model)
            if name is None:
                raise BackendConfigError(f"{model} is not reachable through the endpoint")
            return self._connect(model, name, self.endpoint)
        text = self.settings.named[model]
        try:
            return self._make(model, text)
        except (ImportError, BackendConfigError):
            raise
        except Exception as error:
            secrets = self.secrets()
            raise BackendConfigError(
                f"models[{model!r}]: no backend could be made from {text!r}: "
                f"{describe(error, secrets)}"
            ) from masked_cause(error, secrets)

    def _unable_to(self, needs: Collection[Needs]) -> dict[str, str]:
        unable = self._lacking(needs, self._with_media)
        if len(unable) < len(self.router.models):
            return unable
        # Nobody's class takes it: whoever is best reads a note instead.
        return self._lacking(needs, self.capabilities)

    def _lacking(
        self, needs: Collection[Needs], capabilities: Callable[[str], Capabilities]
    ) -> dict[str, str]:
        absent = self.absent()
        there = [model for model in self.wanted if model not in absent]
        reasons = {model: self._unmet(capabilities(model), needs) for model in there}
        return {**absent, **{model: reason for model, reason in reasons.items() if reason}}

    def _with_media(self, model: str) -> Capabilities:
        """What a model can do, and which media its class takes."""
        known = self._taking.get(model)
        if known is None:
            media: dict[str, Any] = {} if self._is_foreign else self._dialect(self.get(model)).media
            known = Capabilities(**media).overlaid(self.capabilities(model))
            self._taking[model] = known
        return known

    @property
    def _is_foreign(self) -> bool:
        # What a backend that is made here says of itself, it says by the name of its model, which
        # means something to OpenAI's own endpoint only.
        return self.endpoint is not None and self.endpoint.prefix is None

    def _unmet(self, able: Capabilities, needs: Collection[Needs]) -> str | None:
        reasons = [unmet(need, able) for need in needs]
        known = [reason for reason in reasons if reason is not None]
        if not needs or len(known) < len(reasons):
            return None
        # Of several ways to serve a call, one that is shut by length alone would open.
        kind = TooLong if any(isinstance(reason, TooLong) for reason in known) else str
        return kind(" and ".join(dict.fromkeys(known)))
