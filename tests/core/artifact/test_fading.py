"""Evidence that fades."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from avengers_core import RouterArtifact, fit
from avengers_core.embedders import CallableEmbedder


@pytest.fixture(scope="module")
def artifact(
    make_records: Callable[..., list[dict[str, Any]]], embedder: CallableEmbedder
) -> RouterArtifact:
    return fit(make_records(), embedder, n_clusters=4)


def test_halves_add_up_to_the_whole(artifact: RouterArtifact) -> None:
    half = artifact.faded(0.5)
    assert half.n_records == artifact.n_records / 2
    whole = half.merge(half)
    for name, array in artifact.statistics.arrays().items():
        np.testing.assert_allclose(whole.statistics.arrays()[name], array)
    assert whole.refinement is not None
    assert artifact.refinement is not None
    for name, array in artifact.refinement.arrays().items():
        np.testing.assert_allclose(whole.refinement.arrays()[name], array, atol=1e-6)


def test_what_has_faded_a_little_is_as_many_records(
    artifact: RouterArtifact, tmp_path: Path
) -> None:
    little = artifact.faded(1 - 1e-5)
    assert little.n_records == artifact.n_records
    little.save(tmp_path / "a")
    # As versions wrote it that cut off the fraction.
    manifest = tmp_path / "a" / "artifact.json"
    said = json.loads(manifest.read_text())
    manifest.write_text(json.dumps({**said, "n_records": said["n_records"] - 1}))
    assert RouterArtifact.load(tmp_path / "a") == little


def test_fading_twice_is_fading_by_both(artifact: RouterArtifact) -> None:
    twice, once = artifact.faded(0.5).faded(0.4), artifact.faded(0.2)
    np.testing.assert_allclose(twice.statistics.score, once.statistics.score)


def test_next_to_nothing_is_nothing(artifact: RouterArtifact, tmp_path: Path) -> None:
    gone = artifact.faded(1e-9)
    assert not gone.statistics.n.any()
    assert not gone.statistics.size.any()
    artifact.merge(gone).save(tmp_path / "artifact")
    assert RouterArtifact.load(tmp_path / "artifact").n_records == artifact.n_records


@pytest.mark.parametrize("factor", [-0.1, 1.1, float("nan")])
def test_evidence_neither_grows_nor_turns(artifact: RouterArtifact, factor: float) -> None:
    with pytest.raises(ValueError, match="factor"):
        artifact.faded(factor)
