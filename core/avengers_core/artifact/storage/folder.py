"""Artifacts on disk: a folder with ``artifact.json`` and one safetensors file of arrays.

The array file is named after its content and ``artifact.json`` names it, so replacing
``artifact.json``, which is atomic, is the one moment at which a new artifact takes the place of an
old one: a save that is killed at any time leaves the old artifact whole. Nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from avengers_core.artifact.estimation.pricing import notice_unpriced
from avengers_core.artifact.info import FORMAT_VERSION
from avengers_core.artifact.storage import tensors
from avengers_core.artifact.storage.content import assemble, found, stored
from avengers_core.artifact.storage.manifest import (
    ARRAYS,
    MANIFEST,
    Manifest,
    is_manifest,
    read_manifest,
)
from avengers_core.common.files import is_unfinished, replace_file
from avengers_core.errors import ArtifactError, EmbedderError
from avengers_core.records.names import shown

if TYPE_CHECKING:
    from avengers_core.artifact.artifact import RouterArtifact

# Other processes that save all the time may replace the arrays before they are read.
_READS = 20


def save(
    artifact: RouterArtifact,
    path: str | os.PathLike[str],
    *,
    replacing: RouterArtifact | None = None,
) -> None:
    """Write an artifact folder; the old content stays valid until the very last step.

    Threads and processes that save to the same folder wait for each other (not on Windows); the
    last one wins, unless it says what it replaces.

    Args:
        artifact: what to write.
        path: the folder; made if it is not there.
        replacing: what was read from there, and the new one is made of. Default: whatever is there
            is replaced.

    Raises:
        ArtifactError: the path is a file, or a folder that holds other things; or something else
            is there than what is to be replaced.
        OSError: the system's own, such as a full disk; the old content is still valid.
    """
    folder = Path(path)
    check_folder(folder)
    payload = tensors.serialize(stored(artifact) | found(artifact))
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
        if replacing is not None and _loaded(folder, type(replacing)) != replacing:
            raise ArtifactError(
                f"{folder} has changed since it was read: another program has written to it "
                f"meanwhile, which would be lost; expected what was read: do the same again"
            )
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
    artifact = _loaded(Path(path), make)
    notice_unpriced(artifact.statistics, artifact.models, artifact.info.prices)
    return artifact


def _loaded(folder: Path, make: type[RouterArtifact]) -> RouterArtifact:
    manifest, payload = _read(folder)
    sha256 = hashlib.sha256(payload).hexdigest()
    if sha256 != manifest.sha256:
        raise ArtifactError(
            f"{folder / manifest.arrays} is damaged: its SHA-256 is {sha256[:16]}…, "
            f"{MANIFEST} says {manifest.sha256[:16]}…"
        )
    arrays = tensors.deserialize(payload, folder / manifest.arrays)
    try:
        return assemble(manifest, arrays, make)
    except (ArtifactError, EmbedderError) as error:
        raise ArtifactError(f"{folder / manifest.arrays}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise ArtifactError(
            f"{folder / manifest.arrays}: arrays are missing or unknown ({error})"
        ) from None


def _check_ours(folder: Path) -> None:
    """Refuse to write to a folder that another program, or a person, has made."""
    names = sorted(file.name for file in folder.iterdir())
    if MANIFEST in names:
        if not is_manifest(folder / MANIFEST):
            raise ArtifactError(
                f"{folder} is not an artifact: its {MANIFEST} is damaged or another program's. "
                f"Choose another folder, or delete it"
            )
    elif others := [name for name in names if not _is_ours(name)]:
        raise ArtifactError(f"{folder} is not an artifact: it holds {shown(others[:3])}")


def _read(folder: Path) -> tuple[Manifest, bytes]:
    manifest = read_manifest(folder)
    missed = 0
    for _ in range(_READS):
        try:
            return manifest, tensors.read(folder / manifest.arrays)
        except OSError as error:
            # Another process may have saved between the two reads; or two, and the second what was
            # there before.
            known, manifest = manifest, read_manifest(folder)
            missed = missed + 1 if manifest.arrays == known.arrays else 0
            if missed > 1:
                raise ArtifactError(
                    f"{folder / manifest.arrays} cannot be read ({error.strerror})"
                ) from None
    raise ArtifactError(f"{folder}: its content changes faster than it can be read")


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
    return name == MANIFEST or bool(re.fullmatch(ARRAYS, name)) or is_unfinished(name)
