"""Routing for ``langchain.agents.create_agent``: each model call goes to the model picked for it.

The agent's own model then stands in for the others only; :class:`AvengersChatModel` as the agent's
model does the same without middleware. Needs the package ``langchain``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any

from langchain_core.messages import AIMessage

from avengers_core.capabilities import Capabilities, Needs
from avengers_core.errors import OptionalDependencyError
from avengers_core.failover import Attempt, Failover
from avengers_langchain.backends import Models
from avengers_langchain.routing_text import Request, read
from avengers_langchain.runnables import AvengersRouter
from avengers_langchain.runtime import Runtime, Settings

try:
    from langchain.agents.middleware import AgentMiddleware, ModelRequest, ModelResponse
    from langchain.agents.structured_output import ProviderStrategy
except ImportError as error:
    raise OptionalDependencyError("langchain", "langchain") from error


class AvengersMiddleware(AgentMiddleware[Any, Any, Any]):
    """Picks the model of each call of an agent. ::

        create_agent(ChatOpenAI(...), tools, middleware=[AvengersMiddleware(alpha=0.4)])

    The last human message decides, so that a whole tool loop keeps one model. If a model fails,
    the next candidate answers.

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
        capabilities: Mapping[str, Capabilities] | None = None,
        max_attempts: int | None = None,
        **routing: Any,
    ) -> None:
        super().__init__()
        told = {model: asdict(can) for model, can in (capabilities or {}).items()}
        self._runtime = Runtime(Settings(router, models, told, {}))
        self._settings = AvengersRouter(router=self._runtime.router, **routing)
        self._max_attempts = max_attempts

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any]:
        """Hand a call to the model picked for it."""
        about = self._read(request)
        decision = self._settings.invoke(request.messages, **self._arguments(request, about))
        failover = self._failover(decision)
        for attempt in failover:
            with attempt:
                return self._tagged(handler(self._to(request, attempt)), failover, attempt)
        raise failover.exhausted()

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ModelResponse[Any]:
        """:meth:`wrap_model_call`, asynchronously."""
        about = self._read(request)
        decision = await self._settings.ainvoke(request.messages, **self._arguments(request, about))
        failover = self._failover(decision)
        for attempt in failover:
            with attempt:
                return self._tagged(await handler(self._to(request, attempt)), failover, attempt)
        raise failover.exhausted()

    def _read(self, request: ModelRequest[Any]) -> Request:
        return read(request.messages, {})

    def _arguments(self, request: ModelRequest[Any], about: Request) -> dict[str, Any]:
        needs = Needs(
            tools=bool(request.tools),
            structured_output=isinstance(request.response_format, ProviderStrategy),
            images=about.images,
            tokens=about.tokens,
        )
        return {"unavailable": self._runtime.backends.unavailable(needs)}

    def _failover(self, decision: Any) -> Failover:
        return Failover(decision, self._runtime.health, max_attempts=self._max_attempts)

    def _to(self, request: ModelRequest[Any], attempt: Attempt) -> ModelRequest[Any]:
        backend, arguments = self._runtime.backends.get(attempt.model)
        settings = {**arguments, **request.model_settings}
        return request.override(model=backend, model_settings=settings)

    def _tagged(
        self, response: ModelResponse[Any], failover: Failover, attempt: Attempt
    ) -> ModelResponse[Any]:
        for message in response.result:
            if isinstance(message, AIMessage):
                message.response_metadata["avengers"] = failover.report(attempt.model)
        return response
