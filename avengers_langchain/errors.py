"""This package's errors as LangChain's own, too: by those its retries and its summaries go.

LangChain's kinds of failures are the same for all providers, and each says whether to ask again may
help. Where a call fails because all backends did, or none is able, the error keeps its class and
message, and is also of the kind that a single backend would have failed with.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from langchain_core import exceptions

from avengers_core.errors import (
    AllBackendsFailedError,
    AvengersError,
    ContentRefusedError,
    NoEligibleModelError,
)
from avengers_core.serving.backends.capabilities import TooLong

# By the kinds of `avengers_core.serving.resilience.faults`.
_KINDS = {
    "rate_limit": "ModelRateLimitError",
    "server_error": "ModelAPIError",
    "bad_response": "ModelAPIError",
    "timeout": "ModelTimeoutError",
    "connection": "ModelConnectionError",
    "authentication": "ModelAuthenticationError",
    "quota": "ModelPermissionDeniedError",
    "not_found": "ModelNotFoundError",
    "bad_request": "ModelInvalidRequestError",
    "too_long": "ContextOverflowError",
    "content": "ModelRefusalError",
}


@contextmanager
def as_langchain_names_them() -> Iterator[None]:
    """A context in which errors of this package are of LangChain's kinds, too."""
    try:
        yield
    except AvengersError as error:
        if (kind := _kind(error)) is not None and not isinstance(error, kind):
            # Not another error: whoever holds this one, or its traceback, sees the same.
            error.__class__ = _also(type(error), kind)
        raise


def _kind(error: AvengersError) -> type[Exception] | None:
    """LangChain's class for an error, if this release of it has one."""
    if isinstance(error, ContentRefusedError):
        kinds = ["content"]
    elif isinstance(error, NoEligibleModelError):
        lengths = any(isinstance(reason, TooLong) for reason in error.reasons.values())
        kinds = ["too_long"] if lengths else []
    elif isinstance(error, AllBackendsFailedError):
        kinds = [attempt.kind for attempt in error.tried]
    else:
        kinds = []
    each = (getattr(exceptions, _KINDS[kind], None) for kind in kinds if kind in _KINDS)
    # To ask again may help where it may help with one of them.
    named = sorted(filter(None, each), key=lambda kind: not getattr(kind, "is_retryable", False))
    return named[0] if named else None


_CLASSES: dict[tuple[type[AvengersError], type[Exception]], type[AvengersError]] = {}


def _also(own: type[AvengersError], kind: type[Exception]) -> type[AvengersError]:
    """The one class of errors that are of both classes; it has the name of the first."""
    if (own, kind) in _CLASSES:
        return _CLASSES[own, kind]

    def reduce(error: AvengersError) -> tuple[Any, ...]:
        return _made, (own, kind, error.args, vars(error))

    # What is LangChain's own to say of a refusal: the message, which is not handed on.
    more = {"__module__": own.__module__, "__reduce__": reduce, "raw_message": None}
    return _CLASSES.setdefault((own, kind), type(own.__name__, (own, kind), more))


def _made(
    own: type[AvengersError], kind: type[Exception], args: tuple[Any, ...], state: dict[str, Any]
) -> AvengersError:
    both = _also(own, kind)
    error = both.__new__(both, *args)
    error.__dict__.update(state)
    return error
