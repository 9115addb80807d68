"""The strict server, for the tests of both plugins."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# `--import-mode=importlib` keeps tests/ off the path; in the order in which they build on another.
for _name in (
    "strict_answers",
    "call_settings",
    "openai_chat",
    "openai_responses",
    "anthropic_messages",
    "gemini_content",
    "strict_server",
    "providers_router",
):
    if _name not in sys.modules:
        _spec = importlib.util.spec_from_file_location(
            _name, Path(__file__).with_name(f"{_name}.py")
        )
        assert _spec is not None
        assert _spec.loader is not None
        _module = importlib.util.module_from_spec(_spec)
        sys.modules[_name] = _module
        _spec.loader.exec_module(_module)

from strict_server import StrictServer  # noqa: E402


@pytest.fixture(scope="session")
def _strict() -> Iterator[StrictServer]:
    with StrictServer() as running:
        yield running


@pytest.fixture
def strict(_strict: StrictServer) -> Iterator[StrictServer]:
    """The strict server, with no refusals in its memory."""
    _strict.reset()
    yield _strict
    _strict.reset()
