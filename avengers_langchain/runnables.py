"""Routing as a runnable of its own: the decision, or the model that it picks."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForChainRun, CallbackManagerForChainRun
from langchain_core.messages import BaseMessage, convert_to_messages
from langchain_core.prompt_values import PromptValue
from langchain_core.runnables import (
    Runnable,
    RunnableConfig,
    RunnableLambda,
    RunnableSerializable,
)
from langchain_core.runnables.base import RunnableLike, coerce_to_runnable
from pydantic import ConfigDict, Field, field_validator, model_validator

from avengers_core import Router, RoutingDecision
from avengers_core.embedders.tokens import estimate_tokens
from avengers_core.routing.calls import OnEmpty
from avengers_core.routing.policy import FIELDS, Policy
from avengers_core.routing.resolve import resolve_router
from avengers_langchain.model_ids import ModelIds
from avengers_langchain.routing_text import ROUTING_QUERY, Request, prompt_variables, read


class AvengersRouter(RunnableSerializable[Any, RoutingDecision]):
    """Text, messages, a prompt value or a chain's variables in, a decision out.

    For those who want routing without a chat model around it::

        AvengersRouter(alpha=0.4).invoke("Prove that ...").model

        chain = prompt | AvengersRouter(alpha=0.4).pick({"openai/gpt-5": ChatOpenAI(...), ...})

    Of a dict the question is what its variable for it holds (``question``, ``input``, ...), or
    the last human message of its ``messages``. In a chain behind a prompt it is the prompt's.

    Args:
        alpha: weight of expected score against expected cost, 0 = cheapest, 1 = best; default 0.5.
        performance_weight: with ``cost_sensitivity``, another way to give alpha.
        cost_sensitivity: see ``performance_weight``.
        target_cost: instead of alpha: the best score at no more than this mean cost, USD a call.
        target_score: instead of alpha: the lowest cost at no less than this mean score, in [0, 1].
        target_saving: instead of alpha: the best score at this share, in [0, 1), less than what
            always asking the best model costs.
        router: a :class:`avengers_core.Router`, the path of an artifact, or nothing for the
            default artifact.
        models: the only models allowed; default all.
        exclude: models not allowed.
        max_cost: highest expected cost, USD a call.
        min_score: lowest expected score, in [0, 1].
        on_empty: ``"raise"``, or ``"relax"`` to take the model nearest to the limits.
        n: how many models the decision is to name.

    Raises:
        ValueError: an argument out of range, a model that the artifact does not have, or no
            artifact at the path.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", hide_input_in_errors=True
    )

    alpha: float | None = None
    performance_weight: float | None = None
    cost_sensitivity: float | None = None
    target_cost: float | None = None
    target_score: float | None = None
    target_saving: float | None = None
    router: Any = Field(default=None, repr=False)
    models: ModelIds | None = None
    exclude: ModelIds = ()
    max_cost: float | None = None
    min_score: float | None = None
    on_empty: OnEmpty = "raise"
    n: int = 1

    @field_validator("router", mode="before")
    @classmethod
    def _path_as_text(cls, router: Any) -> Any:
        return os.fspath(router) if isinstance(router, os.PathLike) else router

    @model_validator(mode="after")
    def _check(self) -> AvengersRouter:
        self._check_routing()
        return self

    def _check_routing(self) -> None:
        router = self._resolved()
        Policy.of(self).check(router)
        router.check(models=self.models, n=self.n)

    def invoke(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> RoutingDecision:
        """The decision; ``kwargs`` (``alpha``, ``max_cost``, ...) go before the settings."""

        def decide(
            value: Any, run_manager: CallbackManagerForChainRun, config: RunnableConfig
        ) -> RoutingDecision:
            text, arguments = self._plan(value, config, kwargs)
            return self._resolved().route(text, **arguments)

        return self._call_with_config(decide, input, config)

    async def ainvoke(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> RoutingDecision:
        """:meth:`invoke`, asynchronously."""

        async def decide(
            value: Any, run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig
        ) -> RoutingDecision:
            text, arguments = self._plan(value, config, kwargs)
            return await self._resolved().aroute(text, **arguments)

        return await self._acall_with_config(decide, input, config)

    def pick(self, models: Mapping[str, RunnableLike[Any, Any]]) -> Runnable[Any, Any]:  # type: ignore[override]
        """A runnable that hands its input on, as it is, to the model that is picked.

        Args:
            models: model id -> any runnable or function; the only ones that are picked from.

        Raises:
            ValueError: a model that the artifact does not have, or none.
            TypeError: something that can not be run.
        """
        if not models:
            raise ValueError("expected at least one model to pick from")
        choice = self.model_copy(update={"models": tuple(models)})
        choice._check_routing()
        runnables: dict[str, Runnable[Any, Any]] = {
            model: coerce_to_runnable(given) for model, given in models.items()
        }

        def pick(value: Any, config: RunnableConfig) -> Runnable[Any, Any]:
            return runnables[choice.invoke(value, config).model]

        async def apick(value: Any, config: RunnableConfig) -> Runnable[Any, Any]:
            return runnables[(await choice.ainvoke(value, config)).model]

        return RunnableLambda(pick, apick, name="AvengersPick")

    def _resolved(self) -> Router:
        return resolve_router(self.router)

    def _plan(
        self, value: Any, config: RunnableConfig, kwargs: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """The text to route on, and the arguments of :meth:`Router.route`."""
        arguments: dict[str, Any] = {"n": self.n, **kwargs}
        query = arguments.pop(ROUTING_QUERY, None) or config.get("metadata", {}).get(ROUTING_QUERY)
        own = Policy.of(self)._replace(models=self.models)
        policy = own.overlaid({k: arguments.pop(k) for k in FIELDS if k in arguments})
        routing = policy.arguments(self._resolved(), lambda: arguments.get("unavailable") or {})
        request = _request(value, query)
        return request.question.text, {"prompt_tokens": request.tokens, **routing, **arguments}


def _request(value: Any, routing_query: str | None) -> Request:
    if isinstance(value, Mapping):
        messages = _messages(value.get("messages") or [])
        request = read(messages, value, routing_query)
        if messages:
            return request
        # What a prompt will be made of is about as long as the prompt.
        texts = [text for text in value.values() if isinstance(text, str)]
        return replace(request, tokens=sum(map(estimate_tokens, texts)))
    messages = _messages(value)
    return read(messages, prompt_variables(messages), routing_query)


def _messages(value: Any) -> list[BaseMessage]:
    if isinstance(value, PromptValue):
        return value.to_messages()
    if isinstance(value, str):
        return convert_to_messages([("human", value)])
    if isinstance(value, BaseMessage):
        return [value]
    if isinstance(value, Sequence):
        return convert_to_messages(value)
    raise TypeError(
        f"expected a text, messages, a prompt value or a dict, got {type(value).__name__}"
    )
