"""Which embedding endpoint to talk to, with which key, and the open connections to it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit, urlunsplit

from avengers_core.common.functions import cached_property
from avengers_core.common.ranges import MOST_RETRIES, YEAR, check_number, check_whole
from avengers_core.errors import EmbedderError
from avengers_core.redaction import Secrets, describe, secrets_of_url

if TYPE_CHECKING:
    from openai import AsyncOpenAI, OpenAI

DEFAULT_URL = "https://api.openai.com/v1"
_VARIABLES = ("EMBEDDING_BASE_URL", "EMBEDDING_API_KEY", "OPENAI_BASE_URL", "OPENAI_API_KEY")
_NO_KEY = "none"
_MALFORMED = "(malformed URL)"


class ProcessClients:
    """The clients of one process, on connections that are closed together.

    Args:
        options: of the clients.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        from avengers_core.common.connections import Connections

        self._options = options
        self.connections = Connections()

    @cached_property
    def blocking(self) -> OpenAI:
        """For calls without an event loop."""
        from openai import OpenAI

        return OpenAI(**self._options, http_client=self.connections.blocking)

    @cached_property
    def asynchronous(self) -> AsyncOpenAI:
        """For calls in any event loop."""
        from openai import AsyncOpenAI

        return AsyncOpenAI(**self._options, http_client=self.connections.asynchronous)


class Clients:
    """Clients of the ``openai`` library for one endpoint, made when they are needed.

    The environment is read at the first request. The key is never shown, and neither it nor a
    connection is pickled.

    Args:
        base_url: default, ``EMBEDDING_BASE_URL``, else ``OPENAI_BASE_URL``, else OpenAI.
        api_key: default, ``EMBEDDING_API_KEY``, else ``OPENAI_API_KEY`` if it is meant for that
            URL.
        timeout: seconds that one attempt may take.
        max_retries: attempts after the first.
    """

    def __init__(
        self, base_url: str | None, api_key: str | None, timeout: float, max_retries: int
    ) -> None:
        self._base_url = base_url
        self._api_key = api_key
        check_number("timeout", timeout, 0, YEAR, inside="least")
        check_whole("max_retries", max_retries, 0, MOST_RETRIES)
        self._timeout = timeout
        self._max_retries = max_retries
        # By process: a connection shared with a forked child would mix up the answers.
        self._made: dict[int, ProcessClients] = {}

    @property
    def url(self) -> str:
        """Where requests go, without a user's name or password."""
        return _public(self._credentials()[0])

    def here(self) -> ProcessClients:
        """The clients of this process.

        Raises:
            EmbedderError: there is no key.
        """
        made = self._made.get(os.getpid())
        if made is None:
            # Two threads may come here at once; they end up with the same ones.
            made = self._made.setdefault(os.getpid(), ProcessClients(self._options()))
        return made

    def close(self) -> None:
        """Close the connections of this process; a later request opens new ones."""
        if (made := self._made.pop(os.getpid(), None)) is not None:
            made.connections.close()

    async def aclose(self) -> None:
        """:meth:`close`, from inside an event loop."""
        if (made := self._made.pop(os.getpid(), None)) is not None:
            await made.connections.aclose()

    def describe(self, error: Exception) -> str:
        """An error of the client on one line, without the key."""
        url, key = self._credentials()
        secrets = Secrets([key]) | secrets_of_url(url)
        cause = f" ({describe(error.__cause__, secrets)})" if error.__cause__ else ""
        hint = ""
        if getattr(error, "status_code", None) in (401, 403):
            hint = ". Check EMBEDDING_API_KEY, which belongs to EMBEDDING_BASE_URL"
        return f"{describe(error, secrets)}{cause}{hint}"

    def _options(self) -> dict[str, Any]:
        url, key = self._credentials()
        if _public(url) == _MALFORMED:  # and may hold a password
            raise EmbedderError(
                "the URL of the embedding endpoint, from base_url=, EMBEDDING_BASE_URL or "
                "OPENAI_BASE_URL, is malformed: expected one such as http://localhost:8000/v1"
            )
        if not key:
            raise EmbedderError(
                f"no key for the embedding endpoint {_public(url)}: set EMBEDDING_API_KEY or "
                f"OPENAI_API_KEY, or EMBEDDING_BASE_URL to an endpoint that needs none"
            )
        if bad := next((c for c in key if not (c.isascii() and c.isprintable())), ""):
            raise EmbedderError(
                f"the key for the embedding endpoint {_public(url)} has the character "
                f"U+{ord(bad):04X} at position {key.index(bad) + 1} of {len(key)}, which no header "
                f"of HTTP can hold; copy the key again"
            )
        return {
            "base_url": url,
            "api_key": key,
            "timeout": self._timeout,
            "max_retries": self._max_retries,
        }

    def _credentials(self) -> tuple[str, str]:
        """URL and key; OpenAI's key is not sent to anybody else."""
        # What is copied to a file of settings often ends with a line end.
        environ = {name: os.environ.get(name, "").strip() for name in _VARIABLES}
        openai_url = environ.get("OPENAI_BASE_URL") or DEFAULT_URL
        url = (self._base_url or "").strip() or environ.get("EMBEDDING_BASE_URL") or openai_url
        key = (self._api_key or "").strip() or environ.get("EMBEDDING_API_KEY")
        if not key and url.rstrip("/") in (openai_url.rstrip("/"), DEFAULT_URL):
            key = environ.get("OPENAI_API_KEY")
        if not key and url.rstrip("/") != DEFAULT_URL:
            key = _NO_KEY  # local servers take none, and the library insists on one
        return url, key or ""

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__ | {"_api_key": None, "_made": {}}
        if self._base_url is not None:
            state["_base_url"] = _public(self._base_url)
        elif (url := self._credentials()[0]) == _public(url):
            # Where it is unpickled the environment may name another endpoint, or none.
            state["_base_url"] = url
        return state

    def __copy__(self) -> Clients:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Clients:
        return self  # a copy made like a pickle would lose the key

    def __repr__(self) -> str:
        return f"Clients({self.url!r})"


def _public(url: str) -> str:
    """An address without what may be secret in it: user and password, query, fragment."""
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError:
        return _MALFORMED
    # Without a scheme, user and password are no part of their own.
    if parts.scheme not in ("http", "https") or not parts.hostname:
        return _MALFORMED
    path = "/".join("***" if "@" in unquote(step) else step for step in parts.path.split("/"))
    return urlunsplit((parts.scheme, parts.netloc.rpartition("@")[2], path, "", ""))
