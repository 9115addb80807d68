"""The errors of backends as the framework tells its handlers of them: without what is secret.

It tells callback handlers of an error before it raises it, and those of events and spans on its
way up: all before the plugin has it. So handlers of the plugin's own come first, and mask the error
itself, which all others are handed after it: among the callbacks of each backend, and, for methods
that tell no callbacks, wherever somebody listens to events and spans.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from typing import Any
from weakref import WeakSet

from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.schema import EventPayload
from llama_index.core.instrumentation import Dispatcher, get_dispatcher  # type: ignore[attr-defined]
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.events import BaseEvent
from llama_index.core.instrumentation.span_handlers import NullSpanHandler

from avengers_core.common.forks import lock_over_forks
from avengers_core.redaction import NO_SECRETS, Secrets, mask, redacted
from avengers_core.serving.backends.pool import Pool
from avengers_llamaindex.events import Overhearing, who_hear

_pools: WeakSet[Pool[Any]] = WeakSet()
_changing = lock_over_forks()  # a set cannot be read while another thread adds to it


def _secrets() -> Secrets:
    secrets = NO_SECRETS
    with _changing:
        pools = list(_pools)
    for pool in pools:
        secrets |= pool.secrets()
    return secrets


class _Masking(BaseCallbackHandler):
    """Masks errors; one for all backends, for managers share their lists of handlers."""

    def __init__(self) -> None:
        super().__init__(event_starts_to_ignore=list(CBEventType), event_ends_to_ignore=[])

    def on_event_end(
        self,
        event_type: CBEventType,
        payload: dict[str, Any] | None = None,
        event_id: str = "",
        **_: Any,
    ) -> None:
        """Mask the error that an event ends with, if it does."""
        error = (payload or {}).get(EventPayload.EXCEPTION)
        if isinstance(error, BaseException):
            mask(error, _secrets())

    def on_event_start(self, event_type: CBEventType, *_: Any, **__: Any) -> str:
        """Nothing is said then."""
        return ""

    def start_trace(self, trace_id: str | None = None) -> None:
        """Nothing is said then, either."""

    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None:
        """Nor at the end."""


class _MaskingEvents(Overhearing, BaseEventHandler):
    """Masks what events say of errors."""

    @classmethod
    def class_name(cls) -> str:
        """The name in serialised form."""
        return "AvengersMaskingEvents"

    def handle(self, event: BaseEvent, **_: Any) -> None:
        """Mask the error that an event tells of, if it does."""
        told: Any = event
        if isinstance(text := getattr(told, "err_str", None), str):  # a span is dropped
            told.err_str = redacted(_secrets().masked(text))
        if isinstance(error := getattr(told, "exception", None), BaseException):
            mask(error, _secrets())


class _MaskingSpans(Overhearing, NullSpanHandler):
    """Masks the errors that end spans; it keeps none."""

    @classmethod
    def class_name(cls) -> str:
        """The name in serialised form."""
        return "AvengersMaskingSpans"

    def span_drop(self, *_: Any, err: BaseException | None = None, **__: Any) -> None:
        """Mask the error."""
        if err is not None:
            mask(err, _secrets())


_masking = _Masking()
_events = _MaskingEvents()
_spans = _MaskingSpans()


def mask_secrets_of(pool: Pool[Any]) -> None:
    """Take what is secret of a pool, for as long as there is one, out of errors."""
    with _changing:
        _pools.add(pool)


def mask_errors_of(backend: BaseLLM) -> None:
    """Have the framework's handlers told of a backend's errors without secrets."""
    manager = getattr(backend, "callback_manager", None)
    if not isinstance(manager, CallbackManager):  # a copy without one gets one when it is called
        backend.callback_manager = manager = CallbackManager()
    _put_first(_masking, manager.handlers)
    for level in who_hear(_levels(type(backend))):
        _put_first(_events, level.event_handlers)
        _put_first(_spans, level.span_handlers)


def _put_first(handler: Any, handlers: list[Any]) -> None:
    if not handlers or handlers[0] is not handler:
        with suppress(ValueError):  # not there, or another thread was faster
            handlers.remove(handler)
        handlers.insert(0, handler)


@lru_cache(maxsize=256)
def _levels(kind: type[BaseLLM]) -> tuple[Dispatcher, ...]:
    """The dispatchers that tell of what a class's methods do, each once."""
    modules = [parent.__module__ for parent in kind.__mro__ if issubclass(parent, BaseLLM)]
    found = {id(level): level for name in modules for level in _above(get_dispatcher(name))}
    return tuple(found.values())


def _above(level: Dispatcher | None) -> Iterator[Dispatcher]:
    while level is not None:
        yield level
        level = level.parent if level.propagate else None
