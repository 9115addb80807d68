"""Routing for ``langchain.agents.create_agent``: each model call goes to the model picked for it.

The agent's own model then stands in for the others only; :class:`AvengersChatModel` as the agent's
model does the same without middleware. Needs the package ``langchain``.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import Any, cast

from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.messages import AIMessage
from langchain_core.runnables.config import ensure_config
from langchain_core.tracers.context import register_configure_hook
from typing_extensions import NotRequired

from avengers_core import RoutingDecision
from avengers_core.common.closing import Closing
from avengers_core.errors import needing
from avengers_core.serving.answering import Answering
from avengers_core.serving.backends.capabilities import Needs
from avengers_core.serving.backends.tool_choice import ToolWords
from avengers_core.serving.ensemble import AskedCall
from avengers_core.serving.plan import Plan
from avengers_core.serving.resilience.failover import Attempt
from avengers_core.serving.settings import OF_A_CALL, given
from avengers_core.serving.watching.outcome import Tokens
from avengers_langchain.arguments import in_words
from avengers_langchain.backends import Backends
from avengers_langchain.calling.answers import tokens_of
from avengers_langchain.calling.callbacks import ROUTING_QUERY
from avengers_langchain.calling.stopping import cut_message
from avengers_langchain.chat_models import AvengersChatModel
from avengers_langchain.errors import as_langchain_names_them
from avengers_langchain.history import in_its_protocol, is_plain, portable, target_of
from avengers_langchain.question import read
from avengers_langchain.tools import BoundTools

with needing("langchain", "langchain"):
    from langchain.agents.middleware import AgentMiddleware, AgentState, ModelRequest, ModelResponse
    from langchain.agents.middleware.types import ExtendedModelResponse
    from langchain.agents.structured_output import AutoStrategy, ProviderStrategy, ToolStrategy
    from langgraph.types import Command


class _RoutedState(AgentState[Any]):
    model_route: NotRequired[dict[str, Any]]


class AvengersMiddleware(Closing, AgentMiddleware[Any, Any, Any]):
    """Picks the model of each call of an agent. ::

        create_agent(ChatOpenAI(...), tools, middleware=[AvengersMiddleware(alpha=0.4)])

    The last human message decides, so that a whole tool loop keeps one model. If a model fails,
    the next candidate answers, in a stream until its first token has gone out. A
    ``ModelFallbackMiddleware`` before it is not heard, and one behind it answers in the name of the
    model that was picked: it belongs beside :class:`avengers_langchain.AvengersChatModel` as the
    agent's own model, where it is asked when all have failed. The decision on the latest call is in
    the agent's state under ``model_route``, so that checkpoints hold it; it is what the message
    carries as ``response_metadata["avengers"]``.

    Args:
        models: as for :class:`avengers_langchain.AvengersChatModel`; default, all of the
            artifact's, through the endpoint in the environment.
        settings: other settings of :class:`avengers_langchain.AvengersChatModel`: ``router``,
            ``alpha``, ``exclude``, ``max_cost``, ``max_attempts``, ``timeout`` and so on.

    Raises:
        ValueError: an argument out of range, or a model that the artifact does not have.
        TypeError: a backend that is no chat model.
    """

    state_schema = _RoutedState

    def __init__(self, models: Any = None, **settings: Any) -> None:
        super().__init__()
        if votes := [name for name in ("votes", "vote_over") if name in settings]:
            raise ValueError(f"{', '.join(votes)}: an agent's model call is answered once")
        self._settings = AvengersChatModel(models=models, **settings)

    def feedback(self, id: str, score: float, source: str | None = None) -> None:
        """:meth:`avengers_langchain.AvengersChatModel.feedback`."""
        self._settings.feedback(id, score, source)

    def close(self) -> None:
        """:meth:`avengers_langchain.AvengersChatModel.close`."""
        self._settings.close()

    async def aclose(self) -> None:
        """:meth:`close`, from inside an event loop."""
        await self._settings.aclose()

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ExtendedModelResponse[Any]:
        """Hand a call to the model picked for it."""

        def ask(to: ModelRequest[Any], attempt: Attempt) -> ModelResponse[Any]:
            with _committed_by_tokens(attempt):
                return handler(to)

        with as_langchain_names_them():
            return cast("ExtendedModelResponse[Any]", self._asked(request, ask).run())

    async def awrap_model_call(
        self,
        request: ModelRequest[Any],
        handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]],
    ) -> ExtendedModelResponse[Any]:
        """:meth:`wrap_model_call`, asynchronously."""

        async def ask(to: ModelRequest[Any], attempt: Attempt) -> ModelResponse[Any]:
            with _committed_by_tokens(attempt):
                return await handler(to)

        with as_langchain_names_them():
            return cast("ExtendedModelResponse[Any]", await self._asked(request, ask).arun())

    def _asked(self, request: ModelRequest[Any], ask: Callable[..., Any]) -> _AgentCall:
        system = [] if request.system_message is None else [request.system_message]
        query = ensure_config().get("metadata", {}).get(ROUTING_QUERY)
        prompt = read([*system, *request.messages], {}, query)
        tools = BoundTools(request.tools, {})
        ways = _WAYS.get(type(request.response_format), (Needs(),))
        ways = tuple(way.along_with(tools.needs, 0) for way in ways)
        own = {k: v for k, v in request.model_settings.items() if k in _OF_A_CALL}
        plan = self._settings.plan(prompt.needing(*ways, tokens=tools.tokens), own)
        return _AgentCall(plan, request, tools, self._settings.pool, ask)


_OF_A_CALL = {*OF_A_CALL} - {"votes", "vote_over"}
# How an object is asked for, and what a model needs for it.
_WAYS: dict[type, tuple[Needs, ...]] = {
    ToolStrategy: (Needs(tools=True),),
    ProviderStrategy: (Needs(structured_output=True),),
    AutoStrategy: (Needs(structured_output=True), Needs(tools=True)),
}


@dataclass(eq=False)
class _AgentCall(AskedCall):
    """One model call of an agent, which the agent's own handler makes.

    Attributes:
        plan: how it is to be decided.
        request: as the agent would make it.
        tools: of it.
        backends: who can answer.
        ask: makes it of another model, given an attempt.
    """

    plan: Plan
    request: ModelRequest[Any]
    tools: BoundTools
    backends: Backends
    ask: Callable[[ModelRequest[Any], Attempt], Any]

    def answering(self, decision: RoutingDecision, one_of_several: bool) -> _AgentAnswering:
        return _AgentAnswering(self, decision, one_of_several)

    def to(self, model: str) -> tuple[ModelRequest[Any], Sequence[str]]:
        """It, for a backend: its conversation and its settings as the backend accepts them; and
        stop sequences to cut its answer at."""
        request = self.request
        backend, bound = self.backends.get(model)
        said = {k: v for k, v in request.model_settings.items() if k not in OF_A_CALL}
        backend = in_its_protocol(backend, {**bound, **said, "tools": self.tools})
        target = target_of(model, backend, {**bound, **said})
        parallel = said.pop("parallel_tool_calls", None)
        words = ToolWords()  # without any, many refuse to be told what to do with them
        if request.tools or request.response_format is not None:
            words = self.tools.words(target.dialect.protocol, request.tool_choice, parallel)
        settings, cut = in_words([bound, said, given(parallel_tool_calls=words.parallel)], target)
        messages = list(request.messages)
        if not is_plain(messages):
            messages = cast("Any", portable(messages, target_of(model, backend, settings)))
        to = request.override(
            model=backend,
            messages=messages,
            model_settings=settings,
            tool_choice=words.choice,
            tools=self.tools.among(words),
        )
        return to, cut


class _AgentAnswering(Answering):
    """One answer to it."""

    def __init__(self, asked: _AgentCall, decision: RoutingDecision, one_of_several: bool) -> None:
        super().__init__(asked.plan, decision, asked.backends, one_of_several=one_of_several)
        self._asked = asked
        self._cut: Sequence[str] = ()

    def start(self, attempt: Attempt) -> Any:
        to, self._cut = self._asked.to(attempt.model)
        return self._asked.ask(to, attempt)

    def tag(
        self, response: ModelResponse[Any], facts: Mapping[str, Any]
    ) -> ExtendedModelResponse[Any]:
        result = [
            cut_message(message, self._cut).model_copy(
                update={"response_metadata": {**message.response_metadata, "avengers": facts}}
            )
            if isinstance(message, AIMessage)
            else message
            for message in response.result
        ]
        noted: Any = Command(update={"model_route": dict(facts)})
        return ExtendedModelResponse(replace(response, result=result), noted)

    def spent(self, response: ModelResponse[Any]) -> Tokens | None:
        each = [tokens_of(message) for message in response.result]
        return next((tokens for tokens in each if tokens is not None), None)


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
