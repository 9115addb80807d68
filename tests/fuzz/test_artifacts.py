"""Damaged artifacts, and exports, load as they are or are one ArtifactError; never later."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
from hypothesis import given
from hypothesis import strategies as st

from avengers_core import ArtifactError, AvengersError, Router, RouterArtifact, fit

from .conftest import EDITS, altered, cases, check_message, damaged

DIM = 3


def embed(texts: list[str]) -> Any:
    return np.array([[len(t), t.count("a"), 1.0] for t in texts])


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    rows = [
        {
            "query": f"query {'a' * (i % 7)} {i}",
            "records": {"good": i % 2, "cheap": i % 3 == 0},
            "usages": {"good": {"cost": 0.01 * i}, "cheap": {"cost": 0.001}},
            "dataset": f"d{i % 2}",
        }
        for i in range(40)
    ]
    path = tmp_path_factory.mktemp("fuzz") / "artifact"
    fit(rows, embed, n_clusters=3).save(path)
    return path


def use(folder: Path) -> None:
    """Load and use it; what is loaded works."""
    try:
        router = Router.load(folder)
    except ArtifactError as error:
        check_message(error, str(folder))
        return
    artifact = router.artifact
    router = Router(artifact, _Named(artifact.info.embedder))
    for arguments in ({}, {"alpha": 0.0, "n": 2}, {"max_cost": 0.005, "on_empty": "relax"}):
        try:
            decision = router.route("a query", **arguments)
        except AvengersError:
            continue
        json.dumps(decision.to_dict(), allow_nan=False)
        assert decision.explain().replace("\n", "").isprintable()
    router.artifact.select_models(router.models)
    assert artifact.checksum == artifact.merge().checksum


class _Named:
    dim = DIM

    def __init__(self, id: str) -> None:
        self.id = id

    def embed(self, texts: Any) -> Any:
        rows = embed(list(texts))
        return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)

    async def aembed(self, texts: Any) -> Any:
        return self.embed(texts)


def copy_of(folder: Path) -> Path:
    shutil.rmtree(folder.with_name("damaged"), ignore_errors=True)
    return Path(shutil.copytree(folder, folder.with_name("damaged")))


@cases(800)
@given(EDITS)
def test_bytes_of_the_manifest(folder, edits):
    copy = copy_of(folder)
    file = copy / "artifact.json"
    file.write_bytes(damaged(edits, file.read_bytes()))
    use(copy)


@cases(800)
@given(st.data())
def test_values_of_the_manifest(folder, data):
    copy = copy_of(folder)
    file = copy / "artifact.json"
    file.write_text(json.dumps(altered(data, json.loads(file.read_bytes()))))
    use(copy)


@cases(500)
@given(EDITS, st.booleans())
def test_bytes_of_the_arrays(folder, edits, signed):
    copy = copy_of(folder)
    (file,) = copy.glob("arrays-*")
    put(copy, damaged(edits, file.read_bytes()), signed)
    use(copy)


_DTYPES = ["<f2", "<f4", "<f8", "<i1", "<i8", "<u1", "?"]


@cases(900)
@given(st.data())
def test_arrays_of_other_shapes_types_and_values(folder, data):
    copy = copy_of(folder)
    (file,) = copy.glob("arrays-*")
    arrays = {
        name: array.astype("f8")
        for name, array in safetensors.numpy.load(file.read_bytes()).items()
    }
    for name in data.draw(st.lists(st.sampled_from(sorted(arrays)), min_size=1, max_size=2)):
        array = arrays[name]
        match data.draw(st.integers(0, 4)):
            case 0:
                with np.errstate(all="ignore"):
                    array = array.astype(data.draw(st.sampled_from(_DTYPES)))
            case 1:
                array = np.zeros(data.draw(st.lists(st.integers(0, 4), max_size=3)), array.dtype)
            case 2:
                array = array.copy()
                values = [np.nan, np.inf, -1.0, 0.0, 1e300, -1e300, 1e-300, 5.0]
                if array.size and array.dtype == "f8":
                    array.flat[data.draw(st.integers(0, array.size - 1))] = data.draw(
                        st.sampled_from(values)
                    )
            case 3:
                with np.errstate(all="ignore"):
                    array = array * data.draw(st.sampled_from([0.0, -1.0, 1e200, 1e-300]))
            case 4:
                array = array.reshape(-1)
        arrays[name] = np.ascontiguousarray(array)
    put(copy, safetensors.numpy.save(arrays), signed=True)
    use(copy)


def put(folder: Path, content: bytes, signed: bool) -> None:
    """Put an array file in place; signed, under the name and checksum of its content."""
    (old,) = folder.glob("arrays-*")
    if not signed:
        old.write_bytes(content)
        return
    old.unlink()
    sha256 = hashlib.sha256(content).hexdigest()
    manifest = json.loads((folder / "artifact.json").read_bytes())
    manifest |= {"sha256": sha256, "arrays": f"arrays-{sha256[:16]}.safetensors"}
    (folder / manifest["arrays"]).write_bytes(content)
    (folder / "artifact.json").write_text(json.dumps(manifest))


@cases(600)
@given(st.data())
def test_exports_of_the_published_implementation(tmp_path_factory, data):
    folder = tmp_path_factory.getbasetemp() / "export"
    folder.mkdir(exist_ok=True)
    cell = {"accuracy": 0.5, "avg_cost": 0.2, "total_cost": 2.0, "total_queries": 10}
    documents = {
        "balance_metrics.json": {"0": {"a": cell, "b": cell}, "1": {"a": cell}},
        "metadata.json": {
            "available_models": ["a", "b"],
            "config": {"top_k": 1, "beta": 6.0, "seed": 42, "n_clusters": 2},
            "embedding_model": "test",
            "timestamp": "today",
        },
    }
    chosen = data.draw(st.sampled_from(sorted(documents)))
    documents[chosen] = altered(data, documents[chosen])
    for name, document in documents.items():
        (folder / name).write_text(json.dumps(document))
    np.save(folder / "cluster_centers.npy", np.eye(2, DIM, dtype=np.float32))
    try:
        artifact = RouterArtifact.from_reference_export(folder)
        artifact.save(folder / "saved")
        use(folder / "saved")
    except ArtifactError as error:
        check_message(error, str(folder))
    finally:
        shutil.rmtree(folder / "saved", ignore_errors=True)
