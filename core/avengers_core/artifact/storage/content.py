"""What of an artifact is stored, and the artifact made of it."""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any

import numpy.typing as npt

from avengers_core.artifact.estimation.familiarity import Familiarity
from avengers_core.artifact.estimation.inference import Inference
from avengers_core.artifact.parts.arrays import of_prefix, prefixed
from avengers_core.artifact.refinement import Refinement
from avengers_core.artifact.statistics import Statistics
from avengers_core.artifact.storage import tensors
from avengers_core.artifact.storage.manifest import MANIFEST, Manifest
from avengers_core.errors import ArtifactError
from avengers_core.records.names import shown

if TYPE_CHECKING:
    from avengers_core.artifact.artifact import RouterArtifact

# What arrays are of, by the first part of their names; not every artifact has them all.
_PARTS = ("statistics", "embedder", "refinement", "familiarity", "inference")
# How far counts may lie from what the arrays add up to: of faded records, earlier versions cut off
# the fraction.
_OFF = {"n_clusters": 0, "dim": 0, "n_records": 1}


def stored(artifact: RouterArtifact) -> dict[str, npt.NDArray[Any]]:
    """Everything that routing depends on, each part under its name."""
    named: dict[str, npt.NDArray[Any]] = {"centroids": artifact.centroids}
    named |= prefixed("statistics", artifact.statistics.stored())
    named |= prefixed("embedder", artifact.embedder_arrays)
    for name, part in (("refinement", artifact.refinement), ("familiarity", artifact.familiarity)):
        named |= {} if part is None else prefixed(name, part.arrays())
    return named


def found(artifact: RouterArtifact) -> dict[str, npt.NDArray[Any]]:
    """What follows from the other arrays, but would take long to find each time."""
    inference = None if artifact.info.cells == "separate" else artifact.beliefs.inference
    return prefixed("inference", inference.arrays()) if inference else {}


def digest(artifact: RouterArtifact) -> str:
    """SHA-256 over all that routing depends on: names, arrays, the scorer and given prices."""
    info = artifact.info
    names = json.dumps(
        [
            artifact.models,
            artifact.datasets,
            info.embedder,
            info.scorer,
            sorted(info.scorer_options.items()),
            sorted(info.input_prices.items()),
            *([info.cells] if info.cells != "separate" else []),
            *([info.alpha] if info.alpha != "ranges" else []),
            *([info.trust] if info.trust < 1 else []),
            *([sorted(info.prices.items())] if info.prices else []),
        ]
    )
    return hashlib.sha256(names.encode() + tensors.serialize(stored(artifact))).hexdigest()


def assemble(
    manifest: Manifest, arrays: dict[str, npt.NDArray[Any]], make: type[RouterArtifact]
) -> RouterArtifact:
    """The artifact of a manifest and the arrays that belong to it, checked.

    Raises:
        ArtifactError: they do not fit each other.
        EmbedderError: arrays of an embedder that is not the one the manifest names.
        KeyError, TypeError, ValueError: arrays of other names.
    """
    of = {part: of_prefix(part, arrays) for part in _PARTS}
    if unknown := sorted(
        arrays.keys() - {"centroids", *(k for p in of for k in prefixed(p, of[p]))}
    ):
        raise ArtifactError(f"unknown arrays {shown(unknown)}")
    artifact = make(
        models=tuple(manifest.models),
        datasets=tuple(manifest.datasets),
        centroids=arrays["centroids"],
        statistics=Statistics.from_arrays(of["statistics"]),
        info=manifest.info,
        embedder_arrays=of["embedder"],
        refinement=Refinement.from_arrays(of["refinement"]) if of["refinement"] else None,
        familiarity=Familiarity(**of["familiarity"]) if of["familiarity"] else None,
        inference=Inference.from_arrays(of["inference"]) if of["inference"] else None,
    )
    for name, off in _OFF.items():
        summed, said = getattr(artifact, name), getattr(manifest, name)
        if abs(summed - said) > off:
            raise ArtifactError(f"{name} is {summed} by the arrays, {said} by {MANIFEST}")
    if not artifact.statistics.size.any():
        raise ArtifactError("the statistics hold no record")
    _check_embedder(artifact)
    return artifact


def _check_embedder(artifact: RouterArtifact) -> None:
    """Refuse stored arrays of an embedder that is not the one the artifact names."""
    if artifact.embedder_arrays:
        from avengers_core.artifact.embedder import embedder_of

        embedder_of(artifact)
