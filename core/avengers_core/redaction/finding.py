"""Where secrets are known: in what a client was given, in the request of an error, around us."""

from __future__ import annotations

import base64
import functools
import os
import re
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from inspect import ismethod
from types import FunctionType, ModuleType
from typing import Any
from urllib.parse import unquote, unquote_plus

from pydantic import SecretBytes, SecretStr

from avengers_core.redaction.known import EVERYTHING, Secrets
from avengers_core.redaction.names import is_address, is_sent_along, names_key

_DEEPEST = 4  # objects in objects: a backend has a client, which has its headers
_MOST = 10_000  # values that are looked at
_SHORTEST_OF_ENVIRONMENT = 8  # characters: a shorter value of a variable may be any word
# What clients send by themselves, and what says nothing but a version.
_PLAIN_HEADERS = re.compile(
    r"accept(-\w+)?|connection|content-\w+|host|user-agent|transfer-encoding|date|te|via"
    r"|x-stainless-.*|x-goog-api-client|(anthropic|openai)-(beta|version)"
)
_PLAIN_PARAMETERS = frozenset({"api-version", "api_version", "version", "alt", "beta", "model"})
_PLAIN_VALUE = re.compile(r"\d{1,5}|true|false")
# What names say of values: under another name more of the same object may be secret.
_SAY = (is_sent_along, names_key, is_address)
_OPAQUE = (type, ModuleType, int, float, complex)


def secrets_of(*things: Any) -> Secrets:
    """What is secret in some things, as far as their names and types tell.

    Args:
        things: backends, clients, settings: of any object, and the objects in it, the values of
            ``SecretStr``, of names that hold keys, of headers, cookies and parameters, and users
            and passwords of addresses. If that cannot be found out, everything counts as secret.
    """
    try:
        return Secrets(found(*(("", thing) for thing in things)))
    except Exception:  # what a user's class does may be anything
        return EVERYTHING


def secrets_of_url(url: str) -> Secrets:
    """What is secret in an address, with or without a scheme."""
    return Secrets(of_url(url))


def secrets_of_environment() -> Secrets:
    """The values of all variables whose names say that they hold a key, or an address.

    Other libraries read their keys from there; whoever reads one, its value is known.
    """
    values: list[str] = []
    for name in os.environ:
        if names_key(name) and name not in ("PWD", "OLDPWD"):
            values.append(os.environ.get(name, ""))
        elif is_address(name) and "@" in (value := os.environ.get(name, "")) and "://" in value:
            values += of_url(value)
    return Secrets(value for value in values if len(value) >= _SHORTEST_OF_ENVIRONMENT)


def secrets_sent(error: Any) -> Secrets:
    """What was sent with the request that an error, or a response, belongs to.

    Servers quote it in their answers.

    Clients that are made like httpx, requests or aiohttp have the request in their errors.
    """
    values: list[str] = []
    for holder in (error, attribute(error, "response")):
        for name in ("request", "request_info"):
            request = attribute(holder, name)
            headers = attribute(request, "headers")
            if isinstance(headers, Mapping):
                values += of_headers(headers.items())
            for address in (attribute(request, "url"), attribute(request, "real_url")):
                if address is not None:
                    values += of_url(str(address))
    return Secrets(values)


def attribute(thing: Any, name: str) -> Any:
    """An attribute, or None where there is none or it raises."""
    with suppress(Exception):  # an error that has no request raises another
        return getattr(thing, name, None)
    return None


def found(*named: tuple[str, Any]) -> Iterator[str]:
    """What is secret in values that have names; what is nearer is looked at first."""
    waiting = deque((name, value, 0) for name, value in named)
    seen = set[tuple[int, ...]]()
    while waiting and len(seen) <= _MOST:
        name, value, depth = waiting.popleft()
        if value is None or isinstance(value, _OPAQUE):
            continue
        if isinstance(value, SecretStr | SecretBytes):
            value, name = value.get_secret_value(), "secret"
        if isinstance(value, bytes):
            value = value.decode("utf-8", "replace")
        if isinstance(value, str):
            yield from _of_text(name, value)
            continue
        looked_at = id(value), *(says(name) for says in _SAY)
        if looked_at not in seen and depth <= _DEEPEST:
            seen.add(looked_at)
            waiting += ((each, one, depth + further) for each, one, further in _inside(name, value))


