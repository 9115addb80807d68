"""Who answered and why, for observers: an instrumentation event and a collector of such events."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import wraps
from typing import Any

from llama_index.core.instrumentation import Dispatcher, get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.event_handlers import NullEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span_handlers import NullSpanHandler
from llama_index.core.llms.llm import LLM

dispatcher = get_dispatcher(__name__)


class RoutingEvent(BaseEvent):
    """One call of an :class:`avengers_llamaindex.AvengersLLM`: a model has answered, or all failed.

    Attributes:
        method: the method that was called, such as ``"chat"``.
        model: who answered (with a stream: who began to), or None if every candidate failed.
        model_name: what its provider calls the model, or None.
        provider: of the model that answered, by its LLM's package (``"openai"``), or None.
        decision: what the response carries as ``additional_kwargs["avengers"]``; plain JSON
            types, without the query's text.
    """

    method: str
    model: str | None
    decision: dict[str, Any]
    model_name: str | None = None
    provider: str | None = None

    @classmethod
    def class_name(cls) -> str:
        """The name under which handlers see it."""
        return "AvengersRoutingEvent"


_collected: ContextVar[tuple[list[RoutingEvent], ...]] = ContextVar("avengers_events", default=())


@contextmanager
def collect_events() -> Iterator[list[RoutingEvent]]:
    """The routing events of all calls made inside the ``with`` block, in order.

    Each block, thread and task sees its own calls only, and those of the tasks that it starts.
    The way to learn who answered where the response has no room for it::

        with collect_events() as calls:
            answer = query_engine.query("Who wrote it?")
        print(calls[-1].model)
    """
    events: list[RoutingEvent] = []
    token = _collected.set((*_collected.get(), events))
    try:
        yield events
    finally:
        _collected.reset(token)


def announce(
    method: str, model: str | None, decision: dict[str, Any], llm: Callable[[], LLM] | None = None
) -> None:
    """Tell the framework's handlers and the open collectors, if there are any.

    Args:
        method: as in :class:`RoutingEvent`, as ``model`` and ``decision``.
        llm: gives the LLM that answered, if one did.
    """
    collectors = _collected.get()
    # An event takes longer to make than a question to find, and mostly nobody listens.
    if collectors or is_heard(dispatcher):
        names = {} if llm is None else _names(llm())
        event = RoutingEvent(method=method, model=model, decision=decision, **names)
        dispatcher.event(event)
        for events in collectors:
            events.append(event)


def _names(llm: LLM) -> dict[str, str | None]:
    kind = type(llm)
    package = next((k.__module__ for k in kind.__mro__ if _OF_PROVIDERS in k.__module__), "")
    provider = package.partition(_OF_PROVIDERS)[2].partition(".")[0] or kind.__name__
    return {"model_name": getattr(llm, "model", None), "provider": provider}


_OF_PROVIDERS = "llama_index.llms."


class Overhearing:
    """A handler of the plugin's own, for whose sake nothing is told."""


def is_heard(source: Dispatcher) -> bool:
    """Whether a handler of events or spans is attached where those of a dispatcher arrive."""
    level: Dispatcher | None = source
    while level is not None:
        if _hears(level):
            return True
        level = level.parent if level.propagate else None
    return False


def who_hear(levels: Iterable[Dispatcher]) -> list[Dispatcher]:
    """The dispatchers to which a handler of somebody's is attached."""
    return [level for level in levels if _hears(level)]


def _hears(level: Dispatcher) -> bool:
    for handler in level.event_handlers + level.span_handlers:
        if type(handler) not in _NOBODY and not isinstance(handler, Overhearing):
            return True
    return False


_NOBODY = (NullEventHandler, NullSpanHandler)


def span_if_heard(spanned: Callable[..., Any]) -> Callable[..., Any]:
    """A method that the framework has given a span, without it while nobody listens."""
    plain = inspect.unwrap(spanned)
    source = get_dispatcher(plain.__module__)

    if inspect.iscoroutinefunction(plain):

        @wraps(plain)
        async def amethod(self: Any, *args: Any, **kwargs: Any) -> Any:
            if is_heard(source):
                return await spanned.__get__(self)(*args, **kwargs)
            return await plain(self, *args, **kwargs)

        return amethod

    @wraps(plain)
    def method(self: Any, *args: Any, **kwargs: Any) -> Any:
        if is_heard(source):
            return spanned.__get__(self)(*args, **kwargs)
        return plain(self, *args, **kwargs)

    return method
