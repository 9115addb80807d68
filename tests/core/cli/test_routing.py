"""route, inspect, calibrate."""

from __future__ import annotations

import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from printed import words

from avengers_core import Router, fit


def lines(text):
    return [json.loads(line) for line in text.split("\n") if line]


def test_route_one_query(run, artifact):
    line = run("route", "alpha beta", "-a", artifact, "--alpha", 0.3).stdout
    assert line == str(Router.load(artifact).route("alpha beta", alpha=0.3)) + "\n"
    explained = run("route", "alpha beta", "-a", artifact, "--explain").stdout
    assert explained == Router.load(artifact).route("alpha beta").explain() + "\n\n"


def test_json_is_the_decision_and_the_query(run, artifact):
    found = json.loads(run("route", "alpha \u65e5 ünï", "-a", artifact, "--json", "-n", 2).stdout)
    assert found.pop("query") == "alpha \u65e5 ünï"
    assert found == Router.load(artifact).route_batch(["alpha \u65e5 ünï"], n=2)[0].to_dict()
    assert len(found["models"]) == 2


def test_route_lines_of_a_file_or_of_standard_input(run, artifact, tmp_path):
    text = 'alpha\n{"query": "zeta delta"}\n\n  \n{"other": 1}\n{broken\nbeta\n'
    (tmp_path / "q.txt").write_text(text)
    from_file = run("route", "-a", artifact, "-f", "q.txt", "--json").stdout
    piped = run("route", "-a", artifact, "--json", text=text).stdout
    dashed = run("route", "-a", artifact, "-f", "-", "--json", text=text).stdout
    assert from_file == piped == dashed
    assert [(row["row"], row.get("query")) for row in lines(piped)] == [
        (1, "alpha"),
        (2, "zeta delta"),
        (5, None),
        (6, None),
        (7, "beta"),
    ]
    found = run("route", "-a", artifact, text=text)
    assert [line.split(": ")[0] for line in found.stdout.splitlines()] == ["1", "2", "7"]
    assert {"2", "5", "`query`"} <= words(found.stderr)


def test_nothing_in_is_nothing_out_and_said(run, artifact, tmp_path):
    (tmp_path / "q.txt").write_text("\n\n")
    from_file = run("route", "-a", artifact, "-f", "q.txt")
    piped = run("route", "-a", artifact, "--json", text="")
    assert from_file.stdout == piped.stdout == ""
    assert "q.txt" in from_file.stderr
    assert "input" in words(piped.stderr)


@pytest.mark.parametrize(
    "raw",
    [
        b'alpha\n{"query": "beta"}\n\n',
        b'{broken\n{"q": 2}\n{"query": 3}\n{"query": ""}\n[1]\n',
        b'caf\xe9\n  {"query": "half \\ud800"}\n\xef\xbb\xbfalpha\r\n',
    ],
)
def test_lines_are_taken_as_whole_files_are(run, artifact, tmp_path, raw):
    (tmp_path / "q.jsonl").write_bytes(raw)
    run("route", "q.jsonl", "-a", artifact, "--engine", "serial", "--output", "out")
    whole = lines((tmp_path / "out" / "part-00000.jsonl").read_text(encoding="utf-8"))
    streamed = lines(run("route", "-f", "q.jsonl", "-a", artifact, "--json").stdout)
    assert [(r["row"], r.get("query"), r.get("model"), r.get("error")) for r in streamed] == [
        (r["row"], r.get("query"), r.get("model"), r.get("error")) for r in whole
    ]


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        (b"\xef\xbb\xbfalpha\r\nbeta\r\n", ["alpha", "beta"]),
        (b'\xef\xbb\xbf{"query": "alpha"}\n', ["alpha"]),
        (b"caf\xe9\n", [None]),
        (b'{"query": "half \\ud800"}\n', ["half \ufffd"]),
        (b'{"query": 7}\n', [None]),
        (b'{"a":' * 30_000 + b"\n", [None]),
        ("a\u2028b\n".encode(), ["a\u2028b"]),
        (b"", []),
        (b"\n\n", []),
    ],
)
def test_any_bytes_are_lines_of_text(run, artifact, tmp_path, raw, expected):
    (tmp_path / "q.txt").write_bytes(raw)
    for result in (
        run("route", "-a", artifact, "--json", "-f", "q.txt", code=int(expected == [None])),
        run("route", "-a", artifact, "--json", text=raw, code=int(expected == [None])),
    ):
        assert [row.get("query") for row in lines(result.stdout)] == expected


def test_files_without_a_query_fail(run, artifact, tmp_path):
    (tmp_path / "bad.jsonl").write_text('{"query": 7}\n')
    route = ("route", "-a", artifact, "--engine", "serial")
    run(*route, "bad.jsonl", "--output", "bad", code=1)
    (tmp_path / "good.jsonl").write_text('{"query": "alpha"}\n')
    run(*route, "bad.jsonl", "good.jsonl", "--output", "both")


ROWS = [{"query": "alpha, beta"}, {"other": 1}, {"query": "zeta\ndelta"}]


def written(tmp_path, name):
    """ROWS in a file."""
    file = tmp_path / name
    if name.endswith(".json"):
        file.write_text(json.dumps(ROWS, indent=1))
    elif name.endswith(".csv"):
        file.write_text('query,other\n"alpha, beta",\n,1\n"zeta\ndelta",\n')
    else:
        pq.write_table(pa.Table.from_pylist([{"query": r.get("query")} for r in ROWS]), file)
    return file


