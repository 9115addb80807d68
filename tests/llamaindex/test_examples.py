"""The examples run, with and without a key, and say which of the two it is."""

from __future__ import annotations

import runpy
from pathlib import Path

import pytest
from notebooks import shown_by
from stub_server import StubServer

EXAMPLES = Path(__file__).parents[2] / "examples"


def test_script_without_a_key(capsys: pytest.CaptureFixture[str]) -> None:
    runpy.run_path(str(EXAMPLES / "llamaindex_rag.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "No key in the environment: stand-ins answer, the routing is real."
    assert [line.split()[0] for line in lines[3:]] == ["0.1"] * 3 + ["0.8"] * 4
    assert all("an answer by" in line and "$" in line for line in lines[3:])


def test_script_with_a_key(
    server: StubServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    monkeypatch.setenv("AVENGERS_API_KEY", "sk-any")
    runpy.run_path(str(EXAMPLES / "llamaindex_rag.py"), run_name="__main__")
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "Real models answer, through the endpoint in the environment."
    for line, model in zip(lines[3:], server.answered_by, strict=True):
        assert model in line


async def test_notebook() -> None:
    first, *others = await shown_by(EXAMPLES / "avengers_llamaindex.ipynb")
    assert first.startswith("No key: stand-ins answer")
    assert any("(an answer by " in shown for shown in others)
