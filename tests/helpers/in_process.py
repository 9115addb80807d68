"""In place of worker processes, where it is not they that are tested: each imports everything."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from avengers_core.scanning.pool import Processes


def stay_in_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let this process do what worker processes would; what they are sent is still pickled."""

    def run(_processes: Processes, job: Any, parts: Sequence[Any]) -> Iterator[Any]:
        sent = pickle.loads(pickle.dumps(job))
        return (sent(number, part) for number, part in enumerate(parts))

    monkeypatch.setattr(Processes, "run", run)
