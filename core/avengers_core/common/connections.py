"""HTTP clients for what is made here, backends and embedders: one for blocking calls, one an event
loop.

A connection cannot outlive the event loop that it was opened in: with a single client, the calls
of a second ``asyncio.run`` fail with "Event loop is closed".
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from typing import TYPE_CHECKING, Any

from openai import DefaultAsyncHttpxClient, DefaultHttpxClient

from avengers_core.common.functions import cached_property
from avengers_core.redaction import mask, without_what_was_sent

if TYPE_CHECKING:
    import httpx
else:  # what openai builds on: httpx, and from its version 3 on httpx2
    httpx = import_module(DefaultHttpxClient.__base__.__module__.partition(".")[0])


class Connections:
    """HTTP clients that are made on first use and closed together; a later use opens new ones."""

    @cached_property
    def blocking(self) -> httpx.Client:
        """For calls without an event loop."""
        return _BlockingClient()

    @cached_property
    def asynchronous(self) -> LoopwiseClient:
        """For calls in whichever event loop."""
        return LoopwiseClient()

    def close(self) -> None:
        """Close the connections; those of event loops that run elsewhere are closed there."""
        made = vars(self)
        if (client := made.pop("blocking", None)) is not None:
            client.close()
        if (client := made.pop("asynchronous", None)) is not None:
            client.abandon()

    async def aclose(self) -> None:
        """:meth:`close`, from inside an event loop, whose connections are closed at the end."""
        if (client := vars(self).pop("asynchronous", None)) is not None:
            await client.aclose()
        self.close()


class _BlockingClient(DefaultHttpxClient):
    """A client whose connections are closed when nobody has it any more.

    What was sent with a request is taken out of errors here already: whoever asks through it may
    show them, a framework in its events, a library in its log.
    """

    def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request."""
        with _showing_no_secrets():
            response = super().send(request, **options)
            if response.is_error:
                response.read()
        return without_what_was_sent(response)

    def __del__(self) -> None:
        with suppress(Exception):  # at its end Python takes things apart in any order
            self.close()


@contextmanager
def _showing_no_secrets() -> Iterator[None]:
    """Let errors quote nothing of what was sent that is secret."""
    try:
        yield
    except httpx.HTTPError as error:
        if mask(error):
            raise
        plain = f"{type(error).__name__}, which quotes what was sent"
        raise httpx.TransportError(plain) from None


class LoopwiseClient(httpx.AsyncClient):
    """An asynchronous client that sends each request with a client of the running event loop.

    That one is closed when the loop ends (``asyncio.run`` finishes a loop's asynchronous
    generators, and one of them waits here), or with this client.
    """

    def __init__(self) -> None:
        self._context = httpx.create_ssl_context()  # read once for all: it takes longest
        super().__init__(verify=self._context)
        self._by_loop: dict[asyncio.AbstractEventLoop, httpx.AsyncClient] = {}
        self._closing: dict[asyncio.AbstractEventLoop, AsyncGenerator[None]] = {}

    async def send(self, request: httpx.Request, **options: Any) -> httpx.Response:
        """Send a request through the running loop's client."""
        loop = asyncio.get_running_loop()
        client = self._by_loop.get(loop)
        if client is None:
            for over in [known for known in self._by_loop if known.is_closed()]:
                self._forget(over)
            client = self._by_loop[loop] = DefaultAsyncHttpxClient(verify=self._context)
            self._closing[loop] = self._closed_with(loop, client)
            await anext(self._closing[loop])
        with _showing_no_secrets():
            response = await client.send(request, **options)
            if response.is_error:
                await response.aread()
        return without_what_was_sent(response)

    async def aclose(self) -> None:
        """Close the connections of the running event loop, and let others close theirs."""
        own = self._closing.pop(asyncio.get_running_loop(), None)
        if own is not None:
            await own.aclose()
        self.abandon()
        await super().aclose()

    def abandon(self) -> None:
        """Let each event loop that still runs close its connections."""
        for loop, closing in list(self._closing.items()):
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(closing.aclose(), loop)
            self._forget(loop)

    async def _closed_with(
        self, loop: asyncio.AbstractEventLoop, client: httpx.AsyncClient
    ) -> AsyncGenerator[None]:
        try:
            yield
        finally:
            self._forget(loop)
            await client.aclose()

    def _forget(self, loop: asyncio.AbstractEventLoop) -> None:
        self._by_loop.pop(loop, None)
        self._closing.pop(loop, None)
