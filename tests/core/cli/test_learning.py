"""feedback, learn and watch."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from click.testing import CliRunner
from printed import words

from avengers_core import RouterArtifact, fit
from avengers_core.calls import Call, read_log
from avengers_core.calls.store import open_log, write
from avengers_core.cli import main

TOPICS = ("sum of two numbers", "poem about the sea")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An artifact, and the log of a model that fails at sums in the second half."""
    folder = tmp_path_factory.mktemp("learning")
    rows = [
        {
            "query": f"{TOPICS[i % 2]} {i}",
            "records": {"a": 1 if i % 20 else 0, "b": i % 4 < 2},
            "dataset": ("sums", "poems")[i % 2],
        }
        for i in range(120)
    ]
    fit(rows, "tfidf", n_clusters=2, refine=False).save(folder / "artifact")
    with closing(sqlite3.connect(folder / "calls.sqlite")) as log, log:
        log.execute(
            "CREATE TABLE calls (id TEXT PRIMARY KEY, time REAL, question TEXT, embedder TEXT, "
            "vector BLOB, features BLOB, decision TEXT, propensity REAL, answered_by TEXT, "
            "prompt_tokens INTEGER, completion_tokens INTEGER, cost REAL)"
        )
        log.execute("CREATE TABLE feedback (id TEXT, score REAL, time REAL, source TEXT)")
        for i in range(400):
            time, failed = 1.9e9 + 3600.0 * i, i >= 200 and i % 2 == 0
            row = (str(i), time, f"{TOPICS[i % 2]} {i}", json.dumps({"alpha": 1.0}), "a")
            log.execute(
                "INSERT INTO calls (id, time, question, decision, answered_by) "
                "VALUES (?, ?, ?, ?, ?)",
                row,
            )
            log.execute("INSERT INTO feedback VALUES (?, ?, ?, 'test')", (str(i), not failed, time))
    return folder


def run(*arguments: object) -> str:
    result = CliRunner().invoke(main, [str(a) for a in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.usefixtures("undrawn")
def test_watch_finds_the_change_and_draws_it(folder: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    found = run("watch", folder / "calls.sqlite", "-a", folder / "artifact", "--html", page)
    assert {"a", "sums"} <= words(found)
    assert "<svg" in page.read_text()


def test_learn_follows_it_once(folder: Path, tmp_path: Path) -> None:
    new = tmp_path / "artifact"
    command = ("learn", folder / "calls.sqlite", "-o", new, "--half-life", "4d")
    assert {"a", "b"} <= words(run(*command, "-a", folder / "artifact"))
    learnt = RouterArtifact.load(new)
    run(*command, "-a", new)
    assert RouterArtifact.load(new) == learnt


def test_a_log_is_no_output_and_an_artifact_no_log(folder: Path) -> None:
    records = folder / "artifact" / "artifact.json"
    result = CliRunner().invoke(main, ["watch", str(records)])
    assert result.exit_code == 1
    assert "log" in result.output


def test_a_grade_joins_its_call(tmp_path: Path) -> None:
    path = tmp_path / "calls.sqlite"
    given = {"id": "a", "time": 1.0, "question": "why?", "answered_by": "m", "propensity": 1.0}
    with closing(open_log(path)) as log:
        write(log, [Call(**{**dict.fromkeys(Call._fields), **given})])  # type: ignore[arg-type]
    for arguments, code in (
        (["a", "0.25", "--source", "judge"], 0),
        (["nobody", "1"], 1),
        (["a", "2"], 1),
        (["a", "good"], 2),
    ):
        result = CliRunner().invoke(main, ["feedback", str(path), *arguments])
        assert result.exit_code == code, result.output
    assert read_log(path)[0].scores == {"m": 0.25}
