"""Records from the layouts that people have: benchmark results and exports of traced runs.

::

    rows = import_records("results/bench")          # an iterable of rows as load_records() takes
    records = load_records(rows)                    # records.problems: the rows that were rejected
"""

from __future__ import annotations

from avengers_core.importers.importing import import_records
from avengers_core.importers.layouts import LAYOUTS

__all__ = ["LAYOUTS", "import_records"]
