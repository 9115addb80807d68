"""Each layout's example, by its own keys, gives the records beside it."""

from __future__ import annotations

import csv
import json
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from avengers_core import RecordError, Records, load_records
from avengers_core.cli import main
from avengers_core.importers import LAYOUTS, import_records
from avengers_core.importers.detection import layout_of
from avengers_core.importers.reading.archives import opened
from avengers_core.importers.reading.tables import rows

_FOLDERS = Path(__file__).with_name("examples").glob("*/*")
EXAMPLES = {path.name: path for path in _FOLDERS if path.is_dir()}


def test_every_layout_has_an_example() -> None:
    assert set(EXAMPLES) == set(LAYOUTS)


@pytest.mark.parametrize("name", LAYOUTS)
def test_an_example_becomes_the_records_beside_it(name: str) -> None:
    expected = load_records(EXAMPLES[name].with_name(f"{name}.jsonl"))
    found = load_records(import_records(EXAMPLES[name]))
    assert list(found) == list(expected)
    assert not found.problems
    assert {score for r in found for score in r.scores.values()} <= {0, 0.5, 1}


@pytest.mark.parametrize("name", LAYOUTS)
def test_no_row_of_an_example_is_told_for_another(name: str) -> None:
    with opened(EXAMPLES[name]) as files:
        assert layout_of(files, name) is LAYOUTS[name]
        for file in files:
            for row in rows(file):
                assert isinstance(row, Mapping)
                assert [found for found in LAYOUTS if LAYOUTS[found].has(row)] in ([], [name])


@pytest.mark.parametrize("name", LAYOUTS)
def test_a_single_file_of_an_example_is_known_with_what_lies_beside_it(name: str) -> None:
    with opened(EXAMPLES[name]) as files:
        own = [f for f in files if any(LAYOUTS[name].has(r) for r in rows(f) if is_object(r))]
    try:
        assert load_records(import_records(own[0].path))
    except RecordError as error:  # of traces and scores, each in a file of its own
        assert "has a score" in str(error) or "no call of a model" in str(error)  # noqa: PT017


def test_help_and_page_name_every_layout() -> None:
    page = (Path(__file__).parents[3] / "docs" / "importing.md").read_text(encoding="utf-8")
    told = CliRunner().invoke(main, ["import", "--help"]).output
    words = set(told.replace(",", " ").replace(";", " ").replace(".", " ").split())
    assert set(LAYOUTS) <= words
    assert all(f"| `{name}` |" in page for name in LAYOUTS)


def is_object(row: object) -> bool:
    return isinstance(row, Mapping)


# --- lm-evaluation-harness


def test_lm_eval_takes_the_score_that_is_named_whichever_filter_gave_it() -> None:
    flexible = load_records(import_records(EXAMPLES["lm-eval"], score_key="exact_match,flexible"))
    assert {s for r in flexible for s in r.scores.values()} == {1}
    strict = load_records(import_records(EXAMPLES["lm-eval"], score_key="exact_match"))
    assert strict[0].scores == {"org/large": 1, "org/small": 0}


def test_lm_eval_without_a_results_file_needs_a_folder_that_names_the_model(tmp_path: Path) -> None:
    sample = {"doc_id": 0, "doc": {}, "arguments": [["Q: Why?", " a"]], "resps": [], "acc": 1.0}
    for folder in ("org__m", "elsewhere"):
        (tmp_path / folder).mkdir()
        file = tmp_path / folder / "samples_quiz_2025-01-01T00-00-00.1.jsonl"
        file.write_text(json.dumps({**sample, "filtered_resps": []}))
    (record,) = load_records(import_records(tmp_path / "org__m"))
    assert (record.query, record.scores, record.dataset) == ("Q: Why?", {"org/m": 1}, "quiz")
    with pytest.raises(RecordError, match="results_"):
        list(import_records(tmp_path / "elsewhere"))


# --- inspect_ai


def eval_files() -> Iterator[tuple[str, dict[str, Any]]]:
    for path in sorted(EXAMPLES["inspect"].iterdir()):
        yield path.stem, json.loads(path.read_text())


@pytest.mark.parametrize("header", ["header.json", "_journal/start.json"])
def test_inspect_logs_that_are_zip_files(tmp_path: Path, header: str) -> None:
    for name, log in eval_files():
        with zipfile.ZipFile(tmp_path / f"{name}.eval", "w", zipfile.ZIP_DEFLATED) as out:
            samples = log.pop("samples")
            out.writestr(header, json.dumps(log))
            for sample in samples:
                out.writestr(f"samples/{sample['id']}_epoch_1.json", json.dumps(sample))
            out.writestr("summaries.json", "[]")
    expected = load_records(EXAMPLES["inspect"].with_name("inspect.jsonl"))
    assert list(load_records(import_records(tmp_path))) == list(expected)


