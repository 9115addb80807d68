"""fit, update, merge, import."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from printed import words

from avengers_core import RouterArtifact, load_records


def test_fit_counts_and_shows_bad_lines(run, records):
    result = run("fit", records, "--output", "out", "--n_clusters", 3, "--seed", 1)
    assert {"80", "3"} <= words(result.stdout)
    assert {"1", f"{records}:81"} <= words(result.stderr)
    assert RouterArtifact.load("out").info.source == "records.jsonl"
    failed = run("fit", records, "-o", "x", "--strict", code=1)
    assert "records.jsonl:81" in failed.stderr
    assert not Path("x").exists()


@pytest.mark.parametrize("engine", ["memory", "serial"])
def test_fit_leaves_out_what_it_is_told_to(run, records, engine):
    with records.open("a") as file:
        file.write('{"query": "knows no other", "records": {"odd": 1}, "dataset": "other"}')
    options = "--excluded_models odd,cheap --excluded-datasets greek --embedder tfidf --no-refine"
    options += f" --engine {engine}"
    run("fit", records, "-o", "out", *options.split(), "--note", "made up")
    artifact = RouterArtifact.load("out")
    assert artifact.n_records == 40
    assert artifact.models == ("good",)
    assert artifact.datasets == ("other",)
    assert artifact.refinement is None
    assert artifact.info.note == "made up"


@pytest.mark.parametrize("engine", ["memory", "serial"])
@pytest.mark.parametrize("option", ["--excluded-models", "--excluded-datasets"])
def test_what_is_to_be_left_out_must_be_there(run, records, option, engine):
    failed = run("fit", records, "-o", "out", option, "nobody", "--engine", engine, code=1)
    assert "'nobody'" in failed.stderr


def test_fit_of_several_files_is_one_fit(run, tmp_path, make_records):
    rows = [json.dumps(r) for r in make_records(60)]
    for name, part in (("a", rows[:20]), ("b", rows[20:]), ("both", rows)):
        (tmp_path / f"{name}.jsonl").write_text("\n".join(part))
    options = ("--embedder", "tfidf", "--clusters", 3)
    run("fit", "a.jsonl", "b.jsonl", "-o", "parts", *options)
    run("fit", "both.jsonl", "-o", "whole", *options)
    assert RouterArtifact.load("parts") == RouterArtifact.load("whole")


def test_missing_results_may_count_as_zero(run, tmp_path, make_records):
    rows = make_records(40)
    for row in rows[:20]:
        row["records"]["odd"] = None
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))
    for missing, n in (("skip", 20), ("zero", 40)):
        run(
            *("fit", "r.jsonl", "-o", missing, "--missing", missing),
            *("--embedder", "tfidf", "--clusters", 2),
        )
        artifact = RouterArtifact.load(missing)
        assert artifact.statistics.n[:, artifact.models.index("odd")].sum() == n


def test_update_merge_and_add_a_model(run, artifact, tmp_path, make_records):
    more = tmp_path / "more.jsonl"
    more.write_text("\n".join(map(json.dumps, make_records(30, seed=5))))
    run("update", artifact, more, "-o", "updated")
    assert RouterArtifact.load("updated").n_records == 110
    assert RouterArtifact.load(artifact).n_records == 80
    run("merge", artifact, artifact, "-o", "twice")
    assert RouterArtifact.load("twice").n_records == 160
    rows = make_records(30, seed=6, models=("new",))
    more.write_text("\n".join(map(json.dumps, rows)))
    run("update", artifact, more, "--model", "new")
    assert RouterArtifact.load(artifact).models[-1] == "new"
    failed = run("update", artifact, more, "--model", "absent", code=1)
    assert "'absent'" in failed.stderr


def test_fit_with_an_engine(run, records):
    run("fit", records, "-o", "streamed", "--clusters", 4, "--engine", "serial")
    assert RouterArtifact.load("streamed").n_records == 80


@pytest.mark.parametrize(("embedder", "missing"), [("wordllama", "skip"), ("tfidf", "zero")])
def test_days_add_up_to_one_fit(run, tmp_path, make_records, embedder, missing):
    days = {
        "mon": make_records(50),
        "tue": make_records(40, seed=1),
        "wed": make_records(30, seed=2),
    }
    for row in days["tue"][::2]:
        row["records"]["odd"] = None
    for name, rows in days.items():
        (tmp_path / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    pq.write_table(pa.Table.from_pylist(days["wed"]), "wed.parquet", row_group_size=7)
    one_process, by_parts = ("--missing", missing), ("--missing", missing, "--engine", "serial")
    run("fit", "mon.jsonl", "-o", "mon", "--clusters", 4, "--embedder", embedder, *one_process)
    run("fit", "tue.jsonl", "-o", "tue", "--centroids", "mon", *one_process)
    run("fit", "wed.parquet", "-o", "wed", "--centroids", "mon", *by_parts)
    run("merge", "mon", "tue", "wed", "-o", "merged")
    run("update", "mon", "tue.jsonl", "-o", "two")
    run("update", "two", "wed.parquet", "-o", "updated", "--engine", "serial")
    everything = ("mon.jsonl", "tue.jsonl", "wed.jsonl")
    run("fit", *everything, "-o", "all", "--centroids", "mon", *one_process)
    expected = RouterArtifact.load("all")
    for name in ("merged", "updated"):
        found = RouterArtifact.load(name)
        assert (found.models, found.datasets, found.n_records) == (
            expected.models,
            expected.datasets,
            120,
        )
        np.testing.assert_array_equal(found.centroids, expected.centroids)
        for part in ("statistics", "refinement"):
            for key, values in getattr(expected, part).arrays().items():
                others = getattr(found, part).arrays()[key]
                np.testing.assert_allclose(others, values, rtol=0, atol=1e-9, err_msg=key)


def test_import_of_a_benchmark(run, tmp_path):
    (tmp_path / "mmlu.csv").write_text("prompt,a,b\nq one,True,False\nq two,maybe,True\n")
    result = run("import", "mmlu.csv", "-o", "out.jsonl")
    assert {"1", "2"} <= words(result.stdout)
    assert "mmlu.csv" in result.stderr
    assert json.loads(Path("out.jsonl").read_text())["records"] == {"a": 1, "b": 0}


@pytest.mark.parametrize("indent", [None, 2])
def test_import_of_records_in_an_array(run, tmp_path, make_records, indent):
    rows = make_records(12)
    with_a_bad_one = [{**rows[0], "query": " "}, *rows]
    (tmp_path / "array.json").write_text(json.dumps(with_a_bad_one, indent=indent))
    assert "12" in words(run("fit", "array.json", "-o", "x").stdout)
    run("import", "array.json", "-o", "out.jsonl")
    assert [r.query for r in load_records("out.jsonl")] == [r["query"] for r in rows]


def test_import_says_of_records_that_they_are_records(run, records):
    failed = run("import", records, "-o", "out.jsonl", code=1)
    assert records.name in failed.stderr
    assert not Path("out.jsonl").exists()


@pytest.mark.parametrize("engine", ["memory", "serial"])
def test_update_with_files_without_a_line_changes_nothing(run, artifact, tmp_path, engine):
    (tmp_path / "empty.jsonl").touch()
    (tmp_path / "blank.jsonl").write_text("\n \n")
    update = ("update", artifact, "empty.jsonl", "blank.jsonl", "--engine", engine)
    assert artifact in words(run(*update).stdout)
    run(*update, "-o", "same")
    assert RouterArtifact.load("same") == RouterArtifact.load(artifact)
    (tmp_path / "bad.jsonl").write_text("broken\n")
    run("update", artifact, "bad.jsonl", "--engine", engine, code=1)
    failed = run("update", artifact, "nowhere.jsonl", "--engine", engine, code=1)
    assert "nowhere.jsonl" in failed.stderr


@pytest.mark.parametrize(
    "command",
    [
        "update artifact records.jsonl",
        "update other/../artifact records.jsonl -o artifact",
        "update artifact --model new --like good",
        "reprice artifact --prices prices.json",
    ],
)
@pytest.mark.usefixtures("records")
def test_what_another_program_wrote_meanwhile_is_not_lost(
    run, artifact, tmp_path, monkeypatch, command
):
    (tmp_path / "prices.json").write_text(json.dumps({"good": [1e-6, 2e-6]}))
    (tmp_path / "other").mkdir()
    read = RouterArtifact.load
    others = read(artifact).drop_models(["odd"])

    def read_before_another_writes(path):
        found = read(path)
        others.save(artifact)
        return found

    monkeypatch.setattr(RouterArtifact, "load", read_before_another_writes)
    assert "artifact" in words(run(*command.split(), code=1).stderr)
    assert read(artifact) == others
    monkeypatch.setattr(RouterArtifact, "load", read)
    run(*command.split())
    assert read(artifact) != others


def test_addresses_are_left_as_they_are(run, records):
    address = f"file://{records.resolve()}"
    for engine in ("memory", "serial"):
        run("fit", address, "-o", "a", "--engine", engine, "--clusters", 3)
        run("update", "a", address, "--engine", engine)
        assert RouterArtifact.load("a").n_records == 160
        run("evaluate", "-a", "a", "--input", address, "-o", "r.json", "--engine", engine)
        assert json.loads(Path("r.json").read_text())["n_queries"] == 80


def test_import_writes_gzip_where_the_name_says_so(run, records):
    Path("array.json").write_text(json.dumps([json.loads(records.read_text().splitlines()[0])]))
    run("import", "array.json", "-o", "out.jsonl.gz")
    assert Path("out.jsonl.gz").read_bytes()[:2] == b"\x1f\x8b"
    assert len(load_records("out.jsonl.gz")) == 1


def test_import_refuses_an_output_that_is_an_input(run, tmp_path):
    (tmp_path / "folder").mkdir()
    file = tmp_path / "folder" / "a.csv"
    file.write_text("prompt,a,b\nq,True,False\n")
    content = file.read_bytes()
    Path("link.csv").symlink_to(file)
    Path("hard.csv").hardlink_to(file)
    for source in ("folder/a.csv", "folder", "link.csv"):
        for output in ("folder/a.csv", "./folder/../folder/a.csv", "link.csv", "hard.csv"):
            failed = run("import", source, "-o", output, code=1)
            assert str(Path(output)) in failed.stderr
    assert file.read_bytes() == content
    run("import", "folder", "-o", "folder/new.jsonl")


def test_import_names_what_is_missing_and_what_has_no_effect(run, tmp_path, make_records):
    Path("a.csv").write_text("prompt,a,b\nq,True,False\n")
    failed = run("import", "a.csv", "-o", "nodir/z.jsonl", code=1)
    assert "nodir" in failed.stderr
    assert ".tmp-" not in failed.stderr
    Path("array.json").write_text(json.dumps(make_records(2)))
    for option in (("--scale", "1", "5"), ("--score-key", "x"), ("--feedback", "a.csv")):
        assert option[0] in run("import", "array.json", "-o", "z", *option, code=2).stderr
    assert "--embedder" in run("import", "a.csv", "-o", "z", "--embedder", "x", code=2).stderr
    for fields in (["query"], ["query=a,query=b,score.m=s"], ["query=a,score.m=s", "query=a"]):
        mapped = [word for given in fields for word in ("--map", given)]
        assert "query" in run("import", "a.csv", "-o", "z", *mapped, code=2).stderr


def test_import_by_the_names_of_columns_says_what_came_of_it(run):
    Path("own.json").write_text(json.dumps([{"q": "Why?", "a, b": {"m": 1, "n": 0.25}}]))
    result = run("import", "own.json", "-o", "z.jsonl", "--map", "query=q,score=a, b")
    assert {"m", "n", "0.25", "1"} <= words(result.stdout)
    assert load_records("z.jsonl")[0].scores == {"m": 1, "n": 0.25}


def test_prices_are_put_in_when_fitting_or_later(run, records, tmp_path):
    prices = tmp_path / "prices.json"
    prices.write_text(json.dumps({"good": [1e-6, 2e-6], "cheap": {"input": 1e-7, "output": 4e-7}}))
    fit = ("fit", records, "--clusters", 3)
    run(*fit, "-o", tmp_path / "at", "--prices", prices)
    run(*fit, "-o", tmp_path / "plain")
    run("reprice", tmp_path / "plain", "-o", tmp_path / "later", "--prices", prices)
    at, later = (RouterArtifact.load(tmp_path / name) for name in ("at", "later"))
    assert at == later
    assert at.info.prices["cheap"].output == 4e-7


def test_a_new_model_like_another(run, artifact):
    run(
        "update", artifact, "-o", "new", "--model", "new/a", "--like", "good", "--price", 1e-6, 2e-6
    )
    found = RouterArtifact.load("new")
    assert found.models[-1] == "new/a"
    assert found.info.prices["new/a"].output == 2e-6
    shown = json.loads(run("inspect", "new", "--json").stdout)
    for cluster in shown["clusters"]:
        assert cluster["records"]["new/a"] == cluster["support"]["new/a"] == 0
        assert cluster["records"]["good"] > 0
    run("update", artifact, "--like", "good", code=2)
    run("update", artifact, code=2)


def test_queries_to_ask_a_new_model(run, artifact, records):
    records.write_text("\n".join(records.read_text().splitlines()[:80]))
    run("probe", artifact, records, "-n", 7, "-o", "seven.jsonl")
    rows = [json.loads(line) for line in Path("seven.jsonl").read_text().splitlines()]
    assert len({row["query"] for row in rows}) == 7
    assert not any("records" in row for row in rows)
    Path("q.txt").write_text("alpha beta\nzeta delta\n")
    assert len(run("probe", artifact, "q.txt").stdout.splitlines()) == 2


def test_import_of_results_without_a_score_writes_nothing(run, tmp_path):
    (tmp_path / "own.csv").write_text("q,llm,grade\nWhy?,a,\nWho?,a,nan\n")
    arguments = ("own.csv", "-o", "out.jsonl", "--map", "query=q,model=llm,score=grade")
    assert "own.csv" in run("import", *arguments, code=1).stderr
    assert not (tmp_path / "out.jsonl").exists()
