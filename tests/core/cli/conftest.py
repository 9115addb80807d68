"""Runs the command line inside a folder of its own, on made-up records."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from avengers_core import fit
from avengers_core.cli import main


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Call a command; checks the exit code, and that no exception but a clean exit came out."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: Any, code: int = 0, text: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(main, [str(a) for a in arguments], input=text)
        assert result.exit_code == code, result.output
        if result.exception is not None:
            assert isinstance(result.exception, SystemExit), result.exception
        return result

    return call


@pytest.fixture(scope="session")
def _lines(make_records: Callable[..., list[dict[str, Any]]]) -> str:
    return "\n".join(map(json.dumps, make_records(80))) + "\nbroken\n"


@pytest.fixture
def records(tmp_path: Path, _lines: str) -> Path:
    """Eighty good lines and a bad one."""
    path = tmp_path / "records.jsonl"
    path.write_text(_lines)
    return path


@pytest.fixture(scope="session")
def saved_artifact(
    tmp_path_factory: pytest.TempPathFactory, make_records: Callable[..., list[dict[str, Any]]]
) -> Path:
    """An artifact of eighty records; not to be written to."""
    path = tmp_path_factory.mktemp("artifact") / "artifact"
    fit(make_records(80), "tfidf", 4, source="records.jsonl").save(path)
    return path


@pytest.fixture
def artifact(saved_artifact: Path, tmp_path: Path) -> str:
    """A copy of it in the folder that the commands run in."""
    folder = tmp_path / "artifact"
    folder.mkdir()
    for file in saved_artifact.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    return "artifact"
