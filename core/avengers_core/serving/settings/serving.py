"""The settings that both plugins have, as a whole: what follows from them, and what they do."""

from __future__ import annotations

import asyncio
import logging
from abc import abstractmethod
from collections.abc import Mapping
from functools import cache
from typing import Any

from pydantic import model_validator
from typing_extensions import Self

from avengers_core.calls.registry import call_log
from avengers_core.common.closing import Closing
from avengers_core.routing.resolve import resolve_router
from avengers_core.routing.router import Router
from avengers_core.serving.backends.pool import Pool
from avengers_core.serving.backends.pool_settings import PoolSettings
from avengers_core.serving.plan import Plan
from avengers_core.serving.planning import plan_call
from avengers_core.serving.question import Request
from avengers_core.serving.settings.answering import OF_ANSWERING, AnsweringSettings
from avengers_core.serving.settings.base import given
from avengers_core.serving.settings.copying import CopiedSettings
from avengers_core.serving.settings.routing import OF_ROUTING
from avengers_core.serving.settings.watching import WatchingSettings

logger = logging.getLogger(__name__)

OF_A_CALL = (*OF_ROUTING, *OF_ANSWERING, "model", "routing_query")
"""What is said of a call to a plugin, and not meant for the backend."""


class ServingSettings(WatchingSettings, AnsweringSettings, CopiedSettings, Closing):
    """How a call is routed, answered and watched, and by which backends."""

    @model_validator(mode="before")
    @classmethod
    def _no_model(cls, given: Any) -> Any:
        if isinstance(given, dict) and "model" in given:
            raise ValueError(
                "model= is for one call, llm.invoke(..., model=...) or llm.chat(..., model=...); "
                "models= names those to choose from"
            )
        return given

    @model_validator(mode="after")
    def _prepare(self) -> Self:
        vars(self)["pool"] = self._make_pool(self.pool)
        if self.log is None and not self.log_text:
            _note_idle("log_text", "there is no log=")
        if self.explore > 0 and self.is_vote:
            _note_idle("explore", "in a vote the best are asked")
        return self

    def _resolved_router(self) -> Router:
        # Where it was changed, the router is not in the pool yet.
        pool: Pool[Any] | None = self.pool
        if pool is not None and pool.settings.router is self.router:
            return pool.router
        return resolve_router(self.router)

    @abstractmethod
    def _make_pool(self, existing: Pool[Any] | None) -> Pool[Any]:
        """The existing pool, if it still is what these settings say, else a new one."""

    def _pool_settings(self, **options: Any) -> PoolSettings:
        """What the pool is made from.

        Args:
            options: further arguments of backends that are made here; None: not given.
        """
        options |= {"timeout": self.timeout, "max_retries": self.max_retries}
        return PoolSettings(
            router=self.router,
            models=self.models,
            capabilities=self.capabilities,
            base_url=self.base_url,
            api_key=self.api_key,
            model_settings=self.model_settings,
            options=given(**options),
            explore_seed=self.explore_seed,
            health=given(
                threshold=self.failure_threshold,
                cooldown=self.cooldown,
                max_cooldown=None if self.cooldown is None else 10 * self.cooldown,
            ),
        )

    # -- one call --

    def plan(self, request: Request, own: Mapping[str, Any] | None = None) -> Plan:
        """How one call is to be decided.

        Args:
            request: what it is about.
            own: the call's own settings, any of :data:`OF_A_CALL`, in place of these.

        Raises:
            ValueError: one of them is out of range.
            BackendConfigError: no backend can be made from the environment.
        """
        return plan_call(self, request, own or {})

    # -- the end --

    def close(self) -> None:
        """Write what the log has not yet, and close the connections of backends made here.

        Copies of this share both.
        """
        self.pool.close()
        if self.log is not None:
            call_log(self.log).close()

    async def aclose(self) -> None:
        """:meth:`close`, from inside an event loop, whose connections are closed at the end."""
        await self.pool.aclose()
        if self.log is not None:
            await asyncio.to_thread(call_log(self.log).close)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in ServingSettings.model_fields and vars(self).get("pool") is not None:
            self._set(name, value)
        else:
            super().__setattr__(name, value)

    def _set(self, name: str, value: Any) -> None:
        # Raises if it does not go with the rest, before anything has changed.
        checked = self.model_copy(update={name: value})
        object.__setattr__(self, "__dict__", vars(checked))
        self.model_fields_set.add(name)


@cache
def _note_idle(name: str, why: str) -> None:
    """Say in the log that a setting does nothing beside the others; each once."""
    logger.warning("%s=: of no effect, for %s", name, why)
