"""What goes wrong is one line on standard error and an exit code: 1 at work, 2 in usage."""

from __future__ import annotations

import errno
import json
import os
import sys
from pathlib import Path

import pytest

from avengers_core.cli.shared import of_system


def error_of(result):
    """The one line that says what is wrong."""
    assert "Traceback" not in result.output
    (error,) = (line for line in result.stderr.splitlines() if line.startswith("Error: "))
    return error


@pytest.mark.parametrize(
    ("command", "code", "named"),
    [
        ("fit nowhere.jsonl -o x", 1, "nowhere.jsonl"),
        ("fit records.jsonl", 2, "--output"),
        ("fit -o x", 2, "RECORDS"),
        ("fit records.jsonl -o x --clusters 0", 2, "--clusters 0 >=1"),
        ("fit records.jsonl -o x --clusters few", 2, "--clusters 'few'"),
        ("fit records.jsonl -o x --embedder magic", 1, "'magic'"),
        ("fit records.jsonl -o x --models nobody", 1, "'nobody' --models"),
        ("fit empty.jsonl -o x", 1, "empty.jsonl"),
        ("fit records.jsonl -o records.jsonl", 1, "records.jsonl"),
        ("fit records.jsonl -o x --embedder tfidf --cache c", 2, "--cache --embedder tfidf"),
        ("fit records.parquet -o x", 1, "records.parquet"),
        ("route q -a nowhere", 1, "nowhere artifact.json"),
        ("route q -f nowhere.txt", 2, "--file 'nowhere.txt'"),
        ("route q --alpha 2", 2, "--alpha 2 0<=x<=1"),
        ("route q --alpha nan", 1, "alpha nan"),
        ("route q --alpha much", 2, "--alpha 'much'"),
        ("route q --alpha 1 --performance-weight 1", 2, "--alpha weights"),
        ("route q --performance-weight 0 --cost-sensitivity 0", 1, "performance_weight 0.0"),
        ("route q --performance-weight 2", 2, "--performance-weight [0, 1] 2"),
        ("route q --models nobody", 1, "'nobody'"),
        ("route q --models ,", 2, "--models ','"),
        ("route q --max-cost 0", 1, "--max-cost 0 --relax"),
        ("route q --max-cost -1", 2, "--max-cost -1 x>=0"),
        ("route q --scorer best", 2, "--scorer 'best' 'calibrated' 'paper' 'reference'"),
        ("route q --scorer paper --beta 3", 1, "'paper' 'beta' 'top_k'"),
        ("route q --top-k 3", 1, "'calibrated' 'top_k' --scorer"),
        ("route q --beta nan", 1, "beta nan"),
        ("route two words", 2, "QUERY 2"),
        ("route q --engine serial", 2, "--engine --output"),
        ("route q -f records.jsonl", 2, "QUERY --file"),
        ("route --output x", 2, "--output"),
        ("inspect records.jsonl", 1, "records.jsonl artifact.json"),
        ("inspect --alpha nan", 1, "alpha nan"),
        ("evaluate -i records.jsonl --excluded-datasets greek,other", 1, "greek other"),
        ("calibrate", 2, "--cost --score --saving"),
        ("calibrate --cost 1 --score 0.5", 2, "--cost --score --saving"),
        ("calibrate --saving 1", 2, "--saving 0<=x<1"),
        ("calibrate --cost 0", 1, "$0 $0.0"),
        ("calibrate --score 1", 1, " 1 0."),
        ("calibrate --cost 1 --max-cost 0", 1, "--max-cost 0 --relax"),
        ("calibrate --cost 1 --queries empty.jsonl", 1, "one"),
        ("merge nowhere -o x", 1, "nowhere artifact.json"),
        ("update nowhere records.jsonl", 1, "nowhere artifact.json"),
        ("import nowhere -o x", 1, "'nowhere'"),
        ("evaluate", 2, "--input"),
        ("evaluate --input nowhere", 1, "nowhere"),
        ("evaluate --input *.csv", 1, "*.csv"),
        ("evaluate -i x --cost-sensitivity 3", 2, "--cost-sensitivity [0, 1] 3"),
        ("evaluate -i records.jsonl --train-ratio 1", 2, "--train-ratio 0<x<1"),
        ("evaluate -i records.jsonl --report r.docx", 2, "--report .md .html r.docx"),
        ("evaluate -i records.jsonl --report r.htm", 2, "--report .md .html r.htm"),
        ("evaluate -i records.jsonl --alpha 1 --cost-sensitivity 0", 2, "--alpha weights"),
        ("sweep --input records.jsonl --study depth", 2, "--study 'depth' 'clusters' 'beta'"),
        ("assemble", 2, "'assemble'"),
    ],
)
def test_one_line_and_an_exit_code(run, records, command, code, named):
    records.with_name("empty.jsonl").touch()
    records.with_name("records.parquet").write_bytes(b"PAR1...PAR1")
    error = error_of(run(*command.split(), code=code))
    for name in named.split():
        assert name in error


