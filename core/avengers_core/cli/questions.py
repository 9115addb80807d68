"""Files of questions, which several commands take."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from avengers_core.cli.shared import show_problems
from avengers_core.records.record import RecordProblem
from avengers_core.records.sources.files import open_file
from avengers_core.records.sources.streams import decompressed, numbered_lines


def read_questions(path: Path) -> list[str | Mapping[str, Any]]:
    """The rows of a file of questions; bad ones are shown."""
    from avengers_core.importers.reading.tables import File, endings, rows

    if ".txt" in endings(path):
        return _lines(path)
    found = list(rows(File(path, path, Path(path.name))))
    show_problems([row for row in found if isinstance(row, RecordProblem)], str(path))
    return [row for row in found if not isinstance(row, RecordProblem)]


def _lines(path: Path) -> list[str | Mapping[str, Any]]:
    """The lines of a text that are not blank; plain or gzip."""
    with open_file(str(path)) as stream, decompressed(stream) as data:
        lines = [line for _, line in numbered_lines(data)]
    if bad := next((line for line in lines if isinstance(line, RecordProblem)), None):
        raise click.ClickException(str(bad._replace(file=str(path))))
    try:
        return [line.decode() for line in lines if isinstance(line, bytes)]
    except UnicodeDecodeError as error:
        raise click.ClickException(f"{path} is not UTF-8 ({error.reason})") from None
