"""An output that is an input, or another output, is refused before the work; files stay whole."""

from __future__ import annotations

import errno
import json
import os
import re

import pytest
from limits import file_size_limit

from avengers_core import AvengersError, bulk, studies
from avengers_core.calls.rows import Call
from avengers_core.calls.store import open_log, write
from avengers_core.outputs import check_outputs

COMMANDS = (
    "fit logs -o logs",
    "fit records.jsonl -o records.jsonl",
    "fit logs/a.jsonl -o logs",
    "fit records.jsonl --centroids artifact -o artifact",
    "fit records.jsonl --prices prices.json -o prices.json",
    "fit records.jsonl --cache new -o new",
    "update artifact records.jsonl -o records.jsonl",
    "update artifact logs/*.jsonl -o logs",
    "reprice artifact --prices prices.json -o prices.json",
    "merge artifact -o artifact",
    "merge artifact -o link",
    "evaluate -i records.jsonl --output records.jsonl",
    "evaluate -i logs --output logs/a.jsonl",
    "evaluate -i logs/*.jsonl --output logs/a.jsonl",
    "evaluate -i records.jsonl --output alias.jsonl",
    "evaluate -i records.jsonl -a artifact --output artifact/artifact.json",
    "evaluate -i records.jsonl --output r.html --report r.html",
    "evaluate -i records.jsonl --output new --export-cluster new",
    "evaluate -i records.jsonl --output new --pictures new",
    "evaluate -i records.jsonl --output new --cache new",
    "sweep -i records.jsonl --output records.jsonl",
    "sweep -i records.jsonl --output new.png --picture new.png",
    "sweep -i records.jsonl --output new --cache new",
    "route logs -a artifact --output logs",
    "route logs/*.jsonl -a artifact --output logs",
    "probe artifact records.jsonl -o records.jsonl",
    "probe artifact records.jsonl -o artifact/artifact.json",
    "collect records.jsonl --models m --grade exact -o records.jsonl",
    "collect q.jsonl.journal --models m --grade exact -o q.jsonl",
    "collect records.jsonl --models m --grade json:prices.json -o prices.json",
    "collect records.jsonl --models m --grade exact --prices prices.json -o prices.json",
    "import table.csv -o table.csv",
    "import logs -o logs/a.jsonl",
    "import table.csv --feedback thumbs.csv -o thumbs.csv",
    "learn calls.sqlite -a artifact -o calls.sqlite",
    "learn calls.sqlite -a artifact -o new --html log.html",
    "learn calls.sqlite -a artifact -o new.html --html new.html",
    "learn calls.sqlite -a artifact -o new --html artifact.html",
    "watch calls.sqlite -a artifact --html log.html",
    "watch calls.sqlite -a artifact --html artifact.html",
)


@pytest.fixture
def inputs(records, artifact, tmp_path):
    """Inputs of every kind, and links to them."""
    (tmp_path / "logs").mkdir()
    for copy in ("logs/a.jsonl", "q.jsonl.journal"):
        (tmp_path / copy).write_text(records.read_text())
    (tmp_path / "prices.json").write_text('{"good": [1e-6, 1e-6]}')
    (tmp_path / "table.csv").write_text("query,score,model\nq,1,m\n")
    (tmp_path / "thumbs.csv").write_text("id,score\n1,1\n")
    (tmp_path / "alias.jsonl").symlink_to(records)
    (tmp_path / "link").symlink_to(tmp_path / artifact)
    (tmp_path / "log.html").symlink_to(tmp_path / "calls.sqlite")
    (tmp_path / "artifact.html").symlink_to(tmp_path / artifact / "artifact.json")
    log = open_log(tmp_path / "calls.sqlite")
    write(log, [Call(**{**dict.fromkeys(Call._fields), "id": "1", "time": 1.0})])
    log.close()
    return tmp_path


def contents(folder):
    return {f: f.read_bytes() for f in sorted(folder.rglob("*")) if f.is_file()}


@pytest.mark.parametrize("command", COMMANDS)
def test_an_output_that_is_an_input_or_another_output_is_refused(run, inputs, command):
    before = contents(inputs)
    error = run(*command.split(), code=1).stderr
    assert any(output in error for output in command.split()[1:])
    assert contents(inputs) == before, "nothing is begun"


