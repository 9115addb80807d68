"""The OpenAI-compatible LLM that the plugin makes where the user gives none."""

from __future__ import annotations

import asyncio
from typing import Any

from llama_index.llms.openai_like import OpenAILike  # type: ignore[import-untyped]
from openai import AsyncOpenAI, DefaultAsyncHttpxClient
from pydantic import Field, PrivateAttr


class LoopwiseOpenAILike(OpenAILike):  # type: ignore[misc]
    """An ``OpenAILike`` that can be used from several event loops, and does not show its key.

    The stock one keeps a single asynchronous client, whose idle connections belong to the event
    loop that opened them: after a second ``asyncio.run`` its calls fail with "Event loop is
    closed", which only its retries hide.
    """

    api_key: str | None = Field(default=None, repr=False, exclude=True)

    _aclients: dict[asyncio.AbstractEventLoop, AsyncOpenAI] = PrivateAttr(default_factory=dict)

    def _get_aclient(self) -> AsyncOpenAI:
        loop = asyncio.get_running_loop()
        client = self._aclients.get(loop)
        if client is None:
            # A client keeps its loop alive through its connections, so closed loops are dropped.
            live = {used: c for used, c in self._aclients.items() if not used.is_closed()}
            # An HTTP client that openai makes closes itself when it is collected, in whatever loop
            # runs then, and the log shows "Event loop is closed".
            options = self._get_credential_kwargs(is_async=True)
            client = AsyncOpenAI(**options | {"http_client": DefaultAsyncHttpxClient()})
            self._aclients = {**live, loop: client}
        return client

    def __getstate__(self) -> dict[str, Any]:
        raise TypeError("it holds a key; pickle the AvengersLLM, which makes it again")
