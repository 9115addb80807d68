"""``artifact.json``: what an artifact says of itself, and which arrays belong to it."""

from __future__ import annotations

import json
import re
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from avengers_core.artifact.info import FORMAT_VERSION, ArtifactInfo
from avengers_core.common.files import MIB, read_regular
from avengers_core.errors import ArtifactError
from avengers_core.records.names import fault_of_name, shown

MANIFEST = "artifact.json"
ARRAYS = r"arrays-[0-9a-f]{16}\.safetensors"
"""Pattern of the name of a file of arrays."""
# Names of a hundred thousand models and datasets fit.
_MOST_BYTES = 64 * MIB


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
    arrays: str = Field(pattern=rf"^{ARRAYS}$")
    sha256: str = Field(pattern=r"^[0-9a-f]{64}$")

    @field_validator("models", "datasets")
    @classmethod
    def _names(cls, names: list[str]) -> list[str]:
        if fault := next(filter(None, map(fault_of_name, names)), None):
            raise ValueError(fault)
        if len(set(names)) < len(names):
            raise ValueError("a name repeats")
        return names


def read_manifest(folder: Path) -> Manifest:
    """The manifest of an artifact's folder, checked; raises ArtifactError where there is none."""
    file = folder / MANIFEST
    try:
        content = json.loads(read_regular(file, _MOST_BYTES))
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


def is_manifest(file: Path) -> bool:
    """Whether any version of this package wrote it."""
    try:
        content = json.loads(read_regular(file, _MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return False
    return (
        isinstance(content, dict)
        and isinstance(content.get("format_version"), int)
        and re.fullmatch(ARRAYS, str(content.get("arrays"))) is not None
    )
