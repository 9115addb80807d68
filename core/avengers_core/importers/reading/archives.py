"""The files of rows that a source holds: itself, those of a folder, those in archives."""

from __future__ import annotations

import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from avengers_core.errors import RecordError
from avengers_core.importers.reading.tables import KINDS, File, endings
from avengers_core.importers.reading.zips import DAMAGED

ARCHIVES = {".tar", ".tgz", ".tbz2", ".txz", ".zip"}
_PICKLES = {".pkl", ".pickle"}
_DEEPEST = 3  # archives in archives; there is one that holds itself


@contextmanager
def opened(source: Path) -> Iterator[Sequence[File]]:
    """The files of rows of a source, archives unpacked for as long as the context lasts.

    Those of a folder come first, then those of its archives; each by name, so the order is the
    same every time.

    Raises:
        RecordError: there are none, only pickles, or an archive that cannot be unpacked.
    """
    with tempfile.TemporaryDirectory() as room:
        found = [
            File(path, name, Path(source.name) / name.relative_to(source))
            for path, name in _files(source, source, room)
        ]
        if not found:
            refuse_pickles(Path(room))
            kinds = ", ".join(sorted(KINDS | ARCHIVES))
            raise RecordError(f"{source} holds no file ending in {kinds}")
        yield found


def refuse_pickles(path: Path) -> None:
    """Say how to convert a pickle if there is nothing else; it is never opened.

    Raises:
        RecordError: the path is a pickle, or a folder with one and with nothing to import.
    """
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    pickles = [p.name for p in files if endings(p) & _PICKLES]
    if pickles and not any(endings(p) & (KINDS | ARCHIVES) for p in files):
        raise RecordError(
            f"{pickles[0]} is a pickle, which can run any code when it is opened, so it is not. "
            f"If you trust it, convert it where nothing can be lost (a container without your "
            f"files): python -c \"import pandas; pandas.read_pickle('{pickles[0]}')"
            f".astype(str).to_parquet('records.parquet')\", and import the Parquet file."
        )


def _files(path: Path, name: Path, room: str, depth: int = 0) -> Iterator[tuple[Path, Path]]:
    """Files of rows at or under a path, with what they are called; archives go into a room."""
    if path.is_file():
        # It was named, so its ending may be any.
        archives = [path] if _is_called_archive(path) or _is_archive(path) else []
        if not archives:
            yield path, name
    else:
        # What begins with ._ is what macOS notes about the file of that name.
        inside = sorted(p for p in path.rglob("*") if p.is_file() and p.name[:2] != "._")
        archives = [p for p in inside if _is_called_archive(p)]
        for file in inside:
            if endings(file) & KINDS and not _is_called_archive(file):
                yield file, name / file.relative_to(path)
    for archive in archives:
        called = name / archive.relative_to(path)
        if depth == _DEEPEST:
            raise RecordError(f"{called}: expected archives in archives at most {_DEEPEST} deep")
        yield from _files(_unpacked(archive, called, room), called, room, depth + 1)


def _unpacked(archive: Path, name: Path, room: str) -> Path:
    folder = tempfile.mkdtemp(dir=room)
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as packed:
                packed.extractall(folder)
        else:
            with tarfile.open(archive) as content:
                content.extractall(folder, filter="data")
    except DAMAGED as error:
        raise RecordError(f"{name}: not an archive to be unpacked ({error})") from error
    return Path(folder)


def _is_called_archive(path: Path) -> bool:
    return bool(endings(path) & ARCHIVES) and path.suffix.lower() not in KINDS


def _is_archive(path: Path) -> bool:
    if endings(path) & {".eval", ".parquet"}:
        return False
    try:
        return tarfile.is_tarfile(path) or zipfile.is_zipfile(path)
    except DAMAGED:
        return False  # a damaged gzip file, which the readers report
