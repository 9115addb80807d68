"""The examples run without a key, and with one unchanged."""

from __future__ import annotations

import runpy
from pathlib import Path

import nbclient
import nbformat
import pytest
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


@pytest.mark.notebook
def test_notebook() -> None:
    notebook = nbformat.read(EXAMPLES / "avengers_langchain.ipynb", as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=120, resources={"metadata": {"path": str(EXAMPLES)}}
    )
    client.execute()
    outputs = [str(cell.outputs) for cell in notebook.cells if cell.cell_type == "code"]
    assert all(outputs)
    assert "expected score" in outputs[0]


@pytest.mark.notebook
def test_own_router_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    for key in ("AVENGERS_BASE_URL", "OPENROUTER_API_KEY", "OPENAI_API_KEY"):
        monkeypatch.delenv(key, raising=False)
    notebook = nbformat.read(EXAMPLES / "own_router.ipynb", as_version=4)
    nbclient.NotebookClient(notebook, timeout=120).execute()
    last = str(notebook.cells[-1].outputs)
    assert "12 + 30? [stand-in for cheap]" in last
    assert "12 times 30? [stand-in for careful]" in last
