"""How long a server asks to be left alone, in whichever way it says so."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from typing import Any

# Of OpenAI, Groq and others, such as "6m0s", "1.5s", "120ms".
_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m(?!s))?(?:(\d+(?:\.\d+)?)(ms|s))?")
# OpenAI and Groq: "Please try again in 20s."; Gemini: "retry in 22.5s", "'retryDelay': '22s'".
_IN_WORDS = re.compile(r"(?:again in|retry in|retryDelay\W{1,4})\s*(\d[\dhms.]*(?:ms|s))\b", re.I)
_FAR = 1e8  # seconds: what is later than that is a moment, and no time from now
_IN_MS = 1e11  # a moment that is later than that is told in milliseconds


def seconds_to_wait(error: Exception) -> float | None:
    """Seconds until a server wants to be asked again, or None where it does not say.

    ``Retry-After`` counts, a number of seconds or a date, and ``retry-after-ms``; else when the
    limits on the rate that are used up are reset, as OpenAI, Anthropic, Groq and OpenRouter tell it
    in headers; else what the message says.

    Args:
        error: that an answer with a status of failure was made into.
    """
    headers = _headers(error)
    with suppress(TypeError, ValueError):
        return float(headers("retry-after-ms") or "") / 1000
    for read in (float, _until_date):
        with suppress(TypeError, ValueError):
            return read(headers("retry-after") or "")
    resets = [_reset(headers, *names) for names in _RESETS]
    if found := [seconds for seconds in resets if seconds is not None]:
        return max(found)
    told = _IN_WORDS.search(str(error))
    return _duration(told[1]) if told else None


# What is left of a limit, and when it is reset.
_RESETS = [
    *(
        (f"{of}ratelimit-{left}", f"{of}ratelimit-{reset}")
        for of in ("x-", "")
        for left, reset in (
            ("remaining-requests", "reset-requests"),
            ("remaining-tokens", "reset-tokens"),
            ("remaining", "reset"),
        )
    ),
    *(
        (f"anthropic-ratelimit-{what}-remaining", f"anthropic-ratelimit-{what}-reset")
        for what in ("requests", "tokens", "input-tokens", "output-tokens")
    ),
]


def _headers(error: Exception) -> Callable[[str], str | None]:
    given: Any = getattr(getattr(error, "response", None), "headers", None)
    if not hasattr(given, "get"):
        return lambda _: None
    lower = {str(name).lower(): value for name, value in dict(given).items()}
    return lower.get


def _reset(headers: Callable[[str], str | None], left: str, reset: str) -> float | None:
    """Seconds until a limit is reset that is used up."""
    with suppress(TypeError, ValueError):
        if float(headers(left) or "") > 0:
            return None
        told = headers(reset) or ""
        with suppress(ValueError):
            return _from_now(float(told))
        if (seconds := _duration(told)) is not None:
            return seconds
        return _from_now(datetime.fromisoformat(told.replace("Z", "+00:00")).timestamp())
    return None


def _from_now(told: float) -> float:
    """Seconds, whether they are told as such or as a moment in seconds or milliseconds."""
    if told < _FAR:
        return told
    return (told / 1000 if told > _IN_MS else told) - time.time()


def _until_date(told: str) -> float:
    return parsedate_to_datetime(told).timestamp() - time.time()


def _duration(told: str) -> float | None:
    found = _DURATION.fullmatch(told)
    if not told or found is None:
        return None
    hours, minutes, rest, unit = found.groups()
    seconds = float(rest or 0) / (1000 if unit == "ms" else 1)
    return int(hours or 0) * 3600 + int(minutes or 0) * 60 + seconds
