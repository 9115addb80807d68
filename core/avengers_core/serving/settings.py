"""The settings that both plugins have: what they are called, take, refuse and mean."""

from __future__ import annotations

import asyncio
import logging
import os
from abc import abstractmethod
from collections.abc import Mapping, Set
from functools import cache
from typing import Any, ClassVar

from pydantic import (
    Field,
    field_serializer,
    field_validator,
    model_validator,
)
from typing_extensions import Self

from avengers_core.calls.registry import call_log
from avengers_core.calls.rows import Feedback
from avengers_core.calls.store import check_log
from avengers_core.common.closing import Closing
from avengers_core.common.ranges import YEAR
from avengers_core.errors import LogError
from avengers_core.redaction import refuse_unpicklable
from avengers_core.routing.resolve import resolve_router
from avengers_core.routing.router import Router
from avengers_core.serving.backend_settings import BackendSettings
from avengers_core.serving.backends.capabilities import plain_capabilities
from avengers_core.serving.backends.model_settings import ModelSettings
from avengers_core.serving.backends.pool import Pool
from avengers_core.serving.backends.pool_settings import PoolSettings
from avengers_core.serving.plan import Plan
from avengers_core.serving.planning import plan_call
from avengers_core.serving.question import Request
from avengers_core.serving.resilience.failover import OnRefusal
from avengers_core.serving.routing_settings import OF_ROUTING, RoutingSettings, no_truth_value
from avengers_core.serving.voting import MOST_VOTES, VoteOver
from avengers_core.serving.watching.telemetry import find_telemetry

logger = logging.getLogger(__name__)

OF_A_CALL = (
    *OF_ROUTING,
    "model",
    "votes",
    "vote_over",
    "max_attempts",
    "on_refusal",
    "stay",
    "explore",
    "routing_query",
)
"""What is said of a call to a plugin, and not meant for the backend."""

NUMBERS_OF_SERVING = (
    "max_attempts",
    "votes",
    "explore",
    "explore_seed",
    "cooldown",
    "failure_threshold",
)
"""The settings of answering that are numbers."""
_ROUTER_BY_PATH = (
    "Mostly its embedder is in the way: save the artifact and give router= as its path, or make "
    "the model on the other side."
)


