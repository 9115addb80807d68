"""The command collect, against the stub server."""

from __future__ import annotations

import gzip
import json
import sys

import pytest
from click.testing import CliRunner
from printed import words

from avengers_core import load_records
from avengers_core.cli import main


@pytest.fixture
def questions(tmp_path):
    rows = [{"query": f"What is {i}?", "reference": f"It is {i}"} for i in range(5)]
    file = tmp_path / "questions.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return file


def run(*arguments: object, code: int = 0) -> str:
    done = CliRunner().invoke(main, ["collect", *map(str, arguments)])
    assert done.exit_code == code, done.output
    return done.output


def test_questions_become_records(questions, tmp_path, server, monkeypatch):
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    server.replies["a/right"] = lambda body: f"It is {body['messages'][-1]['content'][8:-1]}"
    server.replies["b/wrong"] = lambda body: "no idea"
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"a/right": [1e-6, 2e-6], "b/wrong": [1e-7, 1e-7]}))
    out = tmp_path / "records.jsonl"
    arguments = (questions, "--models", "a/right,b/wrong", "--grade", "exact", "-o", out)
    printed = run(*arguments, "--strategy", "full", "--prices", prices)
    assert "5" in words(printed)
    records = load_records(out)
    assert [r.scores for r in records] == [{"a/right": 1.0, "b/wrong": 0.0}] * 5
    assert all(r.usages["a/right"].cost > 0 for r in records)
    asked = len(server.requests)
    run(*arguments, "--strategy", "full", "--prices", prices)
    assert len(server.requests) == asked == 10


def test_it_says_why_it_stopped(questions, tmp_path, server, monkeypatch):
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    arguments = (questions, "--models", "m", "--grade", "exact", "-o", tmp_path / "r.jsonl")
    assert "--max-calls" in run(*arguments, "--max-calls", 3)
    assert "--max-" not in run(*arguments)


def test_a_run_without_a_score_fails(questions, tmp_path, server, monkeypatch):
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    server.fail("m", status=401)
    out = tmp_path / "r.jsonl"
    run(questions, "--models", "m", "--grade", "exact", "-o", out, code=1)
    run(questions, "--models", "m,other", "--grade", "exact", "-o", out)


def test_a_judge_grades(questions, tmp_path, server, monkeypatch):
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    server.replies["judge"] = lambda body: 'Fine.\n{"score": 0.5}'
    out = tmp_path / "records.jsonl"
    arguments = (questions, "--models", "m", "--grade", "judge:judge", "--rubric", "any", "-o")
    assert "the judge" in run(*arguments, out)
    assert {s for r in load_records(out) for s in r.scores.values()} == {0.5}
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"m": [1e-6, 1e-6], "judge": [1e-3, 1e-3]}))
    priced = run(*arguments, tmp_path / "priced.jsonl", "--prices", prices, "--max-usd", 9)
    assert "the judge" not in priced
    of_models = sum(r.usages["m"].cost for r in load_records(tmp_path / "priced.jsonl"))
    (spent,) = (float(word[1:]) for word in words(priced) if word.startswith("$"))
    assert spent > 100 * of_models
    dry = run(*arguments, out, "--prices", prices, "--dry-run")
    assert "judge" in words(dry)


def test_a_dry_run_asks_nobody(questions, server):
    printed = run(questions, "--models", "openai/gpt-5,x/unknown", "--grade", "exact", "--dry-run")
    assert "10" in words(printed)
    assert server.requests == []


def test_a_dry_run_says_what_cannot_be_graded(tmp_path):
    file = tmp_path / "q.txt"
    file.write_text("one\ntwo\n")
    assert "reference" in run(file, "--models", "m", "--grade", "exact", "--dry-run", code=1)
    assert "2 calls" in run(file, "--models", "m", "--grade", "judge:x", "--dry-run")


@pytest.mark.parametrize("grade", ["nonsense", "no_such_module:grade", "json:none.json"])
def test_a_dry_run_finds_that_there_is_no_such_grader(questions, grade):
    printed = run(questions, "--models", "m", "--grade", grade, "--dry-run", code=1)
    assert grade.rpartition(":")[2] in printed


def test_a_dry_run_makes_nothing_free_whose_price_is_unknown(questions, tmp_path):
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"a": [1e-6, 1e-6]}))
    models = ("--models", "x/unknown,y/unknown", "--grade", "exact", "--dry-run")
    assert "$" not in run(questions, *models)
    known = run(questions, "--models", "a,x/unknown", *models[2:], "--prices", prices)
    assert known.count("$") == 2


@pytest.mark.parametrize(
    ("budget", "calls"),
    [
        (("--max-calls", 4), "4"),
        (("--max-usd", 0.004), "5"),
        (("--max-usd", 0.004, "--max-calls", 3), "3"),
        (("--max-usd", 1), None),
    ],
)
def test_a_dry_run_says_how_far_a_budget_reaches(questions, tmp_path, budget, calls):
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"a": [0, 2e-6], "b": [0, 2e-6]}))
    arguments = (questions, "--models", "a,b", "--grade", "exact", "--prices", prices)
    last = run(*arguments, "--dry-run", *budget).splitlines()[-1]
    assert (calls in words(last)) if calls else not {"3", "4", "5"} & words(last)


