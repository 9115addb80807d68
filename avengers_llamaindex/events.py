"""Who answered and why, for observers: an instrumentation event and a collector of such events."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.events import BaseEvent

dispatcher = get_dispatcher(__name__)


class RoutingEvent(BaseEvent):
    """One call of :class:`avengers_llamaindex.AvengersLLM`, when a model has answered or all failed.

    Attributes:
        method: the method that was called, such as ``"chat"``.
        model: who answered (with a stream: who began to), or None if every candidate failed.
        decision: what the response carries as ``additional_kwargs["avengers"]``; plain JSON
            types, without the query's text.
    """

    method: str
    model: str | None
    decision: dict[str, Any]

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


def announce(event: RoutingEvent) -> None:
    """Send an event to the framework's handlers and to the open collectors."""
    dispatcher.event(event)
    for events in _collected.get():
        events.append(event)
