"""The code and commands of the README and of the page on evaluation, run as a newcomer would."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from avengers_core import fit, load_records
from avengers_core.cli import main

ROOT = Path(__file__).parents[1]
SAMPLE = ROOT / "examples" / "data" / "sample.jsonl"


def blocks(heading, language, page="README.md"):
    """The code blocks of one section."""
    text = (ROOT / page).read_text(encoding="utf-8")
    section = re.split(rf"^#+ {heading}$", text, flags=re.MULTILINE)[1]
    section = re.split(r"^## ", section, flags=re.MULTILINE)[0]
    return re.findall(rf"```{language}\n(.*?)```", section, flags=re.DOTALL)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    shutil.copy(SAMPLE, tmp_path / "records.jsonl")
    (tmp_path / "questions.txt").write_text("What is 7 times 8?\nWrite a poem.\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run_all(commands):
    """Run commands, each of which must succeed."""
    for command in commands:
        program, *arguments = shlex.split(command, comments=True)
        assert program == "avengers"
        result = CliRunner().invoke(main, arguments)
        assert result.exit_code == 0, f"{command}\n{result.output}"


def test_route(folder, capsys):
    names = {"my_queries": ["What is 7 times 8?", "Prove that the square root of 2 is irrational."]}
    first, targets = blocks("Route", "python")
    exec(first, names)
    shown = re.search(r"decision.model +# '(.*)'", first)
    assert shown
    assert names["decision"].model == shown[1]
    assert names["decision"].model in capsys.readouterr().out
    for line in targets.splitlines():
        exec(line, names)


def test_fit_and_grow(folder):
    fitting, growing = blocks("Fit your own", "python")[:2]
    names = {}
    exec(fitting, names)
    assert (folder / "artifact" / "artifact.json").exists()
    assert "<svg" in (folder / "report.html").read_text(encoding="utf-8")
    records = load_records(SAMPLE)
    (old, *_) = records.models
    fresh = [{"query": r.query, "records": {"new/model": 1.0}} for r in records[:200]]
    names |= {
        "new_records": records[:20],
        "few_hundred_records": load_records(fresh),
        "of_another_day": fit(records[:50], centroids=names["artifact"]),
    }
    for line in growing.replace("old/model", old).splitlines():
        exec(line, names)


def test_commands(folder):
    commands = "".join(blocks("Fit your own", "console")[:1]).splitlines()
    assert len(commands) == 5
    run_all(commands)
    assert (folder / "results.json").exists()


def test_evaluation(folder):
    page = "docs/evaluation.md"
    data = folder / "examples" / "data"
    data.mkdir(parents=True)
    shutil.copy(SAMPLE, data)
    run_all("".join(blocks("Evaluate", "console", page)).splitlines())
    study = blocks("Studies: one setting varied", "console", page)[0].splitlines()[0]
    run_all([f"{study} --repetitions 1 --jobs 1"])
    names = {"__name__": "__main__"}
    for block in blocks("In Python", "python", page):
        exec(block, names)
    assert [line["value"] for line in names["summary"]] == [1, 3]
    for written in ("results.json", "sweep.png", "report.md", "tradeoff.png", "top-k.png"):
        assert (folder / written).exists()
