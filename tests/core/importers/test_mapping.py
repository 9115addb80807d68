"""Tables and JSON of no layout, by the names of their columns."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from avengers_core import RecordError, load_records
from avengers_core.importers import import_records
from avengers_core.importers.mapping import proposal

LONG = {"q": "Why?", "llm": "a", "grade": 1, "usd": 0.5, "task": "t"}


def imported(folder: Path, rows: Any, mapping: dict[str, str], **options: Any) -> Any:
    (folder / "own.json").write_text(json.dumps(rows))
    return load_records(import_records(folder / "own.json", mapping=mapping, **options))


def test_a_row_a_result(tmp_path: Path) -> None:
    rows = [LONG, {**LONG, "llm": "b", "grade": 0}, {**LONG, "llm": "a", "grade": 0.5}]
    fields = {"query": "q", "model": "llm", "score": "grade", "cost": "usd", "dataset": "task"}
    records = imported(tmp_path, rows, fields)
    assert [r.scores for r in records] == [{"a": 1, "b": 0}, {"a": 0.5}]
    assert (records[0].dataset, records[0].usages["b"].cost) == ("t", 0.5)


@pytest.mark.parametrize(
    ("row", "fields"),
    [
        ({"s": {"a": 1, "b": 0}, "c": {"a": 2, "b": 3}}, {"score": "s", "cost": "c"}),
        ({"s": '{"a": 1, "b": 0}', "c": '{"a": 2, "b": 3}'}, {"score": "s", "cost": "c"}),
        (
            {"r": {"a": {"s": 1, "c": 2}, "b": {"s": 0, "c": 3}}},
            {"score": "r.*.s", "cost": "r.*.c"},
        ),
        (
            {"r": [{"m": "a", "s": 1, "c": 2}, {"m": "b", "s": 0, "c": 3}]},
            {"model": "r.m", "score": "r.s", "cost": "r.c"},
        ),
        (
            {"x": 1, "y": "False", "cx": 2, "c.y": 3},
            {"score.a": "x", "score.b": "y", "cost.a": "cx", "cost.b": "c.y"},
        ),
    ],
)
def test_several_results_in_a_row(tmp_path: Path, row: Any, fields: dict[str, str]) -> None:
    (record,) = imported(tmp_path, [{"in": {"text": "Why?"}, **row}], {"query": "in.text"} | fields)
    assert record.scores == {"a": 1, "b": 0}
    assert {m: u.cost for m, u in record.usages.items()} == {"a": 2, "b": 3}
    assert record.dataset == "own"


IN_LISTS = {"query": "q", "model": "r.m", "score": "r.s", "cost": "r.c"}


def test_a_model_that_comes_twice_in_a_list_has_two_results(tmp_path: Path) -> None:
    results = [{"m": "a", "s": 1, "c": 2}, {"m": "b", "s": 0}, {"m": "a", "s": 0, "c": 3}]
    records = imported(tmp_path, [{"q": "Why?", "r": results}], IN_LISTS)
    assert [r.scores for r in records] == [{"a": 1, "b": 0}, {"a": 0}]
    assert [r.usages["a"].cost for r in records] == [2, 3]


def test_lists_may_lack_a_cost_but_no_model(tmp_path: Path) -> None:
    rows = [
        {"q": "Why?", "r": [{"m": "a", "s": 1}, {"m": "b", "s": 0}]},
        {"q": "Who?", "r": [{"m": "a", "s": 1}, {"s": 0}]},
        {"q": "When?", "r": [{"m": "a"}, {"m": "b"}]},
    ]
    records = imported(tmp_path, rows, IN_LISTS)
    assert [r.scores for r in records] == [{"a": 1, "b": 0}, {"a": None, "b": None}]
    assert not any(r.usages for r in records)
    assert [problem.line for problem in records.problems] == [2]


def test_lists_of_other_lengths_are_rejected(tmp_path: Path) -> None:
    rows = [{"q": "Why?", "m": ["a", "b"], "s": s} for s in ([1], 1, [1, 0])]
    fields = {"query": "q", "model": "m", "score": "s"}
    records = imported(tmp_path, rows, fields)
    assert len(records) == 1
    assert all("2" in problem.reason for problem in records.problems)


@pytest.mark.parametrize(
    ("mapping", "word"),
    [
        ({"query": "q"}, "score"),
        ({"score": "s"}, "query"),
        ({"query": "q", "score": "s", "colour": "c"}, "colour"),
        ({}, "nothing"),
    ],
)
def test_fields_that_are_none_or_missing(mapping: dict[str, str], word: str) -> None:
    with pytest.raises(RecordError, match=word):
        import_records(__file__, mapping=mapping)


def test_a_column_that_is_not_there_is_a_problem_that_names_those_that_are(tmp_path: Path) -> None:
    records = imported(tmp_path, [LONG], {"query": "q", "model": "llm", "score": "points"})
    assert not records
    assert "points" in records.problems[0].reason
    assert "grade" in records.problems[0].reason


def test_a_score_of_nobody_is_a_problem(tmp_path: Path) -> None:
    records = imported(tmp_path, [LONG], {"query": "q", "score": "grade"})
    assert "score.MODEL=grade" in records.problems[0].reason


@pytest.mark.parametrize("score", ["85%", "good", "inf", [1]])
def test_what_is_no_score_is_a_problem_in_its_row(tmp_path: Path, score: object) -> None:
    rows = [LONG, {**LONG, "q": "How?", "grade": score}]
    records = imported(tmp_path, rows, {"query": "q", "model": "llm", "score": "grade"})
    assert (len(records), [p.line for p in records.problems]) == (1, [2])


def test_scores_on_another_scale_are_refused_together_without_it(tmp_path: Path) -> None:
    rows = [{**LONG, "q": str(i), "grade": i} for i in (0, 1, 50, 100)]
    fields = {"query": "q", "model": "llm", "score": "grade"}
    with pytest.raises(RecordError, match=r"\[0, 100\]"):
        imported(tmp_path, rows, fields)
    records = imported(tmp_path, rows, fields, scale=(0, 100))
    assert [r.scores["a"] for r in records] == [0, 0.01, 0.5, 1]


def test_keys_of_no_layout_are_named_with_what_to_do(tmp_path: Path) -> None:
    row = {"prompt": "Why?", "response": "x", "model": "m", "score": 1, "cost_usd": 1, "s": 0.8}
    (tmp_path / "own.jsonl").write_text(json.dumps(row))
    with pytest.raises(RecordError) as caught:
        list(import_records(tmp_path / "own.jsonl"))
    assert all(key in str(caught.value) for key in row)
    assert "--map query=prompt,model=model,score=score,cost=cost_usd" in str(caught.value)
    assert '"records"' in str(caught.value)


@pytest.mark.parametrize(
    ("row", "fields", "expected"),
    [
        (
            {
                "input": "Why?",
                "scores": {"Factuality": 0.5},
                "metadata": {"model": "m"},
                "metrics": {"prompt_tokens": 3, "estimated_cost": 0.25},
            },
            "query=input,model=metadata.model,score=scores.Factuality,"
            "cost=metrics.estimated_cost,prompt_tokens=metrics.prompt_tokens",
            {"m": 0.5},
        ),
        (
            {"user_input": "Why?", "faithfulness": 0.5},
            "query=user_input,score.MODEL=faithfulness",
            {"MODEL": 0.5},
        ),
        (
            {"inputs": '{"question": "Why?"}', "feedback.correctness": "0.5"},
            "query=inputs.question,score.MODEL=feedback.correctness",
            {"MODEL": 0.5},
        ),
        ({"question": "Why?", "scores": {"m": 0.5}}, "query=question,score=scores", {"m": 0.5}),
        (
            {"question": "Why?", "model": "m", "scores": {"m": 0.5}},
            "query=question,score=scores",
            {"m": 0.5},
        ),
    ],
)
def test_what_is_proposed_reads_the_rows(
    tmp_path: Path, row: dict[str, object], fields: str, expected: dict[str, float]
) -> None:
    assert proposal(row) == fields
    mapping = dict(field.split("=") for field in fields.split(","))
    (record,) = imported(tmp_path, [row], mapping)
    assert (record.query, record.scores) == ("Why?", expected)


def test_keys_of_several_layouts_are_not_guessed(tmp_path: Path) -> None:
    (tmp_path / "r.jsonl").write_text(json.dumps({"run_type": "llm", "observation_id": "o"}))
    with pytest.raises(RecordError, match="langfuse, langsmith"):
        list(import_records(tmp_path / "r.jsonl"))


def test_a_mapping_is_not_of_a_layout() -> None:
    with pytest.raises(ValueError, match="mapping="):
        import_records(__file__, "helm", mapping={"query": "q", "score": "s"})
