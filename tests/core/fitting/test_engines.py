"""Every engine gives the artifact that one process in memory gives."""

from __future__ import annotations

import json
from inspect import signature
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest

from avengers_core import ArtifactError, AvengersError, RecordError, bulk, fit, load_records
from avengers_core.embedders import CachedEmbedder

SMALL = 4_000  # bytes a part: many parts of little


def assert_same(one, other):
    assert one.models == other.models
    assert one.datasets == other.datasets
    np.testing.assert_array_equal(one.centroids, other.centroids)
    assert (one.refinement is None) is (other.refinement is None)
    for part in ("statistics", "refinement"):
        sums, others = getattr(one, part), getattr(other, part)
        for name, values in sums.arrays().items() if sums else ():
            np.testing.assert_allclose(values, others.arrays()[name], atol=1e-9, err_msg=name)


@pytest.mark.parametrize("how", [{"engine": "serial"}, {"engine": "processes", "workers": 2}])
def test_every_engine_gives_what_memory_gives_and_a_cache_serves_it(
    folder, in_memory, tmp_path, how
):
    cached = CachedEmbedder("wordllama", tmp_path / "cache.sqlite")
    found = bulk.fit(folder, cached, n_clusters=6, part_bytes=SMALL, **how)
    assert (tmp_path / "cache.sqlite").stat().st_size > 100_000
    assert found.records == 240
    assert_same(found.artifact, in_memory)
    assert found.problems.count == 2
    where = [(Path(p.file).name, p.row) for p in found.problems.first]
    assert where == [("1.jsonl", 61), ("3.parquet", 41)]
    assert "a number in [0, 1]" in str(found.problems.first[1])


def test_beyond_the_sample_the_engines_still_agree(folder, rows, monkeypatch):
    monkeypatch.setattr("avengers_core.fitting.fit.MAX_SAMPLE", 50)
    found = bulk.fit(folder, n_clusters=4, engine="serial", part_bytes=SMALL)
    assert_same(found.artifact, fit(rows, n_clusters=4))
    # Too low a limit is noticed: the sample is then drawn again without one.
    monkeypatch.setattr("avengers_core.fitting.fit.likely_limit", lambda *_: 1 << 60)
    again = bulk.fit(folder, n_clusters=4, engine="serial", part_bytes=SMALL)
    assert again.artifact == found.artifact


def test_given_centroids_and_left_out_models_and_datasets(folder, rows, in_memory):
    found = bulk.fit(folder, engine="serial", centroids=in_memory)
    assert_same(found.artifact, in_memory)
    chosen = bulk.fit(
        folder,
        n_clusters=2,
        engine="serial",
        excluded_models=["odd"],
        excluded_datasets=["greek"],
    )
    expected = [r for r in rows if r["dataset"] == "other"]
    assert_same(chosen.artifact, fit(expected, n_clusters=2, models=["good", "cheap"]))


def test_what_is_left_out_leaves_what_it_leaves_in_memory(tmp_path):
    """Records that know no other model go, with datasets that only they have."""
    rows = [
        {"query": "left out", "records": {"late": 1, "gone": 1}, "dataset": "out"},
        {"query": "no other", "records": {"gone": 1, "going": None}, "dataset": "empty"},
        *({"query": f"a {i}", "records": {"m": i % 2, "gone": 1}} for i in range(10)),
        *({"query": f"b {i}", "records": {"gone": 1}, "dataset": "more"} for i in range(10)),
        *({"query": f"c {i}", "records": {"late": 0, "m": 1}, "dataset": "more"} for i in range(5)),
    ]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = bulk.fit(
        tmp_path,
        n_clusters=3,
        engine="serial",
        part_bytes=200,
        excluded_models=["gone", "going"],
        excluded_datasets=["out"],
    )
    records = load_records(rows)
    kept = records.replace(r for r in records if r.dataset != "out")
    expected = fit(kept.without_models(["gone", "going"]), n_clusters=3)
    assert found.records == expected.n_records == 15
    assert found.artifact.models == ("late", "m")
    assert found.artifact.datasets == ("default", "more")
    assert_same(found.artifact, expected)


@pytest.mark.parametrize("kind", ["model", "dataset"])
def test_what_is_to_be_left_out_must_be_there(folder, kind):
    with pytest.raises(ValueError, match=rf"{kind}.*\['typo'\]"):
        bulk.fit(folder, engine="serial", **{f"excluded_{kind}s": ["typo"]})


def test_rejected_rows_bring_in_no_names(tmp_path):
    lines = [
        '{"query": "a b", "records": {"m": 1}}',
        '{"query": "c d", "records": {"ghost": 7, "m": 1}}',
        '{"query": " ", "records": {"m": 1}, "dataset": "ghosts"}',
        '{"query": "e f", "records": {"m": 0, "late": null}}',
        '{"query": "g h", "records": {"late": 1}}',
    ]
    (tmp_path / "r.jsonl").write_text("\n".join(lines))
    found = bulk.fit(tmp_path, n_clusters=2, engine="serial", part_bytes=40)
    assert found.artifact.models == ("m", "late")
    assert found.artifact.datasets == ("default",)
    assert_same(found.artifact, fit(tmp_path / "r.jsonl", n_clusters=2))


