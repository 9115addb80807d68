"""Exports of LangSmith and Langfuse."""

from __future__ import annotations

import csv
import json

import pytest

from avengers_core import RecordError, load_records
from avengers_core.importers import import_records
from avengers_core.importers.traces import question_of


def smith(question, model, score, **more):
    return {
        "id": f"{question}-{model}",
        "run_type": "llm",
        "session_name": "support",
        "inputs": {"messages": [{"role": "user", "content": question}]},
        "outputs": {},
        "extra": {"metadata": {"ls_model_name": model}},
        "feedback_stats": None if score is None else {"helpful": {"n": 1, "avg": score}},
        "total_cost": "0.002",
        "prompt_tokens": 12,
        "completion_tokens": 3,
        **more,
    }


def write(path, rows):
    path.write_text("\n".join(map(json.dumps, rows)))
    return path


def test_langsmith_runs_on_one_question_become_one_record(tmp_path, caplog):
    rows = [
        smith("q1", "gpt-5", 5),
        smith("q1", "qwen", 1),
        smith("q2", "qwen", 3),
        smith("q3", "qwen", None),
        {**smith("chain", "", 4), "run_type": "chain", "extra": {}},
        smith("q4", "qwen", 9),
    ]
    file = write(tmp_path / "runs.jsonl", rows)
    records = load_records(import_records(file, scale=(1, 5)))
    assert [(r.query, r.scores) for r in records] == [
        ("q1", {"gpt-5": 1.0, "qwen": 0.0}),
        ("q2", {"qwen": 0.5}),
    ]
    assert records[0].usages["gpt-5"].cost == 0.002
    assert records.datasets == ("support",)
    assert [p.reason for p in records.problems] == ["the score 9 lies outside of [1, 5]"]
    assert "1 of 5 runs have no score 'helpful'" in caplog.text


def test_langsmith_as_a_table(tmp_path):
    file = tmp_path / "runs.csv"
    with file.open("w", newline="") as out:
        writer = csv.writer(out)
        writer.writerow(
            ["id", "run_type", "inputs", "outputs", "model", "feedback.helpful", "total_cost"]
        )
        writer.writerow(["1", "llm", '{"question": "Why?"}', "{}", "gpt-5", "1", "0.01"])
        writer.writerow(["2", "llm", '{"question": "How?"}', "{}", "gpt-5", "", ""])
    records = load_records(import_records(file))
    assert [(r.query, r.scores) for r in records] == [("Why?", {"gpt-5": 1.0})]


def test_the_score_has_to_be_named_where_there_are_several(tmp_path):
    two = {"helpful": {"avg": 1}, "correct": {"avg": 0}}
    file = write(tmp_path / "r.jsonl", [smith("q", "m", 1, feedback_stats=two)])
    with pytest.raises(RecordError, match=r"\['correct', 'helpful'\].*score_key="):
        list(import_records(file))
    with pytest.raises(RecordError, match="no run has a score 'nice'"):
        list(import_records(file, score_key="nice"))
    assert load_records(import_records(file, score_key="correct"))[0].scores == {"m": 0}


def test_nothing_scored_is_an_error(tmp_path):
    with pytest.raises(RecordError, match="none of the 1 runs of a model has a score"):
        list(import_records(write(tmp_path / "r.jsonl", [smith("q", "m", None)])))
    chains = [{"run_type": "chain", "inputs": {"question": "q"}}]
    with pytest.raises(RecordError, match="holds no run of a model"):
        list(import_records(write(tmp_path / "c.jsonl", chains)))


def test_a_run_without_a_question_is_reported(tmp_path):
    rows = [smith("q", "m", 1), smith("", "m", 1)]
    records = load_records(import_records(write(tmp_path / "r.jsonl", rows)))
    assert len(records) == 1
    assert "no question found" in records.problems[0].reason


OBSERVATIONS = [
    {
        "id": "o1",
        "trace_id": "t1",
        "trace_name": "chat",
        "type": "GENERATION",
        "provided_model_name": "gpt-5",
        "input": json.dumps([{"role": "user", "content": "Why?"}]),
        "usage_details": {"input": 9, "output": 4, "total": 13},
        "cost_details": {"total": 0.03},
    },
    {"id": "o2", "trace_id": "t1", "type": "SPAN", "input": "x"},
    {
        "id": "o3",
        "trace_id": "t2",
        "trace_name": "chat",
        "type": "GENERATION",
        "provided_model_name": "qwen",
        "input": {"messages": [{"role": "user", "content": "Why?"}]},
        "total_cost": 0.001,
    },
]
SCORES = [
    {"trace_id": "t1", "observation_id": "o1", "name": "ok", "value": 1},
    {"trace_id": "t2", "observation_id": None, "name": "ok", "value": 0.25},
]


def test_langfuse_files_of_observations_and_scores(tmp_path):
    write(tmp_path / "observations.jsonl", OBSERVATIONS)
    write(tmp_path / "scores.jsonl", SCORES)
    records = load_records(import_records(tmp_path))
    assert [(r.query, r.scores) for r in records] == [("Why?", {"gpt-5": 1.0, "qwen": 0.25})]
    assert records[0].usages["gpt-5"].cost == 0.03
    assert records[0].usages["gpt-5"].completion_tokens == 4
    assert records[0].usages["qwen"].cost == 0.001


def test_langfuse_trace_downloaded_from_the_page(tmp_path):
    trace = {
        "trace": {"id": "t1", "name": "chat"},
        "observations": [
            {"id": "o1", "traceId": "t1", "model": "gpt-5", "input": "Why?", "totalCost": 0.1}
        ],
        "scores": [{"traceId": "t1", "observationId": "o1", "name": "ok", "value": 1}],
    }
    (tmp_path / "trace-t1.json").write_text(json.dumps(trace))
    records = load_records(import_records(tmp_path / "trace-t1.json"))
    assert [(r.query, r.scores, r.dataset) for r in records] == [("Why?", {"gpt-5": 1}, "chat")]
    assert records[0].usages["gpt-5"].cost == 0.1


@pytest.mark.parametrize(
    "value",
    [
        "Why?",
        {"question": "Why?"},
        {"input": {"query": "Why?"}},
        {"prompts": ["Why?"]},
        '{"messages": [{"type": "human", "content": "Why?"}]}',
        [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Why?"}],
        [[{"id": ["langchain", "HumanMessage"], "kwargs": {"content": "Why?"}}]],
        {"messages": [{"role": "user", "content": [{"type": "text", "text": "Why?"}]}]},
        [{"role": "user", "content": "Why?"}, {"role": "assistant", "content": "Because."}],
    ],
)
def test_the_question_is_found(value):
    assert question_of(value) == "Why?"


@pytest.mark.parametrize("value", [None, "", {}, [], {"messages": []}, 3])
def test_no_question_is_an_error(value):
    with pytest.raises(ValueError, match="no question found"):
        question_of(value)
