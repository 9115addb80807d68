"""Artifacts on disk."""

from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from avengers_core import ArtifactError, EmbedderMismatchError, Router, RouterArtifact, fit, storage
from avengers_core.artifact import ArtifactInfo
from avengers_core.embedders import CallableEmbedder
from avengers_core.statistics import Statistics


@pytest.fixture
def artifact(make_records, embedder):
    return fit(make_records(), embedder, n_clusters=3, note="made up", source="a test")


@pytest.fixture
def folder(artifact, tmp_path):
    artifact.save(tmp_path / "artifact")
    return tmp_path / "artifact"


def edit(folder: Path, **changes):
    file = folder / "artifact.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **changes}))


def test_round_trip(artifact, folder, embedder):
    loaded = RouterArtifact.load(folder)
    assert loaded == artifact
    assert loaded.info == artifact.info
    assert Router(loaded, embedder).route("alpha") == Router(artifact, embedder).route("alpha")
    manifest = json.loads((folder / "artifact.json").read_text())
    assert manifest["info"]["note"] == "made up"
    assert manifest["n_records"] == 60
    assert {"embedder", "created", "version", "fit"} <= set(manifest["info"])


@given(st.integers(1, 4), st.integers(1, 4), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_any_artifact_round_trips(tmp_path_factory, k, m, d, seed):
    rng = np.random.default_rng(seed)
    s = Statistics.zeros(k, m, d)
    for values in s.arrays().values():
        values[:] = rng.uniform(size=values.shape)
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
        ({"format_version": 99}, "format version 99; this package reads version 1"),
        ({"format_version": None}, "format version None"),
        ({"surprise": 1}, "surprise"),
        ({"models": "good"}, "models"),
        ({"models": ["good", "cheap"]}, r"statistics: \w+ has shape \(3, 3\), expected \(3, 2\)"),
        ({"models": ["good", "cheap", "cheap"]}, "model names repeat"),
        ({"datasets": ["greek"]}, "topics has shape"),
        ({"arrays": "../../etc/passwd"}, "arrays"),
        ({"arrays": "arrays-0123456789abcdef.safetensors"}, "can not be read"),
        ({"sha256": "0" * 64}, "is damaged"),
    ],
)
def test_a_wrong_manifest_is_one_clear_error(folder, changes, message):
    edit(folder, **changes)
    with pytest.raises(ArtifactError, match=message):
        RouterArtifact.load(folder)


def test_what_is_no_artifact(tmp_path, folder):
    with pytest.raises(ArtifactError, match="not an artifact folder"):
        RouterArtifact.load(tmp_path / "nowhere")
    (folder / "artifact.json").write_text("{")
    with pytest.raises(ArtifactError, match="not JSON"):
        RouterArtifact.load(folder)
    (folder / "artifact.json").write_text("[]")
    with pytest.raises(ArtifactError, match="format version"):
        RouterArtifact.load(folder)


@pytest.mark.parametrize("damage", [lambda b: b[:-100], lambda b: b[:-1] + b"\0", lambda b: b""])
def test_damaged_arrays(folder, damage):
    (file,) = folder.glob("arrays-*")
    content = file.read_bytes()
    file.write_bytes(damage(content) if damage(content) != content else content[:-1] + b"\1")
    with pytest.raises(ArtifactError, match="is damaged"):
        RouterArtifact.load(folder)


@pytest.mark.parametrize("value", [np.nan, np.inf, -1.0])
def test_values_that_can_not_be(artifact, value):
    artifact.statistics.n[0, 0] = value
    with pytest.raises(ArtifactError, match=r"statistics: n holds (NaN|negative)"):
        artifact.select_models(artifact.models)


def test_centroids_that_can_not_be(artifact):
    centroids = artifact.centroids.copy()
    centroids[0, 0] = np.nan
    with pytest.raises(ArtifactError, match="centroids hold NaN"):
        RouterArtifact(
            artifact.models, artifact.datasets, centroids, artifact.statistics, artifact.info
        )


def test_a_foreign_embedder_is_refused(folder):
    foreign = CallableEmbedder(lambda t: np.ones((len(t), 8)), id="test/foreign", dim=8)
    with pytest.raises(EmbedderMismatchError, match=r"'test/words', got 'test/foreign'"):
        Router.load(folder, embedder=foreign)


def test_nothing_is_unpickled(folder, monkeypatch):
    def explode(*_):
        raise AssertionError("unpickled")

    (folder / "normalizer.pkl").write_bytes(b"\x80\x04.")
    monkeypatch.setattr(pickle, "load", explode)
    monkeypatch.setattr(pickle, "loads", explode)
    RouterArtifact.load(folder)


def test_a_folder_with_other_things_is_not_written_to(artifact, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ArtifactError, match=r"is not an artifact: it holds \['thesis.txt'\]"):
        artifact.save(tmp_path)
    (tmp_path / "file").write_text("")
    with pytest.raises(ArtifactError, match="is a file"):
        artifact.save(tmp_path / "file")


@pytest.mark.parametrize("step", ["write", "fsync", "replace", "second replace"])
def test_a_save_that_fails_leaves_the_old_artifact_whole(artifact, folder, monkeypatch, step):
    calls = []

    def fails(*arguments, **_):
        calls.append(arguments)
        if step == "second replace" and len(calls) == 1:
            return replace(*arguments)
        raise OSError("disk full")

    replace = os.replace
    if step == "write":
        monkeypatch.setattr(storage.tempfile, "mkstemp", fails)
    else:
        monkeypatch.setattr(storage.os, step.split()[-1], fails)
    with pytest.raises(OSError, match="disk full"):
        artifact.drop_models(["odd"]).save(folder)
    monkeypatch.undo()
    assert RouterArtifact.load(folder) == artifact
    assert not list(folder.glob(".tmp-*"))


KILLED = """
import sys
from avengers_core import RouterArtifact
one = RouterArtifact.load(sys.argv[1])
other = one.drop_models(["odd"])
print("ready", flush=True)
while True:
    other.save(sys.argv[1])
    one.save(sys.argv[1])
"""


@pytest.mark.skipif(sys.platform == "win32", reason="needs SIGKILL")
def test_a_killed_save_leaves_an_artifact_whole(artifact, folder):
    whole = {artifact.checksum, artifact.drop_models(["odd"]).checksum}
    for moment in (0.003, 0.011, 0.017, 0.023):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder)], stdout=subprocess.PIPE
        )
        assert process.stdout.readline() == b"ready\n"
        time.sleep(moment)
        process.send_signal(signal.SIGKILL)
        process.wait()
        process.stdout.close()
        loaded = RouterArtifact.load(folder)
        assert loaded.checksum in whole
        artifact.save(folder)  # leftovers do not get in the way
    assert len(list(folder.iterdir())) == 2


def test_the_checksum_tells_artifacts_apart(artifact):
    assert artifact.checksum == artifact.select_models(artifact.models).checksum
    assert artifact.checksum != artifact.drop_models(["odd"]).checksum
    assert len({artifact, artifact.drop_models(["odd"])}) == 2