def test_inspect_samples_in_pieces(tmp_path: Path) -> None:
    _, log = next(eval_files())
    sample = log.pop("samples")[0]
    sample.pop("attachments")
    sample["input"] = [{"role": "user", "content": "attachment://1"}]
    with zipfile.ZipFile(tmp_path / "log.eval", "w") as out:
        out.writestr("header.json", json.dumps(log))
        out.writestr("samples/1_epoch_1/sample.json", json.dumps(sample))
        out.writestr("samples/1_epoch_1/attachments/0.json", json.dumps(["no", "Long question?"]))
        out.writestr("samples/1_epoch_1/messages/0.json", "[]")
    (record,) = load_records(import_records(tmp_path / "log.eval"))
    assert record.query == "Long question?"


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"{}"])
def test_a_damaged_log_is_one_error_with_its_name(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "log.eval").write_bytes(content)
    with pytest.raises(RecordError, match=r"log\.eval"):
        list(import_records(tmp_path / "log.eval"))


# --- promptfoo, OpenAI Evals, RouterArena


def test_promptfoo_lines(tmp_path: Path) -> None:
    content = json.loads((EXAMPLES["promptfoo"] / "results.json").read_text())
    lines = content["results"]["results"]
    (tmp_path / "quiz.jsonl").write_text("\n".join(map(json.dumps, lines)))
    expected = load_records(EXAMPLES["promptfoo"].with_name("promptfoo.jsonl"))
    assert list(load_records(import_records(tmp_path / "quiz.jsonl"))) == list(expected)


def test_promptfoo_as_a_table(tmp_path: Path) -> None:
    each = ["Status", "Score", "Named Scores", "Metric: tone", "Grader Reason", "Comment"]
    lines = [
        ["Description", "q", "[a:small] Say: {{ q }}", *each, "[large] {{ q | upper }}", *each],
        ["", "Why?", "x", "PASS", "1.00", '{"tone": 0.5}', "0.50", "", "", *[""] * 7],
        ["", "How?", "x", "FAIL", "0.25", "", "", "no", "", "y", "ERROR", "0.00", *[""] * 4],
    ]

    def imported(score_key: Sequence[str] = ()) -> Records:
        with (tmp_path / "quiz.csv").open("w", newline="") as out:
            csv.writer(out).writerows(lines)
        return load_records(import_records(tmp_path / "quiz.csv", score_key=score_key))

    records = imported(["tone", "score"])
    assert [(r.query, r.scores) for r in records] == [("Say: Why?", {"a:small": 0.5})]
    # What a filter makes of a variable is not known, so the question is looked for among these.
    assert [p.line for p in records.problems] == [3]
    lines[0][1:3] = "question", "[a:small] Say: {{question}}"
    assert {r.query: r.scores for r in imported()} == {
        "Say: Why?": {"a:small": 1},
        "Say: How?": {"a:small": 0.25},
    }
    lines[2][10:12] = "PASS", "1.00"
    assert {r.query: r.scores for r in imported()}["How?"] == {"large": 1}


def test_output_items_of_the_platform(tmp_path: Path) -> None:
    item = {
        "object": "eval.run.output_item",
        "eval_id": "e",
        "datasource_item_id": 5,
        "datasource_item": {"input": "Why?"},
        "results": [
            {"name": "check-a2486074-d803-4445-b431-ad2262e85d47", "passed": True, "score": 1.0}
        ],
        "sample": {"model": "m", "input": [{"role": "user", "content": "Why?"}], "error": None},
    }
    (tmp_path / "items.json").write_text(json.dumps({"object": "list", "data": [item]}))
    (record,) = load_records(import_records(tmp_path / "items.json", score_key="check"))
    assert (record.query, record.scores, record.index) == ("Why?", {"m": 1}, 5)


def test_routerarena_rejects_scores_beyond_its_scale_one_by_one(tmp_path: Path) -> None:
    row = {"global_index": "A_1", "question": "q", "llm_selected": "m"}
    lines = [{**row, "evaluation_result": {"score": s}} for s in (1.0, -0.03)]
    (tmp_path / "m.jsonl").write_text("\n".join(map(json.dumps, lines)))
    records = load_records(import_records(tmp_path / "m.jsonl"))
    assert (len(records), [p.line for p in records.problems]) == (1, [2])
