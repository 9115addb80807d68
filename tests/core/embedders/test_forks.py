"""Children of a process whose other threads were at work when it forked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

SMALL = Path(__file__).parents[1] / "data" / "version_0_1_joint" / "refined"
FORKS = """
import os, signal, sys, threading, time
import numpy as np
from avengers_core import Router
from avengers_core.embedders import CachedEmbedder, CallableEmbedder

def vectors(texts):
    return np.array([[len(t), 1.0] for t in texts])

cached = CachedEmbedder(CallableEmbedder(vectors, id="lengths"), sys.argv[1])
router = Router.load(sys.argv[3])
work = {
    "cache": lambda name: cached.embed([name, "shared"]),
    "router": lambda name: (router.route(name), router.route_batch([name, "shared", "third"])),
    "first use": lambda name: Router(router.artifact).route(name),
}[sys.argv[2]]
steps = [0] * 4

def go_on(n):
    while True:
        work(f"thread {n} step {steps[n]}")
        steps[n] += 1

for n in range(len(steps)):
    threading.Thread(target=go_on, args=(n,), daemon=True).start()
codes = []
for n in range(6):
    before = sum(steps)
    while sum(steps) < before + 2:  # they are at work
        time.sleep(0.001)
    child = os.fork()
    if child == 0:
        signal.alarm(20)  # which ends it where it hangs
        work(f"child {n}")
        os._exit(0)
    codes.append(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
print(codes, flush=True)
os._exit(0)
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.parametrize("what", ["cache", "router", "first use"])
def test_a_child_works_whatever_other_threads_were_at(what: str, tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", FORKS, tmp_path / "cache.sqlite", what, SMALL],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == f"{[0] * 6}\n", done.stderr