def _inside(name: str, value: Any) -> Iterator[tuple[str, Any, int]]:
    """What is in a value that is no text: each with its name, and how much deeper it is."""
    if type(value).__name__ == "URL":  # of httpx and yarl
        yield name, str(value), 0
    elif isinstance(value, Mapping):
        along = is_sent_along(name)
        for each, one in list(value.items()):
            # A header has a name of its own, and is secret whatever that is.
            yield f"header {each}" if along else str(each), one, 1
    elif isinstance(value, tuple):
        yield from ((name, one, 0) for one in value)
    elif isinstance(value, list | set | frozenset):
        yield from ((name, one, 1) for one in list(value))
    elif isinstance(value, functools.partial):
        yield from ((name, one, 1) for one in (value.func, value.args, value.keywords))
    elif ismethod(value):
        yield name, value.__self__, 0
    elif isinstance(value, FunctionType):
        yield from _used_by(value)
    else:
        yield from ((each, one, 1) for each, one in list(getattr(value, "__dict__", {}).items()))


def _used_by(function: FunctionType) -> Iterator[tuple[str, Any, int]]:
    """What a function has of the scope that it was made in, and the keys of its module it names."""
    cells = zip(function.__code__.co_freevars, function.__closure__ or (), strict=True)
    for each, cell in cells:
        with suppress(ValueError):  # not filled yet
            yield each, cell.cell_contents, 1
    for each in function.__code__.co_names:
        if names_key(each) and isinstance(one := function.__globals__.get(each), str | SecretStr):
            yield each, one, 1


def _of_text(name: str, value: str) -> Iterator[str]:
    if is_sent_along(name):
        yield from of_headers([(name.removeprefix("header "), value)])
    elif names_key(name):
        yield value
    elif is_address(name) and not any(c.isspace() for c in value.strip()):
        yield from of_url(value)


def of_headers(headers: Iterable[tuple[Any, Any]]) -> Iterator[str]:
    """What is secret in headers: all but what clients send by themselves.

    Args:
        headers: names and values.
    """
    for each, given in headers:
        name, value = str(each).lower(), str(given).strip()
        if _PLAIN_HEADERS.fullmatch(name):
            continue
        yield value
        scheme, _, token = value.partition(" ")
        if token and scheme.isalnum():
            yield token
            if scheme.lower() == "basic":
                yield from _of_basic(token)
        if "cookie" in name:
            for part in value.split(";"):
                yield part.partition("=")[2]


def _of_basic(token: str) -> Iterator[str]:
    with suppress(ValueError):
        yield from _of_user(base64.b64decode(token).decode())


def of_url(url: str) -> Iterator[str]:
    """What is secret in an address: users and passwords, values of parameters, the fragment.

    They are found where they stand, also without a scheme, in the path or the fragment: what makes
    them known is the @.
    """
    rest = url.strip().partition("://")[2] or url.strip()
    address, _, fragment = rest.partition("#")
    address, _, query = address.partition("?")
    host = address.partition("/")[0]
    port = unquote(host).rpartition(":")[2] if ":" in host else ""
    if "@" in rest and "@" not in unquote(host) and port and not port.isdigit():
        # A password with a slash, # or ? in it, which no longer looks like one.
        yield from _of_user(rest.rpartition("@")[0])
    for step in re.split("[/#?&;=]", rest):
        user, at, version = unquote(step).rpartition("@")
        if at and (":" in user or not re.fullmatch(r"v?\d[\w.-]*", version) or step == host):
            yield from _of_user(user)
    for part in re.split("[&;]", query):
        name, equals, value = part.partition("=")
        if not equals:
            yield unquote(name)
        elif unquote(name).lower() not in _PLAIN_PARAMETERS and not _PLAIN_VALUE.fullmatch(value):
            yield from (value, unquote_plus(value))
    for part in (fragment, *fragment.split("&")):
        yield from (part, part.partition("=")[2])


def _of_user(user: str) -> Iterator[str]:
    yield from (user, *user.split(":", 1))
