"""The errors of backends as the framework tells its handlers of them: without what is secret.

It tells callback handlers of an error before it raises it, and those of events and spans on its
way up: all before the plugin has it. So a handler of the plugin's own is the first of each
backend's, and masks the error itself, which all others are handed after it.
"""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from llama_index.core.base.llms.base import BaseLLM
from llama_index.core.callbacks import CallbackManager, CBEventType
from llama_index.core.callbacks.base_handler import BaseCallbackHandler
from llama_index.core.callbacks.schema import EventPayload

from avengers_core.redaction import NO_SECRETS, mask
from avengers_core.serving.backends.pool import Pool


class _Masking(BaseCallbackHandler):
    """Masks errors; one for all backends, for managers share their lists of handlers."""

    def __init__(self) -> None:
        super().__init__(event_starts_to_ignore=list(CBEventType), event_ends_to_ignore=[])
        self.pools: WeakSet[Pool[Any]] = WeakSet()

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
            secrets = NO_SECRETS
            for pool in list(self.pools):
                secrets |= pool.secrets()
            mask(error, secrets)

    def on_event_start(self, event_type: CBEventType, *_: Any, **__: Any) -> str:
        """Nothing is said then."""
        return ""

    def start_trace(self, trace_id: str | None = None) -> None:
        """Nothing is said then, either."""

    def end_trace(self, trace_id: str | None = None, trace_map: Any = None) -> None:
        """Nor at the end."""


_masking = _Masking()


def mask_errors_of(backend: BaseLLM, pool: Pool[Any]) -> None:
    """Have the framework's handlers told of a backend's errors without a pool's secrets."""
    _masking.pools.add(pool)
    manager = getattr(backend, "callback_manager", None)
    if not isinstance(manager, CallbackManager):  # a copy without one gets one when it is called
        backend.callback_manager = manager = CallbackManager()
    if _masking not in manager.handlers[:1]:
        if _masking in manager.handlers:
            manager.remove_handler(_masking)
        manager.handlers.insert(0, _masking)
