"""evaluate and sweep."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path

import click
import pytest
from printed import words

from avengers_core import (
    Router,
    RouterArtifact,
    evaluate,
    fit,
    load_records,
    split_records,
)
from avengers_core.cli.studying import _mean_and_spread


def results(path):
    return json.loads(Path(path).read_text(), parse_constant=pytest.fail)


def test_one_command_does_what_the_library_does(run, records):
    options = (
        "--output results.json --report report.md --clusters 3 --train_ratio 0.6 --seed 7 "
        "--excluded_models odd --export_cluster exported --embedder tfidf"
    )
    result = run("evaluate", "--input", records, *options.split())
    assert {"PerfGain", "report.md"} <= words(result.stdout)
    assert {"1", f"{records}:81"} <= words(result.stderr)
    loaded = load_records(records)
    split = split_records(loaded, 0.6, 7, excluded_models=["odd"])
    expected = evaluate(Router(fit(split.train, "tfidf", 3, 7)), split.test)
    found = results("results.json")
    assert found.pop("setup")["fit_options"]["seed"] == 7
    assert found == {k: v for k, v in expected.to_dict().items() if k != "setup"}
    assert results("results.json")["n_queries"] == 32
    written = Path("report.md").read_text()
    assert written.split("## Setup")[0] == expected.to_markdown().split("## Setup")[0]
    assert "fit source | records.jsonl" in written
    assert RouterArtifact.load("exported").models == ("good", "cheap")


def test_the_published_weights_and_scorer(run, records):
    options = (
        "--performance_weight 0.4 --cost_sensitivity 0.6 --scorer reference --top_k 2 --beta 4"
    )
    run(
        *("evaluate", "-i", records, "-o", "r.json", "--embedder", "tfidf", "--clusters", 3),
        *options.split(),
        *("--min_accuracy", 0, "--max_router", 1),
    )
    content = results("r.json")
    assert content["scorer"] == "reference"
    assert [row["alpha"] for row in content["rows"] if row["kind"] == "router"] == [0.4]


@pytest.mark.parametrize(("mode", "trained"), [("soft", ("greek", "other")), ("hard", ("greek",))])
def test_excluded_datasets(run, records, mode, trained):
    run(
        *("evaluate", "-i", records, "-o", "r.json", "--embedder", "tfidf", "--clusters", 3),
        *("--excluded_datasets", "other", "--dataset_exclusion_mode", mode),
        *("--export-cluster", "exported"),
    )
    assert {name for row in results("r.json")["rows"] for name in row["accuracy"]} == {"greek"}
    assert RouterArtifact.load("exported").datasets == trained


def test_an_artifact_is_evaluated_on_all_records(run, records, artifact):
    found = run("evaluate", "--input", records, "--artifact", artifact, "--average", "query")
    assert "80" in words(found.stdout)
    streamed = run("evaluate", "-i", records, "-a", artifact, "--engine", "serial")
    assert "80" in words(streamed.stdout)


def test_the_artifact_of_the_environment_does_not_stand_in_for_fitting(
    run, records, artifact, monkeypatch
):
    monkeypatch.setenv("AVENGERS_ARTIFACT", artifact)
    found = run("evaluate", "--input", records, "--embedder", "tfidf", "--clusters", 3)
    assert "24" in words(found.stdout)


def test_records_without_costs_give_json_without_nan(run, tmp_path, make_records):
    rows = [{**r, "usages": {}} for r in make_records(60)]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = run("evaluate", "-i", "r.jsonl", "-o", "r.json", "--embedder", "tfidf")
    assert "nan" not in found.stdout
    assert results("r.json")["metrics"]["aiq"] is None


@pytest.mark.usefixtures("undrawn")
def test_page_and_pictures(run, records, artifact, monkeypatch):
    """All of them are there before anything is printed, whose reader may stop at any line."""
    echo, there = click.echo, []

    def printed(*arguments, **options):
        if not options.get("err"):
            there.append([Path("r.html"), *Path("pictures").iterdir()])
        echo(*arguments, **options)

    monkeypatch.setattr(click, "echo", printed)
    found = run(
        *("evaluate", "-i", records, "-a", artifact, "-o", "r.json"),
        *("--report", "r.html", "--pictures", "pictures"),
    )
    page, *written = there[0]
    assert page.read_text(encoding="utf-8").count("<svg") == 3
    assert Path("r.json").exists()
    assert len(written) == 8
    for path in written:
        assert str(path) in found.stdout


@pytest.mark.parametrize("limit", [("--budget_limit", 0), ("--min_accuracy", 1)])
def test_limits_that_leave_nobody_are_relaxed_and_counted(run, records, artifact, limit):
    found = run("evaluate", "-i", records, "-a", artifact, "-o", "r.json", *limit)
    relaxed = results("r.json")["relaxed"]
    assert str(relaxed) in words(found.stderr)
    assert 0 < relaxed <= 80
    streamed = run("evaluate", "-i", records, "-a", artifact, "--engine", "serial", *limit)
    assert "80" in words(streamed.stdout)
    assert str(relaxed) in words(streamed.stderr)


def test_no_model_at_all_is_an_error(run, records, artifact):
    failed = run("evaluate", "-i", records, "-a", artifact, "--models", "nobody", code=1)
    assert "nobody" in failed.stderr


def test_max_router_counts_several_answers(run, records, artifact):
    for engine in ("memory", "serial"):
        run(
            *("evaluate", "-i", records, "-a", artifact, "-o", "r.json", "--engine", engine),
            *("--max_router", 2),
        )
        names = [row["name"] for row in results("r.json")["rows"] if row["kind"] == "team"]
        assert len(names) == 6
        assert names[0] == "best of 2 (alpha 0)"


@pytest.mark.parametrize("engine", ["memory", "serial"])
def test_datasets_are_left_out_of_the_evaluation_of_an_artifact_too(run, records, artifact, engine):
    command = ("evaluate", "-i", records, "-a", artifact, "-o", "r.json", "--engine", engine)
    run(*command, "--excluded_datasets", "other")
    assert {name for row in results("r.json")["rows"] for name in row["accuracy"]} == {"greek"}
    failed = run(*command, "--excluded_datasets", "typo", code=1)
    assert {"typo", "greek", "other"} <= words(failed.stderr)


@pytest.mark.parametrize("option", [("-o", "no/r.json"), ("--report", "no/r.md")])
def test_a_folder_that_is_not_there_is_found_before_the_work(run, records, option):
    assert "no" in words(run("evaluate", "-i", records, *option, code=1).stderr)


@pytest.mark.usefixtures("undrawn")
def test_sweep_writes_tidy_rows(run, records):
    found = run(
        *("sweep", "-i", records, "--study", "clusters", "--values", "2,3", "--repetitions", 2),
        *("--jobs", 1, "--embedder", "tfidf", "-o", "sweep.csv", "--picture", "sweep.png"),
    )
    with Path("sweep.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted((r["n_clusters"], r["seed"]) for r in rows) == [
        ("2", "0"),
        ("2", "1"),
        ("3", "0"),
        ("3", "1"),
    ]
    assert {"2", "3", "AIQ"} <= words(found.stdout)
    assert Path("sweep.png").read_bytes().startswith(b"\x89PNG")


def test_sweep_says_where_a_saving_was_not_reached(run, records):
    once = ("sweep", "-i", records, "--embedder", "tfidf", "--jobs", 1, "--repetitions", 1)
    assert "nan" not in run(*once, "--study", "leave-one-out").stdout
    assert "± " not in run(*once, "--values", 2).stdout


@pytest.mark.parametrize(
    ("option", "code", "named"),
    [
        (("--picture", "sweep.pdf"), 2, ".png .svg sweep.pdf"),
        (("-o", "no/sweep.csv"), 1, "no"),
        (("--values", "many"), 1, "'clusters' 'many'"),
        (("--study", "alpha"), 2, "evaluate"),
        (("--study", "top-k", "--scorer", "calibrated"), 2, "reference paper"),
        (("--models", "nobody"), 1, "'nobody'"),
        (("--exclude", "good,cheap,odd"), 1, "cheap good odd 80"),
    ],
)
def test_sweep_finds_mistakes_before_the_work(run, records, option, code, named):
    error = run("sweep", "-i", records, *option, code=code).stderr
    for name in named.split():
        assert name in error


def test_sweep_over_some_of_the_records_within_limits(run, records):
    once = ("sweep", "-i", records, "--values", 2, "--jobs", 1, "--repetitions", 1)
    some = ("--models", "good,cheap,odd", "--exclude", "odd", "--excluded-datasets", "other")
    found = run(*once, *some, "--max-cost", 1, "--cache", "c.sqlite", "-o", "sweep.csv")
    assert {"40", "1", "calibrated"} <= words(found.stdout)
    assert Path("c.sqlite").exists()
    with Path("sweep.csv").open(newline="") as file:
        (row,) = csv.DictReader(file)
    assert (row["max_cost"], row["n_test"]) == ("1.0", "12")


def test_sweep_says_which_scorer_it_takes(run, records):
    once = ("sweep", "-i", records, "--embedder", "tfidf", "--jobs", 1, "--repetitions", 1)
    assert "reference" in words(run(*once, "--study", "top-k", "--values", 2).stdout)


@pytest.mark.parametrize(
    "options", [("--exclude", "good,cheap,odd"), ("--excluded-datasets", "greek,other")]
)
def test_what_leaves_nothing_out_of_all_is_named(run, records, options):
    hard = ("--dataset-exclusion-mode", "hard") if "datasets" in options[0] else ()
    failed = run("evaluate", "-i", records, *options, *hard, code=1)
    assert {"--exclude", "--excluded-datasets", "80"} <= words(failed.stderr)
    assert "--train-ratio" not in failed.stderr


def test_no_zero_of_a_sweep_has_a_sign():
    line = {"aiq": -1e-17, "aiq_std": 0.0, "aiq_known": 2, "repetitions": 2}
    assert not _mean_and_spread(line, "aiq").startswith("-")
    assert _mean_and_spread({**line, "aiq": -0.5}, "aiq").startswith("-0.5")


@pytest.mark.parametrize("ratio", [0.001, 0.7])
def test_a_split_that_leaves_nothing_to_fit_on_says_so(run, tmp_path, make_records, ratio):
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, make_records(2))))
    failed = run("evaluate", "-i", "r.jsonl", "--train-ratio", ratio, code=1)
    assert {"--train-ratio", str(ratio), "2"} <= words(failed.stderr)


@pytest.mark.parametrize(
    "arguments",
    [
        ("evaluate", "--input", "records.jsonl", "--output", "records.jsonl"),
        ("evaluate", "--input", "records.jsonl", "--output", "link.json"),
        ("evaluate", "--input", "*.jsonl", "--report", "records.md"),
        ("sweep", "--input", "records.jsonl", "--study", "clusters", "--output", "records.jsonl"),
    ],
)
def test_an_output_that_is_an_input_is_refused(run, records, arguments):
    Path("link.json").symlink_to(records)
    os.link(records, "records.md")
    before = records.read_bytes()
    printed = run(*arguments, code=1).output
    assert arguments[-1] in printed
    assert records.read_bytes() == before