@pytest.mark.parametrize(
    ("arguments", "option"),
    [
        (("fit", "", "-o", "x"), "RECORDS"),
        (("fit", "records.jsonl", "-o", ""), "--output"),
        (("fit", "records.jsonl", "-o", "x", "--cache", ""), "--cache"),
        (("import", "", "-o", "x"), "SOURCE"),
        (("import", "records.jsonl", "-o", ""), "--output"),
        (("route", "q", "-a", ""), "--artifact"),
        (("route", "-f", ""), "--file"),
        (("route", "", "-o", "x"), "path"),
        (("evaluate", "-i", ""), "--input"),
        (("evaluate", "-i", "records.jsonl", "--pictures", ""), "--pictures"),
        (("collect", "", "--models", "m", "--grade", "exact"), "QUESTIONS"),
        (("watch", ""), "LOG"),
    ],
)
def test_an_empty_path_is_no_folder(run, tmp_path, records, arguments, option):
    before = sorted(tmp_path.iterdir())
    code = 1 if arguments[0] == "route" and "-o" in arguments else 2
    assert option in error_of(run(*arguments, code=code))
    assert sorted(tmp_path.iterdir()) == before


FIT, EVALUATE = "fit records.jsonl -o out", "evaluate -i records.jsonl"
SWEEP = "sweep -i records.jsonl -o out"
ARTIFACT = f"{EVALUATE} -a artifact"


@pytest.mark.parametrize(
    ("command", "refused", "beside"),
    [
        (FIT, "--workers 2", "--engine memory"),
        (f"{FIT} --engine memory", "--workers 2", "--engine memory"),
        (f"{FIT} --engine serial", "--workers 2", "--engine serial"),
        (f"{FIT} --engine ray", "--cache c", "--engine ray"),
        (f"{FIT} --centroids artifact", "--embedder magic", "--centroids"),
        (f"{FIT} --centroids artifact", "--clusters 60", "--centroids"),
        (f"{FIT} --centroids artifact", "--seed 42", "--centroids"),
        ("update artifact records.jsonl", "--workers 2", "--engine memory"),
        ("update artifact --model m --like good", "--strict", "RECORDS"),
        ("update artifact --model m --like good", "--engine serial", "RECORDS"),
        ("inspect artifact", "--artifact other", "ARTIFACT"),
        (EVALUATE, "--dataset-exclusion-mode hard", "--excluded-datasets"),
        ("collect records.jsonl --models m --grade exact", "--rubric r", "--grade judge"),
        (EVALUATE, "--workers 2", "--engine memory"),
        (ARTIFACT, "--embedder magic", "--artifact"),
        (ARTIFACT, "--cache c", "--artifact"),
        (ARTIFACT, "--clusters 2", "--artifact"),
        (ARTIFACT, "--seed 2", "--artifact"),
        (ARTIFACT, "--train-ratio 0.7", "--artifact"),
        (
            f"{ARTIFACT} --excluded-datasets greek",
            "--dataset-exclusion-mode hard",
            "--artifact",
        ),
        (f"{ARTIFACT} --engine serial", "--export-cluster out", "--artifact"),
        (f"{EVALUATE} --engine ray", "--cache c", "--engine ray"),
        (f"{SWEEP} --engine serial", "--jobs 2", "--engine serial"),
        (SWEEP, "--clusters 3", "--study clusters --values"),
        (f"{SWEEP} --study top-k", "--top-k 3", "--study top-k"),
        (f"{SWEEP} --study beta", "--beta 3", "--study beta"),
        (f"{SWEEP} --study train-ratio", "--train-ratio 0.5", "--study train-ratio"),
        (f"{SWEEP} --study embedder", "--embedder magic", "--study embedder"),
        (f"{SWEEP} --study scorer", "--scorer paper", "--study scorer"),
        (f"{SWEEP} --study leave-one-out", "--train-ratio 0.5", "--study leave-one-out"),
        (f"{SWEEP} --embedder tfidf", "--cache c", "--embedder tfidf"),
        ("route records.jsonl -a artifact --output out", "--json", "--output"),
        ("route records.jsonl -a artifact --output out", "--explain", "--output"),
        ("route q -a artifact", "--workers 2", "--output"),
        ("route q -a artifact --json", "--explain", "--json"),
    ],
)
@pytest.mark.usefixtures("records", "artifact")
def test_an_option_that_would_be_ignored_is_refused(run, command, refused, beside):
    error = error_of(run(*command.split(), *refused.split(), code=2))
    for name in (refused.split()[0], *beside.split()):
        assert name in error
    assert not Path("out").exists()