def test_a_dry_run_knows_what_was_answered_before(questions, tmp_path, server, monkeypatch):
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    server.replies["judge"] = lambda body: '{"score": 1}'
    prices = tmp_path / "prices.json"
    prices.write_text(
        json.dumps({"a": [0, 2e-6], "b": [0, 2e-6], "judge": [0, 1], "other": [0, 1]})
    )
    out = tmp_path / "r.jsonl"
    priced = ("-o", out, "--prices", prices, "--strategy", "full")
    arguments = (questions, "--grade", "exact", *priced)
    run(*arguments, "--models", "a", "--max-calls", 3)
    journal = out.with_name("r.jsonl.journal")
    before = journal.read_bytes()

    def dry(*more):
        return words(run(*(more or arguments), "--models", "a,b,a", "--dry-run"))

    assert {"10", "3", "$0.0056"} <= dry(), "7 calls of .0008 are left of 10"
    limited = run(*arguments, "--models", "a,b", "--max-calls", 5, "--dry-run").splitlines()[-1]
    assert "2" in words(limited), "of 5 answers 3 are there"
    assert journal.read_bytes() == before
    run(*arguments, "--models", "a,b")
    assert {"10", "$0.0000"} <= dry()
    judged = (questions, *priced, "--grade", "judge:judge")
    assert "$600.0000" in dry(*judged), "the judge's 10 verdicts of 60 tokens are left"
    run(*judged, "--models", "a,b")
    assert "$600.0000" not in dry(*judged)
    assert "$600.0000" in dry(questions, *priced, "--grade", "judge:other")


def test_text_files_and_tables(tmp_path, server, monkeypatch):
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    text, table = tmp_path / "q.txt", tmp_path / "q.csv"
    text.write_text("one\n\ntwo\n")
    table.write_text("query,pattern\none,.\ntwo,.\n")
    for file, grade in ((text, "regex:."), (table, "regex")):
        out = tmp_path / f"{file.name}.records"
        run(file, "--models", "m", "--grade", grade, "-o", out)
        assert [r.query for r in load_records(out)] == ["one", "two"]


@pytest.mark.parametrize("name", ["q.txt", "q.txt.gz"])
def test_lines_of_a_text_end_where_lines_of_files_do(tmp_path, server, monkeypatch, name):
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    content = "\ufeffone\r\n\r\ntwo\u2028and\x85more\r\n".encode()
    (tmp_path / name).write_bytes(gzip.compress(content) if "gz" in name else content)
    out = tmp_path / "r.jsonl"
    run(tmp_path / name, "--models", "m", "--grade", "regex:.", "-o", out)
    assert [r.query for r in load_records(out)] == ["one", "two\u2028and\x85more"]
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9\n")
    arguments = ("--models", "m", "--grade", "regex:.", "-o", tmp_path / "other.jsonl")
    assert "latin.txt" in run(tmp_path / "latin.txt", *arguments, code=1)


def test_questions_that_break_off_are_not_asked(tmp_path, server, monkeypatch):
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    (tmp_path / "q.json").write_text('[{"query": "one"},\n {"query": "tw')
    out = tmp_path / "r.jsonl"
    said = run(tmp_path / "q.json", "--models", "m", "--grade", "regex:.", "-o", out, code=1)
    assert "line 2" in said
    assert not out.exists()


def test_a_function_of_a_file_in_the_folder_grades(questions, tmp_path, server, monkeypatch):
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("sys.path", [p for p in sys.path if p])
    (tmp_path / "graders_of_mine.py").write_text("def third(row, answer):\n    return 1 / 3\n")
    run(questions, "--models", "m", "--grade", "graders_of_mine:third", "-o", "r.jsonl")
    assert {s for r in load_records("r.jsonl") for s in r.scores.values()} == {1 / 3}


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("--models", "m", "--grade", "judge:", "-o", "out"), 2),
        (("--grade", "exact"), 2),
        (("--models", "m"), 2),
        (("--models", "m", "--grade", "exact"), 2),
        (("--models", "m", "--grade", "spelling", "-o", "out"), 1),
        (("--models", "m", "--grade", "exact", "-o", "out"), 1),  # no endpoint in the environment
    ],
)
def test_what_cannot_be_collected(questions, arguments, code, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run(questions, *arguments, code=code)


def test_the_questions_are_not_overwritten(questions, server, monkeypatch):
    monkeypatch.setenv("AVENGERS_BASE_URL", server.url)
    before = questions.read_text()
    run(questions, "--models", "m", "--grade", "exact", "-o", questions, code=1)
    assert questions.read_text() == before
