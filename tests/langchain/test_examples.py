"""The examples run without a key, and with one unchanged."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbclient
import nbformat
import pytest
from stub_server import StubServer

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = ["langchain_drop_in.py", "langchain_rag.py", "langchain_agent.py"]


def run(script: str, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, str(EXAMPLES / script)],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, **environment},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.mark.parametrize("script", SCRIPTS)
def test_without_a_key(script: str) -> None:
    output = run(script)
    assert output.splitlines()[0].startswith("No key in the environment: stand-ins answer")
    last = output.splitlines()[-1]
    assert "expected score" in last
    assert "cost $" in last


def test_with_a_key(server: StubServer) -> None:
    def on_stub(script: str) -> str:
        return run(script, AVENGERS_BASE_URL=server.url, AVENGERS_API_KEY="k")

    with ThreadPoolExecutor() as pool:
        outputs = list(pool.map(on_stub, SCRIPTS))
    for output in outputs:
        assert output.splitlines()[0].startswith("Answers come from the endpoint")
        assert "expected score" in output.splitlines()[-1]
    assert len(server.answered_by) == 6 + 2 + 4


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
