"""In place of worker processes, where it is not they that are tested: each imports everything."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import pytest


def stay_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process do what worker processes would; what they are sent is still pickled."""

    def run(job: Any, parts: Sequence[Any], _workers: int | None) -> Iterator[Any]:
        sent = pickle.loads(pickle.dumps(job))
        return (sent(number, part) for number, part in enumerate(parts))

    monkeypatch.setattr("avengers_core.scanning.workers.run_in_processes", run)
