"""The layouts of the public benchmarks."""

from __future__ import annotations

import csv
import gzip
import json
import pickle
import re
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from avengers_core import RecordError, fit, load_records
from avengers_core.importers import LAYOUTS, import_records


def result_file(folder: Path, dataset: str, model: str, time: str, scores: list[float]) -> None:
    file = folder / dataset / "test" / model / f"{time}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    records = [
        {
            "index": i,
            "origin_query": f"{dataset} question {i}",
            "prompt": "few shots ... " * 3,
            "prediction": "x",
            "score": score,
            "prompt_tokens": 10,
            "completion_tokens": 5,
            "cost": 0.001,
        }
        for i, score in enumerate(scores, 1)
    ]
    file.write_text(json.dumps({"performance": 0.5, "records": records}))


@pytest.fixture
def bench(tmp_path):
    folder = tmp_path / "bench"
    result_file(folder, "aime", "small", "20250101_000000", [0, 0])
    result_file(folder, "aime", "small", "20250201_000000", [1, 0])
    result_file(folder, "aime", "large", "20250101_000000", [1, 1, 1])
    result_file(folder, "bbh", "large", "20250101_000000", [0.5])
    return folder


def test_llmrouterbench_joins_models_and_takes_the_newest_run(bench):
    records = load_records(import_records(bench))
    assert not records.problems
    assert [(r.dataset, r.index, r.scores) for r in records] == [
        ("aime", 1, {"large": 1, "small": 1}),
        ("aime", 2, {"large": 1, "small": 0}),
        ("aime", 3, {"large": 1}),
        ("bbh", 1, {"large": 0.5}),
    ]
    assert records[0].query == "aime question 1"
    assert records[0].usages["small"].cost == 0.001
    assert records[0].usages["small"].prompt_tokens == 10


def test_llmrouterbench_reports_what_is_no_result(bench):
    broken = bench / "aime" / "test" / "broken"
    broken.mkdir()
    (broken / "1.json").write_text('{"records": "none"}')
    other = bench / "zebra" / "test" / "other"
    other.mkdir(parents=True)
    items = [
        {"score": 1},
        {"score": "high", "prompt": "q"},
        3,
        {"prompt": "q"},
        {"score": 1, "prompt": "q", "index": [1]},
    ]
    (other / "1.json").write_text(json.dumps({"records": items}))
    records = load_records(import_records(bench, "llmrouterbench"))
    assert len(records) == 4
    assert [(p.line, p.reason) for p in records.problems] == [
        (1, "bench/aime/test/broken/1.json: expected an object with a list `records`"),
        (1, "bench/zebra/test/other/1.json: no 'prompt'"),
        (2, "bench/zebra/test/other/1.json: expected a number, got 'high'"),
        (3, "bench/zebra/test/other/1.json: expected an object, got '3'"),
        (4, "bench/zebra/test/other/1.json: no 'score'"),
        (5, "bench/zebra/test/other/1.json: expected a number or text as index, got '[1]'"),
    ]


@pytest.mark.parametrize("content", ['{"records": [1]}', '{"records": [null]}'])
def test_llmrouterbench_is_recognised_by_records_that_are_none(tmp_path, content):
    (tmp_path / "r.json").write_text(content)
    (problem,) = load_records(import_records(tmp_path / "r.json")).problems
    assert problem.line == 1
    assert problem.reason.startswith("r.json: expected an object, got")


def test_llmrouterbench_takes_the_newest_run_wherever_it_lies(tmp_path):
    result_file(tmp_path / "a", "aime", "small", "20250201_000000", [1])
    result_file(tmp_path / "b", "aime", "small", "20250101_000000", [0])
    assert [r.scores for r in load_records(import_records(tmp_path))] == [{"small": 1}]


ROUTERBENCH = {
    "sample_id": ["mmlu.1", "mmlu.2"],
    "prompt": ["['What is 2+2?']", "['Who?\\nA. me']"],
    "eval_name": ["mmlu", "mmlu"],
    "gpt-4": [1.0, None],
    "mixtral": ["0.0", "0.25"],
    "gpt-4|total_cost": [0.01, 0.02],
    "mixtral|total_cost": [0.0001, 0.0002],
    "gpt-4|model_response": ["4", "you"],
    "oracle_model_to_route_to": ["gpt-4", "mixtral"],
}


