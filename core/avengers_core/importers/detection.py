"""Which layout files have, by keys that only it has."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence

from avengers_core.errors import RecordError
from avengers_core.importers.layout import Layout
from avengers_core.importers.layouts import LAYOUTS
from avengers_core.importers.mapping import proposal
from avengers_core.importers.reading.tables import File, Row, rows
from avengers_core.records.names import few
from avengers_core.records.record import Record, parse_record

_ROWS = 20  # that are looked at, of each file
_SHOWN = 30  # keys in a message
_RECORD = {
    "query": "...",
    "records": {"model-a": 1, "model-b": 0.5},
    "usages": {"model-a": {"cost": 0.002}},
}


def layout_of(files: Sequence[File], source: object) -> Layout:
    """The layout that the first file has of which a row looks like one.

    Raises:
        RecordError: none of them does, or a row looks like several.
    """
    seen: Row | None = None
    for file in files:
        for row in itertools.islice(rows(file), _ROWS):
            if not isinstance(row, Mapping):
                continue
            found = [layout for layout in LAYOUTS.values() if layout.has(row)]
            if len(found) > 1:
                raise RecordError(
                    f"{source}: the keys {_keys(row)} fit several layouts: "
                    f"{', '.join(layout.name for layout in found)}. Name one with layout= "
                    f"(--layout)."
                )
            if found:
                return found[0]
            seen = seen or row
    if seen is None:
        raise RecordError(f"{source} holds no row that can be read")
    if isinstance(parse_record(seen, 1), Record):
        raise RecordError(
            f"{source} holds records already, nothing is to be imported: `avengers fit` takes "
            f"files and folders of them; unpack an archive"
        )
    names = ", ".join(LAYOUTS)
    raise RecordError(
        f"{source}: the keys {_keys(seen)} fit no layout.\n"
        f"If its columns hold questions and scores, name them with mapping= (--map); COLUMN and "
        f"MODEL stand for what their names do not tell:\n"
        f"  --map {proposal(seen)}\n"
        f"or write records, one a line:\n"
        f"  {json.dumps(_RECORD)}\n"
        f"If it is of one of these, name it with layout= (--layout): {names}"
    )


def _keys(row: Row) -> str:
    return few([repr(str(key)) for key in row], _SHOWN)
