"""Artifacts on disk: a folder with ``artifact.json`` and one safetensors file of arrays.

The array file is named after its content and ``artifact.json`` names it, so replacing
``artifact.json``, which is atomic, is the one moment at which a new artifact takes the place of an
old one: a save that is killed at any time leaves the old artifact whole. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from avengers_core.artifact.estimation.familiarity import Familiarity
from avengers_core.artifact.estimation.inference import Inference
from avengers_core.artifact.estimation.pricing import notice_unpriced
from avengers_core.artifact.info import FORMAT_VERSION, ArtifactInfo
from avengers_core.artifact.refinement import Refinement
from avengers_core.artifact.statistics import Statistics, of_prefix, prefixed
from avengers_core.common.files import MIB, is_unfinished, open_regular, read_regular, replace_file
from avengers_core.errors import ArtifactError, EmbedderError
from avengers_core.records.names import fault_of_name, shown

if TYPE_CHECKING:
    from avengers_core.artifact.artifact import RouterArtifact

MANIFEST = "artifact.json"
# What arrays are of, by the first part of their names; not every artifact has them all.
_PARTS = ("statistics", "embedder", "refinement", "familiarity", "inference")
# Names of a hundred thousand models and datasets fit; and arrays for 100,000 clusters of them.
_MOST_MANIFEST = 64 * MIB
_MOST_ARRAYS = 4096 * MIB
_MOST_HEADER = 16 * MIB
_ARRAYS = r"arrays-[0-9a-f]{16}\.safetensors"
# Other processes that save all the time may replace the arrays before they are read.
_READS = 20
# How far counts may lie from what the arrays add up to: of faded records, earlier versions cut off
# the fraction.
_OFF = {"n_clusters": 0, "dim": 0, "n_records": 1}


class Manifest(BaseModel):
    """The content of ``artifact.json``."""

    model_config = ConfigDict(extra="forbid")

    format_version: int
    models: list[str] = Field(min_length=1)
    datasets: list[str]
    n_clusters: int
    dim: int
    n_records: int
    info: ArtifactInfo
    arrays: str = Field(pattern=rf"^{_ARRAYS}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @field_validator("models", "datasets")
    @classmethod
    def _names(cls, names: list[str]) -> list[str]:
        if fault := next(filter(None, map(fault_of_name, names)), None):
            raise ValueError(fault)
        if len(set(names)) < len(names):
            raise ValueError("a name repeats")
        return names


def save(artifact: RouterArtifact, path: str | os.PathLike[str]) -> None:
    """Write an artifact folder; the old content stays valid until the very last step.

    Threads and processes that save to the same folder wait for each other (not on Windows); the
    last one wins.

    Args:
        artifact: what to write.
        path: the folder; made if it is not there.

    Raises:
        ArtifactError: the path is a file, or a folder that holds other things.
        OSError: the system's own, such as a full disk; the old content is still valid.
    """
    folder = Path(path)
    check_folder(folder)
    payload = _serialize(_arrays(artifact) | _found(artifact))
    sha256 = hashlib.sha256(payload).hexdigest()
    manifest = Manifest(
        format_version=FORMAT_VERSION,
        models=list(artifact.models),
        datasets=list(artifact.datasets),
        n_clusters=artifact.n_clusters,
        dim=artifact.dim,
        n_records=artifact.n_records,
        info=artifact.info,
        arrays=f"arrays-{sha256[:16]}.safetensors",
        sha256=sha256,
    )
    folder.mkdir(parents=True, exist_ok=True)
    with _alone(folder):
        replace_file(folder / manifest.arrays, payload)
        replace_file(folder / MANIFEST, (manifest.model_dump_json(indent=1) + "\n").encode())
        for file in folder.iterdir():
            if _is_ours(file.name) and file.name not in (MANIFEST, manifest.arrays):
                file.unlink(missing_ok=True)


def check_folder(folder: Path) -> None:
    """Raise what :func:`save` would for a path at which no artifact can be written."""
    if folder.exists() and not folder.is_dir():
        raise ArtifactError(f"{folder} is a file; an artifact is saved as a folder")
    if folder.is_dir():
        _check_ours(folder)


def load(path: str | os.PathLike[str], make: type[RouterArtifact]) -> RouterArtifact:
    """Read an artifact folder and check it.

    Args:
        path: the folder that :func:`save` wrote.
        make: the class of artifacts; this module does not know it, for the class uses this one.

    Raises:
        ArtifactError: not an artifact, an unknown format version, a wrong checksum, wrong shapes,
            NaN; the message says which.
    """
    folder = Path(path)
    manifest, payload = _read(folder)
    sha256 = hashlib.sha256(payload).hexdigest()
    if sha256 != manifest.sha256:
        raise ArtifactError(
            f"{folder / manifest.arrays} is damaged: its SHA-256 is {sha256[:16]}…, "
            f"{MANIFEST} says {manifest.sha256[:16]}…"
        )
    arrays = _deserialize(payload, folder / manifest.arrays)
    try:
        artifact = _assemble(manifest, arrays, make)
        _check_embedder(artifact)
    except (ArtifactError, EmbedderError) as error:
        raise ArtifactError(f"{folder / manifest.arrays}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{folder / manifest.arrays}: arrays are missing or unknown ({error})"
        ) from None
    notice_unpriced(artifact.statistics, artifact.models, artifact.info.prices)
    return artifact


def _check_ours(folder: Path) -> None:
    """Refuse to write to a folder that another program, or a person, has made."""
    names = sorted(file.name for file in folder.iterdir())
    if MANIFEST in names:
        if not _is_manifest(folder / MANIFEST):
            raise ArtifactError(
                f"{folder} is not an artifact: its {MANIFEST} is damaged or another program's. "
                f"Choose another folder, or delete it"
            )
    elif others := [name for name in names if not _is_ours(name)]:
        raise ArtifactError(f"{folder} is not an artifact: it holds {shown(others[:3])}")


def _is_manifest(file: Path) -> bool:
    """Whether any version of this package wrote it."""
    try:
        content = json.loads(read_regular(file, _MOST_MANIFEST))
    except (OSError, ValueError, RecursionError):
        return False
    return (
        isinstance(content, dict)
        and isinstance(content.get("format_version"), int)
        and re.fullmatch(_ARRAYS, str(content.get("arrays"))) is not None
    )


def _read(folder: Path) -> tuple[Manifest, bytes]:
    manifest = _read_manifest(folder)
    missed = 0
    for _ in range(_READS):
        try:
            return manifest, _read_arrays(folder / manifest.arrays)
        except OSError as error:
            # Another process may have saved between the two reads; or two, and the second what was
            # there before.
            known, manifest = manifest, _read_manifest(folder)
            missed = missed + 1 if manifest.arrays == known.arrays else 0
            if missed > 1:
                raise ArtifactError(
                    f"{folder / manifest.arrays} cannot be read ({error.strerror})"
                ) from None
    raise ArtifactError(f"{folder}: its content changes faster than it can be read")


def _read_arrays(file: Path) -> bytes:
    """The content of a safetensors file, once its size is known to be what its header says.

    The format: eight bytes with the length of the header, little-endian; the header, in JSON,
    that says where each array lies in what follows.
    """
    with open_regular(file, _MOST_ARRAYS) as stream:
        size = os.fstat(stream.fileno()).st_size
        start = stream.read(8)
        length = int.from_bytes(start, "little")
        if length > min(size, _MOST_HEADER):
            raise ArtifactError(f"{file} is damaged: its header cannot be {length:,} bytes long")
        header = stream.read(length)
        try:
            ends = [
                array["data_offsets"][1]
                for name, array in json.loads(header).items()
                if name != "__metadata__"
            ]
            announced = 8 + length + max(ends, default=0)
        except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
            raise ArtifactError(f"{file} is damaged: its header cannot be read") from None
        if size != announced:
            raise ArtifactError(
                f"{file} is damaged: it has {size:,} bytes, its header says {announced:,}"
            )
        return start + header + stream.read(size)


def _assemble(
    manifest: Manifest, arrays: dict[str, npt.NDArray[Any]], make: type[RouterArtifact]
) -> RouterArtifact:
    """The artifact, checked; raises KeyError, TypeError or ValueError for arrays of other names."""
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
        found, said = getattr(artifact, name), getattr(manifest, name)
        if abs(found - said) > off:
            raise ArtifactError(f"{name} is {found} by the arrays, {said} by {MANIFEST}")
    if not artifact.statistics.size.any():
        raise ArtifactError("the statistics hold no record")
    return artifact


def _check_embedder(artifact: RouterArtifact) -> None:
    """Refuse stored arrays of an embedder that is not the one the artifact names."""
    if artifact.embedder_arrays:
        from avengers_core.artifact.embedder import embedder_of

        embedder_of(artifact)


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
            *([info.trust] if info.trust < 1 else []),
            *([sorted(info.prices.items())] if info.prices else []),
        ]
    )
    return hashlib.sha256(names.encode() + _serialize(_arrays(artifact))).hexdigest()


def _arrays(artifact: RouterArtifact) -> dict[str, npt.NDArray[Any]]:
    named: dict[str, npt.NDArray[Any]] = {"centroids": artifact.centroids}
    named |= prefixed("statistics", artifact.statistics.stored())
    named |= prefixed("embedder", artifact.embedder_arrays)
    for name, part in (("refinement", artifact.refinement), ("familiarity", artifact.familiarity)):
        named |= {} if part is None else prefixed(name, part.arrays())
    return named


def _found(artifact: RouterArtifact) -> dict[str, npt.NDArray[Any]]:
    """What follows from the other arrays, but would take long to find each time."""
    found = None if artifact.info.cells == "separate" else artifact.beliefs.inference
    return prefixed("inference", found.arrays()) if found else {}


def _serialize(arrays: dict[str, npt.NDArray[Any]]) -> bytes:
    from safetensors.numpy import save as to_bytes

    # safetensors writes the memory as it lies: a transposed array would come back scrambled.
    payload: bytes = to_bytes({k: np.ascontiguousarray(v) for k, v in sorted(arrays.items())})
    return payload


def _deserialize(payload: bytes, file: Path) -> dict[str, npt.NDArray[Any]]:
    from safetensors import SafetensorError
    from safetensors.numpy import load as from_bytes

    try:
        arrays: dict[str, npt.NDArray[Any]] = from_bytes(payload)
    except (SafetensorError, ValueError, KeyError) as error:
        raise ArtifactError(f"{file}: the arrays cannot be read ({error})") from None
    for array in arrays.values():
        array.setflags(write=False)
    return arrays


def _read_manifest(folder: Path) -> Manifest:
    file = folder / MANIFEST
    try:
        content = json.loads(read_regular(file, _MOST_MANIFEST))
    except OSError as error:
        raise ArtifactError(
            f"{folder} is not an artifact folder: {MANIFEST} cannot be read "
            f"({error.strerror}). Make one with `avengers fit` or RouterArtifact.save()."
        ) from None
    except (ValueError, RecursionError) as error:
        raise ArtifactError(f"{file} is not JSON ({error})") from None
    version = content.get("format_version") if isinstance(content, dict) else None
    if type(version) is not int or version != FORMAT_VERSION:
        raise ArtifactError(
            f"{file} has format version {shown([version])}; this package reads version "
            f"{FORMAT_VERSION}. Fit it again, or install the version that wrote it."
        )
    try:
        return Manifest.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(shown([p]).strip("'") for p in first["loc"])
        reason = first["msg"].removeprefix("Value error, ")
        raise ArtifactError(f"{file} is not valid: {place}: {reason:.200}") from None


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Keep other saves to a folder waiting, where the system can: one would clean up another's."""
    if sys.platform == "win32":
        yield
        return
    import fcntl

    descriptor = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # some network file systems have no locks
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _is_ours(name: str) -> bool:
    return name == MANIFEST or bool(re.fullmatch(_ARRAYS, name)) or is_unfinished(name)