@pytest.mark.parametrize("kind", ["csv", "parquet"])
def test_routerbench(tmp_path, kind):
    file = tmp_path / f"routerbench_0shot.{kind}"
    if kind == "parquet":
        pq.write_table(pa.table(ROUTERBENCH), file)
    else:
        with file.open("w", newline="") as out:
            csv.writer(out).writerows([ROUTERBENCH, *zip(*ROUTERBENCH.values(), strict=True)])
    records = load_records(import_records(file))
    assert not records.problems
    assert [r.query for r in records] == ["What is 2+2?", "Who?\nA. me"]
    assert records[0].scores == {"gpt-4": 1, "mixtral": 0}
    assert records[1].scores == {"gpt-4": None, "mixtral": 0.25}
    assert records[1].usages["mixtral"].cost == 0.0002
    assert records.datasets == ("mmlu",)


@pytest.mark.parametrize(
    "prompt",
    [
        "It's 2 \\ 3?\tTab, \u2028 and 'quotes' \"both\"",
        "['not a list",
        "['a'] + ['b']",
        "['a', 3]x",
    ],
)
def test_routerbench_prompts_are_what_they_were_before_they_were_a_table(tmp_path, prompt):
    file = tmp_path / "r.csv"
    with file.open("w", newline="") as out:
        rows = [["prompt", "eval_name", "m"], [repr([prompt]), "e", 1], [prompt, "e", 1]]
        csv.writer(out).writerows([*rows, [repr(["turn 1", "turn 2"]), "e", 1]])
    queries = [r.query for r in load_records(import_records(file))]
    assert queries == [prompt, prompt, "turn 1\nturn 2"]


@pytest.mark.parametrize("name", ["routerbench_0shot.pkl", "data.pickle"])
def test_a_pickle_is_refused_and_never_opened(tmp_path, name):
    class Explodes:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    file = tmp_path / name
    file.write_bytes(pickle.dumps(Explodes()))
    with pytest.raises(RecordError, match=r"pickle.*to_parquet"):
        import_records(file)
    (tmp_path / "README.md").touch()
    with pytest.raises(RecordError, match="pickle"):
        import_records(tmp_path)
    assert not (tmp_path / "executed").exists()


def test_routellm_takes_each_file_as_a_dataset(tmp_path):
    header = "prompt,mixtral-8x7b-instruct-v0.1,gpt-4-1106-preview\n"
    (tmp_path / "mmlu_law.csv").write_text(header + '"Who?\nA. me",True,False\nWhat?,False,True\n')
    (tmp_path / "mmlu_art.csv").write_text(header + "Why?,True,True\n")
    records = load_records(import_records(tmp_path))
    assert records.datasets == ("mmlu_art", "mmlu_law")
    assert [r.scores["gpt-4-1106-preview"] for r in records] == [1, 0, 1]
    assert records[1].query == "Who?\nA. me"


def test_routellm_leaves_out_columns_of_texts_and_reports_short_rows(tmp_path):
    file = tmp_path / "gsm8k.csv"
    file.write_text("prompt,gpt-4,gpt-4_answer\nHow many?,True,five\nbroken,True\nLast?,maybe,2\n")
    records = load_records(import_records(file, "routellm"))
    assert [dict(r.scores) for r in records] == [{"gpt-4": 1}]
    short, wrong = map(str, records.problems)
    assert "expected 3 columns, got 2: broken,True" in short
    assert "maybe" in wrong


def test_routellm_reports_rows_without_a_column(tmp_path):
    file = tmp_path / "gsm8k.jsonl"
    rows = [{"prompt": "1+1?", "m": 1}, {"prompt": "2+2?"}, {"m": 1}, {"prompt": "3+3?", "m": 0}]
    file.write_text("\n".join(map(json.dumps, rows)))
    records = load_records(import_records(file, "routellm"))
    assert [r.query for r in records] == ["1+1?", "3+3?"]
    assert [(p.line, p.reason) for p in records.problems] == [
        (2, "gsm8k.jsonl: no 'm'"),
        (3, "gsm8k.jsonl: no 'prompt'"),
    ]


