"""The next candidate answers when a backend fails; what is the caller's own fault is raised.

::

    failover = Failover(decision, health)
    for attempt in failover:
        with attempt:                       # swallows what the next candidate may do better
            return call(attempt.model)
    raise failover.exhausted()

The same loop serves asynchronous calls, and streams, which call :meth:`Attempt.commit` when the
first chunk has gone out.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from types import TracebackType
from typing import Any, NamedTuple

from avengers_core.errors import AllBackendsFailedError
from avengers_core.redaction import describe
from avengers_core.routing.decision import Candidate, RoutingDecision
from avengers_core.serving.health import BackendHealth

logger = logging.getLogger(__name__)

_DEEPEST_CAUSE = 4
_STATUS_KINDS = {
    401: "authentication",
    402: "quota",
    403: "authentication",
    404: "not_found",
    408: "timeout",
    409: "server_error",
    425: "server_error",
    429: "rate_limit",
}
# Names of exception classes, for those without a status: openai, anthropic, httpx, httpcore,
# requests, aiohttp, botocore, google and grpc name theirs alike.
_CLASS_KINDS: dict[str, tuple[str, ...]] = {
    "timeout": ("Timeout", "DeadlineExceeded"),
    "rate_limit": ("RateLimit", "ResourceExhausted", "Throttl", "TooManyRequests"),
    "authentication": ("Authentication", "Unauthenticated", "PermissionDenied", "NoCredentials"),
    "server_error": ("InternalServerError", "ServiceUnavailable", "Overloaded", "ServerError"),
    "connection": (
        "ConnectionError",
        "ConnectError",
        "ConnectorError",
        "NetworkError",
        "ProtocolError",
        "TransportError",
        "ServerDisconnected",
        "SSLError",
        "gaierror",
    ),
    "bad_response": (
        "JSONDecodeError",
        "ResponseValidationError",
        "DecodingError",
        "EmptyResponse",
    ),
}
# How a 403 that is about the prompt differs from one that is about the key.
_REFUSED = re.compile(r"moderation|flagged|content[ _-]?(policy|filter)", re.IGNORECASE)


class Failure(NamedTuple):
    """What an error means for the call.

    Attributes:
        kind: ``"rate_limit"``, ``"timeout"``, ``"server_error"``, ``"connection"``,
            ``"authentication"``, ``"quota"``, ``"not_found"``, ``"bad_response"``,
            ``"bad_request"`` or ``"unknown"``.
        fail_over: whether another model may do better; else the error is the caller's.
        retry_after: how long the server asks to be left alone, seconds, or None.
    """

    kind: str
    fail_over: bool
    retry_after: float | None = None


class FailedAttempt(NamedTuple):
    """One model that was tried and failed; the message is shortened and without keys."""

    model: str
    kind: str
    message: str


def classify(error: BaseException) -> Failure:
    """What an error of a backend means, whichever library it comes from.

    The status of the response decides, else the class and its bases, else the cause that the
    error was raised from. What is not recognised is not failed over: it may be a bug.
    """
    try:
        return _classified(error)
    except Exception:  # an attribute that raises, a status that is no number
        return Failure("unknown", False)


def _classified(error: BaseException) -> Failure:
    cause: BaseException | None = error
    for _ in range(_DEEPEST_CAUSE):
        if not isinstance(cause, Exception):
            break
        status = _status(cause)
        if status is not None and status >= 400:
            return _by_status(status, cause)
        if kind := _kind_by_class(cause):
            return Failure(kind, True)
        cause = cause.__cause__
    return Failure("unknown", False)


class Attempt:
    """One candidate's turn: a context manager around the call.

    An error that another model may do better with is noted and swallowed; any other is raised.

    Attributes:
        candidate: whose turn it is.
    """

    def __init__(
        self, candidate: Candidate, health: BackendHealth, tried: list[FailedAttempt]
    ) -> None:
        self.candidate = candidate
        self._health = health
        self._tried = tried
        self._committed = False
        self._handed_on = False

    @property
    def model(self) -> str:
        """The candidate's model."""
        return self.candidate.model

    def commit(self, *, handed_on: bool = False) -> None:
        """The answer has begun to reach the caller: from here on errors are raised.

        Args:
            handed_on: the rest of it comes under another ``with`` of this attempt, which will see
                how it ends.
        """
        self._committed = True
        self._handed_on = handed_on

    def __enter__(self) -> Attempt:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> bool:
        if error is None:
            if not self._handed_on:
                self._health.record_success(self.model)
            self._handed_on = False
            return False
        failure = classify(error)
        if not failure.fail_over:
            if self._committed:  # nobody wants the rest of it, which is no fault of the model's
                self._health.record_success(self.model)
            return False
        self._health.record_failure(self.model, retry_after=failure.retry_after)
        message = describe(error)
        logger.info("%s failed (%s): %s", self.model, failure.kind, message)
        self._tried.append(FailedAttempt(self.model, failure.kind, message))
        return not self._committed


