"""Chat models that are made here, for an OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Hashable, Mapping
from typing import TYPE_CHECKING, Any

from langchain_core.language_models import BaseChatModel
from pydantic import SecretStr

from avengers_core.errors import BackendConfigError, OptionalDependencyError
from avengers_core.serving.endpoints import Endpoint, find_endpoint

if TYPE_CHECKING:
    from openai import DefaultAsyncHttpxClient

TIMEOUT = 60.0
"""Seconds that a chat model made here waits, unless told otherwise."""


class EndpointModels:
    """Makes ``ChatOpenAI`` objects on first use, and keeps them.

    They do not retry unless told to: the next candidate gets its turn at once.

    Args:
        options: arguments for them, and ``base_url`` and ``api_key`` of an endpoint to be used in
            place of the environment's.
    """

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = {"timeout": TIMEOUT, "max_retries": 0, **options}
        self._base_url: str | None = self._options.pop("base_url", None)
        self._api_key: SecretStr | None = self._options.pop("api_key", None)
        self._endpoint: Endpoint | None = None
        self._lock = threading.Lock()
        # By event loop: a connection can not outlive the one that it was opened in.
        self._made: dict[tuple[str, Hashable], BaseChatModel] = {}
        self._clients: dict[asyncio.AbstractEventLoop, DefaultAsyncHttpxClient] = {}

    @property
    def endpoint(self) -> Endpoint:
        """Where requests go; found at the first call.

        Raises:
            BackendConfigError: none is given and the environment names none.
        """
        if self._endpoint is None:
            self._endpoint = find_endpoint(self._base_url, self._api_key)
        return self._endpoint

    def get(self, model: str) -> BaseChatModel:
        """The chat model of a model, for the event loop that runs, if one does.

        Raises:
            BackendConfigError: the model is not reachable.
        """
        loop = _running_loop()
        made = self._made.get((model, loop))
        if made is None:
            with self._lock:
                made = self._made.get((model, loop))
                if made is None:
                    made = self._made[model, loop] = self._make(model, loop)
        return made

    def _make(self, model: str, loop: asyncio.AbstractEventLoop | None) -> BaseChatModel:
        name = self.endpoint.remote_name(model)
        if name is None:
            raise BackendConfigError(f"{model} is not reachable through the endpoint")
        try:
            from langchain_openai import ChatOpenAI
        except ImportError as error:
            raise OptionalDependencyError("langchain-openai", "langchain") from error
        return ChatOpenAI(
            model=name,
            base_url=self.endpoint.base_url,
            api_key=self.endpoint.api_key,
            stream_usage=True,
            http_async_client=None if loop is None else self._client(loop),
            **self._options,
        )

    def _client(self, loop: asyncio.AbstractEventLoop) -> DefaultAsyncHttpxClient:
        from openai import DefaultAsyncHttpxClient

        client = self._clients.get(loop)
        if client is None:
            for closed in [other for other in self._clients if other.is_closed()]:
                del self._clients[closed]
                self._made = {k: m for k, m in self._made.items() if k[1] is not closed}
            client = DefaultAsyncHttpxClient(timeout=self._options["timeout"])
            self._clients[loop] = client
        return client


def _running_loop() -> asyncio.AbstractEventLoop | None:
    try:
        return asyncio.get_running_loop()
    except RuntimeError:
        return None
