"""Whose fault an error is: the caller's, or a backend's that the next one may make good."""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Literal, NamedTuple

from avengers_core.serving.resilience.waiting import seconds_to_wait

_DEEPEST_CAUSE = 4
_WAITS = ("rate_limit", "server_error", "timeout")  # after which a server is asked again
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
# What those who refuse a request say of it, where its status says only that they do.
_SAID: dict[str, re.Pattern[str]] = {
    kind: re.compile(said, re.I)
    for kind, said in {
        "quota": r"credit balance|insufficient[ _](quota|balance|credits)"
        r"|exceeded your current quota|arrear|billing (hard )?limit|spending limit",
        "authentication": r"api[ _]key (is )?(not valid|invalid|expired)"
        r"|(invalid|incorrect)[ _]api[ _]key",
        "not_found": r"model_(not_found|decommissioned)|not a valid model|(unknown|invalid) model\b"
        r"|model (id )?['\"`\w./:-]* ?(does not exist|not found|has been (decommissioned|retired))",
        # A prompt that Gemini blocks has no candidates, and LlamaIndex's class for it says no more:
        # https://ai.google.dev/api/generate-content#PromptFeedback
        "content": r"response has no candidates|moderation|flagged"
        r"|content[ _-]?(policy|filter|management|exists risk)"
        r"|responsibleai|safety system|usage guidelines|high risk|inappropriate content"
        r"|data_?inspection|terminated early: (safety|blocklist|prohibited_content|spii)",
        "too_long": r"context[ _-]?(length|window|overflow|size|limit)|token limit|input length"
        r"|(maximum|max) (context|prompt|model|sequence)\b|too many (total )?(input )?tokens"
        r"|(prompt|input|request|message)s? (is|are)? ?too (long|large)|reduce the length"
        r"|token count.{0,40}exceeds|exceeds? (the )?max\w* (allowed|length|input|prompt|number of)"
        r"|longer than the maximum|tokens? \+ \W?max_new_tokens|must have less than \d+ tokens",
        "bad_response": r"terminated early: (?!max_tokens)",  # LlamaIndex's class for Gemini
    }.items()
}
_OF_REQUESTS = ("bad_request", "too_long", "content")
# A model that is there, but not for this request: OpenRouter says so with status 404.
_CANNOT = re.compile(r"no endpoints found that support|does not support|not supported", re.I)
# What clients make of an answer that is none: a list, a text, null, nothing.
_NO_ANSWER = re.compile(
    r"NoneType|object is not (subscriptable|iterable)|object has no attribute|null value"
    r"|No generations? found|no (choices|message)|(unexpected|malformed) response"
    r"|validation errors? for AIMessage",
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
        if status is not None and status >= 300:
            return _by_status(status, cause)
        if kind := _kind_by_class(cause):
            return Failure(kind, "backend")
        cause = cause.__cause__
    if isinstance(error, _NO_ANSWER_CLASSES) or _NO_ANSWER.search(str(error)):
        return Failure("bad_response", "backend")
    if error.args and isinstance(error.args[0], Mapping):  # an error sent with status 200
        return Failure("server_error", "backend")
    kind = _said(error) or "refused"
    return Failure(kind, "request" if kind in (*_OF_REQUESTS, "refused") else "backend")


def _by_status(status: int, error: Exception) -> Failure:
    kind = _STATUS_KINDS.get(status)
    if status == 413:
        kind = "too_long"
    elif status == 403:
        kind = _said(error, "content", "quota") or kind
    elif status == 429:  # Gemini says of its rate, too, that a quota is exceeded
        kind = "quota" if re.search(r"insufficient[ _]quota", str(error), re.I) else kind
    elif status == 404 and _CANNOT.search(str(error)):
        kind = "bad_request"
    elif kind is None and 400 <= status < 500:
        kind = _said(error) or "bad_request"
    kind = kind or ("server_error" if status >= 500 else "bad_response")
    waits = seconds_to_wait(error) if kind in _WAITS else None
    return Failure(kind, "request" if kind in _OF_REQUESTS else "backend", waits)


def _said(error: Exception, *kinds: str) -> str | None:
    """The kind of failure that an error's text tells of: the first of these, or of all."""
    text = f"{type(error).__name__} {getattr(error, 'code', '')} {error}"
    return next((kind for kind in kinds or _SAID if _SAID[kind].search(text)), None)


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
