"""Routing as a runnable of its own: the decision, or the model that it picks."""

from __future__ import annotations

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
from pydantic import model_validator

from avengers_core import RoutingDecision
from avengers_core.embedders.tokens import estimate_tokens
from avengers_core.serving.question import Request
from avengers_core.serving.settings import CONFIG, OF_ROUTING, RoutingSettings
from avengers_langchain.calling.callbacks import ROUTING_QUERY, prompt_variables
from avengers_langchain.question import read


class AvengersRouter(RoutingSettings, RunnableSerializable[Any, RoutingDecision]):
    """Text, messages, a prompt value or a chain's variables in, a decision out.

    For those who want routing without a chat model around it::

        AvengersRouter(alpha=0.4).invoke("Prove that ...").model

        chain = prompt | AvengersRouter(alpha=0.4).pick({"openai/gpt-5": ChatOpenAI(...), ...})

    Of a dict the question is what its variable for it holds (``question``, ``input``, ...), or
    the last human message of its ``messages``. In a chain behind a prompt it is the prompt's.

    The settings are those of :class:`avengers_core.serving.settings.RoutingSettings`: ``alpha`` (or
    a target), ``router``, ``exclude``, ``max_cost`` and the other limits.

    Args:
        models: the only models allowed; default all.
        n: how many models the decision is to name.

    Raises:
        ValueError: an argument out of range, a model that the artifact does not have, or no
            artifact at the path.
    """

    model_config = CONFIG

    models: tuple[str, ...] | None = None
    n: int = 1

    @model_validator(mode="after")
    def _check_n(self) -> AvengersRouter:
        self._resolved_router().check(n=self.n)
        return self

    @property
    def _allowed(self) -> tuple[str, ...] | None:
        return self.models

    def invoke(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> RoutingDecision:
        """The decision; ``kwargs`` (``alpha``, ``max_cost``, ...) go before the settings."""

        def decide(
            value: Any, run_manager: CallbackManagerForChainRun, config: RunnableConfig
        ) -> RoutingDecision:
            text, arguments = self._plan(value, config, kwargs)
            return self._resolved_router().route(text, **arguments)

        return self._call_with_config(decide, input, config)

    async def ainvoke(
        self, input: Any, config: RunnableConfig | None = None, **kwargs: Any
    ) -> RoutingDecision:
        """:meth:`invoke`, asynchronously."""

        async def decide(
            value: Any, run_manager: AsyncCallbackManagerForChainRun, config: RunnableConfig
        ) -> RoutingDecision:
            text, arguments = self._plan(value, config, kwargs)
            return await self._resolved_router().aroute(text, **arguments)

        return await self._acall_with_config(decide, input, config)

    def pick(self, models: Mapping[str, RunnableLike[Any, Any]]) -> Runnable[Any, Any]:  # type: ignore[override]
        """A runnable that hands its input on, as it is, to the model that is picked.

        Args:
            models: model id -> any runnable or function; the only ones that are picked from.

        Raises:
            ValueError: a model that the artifact does not have, or none.
            TypeError: something that cannot be run.
        """
        if not models:
            raise ValueError("expected at least one model to pick from")
        known = {name: getattr(self, name) for name in self.model_fields_set}
        choice = type(self)(**{**known, "models": tuple(models)})
        runnables: dict[str, Runnable[Any, Any]] = {
            model: coerce_to_runnable(given) for model, given in models.items()
        }

        def pick(value: Any, config: RunnableConfig) -> Runnable[Any, Any]:
            return runnables[choice.invoke(value, config).model]

        async def apick(value: Any, config: RunnableConfig) -> Runnable[Any, Any]:
            return runnables[(await choice.ainvoke(value, config)).model]

        return RunnableLambda(pick, apick, name="AvengersPick")

    def _plan(
        self, value: Any, config: RunnableConfig, kwargs: Mapping[str, Any]
    ) -> tuple[str, dict[str, Any]]:
        """The text to route on, and the arguments of :meth:`Router.route`."""
        arguments: dict[str, Any] = {"n": self.n, **kwargs}
        query = arguments.pop(ROUTING_QUERY, None) or config.get("metadata", {}).get(ROUTING_QUERY)
        request = request_of(value, query)
        own = {k: arguments.pop(k) for k in OF_ROUTING if k in arguments}
        unavailable = arguments.get("unavailable") or {}
        routing = self.policy_for(request.question, own, lambda: unavailable)._asdict()
        prompt = {"prompt_tokens": request.prompt_tokens, "earlier": request.earlier}
        return request.question.text, {**prompt, **routing, **arguments}


def request_of(value: Any, routing_query: str | None) -> Request:
    """What a runnable's input is about: a text, messages, a prompt value, a chain's variables.

    Raises:
        TypeError: it is nothing of these.
    """
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
