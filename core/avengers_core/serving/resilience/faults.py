"""Whose fault an error is: the caller's, or a backend's that the next one may make good."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any, Literal, NamedTuple

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
# What those who refuse a request say of it, whatever its status.
_REQUEST_KINDS = {
    "quota": re.compile(r"credit balance|insufficient[ _]quota|exceeded your current quota", re.I),
    "content": re.compile(
        r"moderation|flagged|content[ _-]?(policy|filter|management)|responsibleai|safety system"
        r"|terminated early: (safety|blocklist|prohibited_content|spii)",
        re.I,
    ),
    "too_long": re.compile(
        r"context[ _-]?(length|window|overflow)|maximum context|too many (input )?tokens"
        r"|(prompt|input|request|message)s? (is|are)? ?too (long|large)|reduce the length"
        r"|token count.{0,40}exceeds",
        re.I,
    ),
}
# What clients make of an answer that is none: a list, a text, null, nothing.
_NO_ANSWER = re.compile(
    r"NoneType|object is not (subscriptable|iterable)|object has no attribute|null value"
    r"|No generations? found|no (choices|message|candidates)|(unexpected|malformed) response",
    re.I,
)
_NO_ANSWER_CLASSES = (AttributeError, KeyError, IndexError)

Blame = Literal["backend", "request", "nobody"]


class Failure(NamedTuple):
    """What an error means for the call.

    Attributes:
        kind: ``"rate_limit"``, ``"timeout"``, ``"server_error"``, ``"connection"``,
            ``"authentication"``, ``"quota"``, ``"not_found"``, ``"bad_response"`` (an answer that
            is none): the backend's fault. ``"bad_request"``, ``"too_long"`` (for its context
            window), ``"content"`` (refused for what it says), ``"refused"`` (by the client, or in a
            way that is not known): the request's, as far as this backend can say. ``"stopped"``.
        blame: ``"backend"``: the next may do better, and its health suffers. ``"request"``: the
            next may see it differently. ``"nobody"``: the caller does not want the answer any more.
        retry_after: how long the server asks to be left alone, seconds, or None.
    """

    kind: str
    blame: Blame
    retry_after: float | None = None


def classify(error: BaseException) -> Failure:
    """What an error of a backend means, whichever library it comes from.

    The status of the response decides, else the class and its bases, else the cause that the
    error was raised from. What is not recognised counts as refused: it may be the request, a
    client that cannot say it, or a bug.
    """
    if not isinstance(error, Exception):
        return Failure("stopped", "nobody")
    try:
        return _classified(error)
    except Exception:  # an attribute that raises, a status that is no number
        return Failure("refused", "request")


def _classified(error: Exception) -> Failure:
    cause: BaseException | None = error
    for _ in range(_DEEPEST_CAUSE):
        if not isinstance(cause, Exception):
            break
        status = _status(cause)
        if status is not None and status >= 400:
            return _by_status(status, cause)
        if kind := _kind_by_class(cause):
            return Failure(kind, "backend")
        cause = cause.__cause__
    if isinstance(error, _NO_ANSWER_CLASSES) or _NO_ANSWER.search(str(error)):
        return Failure("bad_response", "backend")
    if error.args and isinstance(error.args[0], Mapping):  # an error sent with status 200
        return Failure("server_error", "backend")
    kind = _kind_of_request(f"{type(error).__name__} {error}") or "refused"
    return Failure(kind, "backend" if kind == "quota" else "request")


def _by_status(status: int, error: Exception) -> Failure:
    said = _kind_of_request(f"{type(error).__name__} {getattr(error, 'code', '')} {error}")
    kind = _STATUS_KINDS.get(status)
    if status == 413:
        kind = "too_long"
    elif (status == 403 and said == "content") or (kind is None and status < 500):
        kind = said or "bad_request"
    kind = kind or "server_error"
    blame: Blame = "request" if kind in ("bad_request", "too_long", "content") else "backend"
    return Failure(kind, blame, _retry_after(error))


def _kind_of_request(text: str) -> str | None:
    for kind, said in _REQUEST_KINDS.items():
        if said.search(text):
            return kind
    return None


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