@pytest.mark.usefixtures("records")
def test_all_options_that_would_be_ignored_are_named(run):
    failed = run(*FIT.split(), "--centroids", "a", "--seed", "1", "--clusters", "2", code=2)
    for flag in ("--clusters", "--seed", "--centroids"):
        assert flag in error_of(failed)


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
@pytest.mark.usefixtures("undrawn")
def test_output_that_can_not_be_written(run, records, artifact, tmp_path, arguments):
    (tmp_path / "taken").write_text("a file where a folder is wanted")
    assert "taken" in error_of(run(*arguments, code=1))


LONG = "x" * 300
QUICK_FIT = "fit", "records.jsonl", "--embedder", "tfidf", "--clusters", "2"


@pytest.mark.parametrize(
    ("arguments", "file", "reason"),
    [
        (["fit", "nowhere.jsonl", "-o", "x"], "nowhere.jsonl", errno.ENOENT),
        (["fit", LONG, "-o", "x"], LONG[:100], errno.ENAMETOOLONG),
        ([*QUICK_FIT, "-o", LONG], LONG[:100], errno.ENAMETOOLONG),
        ([*QUICK_FIT, "-o", "/proc/none"], "/proc/none", errno.ENOENT),
        (["route", "records.jsonl", "-a", "artifact", "--engine", "serial",
          "--output", "records.jsonl/x"], "records.jsonl/x", errno.ENOTDIR),
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
    assert "1,200" in error
    assert error.count("bad.jsonl:") == 5
    assert "1,195" in error


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
    assert "avengers-router[plot]" in error_of(result)
    assert not (tmp_path / "out").exists()


@pytest.mark.skipif(not os.path.exists("/dev/zero"), reason="no such device there")
@pytest.mark.parametrize(
    ("command", "code"),
    [
        ("fit endless.txt -o x", 1),
        ("fit records.jsonl endless.txt -o x", 1),
        ("fit endless.txt -o x --engine serial", 1),
        ("fit records.jsonl -o x --questions endless.txt", 1),
        ("fit records.jsonl -o x --prices endless.txt", 2),
        ("update artifact endless.txt", 1),
        ("evaluate -i endless.txt", 1),
        ("sweep -i endless.txt", 1),
        ("route -a artifact -f endless.txt", 2),
        ("calibrate -a artifact --cost 0.1 --queries endless.txt", 2),
        ("probe artifact endless.txt", 1),
        ("import endless.txt -o x.jsonl", 1),
        ("collect endless.txt --models good --grade exact -o x.jsonl", 1),
        ("learn endless.txt -a artifact -o x", 1),
        ("watch endless.txt -a artifact", 1),
        ("feedback endless.txt id 1", 1),
    ],
)
def test_a_device_that_never_ends_is_refused_by_name(run, records, artifact, command, code):
    Path("endless.txt").symlink_to("/dev/zero")
    assert "endless.txt" in error_of(run(*command.split(), code=code))
    assert not Path("x").exists()
