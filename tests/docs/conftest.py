"""The folder in which a newcomer stands: records, logs, results, and an endpoint that answers."""

from __future__ import annotations

import gzip
import json
import shutil
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from in_process import stay_in_process
from stub_server import StubServer

from avengers_core.calls import Call, Feedback, store
from avengers_core.calls.rows import Row
from avengers_core.calls.store import open_log

EXAMPLES = Path(__file__).parents[1] / "core" / "importers" / "examples"
SAMPLE = Path(__file__).parents[2] / "examples" / "data" / "sample.jsonl"


@pytest.fixture
def folder(tmp_path: Path, server: StubServer, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An own folder with every file that a page names, and an environment with an endpoint."""
    for prefix in ("AVENGERS", "OPENAI", "EMBEDDING"):
        monkeypatch.setenv(f"{prefix}_BASE_URL", server.url)
        monkeypatch.setenv(f"{prefix}_API_KEY", "k")
    monkeypatch.setenv("OPENAI_API_BASE", server.url)  # what LlamaIndex reads
    monkeypatch.chdir(tmp_path)
    # A few of each kind of question, and no processes: what is shown is that the commands work.
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()[::30]
    stay_in_process(monkeypatch)
    for name in ("records.jsonl", "today.jsonl", "examples/data/sample.jsonl"):
        write(tmp_path / name, "\n".join(lines))
    write(tmp_path / "questions.txt", "What is 7 times 8?\nWrite a poem.\n")
    logs(tmp_path, [json.loads(line) for line in lines])
    results(tmp_path / "results" / "bench")
    runs(tmp_path / "runs.jsonl")
    others(tmp_path)
    export(tmp_path / "export")
    hub(tmp_path / "hub", monkeypatch)
    calls(tmp_path / "calls.sqlite", [json.loads(line)["query"] for line in lines])
    return tmp_path


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def logs(folder: Path, rows: list[dict[str, Any]]) -> None:
    table = pa.Table.from_pylist(
        [{**row, **{k: json.dumps(row[k]) for k in ("records", "usages")}} for row in rows]
    )
    for name in ("logs/monday.parquet", "held-out/sunday.parquet"):
        (folder / name).parent.mkdir(exist_ok=True)
        pq.write_table(table, folder / name)
    text = "\n".join(json.dumps(row) for row in rows[:40])
    (folder / "logs" / "tuesday.jsonl.gz").write_bytes(gzip.compress(text.encode()))


def results(folder: Path) -> None:
    """Results as LLMRouterBench writes them."""
    row = {"index": 1, "origin_query": "What is 7 times 8?", "score": 1.0, "cost": 0.001}
    for model in ("small", "large"):
        file = folder / "aime" / "test" / model / "20250101_000000.json"
        write(file, json.dumps({"performance": 1.0, "records": [row]}))


def runs(file: Path) -> None:
    """Runs as LangSmith exports them, with a score of 1 to 5."""
    run = {
        "id": "1",
        "run_type": "llm",
        "session_name": "support",
        "inputs": {"messages": [{"role": "user", "content": "Where is my parcel?"}]},
        "outputs": {},
        "extra": {"metadata": {"ls_model_name": "gpt-5"}},
        "feedback_stats": {"helpfulness": {"n": 1, "avg": 4}},
        "total_cost": "0.002",
    }
    write(file, json.dumps(run))


def calls(file: Path, queries: list[str]) -> None:
    """A log of graded calls, as the plugins' ``log=`` writes it."""
    model = next(iter(json.loads(SAMPLE.read_text(encoding="utf-8").splitlines()[0])["records"]))
    rows: list[Row] = []
    for i, query in enumerate(queries):
        given = {"id": str(i), "time": 1.9e9 + i, "question": query, "answered_by": model}
        rows.append(Call(**{**dict.fromkeys(Call._fields), **given}))  # type: ignore[arg-type]
        rows.append(Feedback(str(i), 1.0, 1.9e9 + i, "thumb"))
    with closing(open_log(file)) as log:
        store.write(log, rows)


def others(folder: Path) -> None:
    """Results of lm-evaluation-harness, spans with feedback, prices, and scores of no layout."""
    shutil.copytree(EXAMPLES / "evaluations" / "lm-eval", folder / "lm_eval_output")
    shutil.copy(EXAMPLES / "traces" / "opentelemetry" / "spans.jsonl", folder)
    write(folder / "thumbs.csv", "span_id,name,score\n0a,correct,0\n")
    write(folder / "prices.json", json.dumps({"made-up/tiny": [1e-7, 4e-7]}))
    write(folder / "own.json", json.dumps([{"question": "Why?", "scores": {"a": 1, "b": 0}}]))


def export(folder: Path) -> None:
    """What the published code's ``--export_cluster`` writes."""
    folder.mkdir()
    np.save(folder / "cluster_centers.npy", np.eye(2, 8, dtype=np.float32))
    cell = {"accuracy": 0.5, "avg_cost": 0.2, "total_cost": 2.0, "total_queries": 10}
    write(folder / "balance_metrics.json", json.dumps({"0": {"a": cell}, "1": {"a": cell}}))
    metadata = {
        "available_models": ["a"],
        "config": {"top_k": 1, "beta": 6.0, "seed": 42, "n_clusters": 2},
        "embedding_model": "test/words",
    }
    write(folder / "metadata.json", json.dumps(metadata))


def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hub that is a folder."""
    row = {"query": "q", "task_name": "t", "model_name": "m", "performance": 1}
    table = pa.Table.from_pylist([row])
    (folder / "data").mkdir(parents=True)
    pq.write_table(table, folder / "data" / "scores.parquet")
    results(folder / "bench")
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: str(folder / "bench"))
    monkeypatch.setattr(
        "huggingface_hub.hf_hub_download", lambda _repo, filename, **_kw: str(folder / filename)
    )