@pytest.mark.parametrize("name", ["q.json", "q.csv", "q.parquet"])
def test_what_a_file_holds_is_told_by_its_content(run, artifact, tmp_path, name):
    file = written(tmp_path, name)
    route = ("route", "-a", artifact, "--json")
    results = [run(*route, "-f", name)]
    if name != "q.parquet":
        results.append(run(*route, text=file.read_bytes()))
    for result in results:
        assert [row.get("query") for row in lines(result.stdout)] == [
            "alpha, beta",
            None,
            "zeta\ndelta",
        ]
    calibrate = ("calibrate", "-a", artifact, "--cost", 1, "--json", "--queries")
    (tmp_path / "plain.jsonl").write_text("\n".join(map(json.dumps, ROWS)))
    assert run(*calibrate, name).stdout == run(*calibrate, "plain.jsonl").stdout


def test_blank_query(run, artifact):
    found = json.loads(run("route", "", "-a", artifact, "--json").stdout)
    assert found["query"] == ""
    assert [v["size"] for v in found["clusters"]] == [31, 25, 15, 9], "as in all records"


def test_limits_and_relaxing(run, artifact):
    arguments = ("route", "alpha", "-a", artifact, "--max-cost", 1e-9)
    assert {"--max-cost", "1e-09"} <= words(run(*arguments, code=1).stderr)
    assert json.loads(run(*arguments, "--relax", "--json").stdout)["relaxed"]
    one = json.loads(run("route", "q", "-a", artifact, "--models", "odd, cheap", "--json").stdout)
    two = run("route", "q", "-a", artifact, "--models", "odd", "--models", "cheap", "--json").stdout
    assert json.loads(two) == one
    assert one["ineligible"] == {"good": "not among models="}
    explained = run("route", "q", "-a", artifact, "--exclude", "odd,cheap", "--explain").stdout
    assert {"cheap", "--exclude"} <= words(explained)


def test_one_weight_alone_is_1_less_the_other(run, artifact):
    for weights in (("--performance-weight", 0.3), ("--cost-sensitivity", 0.7)):
        assert "alpha 0.3" in run("route", "alpha", "-a", artifact, *weights).stdout


def test_the_artifact_of_the_environment(run, artifact, monkeypatch):
    monkeypatch.setenv("AVENGERS_ARTIFACT", artifact)
    assert json.loads(run("route", "alpha", "--json").stdout)["model"] in ("good", "cheap", "odd")
    assert {"80", "3"} <= words(run("inspect").stdout)
    assert run("calibrate", "--score", 0.01).stdout.startswith("alpha ")
    monkeypatch.setenv("AVENGERS_ARTIFACT", "")
    assert "27" in words(run("inspect").stdout)


def test_inspect(run, artifact):
    text = run("inspect", artifact, "--alpha", 0.9).stdout
    assert run("inspect", "-a", artifact, "--alpha", 0.9).stdout == text
    assert {"80", "3", "2", "4", "greek", "0.9", "records.jsonl"} <= words(text)
    content = json.loads(
        run("inspect", artifact, "--json", "--top", 2).stdout, parse_constant=pytest.fail
    )
    sizes = [c["size"] for c in content["clusters"]]
    assert sum(sizes) == 80
    assert sizes == sorted(sizes, reverse=True)
    assert all(len(c["best"]) == 2 for c in content["clusters"])
    assert content["models"] == ["good", "cheap", "odd"]
    assert content["info"]["embedder"].startswith("tfidf")


def test_inspect_names_nobody_that_alpha_leaves_out_for_want_of_a_cost(run, make_records, tmp_path):
    rows = make_records(60)
    for row in rows:
        row["usages"].pop("good", None)
    fit(rows, "tfidf", 4).save(tmp_path / "artifact")
    for alpha in (0.5, 1):
        content = json.loads(run("inspect", "artifact", "--alpha", alpha, "--json").stdout)
        best = {b["model"] for c in content["clusters"] for b in c["best"]}
        assert ("good" in best) is (alpha == 1)


def test_inspect_of_the_shipped_artifact_says_what_its_numbers_are(run):
    assert "note: " in run("inspect").stdout


def test_calibrate(run, artifact, tmp_path):
    text = run("calibrate", "-a", artifact, "--saving", 0.05).stdout
    assert text.startswith("alpha 0.")
    assert "expected score 0." in text
    target = json.loads(run("calibrate", "-a", artifact, "--score", 0.1, "--json").stdout)
    assert set(target) == {"alpha", "score", "cost"}
    router = Router.load(artifact)
    assert target["alpha"] == router.alpha_for(score=0.1)
    (tmp_path / "mine.txt").write_text("alpha beta\nzeta delta\n")
    mine = json.loads(
        run("calibrate", "-a", artifact, "--cost", 1, "--queries", "mine.txt", "--json").stdout
    )
    assert mine["alpha"] == router.alpha_for(cost=1, queries=["alpha beta", "zeta delta"])
    least = router.alpha_path(exclude=["odd"]).cost.min() * 1.01
    limited = json.loads(
        run("calibrate", "-a", artifact, "--cost", least, "--exclude", "odd", "--json").stdout
    )
    assert limited["cost"] <= least
    assert run("calibrate", "-a", artifact, "--cost", 1, "--max-cost", 0, "--relax").stdout
