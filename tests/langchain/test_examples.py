"""The examples run without a key, and with one unchanged."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from notebooks import shown_by
from stub_server import StubServer

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = ["langchain_drop_in.py", "langchain_rag.py", "langchain_agent.py"]


@pytest.fixture(autouse=True)
def _beside_their_stand_ins(monkeypatch: pytest.MonkeyPatch) -> None:
    """As for a script that is started: the folder that it lies in comes first."""
    monkeypatch.syspath_prepend(EXAMPLES)


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_a_key(script: str, capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("No key in the environment: stand-ins answer")
    assert "expected score" in last
    assert "cost $" in last


@pytest.mark.parametrize(("script", "calls"), list(zip(SCRIPTS, [6, 2, 4], strict=True)))
def test_with_a_key(
    script: str,
    calls: int,
    server: StubServer,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    monkeypatch.setenv("AVENGERS_API_KEY", "k")
    runpy.run_path(str(EXAMPLES / script), run_name="__main__")
    first, *_, last = capsys.readouterr().out.splitlines()
    assert first.startswith("Answers come from the endpoint")
    assert "expected score" in last
    assert len(server.answered_by) == calls


def test_a_conversation_crosses_all_three_providers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    runpy.run_path(str(EXAMPLES / "langchain_providers.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    writers = [line.strip().partition(":")[0] for line in lines if "[stand-in]" in line]
    assert [writer.partition("/")[0] for writer in writers] == [
        "openai",
        "anthropic",
        "google",
        "anthropic",
    ]
    assert "1 thoughts of mine" in lines[-1]


async def test_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(EXAMPLES)
    shown = await shown_by(EXAMPLES / "avengers_langchain.ipynb")
    assert all(shown)
    assert "expected score" in shown[0]


async def test_own_router_notebook() -> None:
    *_, last = await shown_by(EXAMPLES / "own_router.ipynb")
    assert "12 + 30? [stand-in for cheap]" in last
    assert "12 times 30? [stand-in for careful]" in last
