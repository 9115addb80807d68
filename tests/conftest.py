"""Fixtures that the tests of both plugins share: a server, and a router whose picks are plain."""

from __future__ import annotations

import functools
import os
import ssl
import sys
from collections.abc import Iterator
from pathlib import Path

# Tests run in parallel: threads of k-means beside them would only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest

# Machines that run tests are busy: how long an example takes says nothing. Each run has other
# examples; `make fuzz` is for many at once.
hypothesis.settings.register_profile("unhurried", deadline=None, max_examples=25)
hypothesis.settings.load_profile("unhurried")

# `--import-mode=importlib` keeps tests/ off the path, and the tests share these modules.
sys.path.insert(0, str(Path(__file__).with_name("helpers")))

from keyword_router import keyword_router  # noqa: E402
from stub_server import StubServer  # noqa: E402

from avengers_core import Router  # noqa: E402


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("early") is None)


@pytest.fixture(scope="session", autouse=True)
def _one_tls_context() -> Iterator[None]:
    """Tests make clients by the thousand, and reading all certificates is most of the work of one.

    Nothing here speaks TLS.
    """
    with pytest.MonkeyPatch.context() as patch:
        made = functools.cache(ssl.create_default_context)
        patch.setattr(ssl, "create_default_context", made)
        yield


@pytest.fixture(scope="session")
def router() -> Router:
    """Sends easy questions to ``test/easy``, hard ones to ``test/hard``; then ``test/spare``."""
    return keyword_router()


@pytest.fixture(scope="session")
def _server() -> Iterator[StubServer]:
    with StubServer() as running:
        yield running


@pytest.fixture
def server(_server: StubServer) -> Iterator[StubServer]:
    """The stub server, with nothing in its memory."""
    _server.reset()
    yield _server
    _server.reset()


@pytest.fixture(autouse=True)
def _no_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on what the developer's environment holds."""
    for name in (
        "AVENGERS_ARTIFACT",
        "AVENGERS_BASE_URL",
        "AVENGERS_API_KEY",
        "OPENROUTER_API_KEY",
        "OPENAI_API_KEY",
        "OPENAI_BASE_URL",
    ):
        monkeypatch.delenv(name, raising=False)
