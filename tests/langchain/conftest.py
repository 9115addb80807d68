"""Chat models on the stub server."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from keyword_router import MODELS
from langchain_core.language_models import BaseChatModel
from langchain_openai import ChatOpenAI
from openai import DefaultAsyncHttpxClient
from stub_server import StubServer

from avengers_core import Router
from avengers_langchain import AvengersChatModel

KEY = "sk-the-key-of-a-test"


@pytest.fixture
def backend(server: StubServer) -> Callable[..., ChatOpenAI]:
    """Makes a chat model on the stub server."""
    # The stock client is shared with the next test, which has another event loop.
    client = DefaultAsyncHttpxClient(verify=False)

    def make(model: str, **arguments: Any) -> ChatOpenAI:
        options: dict[str, Any] = {
            "base_url": server.url,
            "api_key": KEY,
            "max_retries": 0,
            "stream_usage": True,
            "timeout": 5,
            "http_async_client": client,
        }
        return ChatOpenAI(model=model, **options | arguments)

    return make


@pytest.fixture
def backends(backend: Callable[..., ChatOpenAI]) -> dict[str, BaseChatModel]:
    """One backend a model, without retries of its own."""
    return {model: backend(model) for model in MODELS}


@pytest.fixture
def llm(router: Router, backends: dict[str, BaseChatModel]) -> AvengersChatModel:
    """The router over those backends."""
    return AvengersChatModel(router=router, models=backends)
