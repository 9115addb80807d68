"""Importing what the published implementation exports."""

from __future__ import annotations

import json

import numpy as np
import pytest

from avengers_core import ArtifactError, Router, RouterArtifact, load_records


@pytest.fixture
def export(tmp_path):
    """An export of two clusters and two models, with a pickle that must not be opened."""
    np.save(tmp_path / "cluster_centers.npy", np.eye(2, 8, dtype=np.float32))
    (tmp_path / "normalizer.pkl").write_bytes(b"\x80\x04cos\nsystem\n.")
    cell = {"accuracy": 0.5, "avg_cost": 0.2, "total_cost": 2.0, "total_queries": 10}
    metrics = {
        "0": {"a": cell, "b": {**cell, "accuracy": 1.0}},
        "1": {"a": cell, "b": {**cell, "avg_cost": 0.4, "total_cost": 4.0}},
    }
    (tmp_path / "balance_metrics.json").write_text(json.dumps(metrics))
    metadata = {
        "available_models": ["a", "b"],
        "config": {"top_k": 1, "beta": 6.0, "seed": 42, "n_clusters": 2},
        "embedding_model": "test/words",
    }
    (tmp_path / "metadata.json").write_text(json.dumps(metadata))
    return tmp_path


def test_means_become_sums_and_options_stay(export, embedder):
    artifact = RouterArtifact.from_reference_export(export)
    assert artifact.models == ("a", "b")
    assert artifact.statistics.score.tolist() == [[5, 10], [5, 5]]
    assert artifact.statistics.cost.tolist() == [[2, 2], [2, 4]]
    router = Router(artifact, embedder)
    assert router.scorer.name == "reference"
    assert router.scorer.options == {"top_k": 1, "beta": 6.0}
    assert router.route_vectors(np.eye(2, 8), alpha=0.5).tolist() == [1, 0]


@pytest.mark.parametrize(
    "missing", ["cluster_centers.npy", "metadata.json", "balance_metrics.json"]
)
def test_a_missing_file_is_one_clear_error(export, missing):
    (export / missing).unlink()
    with pytest.raises(ArtifactError, match=missing):
        RouterArtifact.from_reference_export(export)


def test_the_published_export_reproduces_its_decisions(shared):
    reference = np.load(shared / "reference" / "reference_uiuc9.npz")
    artifact = RouterArtifact.from_reference_export(shared / "reference" / "export_alpha_0.4")
    records = load_records(shared / "data" / "uiuc9.jsonl.gz")
    by_name = {f"{r.dataset}|{r.index}": r.query for r in records}
    router = Router(artifact)
    queries = [by_name[name] for name in reference["test_index"].tolist()]
    chosen = router.route_vectors(router.embed(queries), alpha=0.4)
    names = json.loads((shared / "reference" / "reference_uiuc9.json").read_text())["models"]
    expected = [names[i] for i in reference["decisions_0.4"]]
    assert [router.models[i] for i in chosen] == expected
