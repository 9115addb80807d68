"""Real ``OpenAILike`` backends on the stub server, and two small indices."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from llama_index.core import Document, MockEmbedding, Settings, VectorStoreIndex
from llama_index.core.callbacks import CallbackManager
from llama_index.core.llms.llm import LLM
from llama_index.core.settings import _Settings
from llama_index.llms.openai_like import OpenAILike
from stub_server import StubServer

from avengers_core import Router
from avengers_llamaindex import AvengersLLM

KEY = "sk-the-key-of-a-test"

MakeLLM = Callable[..., AvengersLLM]


@pytest.fixture
def backends(server: StubServer, router: Router) -> dict[str, LLM]:
    """One backend a model, without retries of its own."""
    return {model: openai_like(server, model) for model in router.models}


def openai_like(server: StubServer, model: str, **arguments: Any) -> OpenAILike:
    """A backend on the stub server."""
    options = {
        "is_chat_model": True,
        "is_function_calling_model": True,
        "context_window": 100_000,
        "max_retries": 0,
        "timeout": 5.0,
        **arguments,
    }
    return OpenAILike(model=model, api_base=server.url, api_key=KEY, **options)


@pytest.fixture
def make_llm(router: Router, backends: dict[str, LLM]) -> MakeLLM:
    """Makes an AvengersLLM over the stub's backends."""

    def make(**arguments: Any) -> AvengersLLM:
        return AvengersLLM(**{"alpha": 0.5, "router": router, "models": backends, **arguments})

    return make


@pytest.fixture
def llm(make_llm: MakeLLM) -> AvengersLLM:
    """At alpha 0.5."""
    return make_llm()


@pytest.fixture(autouse=True)
def settings(monkeypatch: pytest.MonkeyPatch) -> _Settings:
    """The framework's global settings, as new, with an embedding that needs no network."""
    for name, value in vars(_Settings()).items():
        monkeypatch.setattr(Settings, name, value)
    Settings.embed_model = MockEmbedding(embed_dim=8)
    Settings.callback_manager = CallbackManager([])
    return Settings


def _index(text: str) -> VectorStoreIndex:
    documents = [Document(text=f"{text} Part {i}. {text}") for i in range(3)]
    return VectorStoreIndex.from_documents(documents, embed_model=MockEmbedding(embed_dim=8))


@pytest.fixture(scope="session")
def hard_documents() -> VectorStoreIndex:
    """Texts that a router that reads them would send to the expensive model."""
    return _index("To prove the theorem, integrate; the integral proves the next theorem.")


@pytest.fixture(scope="session")
def easy_documents() -> VectorStoreIndex:
    """Texts that a router that reads them would send to the cheap model."""
    return _index("Hello. The capital has a colour, and the colour of the capital says hello.")
