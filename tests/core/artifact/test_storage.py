"""Artifacts on disk."""

from __future__ import annotations

import copy
import errno
import hashlib
import json
import os
import pickle
import signal
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from children import child, needs_sigkill, save_without_end
from hypothesis import given
from hypothesis import strategies as st

from avengers_core import (
    ArtifactError,
    EmbedderMismatchError,
    Router,
    RouterArtifact,
    fit,
)
from avengers_core.artifact.estimation.inference import Inference
from avengers_core.artifact.info import ArtifactInfo
from avengers_core.artifact.statistics import Statistics
from avengers_core.artifact.storage.content import stored
from avengers_core.common import files
from avengers_core.embedders import CallableEmbedder


@pytest.fixture(scope="module")
def fitted(make_records, embedder):
    return fit(make_records(), embedder, n_clusters=3, note="made up", source="a test")


@pytest.fixture
def artifact(fitted):
    """One of one's own: tests write into its arrays."""
    return copy.deepcopy(fitted)


@pytest.fixture
def folder(artifact, tmp_path):
    artifact.save(tmp_path / "artifact")
    return tmp_path / "artifact"


def edit(folder: Path, **changes):
    file = folder / "artifact.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_it_takes_the_place_of_what_was_read_alone(artifact, folder):
    grown = artifact.merge(artifact)
    grown.save(folder, replacing=artifact)
    with pytest.raises(ArtifactError, match="changed"):
        artifact.save(folder, replacing=artifact)
    assert RouterArtifact.load(folder) == grown
    with pytest.raises(ArtifactError):
        grown.save(folder.parent / "gone", replacing=artifact)


def test_round_trip(artifact, folder, embedder):
    loaded = RouterArtifact.load(folder)
    assert loaded == artifact
    assert loaded.info == artifact.info
    assert Router(loaded, embedder).route("alpha") == Router(artifact, embedder).route("alpha")
    manifest = json.loads((folder / "artifact.json").read_text())
    assert manifest["info"]["note"] == "made up"
    assert manifest["n_records"] == 60
    assert {"embedder", "created", "version", "fit"} <= set(manifest["info"])


def test_what_was_found_in_the_sums_is_stored_with_them(artifact, folder, embedder, monkeypatch):
    loaded = RouterArtifact.load(folder)
    before = Router(artifact, embedder).route("alpha")

    def never(*_: object) -> None:
        raise AssertionError("found again")

    monkeypatch.setattr(Inference, "of", never)
    decision = Router(loaded, embedder).route("alpha")
    assert decision == before
    for model, scores in before.plausible_scores.items():
        np.testing.assert_array_equal(decision.plausible_scores[model], scores)


def test_what_was_found_in_other_sums_is_of_no_effect(artifact, folder, make_records, embedder):
    loaded = RouterArtifact.load(folder)
    records = make_records(40)
    for grown in (
        loaded.update(records, embedder),
        loaded.merge(artifact),
        loaded.select_models(loaded.models[:1]),
        replace(loaded, inference=replace(loaded.inference, logits=loaded.inference.logits[:1])),
    ):
        anew = replace(grown, inference=None)
        np.testing.assert_array_equal(grown.beliefs.scores, anew.beliefs.scores)


def test_how_far_inference_is_believed_is_stored(artifact, folder):
    assert RouterArtifact.load(folder).info.trust == artifact.info.trust < 1
    wholly = replace(artifact, info=artifact.info.model_copy(update={"trust": 1.0}))
    assert wholly.checksum != artifact.checksum


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_any_artifact_round_trips(tmp_path_factory, k, m, d, seed):
    rng = np.random.default_rng(seed)
    s = Statistics.zeros(k, m, d)
    for values in s.arrays().values():
        values[:] = rng.uniform(0.01, 1, size=values.shape)
    s.n[:] += s.score
    artifact = RouterArtifact(
        tuple(f"m{i}" for i in range(m)),
        tuple(f"d{i}" for i in range(d)),
        rng.normal(size=(k, 5)).astype(np.float32),
        s,
        ArtifactInfo(embedder="test"),
    )
    path = tmp_path_factory.mktemp("artifact")
    artifact.save(path)
    assert RouterArtifact.load(path) == artifact


