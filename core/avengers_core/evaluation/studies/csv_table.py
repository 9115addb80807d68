"""The experiments of studies as a CSV file that grows."""

from __future__ import annotations

import csv
import io
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from avengers_core.common.files import write_whole
from avengers_core.errors import RecordError
from avengers_core.records.names import shown

_OTHERWISE = "choose another file, or pass append=False to write in its place"


@dataclass
class CsvTable:
    """Experiments as they are stored.

    Attributes:
        columns: the names that any row has, in order of first appearance.
        rows: one for each experiment; a cell that it has no name for is empty.
    """

    columns: dict[str, None] = field(default_factory=dict)
    rows: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def read(cls, file: Path) -> CsvTable:
        """What a CSV file holds; nothing where there is none.

        Raises:
            RecordError: it holds something else.
        """
        if not file.is_file():
            return cls()
        try:
            with file.open(encoding="utf-8", newline="") as lines:
                reader = csv.DictReader(lines, strict=True)
                rows, columns = list(reader), dict.fromkeys(reader.fieldnames or ())
        except (UnicodeDecodeError, csv.Error) as error:
            raise RecordError(
                f"{file} holds no table to append to ({error}); {_OTHERWISE}"
            ) from None
        if columns and "study" not in columns:
            raise RecordError(
                f"{file} holds no experiments to append to: expected a column `study`, got "
                f"{shown(columns)}; {_OTHERWISE}"
            )
        for number, row in enumerate(rows, 1):
            if None in row or None in row.values():
                raise RecordError(
                    f"{file} cannot be appended to: row {number} has not the {len(columns)} cells "
                    f"that the first line names; {_OTHERWISE}"
                )
        return cls(columns, rows)

    def add(self, row: dict[str, Any]) -> None:
        """Put an experiment behind the others."""
        self.columns |= dict.fromkeys(row)
        self.rows.append({name: _as_cell(value) for name, value in row.items()})

    def write(self, file: Path) -> None:
        """Write the table, which is whole at all times."""
        out = io.StringIO(newline="")
        writer = csv.DictWriter(out, list(self.columns), restval="")
        writer.writeheader()
        writer.writerows(self.rows)
        write_whole(file, out.getvalue())


def _as_cell(value: Any) -> Any:
    """A value that a spreadsheet shows as it is: a name may begin as a formula does."""
    return (
        f"'{value}" if isinstance(value, str) and value.startswith(("=", "+", "-", "@")) else value
    )
