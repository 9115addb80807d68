"""Outputs that may be inputs, or each other: found before the work, not after it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from glob import glob
from pathlib import Path
from typing import Any

from avengers_core.errors import AvengersError
from avengers_core.records.sources.files import ENDINGS, public

Output = str | os.PathLike[str] | None


def check_outputs(outputs: Iterable[Output], inputs: Iterable[Any] = ()) -> None:
    """Refuse an output that would take the place of an input, or of another output.

    By whatever name: a link, a pattern, a folder with the file in it. A folder to be written may
    lie in a folder of inputs, where it is not read; it may not hold an input.

    Args:
        outputs: files and folders, there already or not; None is none, and a device is no file.
        inputs: files, folders, patterns, or lists of them. Addresses (``s3://...``), and what is
            no path, are never a local file.

    Raises:
        AvengersError: there is one; the message names both.
    """
    written = [Path(output) for output in outputs if output is not None]
    written = [output for output in written if not _is_device(output)]
    for i, output in enumerate(written):
        for other in written[:i]:
            if _same(output, other):
                raise AvengersError(
                    f"{output} would be written twice, as two outputs; choose another for one"
                )
        for given in _paths(inputs):
            if output.exists():
                _check(output, given)


def _check(output: Path, given: str) -> None:
    path = Path(given)
    named = [path] if path.exists() else [Path(p) for p in glob(given, recursive=True)]
    for file in named:
        if _same(file, output):
            place = "is" if file == path else "is in"
            raise AvengersError(f"{output} {place} the input {public(given)}; {_ADVICE}")
        if output.is_dir() and output.resolve() in file.resolve().parents:
            raise AvengersError(f"the input {file} is in {output}; {_ADVICE}")
        if file.is_dir() and output.is_file():
            for inside in file.rglob("*"):
                if inside.name.lower().endswith(ENDINGS) and _same(inside, output):
                    raise AvengersError(f"{output} is in the input {public(given)}; {_ADVICE}")


_ADVICE = "choose another output"


def _paths(inputs: Iterable[Any]) -> Iterator[str]:
    for given in inputs:
        if isinstance(given, str | os.PathLike):
            path = os.fspath(given)
            if isinstance(path, str) and path and "://" not in path and "\0" not in path:
                yield path
        elif isinstance(given, list | tuple):
            yield from _paths(item for item in given if isinstance(item, str | os.PathLike))


def _same(one: Path, other: Path) -> bool:
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them is not there
        return os.path.normcase(one.resolve()) == os.path.normcase(other.resolve())


def _is_device(path: Path) -> bool:
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not (stat.S_ISREG(mode) or stat.S_ISDIR(mode))
