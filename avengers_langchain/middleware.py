"""Routing for ``langchain.agents.create_agent``: each model call goes to the model picked for it.

The agent's own model then stands in for the others only; :class:`AvengersChatModel` as the agent's
model does the same without middleware. Needs the package ``langchain``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables.config import ensure_config
from langchain_core.tracers.context import register_configure_hook

from avengers_core import RoutingDecision
from avengers_core.errors import OptionalDependencyError
from avengers_core.serving.capabilities import Capabilities, Needs
from avengers_core.serving.failover import Attempt, Failover
from avengers_langchain.backends import Models
from avengers_langchain.routing_text import ROUTING_QUERY, read
from avengers_langchain.runnables import AvengersRouter
from avengers_langchain.runtime import Runtime, Settings, plain_capabilities
from avengers_langchain.structured import BoundTools

try:
    from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
    from langchain.agents.structured_output import AutoStrategy, ProviderStrategy, ToolStrategy
except ImportError as error:
    raise OptionalDependencyError("langchain", "langchain") from error


class AvengersMiddleware(AgentMiddleware[Any, Any, Any]):
    """Picks the model of each call of an agent. ::

        create_agent(ChatOpenAI(...), tools, middleware=[AvengersMiddleware(alpha=0.4)])

    The last human message decides, so that a whole tool loop keeps one model. If a model fails,
    the next candidate answers, in a stream until its first token has gone out; a
    ``ModelFallbackMiddleware`` beside it has nothing left to do, and should go.

    Args:
        models: as for :class:`avengers_langchain.AvengersChatModel`; default, all of the
            artifact's, through the endpoint in the environment.
        router: as for :class:`avengers_langchain.AvengersChatModel`.
        capabilities: as for :class:`avengers_langchain.AvengersChatModel`.
        max_attempts: how many candidates to try before giving up; default all.
        routing: settings of :class:`avengers_langchain.AvengersRouter`: ``alpha``, ``exclude``,
            ``max_cost``, ``min_score``, ``on_empty``.

    Raises:
        ValueError: an argument out of range, or a model that the artifact does not have.
        TypeError: a backend that is no chat model.
    """

    def __init__(
        self,
        models: Models = None,
        *,
        router: Any = None,
        capabilities: Mapping[str, Capabilities | Mapping[str, Any]] | None = None,
        max_attempts: int | None = None,
        **routing: Any,
    ) -> None:
        super().__init__()
        told = plain_capabilities(capabilities or {})
        self._runtime = Runtime(Settings(router, models, told, {}))
        if max_attempts is not None and max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1, got {max_attempts}")
        self._settings = AvengersRouter(router=self._runtime.router, **routing)
        self._max_attempts = max_attempts

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Hand a call to the model picked for it."""
        messages, arguments, source = self._plan(request)
        failover = self._failover(self._settings.invoke(messages, **arguments))
        for attempt in failover:
            with attempt, _committed_by_tokens(attempt):
                response = handler(self._to(request, attempt))
                return _tagged(response, failover.report(attempt.model), source)
        raise failover.exhausted()

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """:meth:`wrap_model_call`, asynchronously."""
        messages, arguments, source = self._plan(request)
        failover = self._failover(await self._settings.ainvoke(messages, **arguments))
        for attempt in failover:
            with attempt, _committed_by_tokens(attempt):
                response = await handler(self._to(request, attempt))
                return _tagged(response, failover.report(attempt.model), source)
        raise failover.exhausted()

    def _plan(self, request: ModelRequest[Any]) -> tuple[list[BaseMessage], dict[str, Any], str]:
        """The whole prompt, the arguments of routing, and where the question is from."""
        system = [] if request.system_message is None else [request.system_message]
        messages: list[BaseMessage] = [*system, *request.messages]
        query = ensure_config().get("metadata", {}).get(ROUTING_QUERY)
        about = read(messages, {}, query)
        tokens = about.tokens + BoundTools(request.tools, {}).tokens
        needs = Needs(tools=bool(request.tools), images=about.images, tokens=tokens)
        by_tool, native = replace(needs, tools=True), replace(needs, structured_output=True)
        ways = {
            ToolStrategy: (by_tool,),
            ProviderStrategy: (native,),
            AutoStrategy: (native, by_tool),
        }
        unavailable = self._runtime.backends.unavailable(
            *ways.get(type(request.response_format), (needs,))
        )
        arguments = {"unavailable": unavailable, "prompt_tokens": tokens}
        return messages, arguments, about.question.source

    def _failover(self, decision: RoutingDecision) -> Failover:
        return Failover(decision, self._runtime.health, max_attempts=self._max_attempts)

    def _to(self, request: ModelRequest[Any], attempt: Attempt) -> ModelRequest[Any]:
        backend, arguments = self._runtime.backends.get(attempt.model)
        settings = {**arguments, **request.model_settings}
        return request.override(model=backend, model_settings=settings)


def _tagged(response: ModelResponse[Any], facts: dict[str, Any], source: str) -> ModelResponse[Any]:
    """The response with the decision in it; a copy, for caches may hold the original."""
    extra = {"avengers": {**facts, "question_from": source}}
    result = [
        message.model_copy(update={"response_metadata": {**message.response_metadata, **extra}})
        if isinstance(message, AIMessage)
        else message
        for message in response.result
    ]
    return replace(response, result=result)


class _Commit(BaseCallbackHandler):
    """Commits an attempt as soon as whoever listens to the agent has a token of it."""

    run_inline = True

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def on_llm_new_token(self, token: Any, **kwargs: Any) -> None:
        """A token goes out."""
        self._attempt.commit()

    def on_stream_event(self, event: Any, **kwargs: Any) -> None:
        """So does a part of a message."""
        self._attempt.commit()


_commit: ContextVar[_Commit | None] = ContextVar("avengers_commit", default=None)
register_configure_hook(_commit, inheritable=True)


@contextmanager
def _committed_by_tokens(attempt: Attempt) -> Iterator[None]:
    token = _commit.set(_Commit(attempt))
    try:
        yield
    finally:
        _commit.reset(token)
