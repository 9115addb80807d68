"""An output folder that a killed job can go on with.

Each part of the input becomes one file, which is there whole or not at all. ``job.json`` says what
the job is, so that another can not be mixed in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from avengers_core.bulk.files import Part
from avengers_core.errors import AvengersError
from avengers_core.storage import replace_file

MANIFEST = "job.json"


class Written(NamedTuple):
    """What a job wrote.

    Attributes:
        files: the output files, in the order of the input.
        rows: rows with an answer, those of finished files of an earlier run included.
        rejected: rows without one, likewise.
        skipped: how many files were there already.
    """

    files: list[Path]
    rows: int
    rejected: int
    skipped: int


class PartWritten(NamedTuple):
    """What was written for one part."""

    rows: int
    rejected: int
    skipped: bool


def prepare(
    folder: str | os.PathLike[str], job: Mapping[str, Any], parts: Sequence[Part], suffix: str
) -> list[Path]:
    """Make, or check, an output folder.

    Args:
        folder: the folder; made if it is not there.
        job: all that the output depends on, as JSON types.
        parts: of the input.
        suffix: ending of the output files.

    Returns:
        The output file of each part.

    Raises:
        AvengersError: the folder holds something else.
    """
    target = Path(folder)
    manifest = target / MANIFEST
    content = json.dumps({**job, "parts": parts}, indent=1, sort_keys=True).encode()
    if manifest.exists():
        if manifest.read_bytes() != content:
            raise AvengersError(
                f"{target} holds the output of another job, or of other input "
                f"({_difference(manifest, content)}). Choose another folder, or delete it."
            )
    elif target.is_dir() and any(f for f in target.iterdir() if not f.name.startswith(".tmp-")):
        raise AvengersError(f"{target} is not empty and not the output of an earlier run")
    else:
        target.mkdir(parents=True, exist_ok=True)
        replace_file(manifest, content)
    return [target / f"part-{i:05d}{suffix}" for i in range(len(parts))]


@contextmanager
def whole(file: Path) -> Iterator[Path]:
    """A path to write to, which becomes ``file`` if all goes well."""
    unfinished = file.with_name(f".tmp-{os.getpid()}-{file.name}")
    try:
        yield unfinished
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)


def _difference(manifest: Path, content: bytes) -> str:
    try:
        there = json.loads(manifest.read_bytes())
    except ValueError:
        return f"{manifest.name} is damaged"
    wanted = json.loads(content)
    differing = sorted(k for k in {*there, *wanted} if there.get(k) != wanted.get(k))
    return "other " + ", ".join(differing)
