"""What goes wrong is one line on standard error and an exit code: 1 at work, 2 in usage."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import pytest

from avengers_core.cli.shared import of_system


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["fit", "nowhere.jsonl", "-o", "x"], 1, "nowhere.jsonl"),
        (["fit", "records.jsonl"], 2, "Missing option '--output'"),
        (["fit", "-o", "x"], 2, "Missing argument 'RECORDS...'"),
        (["fit", "records.jsonl", "-o", "x", "--clusters", "0"], 2, "is not in the range x>=1"),
        (["fit", "records.jsonl", "-o", "x", "--clusters", "few"], 2, "is not a valid integer"),
        (["fit", "records.jsonl", "-o", "x", "--embedder", "magic"], 1, "magic"),
        (["fit", "records.jsonl", "-o", "x", "--models", "nobody"], 1, "nobody"),
        (["fit", "empty.jsonl", "-o", "x"], 1, "there are no records"),
        (["fit", "records.jsonl", "-o", "records.jsonl"], 1, "is the input"),
        (
            ["fit", "records.jsonl", "-o", "x", "--embedder", "tfidf", "--cache", "c"],
            2,
            "--cache cannot be used with --embedder tfidf",
        ),
        (["route", "q", "-a", "nowhere"], 1, "nowhere is not an artifact folder"),
        (["route", "q", "-f", "nowhere.txt"], 2, "No such file"),
        (["route", "q", "--alpha", "2"], 2, "is not in the range 0<=x<=1"),
        (["route", "q", "--alpha", "nan"], 1, "alpha must lie in [0, 1], got nan"),
        (["route", "q", "--alpha", "much"], 2, "is not a valid float"),
        (["route", "q", "--alpha", "1", "--performance-weight", "1"], 2, "not both"),
        (["route", "q", "--performance-weight", "0", "--cost-sensitivity", "0"], 1, "both zero"),
        (["route", "q", "--performance-weight", "2"], 2, "--performance-weight alone must lie in"),
        (["evaluate", "-i", "x", "--cost-sensitivity", "3"], 2, "got 3; give both"),
        (["route", "q", "--models", "nobody"], 1, "the artifact has no model ['nobody']"),
        (["route", "q", "--max-cost", "0"], 1, "no model is eligible"),
        (["route", "q", "--max-cost", "-1"], 2, "is not in the range x>=0"),
        (["route", "q", "--scorer", "best"], 2, "is not one of"),
        (["route", "q", "--scorer", "paper", "--beta", "3"], 1, "has no option"),
        (["route", "q", "--top-k", "3"], 1, 'give --scorer "reference" or --scorer "paper"'),
        (["route", "q", "--beta", "nan"], 1, "beta must be a finite number"),
        (["route", "two", "words"], 2, "one QUERY, please, in quotation marks; got 2"),
        (["route", "q", "--engine", "serial"], 2, "--engine cannot be used without --output"),
        (["route", "q", "-f", "records.jsonl"], 2, "not both"),
        (["route", "--output", "x"], 2, "give the files as arguments"),
        (["inspect", "records.jsonl"], 1, "not an artifact folder"),
        (["calibrate"], 2, "exactly one of --cost, --score and --saving"),
        (["calibrate", "--cost", "1", "--score", "0.5"], 2, "exactly one of"),
        (["calibrate", "--saving", "1"], 2, "is not in the range 0<=x<1"),
        (["calibrate", "--cost", "0"], 1, "no alpha has a mean cost of $0 or less; the lowest is"),
        (["calibrate", "--score", "1"], 1, "no alpha has a mean score of 1 or more; the highest"),
        (["calibrate", "--cost", "1", "--max-cost", "0"], 1, "no model is eligible"),
        (["calibrate", "--cost", "1", "--max-cost", "0"], 1, "over --max-cost 0"),
        (["calibrate", "--cost", "1", "--max-cost", "0"], 1, "or pass --relax to take"),
        (["route", "q", "--max-cost", "0"], 1, "or pass --relax to take"),
        (["fit", "records.jsonl", "-o", "x", "--models", "nobody"], 1, "or pass --models with"),
        (["calibrate", "--cost", "1", "--queries", "empty.jsonl"], 1, "at least one query"),
        (["merge", "nowhere", "-o", "x"], 1, "not an artifact folder"),
        (["update", "nowhere", "records.jsonl"], 1, "not an artifact folder"),
        (["import", "nowhere", "-o", "x"], 1, "there is no file or folder"),
        (["evaluate"], 2, "Missing option '--input'"),
        (["evaluate", "--input", "nowhere"], 1, "nowhere: No such file or directory; "),
        (["evaluate", "--input", "*.csv"], 1, "no input file at"),
        (["fit", "records.parquet", "-o", "x"], 1, "records.parquet: not a readable Parquet file"),
        (
            ["evaluate", "--input", "records.jsonl", "--train-ratio", "1"],
            2,
            "not in the range 0<x<1",
        ),
        (["evaluate", "-i", "records.jsonl", "--report", "r.docx"], 2, "ends in .md or .html"),
        (["evaluate", "-i", "records.jsonl", "--report", "r.htm"], 2, "ends in .md or .html"),
        (
            ["evaluate", "-i", "records.jsonl", "--alpha", "1", "--cost-sensitivity", "0"],
            2,
            "not both",
        ),
        (["sweep", "--input", "records.jsonl", "--study", "depth"], 2, "is not one of"),
        (["assemble"], 2, "No such command"),
    ],
)
def test_one_line_and_an_exit_code(run, records, arguments, code, message):
    records.with_name("empty.jsonl").touch()
    records.with_name("records.parquet").write_bytes(b"PAR1...PAR1")
    result = run(*arguments, code=code)
    assert message in result.stderr
    assert "Traceback" not in result.output
    error = [line for line in result.stderr.splitlines() if line.startswith("Error: ")]
    assert len(error) == 1


FIT, EVALUATE = "fit records.jsonl -o out", "evaluate -i records.jsonl"
SWEEP = "sweep -i records.jsonl -o out"
ARTIFACT = f"{EVALUATE} -a artifact"


@pytest.mark.parametrize(
    ("command", "refused", "why"),
    [
        (FIT, "--workers 2", "with --engine memory"),
        (f"{FIT} --engine memory", "--workers 2", "with --engine memory"),
        (f"{FIT} --engine serial", "--workers 2", "with --engine serial"),
        (f"{FIT} --engine ray", "--cache c", "with --engine ray"),
        (f"{FIT} --centroids artifact", "--embedder magic", "with --centroids"),
        (f"{FIT} --centroids artifact", "--clusters 60", "with --centroids"),
        (f"{FIT} --centroids artifact", "--seed 42", "with --centroids"),
        ("update artifact records.jsonl", "--workers 2", "with --engine memory"),
        ("update artifact --model m --like good", "--strict", "without RECORDS"),
        ("update artifact --model m --like good", "--engine serial", "without RECORDS"),
        (EVALUATE, "--dataset-exclusion-mode hard", "without --excluded-datasets"),
        ("collect records.jsonl --models m --grade exact", "--rubric r", "without --grade judge"),
        (EVALUATE, "--workers 2", "with --engine memory"),
        (ARTIFACT, "--embedder magic", "with --artifact"),
        (ARTIFACT, "--cache c", "with --artifact"),
        (ARTIFACT, "--clusters 2", "with --artifact"),
        (ARTIFACT, "--seed 2", "with --artifact"),
        (ARTIFACT, "--train-ratio 0.7", "with --artifact"),
        (
            f"{ARTIFACT} --excluded-datasets greek",
            "--dataset-exclusion-mode hard",
            "with --artifact",
        ),
        (f"{ARTIFACT} --engine serial", "--export-cluster out", "with --artifact"),
        (f"{EVALUATE} --engine ray", "--cache c", "with --engine ray"),
        (f"{SWEEP} --engine serial", "--jobs 2", "with --engine serial"),
        (SWEEP, "--clusters 3", "with --study clusters, which varies it; give --values"),
        (f"{SWEEP} --study top-k", "--top-k 3", "with --study top-k"),
        (f"{SWEEP} --study beta", "--beta 3", "with --study beta"),
        (f"{SWEEP} --study train-ratio", "--train-ratio 0.5", "with --study train-ratio"),
        (f"{SWEEP} --study embedder", "--embedder magic", "with --study embedder"),
        (f"{SWEEP} --study scorer", "--scorer paper", "with --study scorer"),
        (f"{SWEEP} --study leave-one-out", "--train-ratio 0.5", "with --study leave-one-out"),
        (f"{SWEEP} --embedder tfidf", "--cache c", "with --embedder tfidf"),
        ("route records.jsonl -a artifact --output out", "--json", "with --output"),
        ("route records.jsonl -a artifact --output out", "--explain", "with --output"),
        ("route q -a artifact", "--workers 2", "without --output"),
        ("route q -a artifact --json", "--explain", "with --json, which holds all of it"),
    ],
)
@pytest.mark.usefixtures("records", "artifact")
def test_an_option_that_would_be_ignored_is_refused(run, command, refused, why):
    flag = refused.split()[0]
    failed = run(*command.split(), *refused.split(), code=2)
    assert f"Error: {flag} cannot be used {why}" in failed.stderr
    assert not Path("out").exists()


@pytest.mark.usefixtures("records")
def test_all_options_that_would_be_ignored_are_named(run):
    failed = run(*FIT.split(), "--centroids", "a", "--seed", "1", "--clusters", "2", code=2)
    assert "Error: --clusters, --seed cannot be used with --centroids" in failed.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["fit", "records.jsonl", "-o", "taken/artifact", "--embedder", "tfidf", "--clusters", "2"],
        ["evaluate", "-i", "records.jsonl", "-a", "artifact", "-o", "taken/results.json"],
        ["evaluate", "-i", "records.jsonl", "-a", "artifact", "--report", "taken/report.md"],
        ["evaluate", "-i", "records.jsonl", "-a", "artifact", "--pictures", "taken/pictures"],
        ["merge", "artifact", "-o", "taken/merged"],
        ["update", "artifact", "records.jsonl", "-o", "taken/updated"],
    ],
)
def test_output_that_can_not_be_written(run, records, artifact, tmp_path, arguments):
    (tmp_path / "taken").write_text("a file where a folder is wanted")
    result = run(*arguments, code=1)
    assert "Error: " in result.stderr
    assert "taken" in result.stderr
    assert "Traceback" not in result.output


LONG = "x" * 300


@pytest.mark.parametrize(
    ("arguments", "file", "reason"),
    [
        (["fit", "nowhere.jsonl", "-o", "x"], "nowhere.jsonl", errno.ENOENT),
        (["fit", LONG, "-o", "x"], LONG[:100], errno.ENAMETOOLONG),
        (["fit", "records.jsonl", "-o", LONG], LONG[:100], errno.ENAMETOOLONG),
        (["fit", "records.jsonl", "-o", "/proc/none"], "/proc/none", errno.ENOENT),
        (["route", "records.jsonl", "-a", "artifact", "--output", "records.jsonl/x"],
         "records.jsonl/x", errno.ENOTDIR),
        (["route", "nowhere.jsonl", "-a", "artifact", "--output", "x"],
         "nowhere.jsonl", errno.ENOENT),
        (["import", "records.jsonl", "-o", LONG], LONG[:100], errno.ENAMETOOLONG),
        (["sweep", "-i", "nowhere", "-o", "x"], "nowhere", errno.ENOENT),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("records", "artifact")
def test_what_the_system_says_is_told_with_the_file_and_what_to_do(run, arguments, file, reason):
    error = run(*arguments, code=1).stderr.splitlines()[-1]
    assert error.startswith(f"Error: {file}")
    said, _, advice = error.partition(f": {os.strerror(reason)}; ")
    assert said
    assert advice
    assert "Errno" not in error
    assert len(error) < 500


def test_a_full_disk_is_told_in_the_systems_own_words():
    words = os.strerror(errno.ENOSPC)
    assert of_system(OSError(errno.ENOSPC, words, "out")).startswith(f"out: {words}; ")
    assert of_system(OSError(errno.ENOSPC, words)).startswith(f"{words}; ")
    assert of_system(OSError("of a library")) == "of a library"


def test_a_damaged_artifact(run, artifact, tmp_path):
    info = tmp_path / "artifact" / "artifact.json"
    info.write_text(info.read_text()[:40])
    assert "artifact" in run("route", "q", "-a", artifact, code=1).stderr


def test_bad_lines_are_counted_and_shown(run, tmp_path, make_records):
    path = tmp_path / "bad.jsonl"
    lines = [json.dumps(r) for r in make_records(20)] + ["broken"] * 1200
    path.write_text("\n".join(lines))
    error = run("fit", path, "-o", "x", "--clusters", 2, "--embedder", "tfidf").stderr
    assert "1,200 rows rejected" in error
    assert error.count("bad.jsonl:") == 5
    assert "... and 1,195 more" in error


@pytest.mark.parametrize(
    "arguments",
    [
        ["evaluate", "--input", "records.jsonl", "--output", "out", "--pictures", "shown"],
        ["evaluate", "--input", "records.jsonl", "--output", "out", "--report", "shown.html"],
        ["sweep", "--input", "records.jsonl", "--output", "out", "--picture", "shown.png"],
    ],
)
def test_without_matplotlib_nothing_is_begun(run, records, tmp_path, monkeypatch, arguments):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    result = run(*arguments, code=1)
    assert "pip install 'avengers-router[plot]'" in result.stderr
    assert not (tmp_path / "out").exists()