def test_rows_that_are_laid_out_otherwise_count_in_parts_too(tmp_path):
    """As in memory: scores under the attribute's name, fields of nothing, half a surrogate pair."""
    rows = [
        {"query": f"q{i}", "scores": {"ab"[i % 2]: 1, "c": 0}, "dataset": f"d{i % 3}"}
        for i in range(10)
    ]
    rows.append({"query": "null", "records": {"a": 1}, "dataset": None})
    rows.append({"query": "both", "records": None, "scores": {"late": 1}})
    rows.append({"query": "half \ud83d", "records": {"half": 1}})
    rows.append({"query": "neither", "records": [], "scores": {"ghost": 1}})
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = bulk.fit(tmp_path, n_clusters=2, engine="serial", part_bytes=60)
    assert found.problems.count == 1
    assert_same(found.artifact, fit(tmp_path / "r.jsonl", n_clusters=2))


def test_missing_as_zero_knows_all_models(tmp_path):
    rows = [{"query": f"q{i}", "records": {"ab"[i % 2]: 1, "c": None}} for i in range(10)]
    (tmp_path / "r.jsonl").write_text("\n".join(map(json.dumps, rows)))
    found = bulk.fit(tmp_path, n_clusters=2, engine="serial", part_bytes=60, missing="zero")
    expected = fit(load_records(rows, missing="zero"), n_clusters=2)
    assert_same(found.artifact, expected)


def test_what_can_not_be_fitted(folder, tmp_path):
    (tmp_path / "r.jsonl").write_text("no\nrecords\n")
    with pytest.raises(RecordError, match=r"\b2 rows .*r\.jsonl:1: "):
        bulk.fit(tmp_path, engine="serial")
    with pytest.raises(RecordError, match=r"\['nobody'\]"):
        bulk.fit(folder, engine="serial", models=["nobody"])
    with pytest.raises(RecordError, match="cheap, good, odd"):
        bulk.fit(folder, engine="serial", excluded_models=["good", "cheap", "odd"])
    with pytest.raises(ValueError, match=r"engine.*'steam'"):
        bulk.fit(folder, engine="steam")
    with pytest.raises(ValueError, match=r"workers.*\b0\b"):
        bulk.fit(folder, workers=0)
    with pytest.raises(AvengersError):
        bulk.fit(folder, lambda texts: np.ones((len(texts), 2)), engine="processes", workers=1)


@pytest.mark.parametrize("engine", ["memory", "serial"])
def test_every_engine_takes_what_a_person_has(folder, rows, tmp_path, engine):
    (tmp_path / "rows.json").write_text(json.dumps(rows))
    size = {} if engine == "memory" else {"part_bytes": SMALL}
    quickly = {"n_clusters": 6, "n_init": 1, "refine": False}
    expected = fit(rows, **quickly)
    sources = {
        "folder": folder,
        "array": tmp_path / "rows.json",
        "several": [f"{folder}/*.jsonl*", f"file://{folder}/3.parquet", folder / "4.parquet"],
        "iterable": iter(rows),
        "stream": BytesIO((tmp_path / "rows.json").read_bytes()),
        "records": load_records(rows),
    }
    kinds = sources if engine == "serial" else {"several": sources["several"]}
    for kind in kinds:
        assert_same(fit(sources[kind], engine=engine, **quickly, **size), expected)


@pytest.mark.parametrize("engine", ["memory", "serial"])
def test_every_engine_is_strict_where_it_is_told_to(folder, in_memory, engine):
    with pytest.raises(RecordError, match=r"1\.jsonl:61: "):
        fit(folder, n_clusters=6, engine=engine, strict=True)
    with pytest.raises(RecordError, match=r"1\.jsonl:61: "):
        in_memory.update(folder, engine=engine, strict=True)


def test_what_was_rejected_is_in_the_log(folder, caplog):
    fit(folder, n_clusters=2)
    assert "2 rows were rejected" in caplog.text


@pytest.mark.parametrize("engine", ["memory", "serial"])
def test_update_and_a_new_model_with_every_engine(rows, in_memory, tmp_path, engine):
    new = [{**r, "records": {"new": 1, "good": 0}, "usages": {}} for r in rows[:50]]
    (tmp_path / "new.jsonl").write_text("\n".join(map(json.dumps, new)))
    found = in_memory.add_model("new", tmp_path / "new.jsonl", engine=engine)
    assert_same(found, in_memory.add_model("new", new))
    assert found.models == (*in_memory.models, "new")
    updated = in_memory.update(tmp_path / "new.jsonl", engine=engine)
    assert_same(updated, in_memory.update(new))
    with pytest.raises(ArtifactError, match="'nobody'"):
        in_memory.add_model("nobody", new, engine=engine)


def test_a_sample_is_embedded_once_in_memory(rows):
    asked = []

    def counted(texts):
        asked.extend(texts)
        return [[1.0, len(text) % 7, len(text) % 3] for text in texts]

    fit(rows, counted, n_clusters=3)
    assert len(asked) == len(set(asked)) == len({r["query"] for r in rows})


def test_fit_has_the_arguments_of_whom_it_hands_them_to():
    assert "excluded_models" in signature(fit).parameters
    assert signature(bulk.fit).parameters == signature(fit).parameters
