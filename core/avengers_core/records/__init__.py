"""Records: how each model did on past queries; the format, reading it, splitting, columns."""

from __future__ import annotations

from avengers_core.records.loading import Source, iter_records, load_records
from avengers_core.records.record import Missing, Record, RecordProblem, Records, Usage
from avengers_core.records.splitting import split_records

__all__ = [
    "Missing",
    "Record",
    "RecordProblem",
    "Records",
    "Source",
    "Usage",
    "iter_records",
    "load_records",
    "split_records",
]
