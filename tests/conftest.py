"""Fixtures that the tests of both plugins share: a server, and a router whose picks are plain."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import ssl
import sys
import tempfile
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

# Tests run in parallel: threads of k-means beside them would only get in each other's way.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import hypothesis
import pytest

# Machines that run tests are busy: how long an example takes says nothing. Each run has other
# examples; `make fuzz` is for many at once.
hypothesis.settings.register_profile("unhurried", deadline=None, max_examples=16)
hypothesis.settings.load_profile("unhurried")

# Tests make and drop thousands of files, for which a disk may take longer than what they test.
_MEMORY = Path("/dev/shm")
if "TMPDIR" not in os.environ and _MEMORY.is_dir() and shutil.disk_usage(_MEMORY).free > 4e9:
    tempfile.tempdir = os.environ["TMPDIR"] = str(_MEMORY)

# Thousands of modules are imported and none is dropped: until all tests are collected, there is
# nothing to look for.
gc.disable()

# `--import-mode=importlib` keeps tests/ off the path, and the tests share these modules. They are
# imported where they are used: the process that hands out the tests to others uses none.
sys.path.insert(0, str(Path(__file__).with_name("helpers")))

if TYPE_CHECKING:
    from stub_server import StubServer

    from avengers_core import Router


def pytest_collection_finish() -> None:
    """What is imported stays: later collections need not look through it, nor come so often."""
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)
    gc.enable()


def pytest_sessionfinish() -> None:
    """What was left is looked for once: pytest would do so five times."""
    gc.collect()
    gc.freeze()


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


@pytest.fixture(scope="session", autouse=True)
def _hints_found_once() -> Iterator[None]:
    """For each block of each message, LangChain finds out anew which types of blocks it knows."""
    content = sys.modules.get("langchain_core.messages.content")
    with pytest.MonkeyPatch.context() as patch:
        if content is not None:
            once = functools.cache(typing.get_type_hints)
            patch.setattr(content, "get_type_hints", once, raising=False)
        yield


@pytest.fixture(scope="session")
def router() -> Router:
    """Sends easy questions to ``test/easy``, hard ones to ``test/hard``; then ``test/spare``."""
    from keyword_router import keyword_router

    return keyword_router()


@pytest.fixture(scope="session")
def _server() -> Iterator[StubServer]:
    from stub_server import StubServer

    with StubServer() as running:
        yield running


@pytest.fixture
def server(_server: StubServer) -> Iterator[StubServer]:
    """The stub server, with nothing in its memory."""
    _server.reset()
    yield _server
    _server.reset()


@pytest.fixture
def unlaid(monkeypatch: pytest.MonkeyPatch) -> None:
    """The parts of pictures lie where they fall: finding room for each takes as long as drawing."""
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    monkeypatch.setattr(ConstrainedLayoutEngine, "execute", lambda *_: None)


@pytest.fixture
def undrawn(unlaid: None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are files with nothing on them, where it is seen elsewhere what is."""
    from matplotlib.figure import Figure

    monkeypatch.setattr(Figure, "draw", lambda *_: None)


@pytest.fixture
def exported(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Any, Any]]:
    """Spans and metrics that OpenTelemetry's SDK exports; the process's own providers stay."""
    from opentelemetry import metrics, trace
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.metrics.export import InMemoryMetricReader
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor
    from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

    from avengers_core.serving.watching import telemetry

    spans, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracing, counting = TracerProvider(), MeterProvider([reader])
    tracing.add_span_processor(SimpleSpanProcessor(spans))
    monkeypatch.setattr(trace, "get_tracer_provider", lambda: tracing)
    monkeypatch.setattr(metrics, "get_meter_provider", lambda: counting)
    telemetry._telemetry.cache_clear()
    yield spans, reader
    telemetry._telemetry.cache_clear()
    tracing.shutdown()
    counting.shutdown()


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
