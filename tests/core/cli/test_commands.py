"""The command line: what it prints, what it returns, and how it fails."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from avengers_core import RouterArtifact
from avengers_core.cli import main


@pytest.fixture
def run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def call(*arguments, code=0, text=None):
        result = CliRunner().invoke(main, [str(a) for a in arguments], input=text)
        assert result.exit_code == code, result.output
        if result.exception is not None:
            assert isinstance(result.exception, SystemExit), result.exception
        return result

    return call


@pytest.fixture
def records(tmp_path, make_records):
    path = tmp_path / "records.jsonl"
    path.write_text("\n".join(map(json.dumps, make_records(80))) + "\nbroken\n")
    return path


@pytest.fixture
def artifact(run, records):
    run("fit", records, "-o", "artifact", "--clusters", 4, "--embedder", "tfidf")
    return "artifact"


COMMANDS = sorted(main.commands)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_teaches(run, command):
    text = run(command, "--help").stdout
    assert "Usage: " in text
    assert len(text) > 300


def test_there_is_a_version_and_a_list_of_commands(run):
    assert run("--version").stdout.startswith("avengers, version ")
    listed = run("--help").stdout
    assert all(f"  {command}" in listed for command in COMMANDS)


def test_fit_counts_and_shows_bad_lines(run, records):
    result = run("fit", records, "--output", "out", "--n_clusters", 3, "--seed", 1)
    assert "80 records, 3 models" in result.stdout
    assert "1 lines rejected" in result.stderr
    assert "line 81: " in result.stderr
    assert RouterArtifact.load("out").info.source == "records.jsonl"
    failed = run("fit", records, "-o", "x", "--strict", code=1)
    assert "line 81" in failed.stderr


def test_fit_leaves_out_what_it_is_told_to(run, records):
    run(
        "fit",
        records,
        "-o",
        "out",
        "--excluded_models",
        "odd,cheap",
        "--excluded-datasets",
        "greek",
    )
    artifact = RouterArtifact.load("out")
    assert artifact.models == ("good",)
    assert artifact.datasets == ("other",)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["fit", "nowhere.jsonl", "-o", "x"], 1, "nowhere.jsonl"),
        (["fit", "records.jsonl"], 2, "Missing option '--output'"),
        (["fit", "records.jsonl", "-o", "x", "--clusters", "0"], 2, "is not in the range x>=1"),
        (["fit", "records.jsonl", "-o", "records.jsonl"], 1, "is a file"),
        (["route", "q", "-a", "nowhere"], 1, "nowhere is not an artifact folder"),
        (["route", "q", "--alpha", "2"], 2, "is not in the range 0<=x<=1"),
        (["route", "q", "--models", "nobody"], 1, "the artifact has no model ['nobody']"),
        (["route", "q", "--max-cost", "0"], 1, "no model is eligible"),
        (["route", "two", "words"], 2, "one QUERY, please, in quotation marks; got 2"),
        (["route", "q", "--engine", "serial"], 2, "go with --output"),
        (["route", "q", "-f", "-"], 2, "not both"),
        (["route", "--output", "x"], 2, "give the files as arguments"),
        (["inspect", "records.jsonl"], 1, "not an artifact folder"),
        (["calibrate"], 2, "exactly one of"),
        (["calibrate", "--cost", "0"], 1, "no alpha has a mean cost"),
        (["merge", "nowhere", "-o", "x"], 1, "not an artifact folder"),
        (["import", "nowhere", "-o", "x"], 1, "there is no file or folder"),
        (["evaluate", "--input", "nowhere"], 2, "does not exist"),
        (["evaluate", "--input", "records.jsonl", "--engine", "ray"], 2, "needs --artifact"),
        (["assemble"], 2, "No such command"),
    ],
)
def test_what_goes_wrong_is_one_line_and_an_exit_code(run, records, arguments, code, message):
    result = run(*arguments, code=code)
    assert message in result.stderr
    assert "Traceback" not in result.output


def test_route_one_query(run, artifact):
    line = run("route", "alpha beta", "-a", artifact, "--alpha", 0.3).stdout
    assert line.count("\n") == 1
    assert "alpha 0.3" in line
    explained = run("route", "alpha beta", "-a", artifact, "--explain").stdout
    assert "utility" in explained
    decision = json.loads(run("route", "alpha", "-a", artifact, "--json", "-n", 2).stdout)
    assert decision["query"] == "alpha"
    assert len(decision["models"]) == 2


def test_route_lines_of_a_file_or_of_standard_input(run, artifact, tmp_path):
    text = 'alpha\n{"query": "zeta delta"}\n\n'
    (tmp_path / "q.txt").write_text(text)
    from_file = run("route", "-a", artifact, "-f", "q.txt", "--json").stdout
    piped = run("route", "-a", artifact, "--json", text=text).stdout
    assert from_file == piped
    assert [json.loads(line)["query"] for line in piped.splitlines()] == ["alpha", "zeta delta"]


def test_the_published_names_of_the_options_work(run, artifact):
    arguments = "--performance_weight 0.4 --cost_sensitivity 0.6 --max_router 2 --top_k 2"
    arguments += " --beta 5 --scorer reference --min_accuracy 0.01 --budget_limit 1"
    decision = run("route", "alpha", "-a", artifact, "--json", *arguments.split()).stdout
    assert json.loads(decision)["alpha"] == 0.4
    assert json.loads(decision)["scorer"] == "reference"


def test_the_artifact_of_the_environment(run, artifact, monkeypatch):
    monkeypatch.setenv("AVENGERS_ARTIFACT", artifact)
    assert json.loads(run("route", "alpha", "--json").stdout)["model"] in ("good", "cheap", "odd")


def test_inspect(run, artifact):
    text = run("inspect", artifact).stdout
    assert "80 records, 3 models, 2 datasets" in text
    assert "greek" in text
    content = json.loads(run("inspect", artifact, "--json").stdout)
    assert sum(c["size"] for c in content["clusters"]) == 80


def test_update_merge_and_add_a_model(run, artifact, tmp_path, make_records):
    more = tmp_path / "more.jsonl"
    more.write_text("\n".join(map(json.dumps, make_records(30, seed=5))))
    run("update", artifact, more, "-o", "updated")
    assert RouterArtifact.load("updated").n_records == 110
    run("merge", artifact, artifact, "-o", "twice")
    assert RouterArtifact.load("twice").n_records == 160
    rows = make_records(30, seed=6, models=("new",))
    more.write_text("\n".join(map(json.dumps, rows)))
    run("update", artifact, more, "--model", "new")
    assert RouterArtifact.load(artifact).models[-1] == "new"


def test_calibrate(run, artifact):
    text = run("calibrate", "-a", artifact, "--saving", 0.05).stdout
    assert text.startswith("alpha ")
    target = json.loads(run("calibrate", "-a", artifact, "--score", 0.1, "--json").stdout)
    assert set(target) == {"alpha", "score", "cost"}


def test_evaluate_in_one_command(run, records):
    arguments = (
        "--output results.json --report report.md --clusters 3 --train_ratio 0.6 --seed 7 "
        "--excluded_models odd --export_cluster exported --embedder tfidf"
    )
    text = run("evaluate", "--input", records, *arguments.split()).stdout
    assert "PerfGain" in text
    results = json.loads(Path("results.json").read_text())
    assert results["n_queries"] == 32
    assert "best single" in Path("report.md").read_text()
    assert RouterArtifact.load("exported").models == ("good", "cheap")
    again = run("evaluate", "--input", records, "--artifact", "exported", "--average", "query")
    assert "80 held-out queries" in again.stdout


def test_engines(run, records, artifact):
    run("fit", records, "-o", "streamed", "--clusters", 4, "--engine", "serial")
    assert RouterArtifact.load("streamed").n_records == 80
    done = run("route", "records.jsonl", "-a", artifact, "-o", "out", "--engine", "serial")
    assert "81 decisions in 1 files" in done.stdout
    again = run("route", "records.jsonl", "-a", artifact, "-o", "out", "--engine", "serial")
    assert "1 of them there already" in again.stdout
    text = run("evaluate", "-i", records, "-a", artifact, "--engine", "serial").stdout
    assert "80 held-out queries" in text


def test_sweep_writes_tidy_rows(run, records):
    run(
        *("sweep", "-i", records, "--study", "clusters", "--values", "2,3", "--repetitions", 2),
        *("--jobs", 1, "-o", "sweep.csv"),
    )
    lines = Path("sweep.csv").read_text().splitlines()
    assert len(lines) == 1 + 4


def test_import_of_a_benchmark(run, tmp_path):
    (tmp_path / "mmlu.csv").write_text("prompt,a,b\nq one,True,False\nq two,maybe,True\n")
    result = run("import", "mmlu.csv", "-o", "out.jsonl")
    assert "1 queries, 2 models" in result.stdout
    assert "1 lines rejected" in result.stderr
    assert json.loads(Path("out.jsonl").read_text())["records"] == {"a": 1, "b": 0}


def test_a_reader_that_stops_early_is_no_error(artifact, tmp_path):
    (tmp_path / "many.txt").write_text("alpha beta\n" * 20_000)
    command = f"{sys.executable} -m avengers_core.cli route -a {artifact} -f many.txt | head -1"
    done = subprocess.run(
        command, shell=True, cwd=tmp_path, capture_output=True, text=True, check=True
    )
    assert done.stdout.count("\n") == 1
    assert "Traceback" not in done.stderr
