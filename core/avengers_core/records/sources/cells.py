"""Cells of tables as JSON has them: text as values, ``records.MODEL`` as a field of ``records``."""

from __future__ import annotations

import ast
import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from decimal import Decimal
from typing import Any

NESTED = ("records", "usages")
COLUMNS = ("query", *NESTED, "dataset", "index", "propensity")
"""The fields of a record; other columns of a table are not read."""


def is_read(column: str) -> bool:
    """Whether a column holds a field of a record, or a part of one (``usages.MODEL.cost``)."""
    return column in COLUMNS or column.partition(".")[0] in NESTED


def record_row(cells: Mapping[str, str]) -> dict[str, Any]:
    """What the cells of a table say of a record."""
    return unfolded((name, parsed(name, cell)) for name, cell in cells.items() if is_read(name))


def parsed(name: str, text: str) -> Any:
    """A cell of text as the value that a column of that name has; None where it is empty."""
    if not text.strip():
        return None
    if name in NESTED:
        return plain(text)
    if name.partition(".")[0] in NESTED or name == "propensity":
        if text.strip().lower() in ("true", "false"):
            return text.strip().lower() == "true"
        with suppress(ValueError):
            return float(text)
    if name == "index" and text.isdecimal():
        with suppress(ValueError):  # more digits than Python takes
            return int(text)
    return text


def plain(value: Any) -> Any:
    """Mappings from JSON, or what Python prints, in text; from structs without empty fields."""
    if isinstance(value, str):
        with suppress(ValueError, RecursionError):
            return json.loads(value)
        with suppress(ValueError, TypeError, SyntaxError, RecursionError, MemoryError):
            return ast.literal_eval(value)
        return value  # the record's validation says what is wrong with it
    if isinstance(value, Mapping):
        return {k: plain(v) for k, v in value.items() if v is not None}
    return float(value) if isinstance(value, Decimal) else value


def unfolded(cells: Iterable[tuple[str, Any]]) -> dict[str, Any]:
    """A row: ``records.MODEL`` and ``usages.MODEL.FIELD`` put in their mappings, None left out."""
    row: dict[str, Any] = {}
    for name, value in cells:
        field, dot, rest = name.partition(".")
        if value is None:
            continue
        if not dot or field not in NESTED:
            row[name] = value
        elif field == "records":
            row.setdefault(field, {})[rest] = value
        else:  # names of models have dots themselves
            model, _, amount = rest.rpartition(".")
            row.setdefault(field, {}).setdefault(model, {})[amount] = value
    return row