def test_saving_again_replaces_and_cleans_up(artifact, folder):
    smaller = artifact.drop_models(["odd"])
    smaller.save(folder)
    assert RouterArtifact.load(folder) == smaller
    assert len(list(folder.iterdir())) == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format_version": 99}, r"\b99\b.*\b1\b"),
        ({"format_version": None}, r"version.*\bNone\b"),
        ({"surprise": 1}, "surprise"),
        ({"models": "good"}, "models"),
        ({"models": ["good", "cheap"]}, r"statistics.*\(3, 3\).*\(3, 2\)"),
        ({"models": ["good", "cheap", "cheap"]}, "artifact.json.*models"),
        ({"datasets": ["greek"]}, r"topics.*\(.*\(.*\)"),
        ({"n_records": 5}, r"n_records.*\b60\b.*\b5\b.*artifact\.json"),
        ({"format_version": True}, r"version.*\bTrue\b"),
        ({"arrays": "../../etc/passwd"}, "arrays"),
        (
            {"arrays": "arrays-0123456789abcdef.safetensors"},
            r"arrays-0123456789abcdef\.safetensors",
        ),
        ({"sha256": "0" * 64}, r"arrays-\w+\.safetensors"),
    ],
)
def test_a_wrong_manifest_is_one_clear_error(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(ArtifactError, match=message) as error:
        RouterArtifact.load(folder)
    assert "missing or unknown" not in str(error.value)


def test_what_is_no_artifact(tmp_path, folder):
    with pytest.raises(ArtifactError, match="nowhere"):
        RouterArtifact.load(tmp_path / "nowhere")
    (folder / "artifact.json").write_text("{")
    with pytest.raises(ArtifactError, match=r"artifact\.json"):
        RouterArtifact.load(folder)
    (folder / "artifact.json").write_text("[" * 100_000)
    with pytest.raises(ArtifactError, match=r"artifact\.json"):
        RouterArtifact.load(folder)
    (folder / "artifact.json").write_text("[]")
    with pytest.raises(ArtifactError, match=r"artifact\.json|\b1\b"):
        RouterArtifact.load(folder)


@pytest.mark.parametrize("damage", [lambda b: b[:-100], lambda b: b[:-1] + b"\0", lambda b: b""])
def test_damaged_arrays(folder, damage):
    (file,) = folder.glob("arrays-*")
    content = file.read_bytes()
    file.write_bytes(damage(content) if damage(content) != content else content[:-1] + b"\1")
    with pytest.raises(ArtifactError, match=file.name):
        RouterArtifact.load(folder)


def forge(folder: Path, change):
    """Change the arrays, and the checksum with them."""
    (file,) = folder.glob("arrays-*")
    arrays = {k: np.array(v) for k, v in safetensors.numpy.load(file.read_bytes()).items()}
    change(arrays)
    content = safetensors.numpy.save({k: np.ascontiguousarray(v) for k, v in arrays.items()})
    file.unlink()
    sha256 = hashlib.sha256(content).hexdigest()
    name = f"arrays-{sha256[:16]}.safetensors"
    (folder / name).write_bytes(content)
    edit(folder, arrays=name, sha256=sha256)


def test_arrays_that_do_not_belong(artifact, tmp_path):
    names = stored(artifact)
    for i, name in enumerate([*names, "surprise", "statistics.surprise"]):
        folder = tmp_path / f"{i}"
        artifact.save(folder)
        forge(folder, lambda a, n=name: a.pop(n) if n in a else a.update({n: np.zeros(1)}))
        with pytest.raises(ArtifactError, match=name.rpartition(".")[2]):
            RouterArtifact.load(folder)


def test_arrays_of_another_shape_or_with_nan(artifact, tmp_path):
    for i, (name, values) in enumerate(stored(artifact).items()):
        for kind in ("shape", "nan"):
            folder = tmp_path / f"{kind}-{i}"
            artifact.save(folder)
            wrong = values[..., :-1] if kind == "shape" else np.full_like(values, np.nan)
            forge(folder, lambda a, n=name, w=wrong: a.update({n: w}))
            with pytest.raises(ArtifactError):
                RouterArtifact.load(folder)


def test_centroids_of_no_dimension(artifact):
    with pytest.raises(ArtifactError, match="refinement: centroids"):
        replace(artifact, refinement=replace(artifact.refinement, centroids=np.array(1.0)))


def test_a_spread_of_zero_and_settings_out_of_range(artifact, folder):
    forge(folder, lambda a: a["refinement.settings"].__setitem__(4, 2.0))
    with pytest.raises(ArtifactError, match="refinement"):
        RouterArtifact.load(folder)
    artifact.save(folder)
    forge(folder, lambda a: a["refinement.spread"].fill(0))
    with pytest.raises(ArtifactError, match="spread"):
        RouterArtifact.load(folder)


@pytest.mark.parametrize("price", [float("nan"), float("inf"), -1.0])
def test_prices_that_can_not_be(artifact, folder, price):
    edit(folder, info={**artifact.info.model_dump(), "input_prices": {"good": price}})
    with pytest.raises(ArtifactError, match=r"info\.input_prices\.good"):
        RouterArtifact.load(folder)


def test_arrays_of_another_tfidf_are_refused(make_records, tmp_path):
    artifact = fit(make_records(), "tfidf", n_clusters=3)
    artifact.save(tmp_path)
    forge(tmp_path, lambda a: a["embedder.components"].__imul__(2))
    with pytest.raises(ArtifactError, match=r"'tfidf/.*'tfidf/"):
        RouterArtifact.load(tmp_path)
    artifact.save(tmp_path)
    edit(tmp_path, info={**artifact.info.model_dump(), "embedder": "wordllama/l2_supercat-256"})
    with pytest.raises(ArtifactError, match="'wordllama/"):
        RouterArtifact.load(tmp_path)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_values_that_can_not_be(artifact, value):
    artifact.statistics.n[0, 0] = value
    with pytest.raises(ArtifactError, match=r"statistics: n\b"):
        artifact.select_models(artifact.models)


def test_scores_of_more_than_1_a_record(artifact, folder):
    forge(folder, lambda a: a["statistics.score"].__imul__(10))
    with pytest.raises(ArtifactError, match=r"score.*\b1\b"):
        RouterArtifact.load(folder)


def test_centroids_that_can_not_be(artifact):
    centroids = artifact.centroids.copy()
    centroids[0, 0] = np.nan
    with pytest.raises(ArtifactError, match="centroids"):
        RouterArtifact(
            artifact.models, artifact.datasets, centroids, artifact.statistics, artifact.info
        )


def test_a_foreign_embedder_is_refused(folder):
    foreign = CallableEmbedder(lambda t: np.ones((len(t), 8)), id="test/foreign", dim=8)
    with pytest.raises(EmbedderMismatchError, match=r"'test/words'.*'test/foreign'"):
        Router.load(folder, embedder=foreign)


def test_nothing_is_unpickled(artifact, folder, tmp_path):
    class Explodes:
        def __reduce__(self):
            return (Path.touch, (tmp_path / "executed",))

    (folder / "normalizer.pkl").write_bytes(pickle.dumps(Explodes()))
    assert RouterArtifact.load(folder) == artifact
    assert not (tmp_path / "executed").exists()


def test_a_folder_with_other_things_is_not_written_to(artifact, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match=r"thesis\.txt"):
        artifact.save(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError):
        artifact.save(tmp_path / "file")


@pytest.mark.parametrize("step", ["write", "fsync", "replace", "second replace"])
def test_a_save_that_fails_leaves_the_old_artifact_whole(artifact, folder, monkeypatch, step):
    calls = []

    def fails(*arguments, **_):
        calls.append(arguments)
        if step == "second replace" and len(calls) == 1:
            return really(*arguments)
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    really = os.replace
    if step == "write":
        monkeypatch.setattr(
            files, "open", lambda *a: fails() if "xb" in a else os.fdopen(*a), raising=False
        )
    else:
        monkeypatch.setattr(files.os, step.split()[-1], fails)
    with pytest.raises(OSError, match=str(folder)) as error:
        artifact.drop_models(["odd"]).save(folder)
    assert error.value.errno == errno.ENOSPC
    assert ".tmp-" not in str(error.value)
    monkeypatch.undo()
    assert RouterArtifact.load(folder) == artifact
    assert not list(folder.glob(".tmp-*"))


@needs_sigkill
def test_a_killed_save_leaves_an_artifact_whole(artifact, folder):
    whole = {artifact.checksum, artifact.drop_models(["odd"]).checksum}
    for moment in (0.005, 0.02):
        with child(save_without_end, folder) as (process, pipe):
            assert pipe.recv() == "ready"
            time.sleep(moment)
        assert process.exitcode == -signal.SIGKILL
        loaded = RouterArtifact.load(folder)
        assert loaded.checksum in whole
        artifact.save(folder)  # leftovers do not get in the way
    assert len(list(folder.iterdir())) == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no locks")
def test_saves_at_once_do_not_spoil_each_other(artifact, folder):
    artifacts = [artifact, artifact.drop_models(["odd"]), artifact.drop_models(["cheap"])]
    whole = {a.checksum for a in artifacts}

    def save(one):
        for _ in range(20):
            one.save(folder)

    with ThreadPoolExecutor(3) as pool:
        saves = [pool.submit(save, one) for one in artifacts]
        while not all(s.done() for s in saves):
            assert RouterArtifact.load(folder).checksum in whole
        for s in saves:
            s.result()
    assert RouterArtifact.load(folder).checksum in whole
    assert len(list(folder.iterdir())) == 2


def test_the_checksum_tells_artifacts_apart(artifact):
    priced = replace(artifact, info=artifact.info.model_copy(update={"input_prices": {"odd": 1}}))
    assert artifact.checksum != priced.checksum
    assert artifact.checksum == artifact.select_models(artifact.models).checksum
    for kinds in ({"alpha": "ranges"}, {"cells": "topics"}):  # that decide otherwise
        other = replace(artifact, info=artifact.info.model_copy(update=kinds))
        assert other.checksum != artifact.checksum
    assert artifact.checksum != artifact.drop_models(["odd"]).checksum
    assert len({artifact, artifact.drop_models(["odd"])}) == 2
