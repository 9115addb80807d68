"""An output folder that a killed job can go on with.

Each part of the input becomes one file, which is there whole or not at all, and beside it, hidden,
one that says how many rows it has. ``job.json`` says what the job is, so that another cannot be
mixed in.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from avengers_core.common.files import (
    MIB,
    beside,
    is_unfinished,
    read_regular,
    replace_file,
    sync,
    whole,
)
from avengers_core.errors import AvengersError
from avengers_core.records.sources.files import state
from avengers_core.records.sources.parts import Part

MANIFEST = "job.json"
# The names of a million files and parts fit.
_MOST_MANIFEST = 1024 * MIB


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
    """What was written for one part.

    Attributes:
        rows: rows with an answer.
        rejected: rows without one.
        skipped: whether it was there already.
    """

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
    files = {part.file: state(part.address) for part in parts}
    told = [part.told for part in parts]
    content = json.dumps({**job, "files": files, "parts": told}, indent=1, sort_keys=True).encode()
    # Looked at in this order: a job that begins just now writes its manifest first of all.
    holds_files = target.is_dir() and any(not is_unfinished(f.name) for f in target.iterdir())
    if not manifest.exists():
        if holds_files:
            raise AvengersError(f"{target} is not empty and not the output of an earlier run")
        target.mkdir(parents=True, exist_ok=True)
        _create(manifest, content)
    try:
        there = read_regular(manifest, _MOST_MANIFEST)
    except OSError as error:
        raise AvengersError(
            f"{manifest} cannot be read ({error.strerror}). Choose another folder, or delete it."
        ) from None
    if there != content:
        raise AvengersError(
            f"{target} holds the output of another job, or of other input "
            f"({_difference(there, content)}). Choose another folder, or delete it."
        )
    return [target / f"part-{i:05d}{suffix}" for i in range(len(parts))]


def write_part(file: Path, write: Callable[[Path], tuple[int, int]]) -> PartWritten:
    """Write one part's file, unless it is there already.

    Args:
        file: the part's file, from :func:`prepare`.
        write: writes it to the path that it is called with, and returns how many rows have an
            answer and how many have none.
    """
    counts = file.with_name(f".{file.name}.rows")
    if file.is_file() and (known := _counted(counts)) is not None:
        return PartWritten(*known, skipped=True)
    try:
        with whole(file) as unfinished:
            rows, rejected = write(unfinished)
            # First, so that a kill between the two leaves a part that is done again.
            replace_file(counts, json.dumps([rows, rejected]).encode())
    except FileNotFoundError as error:
        # The same job, run twice at a time, has finished all and cleaned up.
        if error.filename not in (str(file), str(counts)) or not file.exists():
            raise
    return PartWritten(rows, rejected, skipped=False)


def _counted(counts: Path) -> tuple[int, int] | None:
    """How many rows a finished part has; None, and it is done again, where that cannot be read."""
    with suppress(OSError, ValueError, TypeError, RecursionError):
        rows, rejected = json.loads(read_regular(counts, MIB))
        if type(rows) is int and type(rejected) is int:
            return rows, rejected
    return None


def clean(folder: Path) -> None:
    """Remove what killed workers left half written; all files of the job are there."""
    for file in folder.iterdir():
        if is_unfinished(file.name):
            file.unlink(missing_ok=True)


def _create(manifest: Path, content: bytes) -> None:
    """Write the manifest, unless another job that begins just now was faster."""
    with beside(manifest) as written:
        # Whole before it is put in place: a full disk is an error here, and leaves nothing behind.
        written.write_bytes(content)
        sync(written)
        try:
            os.link(written, manifest)
        except FileExistsError:
            pass
        except OSError:  # a file system without links
            written.replace(manifest)


def _difference(written: bytes, content: bytes) -> str:
    try:
        there = dict(json.loads(written))
    except (ValueError, TypeError, RecursionError):
        return f"{MANIFEST} is damaged"
    wanted = json.loads(content)
    if there.get("parts") == wanted["parts"] and there.get("files") != wanted["files"]:
        before = there.get("files")
        known = before if isinstance(before, dict) else {}
        changed = [f for f, state in wanted["files"].items() if known.get(f) != state]
        return f"{changed[0]} has changed since" if changed else f"{MANIFEST} is damaged"
    differing = sorted(k for k in {*there, *wanted} if there.get(k) != wanted.get(k))
    return "other " + ", ".join(differing)