class Failover:
    """The attempts at one call: the candidates in order, those that are resting last.

    A resting backend is a long shot, but better than no answer.

    Args:
        decision: whose candidates.
        health: of the backends.
        max_attempts: how many candidates to try; default all.

    Raises:
        ValueError: ``max_attempts`` is under 1.
    """

    def __init__(
        self, decision: RoutingDecision, health: BackendHealth, *, max_attempts: int | None = None
    ) -> None:
        if max_attempts is not None and max_attempts < 1:
            raise ValueError(f"max_attempts must be at least 1, got {max_attempts}")
        self._decision = decision
        self._health = health
        self._max_attempts = max_attempts
        self._tried: list[FailedAttempt] = []

    @property
    def tried(self) -> tuple[FailedAttempt, ...]:
        """The attempts that failed so far."""
        return tuple(self._tried)

    def __iter__(self) -> Iterator[Attempt]:
        turns = self._turns()
        limit = self._max_attempts
        for n, candidate in enumerate(turns):
            if n == limit:
                return
            yield Attempt(candidate, self._health, self._tried)

    def _turns(self) -> Iterator[Candidate]:
        resting = []
        for candidate in self._decision.candidates:
            if self._health.admit(candidate.model):
                yield candidate
            else:
                resting.append(candidate)
        yield from resting

    def report(self, model: str) -> dict[str, Any]:
        """Who answered, what was expected of it, and who failed before, as plain JSON types.

        Short, for it goes along with every answer: of the other candidates it only has the order.
        """
        decision = self._decision
        answered = next(c for c in decision.candidates if c.model == model)
        return {
            "model": model,
            "alpha": decision.alpha,
            "expected_score": answered.expected_score,
            "expected_cost": answered.expected_cost,
            "scorer": decision.scorer,
            "basis": decision.basis,
            "relaxed": decision.relaxed,
            "prompt_tokens": decision.prompt_tokens,
            "ranking": [c.model for c in decision.candidates],
            "ineligible": dict(decision.ineligible),
            "clusters": [v.to_dict() for v in decision.clusters],
            "tried": [t._asdict() for t in self._tried],
        }

    def exhausted(self) -> AllBackendsFailedError:
        """The error to raise when no attempt is left: each model and what it failed with."""
        each = "".join(f"\n- {t.model}: {t.kind}: {t.message}" for t in self._tried)
        untried = len(self._decision.candidates) - len(self._tried)
        rest = f"\n{untried} more were not tried (max_attempts)" if untried > 0 else ""
        message = f"every model that was tried failed:{each}{rest}"
        return AllBackendsFailedError(message, self.tried)


def _by_status(status: int, error: Exception) -> Failure:
    kind = _STATUS_KINDS.get(status)
    if status == 403 and _REFUSED.search(str(error)):
        kind = "bad_request"
    if kind is None:
        kind = "server_error" if status >= 500 else "bad_request"
    return Failure(kind, kind != "bad_request", _retry_after(error))


def _status(error: Exception) -> int | None:
    response = getattr(error, "response", None)
    places: list[Any] = [
        getattr(error, "status_code", None),
        getattr(response, "status_code", None),
        getattr(error, "http_status", None),
        getattr(error, "status", None),
        getattr(error, "code", None),
    ]
    if isinstance(response, Mapping):  # botocore
        places.append((response.get("ResponseMetadata") or {}).get("HTTPStatusCode"))
    if error.args and isinstance(error.args[0], Mapping):  # an error sent with status 200
        places.append(error.args[0].get("code"))
    for place in places:
        with suppress(TypeError, ValueError, OverflowError):
            if not isinstance(place, bool) and 100 <= int(place) < 600:
                return int(place)
    return None


def _kind_by_class(error: Exception) -> str | None:
    names = [cls.__name__ for cls in type(error).__mro__]
    for kind, marks in _CLASS_KINDS.items():
        if any(mark in name for name in names for mark in marks):
            return kind
    # What openai raises for an error that the server reports inside a stream.
    return "server_error" if names[0] == "APIError" else None


def _retry_after(error: Exception) -> float | None:
    """Seconds, from the response's headers: ``Retry-After`` is a number of them, or a date."""
    headers: Any = getattr(getattr(error, "response", None), "headers", None)
    if not hasattr(headers, "get"):
        return None
    with suppress(TypeError, ValueError):
        return float(headers.get("retry-after-ms")) / 1000
    value = headers.get("retry-after") or headers.get("Retry-After")
    with suppress(TypeError, ValueError):
        return float(value)
    with suppress(TypeError, ValueError):
        return (parsedate_to_datetime(value) - datetime.now(timezone.utc)).total_seconds()
    return None