class ServingSettings(RoutingSettings, BackendSettings, Closing):
    """How a call is answered: by which backends, and how often they are asked."""

    models: Any = Field(
        default=None,
        repr=False,
        description="model id -> backend, or a text that names one ('anthropic:claude-...'); or "
        "ids only, or nothing for all of the artifact's, to be reached through the endpoint in "
        "the environment",
    )
    capabilities: dict[str, Any] = Field(
        default_factory=dict,
        description="model id -> what it can do, Capabilities or a dict of its fields, where its "
        "backend does not say so itself",
    )
    max_attempts: int | None = Field(
        default=None, ge=1, description="how many candidates to try before giving up; default all"
    )
    votes: int | None = Field(
        default=None,
        ge=1,
        le=MOST_VOTES,
        description="ask this many times at once and give the majority's answer, compared by what "
        "is said in the end; tokens and expected cost add up. None and 1: one answer, no vote",
    )
    vote_over: VoteOver = Field(
        default="samples",
        description='who is asked: "samples", the picked model each time (sensible with a '
        'temperature over 0), or "models", the best so many models',
    )
    on_refusal: OnRefusal = Field(
        default="raise",
        description='what to do if a backend refuses a call for its content: "raise" its error, or '
        'ask the "next" candidate',
    )
    stay: bool | None = Field(
        default=None,
        description="who answers the next turn of a conversation: None, whoever is best for what "
        "it is about by now; True, whoever answered before, within the limits; False, whoever is "
        "best for the newest turn alone",
    )
    explore: float = Field(
        default=0.0,
        ge=0,
        le=1,
        description="how often another eligible model than the best is asked, each of them as "
        "likely, in [0, 1], so that a log says something about all of them; never in a tool loop, "
        "a conversation that stays or a vote",
    )
    explore_seed: int | None = Field(
        default=None, description="the same draws for the same seed; default, different every time"
    )
    log: Any = Field(
        default=None,
        repr=False,
        description="where calls are noted: the path of a SQLite file, or a function that takes a "
        "row as a dict; written behind the calls, which it neither slows nor breaks",
    )
    log_text: bool = Field(
        default=True,
        description="whether the log may hold questions; else their vectors and surface features "
        "alone",
    )
    otel: bool | None = Field(
        default=None,
        description="whether calls are OpenTelemetry spans and counts; None, where the program has "
        "set up OpenTelemetry",
    )
    cooldown: float | None = Field(
        default=None,
        ge=0,
        le=YEAR,
        description="how long a backend that keeps failing is left alone, seconds, default 30; "
        "each further rest is twice as long, up to ten times this",
    )
    failure_threshold: int | None = Field(
        default=None,
        ge=1,
        description="failures in a row before a backend is left alone; default 3",
    )
    pool: Any = Field(default=None, exclude=True, repr=False)
    """Router, backends and their health; copies share it."""

    _STAY: ClassVar[Set[str]] = frozenset()
    """Fields of the framework that hold locks, files and connections, and are not pickled."""

    @field_validator(*NUMBERS_OF_SERVING, mode="before")
    @classmethod
    def _an_own_number(cls, value: Any) -> Any:
        return no_truth_value(value)

    @model_validator(mode="before")
    @classmethod
    def _no_model(cls, given: Any) -> Any:
        if isinstance(given, dict) and "model" in given:
            raise ValueError(
                "model= is for one call, llm.invoke(..., model=...) or llm.chat(..., model=...); "
                "models= names those to choose from"
            )
        return given

    @field_validator("log", mode="before")
    @classmethod
    def _a_log(cls, log: Any) -> Any:
        if log is None or callable(log):
            return log
        if not isinstance(log, str | os.PathLike):
            raise TypeError(
                f"log= takes a path or a function that takes a row, got {type(log).__name__}"
            )
        if not os.fspath(log):
            raise ValueError("log= is a blank path")
        check_log(log)
        return os.path.abspath(log)  # wherever the program may go

    @field_validator("otel")
    @classmethod
    def _installed(cls, otel: bool | None) -> bool | None:
        if otel:
            find_telemetry(True)
        return otel

    @field_validator("capabilities", mode="before")
    @classmethod
    def _plain_capabilities(cls, told: Any) -> dict[str, dict[str, Any]]:
        return plain_capabilities(told or {})

    @field_serializer("models")
    def _model_names(self, models: Any) -> list[str] | None:
        return None if models is None else list(models)

    @field_serializer("log")
    def _log_name(self, log: Any) -> str | None:
        return log if log is None or isinstance(log, str) else call_log(log).name

    @model_validator(mode="after")
    def _prepare(self) -> Self:
        vars(self)["pool"] = self._make_pool(self.pool)
        if self.log is None and not self.log_text:
            _note_idle("log_text", "there is no log=")
        if self.explore > 0 and self.votes is not None and self.votes > 1:
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
            model_settings=ModelSettings(self.model_settings),
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

    def feedback(self, id: str, score: float, source: str | None = None) -> None:
        """Grade a call, now or later: a thumb, a test, a judge. The newest grade counts.

        Args:
            id: of the call, which its answer has in its metadata.
            score: how good the answer was, in [0, 1].
            source: who says so.

        Raises:
            LogError: there is no ``log=``.
            ValueError: a score outside [0, 1].
        """
        if self.log is None:
            raise LogError("feedback joins a log: set log= to the path that calls are noted in")
        given = Feedback.of(id, score, source)
        call_log(self.log).put(lambda: given)

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

    # -- copies --

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

    def copy(  # type: ignore[override]
        self, *, update: Mapping[str, Any] | None = None, deep: bool = False
    ) -> Self:
        """:meth:`model_copy` by its older name: pydantic's own would keep what the former settings
        decide."""
        return self.model_copy(update=update, deep=deep)

    def __deepcopy__(self, memo: dict[int, Any] | None = None) -> Self:
        """A copy with the same router and backends."""
        return self.model_copy()

    def __reduce__(self) -> tuple[Any, ...]:
        if self.api_key is not None:
            raise TypeError(
                "api_key= would be written in clear. Let the key come from AVENGERS_API_KEY, or "
                "make the model on the other side."
            )
        if ModelSettings(self.model_settings).holds_secrets:
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


def _restored(cls: type[ServingSettings], fields: dict[str, Any], models: Any) -> ServingSettings:
    return cls(**fields, models=cls._load_models(models))


@cache
def _note_idle(name: str, why: str) -> None:
    """Say in the log that a setting does nothing beside the others; each once."""
    logger.warning("%s=: of no effect, for %s", name, why)


def given(**values: Any) -> dict[str, Any]:
    """Those that are not None."""
    return {name: value for name, value in values.items() if value is not None}