@pytest.mark.parametrize(
    "command",
    [
        "fit records.jsonl -o logs",
        "merge artifact -o logs",
        "update artifact records.jsonl -o records2.jsonl",
        "reprice artifact --prices prices.json -o logs",
        "learn calls.sqlite -a artifact -o logs",
        "evaluate -i records.jsonl --export-cluster logs",
    ],
)
def test_a_folder_that_is_no_artifact_is_refused_before_the_work(run, inputs, command, monkeypatch):
    (inputs / "records2.jsonl").write_text("mine")
    for work in ("embedders.WordLlamaEmbedder.embed", "artifact.artifact.RouterArtifact.load"):
        monkeypatch.setattr(f"avengers_core.{work}", lambda *_, **__: pytest.fail("it has begun"))
    before = contents(inputs)
    assert "artifact" in run(*command.split(), code=1).stderr
    assert contents(inputs) == before


@pytest.mark.parametrize(
    "command",
    [
        "update artifact records.jsonl -o artifact",
        "reprice artifact --prices prices.json -o artifact",
        "fit logs -o logs/artifact --clusters 2 --embedder tfidf",
        "probe artifact logs/a.jsonl -o logs/fifty.jsonl -n 2",
        "evaluate -i logs --report logs/report.md -a artifact",
        "evaluate -i records.jsonl -a artifact --output /dev/null --report report.md",
    ],
)
def test_what_may_lie_in_or_be_the_same_is_not_refused_the_second_time_either(run, inputs, command):
    assert inputs
    for _ in range(2):
        run(*command.split())


def test_functions_refuse_alike(records, in_memory, tmp_path):
    copy = tmp_path / "out" / "records.jsonl"
    copy.parent.mkdir()
    copy.write_text(records.read_text())
    for work in (
        lambda: bulk.route(in_memory, copy, copy.parent),
        lambda: bulk.embed([copy], copy.parent),
        lambda: studies.run(copy, [], output=copy),
        lambda: studies.run(records, [], output=tmp_path / "new", cache=tmp_path / "new"),
    ):
        with pytest.raises(AvengersError, match=re.escape(str(tmp_path))):
            work()
    assert copy.read_text() == records.read_text()


def test_addresses_devices_and_values_are_no_files():
    check_outputs(["out"], ["s3://bucket/out", [{"query": "out"}], None, 3])
    check_outputs([os.devnull, os.devnull], [os.devnull])


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("command", "output"),
    [
        ("evaluate -i records.jsonl -a artifact --output kept.json", "kept.json"),
        ("evaluate -i records.jsonl -a artifact --report kept.md", "kept.md"),
        ("evaluate -i records.jsonl -a artifact --report kept.html", "kept.html"),
        ("evaluate -i records.jsonl -a artifact --pictures kept", "kept/over_alpha.svg"),
        ("probe artifact records.jsonl -o kept.jsonl", "kept.jsonl"),
        ("import array.json -o kept.jsonl", "kept.jsonl"),
        ("import array.json -o kept.jsonl.gz", "kept.jsonl.gz"),
        ("fit records.jsonl -o kept --clusters 2 --embedder tfidf", "kept/artifact.json"),
        ("route records.jsonl -a artifact --engine serial --output new", "new"),
    ],
)
def test_a_file_that_does_not_fit_leaves_what_was_there(run, inputs, command, output):
    rows = [json.loads(x) for x in (inputs / "records.jsonl").read_text().split("\n")[:80]]
    (inputs / "array.json").write_text(json.dumps(rows))
    kept = inputs / output
    kept.parent.mkdir(exist_ok=True)
    if kept.name == "artifact.json":
        for file in (inputs / "artifact").iterdir():
            (kept.parent / file.name).write_bytes(file.read_bytes())
    elif kept.name != "new":
        kept.write_text("what was there")
    before = contents(inputs)

    with file_size_limit(400):
        error = run(*command.split(), code=1).stderr
    assert os.strerror(errno.EFBIG) in error
    assert ".tmp-" not in error
    after = contents(inputs)
    assert {f: c for f, c in after.items() if kept.parent == inputs or f in before} == before
    run(*command.split())
    assert contents(inputs) != before
