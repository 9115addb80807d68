"""Speed in one table, each figure as a ratio to its floor measured in the same run.

python tests/benchmarks/bench.py
"""

from __future__ import annotations

import bench_core
import bench_history
import bench_log
import bench_plugins
from timing import show


def main() -> None:
    measures = (
        *bench_core.MEASURES,
        *bench_plugins.MEASURES,
        *bench_log.MEASURES,
        *bench_history.MEASURES,
    )
    show(row for measure in measures for row in measure())


if __name__ == "__main__":
    main()