def test_routellm_does_not_lose_a_model_that_has_no_result_at_first(tmp_path):
    file = tmp_path / "gsm8k.csv"
    file.write_text("prompt,gpt-4,mixtral,answer\n1+1?,,1,two\n2+2?,1,0,4\n")
    records = load_records(import_records(file, "routellm"))
    assert not records.problems
    assert [r.scores for r in records] == [{"mixtral": 1}, {"gpt-4": 1, "mixtral": 0}]


def test_routerbench_reports_what_is_no_number(tmp_path):
    rows = [{"prompt": "q", "eval_name": "e", "m": score} for score in ([1], 10**400, 1)]
    (tmp_path / "r.json").write_text(json.dumps(rows))
    records = load_records(import_records(tmp_path / "r.json"))
    assert len(records) == 1
    assert [p.line for p in records.problems] == [1, 2]
    assert records.problems[0].reason == "r.json: expected a number, got '[1]'"


@pytest.mark.parametrize("name", ["bad.json.gz", "cut.jsonl.gz"])
def test_a_damaged_gzip_is_one_clear_error(tmp_path, name):
    data = gzip.compress(b'{"prompt": "x"}' * 50)
    (tmp_path / name).write_bytes(data[:20] if name.startswith("cut") else data[:10] + b"garbage")
    with pytest.raises(RecordError, match=re.escape(name)):
        list(import_records(tmp_path / name))


def test_a_damaged_parquet_is_one_clear_error(tmp_path):
    pq.write_table(pa.table(ROUTERBENCH), file := tmp_path / "r.parquet")
    data = bytearray(file.read_bytes())
    data[4:400] = bytes(396)
    file.write_bytes(data)
    with pytest.raises(RecordError, match=r"r\.parquet"):
        list(import_records(file))


def test_the_layout_is_that_of_the_first_file_that_has_one(tmp_path):
    (tmp_path / "a.json").write_text('{"name": "about this data set"}')
    (tmp_path / "b.csv").write_text("query,model_name,performance\nq,m,1\n")
    records = load_records(import_records(tmp_path))
    assert len(records) == 1
    assert "no 'query'" in records.problems[0].reason


def test_llmrouter_joins_rows_and_keeps_repeated_results(tmp_path):
    rows = [
        {"query": "q1", "task_name": "nq", "model_name": "a", "performance": 1, "cost": 0.1},
        {"query": "q1", "task_name": "nq", "model_name": "b", "performance": 0, "input_tokens": 7},
        {"query": "q1", "task_name": "nq", "model_name": "a", "performance": 0.5},
        {"task_name": "nq", "model_name": "a", "performance": 0.5},
    ]
    file = tmp_path / "routing_data.jsonl.gz"
    file.write_bytes(gzip.compress("\n".join(map(json.dumps, rows)).encode()))
    records = load_records(import_records(file))
    assert [dict(r.scores) for r in records] == [{"a": 1, "b": 0}, {"a": 0.5}]
    assert records[0].usages["b"].prompt_tokens == 7
    assert [p.reason for p in records.problems] == ["routing_data.jsonl.gz: no 'query'"]


def test_what_is_imported_can_be_fitted(tmp_path):
    rows = [
        {"query": f"question {i}", "task_name": "t", "model_name": m, "performance": i % 2}
        for i in range(8)
        for m in ("a", "b")
    ]
    (tmp_path / "r.json").write_text(json.dumps(rows))
    artifact = fit(load_records(import_records(tmp_path / "r.json")), n_clusters=2)
    assert artifact.models == ("a", "b")


def test_what_fits_no_layout_is_refused_with_a_list_of_them(tmp_path):
    file = tmp_path / "x.json"
    file.write_text('[{"colour": "red"}]')
    with pytest.raises(RecordError, match="colour") as caught:
        list(import_records(file))
    for name in LAYOUTS:
        assert name in str(caught.value)
    with pytest.raises(RecordError, match="'excel'"):
        import_records(file, "excel")
    with pytest.raises(RecordError, match="nowhere"):
        import_records(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match="empty"):
        list(import_records(tmp_path / "empty"))
